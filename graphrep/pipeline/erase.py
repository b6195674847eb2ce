"""Erasure of keys: out of the dictionary, the working tables and the day graphs, and never in again."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from graphrep.errors import InputError, StoreError
from graphrep.lookup import open_release
from graphrep.pipeline.context import Run
from graphrep.pipeline.ids import dictionary_lock
from graphrep.store import erase as store
from graphrep.store import files, releases, tables
from graphrep.store.mentions import Wanted


def erase(run: Run, keys: Mapping[str, Sequence[str]], *, at: dt.datetime) -> dict[str, Any]:
    """Erase keys from the warehouse. Done again, it finds nothing and changes no byte; killed, it is done again.

    First the hashes of the keys enter the ledger, also of keys that were never met, so that no log that is delivered
    or run again brings them back. Then the dictionary's rows become tombstones, the working tables lose the rows that
    name a key, and a day graph that holds one is removed with its vectors: the day's next run makes it anew.
    Sums over many users that name none of them keep what an erased user added, until they leave the window.

    Raw logs and releases are not touched: the record says which releases hold a key.

    Args:
        keys: node type → keys.
        at: when the command was given, UTC.

    Returns:
        ``keys`` asked for by type, ``remembered`` (new in the ledger), ``dictionary`` (new tombstones), ``rows`` erased
        by table, ``graphs`` (days removed), ``releases``: id → keys held by type, ``unreadable`` releases.

    Raises:
        InputError: there is no warehouse, or a type that the configuration does not have.
        StoreError: a file is damaged; nothing before it has to be done again.
    """
    _check(run, keys)
    warehouse = run.warehouse
    paths = {name: run.config.relations[t.relations[0]].src for name, t in run.config.transitions.items()}
    wanted = Wanted(keys, run.config.nodes, paths)
    with files.locked(store.erasure_lock(warehouse)), run.progress.stage("erase", 3) as step:
        store.remove_leftovers(warehouse)
        with files.locked(dictionary_lock(warehouse)):
            remembered = store.remember(warehouse, keys, at.date().isoformat())
            tombstones = store.rewrite(warehouse / tables.IDS, wanted, store.with_tombstones)
        step("dictionary")
        rows = {
            name: store.rewrite(warehouse / name, wanted, store.without_rows)
            for name in store.working_tables(warehouse)
        }
        step("working tables")
        graphs = _remove_graphs(run, wanted)
        step("day graphs")
    held, unreadable = _held_by_releases(run, keys)
    return {
        "keys": {node_type: len(own) for node_type, own in keys.items()},
        "remembered": remembered,
        "dictionary": tombstones,
        "rows": {name: count for name, count in rows.items() if count},
        "graphs": graphs,
        "releases": held,
        "unreadable": unreadable,
    }


def _check(run: Run, keys: Mapping[str, Sequence[str]]) -> None:
    if not run.warehouse.is_dir():
        raise InputError("a warehouse", found="no directory", where=str(run.warehouse))
    unknown = sorted(set(keys) - set(run.config.nodes))
    if unknown:
        raise InputError(f"node types among {sorted(run.config.nodes)}", found=str(unknown))


def _remove_graphs(run: Run, wanted: Wanted) -> list[str]:
    root = run.warehouse / tables.NODES
    found = [ds for ds in tables.days(root) if store.count(tables.day_of(root, ds), wanted)]
    for ds in found:
        store.remove_day_graph(run.warehouse, ds)
    return found


def _held_by_releases(run: Run, keys: Mapping[str, Sequence[str]]) -> tuple[dict[str, dict[str, int]], list[str]]:
    """Keys that each release holds, by type; and the releases that cannot be read, which may hold any."""
    held: dict[str, dict[str, int]] = {}
    unreadable = []
    for release_id in releases.list_releases(run.warehouse):
        try:
            release = open_release(run.warehouse, release_id)
            counts = {t: int(release.get(t, own).found.sum()) for t, own in keys.items() if t in release.types}
        except StoreError:
            unreadable.append(release_id)
            continue
        if found := {node_type: count for node_type, count in counts.items() if count}:
            held[release_id] = found
    return held, unreadable
