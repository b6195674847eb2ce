"""Which code made something: a hash of graphrep's own source files, wherever they were installed, a zip included."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable


@cache
def code_hash() -> str:
    """Sha256 over path and content of every ``.py`` file of the package, in the order of the paths."""
    whole = hashlib.sha256()
    for path, source in sorted(_sources(files("graphrep"), "")):
        whole.update(f"{path}\0{len(source)}\0".encode() + source)
    return whole.hexdigest()


def _sources(folder: Traversable, inside: str) -> Iterator[tuple[str, bytes]]:
    for entry in folder.iterdir():
        path = f"{inside}/{entry.name}"
        if entry.is_dir():
            yield from _sources(entry, path)
        elif entry.name.endswith(".py"):
            yield path, entry.read_bytes()
