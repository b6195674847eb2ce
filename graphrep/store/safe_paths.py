"""Files of a release that may be opened: plain files in a real directory, never something that leads elsewhere.

Whoever can write to the place of releases could put a link, a pipe or a device under a name that a manifest lists.
Such a thing is refused before it is opened, since opening alone may wait for ever or read without end.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from graphrep.errors import StoreError
from graphrep.store import files

NAME_BYTES = 255
"""Longest name that file systems agree on."""
MANIFEST_BYTES = 1 << 26
"""A manifest is some kilobytes; a larger one is read by nobody."""

_KINDS = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFREG: "a file",
}


def check_name(name: object, where: str) -> str:
    """A name that stays in its directory: one visible part, printable, of a length that every file system takes.

    Raises:
        StoreError: it is no such name.

    >>> check_name("user.vectors.npy", "manifest.json")
    'user.vectors.npy'
    >>> check_name("../CURRENT", "manifest.json")
    Traceback (most recent call last):
        ...
    graphrep.errors.StoreError: expected a plain name of a file, found '../CURRENT' [manifest.json]
    """
    plain = isinstance(name, str) and name.isprintable() and not name.startswith(".") and not set(name) & set("/\\")
    if not plain or not 0 < len(os.fsencode(str(name))) <= NAME_BYTES:
        raise StoreError("a plain name of a file", found=f"{name!r:.60}", where=where)
    return str(name)


def check_directory(path: Path) -> None:
    """
    Raises:
        StoreError: it is missing, or it is not a directory but leads to one.
    """
    _check(path, stat.S_IFDIR)


def check_file(path: Path, *, max_bytes: int | None = None) -> None:
    """
    Raises:
        StoreError: it is missing, larger than allowed, or no plain file.
    """
    size = _check(path, stat.S_IFREG)
    if max_bytes is not None and size > max_bytes:
        raise StoreError(f"at most {max_bytes} bytes", found=str(size), where=str(path))


def check_release(path: Path, names: Iterable[object]) -> None:
    """Check the directory of a release and every file in it that its manifest lists, without opening one.

    A listed file that is missing is no matter of safety: whoever opens it finds out.

    Raises:
        StoreError: a name leads elsewhere, or what has it is no plain file; the message names it.
    """
    check_directory(path)
    for name in names:
        file = path / check_name(name, str(path))
        if os.path.lexists(file):
            check_file(file)


def _check(path: Path, kind: int) -> int:
    with files.storing(path):
        found = path.lstat()
    if stat.S_IFMT(found.st_mode) != kind:
        other = _KINDS.get(stat.S_IFMT(found.st_mode), "something else")
        raise StoreError(_KINDS[kind], found=other, where=str(path))
    return found.st_size
