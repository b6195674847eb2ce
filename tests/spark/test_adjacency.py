"""The window by index: sorted over the files, equal to the joined keys, the same however it is cut; and its nodes."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from pyspark.sql import functions as F

from graphrep.contracts import NODE
from graphrep.contracts.spark import spark_schema
from graphrep.graph.build import adjacency, indexed_edges, indexed_nodes, integer_hashed_to, node_activity

WINDOW = (
    "relation string, src_type string, src_key string, dst_type string, dst_key string, sign int,"
    " weight double, count long, last_ts long"
)
SEEN = "node_type string, key string, events long, last_ts long"
NODES = [("user", f"u{i}", (7 * i) % 30, "d") for i in range(30)] + [("host", f"h{i}", 9 - i, "d") for i in range(10)]
INDEX = {(row[0], row[1]): row[2] for row in NODES}


def window_rows() -> list[tuple[Any, ...]]:
    chance = random.Random(2)
    pairs = chance.sample([(f"u{i}", f"h{j}") for i in range(30) for j in range(10)], 120)
    return [
        ("likes" if k % 3 else "skips", "user", u, "host", h, 1 if k % 3 else -1, 0.1 + k / 7, k, 1_000_999 + k)
        for k, (u, h) in enumerate(pairs)
    ]


def expected_rows() -> list[tuple[Any, ...]]:
    return sorted(
        (r[0], INDEX["user", r[2]], INDEX["host", r[4]], float(np.float32(r[6])), r[8] // 1000) for r in window_rows()
    )


def nodes_frame(spark: Any) -> Any:
    seen = spark.createDataFrame([(kind, key, 1, 1) for kind, key, *_ in NODES], SEEN)
    return indexed_nodes(seen, spark.createDataFrame(NODES, spark_schema(NODE)))


def by_partition(frame: Any, *columns: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in frame.select(F.spark_partition_id(), *columns).collect()]


def test_the_key_of_a_partition_is_the_integer_that_spark_hashes_to_its_number(spark: Any) -> None:
    numbers = [*range(40), 2**31 - 1, -(2**31), -1, *random.Random(1).sample(range(-(2**31), 2**31), 40)]
    rows = [(number, integer_hashed_to(number)) for number in numbers]
    hashed = spark.createDataFrame(rows, "number int, key int").select("number", F.hash("key")).collect()
    assert [row[1] for row in hashed] == [row[0] for row in hashed]


@pytest.mark.parametrize("partitions", [1, 3])
def test_the_adjacency_is_the_joined_window_sorted_by_relation_source_and_destination(
    spark: Any, partitions: int
) -> None:
    rows = random.Random(partitions).sample(window_rows(), 120)
    window = spark.createDataFrame(rows, WINDOW).repartition(4)
    made = adjacency(indexed_edges(window, nodes_frame(spark)), partitions)
    assert made.columns == ["src", "dst", "weight", "time", "relation"]
    found = by_partition(made, "relation", "src", "dst", "weight", "time")
    # In the order of the files, and inside a file of its rows, each relation is sorted.
    assert sorted(found, key=lambda row: row[1]) == sorted(found, key=lambda row: row[1:4])
    assert sorted(row[1:] for row in found) == expected_rows()
    sizes = Counter(row[0] for row in found)
    assert len(sizes) == partitions
    assert max(sizes.values()) <= 120 / partitions + 10  # a user of the window has ten edges at most


def test_the_adjacency_lies_the_same_whatever_the_order_and_the_partitions_of_the_rows(spark: Any) -> None:
    rows = window_rows()
    first, other = (
        by_partition(adjacency(indexed_edges(window, nodes_frame(spark)), 3), "relation", "src", "dst", "weight")
        for window in (
            spark.createDataFrame(rows, WINDOW).repartition(1),
            spark.createDataFrame(random.Random(5).sample(rows, len(rows)), WINDOW).repartition(5),
        )
    )
    assert first == other


def test_edges_that_leave_the_windows_nodes_are_left_out(spark: Any) -> None:
    rows = [("then", "host", a, "host", b, 1, 1.0, 1, 9) for a, b in (("h0", "h1"), ("gone", "h1"), ("h1", "gone"))]
    made = indexed_edges(spark.createDataFrame(rows, WINDOW), nodes_frame(spark))
    assert [tuple(row) for row in made.collect()] == [("then", "host", "host", 9, 8, 1.0, 0)]


def test_active_nodes_carry_their_degree_in_the_order_of_type_and_index(spark: Any) -> None:
    known = [("user", "a", 1, "d"), ("user", "b", 0, "d"), ("host", "a", 5, "d"), ("host", "gone", 4, "d")]
    seen = [("user", "b", 1, 3), ("user", "a", 4, 9), ("host", "a", 2, 9), ("host", "without an index", 1, 9)]
    edges = [
        ("likes", "user", "a", "host", "a", 1, 1.0, 1, 9),
        ("skips", "user", "a", "host", "a", -1, 1.0, 1, 9),
        ("follows", "user", "a", "user", "a", 1, 1.0, 1, 9),
        ("likes", "user", "b", "host", "gone", 1, 1.0, 1, 9),
    ]
    nodes = indexed_nodes(spark.createDataFrame(seen, SEEN), spark.createDataFrame(known, spark_schema(NODE)))
    active = node_activity(nodes, indexed_edges(spark.createDataFrame(edges, WINDOW), nodes), 1)
    assert [tuple(row) for row in active.collect()] == [
        ("host", "a", 5, 2, 2, 9),
        ("user", "b", 0, 1, 0, 3),
        ("user", "a", 1, 4, 4, 9),
    ]


def test_active_nodes_of_a_type_lie_in_the_order_of_their_index_over_the_files(spark: Any) -> None:
    nodes = nodes_frame(spark)
    active = node_activity(nodes, indexed_edges(spark.createDataFrame(window_rows(), WINDOW), nodes), 3)
    found = by_partition(active, "node_type", "index")
    for kind, count in (("user", 30), ("host", 10)):
        assert [row[2] for row in found if row[1] == kind] == list(range(count))
    assert max(Counter(row[0] for row in found).values()) <= 14


@contextmanager
def settings(spark: Any, values: dict[str, str]) -> Iterator[None]:
    before = {name: spark.conf.get(name, None) for name in values}
    for name, value in values.items():
        spark.conf.set(name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            spark.conf.unset(name) if value is None else spark.conf.set(name, value)


def test_a_hub_does_not_make_one_task(spark: Any) -> None:
    users = [("user", f"u{i}", i, "d") for i in range(4000)]
    hosts = [("host", f"h{i}", i, "d") for i in range(50)]
    seen = spark.createDataFrame([(kind, key, 1, 1) for kind, key, *_ in users + hosts], SEEN)
    nodes = indexed_nodes(seen, spark.createDataFrame(users + hosts, spark_schema(NODE)))
    hub = F.when(F.col("id") % 5 < 3, F.lit("h0")).otherwise(F.concat(F.lit("h"), F.col("id") % 50))
    rows = spark.range(0, 4000, numPartitions=8).select(
        F.lit("likes").alias("relation"),
        F.lit("user").alias("src_type"),
        F.concat(F.lit("u"), "id").alias("src_key"),
        F.lit("host").alias("dst_type"),
        hub.alias("dst_key"),
        (F.xxhash64("id") / 7).alias("weight"),
        F.col("id").alias("last_ts"),
    )
    small = {
        "spark.sql.autoBroadcastJoinThreshold": "-1",
        "spark.sql.adaptive.autoBroadcastJoinThreshold": "-1",
        "spark.sql.adaptive.coalescePartitions.enabled": "false",
        "spark.sql.adaptive.skewJoin.skewedPartitionThresholdInBytes": "1k",
        "spark.sql.adaptive.skewJoin.skewedPartitionFactor": "1.5",
        "spark.sql.adaptive.advisoryPartitionSizeInBytes": "4k",
        "spark.sql.shuffle.partitions": "8",
    }
    with settings(spark, small):
        # As in the pipeline, where both are kept.
        joined = indexed_edges(rows, nodes.persist()).persist()
        sizes = Counter(row[0] for row in by_partition(joined, "src", "weight", "time"))
        assert sum(sizes.values()) == 4000
        assert max(sizes.values()) < 1000  # of which the hub alone has 2400
        joined.unpersist()
        nodes.unpersist()
