"""Releases: immutable directories, one manifest each, and one pointer that is moved last by compare-and-set.

Standard library and numpy only. A crash at any point leaves the old release or the new one, whole.
"""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from graphrep.contracts import SCHEMA_VERSION, Manifest
from graphrep.contracts.release import RELEASE_ID
from graphrep.errors import GraphrepError, InputError, PointerMovedError, StoreError
from graphrep.store import files, manifests, pointer, safe_paths
from graphrep.store.places import Directory
from graphrep.store.pointer import CURRENT, ERASE, LOG, PUBLISH, ROLLBACK, Pointer, order

__all__ = ["CURRENT", "ERASE", "LOG", "PUBLISH", "ROLLBACK", "Pointer", "order"]

MANIFEST = "manifest.json"
FORMER = "former"
"""Inside ``erasure`` of a manifest: ids that the release had before keys were erased from it, oldest first."""
REMOVED = "removed"
"""Directory of the manifests of releases that are not kept any more: no id is given twice."""


def read_pointer(warehouse: Path) -> Pointer | None:
    """The current release, or None where nothing was published yet.

    Raises:
        StoreError: the pointer is there and cannot be read.
    """
    return pointer.read(Directory(warehouse))[0]


def read_log(warehouse: Path) -> list[dict[str, Any]]:
    """Every move of the pointer, oldest first: ``at`` (ISO 8601, UTC), ``action``, ``from``, ``to``.

    Raises:
        StoreError: the log was changed by another hand.
    """
    return pointer.read_log(Directory(warehouse))


def release_path(warehouse: Path, release_id: str) -> Path:
    """The directory of a release.

    Raises:
        InputError: the id is not one (so that no id can name a place outside).
    """
    if not RELEASE_ID.fullmatch(release_id):
        raise InputError("a release id such as 2026-03-14.1", found=repr(release_id))
    return warehouse / "releases" / release_id


def list_releases(warehouse: Path) -> list[str]:
    """Ids of the complete releases, by day then attempt."""
    root = warehouse / "releases"
    found = [p.parent.name for p in root.glob(f"*/{MANIFEST}") if RELEASE_ID.fullmatch(p.parent.name)]
    return sorted(found, key=order)


def list_removed(warehouse: Path) -> list[str]:
    """Ids of releases that retention removed, by day then attempt."""
    found = [p.stem for p in (warehouse / "releases" / REMOVED).glob("*.json") if RELEASE_ID.fullmatch(p.stem)]
    return sorted(found, key=order)


def served_before(warehouse: Path, ds: str) -> str | None:
    """What today's vectors are aligned to: the current release if it is of an earlier day.

    For a day up to the current one, the newest release of an earlier day that was not withdrawn.
    """
    current = read_pointer(warehouse)
    if current and current.release_id[:10] < ds:
        return current.release_id
    gone = withdrawn(warehouse)
    earlier = [r for r in list_releases(warehouse) if r[:10] < ds and r not in gone]
    return earlier[-1] if earlier else None


def withdrawn(warehouse: Path) -> set[str]:
    """Releases that a rollback went back behind, and that were not made current since."""
    gone: set[str] = set()
    log = read_log(warehouse)
    first = _first_ids(warehouse) if any(entry["action"] == ROLLBACK for entry in log) else {}
    for entry in log:
        to = first.get(entry["to"], entry["to"])
        if entry["action"] == ROLLBACK and entry["from"]:
            low, high = order(to), order(first.get(entry["from"], entry["from"]))
            gone |= {r for r in list_releases(warehouse) if low < order(first[r]) <= high}
        gone = {r for r in gone if first[r] != to}
    return gone


def renewed(warehouse: Path, release_id: str) -> str:
    """The id that a release has now: an erasure gives it another, and rankers have logged the former one."""
    if (release_path(warehouse, release_id) / MANIFEST).exists():
        return release_id
    return next((now for now, former in _former_ids(warehouse).items() if release_id in former), release_id)


def _first_ids(warehouse: Path) -> dict[str, str]:
    """Every id that a kept release has or had → the one under which it was published."""
    first: dict[str, str] = {}
    for release_id, former in _former_ids(warehouse).items():
        first |= dict.fromkeys([*former, release_id], [*former, release_id][0])
    return first


