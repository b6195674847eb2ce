"""States that old days' trainings left are removed, but for the newest, the day's own and what it went on from."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from graphrep.pipeline.training import forget_states
from graphrep.store import tables

DAYS = [f"2026-03-0{day}" for day in range(1, 7)]


def folder(root: Path, ds: str) -> Path:
    return tables.partition(root, tables.CHECKPOINTS, ds)


def place(root: Path, keep: int) -> Any:
    for ds in DAYS:
        folder(root, ds).mkdir(parents=True)
        (folder(root, ds) / "state.safetensors").write_bytes(b"learnt")
    return SimpleNamespace(warehouse=root, config=SimpleNamespace(embed=SimpleNamespace(keep_states=keep)))


def days_left(root: Path) -> list[str]:
    return [ds for ds in DAYS if (folder(root, ds) / "state.safetensors").exists()]


def test_the_newest_stay_with_the_day_and_its_parent(tmp_path: Path) -> None:
    assert forget_states(place(tmp_path, keep=2), DAYS[2], f"{DAYS[1]}.3") == [DAYS[0], DAYS[3]]
    assert days_left(tmp_path) == [DAYS[1], DAYS[2], DAYS[4], DAYS[5]]
    assert not folder(tmp_path, DAYS[0]).exists()


def test_without_a_parent_and_with_few_days_nothing_more_stays_or_goes(tmp_path: Path) -> None:
    run = place(tmp_path, keep=6)
    assert forget_states(run, DAYS[5], None) == []
    run.config.embed.keep_states = 1
    assert forget_states(run, DAYS[5], None) == DAYS[:5]
    assert days_left(tmp_path) == DAYS[5:]


def test_a_training_under_way_stays(tmp_path: Path) -> None:
    run = place(tmp_path, keep=1)
    half = folder(tmp_path, DAYS[0]) / "0123456789abcdef" / "hybrid-published"
    half.parent.mkdir()
    half.write_bytes(b"under way")
    assert DAYS[0] in forget_states(run, DAYS[5], None)
    assert half.read_bytes() == b"under way"
    assert not (folder(tmp_path, DAYS[0]) / "state.safetensors").exists()
