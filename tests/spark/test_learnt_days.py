"""The hybrid through whole days: cold, then warm; killed, spoilt or gone, it says so and ends with the same bytes."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from graphrep import vocab
from graphrep.contracts import Manifest
from graphrep.datasets.sample import SampleSpec
from graphrep.embed.gnn.checkpoint import unpacked
from graphrep.embed.gnn.kept_state import KeptState
from graphrep.lookup import open_release
from graphrep.pipeline.context import Run, Silent, Step
from graphrep.pipeline.datasets import write_sample_logs
from graphrep.pipeline.embed import day_vectors
from graphrep.pipeline.load import load_graph
from graphrep.pipeline.run import run_day, run_stage
from graphrep.store import erase, releases, runlog, tables

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
SPEC = SampleSpec(users=120, days=5, seed=0, start=dt.date(2026, 3, 1))
FIRST, SECOND, THIRD = (SPEC.ds(i) for i in (2, 3, 4))
EMBED: dict[str, Any] = {
    "model": "hybrid",
    "walk": "history",
    "dim": 8,
    "share": 0.5,
    "warm_epochs": 2,
    "training": {"epochs": 3, "batch": 64, "history": 16, "negatives": 64, "folds": 2},
}
# A sample this small is no test of quality.
GATES = {
    "max_zero_row_share": 0.5,
    "max_alignment_residual": 2,
    "min_norm_ratio": 0.01,
    "max_norm_ratio": 100,
    "min_lift_over_popularity": -1,
}


class Told:
    """Progress that remembers the names of the stages."""

    def __init__(self) -> None:
        self.names: list[str] = []

    @contextmanager
    def stage(self, name: str, total: int) -> Iterator[Step]:
        self.names.append(name)
        yield lambda label="": None


def configure(place: Any, **embed: Any) -> None:
    settings = {
        "extends": str(CONFIGS / "local.yaml"),
        "spark": {"shuffle_partitions": 2, "driver_memory": "1g"},
        "logs": {"max_quarantine_share": 0.05},
        "embed": {**EMBED, **embed},
        "gates": GATES,
    }
    place.config.write_text(yaml.safe_dump(settings), encoding="utf-8")


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory, new_place: Callable[[Path], Any]) -> Callable[[Any], Any]:
    """Makes a place; a copy of another one where one is given."""

    def made(of: Any = None) -> Any:
        place = new_place(tmp_path_factory.mktemp("learnt"))
        configure(place)
        if of is not None:
            for name in ("logs", "warehouse"):
                shutil.copytree(of.root / name, place.root / name)
        return place

    return made


@pytest.fixture(scope="module")
def graphs(make: Callable[..., Any]) -> Any:
    """Graphs of three days."""
    place = make()
    write_sample_logs(place.logs, SPEC, Silent())
    for ds in (FIRST, SECOND, THIRD):
        run_day(place.run(), ds, at=place.at, last=vocab.GRAPH)
    return place


@pytest.fixture(scope="module")
def done(graphs: Any, make: Callable[..., Any]) -> Any:
    """All three published: the first from the walk, the others from the day before."""
    place = make(graphs)
    place.records = {ds: run_day(place.run(), ds, at=place.at, first=vocab.EMBED) for ds in (FIRST, SECOND, THIRD)}
    return place


@pytest.fixture
def again(done: Any, make: Callable[..., Any]) -> Any:
    return make(done)


def folder(place: Any, ds: str) -> Path:
    return tables.partition(place.warehouse, tables.CHECKPOINTS, ds)


def files_of(path: Path) -> dict[str, bytes]:
    return {str(p.relative_to(path)): p.read_bytes() for p in sorted(path.rglob("*")) if p.is_file()}


def results(place: Any, ds: str) -> dict[str, bytes]:
    """Vectors of a day and what its training left."""
    return {**files_of(tables.partition(place.warehouse, tables.VECTORS, ds)), **files_of(folder(place, ds))}


def embed_again(place: Any, ds: str) -> tuple[dict[str, Any], str]:
    """The stage's record when it is run once more as if it had never been, and what it told of the fit."""
    runlog.drop_stage(place.warehouse, ds, vocab.EMBED)
    run: Run = place.run()
    told = Told()
    run.progress = told
    record = run_stage(run, vocab.EMBED, ds, at=place.at)
    (fitted,) = [name for name in told.names if name.startswith("fit ")]
    trainings = told.names[told.names.index(fitted) + 1 :]
    assert set(trainings) == ({"train"} if record["training"] else set())
    return record, fitted


