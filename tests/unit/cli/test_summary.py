"""`graphrep graph summary`: what it prints and refuses, and that `graphrep graph` still runs the stage."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from graphrep import vocab
from graphrep.cli import main
from graphrep.cli.summary import summary_lines
from graphrep.pipeline import run as pipeline_run
from graphrep.pipeline.summary import SUMMARY
from graphrep.store import runlog

DS = "2026-03-05"
LOCAL = Path(__file__).parents[3] / "configs" / "local.yaml"
VIDEOS = {"surface": "short_video", "days": 2, "in": 1300, "events": 1200, "dropped": {"duplicate": 100}, "undated": 0}
MIXED = {"surface": None, "days": 1, "in": 9, "events": 6, "dropped": {"a new reason": 3}, "undated": 2}
CONTENT: dict[str, Any] = {
    "days": ["2026-03-02", "2026-03-04"],
    "missing_days": ["2026-03-03"],
    "compared_with": "2026-03-04",
    "rows": {"window": {"videos": VIDEOS, "mixed": MIXED}, "newest": {"mixed": MIXED}},
    "late": {"window": {"events": 2500, "duplicates": 1}, "newest": {}},
    "excluded": {"window": {"max_events": 2, "max_distinct": 1}, "newest": {}},
    "nodes": {
        "user": {
            "nodes": 1500,
            "new": 4,
            "vanished": 0,
            "degree": {"p0": 0, "p50": 2, "p90": 9, "p99": 30, "max": 1234},
        },
        "host": {"nodes": 0, "new": None, "vanished": None, "degree": None},
    },
    "surfaces": {"user": [10, 1490]},
    "edges": {
        "watches": {
            "from": "user",
            "to": "video",
            "sign": -1,
            "edges": 2000,
            "weight": {"p0": 0.25, "p50": 1.0, "p90": 2.00000004, "p99": 9.5, "max": 10},
            "bytes": 30_000,
        },
        "buys": {"from": "user", "to": "product", "sign": 1, "edges": 0, "weight": None, "bytes": 0},
    },
    "disk": {"adjacency": {"bytes": 30_000, "bytes_per_edge": 15.0}},
}


def command(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["graphrep", *arguments])
    try:
        main()
    except SystemExit as leave:
        return int(str(leave.code))
    return 0


def test_the_summary_is_a_few_tables() -> None:
    assert summary_lines(DS, CONTENT) == [
        "graph of 2026-03-05: 2 days, 2026-03-02 to 2026-03-04; missing between them: 2026-03-03",
        "",
        "rows delivered on the 2 days",
        "table   surface      days  rows in  events  a new reason  duplicate  undated",
        "videos  short_video  2     1,300    1,200   0             100        0",
        "mixed   by row       1     9        6       3             0          2",
        "all                        1,309    1,206   3             100        2",
        "",
        "rows delivered on the newest day, 2026-03-04",
        "table  surface  days  rows in  events  a new reason  undated",
        "mixed  by row   1     9        6       3             2",
        "all                   9        6       3             2",
        "",
        "joined from later deliveries: 2,500 events, 1 duplicates; on the newest day: none",
        "users' days left out for their intensity: 2 max_events, 1 max_distinct; on the newest day: none",
        "",
        "nodes; new and vanished against the graph of 2026-03-04",
        "type  nodes  new  vanished  degree p0  degree p50  degree p90  degree p99  degree max",
        "user  1,500  4    0         0          2           9           30          1,234",
        "host  0      –    –         –          –           –           –           –",
        "",
        "users by number of surfaces that their edges come from",
        "type  surfaces  nodes",
        "user  0         10",
        "user  1         1,490",
        "",
        "edges; weights as stored, without their sign",
        "relation  from  to       sign  edges  bytes/edge  weight p0  weight p50  weight p90  weight p99  weight max",
        "watches   user  video    -1    2,000  15.0        0.25       1           2           9.5         10",
        "buys      user  product  +1    0      –           –          –           –           –           –",
        "",
        "on disk    bytes   bytes/edge",
        "adjacency  30,000  15.0",
    ]


def test_the_first_graph_says_that_it_is_the_first() -> None:
    lines = summary_lines(DS, {**CONTENT, "compared_with": None})
    assert "nodes; new and vanished against none: it is the first graph" in lines


def test_the_command_reads_the_record_of_the_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    runlog.record_stage(tmp_path, DS, vocab.GRAPH, {SUMMARY: CONTENT})
    asked = ("graph", "summary", "--ds", DS, "--warehouse", str(tmp_path))
    assert command(monkeypatch, *asked) == 0
    # A manifest's keys are sorted, and so are the lines made of them.
    assert capsys.readouterr().out.splitlines() == summary_lines(DS, json.loads(json.dumps(CONTENT, sort_keys=True)))
    assert command(monkeypatch, *asked, "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"ds": DS, **CONTENT}


def test_the_warehouse_is_the_configured_one_unless_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "own.yaml"
    config.write_text(f"extends: {LOCAL}\nwarehouse: {tmp_path / 'here'}\n", encoding="utf-8")
    runlog.record_stage(tmp_path / "here", DS, vocab.GRAPH, {SUMMARY: CONTENT})
    assert command(monkeypatch, "graph", "summary", "--ds", DS, "--config", str(config)) == 0
    assert capsys.readouterr().out.startswith("graph of 2026-03-05")


def test_a_day_without_a_graph_is_bad_input_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(monkeypatch, "graph", "summary", "--ds", DS, "--warehouse", str(tmp_path)) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("graphrep: expected a graph of 2026-03-05, found none [")
    assert err.count("\n") == 1


def test_without_a_subcommand_the_stage_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []

    def stage(run: Any, name: str, ds: str, *, at: Any) -> dict[str, Any]:
        asked.append((run.warehouse, run.config.logs.root, name, ds))
        return {"window": ["a", "b"], "nodes": {"user": 2}, "edges": {"watches": 3}}

    monkeypatch.setattr(pipeline_run, "run_stage", stage)
    options = ("--config", str(LOCAL), "--ds", DS, "--logs", "l", "--warehouse", str(tmp_path))
    assert command(monkeypatch, "graph", *options) == 0
    assert asked == [(tmp_path, Path("l"), "graph", DS)]
    assert capsys.readouterr().out == "graph     a to b: 2 user\n          3 edges in 1 relations\n"
    assert command(monkeypatch, "graph", *options, "--json") == 0
    assert json.loads(capsys.readouterr().out)["edges"] == {"watches": 3}


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([], "expected --config and --ds, found neither [graphrep graph]; see graphrep graph --help"),
        (["--ds", DS], "expected --config and --ds, found --ds [graphrep graph]; see graphrep graph --help"),
        (["--json", "summary"], "expected options after summary, found --json before it [graphrep graph summary]"),
        (["--ds", DS, "summary"], "expected options after summary, found --ds before it [graphrep graph summary]"),
        (["summary"], "Missing option '--ds'."),
    ],
)
def test_options_that_lack_or_stand_in_the_wrong_place_are_refused(
    arguments: list[str], line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(monkeypatch, "graph", *arguments) == 2
    assert capsys.readouterr() == ("", f"graphrep: {line}\n")


def test_the_help_has_an_example_of_both(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(monkeypatch, "graph", "--help") == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "graphrep graph --config configs/local.yaml --ds 2026-03-14" in text
    assert "graphrep graph summary --ds 2026-03-14" in text
