"""Days through the gates, end to end: green is published, amber and red are held, a person's word goes on record."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from graphrep import vocab
from graphrep.errors import GateRefusedError, StoreError
from graphrep.lookup import open_release
from graphrep.pipeline import approval, publish
from graphrep.pipeline.approval import APPROVED, OVERRIDDEN, Approval
from graphrep.pipeline.run import run_day, run_stage
from graphrep.store import releases, runlog

DAYS = ("2026-03-01", "2026-03-02", "2026-03-03")
FEW = {"min_rows": 1}


@pytest.fixture(scope="module")
def two(new_place: Callable[[Path], Any], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Two days, the first of which is published."""
    place = new_place(tmp_path_factory.mktemp("gates"))
    place.configure()
    for ds in DAYS:
        place.deliver_day(ds)
    run_day(place.run(), DAYS[1], at=place.at)
    run_day(place.run(), DAYS[2], at=place.at, last=vocab.EMBED)
    return place


def limit(place: Any, **gates: Any) -> None:
    place.configure(lambda settings: settings["gates"].update(gates))


def current(place: Any) -> str:
    pointer = releases.read_pointer(place.warehouse)
    assert pointer is not None
    return pointer.release_id


def graphrep(place: Any, *words: str) -> subprocess.CompletedProcess[str]:
    where = ["--config", str(place.config), "--logs", str(place.logs), "--warehouse", str(place.warehouse)]
    line = [sys.executable, "-m", "graphrep", *words, "--ds", DAYS[2], *where]
    return subprocess.run(line, capture_output=True, text=True, check=False)


def test_a_day_is_held_until_a_person_takes_it_on_and_that_stays_on_record(two: Any) -> None:
    limit(two, count_change={"green_min": 0.5, "green_max": 1, "amber_min": -1, **FEW})
    gate = run_stage(two.run(), vocab.EVALUATE, DAYS[2], at=two.at)["gate"]
    assert gate["colour"] == "amber"
    assert gate["reasons"][0] == "amber: count_change of host is 0, expected ≥ 0.5 and ≤ 1"
    held = graphrep(two, "publish")
    assert held.returncode == 3
    assert "gates: amber" in held.stdout
    assert held.stderr.count("\n") == 1
    assert "--approve NAME --reason TEXT" in held.stderr
    assert current(two) == f"{DAYS[1]}.1"

    nameless = graphrep(two, "publish", "--approve", "Sam")
    assert (nameless.returncode, nameless.stdout) == (2, "")
    assert "expected a reason that goes on record" in nameless.stderr

    done = run_stage(two.run(), vocab.PUBLISH, DAYS[2], at=two.at, approval=Approval("Sam", "agreed", APPROVED))
    assert done["current"]
    told = {"name": "Sam", "reason": "agreed", "kind": "approved"}
    assert open_release(two.warehouse).manifest["gate"]["approval"] == told
    assert (runlog.read_stage(two.warehouse, DAYS[2], vocab.PUBLISH) or {})["approval"] == told
    again = run_day(two.run(), DAYS[2], at=two.at)[vocab.PUBLISH]
    assert again["new"] is False, "what was approved needs no second word"


def test_a_red_day_needs_more_than_an_approval(two: Any) -> None:
    limit(two, count_change={"green_min": 0.5, "amber_min": 0.4, **FEW})
    run = two.run()
    assert run_stage(run, vocab.EVALUATE, DAYS[2], at=two.at)["gate"]["colour"] == "red"
    with pytest.raises(GateRefusedError, match="red: count_change"):
        run_stage(run, vocab.PUBLISH, DAYS[2], at=two.at, approval=Approval("Sam", "agreed", APPROVED))
    word = Approval("Kim", "rankers agreed", OVERRIDDEN)
    assert run_stage(run, vocab.PUBLISH, DAYS[2], at=two.at, approval=word)["current"]
    name = [f"{DAYS[2]}.2", "--warehouse", str(two.warehouse)]
    line = [sys.executable, "-m", "graphrep", "releases", "show", *name]
    told = subprocess.run(line, capture_output=True, text=True, check=True).stdout
    assert told.endswith("gates: red, overridden by Kim: rankers agreed\n")
    shown = json.loads(graphrep(two, "evaluate", "--json").stdout)
    assert {check["colour"] for check in shown["gate"]["checks"]} >= {"green", "red", "absent"}


def test_a_release_that_does_not_read_back_is_not_switched_to(two: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    limit(two, count_change={"green_max": 1})
    before = current(two)
    run_stage(two.run(), vocab.EVALUATE, DAYS[2], at=two.at)

    with pytest.raises(StoreError, match="expected all of 1 user keys read back, found 1 of them missing"):
        approval.read_back(two.run(), f"{DAYS[1]}.1", {"user": ["nobody"]})

    def refuse(*given: Any) -> None:
        raise StoreError("all keys read back", found="others")

    monkeypatch.setattr(publish, "read_back", refuse)
    with pytest.raises(StoreError):
        run_stage(two.run(), vocab.PUBLISH, DAYS[2], at=two.at)
    assert current(two) == before
