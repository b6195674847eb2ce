"""The history of releases in Iceberg tables: brought up to the pointer, shown, kept within its age, rid of keys."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from graphrep.config import HistorySettings
from graphrep.contracts import EMBEDDING, HISTORY, Embedding, History, Manifest, check_table, key_hash
from graphrep.errors import InputError, StoreError
from graphrep.lookup import open_release
from graphrep.pipeline.context import Run, add_days
from graphrep.store import erase as erasures
from graphrep.store import files, history, history_commit, history_sweep, releases, tables


def sync(run: Run, ds: str | None = None, *, at: dt.datetime) -> dict[str, Any]:
    """Bring the tables up to the pointer. Done again, it writes nothing; killed, it is done again.

    The pointer's day holds the pointer's release, each day before it the newest release that was not withdrawn. A day
    of a withdrawn release that has no other is taken out. The tables may lag: a reader who needs the newest day asks
    the pointer. Keys of the ledger of erasures are left out, whatever the release holds.

    Args:
        ds: one day alone; None brings all up to date and removes what is too old.
        at: when the command was given, UTC.

    Returns:
        ``written``: type → days, ``dropped``: type → days, ``states`` and ``files`` that were removed.

    Raises:
        InputError: nothing is published, the day has no release, or pyiceberg is not installed.
        StoreError: a release is damaged, the catalog refuses, or others won every race.
    """
    due = _due(run, ds)
    found: dict[str, Any] = {"written": {}, "dropped": {}, "states": 0, "files": 0}
    with (
        files.locked(history.history_lock(run.warehouse), shared=True),
        history.open_catalog(run.warehouse, run.config.history.catalog_name, run.config.history.catalog) as catalog,
        run.progress.stage("history", len(due)) as step,
    ):
        for day, release_id in due.items():
            for node_type in _write_day(run, catalog, release_id):
                found["written"].setdefault(node_type, []).append(day)
            step(day)
        if ds is None:
            _maintain(run, catalog, found, max(due), at)
    return found


def _due(run: Run, ds: str | None) -> dict[str, str]:
    """Day → the release that stands for it."""
    pointer = releases.read_pointer(run.warehouse)
    if pointer is None:
        raise InputError("a published release", found="none", where=str(run.warehouse), fix="run graphrep run first")
    gone = releases.withdrawn(run.warehouse)
    newest = pointer.release_id[:10]
    first = add_days(newest, -run.config.history.keep_days)
    known = [r for r in releases.list_releases(run.warehouse) if r not in gone and first <= r[:10] < newest]
    due = {r[:10]: r for r in known} | {newest: pointer.release_id}
    if ds is None:
        return due
    if ds not in due:
        raise InputError(f"a day with a release that was not withdrawn, of {sorted(due)}", found=ds, where="--ds")
    return {ds: due[ds]}


def _write_day(run: Run, catalog: Any, release_id: str) -> list[str]:
    """Types whose table was written."""
    namespace = run.config.history.namespace
    types = sorted(releases.read_manifest(run.warehouse, release_id)[Manifest.NODE_TYPES])
    there = history.node_types(catalog, namespace)
    written = []
    for node_type in types:
        if node_type in there:
            held = history.held_days(history.open_table(catalog, namespace, node_type)).get(release_id[:10])
            if held and held.release_id == release_id:
                continue
        rows = _rows(run, release_id, node_type)
        if rows.num_rows and history_commit.put_day(catalog, namespace, node_type, rows):
            written.append(node_type)
    return written


def _rows(run: Run, release_id: str, node_type: str) -> pa.Table:
    """The rows of ``history_v1`` that a release has of a type, but for erased keys."""
    release = open_release(run.warehouse, release_id)
    path = releases.release_path(run.warehouse, release_id) / f"{node_type}.parquet"
    if files.sha256(path) != release.manifest[Manifest.FILES][path.name]["sha256"]:
        raise StoreError("the bytes that were published", found="others", where=str(path))
    read = tables.read_file(path)
    check_table(read, EMBEDDING)
    keys = read[Embedding.KEY].to_pylist()
    columns = {
        History.DS: read[Embedding.DS],
        History.RELEASE_ID: pa.array([release_id] * len(keys), pa.string()),
        History.SPACE_ID: pa.array([release.space_id] * len(keys), pa.string()),
        History.KEY: read[Embedding.KEY],
        History.VECTOR: read[Embedding.VECTOR],
        History.DEGREE: read[Embedding.DEGREE],
        History.LAST_DS: read[Embedding.LAST_DS],
        History.SOURCE: pa.array(release.get(node_type, keys).source.tolist(), pa.string()),
    }
    rows = pa.table(columns, schema=HISTORY.schema).combine_chunks()
    erased = erasures.erased(run.warehouse, node_type)
    return rows.filter(pa.array([key_hash(node_type, key) not in erased for key in keys])) if erased else rows


def _maintain(run: Run, catalog: Any, found: dict[str, Any], newest: str, at: dt.datetime) -> None:
    settings = run.config.history
    gone = releases.withdrawn(run.warehouse)
    first = add_days(newest, -settings.keep_days)

    def unwanted(day: history.HeldDay) -> bool:
        return day.ds < first or day.release_id in gone

    for node_type in history.node_types(catalog, settings.namespace):
        if dropped := history_sweep.drop_days(catalog, settings.namespace, node_type, unwanted):
            found["dropped"][node_type] = dropped
        where = (catalog, settings.namespace, node_type)
        found["states"] += history_sweep.expire(*where, before=at - dt.timedelta(days=settings.state_days))
        found["files"] += history_sweep.sweep(*where, before=at - dt.timedelta(hours=settings.orphan_hours))


def show(run: Run) -> dict[str, Any]:
    """What the tables hold: type → day → release, rows; and how far they lag the pointer.

    Raises:
        InputError: there is no history.
    """
    settings = run.config.history
    if not has_history(run):
        fix = "run graphrep history sync"
        raise InputError("a history", found="none", where=str(run.warehouse / history.HISTORY_DIR), fix=fix)
    pointer = releases.read_pointer(run.warehouse)
    with history.open_catalog(run.warehouse, settings.catalog_name, settings.catalog) as catalog:
        days = {
            node_type: [
                {"ds": day.ds, "release_id": day.release_id, "rows": day.rows}
                for day in history.held_days(history.open_table(catalog, settings.namespace, node_type)).values()
            ]
            for node_type in history.node_types(catalog, settings.namespace)
        }
    return {"current": pointer and pointer.release_id, "tables": days}


def has_history(run: Run) -> bool:
    """Is there a catalog of others, or a database in ``history/``?"""
    return bool(run.config.history.catalog) or (run.warehouse / history.HISTORY_DIR / "catalog.db").is_file()


def erase(run: Run, keys: Mapping[str, Sequence[str]], *, at: dt.datetime) -> dict[str, int]:
    """Erase keys from the history, bytes and all: days written anew, older states expired, lost files removed.

    Readers of older states lose them. On the own SQLite catalog no other writer is at work meanwhile, so that files
    of killed ones go at once; on a shared catalog they stay until they are ``history.orphan_hours`` old, and what
    somebody else is writing now must be erased again.

    Returns:
        Type → rows that were left out.
    """
    settings: HistorySettings = run.config.history
    if not has_history(run):
        return {}
    left_out: dict[str, int] = {}
    with (
        files.locked(history.history_lock(run.warehouse)),
        history.open_catalog(run.warehouse, settings.catalog_name, settings.catalog) as catalog,
    ):
        alone = not settings.catalog
        for node_type in sorted(set(keys) & set(history.node_types(catalog, settings.namespace))):
            where = (catalog, settings.namespace, node_type)
            if rows := history_sweep.erase_keys(*where, keys[node_type]):
                left_out[node_type] = rows
            history_sweep.expire(*where, before=None)
            soon = dt.datetime.max.replace(tzinfo=dt.UTC)
            history_sweep.sweep(*where, before=soon if alone else at - dt.timedelta(hours=settings.orphan_hours))
    return left_out
