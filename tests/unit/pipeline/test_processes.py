"""Stages in several processes: stage embed alone; and a training that is shown."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from graphrep.embed.gnn.training import Step
from graphrep.errors import InputError
from graphrep.pipeline import processes
from graphrep.pipeline.context import Silent
from graphrep.pipeline.watching import line, shown, watched


def test_alone_a_process_is_the_first_and_runs_any_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert processes.is_first()
    processes.check_stage("publish")


def test_among_several_only_stage_embed_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert not processes.is_first()
    processes.check_stage("embed")
    with pytest.raises(InputError, match="stage embed alone in several processes, found graph; run graphrep graph"):
        processes.check_stage("graph")


class Bars(Silent):
    def __init__(self) -> None:
        self.seen: list[Any] = []

    @contextmanager
    def stage(self, name: str, total: int) -> Iterator[Any]:
        self.seen.append((name, total))
        yield lambda label="": self.seen.append(label)
        self.seen.append("done")


def test_each_training_is_a_stage_from_its_first_step_to_its_last() -> None:
    bars = Bars()
    steps = [Step(1, 2, 5.0, 10.0, 1.0), Step(2, 2, 4.0, 10.0, 0.0), Step(3, 3, 4.0, 10.0, 0.0)]
    with shown(bars) as report:
        for step in steps:
            report(step)
    told = [line(step) for step in steps]
    assert bars.seen == [("train", 2), told[0], told[1], "done", ("train", 1), told[2], "done"]
    assert told[0] == "step 1 of 2, loss 5.000, 10 anchors/s, 0:01 left"


@pytest.mark.parametrize("wanted", [True, False])
def test_with_scalars_each_training_has_a_folder_of_its_own(tmp_path: Path, wanted: bool) -> None:
    run = SimpleNamespace(
        progress=Bars(), warehouse=tmp_path, config=SimpleNamespace(watch=SimpleNamespace(scalars=wanted))
    )
    steps = [Step(1, 2, 5.0, 10.0, 1.0), Step(2, 2, 4.0, 10.0, 0.0), Step(3, 3, 3.0, 20.0, 0.0)]
    with watched(run, "2026-03-01") as report:
        for step in steps:
            report(step)
    assert line(steps[-1]) in run.progress.seen
    found = {}
    for folder in sorted((tmp_path / "scalars" / "ds=2026-03-01").glob("*")):
        events = EventAccumulator(str(folder))
        events.Reload()
        found[folder.name] = [(one.step, one.value) for one in events.Scalars("loss")]
    assert found == ({"training-1": [(1, 5.0), (2, 4.0)], "training-2": [(3, 3.0)]} if wanted else {})