def _former_ids(warehouse: Path) -> dict[str, list[str]]:
    former: dict[str, list[str]] = {}
    for release_id in list_releases(warehouse):
        former[release_id] = []
        with contextlib.suppress(GraphrepError):  # of a damaged one they are not known
            former[release_id] = read_manifest(warehouse, release_id)[Manifest.ERASURE].get(FORMER, [])
    return former


def read_manifest(warehouse: Path, release_id: str) -> dict[str, Any]:
    """The manifest of a release.

    Raises:
        InputError: there is no such release; the message lists those there are.
        StoreError: it cannot be read, was changed, or was written by another version of the contract.
    """
    path = release_path(warehouse, release_id) / MANIFEST
    if not path.exists():
        if release_id in list_removed(warehouse):
            fix = "publish.keep says how many are kept; run its day again for a new one"
            raise InputError("a release that is kept", found=f"{release_id}, removed", where=str(warehouse), fix=fix)
        raise InputError(f"one of the releases {list_releases(warehouse)}", found=release_id, where=str(warehouse))
    safe_paths.check_directory(path.parent)
    safe_paths.check_file(path, max_bytes=safe_paths.MANIFEST_BYTES)
    with files.storing(path):
        content = path.read_bytes()
    manifest = manifests.parse(content, release_id, str(path))
    safe_paths.check_release(path.parent, manifest[Manifest.FILES])
    return manifest


def stage_release(warehouse: Path, content: Mapping[str, Any], write: Callable[[Path], None]) -> tuple[str, bool]:
    """Write a release beside the others without making it current.

    Args:
        content: the manifest without ``schema_version``, ``release_id``, ``files`` and ``sha256``.
        write: fills a directory with the release's files.

    Returns:
        The release's id and whether it is new: a whole release of the same day with the same content is used again.

    Raises:
        StoreError: the content breaks the contract of a manifest, or a file cannot be written; nothing is left.
    """
    root = warehouse / "releases"
    with files.locked(root / ".lock"):
        files.remove_staging(root)  # of a writer that was killed; the lock says that no other is at work
        with files.staging_directory(root) as staging:
            with files.storing(staging):
                write(staging)
                files.flush_files(staging)
            listing = {p.name: _entry(p) for p in sorted(staging.iterdir())}
            body = {**content, Manifest.SCHEMA: SCHEMA_VERSION, Manifest.FILES: listing}
            return _put(warehouse, staging, body)


def _put(warehouse: Path, staging: Path, body: Mapping[str, Any]) -> tuple[str, bool]:
    ds = str(body[Manifest.DS])
    same_day = [release_id for release_id in list_releases(warehouse) if release_id[:10] == ds]
    for other in same_day:
        if _holds(warehouse, other, {**body, Manifest.RELEASE_ID: other}):
            return other, False
    taken = [order(r)[1] for r in [*same_day, *list_removed(warehouse)] if r[:10] == ds]
    release_id = f"{ds}.{max(taken, default=0) + 1}"
    manifest = manifests.encode({**body, Manifest.RELEASE_ID: release_id})
    manifests.parse(manifest, release_id, str(staging / MANIFEST))
    files.write_bytes(staging / MANIFEST, manifest)
    files.put_directory(staging, release_path(warehouse, release_id))
    return release_id, True


def _holds(warehouse: Path, release_id: str, manifest: Mapping[str, Any]) -> bool:
    """Is this release whole and of this content? Compared as bytes: JSON has no tuples, a NaN no equal."""
    try:
        verify_release(warehouse, release_id)
    except GraphrepError:
        return False
    return (release_path(warehouse, release_id) / MANIFEST).read_bytes() == manifests.encode(manifest)


def _entry(path: Path) -> dict[str, Any]:
    return {"sha256": files.sha256(path), "bytes": path.stat().st_size}


def verify_release(warehouse: Path, release_id: str) -> int:
    """Compare every file of a release with its manifest.

    Returns:
        How many files were read.

    Raises:
        StoreError: a file is missing, added or changed; the message names it.
    """
    manifest = read_manifest(warehouse, release_id)
    path = release_path(warehouse, release_id)
    listed = manifest[Manifest.FILES]
    present = {p.name for p in path.iterdir()} - {MANIFEST}
    if present != set(listed):
        odd = sorted(present ^ set(listed))
        raise StoreError("exactly the files of the manifest", found=f"{odd} on one side only", where=str(path))
    for name, entry in listed.items():
        if _entry(path / name) != entry:
            raise StoreError("the bytes that were published", found="others", where=str(path / name))
    return len(listed)


