"""Keys → stable dense ids: which index a new key gets, and what the segments of the dictionary hold."""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from graphrep.contracts import NODE, Erasure, Node
from graphrep.contracts.spark import key_hash_column, select_contract

# Part of the order in which indices are given. So many that the new keys of one type spread over any number of tasks.
BUCKETS = 1024
SEGMENT, COUNT, FIRST, LAST = "segment", "count", "first", "last"


def new_nodes(
    window: DataFrame,
    known: DataFrame,
    free: Mapping[str, int],
    ds: str,
    partitions: int,
    *,
    erased: DataFrame | None = None,
) -> DataFrame:
    """Give the keys that the dictionary lacks the next free indices of their type: rows to append, ``node_v1``.

    The order of new keys is that of (hash bucket, key), so it depends on neither partitions nor row order; ranks are
    taken inside a bucket and offset by the sizes of the buckets before it, so that no task sees all the new keys.

    Args:
        window: rows with ``node_type`` and ``key``, unique.
        known: the dictionary so far.
        free: node type → its next free index; 0 for types that are not named.
        ds: the day of the run, recorded as ``first_ds``.
        partitions: files of the segment.
        erased: rows with ``node_type`` and ``key_hash``: keys that get no index.
    """
    fresh = window.select(Node.TYPE, Node.KEY).join(living(known), on=[Node.TYPE, Node.KEY], how="left_anti")
    if erased is not None:
        hashed = fresh.withColumn(Erasure.HASH, key_hash_column(F.col(Node.TYPE), F.col(Node.KEY)))
        fresh = hashed.join(F.broadcast(erased), on=[Erasure.TYPE, Erasure.HASH], how="left_anti")
    bucket = F.pmod(F.xxhash64(Node.KEY), F.lit(BUCKETS)).alias("bucket")
    fresh = fresh.select(Node.TYPE, Node.KEY, bucket).repartition(partitions, Node.TYPE, "bucket")
    sizes = fresh.groupBy(Node.TYPE, "bucket").agg(F.count(F.lit(1)).alias("size"))
    before = Window.partitionBy(Node.TYPE).orderBy("bucket").rowsBetween(Window.unboundedPreceding, -1)
    offsets = sizes.select(Node.TYPE, "bucket", F.coalesce(F.sum("size").over(before), F.lit(0)).alias("offset"))
    rank = F.row_number().over(Window.partitionBy(Node.TYPE, "bucket").orderBy(Node.KEY)) - 1
    numbered = fresh.withColumn("rank", rank).join(F.broadcast(offsets), on=[Node.TYPE, "bucket"], how="left")
    start = F.coalesce(*[F.when(F.col(Node.TYPE) == kind, F.lit(n)) for kind, n in free.items()], F.lit(0))
    index = start + F.col("offset") + F.col("rank")
    return select_contract(numbered.withColumns({Node.INDEX: index, Node.FIRST_DS: F.lit(ds)}), NODE)


def living(nodes: DataFrame) -> DataFrame:
    """The dictionary without its tombstones."""
    return nodes.where(F.col(Node.KEY).isNotNull())


def segment_spans(nodes: DataFrame) -> DataFrame:
    """Rows, least and greatest index by segment and type: a few lines to be collected, in the order of the segments.

    Args:
        nodes: the dictionary as read from its files, ``<segment>/<file>``.
    """
    segment = F.element_at(F.split(F.input_file_name(), "/"), -2).alias(SEGMENT)
    spans = nodes.select(segment, Node.TYPE, Node.INDEX).groupBy(SEGMENT, Node.TYPE)
    counted = spans.agg(F.count(F.lit(1)).alias(COUNT), F.min(Node.INDEX).alias(FIRST), F.max(Node.INDEX).alias(LAST))
    return counted.orderBy(SEGMENT, Node.TYPE)
