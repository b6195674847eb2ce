"""Releases: immutable directories, one manifest each, and one pointer that is moved last by compare-and-set.

Standard library and numpy only. A crash at any point leaves the old release or the new one, whole.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from graphrep.contracts import SCHEMA_VERSION, Manifest
from graphrep.errors import InputError, PointerMovedError, StoreError
from graphrep.store import files

CURRENT = "CURRENT"
MANIFEST = "manifest.json"
LOG = "log.jsonl"
PUBLISH, ROLLBACK = "publish", "rollback"
RELEASE_ID = re.compile(r"\d{4}-\d{2}-\d{2}\.[1-9]\d{0,5}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Pointer:
    """What ``CURRENT`` holds: a release and the hash of its manifest."""

    release_id: str
    manifest_sha256: str


def read_pointer(warehouse: Path) -> Pointer | None:
    """The current release, or None where nothing was published yet.

    Raises:
        StoreError: the pointer is there and cannot be read.
    """
    path = warehouse / CURRENT
    if not path.exists():
        return None
    content = files.read_json(path)
    whole = isinstance(content, dict) and set(content) == {"release_id", "manifest_sha256"}
    if not whole or not RELEASE_ID.fullmatch(str(content["release_id"])):
        raise StoreError("a pointer to a release", found=f"{content!r}"[:80], where=str(path))
    return Pointer(str(content["release_id"]), str(content["manifest_sha256"]))


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
    return sorted(found, key=_order)


def served_before(warehouse: Path, ds: str) -> str | None:
    """The newest release of an earlier day that was not withdrawn: what today's vectors are aligned to."""
    gone = withdrawn(warehouse)
    earlier = [r for r in list_releases(warehouse) if r[:10] < ds and r not in gone]
    return earlier[-1] if earlier else None


def withdrawn(warehouse: Path) -> set[str]:
    """Releases that a rollback went back behind, and that were not made current since."""
    path = warehouse / "releases" / LOG
    if not path.exists():
        return set()
    gone: set[str] = set()
    with files.storing(path):
        entries = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    for entry in entries:
        if entry["action"] == ROLLBACK and entry["from"]:
            low, high = _order(entry["to"]), _order(entry["from"])
            gone |= {r for r in list_releases(warehouse) if low < _order(r) <= high}
        gone.discard(entry["to"])
    return gone


def _order(release_id: str) -> tuple[str, int]:
    ds, attempt = release_id.split(".")
    return ds, int(attempt)


def read_manifest(warehouse: Path, release_id: str) -> dict[str, Any]:
    """The manifest of a release.

    Raises:
        InputError: there is no such release; the message lists those there are.
        StoreError: it cannot be read, or was written by another version of the contract.
    """
    path = release_path(warehouse, release_id) / MANIFEST
    if not path.exists():
        raise InputError(f"one of the releases {list_releases(warehouse)}", found=release_id, where=str(warehouse))
    manifest: dict[str, Any] = files.read_json(path)
    if not isinstance(manifest, dict) or not _lists_files(manifest.get(Manifest.FILES)):
        raise StoreError("a manifest that lists the files of a release", found="other JSON", where=str(path))
    if manifest.get(Manifest.SCHEMA) != SCHEMA_VERSION or manifest.get(Manifest.RELEASE_ID) != release_id:
        found = f"version {manifest.get(Manifest.SCHEMA)} of {manifest.get(Manifest.RELEASE_ID)}"
        raise StoreError(f"a version {SCHEMA_VERSION} manifest of {release_id}", found=found, where=str(path))
    return manifest


def _lists_files(listing: Any) -> bool:
    entries = listing.values() if isinstance(listing, dict) else [None]
    return all(isinstance(entry, dict) and {"sha256", "bytes"} <= set(entry) for entry in entries)


