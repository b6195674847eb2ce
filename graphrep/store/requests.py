"""Delivered requests of erasure: files of keys in a directory of others, and which of them were done.

The record keeps sha256 of contents: a name or a key of a file may tell who asked.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from graphrep.errors import InputError
from graphrep.store import files
from graphrep.store.denied import LEDGER


def record_file(warehouse: Path) -> Path:
    """Where the record lies; Spark, which reads the ledger beside it, passes over names that begin so."""
    return warehouse / LEDGER / "_requests.json"


def pending(warehouse: Path, folder: Path) -> dict[Path, str]:
    """The files that hold something and were not done as they are now, in the order of their names → sha256.

    Names that begin with ``.`` or ``_`` are passed over: a file is moved into place when it is whole.

    Raises:
        InputError: there is no such directory.
    """
    if not folder.is_dir():
        fix = "operations.erasure_requests says where requests are delivered"
        raise InputError("a directory of requests of erasure", found="none", where=str(folder), fix=fix)
    known = set(done(warehouse))
    there = sorted(path for path in folder.iterdir() if path.is_file() and path.name[0] not in "._")
    sums = {path: files.sha256(path) for path in there}
    return {path: found for path, found in sums.items() if found not in known and not _is_empty(path)}


def _is_empty(path: Path) -> bool:
    with files.storing(path):
        return not path.read_bytes().removeprefix(b"\xef\xbb\xbf").strip()


def done(warehouse: Path) -> list[str]:
    """sha256 of the files that were done, ascending."""
    path = record_file(warehouse)
    return [str(found) for found in files.read_json(path)] if path.exists() else []


def record(warehouse: Path, sums: Collection[str]) -> None:
    """Add files that were done."""
    files.write_json(record_file(warehouse), sorted({*done(warehouse), *sums}))
