"""A training state on disk is the old one or the new one, whole, whenever the writer dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from graphrep.embed.gnn.checkpoint import Stamp, packed, unpacked
from graphrep.errors import InputError, StoreError
from graphrep.store import checkpoints

# What stands for the moment of death, as code that runs before the second save.
DIE = "lambda *_: os.kill(os.getpid(), signal.SIGKILL)"
MOMENTS = {
    "before a byte is flushed": f"os.fsync = {DIE}",
    "before it takes its place": f"pathlib.Path.replace = {DIE}",
    "after it took its place": f"files.flush_directory = {DIE}",
}


def state(step: int) -> bytes:
    return packed({"weight": torch.full((1000,), float(step))}, Stamp({"dim": 2}, "d", step))


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_writer_that_is_killed_leaves_a_whole_state_and_the_next_one_clears_up(tmp_path: Path, moment: str) -> None:
    path, new = tmp_path / "model.safetensors", tmp_path / "new"
    checkpoints.replace(path, state(1))
    new.write_bytes(state(2))
    code = (
        "import os, pathlib, signal, sys; from graphrep.store import checkpoints, files\n"
        f"path, content = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]).read_bytes()\n{MOMENTS[moment]}\n"
        "checkpoints.replace(path, content)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path), str(new)], timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    tensors, stamp = unpacked(checkpoints.load(path), str(path), config={"dim": 2}, data="d")
    assert stamp.step == (2 if moment.startswith("after") else 1)
    assert torch.equal(tensors["weight"], torch.full((1000,), float(stamp.step)))
    assert len(os.listdir(tmp_path)) == (2 if moment.startswith("after") else 3)
    checkpoints.replace(path, state(3))
    assert sorted(os.listdir(tmp_path)) == ["model.safetensors", "new"]
    assert checkpoints.load(path) == state(3)


def test_only_what_was_left_of_this_path_is_removed(tmp_path: Path) -> None:
    left = "0" * 32
    others = [f".other.{left}", f"a.b.{left}", f".axb.{left}", f".a.b.{left}0", ".a.b.", "a.b.old", f".a.b.c.{left}"]
    for name in [*others, f".a.b.{left}"]:
        (tmp_path / name).touch()
    checkpoints.replace(tmp_path / "a.b", b"1")
    assert sorted(os.listdir(tmp_path)) == sorted([*others, "a.b"])


def test_a_place_that_is_not_there_yet_is_made(tmp_path: Path) -> None:
    checkpoints.replace(tmp_path / "deep" / "a", state(1))
    assert checkpoints.load(tmp_path / "deep" / "a") == state(1)


def test_no_file_is_the_callers_to_correct(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"^expected a training state, found no file \[.*/a\]; train from the start, or"
    ):
        checkpoints.load(tmp_path / "a")


def test_a_place_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file" / "a", tmp_path):
        with pytest.raises(StoreError, match="expected a place that can be read and written, found ") as caught:
            checkpoints.load(path)
        assert str(path) in str(caught.value)
    with pytest.raises(StoreError, match=r"found Not a directory \[.*/file/a\]"):
        checkpoints.replace(tmp_path / "file" / "a", b"1")


def test_a_folder_of_states_is_listed_without_what_is_unfinished_and_removed_whole(tmp_path: Path) -> None:
    folder = tmp_path / "day"
    assert checkpoints.names(folder) == []
    assert checkpoints.find(folder / "b") is None
    for name in ("b", "a", ".a.0"):
        checkpoints.replace(folder / name, state(len(name)))
    assert checkpoints.names(folder) == ["a", "b"]
    assert checkpoints.find(folder / "b") == state(1)
    for path in (folder / "a", folder / "a", folder, folder):
        checkpoints.remove(path)
        assert not path.exists()


def test_a_state_that_cannot_be_removed_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"found Not a directory \[.*/file/a\]"):
        checkpoints.remove(tmp_path / "file" / "a")
