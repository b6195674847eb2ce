"""The one command of the benchmark suite: names, rows, tables, JSON, and what it says when it cannot go on."""

from __future__ import annotations

import gzip
import importlib
import json
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT))  # benchmarks are no part of the installed package
command = importlib.import_module("benchmarks.suite.__main__")
rankings = importlib.import_module("benchmarks.suite.rankings")
report = importlib.import_module("benchmarks.suite.report")


def written(folder: Path) -> None:
    """Files of ppi and gowalla_lightgcn, small: a ring with random edges, and lists of items."""
    chance = np.random.default_rng(0)
    pairs = {(u, (u + step) % 60) for u in range(60) for step in (1, 2, *chance.integers(3, 30, 3).tolist())}
    (folder / "ppi").mkdir()
    (folder / "ppi" / "PPI.ungraph").write_text("".join(f"{u} {v}\n" for u, v in sorted(pairs)))
    (folder / "gowalla_lightgcn").mkdir()
    drawn = [(chance.permutation(20) + user % 2 * 20)[:8] for user in range(60)]
    for part, cut in (("train", slice(2, None)), ("valid", slice(0, 1)), ("test", slice(1, 2))):
        lines = [f"{user} {' '.join(map(str, row[cut]))}\n" for user, row in enumerate(drawn)]
        with gzip.open(folder / "gowalla_lightgcn" / f"{part}.txt.gz", "wt", encoding="utf-8") as file:
            file.writelines(lines)


def cells(printed: str) -> list[list[str]]:
    """The lines of all tables, headers included."""
    return [line[2:-2].split(" | ") for line in printed.splitlines() if line.startswith("| ")]


def row(method: str, figures: tuple[float | None, ...], **more: Any) -> Any:
    return report.Row("asked", ("HR@10", "AP in %"), method, {"": figures}, **more)


def test_one_command_gives_one_kind_of_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(tmp_path)
    kept = tmp_path / "rows.json"
    asked = ["ppi", "gowalla_lightgcn", "--data", str(tmp_path), "--dims", "4", "--json", str(kept)]
    assert command.main(asked) == 0
    printed, told = capsys.readouterr()
    rows = json.loads(kept.read_text())
    assert {tuple(row) for row in rows} == {tuple(field.name for field in fields(report.Row))}
    assert [line[0] for line in cells(printed) if line[0] != "method"] == [row["method"] for row in rows]
    links = [row for row in rows if row["name"] == "ppi"]
    assert "exact R(3)" in {row["method"] for row in links}
    assert all(len(row["values"][""]) == len(row["columns"]) == 10 for row in links)
    ours = [row for row in rows if row["seed"] == 0]
    assert all(row["score_seconds"] > 0 for row in ours)
    assert told.count("\n") == len(ours)
    assert printed.count("Chosen for ") == sum(bool(row["note"]) for row in rows) == 4


def test_published_rows_stand_first_and_apart_from_ours(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(tmp_path)
    assert command.main(["gowalla_lightgcn", "--data", str(tmp_path), "--dims", "4"]) == 0
    header, *lines = cells(capsys.readouterr().out)
    others = len(rankings.PUBLISHED["gowalla_lightgcn"])
    assert [line[0].startswith("published: ") for line in lines] == [True] * others + [False] * (len(lines) - others)
    fitted = ["exact", "vectors, d = 4"]
    methods = ["most popular", *rankings.NEIGHBOURS, *fitted, *(f"{method}, {rankings.ORDERED}" for method in fitted)]
    assert [line[0] for line in lines[others:]] == methods
    assert {len(line) for line in lines} == {len(header)}
    assert all(line[3:] == ["–"] * 4 for line in lines[:others])


def test_several_seeds_are_mean_and_deviation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(tmp_path)
    kept = tmp_path / "rows.json"
    assert command.main(["ppi", "--data", str(tmp_path), "--seeds", "0", "1", "--json", str(kept)]) == 0
    line = next(line for line in cells(capsys.readouterr().out) if line[0] == "exact R(3)")
    figures = [row["values"][""] for row in json.loads(kept.read_text()) if row["method"] == "exact R(3)"]
    mean, spread = np.mean(figures, axis=0), np.std(figures, axis=0, ddof=1)
    assert spread.max() > 0
    assert line[1:11] == [f"{m:.4f} ± {s:.4f}" for m, s in zip(mean, spread, strict=True)]


def test_seconds_are_means_memory_is_the_largest_and_what_is_unknown_a_dash() -> None:
    rows = [
        row("ours", (0.5, None), fit_seconds=1.0, score_seconds=2.0, memory=10.0, seed=3, of_exact={"": 0.5}),
        row("ours", (0.3, None), fit_seconds=2.0, score_seconds=4.0, memory=9.0, seed=5, of_exact={"": 1.0}),
        row("published: theirs", (0.25, 3.9)),
    ]
    printed = report.table(rows)
    assert "### asked, seed 3, 5" in printed
    assert cells(printed) == [
        ["method", "HR@10", "AP in %", "share of exact", "fit s", "scoring s", "MB"],
        ["ours", "0.4000 ± 0.1414", "–", "75.0%", "1.5", "3.0", "10"],
        ["published: theirs", "0.2500", "3.90", "–", "–", "–", "–"],
    ]


def test_a_table_has_no_share_of_exact_where_no_row_has_one() -> None:
    (header, _) = cells(report.table([row("ours", (0.5, 0.25), seed=0)]))
    assert header == ["method", "HR@10", "AP in %", "fit s", "scoring s", "MB"]


def test_the_shipped_split_is_taken_once_whatever_the_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    seeds: list[tuple[str, int]] = []

    def rows_of(name: str, data: Path, seed: int, *_: Any) -> list[Any]:
        seeds.append((name, seed))
        return [row("ours", (0.5, 0.5))]

    monkeypatch.setattr(command, "rows_of", rows_of)
    for name in ("wow-ep8", "congress"):
        command.run(name, Path(), [4, 5, 5], [64], None)
    assert seeds == [("wow-ep8", 0), ("congress", 4), ("congress", 5)]


@pytest.mark.parametrize("name", command.NAMES)
def test_missing_data_is_one_line_and_exit_code_two(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main([name, "--data", str(tmp_path)]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert rankings.FOLDERS.get(name, name) in message
    assert "--data" in message


def test_all_names_are_looked_for_before_the_first_is_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(tmp_path)
    assert command.main(["--data", str(tmp_path)]) == 2
    printed, message = capsys.readouterr()
    assert printed == ""
    assert message.count("\n") == 1
    missing = set(command.NAMES) - {"ppi", "gowalla_lightgcn", "gowalla_random"}
    assert all(name in message for name in missing)
    assert "ppi" not in message


def test_an_unknown_name_is_one_line_and_exit_code_two(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["ppi", "nowhere", "--data", str(tmp_path)]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "found nowhere" in message
    assert all(name in message for name in command.NAMES)


def test_a_missing_file_and_a_file_that_cannot_be_written_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "ppi").mkdir()
    assert command.main(["ppi", "--data", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    (tmp_path / "ppi").rmdir()
    written(tmp_path)
    assert command.main(["ppi", "--data", str(tmp_path), "--json", str(tmp_path / "none" / "rows.json")]) == 2
    printed, message = capsys.readouterr()
    assert printed == ""
    assert message.count("\n") == 1
