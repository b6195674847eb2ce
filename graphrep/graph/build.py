"""Keys → stable dense ids, and the window as adjacency by id. The one file of this room that knows pyspark."""

from __future__ import annotations

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from graphrep.contracts import ADJACENCY, NODE, NODE_ACTIVITY, Adjacency, Edge, Node, NodeActivity
from graphrep.contracts.spark import select_contract

BUCKETS = 64
RELATION = Edge.RELATION


def new_nodes(window: DataFrame, known: DataFrame, ds: str) -> DataFrame:
    """Give the keys that the dictionary lacks the next free indices of their type: rows to append, ``node_v1``.

    The order of new keys is that of (hash bucket, key), so it depends on neither partitions nor row order; ranks are
    taken inside a bucket and offset by the sizes of the buckets before it, so that no task sees all the new keys.

    Args:
        window: rows with ``node_type`` and ``key``, unique.
        known: the dictionary so far.
        ds: the day of the run, recorded as ``first_ds``.
    """
    fresh = window.join(known, on=[Node.TYPE, Node.KEY], how="left_anti")
    fresh = fresh.select(Node.TYPE, Node.KEY, F.pmod(F.xxhash64(Node.KEY), F.lit(BUCKETS)).alias("bucket"))
    sizes = fresh.groupBy(Node.TYPE, "bucket").agg(F.count(F.lit(1)).alias("size"))
    before = Window.partitionBy(Node.TYPE).orderBy("bucket").rowsBetween(Window.unboundedPreceding, -1)
    offsets = sizes.select(Node.TYPE, "bucket", F.coalesce(F.sum("size").over(before), F.lit(0)).alias("offset"))
    taken = known.groupBy(Node.TYPE).agg((F.max(Node.INDEX) + 1).alias("taken"))
    rank = F.row_number().over(Window.partitionBy(Node.TYPE, "bucket").orderBy(Node.KEY)) - 1
    numbered = (
        fresh.withColumn("rank", rank)
        .join(F.broadcast(offsets), on=[Node.TYPE, "bucket"], how="left")
        .join(F.broadcast(taken), on=Node.TYPE, how="left")
    )
    index = F.coalesce(F.col("taken"), F.lit(0)) + F.col("offset") + F.col("rank")
    return select_contract(numbered.withColumns({Node.INDEX: index, Node.FIRST_DS: F.lit(ds)}), NODE)


def adjacency(window: DataFrame, nodes: DataFrame, partitions: int) -> DataFrame:
    """Replace keys by indices, sorted by relation, source, destination: ``adjacency_v1`` and the relation's name.

    Args:
        window: output of :func:`graphrep.edges.window_edges`.
        nodes: the dictionary, holding every key of the window.
        partitions: files per relation at most.
    """
    ids = nodes.select(Node.TYPE, Node.KEY, Node.INDEX)
    src = ids.toDF(Edge.SRC_TYPE, Edge.SRC_KEY, Adjacency.SRC)
    dst = ids.toDF(Edge.DST_TYPE, Edge.DST_KEY, Adjacency.DST)
    joined = window.join(src, on=[Edge.SRC_TYPE, Edge.SRC_KEY], how="inner").join(
        dst, on=[Edge.DST_TYPE, Edge.DST_KEY], how="inner"
    )
    seconds = F.floor(F.col(Edge.LAST_TS) / 1000)
    columns = [F.col(c.name) for c in ADJACENCY.columns]
    typed = joined.withColumns({Adjacency.TIME: seconds, Adjacency.WEIGHT: F.col(Edge.WEIGHT).cast("float")})
    order = [RELATION, Adjacency.SRC, Adjacency.DST]
    return typed.select(*columns, RELATION).repartitionByRange(partitions, *order).sortWithinPartitions(*order)


def node_activity(window: DataFrame, edges: DataFrame, nodes: DataFrame) -> DataFrame:
    """The window's nodes with index, events, degree and newest event: ``node_activity_v1``, by type and index.

    Args:
        window: output of :func:`graphrep.edges.window_nodes`.
        edges: output of :func:`graphrep.edges.window_edges`.
        nodes: the dictionary.
    """
    ends = edges.select(F.col(Edge.SRC_TYPE).alias(Node.TYPE), F.col(Edge.SRC_KEY).alias(Node.KEY)).unionByName(
        edges.select(F.col(Edge.DST_TYPE).alias(Node.TYPE), F.col(Edge.DST_KEY).alias(Node.KEY))
    )
    degree = ends.groupBy(Node.TYPE, Node.KEY).agg(F.count(F.lit(1)).alias(NodeActivity.DEGREE))
    joined = window.join(nodes, on=[Node.TYPE, Node.KEY], how="inner").join(
        degree, on=[Node.TYPE, Node.KEY], how="left"
    )
    filled = joined.fillna(0, [NodeActivity.DEGREE])
    return select_contract(filled, NODE_ACTIVITY).orderBy(NodeActivity.TYPE, NodeActivity.INDEX)
