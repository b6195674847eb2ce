"""Erasure of keys: out of the dictionary, the working tables, the day graphs and releases, and never in again."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from graphrep.config import Config
from graphrep.errors import InputError
from graphrep.lookup.denied import rows_of
from graphrep.pipeline import history
from graphrep.pipeline.context import Run, add_days
from graphrep.pipeline.erase_releases import erase_releases
from graphrep.pipeline.ids import dictionary_lock
from graphrep.pipeline.pseudonyms import warehouse_keys
from graphrep.store import erase as store
from graphrep.store import files, tables
from graphrep.store.denied import deny
from graphrep.store.mentions import Wanted


def erase(run: Run, keys: Mapping[str, Sequence[str]], *, at: dt.datetime) -> dict[str, Any]:
    """Erase keys from the warehouse. Done again, it finds nothing and changes no byte; killed, it is done again.

    First the hashes of the keys enter the ledger, also of keys that were never met, so that no log that is delivered
    or run again brings them back, and readers that follow deny them from then on. Then the dictionary's rows become
    tombstones, the working tables lose the rows that name a key, and a day graph that holds one is removed with its
    vectors: the day's next run makes it anew.
    Then every release that holds one is made anew without it (:mod:`graphrep.pipeline.erase_releases`), and the history
    loses the rows, and every older state of its tables.

    Sums over many users that name none of them keep what an erased user added until they leave the window, and what
    was trained on them is begun from for ``embed.cold_every_days`` more: the record's ``horizon``. Raw logs are not
    touched.

    Args:
        keys: node type → keys, as the logs have them; where the warehouse has pseudonyms, those are looked for.
        at: when the command was given, UTC.

    Returns:
        ``keys`` asked for by type, ``remembered`` (new in the ledger), ``dictionary`` (new tombstones), ``rows`` erased
        by table, ``graphs`` (days removed), ``releases``: :func:`~graphrep.pipeline.erase_releases.erase_releases`;
        ``history`` (rows erased by type); ``horizon``: ``served``, the first data day whose release owes nothing to the
        keys, and ``kept``, for how many releases more those before it stay.

    Raises:
        InputError: there is no warehouse, or a type that the configuration does not have.
        StoreError: a file is damaged; nothing before it has to be done again.
        PointerMovedError: somebody moved the pointer meanwhile; run it again.
    """
    _check(run, keys)
    keys = warehouse_keys(run, keys)
    warehouse = run.warehouse
    paths = {name: run.config.relations[t.relations[0]].src for name, t in run.config.transitions.items()}
    wanted = Wanted(keys, run.config.nodes, paths)
    with files.locked(store.erasure_lock(warehouse)), run.progress.stage("erase", 5) as step:
        store.remove_leftovers(warehouse)
        with files.locked(dictionary_lock(warehouse)):
            remembered = store.remember(warehouse, keys, at.date().isoformat())
            deny(warehouse, rows_of(keys))
            tombstones = store.rewrite(warehouse / tables.IDS, wanted, store.with_tombstones)
        step("dictionary")
        rows = {
            name: store.rewrite(warehouse / name, wanted, store.without_rows)
            for name in store.working_tables(warehouse)
        }
        step("working tables")
        graphs = _remove_graphs(run, wanted)
        step("day graphs")
        released = erase_releases(run, keys, at=at)
        step("releases")
        in_history = history.erase(run, keys, at=at)
        step("history")
    return {
        "keys": {node_type: len(own) for node_type, own in keys.items()},
        "remembered": remembered,
        "dictionary": tombstones,
        "rows": {name: count for name, count in rows.items() if count},
        "graphs": graphs,
        "releases": released,
        "history": in_history,
        "horizon": horizon(run.config, store.erased_on(warehouse, keys) or at.date().isoformat()),
    }


def horizon(config: Config, erased_ds: str) -> dict[str, Any]:
    """When the influence of a key is gone that was erased on a day.

    On that day and before, transitions were summed over all users, and stay inside the window for its length; a
    training from the walk on the last such day is begun from until the next start from the walk.

    Returns:
        ``served``: the first data day (YYYY-MM-DD) whose release owes nothing to the key; ``kept``: ``publish.keep``,
        for how many releases those before it are kept.
    """
    sums = max((transition.window_days for transition in config.transitions.values()), default=0)
    begun = config.embed.cold_every_days if config.embed.learns else 1
    return {"served": add_days(erased_ds, sums + begun), "kept": config.publish.keep}


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
