"""Erasure from releases, which never change: each that holds a key is made anew without it, and the old one goes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from graphrep.contracts import Embedding, Manifest
from graphrep.contracts.uplift_scores import Score
from graphrep.errors import GraphrepError, StoreError
from graphrep.lookup import Release, open_release, uplift
from graphrep.lookup.keys import KEY_ARRAYS, ROW, ROWS, KeyTable, arrange
from graphrep.lookup.reader import PRIOR, VECTORS
from graphrep.pipeline import uplift_release
from graphrep.pipeline.context import Run
from graphrep.store import erase as store
from graphrep.store import mirror, releases, retention, tables

Held = dict[str, set[str]]
"""Node type → the wanted keys that a release holds; ``golive_uplift`` → the hosts among them that it has scores of."""

_MADE_HERE = (Manifest.SCHEMA, Manifest.RELEASE_ID, Manifest.FILES, Manifest.SHA256)


def erase_releases(run: Run, keys: Mapping[str, Sequence[str]], *, at: dt.datetime) -> dict[str, Any]:
    """Take keys out of every kept release, for a caller who holds the lock of erasures.

    A release that holds one is made anew under the next attempt of its day: the other rows, space, gate and lineage as
    they were; ``erasure`` in its manifest tells the ids that it had before. If it was current the pointer moves to the
    new one; then the old directory is removed, pinned by a reader or not. An attempt that a later one of its day has
    replaced is removed only. What a rollback withdrew stays withdrawn. Killed, it is done again. The mirror follows.

    Returns:
        ``renewed``: id → new id; ``removed`` ids; ``held``: id → keys found by type; ``unreadable``: ids of releases
        that are damaged or of another version, which may hold any.

    Raises:
        PointerMovedError: somebody moved the pointer meanwhile.
        StoreError: a release cannot be made anew.
    """
    warehouse = run.warehouse
    held, unreadable = _holders(warehouse, keys)
    withdrawn = releases.withdrawn(warehouse)
    sound = [r for r in releases.list_releases(warehouse) if r not in withdrawn and r not in unreadable]
    renewed, removed = {}, []
    for release_id, found in held.items():
        current = releases.read_pointer(warehouse)
        is_current = current is not None and current.release_id == release_id
        later = [r for r in sound if r[:10] == release_id[:10] and releases.order(r) > releases.order(release_id)]
        if later and not is_current:
            removed.append(release_id)
        else:
            renewed[release_id] = _renew(warehouse, release_id, found)
            if is_current:
                releases.switch(warehouse, renewed[release_id], expected=current, action=releases.ERASE, at=at)
        retention.remove(warehouse, release_id, pinned=True)
    if held and run.config.publish.mirror:
        mirror.send(warehouse, run.config.publish.mirror, at=at)
    counts = {r: {t: len(own) for t, own in found.items()} for r, found in held.items()}
    return {"renewed": renewed, "removed": removed, "held": counts, "unreadable": unreadable}


def _holders(warehouse: Path, keys: Mapping[str, Sequence[str]]) -> tuple[dict[str, Held], list[str]]:
    held, unreadable = {}, []
    for release_id in releases.list_releases(warehouse):
        try:
            release = open_release(warehouse, release_id, verify=True)
            found = {t: _known(release.table(t).keys, own) for t, own in keys.items() if t in release.types}
            if (scored := release.uplift_table) is not None:
                hosts = [key for t in scored.about["node_types"] for key in keys.get(t, ())]
                found[uplift.NAME] = _known(scored.keys, hosts)
        except GraphrepError:
            unreadable.append(release_id)
            continue
        if own := {t: hits for t, hits in found.items() if hits}:
            held[release_id] = own
    return held, unreadable


def _known(table: KeyTable, keys: Sequence[str]) -> set[str]:
    rows = table.rows(keys)
    return {key for key, row in zip(keys, rows.tolist(), strict=True) if row >= 0}


def _renew(warehouse: Path, release_id: str, erased: Held) -> str:
    """The id of a release with all rows but these."""
    release = open_release(warehouse, release_id)
    manifest = release.manifest
    counts = {
        t: {**own, "count": own["count"] - len(erased.get(t, ()))} for t, own in manifest[Manifest.NODE_TYPES].items()
    }
    former = [*manifest[Manifest.ERASURE].get(releases.FORMER, []), release_id]
    content = {
        **{name: value for name, value in manifest.items() if name not in _MADE_HERE},
        Manifest.NODE_TYPES: counts,
        Manifest.ERASURE: {**store.watermark(warehouse), releases.FORMER: former},
    }
    if gone := erased.get(uplift.NAME):
        content[Manifest.UPLIFT] = _without(manifest[Manifest.UPLIFT], _scores(release), gone)
    return releases.stage_release(warehouse, content, lambda path: _write(release, path, erased))[0]


def _without(about: Mapping[str, Any], scores: pa.Table, gone: set[str]) -> dict[str, Any]:
    """What the manifest says of the uplift, once the scores of some hosts are gone."""
    left = uplift_release.without_hosts(scores, gone)
    return {**about, "hosts": len(set(left[Score.HOST].to_pylist())), "columns": uplift_release.columns_of(left)}


def _scores(release: Release) -> pa.Table:
    path = releases.release_path(release.warehouse, release.release_id)
    return tables.read_file(path / f"{uplift.NAME}.parquet")


def _write(release: Release, path: Path, erased: Held) -> None:
    """Fill a directory with the files of a release: those of types that lose a key anew, all others as they are."""
    there = releases.release_path(release.warehouse, release.release_id)
    names = set(release.manifest[Manifest.FILES])
    for node_type, gone in erased.items():
        own = {f"{node_type}.{name}.npy" for name in (*KEY_ARRAYS, VECTORS, PRIOR)} | {f"{node_type}.parquet"}
        if node_type == uplift.NAME:
            own = set(uplift_release.FILES)
        unknown = sorted(name for name in names - own if name.split(".")[0] == node_type)
        if unknown or not own <= names:
            fix = "remove the release, or erase with the graphrep that made it"
            raise StoreError(f"{sorted(own)} of {node_type}", found=str(unknown), where=str(there), fix=fix)
        names -= own
        if node_type == uplift.NAME:
            uplift_release.write_uplift(path, uplift_release.without_hosts(_scores(release), gone))
        else:
            _write_type(release, path, node_type, gone)
    store.copy_files(there, path, sorted(names))


def _write_type(release: Release, path: Path, node_type: str, gone: set[str]) -> None:
    table, old = release.table(node_type), tables.read_file(_parquet(release, node_type))
    keys = table.keys.keys()
    if old[Embedding.KEY].to_pylist() != keys:
        raise StoreError("the same keys in arrays and table", found="others", where=str(_parquet(release, node_type)))
    left = np.array([row for row, key in enumerate(keys) if key not in gone], dtype=np.int64)
    order, arrays = arrange([keys[row] for row in left])
    rows = left[order]
    for name in set(ROW.names or ()) - {"key", "key_bytes"}:
        arrays[ROWS][name] = table.keys.records[name][rows]
    arrays |= {VECTORS: np.asarray(table.vectors[rows]), PRIOR: table.prior}
    tables.save_arrays(path, {f"{node_type}.{name}": array for name, array in arrays.items()})
    tables.save_parquet(path / f"{node_type}.parquet", old.take(pa.array(rows)))


def _parquet(release: Release, node_type: str) -> Path:
    return releases.release_path(release.warehouse, release.release_id) / f"{node_type}.parquet"
