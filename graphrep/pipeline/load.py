"""A day's graph from the store: the window's nodes as rows 0, 1, … of each type, in the order of their stable ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from graphrep import vocab
from graphrep.contracts import NODE_ACTIVITY, Adjacency, NodeActivity
from graphrep.errors import StoreError
from graphrep.graph.hetero import EdgeList, HeteroGraph
from graphrep.pipeline.context import Run
from graphrep.store import runlog, tables

Ints = npt.NDArray[np.int64]

ARRAY_TYPES: dict[str, npt.DTypeLike] = {
    Adjacency.SRC: np.int64,
    Adjacency.DST: np.int64,
    Adjacency.WEIGHT: np.float32,
    Adjacency.TIME: np.int64,
}
"""Arrays of each relation: rows of its sources and destinations, signed weight, seconds; sorted by source, then
destination."""

REMEDY = "run stage graph again"


@dataclass(frozen=True)
class Nodes:
    """The nodes of one type inside the window; row i of every vector matrix of the day is node i here."""

    table: pa.Table

    @cached_property
    def keys(self) -> list[str]:
        """Outside keys; made when they are first asked for, since a graph of millions of nodes needs none."""
        found: list[str] = self.table[NodeActivity.KEY].to_pylist()
        return found

    @cached_property
    def index(self) -> Ints:
        """The stable id of each node, ascending."""
        return _numbers(self.table, NodeActivity.INDEX)

    @cached_property
    def degree(self) -> Ints:
        """Edges of the window that touch each node."""
        return _numbers(self.table, NodeActivity.DEGREE)

    @cached_property
    def last_ts(self) -> Ints:
        """Time of each node's newest event, ms since 1970-01-01 UTC."""
        return _numbers(self.table, NodeActivity.LAST_TS)

    def __len__(self) -> int:
        return int(self.table.num_rows)


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
    """Take what stage ``graph`` wrote for a day; the edges stay in their files, mapped into memory and only checked.

    Disliked relations have negative weights.

    Raises:
        StoreError: arrays that are missing, damaged, or not those of the recorded number of edges.
    """
    built = runlog.read_stage(run.warehouse, ds, vocab.GRAPH) or {"edges": {}}
    nodes = _load_nodes(run, ds)
    edges = {
        (kind.src, kind.label, kind.dst): _load_edges(run, ds, name, built["edges"].get(name, 0))
        for name, kind in run.config.graph_relations.items()
    }
    counts = {node_type: len(found) for node_type, found in nodes.items()}
    return DayGraph(HeteroGraph.from_edges(counts, edges), nodes)


def nodes_by_type(run: Run, ds: str, columns: list[str]) -> dict[str, pa.Table]:
    """Columns of the window's nodes, the index among them, by node type and in the order of the index.

    Raises:
        StoreError: the table is missing, damaged, or out of order.
    """
    path = tables.partition(run.warehouse, tables.NODES, ds)
    found: dict[str, list[pa.RecordBatch]] = {node_type: [] for node_type in run.config.nodes}
    for batch in tables.stream_table(path, [NodeActivity.TYPE, *columns]):
        for node_type in found:
            found[node_type].append(batch.filter(pc.equal(batch[NodeActivity.TYPE], node_type)).select(columns))
    empty = NODE_ACTIVITY.schema.empty_table().select(columns)
    nodes = {node_type: pa.Table.from_batches(parts) if parts else empty for node_type, parts in found.items()}
    for node_type, table in nodes.items():
        index = _numbers(table, NodeActivity.INDEX)
        if (index[1:] <= index[:-1]).any():
            raise StoreError(f"{node_type} nodes in order of index", found="others", where=str(path), fix=REMEDY)
    return nodes


def _load_nodes(run: Run, ds: str) -> dict[str, Nodes]:
    columns = [NodeActivity.INDEX, NodeActivity.KEY, NodeActivity.DEGREE, NodeActivity.LAST_TS]
    return {node_type: Nodes(table) for node_type, table in nodes_by_type(run, ds, columns).items()}


def _load_edges(run: Run, ds: str, name: str, expected: int) -> EdgeList:
    if not expected:
        return EdgeList(np.zeros(0, np.int64), np.zeros(0, np.int64))
    path = tables.partition(run.warehouse, tables.ARRAYS, ds)
    mapped = tables.map_columns(path, name, ARRAY_TYPES, expected, fix=REMEDY)
    return EdgeList(*[mapped[column] for column in ARRAY_TYPES])


def _numbers(table: pa.Table, column: str) -> Ints:
    return np.asarray(table[column].to_numpy(), dtype=np.int64)
