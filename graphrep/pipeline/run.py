"""The whole day: every stage in order, and before them the days of the window that are not there yet."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

from graphrep import vocab
from graphrep.errors import InputError
from graphrep.pipeline.approval import Approval
from graphrep.pipeline.context import Run, add_days
from graphrep.pipeline.deliveries import check_delivered, raw_days_between
from graphrep.pipeline.edges import make_days, run_edges
from graphrep.pipeline.embed import run_embed
from graphrep.pipeline.evaluate import run_evaluate
from graphrep.pipeline.graph import run_graph, window_of
from graphrep.pipeline.logs import run_logs
from graphrep.pipeline.panel import first_event_day, run_panel
from graphrep.pipeline.processes import check_stage
from graphrep.pipeline.publish import run_publish
from graphrep.pipeline.uplift import run_uplift
from graphrep.store import files
from graphrep.store.erase import erasure_lock


def run_stage(
    run: Run,
    stage: str,
    ds: str,
    *,
    at: dt.datetime,
    approval: Approval | None = None,
    without_uplift: bool = False,
) -> dict[str, Any]:
    """Run one stage of one day and return its record.

    Args:
        at: time of a switch, UTC.
        approval: of a day that is not green, for stage ``publish``.
        without_uplift: for stage ``evaluate``: a day whose uplift is not there may go without it.
    """
    check_stage(stage)
    stages: dict[str, Callable[[Run, str], dict[str, Any]]] = {
        vocab.LOGS: run_logs,
        vocab.EDGES: run_edges,
        vocab.GRAPH: run_graph,
        vocab.EMBED: run_embed,
        vocab.PANEL: run_panel,
        vocab.UPLIFT: run_uplift,
        vocab.EVALUATE: lambda run, ds: run_evaluate(run, ds, without_uplift=without_uplift),
        vocab.PUBLISH: lambda run, ds: run_publish(run, ds, at=at, approval=approval),
    }
    with files.locked(erasure_lock(run.warehouse), shared=True):  # or a stage could write back what is being erased
        return stages[stage](run, ds)


def run_day(
    run: Run,
    ds: str,
    *,
    at: dt.datetime,
    first: str = vocab.LOGS,
    last: str = vocab.PUBLISH,
) -> dict[str, dict[str, Any]]:
    """Run a day from one stage to another. Work whose inputs have not changed is not done again.

    The stages ``logs`` and ``edges`` cover every day of the window and the day itself (``logs`` also the days before
    it that transitions and the panel reach back to); the others the day itself.

    Returns:
        stage → its record for the day itself.
    """
    chosen = _between(first, last, run.config.uplift.enabled)
    for stage in chosen:
        check_stage(stage)
    run.check_ds(ds)
    records: dict[str, dict[str, Any]] = {}
    window = window_of(run, ds) if {vocab.LOGS, vocab.EDGES} & set(chosen) else None
    if window and vocab.LOGS in chosen:
        reach = add_days(window.first, -run.config.reach_days)
        oldest = min(reach, first_event_day(run, ds)) if run.config.uplift.enabled else reach
        for day in raw_days_between(run, oldest, ds):
            records[vocab.LOGS] = run_stage(run, vocab.LOGS, day, at=at)
    if window and vocab.EDGES in chosen:
        with files.locked(erasure_lock(run.warehouse), shared=True):
            check_delivered(run, window.first, ds)
            records[vocab.EDGES] = make_days(run, window.first, ds)
    for stage in chosen:
        if stage not in (vocab.LOGS, vocab.EDGES):
            records[stage] = run_stage(run, stage, ds, at=at)
    return records


def _between(first: str, last: str, uplift: bool) -> list[str]:
    for name in (first, last):
        if name not in vocab.STAGES:
            raise InputError(f"one of the stages {list(vocab.STAGES)}", found=repr(name))
    start, end = vocab.STAGES.index(first), vocab.STAGES.index(last)
    if start > end:
        raise InputError("--from before --to", found=f"{first} after {last}")
    left_out = () if uplift else (vocab.PANEL, vocab.UPLIFT)
    return [stage for stage in vocab.STAGES[start : end + 1] if stage not in left_out]
