"""Stage ``edges``: the events of one day → its edges and nodes."""

from __future__ import annotations

from typing import Any

from graphrep import __version__, vocab
from graphrep.config import Config
from graphrep.contracts import EDGE, LOG_EVENT, NODE_DAY, Edge
from graphrep.errors import InputError
from graphrep.pipeline.context import Run, fingerprint
from graphrep.store import runlog, tables

SETTINGS = "settings"
DAILY_FIELDS = {"domain", "actions", "src", "dst", "sign", "strength", "prior_support"}
"""What a day's edges depend on; half-life, window, cap and weight act later, so changing them keeps the days."""


def run_edges(run: Run, ds: str) -> dict[str, Any]:
    """Write the daily edges and nodes of one day whose logs are done.

    Raises:
        InputError: the day's logs have not run.
    """
    run.check_ds(ds)
    done_logs = runlog.read_stage(run.warehouse, ds, vocab.LOGS)
    if not done_logs or runlog.FINGERPRINT not in done_logs:
        raise InputError(f"the checked logs of {ds}", found="none", fix=f"run graphrep logs --ds {ds} first")
    print_of_inputs = fingerprint(done_logs["content"], daily_settings(run.config))
    done = runlog.read_stage(run.warehouse, ds, vocab.EDGES)
    if done and done.get(runlog.FINGERPRINT) == print_of_inputs and _written(run, ds):
        return done
    with run.progress.stage(f"edges {ds}", 2) as step:
        from graphrep import edges
        from graphrep.store.spark import read_frames, write_frame

        events = read_frames(run.spark, [tables.partition(run.warehouse, tables.EVENTS, ds)], LOG_EVENT)
        daily = edges.daily_edges(events, run.config.relations, run.config.nodes)
        write_frame(daily, tables.partition(run.warehouse, tables.EDGES, ds), EDGE)
        step("edges")
        nodes = edges.daily_nodes(events, run.config.nodes)
        write_frame(nodes, tables.partition(run.warehouse, tables.NODE_DAYS, ds), NODE_DAY)
        step("nodes")
    record = {
        runlog.FINGERPRINT: print_of_inputs,
        SETTINGS: daily_settings(run.config),
        "edges": _count_by_relation(run, ds),
    }
    runlog.record_stage(run.warehouse, ds, vocab.EDGES, record)
    return record


def daily_settings(config: Config) -> str:
    """Hash of the settings and the code version that a day's edges depend on: days of one window must share it."""
    relations = {name: r.model_dump(mode="json", include=DAILY_FIELDS) for name, r in config.relations.items()}
    return fingerprint(relations, config.fingerprint("nodes"), __version__)


def _written(run: Run, ds: str) -> bool:
    return all(tables.partition(run.warehouse, t, ds).is_dir() for t in (tables.EDGES, tables.NODE_DAYS))


def _count_by_relation(run: Run, ds: str) -> dict[str, int]:
    path = tables.partition(run.warehouse, tables.EDGES, ds)
    found = tables.count_by(path, Edge.RELATION)
    return {name: found.get(name, 0) for name in run.config.relations}