def stage_release(warehouse: Path, content: Mapping[str, Any], write: Callable[[Path], None]) -> tuple[str, bool]:
    """Write a release beside the others without making it current.

    Args:
        content: the manifest without ``release_id`` and ``files``.
        write: fills a directory with the release's files.

    Returns:
        The release's id and whether it is new: a whole release of the same day with the same content is used again.
    """
    ds = str(content[Manifest.DS])
    root = warehouse / "releases"
    with files.locked(root / ".lock"):
        files.remove_staging(root)  # of a writer that was killed; the lock says that no other is at work
        return _stage(warehouse, root, ds, content, write)


def _stage(
    warehouse: Path, root: Path, ds: str, content: Mapping[str, Any], write: Callable[[Path], None]
) -> tuple[str, bool]:
    with files.staging_directory(root) as staging:
        write(staging)
        files.flush_files(staging)
        listing = {p.name: _entry(p) for p in sorted(staging.iterdir())}
        body = {**content, Manifest.SCHEMA: SCHEMA_VERSION, Manifest.FILES: listing}
        same_day = [release_id for release_id in list_releases(warehouse) if release_id[:10] == ds]
        for other in same_day:
            if _holds(warehouse, other, {**body, Manifest.RELEASE_ID: other}):
                return other, False
        release_id = f"{ds}.{_order(same_day[-1])[1] + 1 if same_day else 1}"
        files.write_json(staging / MANIFEST, {**body, Manifest.RELEASE_ID: release_id})
        files.put_directory(staging, release_path(warehouse, release_id))
    return release_id, True


def _holds(warehouse: Path, release_id: str, manifest: Mapping[str, Any]) -> bool:
    """Is this release whole and of this content? Compared as bytes: JSON has no tuples, a NaN no equal."""
    try:
        verify_release(warehouse, release_id)
    except StoreError:
        return False
    path = release_path(warehouse, release_id) / MANIFEST
    return path.read_bytes() == files.json_bytes(manifest)


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


def switch(warehouse: Path, release_id: str, *, expected: Pointer | None, action: str, at: dt.datetime) -> Pointer:
    """Make a release current if the pointer is still where the caller saw it. The last step of publishing.

    Args:
        expected: the pointer as the caller last read it.
        action: ``PUBLISH`` or ``ROLLBACK``, for ``releases/log.jsonl``.
        at: when the command that switches was given, UTC.

    Raises:
        PointerMovedError: somebody else switched first; nothing was changed.
        StoreError: the release is damaged.
    """
    verify_release(warehouse, release_id)
    new = Pointer(release_id, files.sha256(release_path(warehouse, release_id) / MANIFEST))
    with files.locked(warehouse / f".{CURRENT}.lock"):
        found = read_pointer(warehouse)
        if found == new:
            return new
        if found != expected:
            was = expected.release_id if expected else "nothing"
            now = found.release_id if found else "nothing"
            raise PointerMovedError(f"{was} to be current", found=now, where=str(warehouse), fix="run again")
        files.write_json(warehouse / CURRENT, {"release_id": new.release_id, "manifest_sha256": new.manifest_sha256})
        _log(
            warehouse,
            {"at": at.isoformat(), "action": action, "from": found and found.release_id, "to": release_id},
        )
    return new


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
        earlier = [r for r in list_releases(warehouse) if _order(r) < _order(current.release_id)]
        if not earlier:
            raise InputError("a release before the current one", found=f"only {current.release_id}")
        release_id = earlier[-1]
    return switch(warehouse, release_id, expected=current, action=ROLLBACK, at=at)


def _log(warehouse: Path, entry: Mapping[str, Any]) -> None:
    path = warehouse / "releases" / LOG
    with files.storing(path), path.open("a", encoding="utf-8") as handle:
        handle.write(json.dumps(entry, sort_keys=True) + "\n")


def open_array(warehouse: Path, release_id: str, name: str) -> npt.NDArray[np.generic]:
    """Memory-map one array of a release.

    Raises:
        StoreError: missing, or not an array.
    """
    return files.map_array(release_path(warehouse, release_id) / f"{name}.npy")
