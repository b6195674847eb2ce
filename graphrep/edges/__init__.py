"""Events → the typed weighted edges of one day, then the decayed window over many days."""

from graphrep.edges.daily import daily_edges, daily_nodes
from graphrep.edges.window import window_edges, window_nodes

__all__ = ["daily_edges", "daily_nodes", "window_edges", "window_nodes"]