def test_the_first_day_starts_cold_and_the_next_ones_warm(done: Any) -> None:
    trained = [done.records[ds][vocab.EMBED]["training"] for ds in (FIRST, SECOND, THIRD)]
    assert [(t["start"], t["epochs"], t["cold_ds"]) for t in trained] == [
        ("cold", 3, FIRST),
        ("warm", 2, FIRST),
        ("warm", 2, FIRST),
    ]
    assert [t["why"] for t in trained] == ["there is no release before", None, None]
    spaces = {done.records[ds][vocab.EMBED]["space_id"] for ds in (FIRST, SECOND, THIRD)}
    assert len(spaces) == 1
    choices = [done.records[ds][vocab.EMBED]["model"]["choice"] for ds in (FIRST, SECOND, THIRD)]
    assert choices[0] == choices[1] == choices[2]


def test_a_day_keeps_its_state_and_nothing_of_the_way_to_it(done: Any) -> None:
    for ds in (FIRST, SECOND, THIRD):
        assert list(files_of(folder(done, ds))) == ["state.safetensors"]
        kept = KeptState.unpacked((folder(done, ds) / "state.safetensors").read_bytes(), "state")
        day = load_graph(done.run(), ds)
        assert set(kept.state.walk) == {"host", "video", "product"}
        for kind, ids in kept.ids.items():
            assert np.array_equal(ids, day.nodes[kind].index)
        target = kept.state.walk["host"][1] + 0.5 * kept.state.learnt["host"][1]
        assert np.allclose(target, day_vectors(done.run(), ds)["host"], atol=1e-5)


def test_the_release_says_what_made_it(done: Any) -> None:
    for ds in (FIRST, SECOND):
        made = releases.read_manifest(done.warehouse, f"{ds}.1")[Manifest.MODEL]
        assert (made["name"], made["learnt"]) == ("hybrid", 0.5)
        assert made == done.records[ds][vocab.EMBED]["model"]
        assert len(made["state"]) == 64
    assert open_release(done.warehouse, verify=True).release_id == f"{THIRD}.1"


def test_another_warehouse_with_other_stable_ids_of_new_nodes_takes_over_by_id(done: Any) -> None:
    """What a thing had learnt yesterday is where it starts today, also where its row is another one."""
    kept = KeptState.unpacked((folder(done, FIRST) / "state.safetensors").read_bytes(), "state")
    before, today = load_graph(done.run(), FIRST).nodes["video"], load_graph(done.run(), SECOND).nodes["video"]
    row = kept.known({"video": today.index})["video"]
    assert [before.keys[i] if i >= 0 else None for i in row] == [
        k if k in set(before.keys) else None for k in today.keys
    ]
    assert (row != np.arange(len(row))).any()


def test_the_same_bytes_again(done: Any, graphs: Any, make: Callable[..., Any]) -> None:
    other = make(graphs)
    for ds in (FIRST, SECOND):
        run_day(other.run(), ds, at=other.at, first=vocab.EMBED)
        assert results(other, ds) == results(done, ds)
        assert files_of(other.warehouse / "releases" / f"{ds}.1") == files_of(done.warehouse / "releases" / f"{ds}.1")


def killed_in_training(place: Any, ds: str) -> None:
    """Run the stage in a process of its own and kill it after its first epoch."""
    runlog.drop_stage(place.warehouse, ds, vocab.EMBED)
    command = [sys.executable, "-m", "graphrep", "embed", "--config", str(place.config), "--ds", ds]
    places = ["--logs", str(place.logs), "--warehouse", str(place.warehouse)]
    with subprocess.Popen([*command, *places], stderr=subprocess.DEVNULL, env=dict(os.environ)) as process:
        until = time.monotonic() + 120
        while not list(folder(place, ds).glob("*/hybrid-published")) and time.monotonic() < until:
            assert process.poll() is None
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert runlog.read_stage(place.warehouse, ds, vocab.EMBED) is None


