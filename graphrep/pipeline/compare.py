"""Two releases side by side: counts, keys, basis, settings, and how far the vectors of common keys turned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from graphrep.contracts import Manifest
from graphrep.lookup import Release, open_release

SAME = (Manifest.SPACE_ID, Manifest.CONFIG_HASH, Manifest.CODE_HASH, Manifest.CODE_VERSION, Manifest.SEED)
"""Keys of the manifest of which a change is told."""
_BATCH = 65_536


def compare_releases(warehouse: Path, before: str, after: str) -> dict[str, Any]:
    """What changed from one release to another.

    Returns:
        ``from``, ``to``; ``changed``: key of the manifest → both values, where they differ; ``types``: node type →
        ``before`` and ``after`` (keys), ``added``, ``vanished``, ``common``, and ``mean_cosine`` of the common keys'
        vectors, null where there are none, or none of one length. A cosine with a zero vector is 0.

    Raises:
        InputError: there is no such release.
        StoreError: a release is damaged.
    """
    old, new = open_release(warehouse, before), open_release(warehouse, after)
    changed = {key: [old.manifest[key], new.manifest[key]] for key in SAME if old.manifest[key] != new.manifest[key]}
    types = {name: _compare_type(old, new, name) for name in sorted({*old.types, *new.types})}
    return {"from": before, "to": after, "changed": changed, "types": types}


def _compare_type(old: Release, new: Release, node_type: str) -> dict[str, Any]:
    had, has = (r.keys(node_type) if node_type in r.types else [] for r in (old, new))
    known = set(had)
    common = [key for key in has if key in known]
    counts = {"before": len(had), "after": len(has), "added": len(has) - len(common)}
    cosine = _mean_cosine(old, new, node_type, common)
    return {**counts, "vanished": len(had) - len(common), "common": len(common), "mean_cosine": cosine}


def _mean_cosine(old: Release, new: Release, node_type: str, keys: list[str]) -> float | None:
    if not keys:
        return None
    total = 0.0
    for start in range(0, len(keys), _BATCH):
        batch = keys[start : start + _BATCH]
        a, b = (r.get(node_type, batch).vectors.astype(np.float64) for r in (old, new))
        if a.shape != b.shape:
            return None
        total += float(_cosines(a, b).sum())
    return total / len(keys)


def _cosines(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    cosines = np.zeros(len(a))
    np.divide((a * b).sum(axis=1), lengths, out=cosines, where=lengths > 0)
    return cosines
