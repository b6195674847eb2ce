"""Stage ``graph``: the edges of the window's days, and of alike items → ids, active nodes, adjacency, arrays."""

from __future__ import annotations

import datetime as dt
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphrep import __version__, vocab
from graphrep.contracts import ADJACENCY, EDGE, EDGE_WEEK, NODE_ACTIVITY, NODE_DAY, Contract, Edge, NodeActivity
from graphrep.errors import InputError, StoreError
from graphrep.pipeline.arrays import write_edge_arrays
from graphrep.pipeline.context import Run, add_days, day_range, fingerprint
from graphrep.pipeline.day_edges import checked_edges
from graphrep.pipeline.deliveries import check_delivered
from graphrep.pipeline.ids import extend_dictionary
from graphrep.pipeline.logs import raw_days
from graphrep.pipeline.similarity import similarity_inputs, write_similarities
from graphrep.pipeline.summary import SUMMARY, summarise
from graphrep.pipeline.transitions import checked_transitions
from graphrep.pipeline.weeks import daily_paths, make_week
from graphrep.pipeline.window import DayWindow, plan_window
from graphrep.store import files, runlog, tables

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

SECTIONS = ("nodes", "relations", "transitions", "similarities", "item_vectors", "holdout_days", "weekly_beyond_days")
Inputs = dict[str, dict[str, str]]


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
    """Merge the window's daily edges, extend the dictionary, write active nodes, adjacency and arrays.

    Two runs of one day take turns, and the second finds the work done.

    Raises:
        InputError: an edge table of the window or a table of item vectors is missing, or the window has no edge.
    """
    run.check_ds(ds)
    window = window_of(run, ds)
    inputs = _inputs(run, ds, window)
    print_of_inputs = fingerprint(inputs, run.config.fingerprint(*SECTIONS), __version__)
    with files.locked(run.warehouse / "runs" / ds / f".{vocab.GRAPH}.lock"):
        done = runlog.read_stage(run.warehouse, ds, vocab.GRAPH)
        if done and done.get(runlog.FINGERPRINT) == print_of_inputs and _written(run, ds):
            return done
        runlog.drop_stage(run.warehouse, ds, vocab.GRAPH)
        with run.progress.stage(f"graph {ds}", 5) as step:
            counts = _build(run, ds, window, inputs, step)
        if not sum(counts["edges"].values()):
            raise InputError("at least one edge in the window", found="none", where=f"{window.first} to {window.last}")
        record = {
            runlog.FINGERPRINT: print_of_inputs,
            "window": [window.first, window.last],
            "label_day": window.label_day,
            "inputs": inputs,
            **counts,
            SUMMARY: summarise(run, ds, window),
        }
        runlog.record_stage(run.warehouse, ds, vocab.GRAPH, record)
    return record


def _inputs(run: Run, ds: str, window: DayWindow) -> Inputs:
    """Fingerprints of what the graph is made of: daily edges and transitions by day, vectors by node type."""
    check_delivered(run, window.first, ds)
    days = day_range(window.first, window.last)
    edges = {day: found for day in days if (found := checked_edges(run, day, ds))}
    transitions = {day: found for day in edges if (found := checked_transitions(run, day, ds))}
    return {vocab.EDGES: edges, vocab.TRANSITIONS: transitions, "item_vectors": similarity_inputs(run, window.last)}


def _written(run: Run, ds: str) -> bool:
    return all(tables.partition(run.warehouse, t, ds).is_dir() for t in (tables.NODES, tables.ADJACENCY, tables.ARRAYS))


