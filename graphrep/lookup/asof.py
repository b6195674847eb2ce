"""What a ranker could have been given at an instant: vectors for training rows, by the log of releases. numpy only.

A vector of data day D is there from the moment its release became current, not from D on; after a rollback the earlier
release is there again. A join on the day instead would show a model what nobody could know yet.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from graphrep.contracts import Manifest
from graphrep.errors import InputError
from graphrep.lookup.denied import Denied
from graphrep.lookup.hashing import encode
from graphrep.lookup.reader import Bools, Floats, Release, open_release
from graphrep.store import releases
from graphrep.store.denied import read_denied

NOTHING = ""
"""The release of an instant at which none was current."""

Names = npt.NDArray[np.str_]
Times = npt.NDArray[np.datetime64]


def to_times(times: npt.ArrayLike) -> Times:
    """Instants in UTC: numpy's, or whole microseconds since 1970; (n,) datetime64[us].

    >>> to_times([1_000_000]).tolist()
    [datetime.datetime(1970, 1, 1, 0, 0, 1)]
    """
    given = np.asarray(times)
    if given.dtype.kind in "iu" or not given.size:
        return given.astype(np.int64).view("datetime64[us]")
    if given.dtype.kind != "M":
        raise InputError("times in UTC as datetime64, or as microseconds", found=f"values of type {given.dtype}")
    return given.astype("datetime64[us]")


@dataclass(frozen=True, slots=True)
class Timeline:
    """Which release was current from when on.

    Attributes:
        since: (k,) datetime64[us], UTC, not falling.
        release_ids: (k,) of these instants.
    """

    since: Times
    release_ids: Names

    @classmethod
    def from_log(cls, entries: Iterable[Mapping[str, Any]]) -> Timeline:
        """From the lines of ``releases/log.jsonl``, in their order: of two at one instant the later one holds.

        The clock of a machine that switched may be behind: no line takes effect before the line above it.
        """
        listed = list(entries)
        at = [dt.datetime.fromisoformat(entry["at"]).astimezone(dt.UTC).replace(tzinfo=None) for entry in listed]
        since = np.maximum.accumulate(np.array(at, dtype="datetime64[us]")) if at else to_times([])
        return cls(since, np.array([entry["to"] for entry in listed], dtype=np.str_))

    def at(self, times: npt.ArrayLike) -> Names:
        """The current release at each instant; ``NOTHING`` before the first, and for no time.

        >>> line = Timeline.from_log([{"at": "2026-03-02T08:00:00+00:00", "to": "2026-03-01.1"}])
        >>> line.at(np.array(["2026-03-02T07:59", "2026-03-02T08:00"], "datetime64[m]")).tolist()
        ['', '2026-03-01.1']
        """
        wanted = to_times(times)
        place = np.searchsorted(self.since, wanted, side="right")
        place[np.isnat(wanted)] = 0
        return np.concatenate([np.array([NOTHING]), self.release_ids])[place]


@dataclass(frozen=True, slots=True)
class AsOf:
    """One answer for each row: as ``Hit``, of the row's own release.

    Attributes:
        vectors: (n, d) float32; NaN where no release was current, or it had no such type.
        release_id: (n,) str, ``NOTHING`` where none was current.
        found, fallback, expired: (n,) bool.
        source: (n,) str; empty where there is no vector.
        age_days: (n,) int32; −1 where nothing has the key.
    """

    vectors: Floats
    release_id: Names
    found: Bools
    fallback: Bools
    expired: Bools
    source: Names
    age_days: npt.NDArray[np.int32]


def timeline(warehouse: str | Path) -> Timeline:
    """The log of a warehouse, rollbacks included."""
    return Timeline.from_log(releases.read_log(Path(warehouse)))


def vectors_as_of(warehouse: str | Path, node_type: str, keys: Sequence[str], times: npt.ArrayLike) -> AsOf:
    """What a reader of the current release would have been given for each (key, time).

    A key that its release lacks has the type's prior; erased keys too, whenever they were erased. Vectors that were
    too old for their day are flagged. A live reader that knew the release before may have answered from that.

    Args:
        keys: (n,).
        times: (n,) instants in UTC: datetime64, or microseconds since 1970.

    Raises:
        InputError: the rows need releases of more than one space, or one that is not kept any more.
    """
    wanted = to_times(times)
    found = vectors_of(warehouse, node_type, keys, timeline(warehouse).at(wanted))
    for release_id in np.unique(found.release_id[found.found]).tolist():
        opened = open_release(warehouse, release_id)
        limit = np.timedelta64(opened.manifest[Manifest.TTL_DAYS][node_type], "D")
        age = wanted.astype("datetime64[D]") - np.datetime64(opened.manifest[Manifest.DS])
        late = (found.release_id == release_id) & found.found & (age > limit)
        found.expired[late] = found.fallback[late] = True
    return found


def vectors_of(warehouse: str | Path, node_type: str, keys: Sequence[str], release_ids: Sequence[str] | Names) -> AsOf:
    """What the logged release of each row holds for its key; the best join there is, where a ranker logs the id.

    Raises:
        InputError: as :func:`vectors_as_of`.
    """
    ids = np.asarray(release_ids, dtype=np.str_)
    if len(ids) != len(keys):
        raise InputError("a time or a release for each key", found=f"{len(keys)} keys, {len(ids)} of the other")
    opened = {name: open_release(warehouse, name) for name in np.unique(ids).tolist() if name != NOTHING}
    having = {name: release for name, release in opened.items() if node_type in release.types}
    answer = _blank(ids, _dim(Path(warehouse), node_type, having))
    denied = Denied.from_rows(read_denied(Path(warehouse)))
    for name, release in having.items():
        rows = np.flatnonzero(ids == name)
        own = [keys[i] for i in rows.tolist()]
        batch = encode(own)
        hit = release.answer(node_type, batch, denied=denied.among(node_type, own, batch))
        for column in ("vectors", "found", "fallback", "source", "age_days"):
            getattr(answer, column)[rows] = getattr(hit, column)
    return answer


def _blank(ids: Names, dim: int) -> AsOf:
    n = len(ids)
    no = np.zeros(n, np.bool_)
    vectors = np.full((n, dim), np.nan, np.float32)
    return AsOf(vectors, ids, no, ~no, no.copy(), np.zeros(n, "U16"), np.full(n, -1, np.int32))


def _dim(warehouse: Path, node_type: str, having: Mapping[str, Release]) -> int:
    spaces = {release.space_id: name for name, release in having.items()}
    if len(spaces) > 1:
        found = ", ".join(f"{space} ({name})" for space, name in sorted(spaces.items()))
        fix = "join the rows of each space alone: a ranker cannot read two at once"
        raise InputError("rows whose releases share one space", found=found, fix=fix)
    release = next(iter(having.values()), None) or open_release(warehouse)
    return len(release.table(node_type).prior)
