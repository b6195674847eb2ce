"""What the command prints: results on stdout, progress on stderr, JSON that is one object."""

from __future__ import annotations

import io
import json
import sys

import pytest

from graphrep.cli import show


def test_a_table_is_as_wide_as_its_cells_and_has_no_trailing_blanks() -> None:
    lines = show.table_lines(["key", "score"], [["long key", "1"], ["k", "2.5"]])
    assert lines == ["key       score", "long key  1", "k         2.5"]
    assert show.table_lines(["a", "b"], []) == ["a  b"]


def test_results_go_to_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    show.print_table(["a"], [["1"]])
    show.print_lines(["x", "y"])
    assert capsys.readouterr() == ("a\n1\nx\ny\n", "")


def test_json_is_one_object_with_sorted_keys_and_readable_text(capsys: pytest.CaptureFixture[str]) -> None:
    show.print_json({"b": [1], "a": "é👩"})
    text = capsys.readouterr().out
    assert json.loads(text) == {"a": "é👩", "b": [1]}
    assert text.index('"a"') < text.index('"b"')
    assert "é👩" in text


def test_the_quality_table_has_a_line_per_target_and_band_and_a_column_per_model() -> None:
    rows = [
        {"target": "live", "band": band, "users": users, "model": model, "k": 50, "recall": recall, "ndcg": 0.5}
        for model, recall in (("vectors", 0.25), ("popularity", 0.125))
        for band, users in (("all", 1234), ("none", 7))
    ]
    assert show.quality_lines(rows) == [
        "target  history  users  vectors R@50 / N@50  popularity R@50 / N@50",
        "live    all      1,234  0.250 / 0.500        0.125 / 0.500",
        "live    none     7      0.250 / 0.500        0.125 / 0.500",
    ]


def test_a_day_without_labels_says_so() -> None:
    assert show.quality_lines([]) == ["quality   no labels: the label day's logs are not there"]


def test_away_from_a_terminal_a_finished_stage_is_one_plain_line(capsys: pytest.CaptureFixture[str]) -> None:
    with show.Bars().stage("edges 2026-03-01", 3) as step:
        step("a")
        step()
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("edges 2026-03-01 ")
    assert err.endswith(" s\n")
    assert err.count("\n") == 1


def test_away_from_a_terminal_a_long_stage_says_now_and_then_where_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = iter([0.0, 10.0, 31.0, 31.0, 40.0, 40.0])
    monkeypatch.setattr(show.time, "monotonic", lambda: next(clock))
    with show.Bars().stage("train", 3) as step:
        step("loss 3")
        step("loss 2")
        step("loss 1")
    lines = [" ".join(line.split()) for line in capsys.readouterr().err.splitlines()]
    assert lines == ["train 31.0 s loss 2", "train 40.0 s"]


def test_a_stage_that_fails_is_not_reported_as_done(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyError), show.Bars().stage("edges", 3):
        raise KeyError
    assert capsys.readouterr() == ("", "")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("total", [0, 2])
def test_on_a_terminal_a_stage_is_a_bar_on_stderr(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], total: int
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with show.Bars().stage("edges", total) as step:
        step("first")
        step("second")
    assert "edges" in terminal.getvalue()
    assert "\x1b[" in terminal.getvalue()
    assert capsys.readouterr().out == ""