def _build(run: Run, ds: str, window: DayWindow, inputs: Inputs, step: Any) -> dict[str, Any]:
    from graphrep.graph import build
    from graphrep.store.spark import write_frame

    partitions = run.config.spark.shuffle_partitions
    days = sorted(inputs[vocab.EDGES])
    active, by_relation = (tables.partition(run.warehouse, t, ds) for t in (tables.NODES, tables.ADJACENCY))
    with ExitStack() as kept:
        daily_nodes = _daily(
            run, window, [tables.partition(run.warehouse, tables.NODE_DAYS, d) for d in days], NODE_DAY
        )
        daily_edges, weeks = _merge_plan(run, window, inputs)
        step("days")
        nodes = _nodes(run, ds, daily_nodes, kept)
        step("ids")
        edges = _edges(run, ds, window, daily_edges, weeks, nodes, kept)
        write_frame(build.node_activity(nodes, edges, partitions), active, NODE_ACTIVITY)
        step("nodes")
        write_frame(build.adjacency(edges, partitions), by_relation, ADJACENCY, partition_by=build.RELATION)
        step("adjacency")
    counts = {name: tables.count_rows(by_relation / f"{build.RELATION}={name}") for name in run.config.graph_relations}
    write_edge_arrays(run, ds, counts)
    step("arrays")
    return {"nodes": tables.count_by(active, NodeActivity.TYPE), "edges": counts}


def _daily(run: Run, window: DayWindow, paths: list[Path], contract: Contract) -> DataFrame:
    """Rows of daily tables up to the window's last day.

    Raises:
        StoreError: one of them tells of a time after the cut-off.
    """
    from pyspark.sql import functions as F

    from graphrep.store.spark import read_frames, spark_errors

    frame = read_frames(run.spark, paths, contract).where(F.col(Edge.DS) <= window.last)
    with spark_errors(f"reading {contract.name} of {window.first} to {window.last}"):
        newest = frame.agg(F.max(Edge.LAST_TS)).first()
    cut_off = int(dt.datetime.fromisoformat(f"{window.label_day}T00:00:00+00:00").timestamp()) * 1000
    if newest and newest[0] is not None and newest[0] >= cut_off:
        raise StoreError(
            f"no event of {window.label_day} or later in the graph",
            found=f"one of {dt.datetime.fromtimestamp(newest[0] / 1000, dt.UTC):%Y-%m-%d %H:%M} UTC in {contract.name}",
            where=f"{window.first} to {window.last}",
            fix="remove the table's days and make them anew: graphrep run --to edges",
        )
    return frame


def _merge_plan(run: Run, window: DayWindow, inputs: Inputs) -> tuple[DataFrame, DataFrame | None]:
    """Daily edges to merge, and whole weeks where the window is long."""
    from graphrep.edges import plan_weeks

    merges = run.config.merges
    prints = {day: own + inputs[vocab.TRANSITIONS].get(day, "") for day, own in inputs[vocab.EDGES].items()}
    if run.config.window_days <= run.config.weekly_beyond_days:
        return _daily(run, window, daily_paths(run, sorted(prints)), EDGE), None
    plan = plan_weeks(sorted(prints), window.last, merges)
    for sunday, days in plan.weeks.items():
        make_week(run, sunday, {day: prints[day] for day in days}, merges)
    daily = _daily(run, window, daily_paths(run, list(plan.days)), EDGE)
    weeks = [tables.partition(run.warehouse, tables.WEEKS, sunday) for sunday in plan.weeks]
    return daily, _daily(run, window, weeks, EDGE_WEEK)


def _nodes(run: Run, ds: str, daily: DataFrame, kept: ExitStack) -> DataFrame:
    """The window's nodes by index, new ones appended to the dictionary."""
    from graphrep.edges import window_nodes
    from graphrep.graph.build import indexed_nodes

    seen = _keep(window_nodes(daily), kept)
    return _keep(indexed_nodes(seen, extend_dictionary(run, seen, ds)), kept)


def _edges(
    run: Run,
    ds: str,
    window: DayWindow,
    daily: DataFrame,
    weeks: DataFrame | None,
    nodes: DataFrame,
    kept: ExitStack,
) -> DataFrame:
    """The window's edges by index: merged days of relations and transitions, and similarities beside them."""
    from graphrep.edges import window_edges
    from graphrep.graph.build import indexed_edges

    config = run.config
    merged = window_edges(daily, config.merges, window.last, weeks)
    edges = _keep(indexed_edges(merged, nodes), kept)
    if not config.similarities:
        return edges
    alike = write_similarities(run, ds, window.last, nodes, edges)
    return edges.unionByName(_keep(indexed_edges(alike, nodes), kept))


def _keep(frame: DataFrame, kept: ExitStack) -> DataFrame:
    frame.persist()
    kept.callback(frame.unpersist)
    return frame
