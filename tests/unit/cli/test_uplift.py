"""``graphrep uplift``: what it prints, and its exit codes."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from conftest import Place
from graphrep import cli
from graphrep.store import runlog
from made_panel import DS, settings, write_panel


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    def run(place: Place, *words: str) -> tuple[int, str, str]:
        given = ["--config", str(place.config), "--warehouse", str(place.warehouse), "--ds", DS]
        monkeypatch.setattr(sys, "argv", ["graphrep", "uplift", *words, *given])
        code = 0
        try:
            cli.main()
        except SystemExit as left:
            code = int(left.code or 0)
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return run


def held_back(root: Path, table: pa.Table) -> Place:
    place = Place(root)
    place.configure(lambda own: own.update(uplift=settings(min_arm_rows=5000)))
    write_panel(place.warehouse, table)
    return place


def test_the_stage_tells_each_arm_and_does_nothing_twice(fitted_uplift: Place, call: Any) -> None:
    before = runlog.read_run(fitted_uplift.warehouse, DS)
    for words in ([], ["fit"], ["score"]):
        code, out, err = call(fitted_uplift, *words)
        assert (code, err.count("graphrep:")) == (0, 0)
        assert "1,000 scores of 500 hosts for 2026-03-15" in out
        assert "nudge live 1 d, push: +0." in out
    assert runlog.read_run(fitted_uplift.warehouse, DS) == before


def test_evaluate_prints_the_gates(fitted_uplift: Place, call: Any) -> None:
    code, out, _ = call(fitted_uplift, "evaluate")
    assert code == 0
    assert {f"G{n}" for n in range(1, 15)} <= set(out.split())
    code, out, _ = call(fitted_uplift, "evaluate", "--json")
    assert json.loads(out)["fits"][0]["arms"][1]["treatment"] == "push"


def test_report_names_its_files(fitted_uplift: Place, call: Any) -> None:
    code, out, _ = call(fitted_uplift, "report", "--json")
    found = json.loads(out)
    assert code == 0
    assert [Path(found[kind]).name for kind in ("html", "md", "json")] == ["uplift.html", "uplift.md", "uplift.json"]
    assert all(Path(path).exists() for path in found.values())


def test_allocate_spends_the_budget_on_the_surest_gains(fitted_uplift: Place, call: Any) -> None:
    code, out, _ = call(fitted_uplift, "allocate", "--budget", "10", "--json")
    found = json.loads(out)
    assert code == 0
    assert found["cost"] <= 10
    assert found["arms"]["push"] == len(found["hosts"]) == 10, "the banner does nothing"
    assert 0 < found["sure"] < found["gain"]
    code, out, _ = call(fitted_uplift, "allocate", "--budget", "10")
    assert "10 hosts" in out
    code, _, err = call(fitted_uplift, "allocate", "--budget", "-1")
    assert (code, err.count("\n")) == (2, 1)
    code, _, err = call(fitted_uplift, "allocate", "--budget", "1", "--horizon-days", "7")
    assert (code, "usable scores of live within 7 days, found none" in err) == (2, True)


def test_a_day_that_cannot_be_fitted_is_no_failure_of_the_stage(
    tmp_path: Path, golive_panel: pa.Table, call: Any
) -> None:
    place = held_back(tmp_path, golive_panel)
    code, out, _ = call(place)
    assert (code, "push: none (expected a control and an arm with enough rows" in out) == (0, True)
    for words, expected in (("fit", 2), ("evaluate", 3)):
        code, _, err = call(place, words)
        assert (code, err.count("\n"), err.startswith("graphrep: expected")) == (expected, 1, True), words


def test_what_was_not_fitted_is_told_in_one_line(still_place: Place, call: Any) -> None:
    code, out, _ = call(still_place)
    assert (code, out) == (0, "uplift    off (uplift.enabled)\n")
    for words in (["fit"], ["score"], ["evaluate"], ["report"], ["allocate", "--budget", "1"]):
        code, _, err = call(still_place, *words)
        assert (code, err.count("\n")) == (2, 1), words
        assert "run graphrep uplift fit" in err


@pytest.mark.parametrize("command", ["fit", "score", "evaluate", "report", "allocate"])
def test_each_command_has_an_example(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["graphrep", "uplift", command, "--help"])
    cli.main()
    assert f"Example: graphrep uplift {command} --config" in capsys.readouterr().out.replace("\n  ", " ")
