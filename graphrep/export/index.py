"""A vector index of a release: user → host retrieval by inner product, with its recall measured and written beside it.

Hierarchical navigable small worlds (Malkov, Yashunin, TPAMI 2020) by usearch, one thread, so that equal releases give
equal bytes. Links between near neighbours need a distance, which an inner product is not: rows get one more entry that
makes all of them equally long, and the nearest row is then the one of largest inner product (Bachrach et al., RecSys
2014). The only module that imports usearch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from graphrep import vocab
from graphrep.contracts import Feature, IndexManifest
from graphrep.errors import InputError, StoreError
from graphrep.export.rows import Rows
from graphrep.lookup import Neighbor, Release
from graphrep.store import files, releases, tables

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Settings:
    """How an index is built and judged: ``export.index`` of the configuration."""

    connectivity: int
    expansion_add: int
    expansion_search: int
    k: int
    sample: int
    min_recall: float


def _usearch() -> Any:
    try:
        from usearch import index
    except ImportError:
        fix = 'install it: pip install "graphrep[index]"'
        raise InputError("usearch, which builds the index", found="none", fix=fix) from None
    return index


def write_index(path: Path, rows: Rows, queries: Rows, settings: Settings, *, seed: int) -> dict[str, Any]:
    """Build the index of a type into a directory that is being staged, and measure it.

    Rows that hold nothing but the prior are left out, as ``neighbors`` does.

    Args:
        queries: rows of the type that will ask; a seeded sample of them is searched, and searched by brute force.

    Returns:
        What the manifest says of the type.

    Raises:
        InputError: usearch is not installed, or no row has a vector of its own.
        StoreError: the index finds less than ``min_recall``.
    """
    own = np.flatnonzero(~(rows.hit.fallback & (rows.hit.source == vocab.PRIOR)))
    if not len(own):
        raise InputError(f"a {rows.node_type} with a vector of its own", found="none", where=rows.release_id)
    vectors = np.ascontiguousarray(rows.hit.vectors[own])
    index = _usearch().Index(
        ndim=rows.dim + 1,
        metric="l2sq",
        dtype="f32",
        connectivity=settings.connectivity,
        expansion_add=settings.expansion_add,
        expansion_search=settings.expansion_search,
    )
    index.add(np.arange(len(own), dtype=np.uint64), _equally_long(vectors), threads=1)
    chosen = np.random.default_rng(seed).permutation(len(queries.keys))[: settings.sample]
    asked = np.ascontiguousarray(queries.hit.vectors[np.sort(chosen)])
    k = min(settings.k, len(own))
    found = recall(index, vectors, asked, k)
    if found < settings.min_recall:
        fix = "raise expansion_search, expansion_add or connectivity under export.index"
        raise StoreError(f"recall@{k} of at least {settings.min_recall}", found=f"{found:.4f}", fix=fix)
    index.save(str(path / f"{rows.node_type}.usearch"))
    tables.save_parquet(path / f"{rows.node_type}.keys.parquet", pa.table({Feature.KEY: [rows.keys[i] for i in own]}))
    return {
        "count": len(own),
        "dim": rows.dim,
        "queries_of": queries.node_type,
        "queries": len(asked),
        "k": k,
        "expansion_search": settings.expansion_search,
        "recall": round(found, 6),
    }


def _equally_long(vectors: Floats) -> Floats:
    """(n, d + 1): the entry that is added makes every row as long as the longest."""
    squares = np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64)
    return np.column_stack([vectors, np.sqrt(squares.max() - squares)]).astype(np.float32)


def recall(index: Any, vectors: Floats, asked: Floats, k: int) -> float:
    """Share of the k rows of largest inner product that the index finds, over all queries; ties count as found.

    Args:
        vectors: (n, d), the rows of the index.
        asked: (q, d).
    """
    hits = 0
    for start in range(0, len(asked), 256):
        block = asked[start : start + 256]
        scores = block @ vectors.T
        least = np.partition(scores, -k, axis=1)[:, -k]
        found = _search(index, block, k)
        mine = np.take_along_axis(scores, np.maximum(found, 0), axis=1)
        hits += int(((found >= 0) & (mine >= least[:, None] - 1e-6 * np.abs(least[:, None]))).sum())
    return hits / (len(asked) * k)


def _search(index: Any, asked: Floats, k: int) -> Ints:
    """(q, k) rows, nearest first; −1 where fewer are found."""
    matches = index.search(np.column_stack([asked, np.zeros(len(asked), dtype=np.float32)]), k, threads=1)
    found = np.asarray(matches.keys).reshape(len(asked), -1).astype(np.int64)
    counts = np.atleast_1d(np.asarray(matches.counts)) if hasattr(matches, "counts") else np.full(1, found.shape[1])
    return np.where(np.arange(found.shape[1]) < counts.reshape(-1, 1), found, -1)


def manifest_of(path: Path, release: Release, types: dict[str, Any]) -> dict[str, Any]:
    """What is written beside the indexes of a release: ``index_manifest_v1``."""
    return {
        IndexManifest.RELEASE_ID: release.release_id,
        IndexManifest.SPACE_ID: release.space_id,
        IndexManifest.RELEASE_SHA256: _sha256_of(release),
        IndexManifest.TYPES: types,
        IndexManifest.FILES: {
            p.name: {"sha256": files.sha256(p), "bytes": p.stat().st_size} for p in sorted(path.iterdir())
        },
    }


def _sha256_of(release: Release) -> str:
    return files.sha256(releases.release_path(release.warehouse, release.release_id) / releases.MANIFEST)


@dataclass(frozen=True)
class VectorIndex:
    """The index of one type, open for searching with vectors of the same release."""

    release: Release
    node_type: str
    _keys: list[str]
    _index: Any

    def neighbors(self, node_type: str, keys: Sequence[str], k: int = 10) -> list[list[Neighbor]]:
        """About what ``release.neighbors`` finds for each key: the largest dot products, found without trying all."""
        if k < 1:
            raise InputError("k of at least 1", found=str(k))
        vectors = self.release.get(node_type, keys).vectors
        if not len(keys):
            return []
        rows = _search(self._index, vectors, min(k, len(self._keys)))
        return [self._scored(vector, found[found >= 0]) for vector, found in zip(vectors, rows, strict=True)]

    def _scored(self, vector: Floats, rows: Ints) -> list[Neighbor]:
        own = np.stack([self._index.get(int(row)) for row in rows]) if len(rows) else np.zeros((0, len(vector) + 1))
        scores = own.reshape(len(rows), -1)[:, :-1] @ vector
        order = np.argsort(-scores, kind="stable")
        return [Neighbor(self._keys[int(rows[i])], float(scores[i])) for i in order]


def open_index(place: str | Path, release: Release, node_type: str) -> VectorIndex:
    """Open the index of a type that was exported from this very release.

    Args:
        place: directory of exports: what ``graphrep export index --out`` was given.

    Raises:
        InputError: there is none of this release, or none of this type, or usearch is not installed.
        StoreError: it is of other bytes than the release, or damaged.
    """
    path = Path(place) / release.release_id
    if not (path / releases.MANIFEST).is_file():
        fix = "run graphrep export index"
        raise InputError(f"an index of {release.release_id}", found="none", where=str(path), fix=fix)
    manifest = files.read_json(path / releases.MANIFEST)
    if manifest[IndexManifest.RELEASE_ID] != release.release_id:
        found = str(manifest[IndexManifest.RELEASE_ID])
        raise StoreError(f"an index of {release.release_id}", found=found, where=str(path), fix="export it again")
    if manifest[IndexManifest.RELEASE_SHA256] != _sha256_of(release):
        raise StoreError("an index of these vectors", found="one of others", where=str(path), fix="export it again")
    if node_type not in manifest[IndexManifest.TYPES]:
        raise InputError(f"one of {sorted(manifest[IndexManifest.TYPES])}", found=repr(node_type), where=str(path))
    names = (f"{node_type}.usearch", f"{node_type}.keys.parquet")
    for name in names:
        if files.sha256(path / name) != manifest[IndexManifest.FILES][name]["sha256"]:
            raise StoreError("the bytes that were exported", found="others", where=str(path / name))
    index = _usearch().Index.restore(str(path / names[0]), view=True)
    index.expansion_search = manifest[IndexManifest.TYPES][node_type]["expansion_search"]  # the file does not hold it
    return VectorIndex(release, node_type, tables.read_file(path / names[1])[Feature.KEY].to_pylist(), index)
