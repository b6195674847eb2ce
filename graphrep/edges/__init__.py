"""Events → the typed weighted edges of one day, then the decayed window over many days."""

from graphrep.edges.daily import daily_edges, daily_nodes
from graphrep.edges.intensity import exclusions, without
from graphrep.edges.transitions import daily_transitions, paths, tail_after
from graphrep.edges.weeks import WeekPlan, plan_weeks
from graphrep.edges.window import week_edges, window_edges, window_nodes

__all__ = [
    "WeekPlan",
    "daily_edges",
    "daily_nodes",
    "daily_transitions",
    "exclusions",
    "paths",
    "plan_weeks",
    "tail_after",
    "week_edges",
    "window_edges",
    "window_nodes",
    "without",
]
