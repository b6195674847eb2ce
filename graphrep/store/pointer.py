"""The pointer to the current release, and the log of its moves: both replaced only if they are still what was read.

The log is brought up to date after a move, and before the next one: a publisher that was killed between the two leaves
a log that the next one completes. Every entry begins where the one before ended, and no entry is earlier than it.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

from graphrep.contracts.release import RELEASE_ID
from graphrep.errors import PointerMovedError, StoreError
from graphrep.store import files
from graphrep.store.places import MovedError, Place

CURRENT = "CURRENT"
LOG = "log.jsonl"
PUBLISH, ROLLBACK, ERASE = "publish", "rollback", "erase"
_LOG_NAME = f"releases/{LOG}"
_KEYS = ("action", "at", "from", "to")
_ASIDE = "move the log aside: it begins anew, and when earlier releases became current is not known any more"
_NAME_ONE = "point at a release that is whole: graphrep releases rollback RELEASE"


@dataclass(frozen=True, slots=True)
class Pointer:
    """What ``CURRENT`` holds: a release and the hash of its manifest."""

    release_id: str
    manifest_sha256: str


def order(release_id: str) -> tuple[str, int]:
    """By day, then by attempt."""
    ds, attempt = release_id.split(".")
    return ds, int(attempt)


def read(place: Place) -> tuple[Pointer | None, str | None]:
    """The current release and the version of the pointer; both None where nothing was published yet.

    Raises:
        StoreError: the pointer is there and cannot be read.
    """
    found = place.read(CURRENT)
    if found is None:
        return None, None
    try:
        content = json.loads(found[0])
    except ValueError:
        content = None
    whole = isinstance(content, dict) and set(content) == {"release_id", "manifest_sha256"}
    if (
        not whole
        or not all(isinstance(v, str) for v in content.values())
        or not RELEASE_ID.fullmatch(content["release_id"])
    ):
        shown = f"{content!r}"[:80] if content is not None else f"{len(found[0])} bytes that are not JSON"
        raise StoreError("a pointer to a release", found=shown, where=f"{place}/{CURRENT}", fix=_NAME_ONE)
    return Pointer(**content), found[1]


def move(place: Place, new: Pointer, expected: Pointer | None, *, action: str, at: dt.datetime) -> None:
    """Point at a release if the pointer is where the caller saw it. A move that was made already is none.

    Raises:
        PointerMovedError: somebody else moved it first; nothing was changed.
    """
    record(place, at=at)
    found, version = read(place)
    if found == new:
        return
    if found != expected:
        raise _moved(place, expected, found)
    try:
        place.put_if(CURRENT, files.json_bytes(asdict(new)), version)
    except MovedError:
        # Of an object store the answer to our own put may have been lost, and the put repeated: then it is ours.
        now, _ = read(place)
        if now != new:
            raise _moved(place, expected, now) from None
    record(place, at=at, mine=new, action=action)


def _moved(place: Place, expected: Pointer | None, found: Pointer | None) -> PointerMovedError:
    was = expected.release_id if expected else "nothing"
    now = found.release_id if found else "nothing"
    return PointerMovedError(f"{was} to be current", found=now, where=str(place), fix="run again")


def record(place: Place, *, at: dt.datetime, mine: Pointer | None = None, action: str | None = None) -> None:
    """Let the log end at the current release, whoever moved the pointer there; a publisher may have been killed since.

    The log is read before the pointer, so that an entry is never made of a pointer that is older than the log.

    Args:
        at: when; a clock that was set back does not turn the log back, the entry then has the time of the one before.
        mine: where the caller pointed, by which action; of another's move the action is told by its direction.
    """
    while True:
        found = place.read(_LOG_NAME)
        content, version = found or (b"", None)
        last = _last(content, f"{place}/{_LOG_NAME}")
        current, _ = read(place)
        if current is None or last["to"] == current.release_id:
            return
        back = last["to"] is not None and order(current.release_id) < order(last["to"])
        entry = {
            "action": (current == mine and action) or (ROLLBACK if back else PUBLISH),
            "at": max(at.isoformat(), last["at"]),
            "from": last["to"],
            "to": current.release_id,
        }
        line = {**entry, "sha256": _link(last["sha256"], entry)}
        with contextlib.suppress(MovedError):
            place.put_if(_LOG_NAME, content + json.dumps(line, sort_keys=True).encode() + b"\n", version)
            return


def read_log(place: Place) -> list[dict[str, Any]]:
    """Every move of the pointer, oldest first: ``at`` (ISO 8601, UTC), ``action``, ``from``, ``to``.

    Raises:
        StoreError: a byte of it was changed.
    """
    found = place.read(_LOG_NAME)
    return _entries(found[0], str(place)) if found else []


def _entries(content: bytes, place: str) -> list[dict[str, Any]]:
    """Each line carries a hash of itself and of the line before it."""
    entries: list[dict[str, Any]] = []
    before = ""
    for number, line in enumerate(content.splitlines(keepends=True), start=1):
        where = f"{place}/{_LOG_NAME}, line {number}"
        entry = _entry(line, where)
        before = _link(before, {key: entry[key] for key in _KEYS})
        if json.dumps({**entry, "sha256": before}, sort_keys=True).encode() + b"\n" != line:
            raise StoreError("the entry that was written", found="another", where=where, fix=_ASIDE)
        entries.append(entry)
    return entries


def _last(content: bytes, where: str) -> dict[str, Any]:
    """The newest entry; a log that is still empty ends nowhere, before all times."""
    return _entry(content.splitlines()[-1], where) if content else {"to": None, "at": "", "sha256": ""}


def _entry(line: bytes, where: str) -> dict[str, Any]:
    try:
        entry: dict[str, Any] = json.loads(line)
        whole = set(entry) == {*_KEYS, "sha256"} and RELEASE_ID.fullmatch(entry["to"])
    except (ValueError, TypeError):
        whole = None
    if not whole:
        raise StoreError("an entry of the log of releases", found=repr(line)[:60], where=where, fix=_ASIDE)
    return entry


def _link(before: str, entry: dict[str, Any]) -> str:
    return hashlib.sha256(before.encode() + json.dumps(entry, sort_keys=True).encode()).hexdigest()
