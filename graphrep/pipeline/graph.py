"""Stage ``graph``: the daily edges of the window → stable ids, adjacency, active nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graphrep import __version__, vocab
from graphrep.contracts import ADJACENCY, EDGE, NODE, NODE_ACTIVITY, NODE_DAY, NodeActivity
from graphrep.errors import InputError
from graphrep.pipeline.context import Run, add_days, fingerprint
from graphrep.pipeline.edges import SETTINGS, daily_settings
from graphrep.pipeline.logs import raw_days
from graphrep.pipeline.window import DayWindow, plan_window
from graphrep.store import files, runlog, tables

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

SECTIONS = ("nodes", "relations", "holdout_days")


def window_of(run: Run, ds: str) -> DayWindow:
    """The days that the graph of this day is made of."""
    config = run.config
    reach = add_days(ds, -config.holdout_days + 1 - config.window_days)
    found = {}
    for name, table in config.logs.tables.items():
        days = raw_days(run, name)
        # A stray early time in a pool begins no history.
        found[name] = (days if table.partitioned else [day for day in days if day >= reach], table.required)
    return plan_window(ds, window_days=config.window_days, holdout_days=config.holdout_days, tables=found)


def run_graph(run: Run, ds: str) -> dict[str, Any]:
    """Merge the window's daily edges, extend the dictionary, write adjacency and active nodes.

    Raises:
        InputError: an edge table of the window is missing, or the window has no edge.
    """
    run.check_ds(ds)
    window = window_of(run, ds)
    days = {day: _edges_fingerprint(run, day) for day in window.days}
    print_of_inputs = fingerprint(days, run.config.fingerprint(*SECTIONS), __version__)
    done = runlog.read_stage(run.warehouse, ds, vocab.GRAPH)
    if done and done.get(runlog.FINGERPRINT) == print_of_inputs and _written(run, ds):
        return done
    with run.progress.stage(f"graph {ds}", 3) as step:
        counts = _build(run, ds, window, step)
    if not sum(counts["edges"].values()):
        raise InputError("at least one edge in the window", found="none", where=f"{window.first} to {window.last}")
    record = {
        runlog.FINGERPRINT: print_of_inputs,
        "window": [window.first, window.last],
        "label_day": window.label_day,
        "inputs": days,
        **counts,
    }
    runlog.record_stage(run.warehouse, ds, vocab.GRAPH, record)
    return record


def _edges_fingerprint(run: Run, day: str) -> str:
    done = runlog.read_stage(run.warehouse, day, vocab.EDGES)
    wanted = f"the daily edges of {day}, made with today's relations"
    fix = "make the window's days anew: graphrep run --to edges"
    if not done:
        raise InputError(wanted, found="none", fix=fix)
    if done[SETTINGS] != daily_settings(run.config):
        raise InputError(wanted, found="edges of other settings", fix=fix)
    return str(done[runlog.FINGERPRINT])


def _written(run: Run, ds: str) -> bool:
    return all(tables.partition(run.warehouse, t, ds).is_dir() for t in (tables.ADJACENCY, tables.NODES))


def _build(run: Run, ds: str, window: DayWindow, step: Any) -> dict[str, Any]:
    from graphrep.edges import window_edges, window_nodes
    from graphrep.graph import build
    from graphrep.store.spark import read_frames, write_frame

    spark, warehouse = run.spark, run.warehouse
    relations = {name: kind.merge for name, kind in run.config.graph_relations.items() if kind.merge is not None}
    daily = read_frames(spark, [tables.partition(warehouse, tables.EDGES, d) for d in window.days], EDGE)
    days = read_frames(spark, [tables.partition(warehouse, tables.NODE_DAYS, d) for d in window.days], NODE_DAY)
    edges = window_edges(daily, relations, window.last).persist()
    nodes = window_nodes(days).persist()
    try:
        known = _extend_dictionary(run, nodes, ds)
        step("ids")
        activity = build.node_activity(nodes, edges, known)
        write_frame(activity, tables.partition(warehouse, tables.NODES, ds), NODE_ACTIVITY)
        step("nodes")
        by_relation = build.adjacency(edges, known, run.config.spark.shuffle_partitions)
        path = tables.partition(warehouse, tables.ADJACENCY, ds)
        write_frame(by_relation, path, ADJACENCY, partition_by=build.RELATION)
        step("adjacency")
    finally:
        edges.unpersist()
        nodes.unpersist()
    return {
        "nodes": tables.count_by(tables.partition(warehouse, tables.NODES, ds), NodeActivity.TYPE),
        "edges": {name: tables.count_rows(path / f"{build.RELATION}={name}") for name in relations},
    }


def _extend_dictionary(run: Run, window: DataFrame, ds: str) -> DataFrame:
    """Append a segment with the keys that are new; one writer at a time, a segment appears whole or not at all."""
    from graphrep.graph import build
    from graphrep.store.spark import read_frames, write_frame

    root = run.warehouse / tables.IDS
    with files.locked(root / ".lock"):
        segments = tables.subdirectories(root)
        known = read_frames(run.spark, [root / name for name in segments], NODE)
        fresh = build.new_nodes(window, known, ds).persist()
        try:
            if fresh.limit(1).count():
                name = f"{int(segments[-1]) + 1 if segments else 1:06d}"
                write_frame(fresh, root / name, NODE)
                segments.append(name)
        finally:
            fresh.unpersist()
    return read_frames(run.spark, [root / name for name in segments], NODE)
