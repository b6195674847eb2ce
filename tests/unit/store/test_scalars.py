"""Figures by step: read back as TensorBoard reads them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from graphrep.errors import InputError
from graphrep.store import scalars


def read(folder: Path) -> dict[str, list[tuple[int, float]]]:
    found = EventAccumulator(str(folder))
    found.Reload()
    return {name: [(one.step, one.value) for one in found.Scalars(name)] for name in found.Tags()["scalars"]}


def test_figures_are_found_by_name_and_step(tmp_path: Path) -> None:
    with scalars.written(tmp_path / "ds=2026-03-01" / "training-1") as write:
        write(1, {"loss": 8.5, "speed": 100.0})
        write(2, {"loss": 7.25})
    assert read(tmp_path / "ds=2026-03-01" / "training-1") == {"loss": [(1, 8.5), (2, 7.25)], "speed": [(1, 100.0)]}


def test_what_was_written_before_a_failure_is_kept(tmp_path: Path) -> None:
    def failing() -> None:
        with scalars.written(tmp_path) as write:
            write(3, {"loss": 1.5})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failing()
    assert read(tmp_path) == {"loss": [(3, 1.5)]}


def test_two_runs_of_a_folder_are_joined_by_step(tmp_path: Path) -> None:
    for step in (1, 2):
        with scalars.written(tmp_path) as write:
            write(step, {"loss": 9.0 - step})
    assert read(tmp_path) == {"loss": [(1, 8.0), (2, 7.0)]}


def test_without_tensorboard_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard.summary.writer.event_file_writer", None)
    message = r"TensorBoard, found none \[watch.scalars\].*watch.scalars: false"
    with pytest.raises(InputError, match=message), scalars.written(tmp_path / "folder"):
        pass
    assert not (tmp_path / "folder").exists()
