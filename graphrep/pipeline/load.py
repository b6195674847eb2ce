"""A day's graph from the store: the window's nodes as rows 0, 1, … of each type, in the order of their stable ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from graphrep import vocab
from graphrep.config import GraphRelation
from graphrep.contracts import Adjacency, Edge, NodeActivity
from graphrep.errors import StoreError
from graphrep.graph.hetero import EdgeList, HeteroGraph
from graphrep.pipeline.context import Run
from graphrep.store import runlog, tables

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Nodes:
    """The nodes of one type inside the window; row i of every vector matrix of the day is node i here."""

    keys: list[str]
    index: Ints
    degree: Ints
    last_ts: Ints

    def rows_of_index(self, index: Ints) -> Ints:
        """Rows of stable indices that are known to be in the window."""
        return np.searchsorted(self.index, index)


@dataclass(frozen=True)
class DayGraph:
    """A day's graph and what its rows are."""

    graph: HeteroGraph
    nodes: Mapping[str, Nodes]

    def rows(self, node_type: str, keys: Sequence[str]) -> Ints:
        """Row of each key, −1 where the window does not hold it."""
        known = {key: row for row, key in enumerate(self.nodes[node_type].keys)}
        return np.fromiter((known.get(key, -1) for key in keys), dtype=np.int64, count=len(keys))


def load_graph(run: Run, ds: str) -> DayGraph:
    """Read what stage ``graph`` wrote for a day. Disliked relations get negative weights."""
    nodes = _load_nodes(run, ds)
    edges = {
        (relation.src, relation.label, relation.dst): _load_edges(run, ds, name, relation, nodes)
        for name, relation in run.config.graph_relations.items()
    }
    counts = {node_type: len(found.keys) for node_type, found in nodes.items()}
    return DayGraph(HeteroGraph.from_edges(counts, edges), nodes)


def _load_nodes(run: Run, ds: str) -> dict[str, Nodes]:
    table = tables.read_table(tables.partition(run.warehouse, tables.NODES, ds))
    found = {}
    for node_type in run.config.nodes:
        rows = table.filter(pc.field(NodeActivity.TYPE) == node_type).sort_by(NodeActivity.INDEX)
        found[node_type] = Nodes(
            keys=rows[NodeActivity.KEY].to_pylist(),
            index=_numbers(rows, NodeActivity.INDEX),
            degree=_numbers(rows, NodeActivity.DEGREE),
            last_ts=_numbers(rows, NodeActivity.LAST_TS),
        )
    return found


def _load_edges(run: Run, ds: str, name: str, relation: GraphRelation, nodes: Mapping[str, Nodes]) -> EdgeList:
    built = runlog.read_stage(run.warehouse, ds, vocab.GRAPH) or {"edges": {}}
    expected = built["edges"].get(name, 0)
    if not expected:
        return EdgeList(np.zeros(0, np.int64), np.zeros(0, np.int64))
    path = tables.partition(run.warehouse, tables.ADJACENCY, ds) / f"{Edge.RELATION}={name}"
    table = tables.read_table(path)
    if table.num_rows != expected:
        raise StoreError(f"{expected} edges", found=str(table.num_rows), where=str(path), fix="run stage graph again")
    return EdgeList(
        nodes[relation.src].rows_of_index(_numbers(table, Adjacency.SRC)),
        nodes[relation.dst].rows_of_index(_numbers(table, Adjacency.DST)),
        table[Adjacency.WEIGHT].to_numpy() * np.float32(relation.sign),
        _numbers(table, Adjacency.TIME),
    )


def _numbers(table: pa.Table, column: str) -> Ints:
    return np.asarray(table[column].to_numpy(), dtype=np.int64)
