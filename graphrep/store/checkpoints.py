"""Training states on disk, as bytes that their maker understands: one file, always whole."""

from __future__ import annotations

import re
from pathlib import Path

from graphrep.errors import InputError, of_system
from graphrep.store import files


def save(path: Path, content: bytes) -> None:
    """Replace the file in one step; killed at any moment, it leaves the old one or the new one.

    What killed writers of this path left beside it is removed first, so only one process may save to a path.

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
    """The bytes that were saved last.

    Raises:
        InputError: there is no such file.
        StoreError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        fix = "train from the start, or correct the path"
        raise InputError("a training state", found="no file", where=str(path), fix=fix) from None
    except OSError as error:
        raise of_system(error, str(path)) from None
