"""Edges between items whose content vectors are alike: what hardly anybody has met is reached by what it resembles."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from graphrep.config import Similarity
from graphrep.contracts import EDGE, Edge, Node
from graphrep.errors import InputError
from graphrep.graph.similarity import similar_pairs
from graphrep.pipeline.context import Run
from graphrep.store import tables
from graphrep.store.item_vectors import VectorFiles, Vectors, find_vectors, read_vectors

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def similarity_inputs(run: Run, last: str) -> dict[str, str]:
    """Fingerprints of the vectors that a graph up to a day uses, by node type."""
    return {node_type: source.fingerprint() for node_type, source in _sources(run, last).items()}


def write_similarities(run: Run, ds: str, last: str, nodes: DataFrame, edges: DataFrame) -> DataFrame:
    """Write the similarity edges of a day's graph, ``edge_v1``, and read them back.

    Both ends are nodes of the window: what is not in the window is not published, and of items that nobody met there
    may be a whole catalogue, which would take the places of those that count.

    Args:
        last: the graph's last day; vectors of later days are not looked at.
        nodes: the window's nodes, ``node_type`` and ``key``.
        edges: the window's other edges with the types of their ends, which bound how many are added.

    Raises:
        InputError: a table of vectors is damaged, or two that are compared differ in length.
    """
    from graphrep.store.spark import read_frames

    vectors = {}
    for node_type, source in _sources(run, last).items():
        read = read_vectors(source, run.config.item_vectors[node_type])
        vectors[node_type] = _inside(read, _keys(nodes, node_type))
    touched = _count_by_types(edges)
    found = [
        _edges(name, alike, vectors, _limit(alike, touched), last) for name, alike in run.config.similarities.items()
    ]
    path = tables.partition(run.warehouse, tables.SIMILARITIES, ds)
    tables.write_arrow(path, pa.concat_tables(found))
    return read_frames(run.spark, [path], EDGE)


def _sources(run: Run, last: str) -> dict[str, VectorFiles]:
    config = run.config
    compared = sorted({end for alike in config.similarities.values() for end in (alike.src, alike.dst)})
    return {t: find_vectors(config.logs.root, t, config.item_vectors[t], last) for t in compared}


def _keys(nodes: DataFrame, node_type: str) -> pa.ChunkedArray:
    from pyspark.sql import functions as F

    return nodes.where(F.col(Node.TYPE) == node_type).select(Node.KEY).toArrow()[Node.KEY]


def _inside(vectors: Vectors, keys: pa.ChunkedArray) -> Vectors:
    inside = pc.is_in(pa.array(vectors.keys, pa.string()), keys.combine_chunks()).to_numpy(zero_copy_only=False)
    return Vectors(vectors.keys[inside], vectors.vectors[inside], vectors.ds)


def _count_by_types(edges: DataFrame) -> dict[tuple[str, str], int]:
    counted = edges.groupBy(Edge.SRC_TYPE, Edge.DST_TYPE).count().collect()
    return {(row[Edge.SRC_TYPE], row[Edge.DST_TYPE]): row["count"] for row in counted}


def _limit(alike: Similarity, touched: Mapping[tuple[str, str], int]) -> int | None:
    """Gelato's K: a share of the edges that touch either type."""
    if alike.share is None:
        return None
    ends = {alike.src, alike.dst}
    return math.floor(alike.share * sum(count for types, count in touched.items() if ends & set(types)))


def _edges(name: str, alike: Similarity, vectors: Mapping[str, Vectors], limit: int | None, last: str) -> pa.Table:
    src, dst = vectors[alike.src], vectors[alike.dst]
    lengths = src.vectors.shape[1], dst.vectors.shape[1]
    if lengths[0] != lengths[1]:
        found = f"{lengths[0]} numbers of each {alike.src} and {lengths[1]} of each {alike.dst}"
        raise InputError("vectors of one space", found=found, where=f"similarities.{name}")
    other = None if alike.src == alike.dst else dst.vectors
    i, j, cosine = similar_pairs(src.vectors, other, k=alike.k, min_cosine=alike.min_cosine, limit=limit)
    liked = cosine > 0
    i, j, cosine = i[liked], j[liked], cosine[liked]
    columns = {
        Edge.DS: [last] * len(i),
        Edge.RELATION: [name] * len(i),
        Edge.SRC_TYPE: [alike.src] * len(i),
        Edge.SRC_KEY: src.keys[i],
        Edge.DST_TYPE: [alike.dst] * len(i),
        Edge.DST_KEY: dst.keys[j],
        Edge.SIGN: np.ones(len(i), np.int32),
        Edge.WEIGHT: cosine,
        Edge.COUNT: np.ones(len(i), np.int64),
        Edge.LAST_TS: np.full(len(i), _start_ms(max(src.ds, dst.ds)), np.int64),
    }
    return pa.table(columns, schema=EDGE.schema)


def _start_ms(ds: str) -> int:
    return int(dt.datetime.fromisoformat(f"{ds}T00:00:00+00:00").timestamp()) * 1000
