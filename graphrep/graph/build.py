"""The window by stable dense ids: its nodes, its edges, and both laid out as files in the order of the ids."""

from __future__ import annotations

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from graphrep.contracts import ADJACENCY, NODE_ACTIVITY, Adjacency, Edge, Node, NodeActivity
from graphrep.contracts.spark import select_contract

RELATION = Edge.RELATION
SLOTS = 32
"""Slots per file into which the ids are cut: files of equal size to within a part in so many, hubs apart."""


def indexed_nodes(window: DataFrame, dictionary: DataFrame) -> DataFrame:
    """The window's nodes with their index. Keys that the dictionary has no index for are left out.

    Args:
        window: output of :func:`graphrep.edges.window_nodes`.
        dictionary: ``node_v1``.
    """
    ids = dictionary.select(Node.TYPE, Node.KEY, Node.INDEX)
    return window.join(ids, on=[Node.TYPE, Node.KEY], how="inner")


def indexed_edges(edges: DataFrame, nodes: DataFrame) -> DataFrame:
    """Edges by index: ``adjacency_v1``, relation and node types. Edges that leave the window's nodes are left out:
    a transition may begin before the window, at something that nobody met in it.

    Where a hub has a large part of the edges, Spark's adaptive execution splits its partition of the sort-merge join
    into several tasks. It can do so because the join is inner, nothing after it asks for an order of rows, and both
    sides are shuffled for it: the end of an edge is joined as one column, by which the nodes do not lie yet.

    Args:
        edges: the columns of ``edge_v1`` but ``ds``, one row per relation and pair.
        nodes: output of :func:`indexed_nodes`.
    """
    end = F.struct(F.col(Node.TYPE), F.col(Node.KEY))
    src = nodes.select(end.alias("src_end"), F.col(Node.INDEX).alias(Adjacency.SRC))
    dst = nodes.select(end.alias("dst_end"), F.col(Node.INDEX).alias(Adjacency.DST))
    src_end = F.struct(F.col(Edge.SRC_TYPE).alias(Node.TYPE), F.col(Edge.SRC_KEY).alias(Node.KEY))
    dst_end = F.struct(F.col(Edge.DST_TYPE).alias(Node.TYPE), F.col(Edge.DST_KEY).alias(Node.KEY))
    joined = edges.withColumns({"src_end": src_end, "dst_end": dst_end}).join(src, on="src_end").join(dst, on="dst_end")
    seconds = F.floor(F.col(Edge.LAST_TS) / 1000).cast("bigint")
    typed = joined.withColumns({Adjacency.TIME: seconds, Adjacency.WEIGHT: F.col(Edge.WEIGHT).cast("float")})
    return typed.select(RELATION, Edge.SRC_TYPE, Edge.DST_TYPE, *ADJACENCY.names)


def adjacency(edges: DataFrame, partitions: int) -> DataFrame:
    """``adjacency_v1`` and the relation's name: each relation sorted by source and destination, file after file.

    Args:
        edges: output of :func:`indexed_edges`.
        partitions: files per relation at most.
    """
    placed = _in_order_of_ids(edges, Edge.SRC_TYPE, Adjacency.SRC, partitions)
    placed = placed.sortWithinPartitions(RELATION, Adjacency.SRC, Adjacency.DST)
    return select_contract(placed, ADJACENCY, beside=RELATION)


def node_activity(nodes: DataFrame, edges: DataFrame, partitions: int) -> DataFrame:
    """The window's nodes with their degree: ``node_activity_v1``, each type sorted by index, file after file.

    Args:
        nodes: output of :func:`indexed_nodes`.
        edges: output of :func:`indexed_edges`; an edge from a node to itself touches it twice.
        partitions: files at most.
    """
    ends = edges.select(F.col(Edge.SRC_TYPE).alias(Node.TYPE), F.col(Adjacency.SRC).alias(Node.INDEX)).unionByName(
        edges.select(F.col(Edge.DST_TYPE).alias(Node.TYPE), F.col(Adjacency.DST).alias(Node.INDEX))
    )
    degree = ends.groupBy(Node.TYPE, Node.INDEX).agg(F.count(F.lit(1)).alias(NodeActivity.DEGREE))
    counted = nodes.join(degree, on=[Node.TYPE, Node.INDEX], how="left").fillna(0, [NodeActivity.DEGREE])
    placed = _in_order_of_ids(counted, Node.TYPE, Node.INDEX, partitions)
    return select_contract(placed.sortWithinPartitions(Node.TYPE, Node.INDEX), NODE_ACTIVITY)


def _in_order_of_ids(rows: DataFrame, kind: str, index: str, partitions: int) -> DataFrame:
    """Put the rows into partitions such that, for each type, a later partition has larger indices only.

    A range partitioner samples, so its cuts differ from run to run and with them every file. Here the cuts are exact:
    a type's ids are cut into slots of equal width, the rows of each slot are counted, and slots in order fill the
    partitions evenly. Hash partitioning then puts a row where its slot belongs, because its key is the one integer
    whose hash is the number of that partition.
    """
    ids = rows.groupBy(kind).agg((F.max(index) + 1).alias("ids"))
    slot = F.expr(f"`{index}` * {SLOTS * partitions} div `ids`")
    rows = rows.join(F.broadcast(ids), on=kind).withColumn("slot", slot).drop("ids")
    before = Window.partitionBy(kind).orderBy("slot").rowsBetween(Window.unboundedPreceding, -1)
    counted = rows.groupBy(kind, "slot").agg(F.count(F.lit(1)).alias("size"))
    filled = counted.withColumns(
        {
            "before": F.coalesce(F.sum("size").over(before), F.lit(0)),
            "all": F.sum("size").over(Window.partitionBy(kind)),
        }
    )
    bucket = F.expr(f"`before` * {partitions} div `all`")
    keys = rows.sparkSession.createDataFrame(
        [(number, integer_hashed_to(number)) for number in range(partitions)], "bucket bigint, place int"
    )
    places = filled.select(kind, "slot", bucket.alias("bucket")).join(F.broadcast(keys), on="bucket")
    return rows.join(F.broadcast(places), on=[kind, "slot"]).repartition(partitions, "place")


def integer_hashed_to(value: int) -> int:
    """The one 32-bit integer whose hash by Spark (Murmur3, seed 42) is the value: each step of that hash is undone.

    >>> integer_hashed_to(-559580957)
    1
    """
    h = value & 0xFFFFFFFF
    h ^= h >> 16
    h = _unmultiplied(h, 0xC2B2AE35)
    h ^= h >> 13 ^ h >> 26
    h = _unmultiplied(h, 0x85EBCA6B)
    h ^= h >> 16
    h = _unmultiplied((h ^ 4) - 0xE6546B64, 5)
    h = _rotated(h, 32 - 13) ^ 42
    h = _unmultiplied(h, 0x1B873593)
    h = _unmultiplied(_rotated(h, 32 - 15), 0xCC9E2D51)
    return h - (1 << 32) if h >> 31 else h


def _unmultiplied(product: int, factor: int) -> int:
    return product * pow(factor, -1, 1 << 32) & 0xFFFFFFFF


def _rotated(value: int, bits: int) -> int:
    return (value << bits | value >> 32 - bits) & 0xFFFFFFFF
