"""Releases in a second place: sent there with the pointer last, and fetched from there whole.

The place has the layout of a warehouse: ``CURRENT``, ``releases/<id>/…``, ``releases/log.jsonl``. An id belongs to who
claimed it first, by a conditional put of its manifest's hash, so that two publishers never mix their files.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import tempfile
from pathlib import Path
from typing import Any

from graphrep.contracts import Manifest
from graphrep.errors import GraphrepError, InputError, StoreError
from graphrep.store import files, manifests, pointer, releases, retention
from graphrep.store.places import MovedError, Place, open_place
from graphrep.store.pointer import CURRENT, LOG, Pointer

_CLAIMS = "releases/.claims"


def send(warehouse: Path, url: str, *, at: dt.datetime) -> str | None:
    """Let a place serve what the warehouse serves, a rollback included. Killed or cut off, it is done again.

    Releases that the warehouse does not keep any more are removed there, too.

    Args:
        url: ``s3://bucket/prefix``, or a directory.
        at: when the command was given, UTC, for the log there.

    Returns:
        The release that is current there; None where the warehouse has published nothing.

    Raises:
        PointerMovedError: another publisher moved the pointer there meanwhile.
        StoreError: the place cannot be written, a file here is damaged, or the place serves another warehouse.
    """
    place = open_place(url)
    seen, _ = pointer.read(place)  # before ours: who moves ours after this moves theirs after this, too
    current = releases.read_pointer(warehouse)
    if current is None:
        return None
    if seen != current:
        _check_ours(warehouse, place, seen)
        with retention.pinned(warehouse, current.release_id):
            releases.verify_release(warehouse, current.release_id)
            _put_release(warehouse, place, current)
        moves = releases.read_log(warehouse)  # empty where a damaged log was moved aside
        action = moves[-1]["action"] if moves else releases.PUBLISH
        pointer.move(place, current, seen, action=action, at=at)
    pointer.record(place, at=at)
    _remove_gone(warehouse, place, current.release_id)
    return current.release_id


def _check_ours(warehouse: Path, place: Place, seen: Pointer | None) -> None:
    """Refuse to take a place away from another warehouse."""
    if seen is None:
        return
    kept = releases.release_path(warehouse, seen.release_id) / releases.MANIFEST
    gone = warehouse / "releases" / releases.REMOVED / f"{seen.release_id}.json"
    if not any(path.exists() and files.sha256(path) == seen.manifest_sha256 for path in (kept, gone)):
        fix = f"give each warehouse a mirror of its own, or remove {CURRENT} there"
        found = f"{seen.release_id}, which this warehouse did not make"
        raise StoreError("a mirror of this warehouse", found=found, where=str(place), fix=fix)


def _put_release(warehouse: Path, place: Place, current: Pointer) -> None:
    """Files first, the manifest last; what is there already is not sent again."""
    release_id, path = current.release_id, releases.release_path(warehouse, current.release_id)
    _put_once(place, f"{_CLAIMS}/{release_id}", current.manifest_sha256.encode())
    there = place.list(f"releases/{release_id}/")
    for name, entry in releases.read_manifest(warehouse, release_id)[Manifest.FILES].items():
        target = f"releases/{release_id}/{name}"
        if there.get(target) != entry["bytes"]:
            place.put_file(target, path / name)
    with files.storing(path):
        manifest = (path / releases.MANIFEST).read_bytes()
    _put_once(place, f"releases/{release_id}/{releases.MANIFEST}", manifest)


def _put_once(place: Place, name: str, content: bytes) -> None:
    with contextlib.suppress(MovedError):
        place.put_if(name, content, None)
        return
    found = place.read(name)
    if found is None or found[0] != content:
        fix = "run the day again here: its next attempt has an id of its own"
        raise StoreError("a release id that is free, or ours", found="another's", where=f"{place}/{name}", fix=fix)


def _remove_gone(warehouse: Path, place: Place, current: str) -> None:
    """The manifest goes first, so that nothing half removed looks like a release; the claim stays."""
    gone = set(releases.list_removed(warehouse)) - set(releases.list_releases(warehouse)) - {current}
    for name in place.list("releases/"):
        parts = name.split("/")
        if len(parts) == 3 and parts[1] in gone and parts[2] == releases.MANIFEST:
            place.delete(name)
    for name in place.list("releases/"):
        parts = name.split("/")
        if len(parts) == 3 and parts[1] in gone:
            place.delete(name)


def difference(warehouse: Path, url: str) -> str:
    """How what a place serves differs from what the warehouse serves; empty where every byte is the same.

    Files come one at a time, so that the room of one is enough.

    Raises:
        StoreError: the place cannot be read.
    """
    place = open_place(url)
    there, here = pointer.read(place)[0], releases.read_pointer(warehouse)
    if there is None or here is None or there != here:
        return f"it serves {there.release_id if there else 'nothing'}"
    where = f"releases/{here.release_id}"
    manifest = place.read(f"{where}/{releases.MANIFEST}")
    if manifest is None or hashlib.sha256(manifest[0]).hexdigest() != here.manifest_sha256:
        return f"its manifest of {here.release_id} is another"
    listed = releases.read_manifest(warehouse, here.release_id)[Manifest.FILES]
    present = place.list(f"{where}/")
    with tempfile.TemporaryDirectory() as folder:
        for name, entry in listed.items():
            target = Path(folder) / name
            if f"{where}/{name}" not in present:
                return f"{name} of {here.release_id} is missing"
            place.get_file(f"{where}/{name}", target)
            if files.sha256(target) != entry["sha256"]:
                return f"{name} of {here.release_id} has other bytes"
            target.unlink()
    return ""


def fetch(url: str, cache: Path, release_id: str | None = None, *, keep: int = 2) -> str:
    """Make a directory hold what a place serves, whole and compared with its hashes; a reader opens the directory.

    Each release is moved into sight when all of it is there, and the pointer after it, so that a reader of the
    directory never sees half. What is there already is not fetched again.

    Args:
        url: ``s3://bucket/prefix``, or a directory.
        cache: a directory of this machine; it looks like a warehouse that holds releases alone.
        release_id: None follows the pointer; a named release is fetched beside it.
        keep: how many of the newest releases stay in the directory.

    Returns:
        The id of the release that was asked for.

    Raises:
        InputError: nothing is published there, or there is no such release.
        StoreError: the place cannot be read, or what it holds is damaged; the directory serves what it did.
    """
    place, root = open_place(url), cache / "releases"
    with files.locked(root / ".lock"):
        files.remove_staging(root)
        current, _ = pointer.read(place)
        if current is None:
            fix = "publish a day with publish.mirror set to it"
            raise InputError("a place with a published release", found="none", where=url, fix=fix)
        wanted = release_id or current.release_id
        if not _there(cache, wanted, current):
            _get_release(place, cache, wanted, current)
        log = place.read(f"releases/{LOG}")
        if log:
            files.write_bytes(root / LOG, log[0])
        if release_id is None:
            content = {"release_id": current.release_id, "manifest_sha256": current.manifest_sha256}
            files.write_json(cache / CURRENT, content)
            retention.expire(cache, keep)
    return wanted


def _there(cache: Path, release_id: str, current: Pointer) -> bool:
    try:
        releases.verify_release(cache, release_id)
    except GraphrepError:
        return False
    manifest = releases.release_path(cache, release_id) / releases.MANIFEST
    return release_id != current.release_id or files.sha256(manifest) == current.manifest_sha256


def _get_release(place: Place, cache: Path, release_id: str, current: Pointer) -> None:
    final = releases.release_path(cache, release_id)
    where = f"{place}/releases/{release_id}"
    found = place.read(f"releases/{release_id}/{releases.MANIFEST}")
    if found is None:
        raise InputError("a release that the place holds", found=release_id, where=str(place))
    if release_id == current.release_id and hashlib.sha256(found[0]).hexdigest() != current.manifest_sha256:
        raise StoreError("the manifest that was published", found="another", where=where)
    manifest: dict[str, Any] = manifests.parse(found[0], release_id, where)
    with files.staging_directory(final.parent) as staging:
        for name, entry in manifest[Manifest.FILES].items():
            place.get_file(f"releases/{release_id}/{name}", staging / name)
            if files.sha256(staging / name) != entry["sha256"]:
                raise StoreError("the bytes that were published", found="others", where=f"{where}/{name}")
        files.flush_files(staging)
        files.write_bytes(staging / releases.MANIFEST, found[0])
        files.put_directory(staging, final)
