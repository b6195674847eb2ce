"""Read one release: vectors, flags and neighbours by outside key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from graphrep import vocab
from graphrep.contracts import Manifest
from graphrep.errors import InputError, StoreError
from graphrep.lookup.keys import BYTES, HASHES, OFFSETS, KeyTable
from graphrep.store import files, releases

VECTORS, PRIOR, FALLBACK, DEGREE, AGE_DAYS = "vectors", "prior", "fallback", "degree", "age_days"
SOURCE = "source"
ARRAYS = (HASHES, OFFSETS, BYTES, VECTORS, PRIOR, FALLBACK, DEGREE, AGE_DAYS)

_NAMES = np.array(vocab.SOURCES)
_PRIOR = vocab.SOURCES.index(vocab.PRIOR)

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Hit:
    """The answer for a list of keys, in their order.

    Attributes:
        vectors: (n, d) float32. An unknown key gets its type's prior.
        found: (n,) bool, the release holds the key.
        fallback: (n,) bool, nothing of the vector is the key's own: an unknown key, or one with no walk in the graph.
        source: (n,) str, what the vector is made of: "graph", the walk alone; "blend", the walk and an estimate, for
            keys with few edges; "content", what is like it; "prior", what its type is told in general.
        age_days: (n,) int32, days from the key's newest event to the release's day; −1 where not found.
        degree: (n,) int64, edges behind the vector; 0 where not found.
    """

    vectors: Floats
    found: Bools
    fallback: Bools
    age_days: npt.NDArray[np.int32]
    degree: npt.NDArray[np.int64]
    source: npt.NDArray[np.str_]


@dataclass(frozen=True, slots=True)
class Neighbor:
    """One ranked key: ``score`` is the dot product of the two vectors."""

    key: str
    score: float


@dataclass(frozen=True)
class _Type:
    """The arrays of one node type, memory-mapped, rows in the order of ``keys``."""

    keys: KeyTable
    vectors: Floats
    prior: Floats
    fallback: Bools
    degree: npt.NDArray[np.int64]
    age_days: npt.NDArray[np.int32]
    source: npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Release:
    """One published release, as :func:`open_release` found it; it does not change when the pointer moves on."""

    warehouse: Path
    manifest: dict[str, Any]
    _open: dict[str, _Type] = field(default_factory=dict, repr=False)

    @cached_property
    def release_id(self) -> str:
        return str(self.manifest[Manifest.RELEASE_ID])

    @cached_property
    def space_id(self) -> str:
        """The basis of the vectors: two releases with one space_id are drop-in for a ranker."""
        return str(self.manifest[Manifest.SPACE_ID])

    @cached_property
    def types(self) -> list[str]:
        return sorted(self.manifest[Manifest.NODE_TYPES])

    def keys(self, node_type: str) -> list[str]:
        """Every published key of a type, in the order of its rows."""
        return self._type(node_type).keys.keys()

    def get(self, node_type: str, keys: Sequence[str]) -> Hit:
        """Look keys up.

        Raises:
            InputError: the release has no such type, or a key is not a string.
        """
        table = self._type(node_type)
        rows = table.keys.rows(keys)
        found = rows >= 0
        at = np.where(found, rows, 0)
        if not len(table.keys):
            blank = np.zeros(len(keys), dtype=np.int64)
            vectors = np.broadcast_to(table.prior, (len(keys), len(table.prior))).copy()
            return Hit(vectors, found, ~found, (blank - 1).astype(np.int32), blank, _NAMES[blank + _PRIOR])
        return Hit(
            vectors=np.where(found[:, None], table.vectors[at], table.prior).astype(np.float32),
            found=found,
            fallback=np.where(found, table.fallback[at], True),
            age_days=np.where(found, table.age_days[at], -1).astype(np.int32),
            degree=np.where(found, table.degree[at], 0),
            source=_NAMES[np.where(found, table.source[at], _PRIOR)],
        )

    def neighbors(self, node_type: str, key: str, to: str, k: int = 10) -> list[Neighbor]:
        """The k keys of another type with the largest dot product; rows that hold the prior are left out.

        Equal scores are ordered by row. An unknown key is asked with the prior.
        """
        if k < 1:
            raise InputError("k of at least 1", found=str(k))
        others = self._type(to)
        scores = others.vectors @ self.get(node_type, [key]).vectors[0]
        scores = np.where(others.fallback & (others.source == _PRIOR), -np.inf, scores)
        if to == node_type:
            row = int(others.keys.rows([key])[0])
            scores[row if row >= 0 else slice(0, 0)] = -np.inf
        best = np.argsort(-scores, kind="stable")[:k]
        return [Neighbor(others.keys.key(int(i)), float(scores[i])) for i in best if np.isfinite(scores[i])]

    def _type(self, node_type: str) -> _Type:
        if node_type not in self._open:
            if node_type not in self.types:
                raise InputError(f"one of the types {self.types}", found=repr(node_type), where=self.release_id)
            read = {a: releases.open_array(self.warehouse, self.release_id, f"{node_type}.{a}") for a in ARRAYS}
            own: dict[str, Any] = {a: read[a] for a in (VECTORS, PRIOR, FALLBACK, DEGREE, AGE_DAYS)}
            self._open[node_type] = _Type(keys=KeyTable.from_arrays(read), source=self._source(node_type, own), **own)
        return self._open[node_type]

    def _source(self, node_type: str, own: dict[str, Any]) -> Any:
        """What the rows are made of; a release that does not tell has the prior where it says fallback."""
        name = f"{node_type}.{SOURCE}"
        if f"{name}.npy" in self.manifest[Manifest.FILES]:
            return releases.open_array(self.warehouse, self.release_id, name)
        return np.where(own[FALLBACK], _PRIOR, vocab.SOURCES.index(vocab.OWN)).astype(np.uint8)


def open_release(warehouse: str | Path, release_id: str | None = None, *, verify: bool = False) -> Release:
    """Open a release for reading.

    Args:
        warehouse: directory that holds ``CURRENT`` and ``releases/``.
        release_id: None follows the pointer.
        verify: compare every file with the manifest first (reads them whole); otherwise the manifest alone is
            compared with the pointer, and the sizes of the files with the manifest.

    Raises:
        InputError: nothing is published there, or there is no such release.
        StoreError: the pointer, the manifest or a file is damaged.
    """
    warehouse = Path(warehouse)
    pointer = releases.read_pointer(warehouse)
    if release_id is None:
        if pointer is None:
            fix = "publish a day first: graphrep run"
            raise InputError("a warehouse with a published release", found="none", where=str(warehouse), fix=fix)
        release_id = pointer.release_id
    manifest = releases.read_manifest(warehouse, release_id)
    path = releases.release_path(warehouse, release_id)
    if pointer and pointer.release_id == release_id:
        found = files.sha256(path / releases.MANIFEST)
        if found != pointer.manifest_sha256:
            raise StoreError("the manifest that was published", found="another", where=str(path))
    for name, entry in manifest[Manifest.FILES].items():
        size = (path / name).stat().st_size if (path / name).exists() else None
        if size != entry["bytes"]:
            raise StoreError(f"{entry['bytes']} bytes", found=f"{size}", where=str(path / name))
    if verify:
        releases.verify_release(warehouse, release_id)
    return Release(warehouse, manifest)
