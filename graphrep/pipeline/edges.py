"""Stage ``edges``: the days that a delivery tells of → their edges, nodes and transitions."""

from __future__ import annotations

from typing import Any

from graphrep.pipeline.context import Run, add_days, day_range
from graphrep.pipeline.day_edges import make_edges
from graphrep.pipeline.deliveries import check_logs, deliveries_of
from graphrep.pipeline.transitions import make_transitions


def run_edges(run: Run, ds: str) -> dict[str, Any]:
    """Write the edges and nodes of a day whose logs are done, and of the days before it that its delivery tells of.

    Raises:
        InputError: the day's logs have not run.
    """
    run.check_ds(ds)
    check_logs(run, ds)
    return make_days(run, add_days(ds, -run.config.logs.lateness_days), ds)


def make_days(run: Run, first: str, ds: str) -> dict[str, Any]:
    """Make the days from one to the run's own that anything was delivered of by then, and return the last's record."""
    days = [day for day in day_range(first, ds) if deliveries_of(run, day, ds)]
    for day in days:
        make_edges(run, day, ds)
    for day in days:
        make_transitions(run, day, ds)
    return make_edges(run, ds, ds)
