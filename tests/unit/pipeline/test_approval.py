"""Who may publish a day that is not green, and what is asked of a release before it is switched to."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from graphrep import vocab
from graphrep.errors import GateRefusedError, InputError
from graphrep.pipeline.approval import APPROVED, OVERRIDDEN, Approval, admitted
from graphrep.store import runlog

DS = "2026-03-01"


def report(colour: str) -> dict[str, Any]:
    return {"colour": colour, "reasons": [] if colour == "green" else [f"{colour}: it drifted"], "checks": []}


@pytest.fixture
def run(tmp_path: Path) -> Any:
    return SimpleNamespace(warehouse=tmp_path)


SAM = Approval("Sam", "the holiday", APPROVED)
KIM = Approval("Kim", "rankers agreed", OVERRIDDEN)


@pytest.mark.parametrize("given", [None, SAM, KIM])
def test_a_green_day_needs_nobody_and_nobody_goes_on_record(run: Any, given: Approval | None) -> None:
    assert admitted(run, DS, report("green"), given) == {**report("green"), "approval": None}


@pytest.mark.parametrize(
    ("colour", "given", "fix"),
    [
        ("amber", None, "--approve NAME --reason TEXT"),
        ("red", None, "--override NAME"),
        ("red", SAM, "--override NAME"),
    ],
)
def test_a_day_is_held_in_one_line_that_says_who_could_let_it_through(
    run: Any, colour: str, given: Approval | None, fix: str
) -> None:
    with pytest.raises(GateRefusedError, match=f"{colour}: it drifted.*{fix}") as held:
        admitted(run, DS, report(colour), given)
    assert held.value.exit_code == 3
    assert "\n" not in str(held.value)


@pytest.mark.parametrize(("colour", "given"), [("amber", SAM), ("amber", KIM), ("red", KIM)])
def test_a_name_and_a_reason_go_on_record(run: Any, colour: str, given: Approval) -> None:
    expected = {"name": given.name, "reason": given.reason, "kind": given.kind}
    assert admitted(run, DS, report(colour), given)["approval"] == expected


def test_what_was_approved_stays_so_until_the_day_is_judged_anew(run: Any) -> None:
    given = admitted(run, DS, report("amber"), SAM)["approval"]
    runlog.record_stage(run.warehouse, DS, vocab.PUBLISH, {"release_id": f"{DS}.1", "approval": given})
    assert admitted(run, DS, report("amber"), None)["approval"] == given
    with pytest.raises(GateRefusedError):
        admitted(run, DS, report("red"), None)
    runlog.record_stage(run.warehouse, DS, vocab.EVALUATE, {"gate": report("amber")})
    with pytest.raises(GateRefusedError):
        admitted(run, DS, report("amber"), None)


@pytest.mark.parametrize(("name", "reason", "says"), [("", "why", "a name"), ("Sam", " ", "a reason")])
def test_without_a_name_or_a_reason_there_is_no_approval(name: str, reason: str, says: str) -> None:
    with pytest.raises(InputError, match=f"expected {says} that goes on record, found none"):
        Approval(name, reason, APPROVED)
