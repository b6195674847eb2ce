"""The heterogeneous graph as frozen arrays. The parts that need Spark are modules of their own."""

from graphrep.graph.hetero import EdgeList, HeteroGraph
from graphrep.graph.transitions import transitions

__all__ = ["EdgeList", "HeteroGraph", "transitions"]
