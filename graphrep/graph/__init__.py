"""The heterogeneous graph as frozen arrays. The parts that need Spark are modules of their own."""

from graphrep.graph.hetero import EdgeList, HeteroGraph

__all__ = ["EdgeList", "HeteroGraph"]
