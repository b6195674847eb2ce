"""A release for stores of others: Redis, a vector index, Feast."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from graphrep import vocab
from graphrep.contracts import Manifest
from graphrep.errors import InputError, PointerMovedError
from graphrep.export import feast, index, redis
from graphrep.export.rows import Rows, as_table, rows_of
from graphrep.lookup import Release, open_release
from graphrep.pipeline.context import Run
from graphrep.store import erase, files, releases, tables

READ_BACK = 1000
"""Rows of each type that are read back before a switch, drawn with the seed."""
DAY_SECONDS = vocab.DAY_MS // 1000


def _rows(run: Run, release: Release) -> dict[str, Rows]:
    """The rows of each type that has any, without erased keys."""
    found = {t: rows_of(release, t, erase.erased(run.warehouse, t)) for t in release.types}
    found = {node_type: rows for node_type, rows in found.items() if rows.keys}
    if not found:
        raise InputError("a release with keys", found="none", where=release.release_id)
    return found


def export_redis(run: Run, url: str, release_id: str | None = None) -> dict[str, Any]:
    """Put a release into Redis and make it the one that is read there. Done again, it is written and switched again.

    Erased keys are denied first. A run that was killed leaves what was served; what it had written vanishes in an hour.

    Args:
        url: such as ``redis://host:6379/0`` or ``unix:///run/redis.sock``.
        release_id: None exports the current one, and only if it still is when all is written.

    Returns:
        ``release_id``, ``before`` (what was read until now), ``rows`` by type.

    Raises:
        InputError: no such release, or redis-py is not installed.
        PointerMovedError: the release or what Redis serves changed meanwhile.
        StoreError: Redis refused, or what is read back is not what was written.
    """
    settings = run.config.export
    client, place = redis.connect(url), redis.Place(settings.redis.prefix)
    release = open_release(run.warehouse, release_id)
    with redis.telling(client):
        before = redis.read_current(client, place)
    chance = np.random.default_rng(run.config.seed)
    for node_type in run.config.nodes:
        redis.deny(client, place, erase.erased(run.warehouse, node_type))
    rows, staged = _rows(run, release), {}
    with run.progress.stage("export redis", len(rows)) as step:
        for node_type, own in rows.items():
            sample = chance.permutation(len(own.keys))[:READ_BACK].tolist()
            staged[node_type] = redis.stage(client, place, own, batch=settings.redis.batch, sample=sample)
            step(node_type)
    _still(run, release, release_id)
    seconds = {node_type: days * DAY_SECONDS for node_type, days in _ttl_days(release, rows).items()}
    redis.switch(client, place, staged, rows, ttl_seconds=seconds, before=before)
    return {
        "release_id": release.release_id,
        "before": before,
        "rows": {node_type: len(own.keys) for node_type, own in rows.items()},
    }


def export_daily(run: Run) -> dict[str, dict[str, Any]]:
    """Put the current release wherever ``export.daily`` says; what was exported already is exported again.

    Returns:
        ``redis``, ``index``, ``feast``, as far as they are wanted → what the export told; empty before the first
        release.
    """
    daily = run.config.export.daily
    found: dict[str, dict[str, Any]] = {}
    if releases.read_pointer(run.warehouse) is None:
        return found  # an erasure, which exports afterwards, may come before the first day
    if daily.redis:
        found["redis"] = export_redis(run, daily.redis)
    if daily.index:
        found["index"] = export_index(run, Path(daily.index), node_types=(vocab.HOST,), queries_of=vocab.USER)
    if daily.feast:
        found["feast"] = export_feast(run, Path(daily.feast))
    return found


def _ttl_days(release: Release, rows: Mapping[str, Rows]) -> dict[str, int]:
    return {node_type: int(release.manifest[Manifest.TTL_DAYS][node_type]) for node_type in rows}


def _still(run: Run, release: Release, named: str | None) -> None:
    """Refuse to switch to what is no longer current, unless it was named."""
    pointer = releases.read_pointer(run.warehouse)
    if named is None and (pointer is None or pointer.release_id != release.release_id):
        found = pointer.release_id if pointer else "none"
        raise PointerMovedError(f"{release.release_id} to be current still", found=found, fix="export again")


def export_index(
    run: Run, out: Path, release_id: str | None = None, *, node_types: tuple[str, ...], queries_of: str
) -> dict[str, Any]:
    """Write a vector index of each type into ``<out>/<release>/``, which appears whole.

    Args:
        node_types: to index.
        queries_of: the type whose vectors will ask.

    Returns:
        The manifest that lies beside the indexes: ``index_manifest_v1``.

    Raises:
        InputError: no such release or type, or usearch is not installed.
        StoreError: an index finds less than ``export.index.min_recall``.
    """
    release = open_release(run.warehouse, release_id)
    unknown = sorted({*node_types, queries_of} - set(release.types))
    if unknown or not node_types:
        raise InputError(f"types among {release.types}", found=str(unknown or "none"), where=release.release_id)
    asking = rows_of(release, queries_of, erase.erased(run.warehouse, queries_of))
    settings = index.Settings(**run.config.export.index.model_dump())
    with (
        run.progress.stage("export index", len(node_types)) as step,
        files.staged_directory(out / release.release_id) as staging,
    ):
        types = {}
        for node_type in node_types:
            rows = rows_of(release, node_type, erase.erased(run.warehouse, node_type))
            types[node_type] = index.write_index(staging, rows, asking, settings, seed=run.config.seed)
            step(node_type)
        manifest = index.manifest_of(staging, release, types)
        files.write_json(staging / releases.MANIFEST, manifest)
        files.flush_files(staging)
    _remove_former(out, release)
    return manifest


def _remove_former(out: Path, release: Release) -> None:
    """What was exported of a release before an erasure made it anew still holds the erased keys."""
    for former in release.manifest[Manifest.ERASURE].get(releases.FORMER, []):
        files.remove_directory(out / former)


def export_feast(run: Run, out: Path, release_id: str | None = None) -> dict[str, Any]:
    """Write a Feast repository, or point the one that lies there at another release. The definitions change last.

    Args:
        out: directory of ``feature_store.yaml`` and ``definitions.py``; rows lie in ``releases/<release>/``.

    Returns:
        ``release_id``, ``rows`` by type, ``timestamp``: the moment that the rows are of, ISO.

    Raises:
        InputError: no such release.
        StoreError: the directory cannot be written.
    """
    release = open_release(run.warehouse, release_id)
    rows = _rows(run, release)
    moment = dt.datetime.fromisoformat(release.release_id[:10]).replace(tzinfo=dt.UTC) + dt.timedelta(days=1)
    with (
        run.progress.stage("export feast", len(rows)) as step,
        files.staged_directory(out / feast.RELEASES / release.release_id) as staging,
    ):
        for node_type, own in rows.items():
            tables.save_parquet(staging / f"{node_type}.parquet", feast.with_times(as_table(own), moment))
            step(node_type)
        files.flush_files(staging)
    ttl = _ttl_days(release, rows)
    if not (out / feast.STORE).exists():  # the operator's to change: where the registry and the online store are
        files.put_text(out / feast.STORE, feast.store_yaml(run.config.name))
    files.put_text(out / feast.DEFINITIONS, feast.definitions(release.release_id, release.space_id, ttl))
    _remove_former(out / feast.RELEASES, release)
    return {
        "release_id": release.release_id,
        "rows": {node_type: len(own.keys) for node_type, own in rows.items()},
        "timestamp": moment.isoformat(),
    }
