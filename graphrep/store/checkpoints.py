"""Training states on disk, as bytes of safetensors that their maker understands: one file, always whole."""

from __future__ import annotations

import re
import shutil
import stat
from pathlib import Path

from graphrep.errors import InputError, of_system
from graphrep.store import files
from graphrep.store.safe_paths import check_file
from graphrep.store.tensor_header import check_header


def replace(path: Path, content: bytes) -> None:
    """Replace the file in one step; killed at any moment, it leaves the old one or the new one.

    What killed writers of this path left beside it is removed first, so only one process may write to a path.

    Raises:
        StoreError: the place cannot be written.
    """
    beside = re.compile(re.escape(f".{path.name}.") + "[0-9a-f]{32}")
    with files.storing(path):
        for left in path.parent.iterdir() if path.parent.exists() else ():
            if beside.fullmatch(left.name):
                left.unlink()
    files.write_bytes(path, content)


def load(path: Path) -> bytes:
    """The bytes that were saved last, once their header fits the file: nothing large is read of one that is made up.

    Raises:
        InputError: there is no such file, or no safetensors in it.
        StoreError: it is no plain file, or cannot be read.
    """
    try:
        if not stat.S_ISDIR(path.stat().st_mode):  # of which reading says what is wrong
            check_file(path)
            check_header(path)
        return path.read_bytes()
    except FileNotFoundError:
        fix = "train from the start, or correct the path"
        raise InputError("a training state", found="no file", where=str(path), fix=fix) from None
    except OSError as error:
        raise of_system(error, str(path)) from None


def find(path: Path) -> bytes | None:
    """The bytes that were saved last; None where there are none.

    Raises:
        StoreError: they cannot be read.
    """
    return load(path) if path.exists() else None


def names(folder: Path) -> list[str]:
    """Files and folders of a place, in order; those that a writer has not finished left out."""
    with files.storing(folder):
        return sorted(p.name for p in folder.iterdir() if not p.name.startswith(".")) if folder.is_dir() else []


def remove(path: Path) -> None:
    """Remove a state, or a folder of them; what is not there is no error.

    Raises:
        StoreError: the place cannot be written.
    """
    with files.storing(path):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
