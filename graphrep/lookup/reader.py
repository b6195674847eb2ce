"""Read one release: vectors, flags and neighbours by outside key."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from graphrep import vocab
from graphrep.contracts import Manifest
from graphrep.errors import InputError, StoreError
from graphrep.lookup.hashing import Batch, encode, hash_keys
from graphrep.lookup.keys import KEY_ARRAYS, ROW, KeyTable
from graphrep.lookup.quantise import CHUNK, unpack
from graphrep.lookup.spaces import InSpace, map_name
from graphrep.lookup.uplift import UpliftHit, UpliftTable, answer_uplift, open_uplift
from graphrep.store import files, releases

VECTORS, PRIOR = "vectors", "prior"
ARRAYS = (*KEY_ARRAYS, VECTORS, PRIOR)

_NAMES = np.array(vocab.ANSWERS)
_PRIOR = vocab.SOURCES.index(vocab.PRIOR)
_UNKNOWN = np.zeros((), ROW)
_UNKNOWN["age_days"], _UNKNOWN["source"], _UNKNOWN["fallback"] = -1, _PRIOR, True

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Hit:
    """The answer for a list of keys, in their order.

    Attributes:
        release_id: the release that was asked. A ranker that logs it can be told later what it was given.
        vectors: (n, d) float32. An unknown key gets its type's prior.
        found: (n,) bool, the release holds the key.
        fallback: (n,) bool, nothing of the vector is the key's own and of today: an unknown key, one with no walk in
            the graph, one that is expired or denied, or a vector of the release before.
        source: (n,) str, what the vector is made of: "graph", the walk alone; "blend", the walk and an estimate, for
            keys with few edges; "content", what is like it; "prior", what its type is told in general; "previous",
            what the release before had for it.
        age_days: (n,) int32, days from the key's newest event to the release's day; −1 where nothing has the key.
        degree: (n,) int64, edges behind the vector; 0 where nothing has the key.
        expired: (n,) bool, the release is older than its vectors of this type may be served.
        denied: (n,) bool, the key was erased since: it is answered as one that is not there.
    """

    release_id: str
    vectors: Floats
    found: Bools
    fallback: Bools
    source: npt.NDArray[np.str_]
    age_days: npt.NDArray[np.int32]
    degree: npt.NDArray[np.int64]
    expired: Bools
    denied: Bools


@dataclass(frozen=True, slots=True)
class Neighbor:
    """One ranked key: ``score`` is the dot product of the two vectors."""

    key: str
    score: float


@dataclass(frozen=True, slots=True)
class Table:
    """The arrays of one node type, memory-mapped, rows in the order of ``keys``."""

    keys: KeyTable
    vectors: npt.NDArray[Any]
    prior: Floats


@dataclass(frozen=True)
class Release:
    """One published release, as :func:`open_release` found it; it does not change when the pointer moves on."""

    warehouse: Path
    manifest: dict[str, Any]
    _open: dict[str, Table] = field(default_factory=dict, repr=False)

    @cached_property
    def release_id(self) -> str:
        return str(self.manifest[Manifest.RELEASE_ID])

    @cached_property
    def space_id(self) -> str:
        """The basis of the vectors: two releases with one space_id are drop-in for a ranker."""
        return str(self.manifest[Manifest.SPACE_ID])

    def in_space(self, space_id: str) -> InSpace:
        """The same release for a ranker of another space, which it can be for some days after a new space began.

        Raises:
            InputError: the release holds no map to that space.
            StoreError: the map is missing or damaged.
        """
        if space_id == self.space_id:
            return InSpace(self, space_id, None)
        maps = self.manifest.get(Manifest.MAPS, {})
        if space_id not in maps:
            known = ", ".join([self.space_id, *sorted(maps)])
            fix = "train the ranker on this release's space, or serve it a release of its own"
            raise InputError(f"a space of {known}", found=repr(space_id), where=self.release_id, fix=fix)
        back = releases.open_array(self.warehouse, self.release_id, map_name(space_id))
        return InSpace(self, space_id, np.array(back, dtype=np.float32))

    @cached_property
    def types(self) -> list[str]:
        return sorted(self.manifest[Manifest.NODE_TYPES])

    def keys(self, node_type: str) -> list[str]:
        """Every published key of a type, in the order of its rows."""
        return self.table(node_type).keys.keys()

    def get(self, node_type: str, keys: Sequence[str], *, ds: str | None = None) -> Hit:
        """Look keys up.

        Args:
            ds: the day for which is asked, YYYY-MM-DD: rows of a release that is then older than its type may be
                served are flagged. None asks for no day.

        Raises:
            InputError: the release has no such type, a key is not a string, or ``ds`` is not a day.
        """
        return self.answer(node_type, encode(keys), ds=ds)

    def answer(self, node_type: str, batch: Batch, *, ds: str | None = None, denied: Bools | None = None) -> Hit:
        """:meth:`get` of keys that are encoded already, of which some may be denied: (n,) bool."""
        table = self.table(node_type)
        at = table.keys.find(batch, hash_keys(batch, table.keys.seed))
        found, records = at.found, at.records
        if denied is None:
            denied = np.zeros(len(batch), np.bool_)
        else:
            found = found & ~denied
        vectors = _vectors(table, at.rows, records["scale"])
        missing = np.flatnonzero(~found)
        vectors[missing] = table.prior
        records[missing] = _UNKNOWN
        is_expired = self.is_expired(node_type, ds)
        return Hit(
            release_id=self.release_id,
            vectors=vectors,
            found=found,
            fallback=records["fallback"] | found if is_expired else records["fallback"],
            source=_NAMES.take(records["source"]),
            age_days=records["age_days"],
            degree=records["degree"],
            expired=found.copy() if is_expired else np.zeros(len(batch), np.bool_),
            denied=denied,
        )

    def is_expired(self, node_type: str, ds: str | None) -> bool:
        """Whether vectors of this type are too old to be served on a day as the key's own."""
        return ds is not None and self.age(ds) > int(self.manifest[Manifest.TTL_DAYS][node_type])

    def age(self, ds: str) -> int:
        """Days from this release's day to another.

        Raises:
            InputError: that is not a day.
        """
        try:
            return (dt.date.fromisoformat(ds) - dt.date.fromisoformat(self.manifest[Manifest.DS])).days
        except ValueError:
            raise InputError("a day YYYY-MM-DD", found=repr(ds)) from None

    def neighbors(self, node_type: str, key: str, to: str, k: int = 10) -> list[Neighbor]:
        """The k keys of another type with the largest dot product; rows that hold the prior are left out.

        Equal scores are ordered by row. An unknown key is asked with the prior.
        """
        asked = self.get(node_type, [key]).vectors[0]
        return self.nearest(asked, to, k, without=key if to == node_type else None)

    def nearest(self, asked: Floats, to: str, k: int = 10, *, without: str | None = None) -> list[Neighbor]:
        """:meth:`neighbors` of a vector (d,), among them no key ``without``."""
        if k < 1:
            raise InputError("k of at least 1", found=str(k))
        others = self.table(to)
        scores = np.concatenate([part @ asked for part in self.blocks(to)])
        records = others.keys.records
        scores[records["fallback"] & (records["source"] == _PRIOR)] = -np.inf
        if without is not None:
            row = int(others.keys.rows([without])[0])
            scores[row if row >= 0 else slice(0, 0)] = -np.inf
        best = np.argsort(-scores, kind="stable")[:k]
        return [Neighbor(others.keys.key(int(i)), float(scores[i])) for i in best if np.isfinite(scores[i])]

    def uplift(
        self,
        treatment: str,
        keys: Sequence[str],
        horizon_days: int = 1,
        *,
        outcome: str = "live",
        ds: str | None = None,
        denied: Bools | None = None,
    ) -> UpliftHit:
        """What one more treatment changes for some hosts; ``ok`` is False and the effect 0 where that is in doubt.

        ``ds`` is the day for which is asked: expired effects are not ok. ``denied`` (n,) bool: hosts erased since.

        Raises:
            InputError: an arm, horizon or outcome that was not fitted, a key that is not a string, ``ds`` is no day.
        """
        if ds is not None:
            self.age(ds)
        asked = (treatment, horizon_days, outcome)
        return answer_uplift(self.release_id, self.uplift_table, asked, encode(keys), ds=ds, denied=denied)

    @cached_property
    def uplift_table(self) -> UpliftTable | None:
        """The arrays of the uplift, mapped when they are asked for first; None where the release has none."""
        return open_uplift(self.warehouse, self.manifest)

    def warm(self) -> None:
        """Map every type and read each page once, so that the first request need not wait for the disk."""
        for node_type in self.types:
            table = self.table(node_type)
            table.keys.read_with(table.vectors)
            self.get(node_type, [""])
        if (own := self.uplift_table) is not None:
            own.keys.read_with(own.effects, own.ok)

    def blocks(self, node_type: str) -> Iterator[Floats]:
        """All vectors of a type in the order of its rows, some thousand at a time; one block at least."""
        table = self.table(node_type)
        for start in range(0, max(1, len(table.keys)), CHUNK):
            rows = slice(start, start + CHUNK)
            yield unpack(table.vectors[rows], table.keys.records["scale"][rows])

    def table(self, node_type: str) -> Table:
        """The arrays of a type, mapped when they are asked for first.

        Raises:
            InputError: the release has no such type.
            StoreError: an array is missing or damaged.
        """
        if node_type not in self._open:
            if node_type not in self.types:
                raise InputError(f"one of the types {self.types}", found=repr(node_type), where=self.release_id)
            read = {a: releases.open_array(self.warehouse, self.release_id, f"{node_type}.{a}") for a in ARRAYS}
            prior: Floats = np.array(read[PRIOR], dtype=np.float32)
            self._open[node_type] = Table(KeyTable.from_arrays(read), np.asarray(read[VECTORS]), prior)
        return self._open[node_type]