@pytest.mark.parametrize("ds", [FIRST, THIRD])
def test_killed_in_training_it_goes_on_and_ends_with_the_same_bytes(again: Any, done: Any, ds: str) -> None:
    killed_in_training(again, ds)
    (path,) = folder(again, ds).glob("*/hybrid-published")
    assert unpacked(path.read_bytes(), "state")[1].step > 0
    record, told = embed_again(again, ds)
    assert told.endswith("; on from where it was interrupted")
    assert results(again, ds) == results(done, ds)
    assert record == done.records[ds][vocab.EMBED]


def test_a_state_of_other_settings_is_left_behind_and_that_is_said(again: Any, done: Any) -> None:
    killed_in_training(again, FIRST)
    configure(again, dim=6)
    record, told = embed_again(again, FIRST)
    assert told.endswith("; anew, since its inputs changed")
    assert record["training"]["epochs"] == 3
    assert list(files_of(folder(again, FIRST))) == ["state.safetensors"]


def test_a_damaged_state_is_left_behind_and_that_is_said(again: Any, done: Any) -> None:
    killed_in_training(again, FIRST)
    (path,) = folder(again, FIRST).glob("*/hybrid-published")
    path.write_bytes(path.read_bytes()[:-1])
    _, told = embed_again(again, FIRST)
    assert told.endswith("; anew, since its state is damaged")
    assert results(again, FIRST) == results(done, FIRST)


@pytest.mark.parametrize(
    ("embed", "why"),
    [
        ({"cold_every_days": 1}, "the last start from the walk was 1 days ago"),
        ({"dim": 6}, f"{FIRST}.1 has other dimensions"),
    ],
)
def test_settings_can_ask_for_a_start_from_the_walk(again: Any, embed: dict[str, Any], why: str) -> None:
    configure(again, **embed)
    record, told = embed_again(again, SECOND)
    assert (record["training"]["start"], record["training"]["why"]) == ("cold", why)
    assert (record["training"]["epochs"], record["training"]["cold_ds"]) == (3, SECOND)
    assert f"hybrid from the walk: {why}" in told


def test_without_yesterdays_state_it_starts_cold_and_yesterdays_choice_stays(again: Any, done: Any) -> None:
    (folder(again, FIRST) / "state.safetensors").write_bytes(b"")
    record, _ = embed_again(again, SECOND)
    assert record["training"]["why"] == f"the state of {FIRST}.1 is not there any more"
    assert record["model"]["choice"] == done.records[FIRST][vocab.EMBED]["model"]["choice"]


def test_after_the_other_model_it_starts_cold_and_leaves_no_state_behind(again: Any, done: Any) -> None:
    configure(again, model="autocovariance")
    record, told = embed_again(again, SECOND)
    assert record["model"]["choice"] == done.records[FIRST][vocab.EMBED]["model"]["choice"]
    assert (record["training"], record["model"]["learnt"], record["model"]["state"]) == (None, None, None)
    assert told == f"fit {SECOND}"
    assert not files_of(folder(again, SECOND))
    run_day(again.run(), SECOND, at=again.at, first=vocab.EVALUATE)
    configure(again)
    record, _ = embed_again(again, THIRD)
    assert record["training"]["why"] == f"{SECOND}.2 holds nothing that this model learnt"


def test_after_the_other_walk_a_new_space_begins(again: Any) -> None:
    configure(again, model="autocovariance", walk="joint")
    record, _ = embed_again(again, SECOND)
    assert (record["parent"], record["alignment"]) == (None, None)
    assert record["space_id"].startswith(SECOND)


def test_the_share_is_chosen_on_a_cold_day_and_the_figures_are_kept(again: Any) -> None:
    configure(again, share=None)
    record, _ = embed_again(again, FIRST)
    tried = record["training"]["tried"]
    assert list(tried) == ["0.0", "0.25", "0.5", "0.75", "1.0"]
    best = max(tried, key=lambda share: tried[share])
    chosen = float(best) if tried[best] > tried["0.0"] * 1.001 else 0.0
    assert record["model"]["learnt"] == chosen
    assert (record["model"]["state"] is None) == (chosen == 0)


def test_an_erased_key_takes_the_state_of_its_day_with_it(again: Any) -> None:
    erase.remove_day_graph(again.warehouse, FIRST)
    assert not folder(again, FIRST).exists()
    assert folder(again, SECOND).exists()
    assert tables.CHECKPOINTS not in erase.working_tables(again.warehouse)
