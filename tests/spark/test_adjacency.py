"""The window by index: sorted, equal to the joined keys; and the window's nodes with what is known of them."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from graphrep.contracts import NODE
from graphrep.contracts.spark import spark_schema
from graphrep.graph.build import adjacency, node_activity

WINDOW = (
    "relation string, src_type string, src_key string, dst_type string, dst_key string, sign int,"
    " weight double, count long, last_ts long"
)
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


@pytest.mark.parametrize("partitions", [1, 3])
def test_the_adjacency_is_the_joined_window_sorted_by_relation_source_and_destination(
    spark: Any, partitions: int
) -> None:
    rows = random.Random(partitions).sample(window_rows(), 120)
    window = spark.createDataFrame(rows, WINDOW).repartition(4)
    made = adjacency(window, spark.createDataFrame(NODES, spark_schema(NODE)), partitions)
    found = [(r["relation"], r["src"], r["dst"], r["weight"], r["time"]) for r in made.collect()]
    assert found == expected_rows()


def test_active_nodes_carry_their_degree_in_the_order_of_type_and_index(spark: Any) -> None:
    known = [("user", "a", 1, "d"), ("user", "b", 0, "d"), ("host", "a", 5, "d"), ("host", "gone", 4, "d")]
    nodes = spark.createDataFrame(known, spark_schema(NODE))
    edges = spark.createDataFrame(
        [
            ("likes", "user", "a", "host", "a", 1, 1.0, 1, 9),
            ("skips", "user", "a", "host", "a", -1, 1.0, 1, 9),
            ("follows", "user", "a", "user", "a", 1, 1.0, 1, 9),
        ],
        WINDOW,
    )
    active = spark.createDataFrame(
        [("user", "b", 1, 3), ("user", "a", 4, 9), ("host", "a", 2, 9)],
        "node_type string, key string, events long, last_ts long",
    )
    assert [tuple(row) for row in node_activity(active, edges, nodes).collect()] == [
        ("host", "a", 5, 2, 2, 9),
        ("user", "b", 0, 1, 0, 3),
        ("user", "a", 1, 4, 4, 9),
    ]
