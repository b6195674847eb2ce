"""What old days leave behind goes: releases, day graphs, panels and scores, old states of the history."""

from __future__ import annotations

import datetime as dt
from typing import Any

from graphrep import vocab
from graphrep.pipeline import history
from graphrep.pipeline.context import Run, add_days
from graphrep.pipeline.due import is_settled
from graphrep.store import erase, files, mirror, releases, retention, runlog, tables

PANELS = (tables.GOLIVE_DAYS, tables.GOLIVE_UPLIFT, tables.GOLIVE_PANEL)
"""What is made of a day for its uplift, that which the others are made from last."""


def maintain(run: Run, *, at: dt.datetime) -> dict[str, Any]:
    """Remove what is older than the settings keep. Done again, it finds nothing; killed, it is done again.

    Days count back from that of the current release, and only those go that were published or judged and held. Their
    manifests stay, so that nobody waits for them; a stage that is run again for such a day finds its files gone and
    makes them anew. Events, edges and the dictionary stay: windows, histories and ids need them.

    Args:
        at: when the command was given, UTC.

    Returns:
        ``releases`` that were removed; ``graphs`` and ``panels``: days whose tables were; ``history``: what
        :func:`~graphrep.pipeline.history.sync` did, None where it is not enabled.

    Raises:
        StoreError: something cannot be removed, or the history or mirror refuses.
    """
    found: dict[str, Any] = {"releases": [], "graphs": [], "panels": [], "history": None}
    pointer = releases.read_pointer(run.warehouse)
    if pointer is None:
        return found
    newest, settings, publish = pointer.release_id[:10], run.config.operations, run.config.publish
    with files.locked(erase.erasure_lock(run.warehouse), shared=True), run.progress.stage("maintain", 3) as step:
        found["releases"] = retention.expire(run.warehouse, publish.keep, publish.pins)
        if found["releases"] and publish.mirror:
            mirror.send(run.warehouse, publish.mirror, at=at)
        step("releases")
        found["graphs"] = _remove_days(run, erase.DAY_GRAPH, add_days(newest, -settings.graph_days))
        found["panels"] = _remove_days(run, PANELS, add_days(newest, -settings.panel_days))
        step("old days")
        if run.config.history.enabled:
            found["history"] = history.sync(run, at=at)
        step("history")
    return found


def _remove_days(run: Run, names: tuple[str, ...], first: str) -> list[str]:
    """Remove the days of these tables before the first that stays; the last table tells what is left to do."""
    there = {ds for name in names for ds in tables.days(run.warehouse / name) if ds < first}
    old = [ds for ds in sorted(there) if is_settled(runlog.read_run(run.warehouse, ds)["stages"])]
    for ds in old:
        with files.locked(run.warehouse / "runs" / ds / f".{vocab.GRAPH}.lock"):
            for name in names:
                files.remove_directory(tables.partition(run.warehouse, name, ds))
    return old