def verify_pointer(warehouse: Path) -> Pointer | None:
    """Compare the pointer with the manifest that it names, and the log with its hashes.

    Raises:
        StoreError: one of them was changed.
    """
    read_log(warehouse)
    current = read_pointer(warehouse)
    if current:
        path = release_path(warehouse, current.release_id) / MANIFEST
        if files.sha256(path) != current.manifest_sha256:
            raise StoreError("the manifest that was published", found="another", where=str(path))
    return current


def _check_follows(warehouse: Path, release_id: str, current: Pointer | None) -> None:
    """Refuse a release whose vectors do not come after those that are served, unless it says that it begins anew."""
    if current is None or current.release_id == release_id:
        return
    new = read_manifest(warehouse, release_id)
    ds, parent, begins = new[Manifest.DS], new[Manifest.PARENT], new[Manifest.NEW_SPACE]
    named = f"make it current all the same: graphrep releases rollback {release_id}"
    fix = f"run {ds} again from embed, or {named}"
    again = current.release_id[:10] == ds  # another attempt at the same day takes the place of the one before
    if not (again or parent == current.release_id or (begins and parent is None)):
        found = f"{release_id}, aligned to {parent}"
        raise PointerMovedError(f"a release aligned to the current {current.release_id}", found=found, fix=fix)
    space = new[Manifest.SPACE_ID]
    with contextlib.suppress(GraphrepError):  # a damaged release is followed by a whole one
        space = read_manifest(warehouse, current.release_id)[Manifest.SPACE_ID]
    if space != new[Manifest.SPACE_ID] and not begins:
        found = f"{new[Manifest.SPACE_ID]}, of which {release_id} does not say that it is new"
        raise PointerMovedError(f"the space {space} of {current.release_id}", found=found, fix=fix)


def switch(warehouse: Path, release_id: str, *, expected: Pointer | None, action: str, at: dt.datetime) -> Pointer:
    """Make a release current if the pointer is still where the caller saw it. The last step of publishing.

    Args:
        expected: the pointer as the caller last read it.
        action: ``PUBLISH``, ``ROLLBACK`` or ``ERASE``, for ``releases/log.jsonl``. Publishing refuses a release that
            was not aligned to the current one; a rollback, which an operator asks for by name, does not.
        at: when the command that switches was given, UTC.

    Raises:
        PointerMovedError: somebody else switched first, or the release does not follow the current one; nothing was
            changed.
        StoreError: the release is damaged.
    """
    with files.locked(removal_lock(warehouse), shared=True):
        verify_release(warehouse, release_id)
        if action == PUBLISH:
            _check_follows(warehouse, release_id, expected)
        new = Pointer(release_id, files.sha256(release_path(warehouse, release_id) / MANIFEST))
        pointer.move(Directory(warehouse), new, expected, action=action, at=at)
    return new


def removal_lock(warehouse: Path) -> Path:
    """Held alone by who removes releases, and shared by who makes one current."""
    return warehouse / "releases" / ".removal.lock"


def rollback(warehouse: Path, release_id: str | None, *, at: dt.datetime) -> Pointer:
    """Point back at an earlier release; by default at the newest one before the current.

    A named release can be pointed at where the pointer is gone or damaged, too: that is how it is restored.

    Raises:
        InputError: nothing is published and none is named, or there is no such release.
    """
    try:
        current = read_pointer(warehouse)
    except StoreError:
        if release_id is None:
            raise
        read_manifest(warehouse, release_id)
        (warehouse / CURRENT).replace(warehouse / f"{CURRENT}.damaged")
        current = None
    if release_id is None:
        if current is None:
            fix = "name the release to point at"
            raise InputError("a current release", found="none", where=str(warehouse), fix=fix)
        earlier = [r for r in list_releases(warehouse) if order(r) < order(current.release_id)]
        if not earlier:
            raise InputError("a release before the current one", found=f"only {current.release_id}")
        release_id = earlier[-1]
    return switch(warehouse, release_id, expected=current, action=ROLLBACK, at=at)


def open_array(warehouse: Path, release_id: str, name: str) -> npt.NDArray[np.generic]:
    """Memory-map one array of a release.

    Raises:
        StoreError: missing, or not an array.
    """
    return files.map_array(release_path(warehouse, release_id) / f"{name}.npy")
