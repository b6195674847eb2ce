"""Long windows read whole weeks as one table each; a week is made once, and again when one of its days changed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from graphrep import __version__, vocab
from graphrep.config import Merge
from graphrep.contracts import EDGE, EDGE_WEEK
from graphrep.pipeline.context import Run, fingerprint
from graphrep.store import files, runlog, tables

Prints = Mapping[str, str]
"""Day → fingerprint of its daily edges and transitions."""


def make_week(run: Run, sunday: str, prints: Prints, merges: Mapping[str, Merge]) -> None:
    """Sum the daily edges of a calendar week, decayed to its last day, unless that is done.

    Args:
        sunday: the week's last day.
        prints: of the week's days that there are.
        merges: the kinds of edges whose window may read the week.
    """
    from graphrep.edges import week_edges
    from graphrep.store.spark import read_frames, write_frame

    half_lives = {name: merge.half_life_days for name, merge in merges.items()}
    print_of_inputs = fingerprint(dict(prints), half_lives, __version__)
    path = tables.partition(run.warehouse, tables.WEEKS, sunday)
    with files.locked(run.warehouse / "runs" / sunday / f".{vocab.WEEK}.lock"):
        done = runlog.read_stage(run.warehouse, sunday, vocab.WEEK)
        if done and done[runlog.FINGERPRINT] == print_of_inputs and path.is_dir():
            return
        with run.progress.stage(f"week to {sunday}", 1) as step:
            daily = read_frames(run.spark, daily_paths(run, list(prints)), EDGE)
            write_frame(week_edges(daily, merges, sunday), path, EDGE_WEEK)
            step()
        record = {runlog.FINGERPRINT: print_of_inputs, "days": sorted(prints)}
        runlog.record_stage(run.warehouse, sunday, vocab.WEEK, record)


def daily_paths(run: Run, days: list[str]) -> list[Path]:
    """Where the daily edges of some days lie, transitions included."""
    daily = [tables.EDGES, tables.TRANSITIONS] if run.config.transitions else [tables.EDGES]
    return [tables.partition(run.warehouse, table, day) for table in daily for day in days]
