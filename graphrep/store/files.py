"""Files that are whole or absent: write beside, flush, rename. Standard library and numpy only."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import itertools
import json
import os
import shutil
import tokenize
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from graphrep.errors import StoreError, of_system

STAGING = ".staging"


def write_bytes(path: Path, content: bytes) -> None:
    """Replace a file by another in one step; a reader sees the old bytes or the new ones."""
    with storing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        try:
            with beside.open("wb") as handle:
                handle.write(content)
                handle.flush()
                os.fsync(handle.fileno())
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
        flush_directory(path.parent)


def remove_beside(path: Path) -> None:
    """Remove what killed writers of this file left beside it. Only for a caller who knows that none is at work."""
    for left in path.parent.glob(f".{path.name}.{'[0-9a-f]' * 32}"):
        left.unlink(missing_ok=True)


def put_text(path: Path, text: str) -> None:
    """Replace a file by a text, UTF-8, in one step."""
    write_bytes(path, text.encode())


def get_text(path: Path) -> str:
    """Read a text, UTF-8.

    Raises:
        StoreError: missing, unreadable, or not UTF-8.
    """
    with storing(path):
        content = path.read_bytes()
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise StoreError("UTF-8", found="other bytes", where=str(path)) from None


def write_json(path: Path, content: Any) -> None:
    """Write JSON with sorted keys, so that equal contents are equal bytes."""
    write_bytes(path, json_bytes(content))


def json_bytes(content: Any) -> bytes:
    return (json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def read_json(path: Path) -> Any:
    """Read one JSON file.

    Raises:
        StoreError: missing, unreadable, or not JSON.
    """
    with storing(path):
        content = path.read_bytes()
    try:
        return json.loads(content)
    except ValueError:
        raise StoreError("JSON", found=f"{len(content)} bytes that are not", where=str(path)) from None


def map_array(path: Path) -> npt.NDArray[np.generic]:
    """Memory-map one ``.npy`` file, read-only.

    Raises:
        StoreError: missing, unreadable, or not a numpy array of plain numbers.
    """
    try:
        with storing(path):
            array: npt.NDArray[np.generic] = np.lib.format.open_memmap(path, mode="r")
    except (ValueError, SyntaxError, tokenize.TokenError):  # the header is Python's spelling of a dictionary
        raise StoreError("a numpy array", found="other bytes", where=str(path)) from None
    return array


def sha256(path: Path) -> str:
    """Hex sha256 of a file's bytes."""
    with storing(path), path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def flush_files(path: Path) -> None:
    """Make the contents of a directory's files durable."""
    for file in path.iterdir():
        with file.open("rb") as handle:
            os.fsync(handle.fileno())


def flush_directory(path: Path) -> None:
    """Make a rename inside this directory durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_directory(path: Path) -> None:
    """Make a directory, and those above it that are missing, durable."""
    new = list(itertools.takewhile(lambda p: not p.exists(), (path, *path.parents)))
    path.mkdir(parents=True, exist_ok=True)
    for made in new:
        flush_directory(made.parent)


@contextlib.contextmanager
def staging_directory(root: Path) -> Iterator[Path]:
    """Give an empty directory on the same disk to fill and to move; what is left of it at the end is removed."""
    staging = root / STAGING / uuid.uuid4().hex
    with storing(root):
        staging.mkdir(parents=True)
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def remove_staging(root: Path) -> None:
    """Remove what killed writers left of their staging. Only for a caller who knows that none is at work here."""
    shutil.rmtree(root / STAGING, ignore_errors=True)


def remove_directory(path: Path) -> None:
    """Remove a directory with all that is in it; one that is not there is gone already."""
    if path.exists():
        with storing(path):
            shutil.rmtree(path)


@contextlib.contextmanager
def staged_directory(final: Path) -> Iterator[Path]:
    """Give an empty directory to fill; it takes the final place when the block ends well, else it is removed."""
    with staging_directory(final.parent) as staging:
        yield staging
        put_directory(staging, final)


def put_directory(new: Path, final: Path) -> None:
    """Move a finished directory to its place; one that stood there is removed after."""
    old = new.with_name(f"{new.name}.old")
    with storing(final):
        if final.exists():
            final.rename(old)
        new.rename(final)
        flush_directory(final.parent)
    shutil.rmtree(old, ignore_errors=True)


@contextlib.contextmanager
def locked(path: Path, *, shared: bool = False) -> Iterator[None]:
    """Hold a lock for the length of the block, exclusive or shared with others that share; it is dropped if we die."""
    with storing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def storing(path: Path) -> Iterator[None]:
    """Turn an operating-system error into a StoreError that names the path."""
    try:
        yield
    except FileNotFoundError:
        raise StoreError("a file", found="none", where=str(path)) from None
    except OSError as error:
        raise of_system(error, str(path)) from None
