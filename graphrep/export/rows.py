"""What a release holds of a type, as a lookup answers it; erased keys left out."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from graphrep.contracts import FEATURE, Feature, key_hash
from graphrep.lookup import Hit, Release

_NO_KEY = "\0 no key of anybody"
"""Holds a NUL, which logs refuse: asked for what an unknown key is told."""


@dataclass(frozen=True, slots=True)
class Rows:
    """The keys of one node type in the release's order, and the answer for them.

    Attributes:
        keys: n outside keys.
        hit: of n rows; all are found.
        prior: (d,) float32, the answer for a key that the release does not hold.
    """

    release_id: str
    space_id: str
    node_type: str
    keys: list[str]
    hit: Hit
    prior: npt.NDArray[np.float32]

    @property
    def dim(self) -> int:
        return int(self.hit.vectors.shape[1])


def rows_of(release: Release, node_type: str, erased: Collection[str] = ()) -> Rows:
    """Everything that a release answers for a type.

    Args:
        erased: hashes of the ledger of erasures, :func:`graphrep.contracts.key_hash`; keys of theirs are left out.
    """
    keys = release.keys(node_type)
    if erased:
        gone = frozenset(erased)
        keys = [key for key in keys if key_hash(node_type, key) not in gone]
    prior = release.get(node_type, [_NO_KEY]).vectors[0]
    return Rows(release.release_id, release.space_id, node_type, keys, release.get(node_type, keys), prior)


def as_table(rows: Rows) -> pa.Table:
    """The rows as ``feature_v1``."""
    count, dim = rows.hit.vectors.shape
    offsets = pa.array(np.arange(0, count * dim + 1, dim, dtype=np.int32))
    columns = {
        Feature.KEY: pa.array(rows.keys, pa.string()),
        Feature.RELEASE_ID: pa.array([rows.release_id] * count, pa.string()),
        Feature.SPACE_ID: pa.array([rows.space_id] * count, pa.string()),
        Feature.VECTOR: pa.ListArray.from_arrays(offsets, pa.array(rows.hit.vectors.reshape(-1))),
        Feature.DEGREE: pa.array(rows.hit.degree, pa.int64()),
        Feature.AGE_DAYS: pa.array(rows.hit.age_days, pa.int32()),
        Feature.SOURCE: pa.array(rows.hit.source.tolist(), pa.string()),
        Feature.FALLBACK: pa.array(rows.hit.fallback.astype(np.int32)),
    }
    return pa.table(columns, schema=FEATURE.schema)
