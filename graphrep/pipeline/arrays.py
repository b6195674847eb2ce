"""The day's adjacency as plain arrays of rows, which the trainer maps into memory instead of reading."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from graphrep.config import GraphRelation
from graphrep.contracts import Adjacency, Edge, NodeActivity
from graphrep.errors import StoreError
from graphrep.pipeline.context import Run
from graphrep.pipeline.load import ARRAY_TYPES, REMEDY, Ints, nodes_by_type
from graphrep.store import files, tables


def write_edge_arrays(run: Run, ds: str, edges: Mapping[str, int]) -> None:
    """Write ``arrays/ds=<ds>/<relation>.<column>.npy`` from the nodes and the adjacency of a day.

    A node's row is its place among the window's nodes of its type in the order of their stable ids: the row of every
    vector matrix of the day. In memory are one batch of edges, and one number for each id that was ever given.

    Args:
        edges: how many, by the relation's stored name.

    Raises:
        StoreError: an edge ends at an index that is no node of the window.
    """
    nodes = nodes_by_type(run, ds, [NodeActivity.INDEX])
    rows = {node_type: _row_of_index(table[NodeActivity.INDEX].to_numpy()) for node_type, table in nodes.items()}
    adjacency = tables.partition(run.warehouse, tables.ADJACENCY, ds)
    path = tables.partition(run.warehouse, tables.ARRAYS, ds)
    with files.staged_directory(path) as staging:
        for name, kind in run.config.graph_relations.items():
            batches = _by_row(adjacency / f"{Edge.RELATION}={name}", kind, rows) if edges[name] else ()
            tables.save_columns(staging, name, ARRAY_TYPES, edges[name], batches)
        with files.storing(path):
            files.flush_files(staging)


def _row_of_index(index: Ints) -> npt.NDArray[np.signedinteger[Any]]:
    """Row of each index up to the largest; −1 where the window lacks it. In the smallest type that holds all rows."""
    rows = np.full(index.max(initial=-1) + 1, -1, np.min_scalar_type(-len(index) - 1))
    rows[index] = np.arange(len(index))
    return rows


def _by_row(
    relation: Path, kind: GraphRelation, rows: Mapping[str, npt.NDArray[np.signedinteger[Any]]]
) -> Iterator[tables.Columns]:
    for batch in tables.stream_table(relation, list(ARRAY_TYPES)):
        src = rows[kind.src][batch[Adjacency.SRC].to_numpy()]
        dst = rows[kind.dst][batch[Adjacency.DST].to_numpy()]
        if min(src.min(initial=0), dst.min(initial=0)) < 0:
            raise StoreError("edges between nodes of the window", found="others", where=str(relation), fix=REMEDY)
        weight = batch[Adjacency.WEIGHT].to_numpy() * np.float32(kind.sign)
        time = batch[Adjacency.TIME].to_numpy()
        yield {Adjacency.SRC: src, Adjacency.DST: dst, Adjacency.WEIGHT: weight, Adjacency.TIME: time}
