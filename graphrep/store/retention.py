"""Which releases are kept, and how the others go: out of sight by one rename, then deleted, never under a reader.

A reader that has a release mapped keeps its pages after the files are gone; one that holds :func:`pinned` keeps the
files.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import uuid
from collections.abc import Collection, Iterator
from pathlib import Path

from graphrep.contracts import Manifest
from graphrep.errors import GraphrepError
from graphrep.store import files, releases


@contextlib.contextmanager
def pinned(warehouse: Path, release_id: str) -> Iterator[Path]:
    """Keep a release for the length of the block, also from a read-only mount; it ends with the process at the latest.

    Raises:
        StoreError: there is no such release.
    """
    path = releases.release_path(warehouse, release_id)
    with files.storing(path):
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        with files.storing(path):
            path.stat()  # it may have gone while we waited
        yield path
    finally:
        os.close(descriptor)


def kept(warehouse: Path, keep: int, pins: Collection[str] = ()) -> set[str]:
    """The newest ``keep`` releases, the current one, the pins, and the parent of each of them."""
    there = releases.list_releases(warehouse)
    current = releases.read_pointer(warehouse)
    wanted = {*there[-keep:], *pins, *([current.release_id] if current else [])} & set(there)
    for release_id in list(wanted):
        with contextlib.suppress(GraphrepError):  # of a damaged one the parent is not known
            wanted.add(str(releases.read_manifest(warehouse, release_id)[Manifest.PARENT]))
    return wanted & set(there)


def expire(warehouse: Path, keep: int, pins: Collection[str] = ()) -> list[str]:
    """Remove the releases that are not kept. Killed, it is done again.

    Args:
        keep: how many of the newest stay, at least 1.
        pins: ids that stay, too.

    Returns:
        Ids of those that were removed.
    """
    gone = []
    with files.locked(releases.removal_lock(warehouse)):
        stay = kept(warehouse, keep, pins)
        for release_id in releases.list_releases(warehouse):
            if release_id not in stay and _move_away(warehouse, release_id):
                gone.append(release_id)
    return gone


def remove(warehouse: Path, release_id: str, *, pinned: bool) -> bool:
    """Remove one release.

    Args:
        pinned: also if a reader holds it.

    Returns:
        Whether it is gone.
    """
    with files.locked(releases.removal_lock(warehouse)):
        return _move_away(warehouse, release_id, pinned=pinned)


def _move_away(warehouse: Path, release_id: str, *, pinned: bool = False) -> bool:
    """Leave the manifest behind, so that the id is never given again; no reader may hold a pin, if that counts."""
    path, root = releases.release_path(warehouse, release_id), warehouse / "releases"
    away = root / files.STAGING / f"{uuid.uuid4().hex}.removed"
    with files.storing(path):
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            if not pinned:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            manifest = (path / releases.MANIFEST).read_bytes()
            remains = root / releases.REMOVED / f"{release_id}.json"
            files.remove_beside(remains)
            files.write_bytes(remains, manifest)
            away.parent.mkdir(exist_ok=True)
            path.rename(away)
            files.flush_directory(root)
        except BlockingIOError:
            return False
        finally:
            os.close(descriptor)
    shutil.rmtree(away, ignore_errors=True)
    return True