def _vectors(table: Table, rows: npt.NDArray[np.int64], scales: Floats) -> Floats:
    if not len(table.keys):
        return np.empty((len(rows), len(table.prior)), np.float32)
    return unpack(table.vectors.take(rows, axis=0), scales)


def open_release(warehouse: str | Path, release_id: str | None = None, *, verify: bool = False) -> Release:
    """Open a release for reading.

    Args:
        warehouse: directory that holds ``CURRENT`` and ``releases/``.
        release_id: None follows the pointer; an id from before an erasure names what that release became.
        verify: compare every file with the manifest first (reads them whole); otherwise the manifest alone is
            compared with the pointer, and the sizes of the files with the manifest.

    Raises:
        InputError: nothing is published there, or there is no such release.
        StoreError: the pointer, the manifest or a file is damaged.
    """
    warehouse = Path(warehouse)
    if release_id is None:
        return open_pointed(warehouse, pointer_of(warehouse), verify=verify)
    release_id, pointer = releases.renewed(warehouse, release_id), releases.read_pointer(warehouse)
    if pointer and pointer.release_id == release_id:
        return open_pointed(warehouse, pointer, verify=verify)
    return _open(warehouse, release_id, verify=verify)


def pointer_of(warehouse: Path) -> releases.Pointer:
    """The pointer of a warehouse in which something is published.

    Raises:
        InputError: nothing is.
        StoreError: it is damaged.
    """
    pointer = releases.read_pointer(warehouse)
    if pointer is None:
        fix = "publish a day first: graphrep run"
        raise InputError("a warehouse with a published release", found="none", where=str(warehouse), fix=fix)
    return pointer


def open_pointed(warehouse: Path, pointer: releases.Pointer, *, verify: bool = False) -> Release:
    """:func:`open_release` of what a pointer names, whose manifest must be the one that the pointer was set to."""
    release = _open(warehouse, pointer.release_id, verify=verify)
    path = releases.release_path(warehouse, pointer.release_id)
    if files.sha256(path / releases.MANIFEST) != pointer.manifest_sha256:
        raise StoreError("the manifest that was published", found="another", where=str(path))
    return release


def _open(warehouse: Path, release_id: str, *, verify: bool) -> Release:
    manifest = releases.read_manifest(warehouse, release_id)
    path = releases.release_path(warehouse, release_id)
    for name, entry in manifest[Manifest.FILES].items():
        size = (path / name).stat().st_size if (path / name).exists() else None
        if size != entry["bytes"]:
            raise StoreError(f"{entry['bytes']} bytes", found=f"{size}", where=str(path / name))
    if verify:
        releases.verify_release(warehouse, release_id)
    return Release(warehouse, manifest)
