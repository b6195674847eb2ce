"""A small release without Spark: the manifest's keys with plain values, and files of every kind."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from graphrep import vocab
from graphrep.contracts import Manifest
from graphrep.lookup import reader
from graphrep.lookup.keys import ROWS, arrange
from graphrep.store import releases

AT = dt.datetime(2026, 3, 2, 4, 30, tzinfo=dt.UTC)


def whole_content(ds: str, **own: Any) -> dict[str, Any]:
    """Every key that ``stage_release`` wants, those that are not given with plain values."""
    content: dict[str, Any] = {
        Manifest.DS: ds,
        Manifest.SPACE_ID: "s",
        Manifest.NEW_SPACE: True,
        Manifest.PARENT: None,
        Manifest.WINDOW: [ds, ds],
        Manifest.SEED: 0,
        Manifest.CONFIG_HASH: "c0",
        Manifest.CODE_VERSION: "0",
        Manifest.CODE_HASH: "c1",
        Manifest.INPUTS: {},
        Manifest.NODE_TYPES: {},
        Manifest.METRICS: None,
        Manifest.GATE: {"colour": "green", "reasons": [], "checks": [], "approval": None},
        Manifest.ALIGNMENT: None,
        Manifest.MODEL: {"name": "none"},
        Manifest.MAPS: {},
        Manifest.ERASURE: {"count": 0, "sha256": ""},
        **own,
    }
    return {Manifest.TTL_DAYS: dict.fromkeys(content[Manifest.NODE_TYPES], 7), **content}


def write_type(path: Path, node_type: str, vectors: Mapping[str, Any]) -> None:
    """Key → vector, as the arrays that a reader maps and a Parquet file of the same rows."""
    order, arrays = arrange(list(vectors))
    keys = [list(vectors)[i] for i in order]
    rows = np.array([vectors[key] for key in keys], dtype=np.float32)
    arrays[ROWS]["scale"] = 1
    arrays[ROWS]["source"] = vocab.SOURCES.index(vocab.OWN)
    arrays |= {reader.VECTORS: rows, reader.PRIOR: rows.mean(axis=0)}
    for name, array in arrays.items():
        np.save(path / f"{node_type}.{name}.npy", array)
    table = pa.table({"key": keys, "vector": rows.tolist()})
    pq.write_table(table, path / f"{node_type}.parquet", write_page_checksum=True)


def made(ds: str, seed: int, **own: Any) -> tuple[dict[str, Any], Callable[[Path], None]]:
    """What ``stage_release`` is given: users and hosts whose vectors all hold the seed as their first number."""

    def write(path: Path) -> None:
        for node_type, count in (("user", 7), ("host", 3)):
            noise = np.random.default_rng(seed).normal(size=(count, 4))
            noise[:, 0] = seed
            write_type(path, node_type, {f"{node_type}{i}": row for i, row in enumerate(noise)})

    counts = {"user": {"count": 7, "dim": 4}, "host": {"count": 3, "dim": 4}}
    return whole_content(ds, **{Manifest.SEED: seed, Manifest.NODE_TYPES: counts, **own}), write


def publish_made(warehouse: Path, ds: str, seed: int, **own: Any) -> str:
    """Stage such a release and make it current."""
    seen = releases.read_pointer(warehouse)
    release_id, _ = releases.stage_release(warehouse, *made(ds, seed, **own))
    releases.switch(warehouse, release_id, expected=seen, action=releases.PUBLISH, at=AT)
    return release_id
