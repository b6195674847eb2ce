"""Where releases lie, by the few verbs that publishing needs: a directory here, or an S3-compatible store.

Both replace one small file only if it is still the one that the writer saw: in a directory by a rename under a lock,
in an object store by a conditional put. Everything else about a release is immutable and can be written twice.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Protocol

from graphrep.errors import InputError
from graphrep.store import files


class MovedError(Exception):
    """A conditional put found another version than the expected one; nothing was changed."""


class Place(Protocol):
    """Named files. A name has parts divided by ``/``; a version is a text that differs where the content does."""

    def read(self, name: str) -> tuple[bytes, str] | None:
        """A small file and its version; None where there is none."""

    def put_if(self, name: str, content: bytes, expected: str | None) -> None:
        """Write a small file whole if its version is the expected one; None: if there is none.

        Raises:
            MovedError: it is not.
        """

    def put_file(self, name: str, source: Path) -> None:
        """Copy a file of this machine to the place; it is there whole or not at all."""

    def get_file(self, name: str, target: Path) -> None:
        """Copy a file of the place to this machine.

        Raises:
            StoreError: there is none.
        """

    def list(self, prefix: str) -> dict[str, int]:
        """Names that begin so → their bytes."""

    def delete(self, name: str) -> None:
        """Remove a file; one that is not there is no error."""


class Directory:
    """A directory of this machine, or one that all machines mount and whose locks hold between them."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def __str__(self) -> str:
        return str(self.root)

    def read(self, name: str) -> tuple[bytes, str] | None:
        path = self.root / name
        with files.storing(path):
            try:
                content = path.read_bytes()
            except FileNotFoundError:
                return None
        return content, hashlib.sha256(content).hexdigest()

    def put_if(self, name: str, content: bytes, expected: str | None) -> None:
        path = self.root / name
        with files.locked(path.with_name(f".{path.name}.lock")):
            found = self.read(name)
            if (found[1] if found else None) != expected:
                raise MovedError
            files.remove_beside(path)
            files.write_bytes(path, content)

    def put_file(self, name: str, source: Path) -> None:
        path = self.root / name
        with files.storing(path), files.staging_directory(self.root) as staging:
            shutil.copyfile(source, staging / path.name)
            files.flush_files(staging)
            files.make_directory(path.parent)
            (staging / path.name).replace(path)
            files.flush_directory(path.parent)

    def get_file(self, name: str, target: Path) -> None:
        with files.storing(self.root / name):
            shutil.copyfile(self.root / name, target)

    def list(self, prefix: str) -> dict[str, int]:
        found = (p for p in (self.root / prefix).parent.rglob("*") if p.is_file())
        named = {p.relative_to(self.root).as_posix(): p for p in found}
        return {name: path.stat().st_size for name, path in sorted(named.items()) if name.startswith(prefix)}

    def delete(self, name: str) -> None:
        path = self.root / name
        with files.storing(path):
            path.unlink(missing_ok=True)


def open_place(url: str) -> Place:
    """``s3://bucket/prefix``, or the path of a directory.

    Raises:
        InputError: the library that the store needs is not installed, or it is no such address.
    """
    if url.startswith("s3://"):
        from graphrep.store.s3 import Bucket

        return Bucket.at(url)
    if "://" in url:
        raise InputError("s3://bucket/prefix or a directory", found=url)
    return Directory(Path(url))
