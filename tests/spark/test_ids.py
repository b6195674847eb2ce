"""Stable dense ids: a key keeps its index for ever, a new one takes the next free index of its type."""

from __future__ import annotations

import random
from typing import Any

from graphrep.contracts import NODE
from graphrep.contracts.spark import spark_schema
from graphrep.graph.build import new_nodes

Row = tuple[str, str, int, str]


def numbered(spark: Any, keys: list[tuple[str, str]], known: list[Row], ds: str, partitions: int = 2) -> list[Row]:
    window = spark.createDataFrame(keys, "node_type string, key string").repartition(partitions)
    dictionary = spark.createDataFrame(known, spark_schema(NODE))
    return sorted(tuple(row) for row in new_nodes(window, dictionary, ds).collect())


def by_type(rows: list[Row], node_type: str) -> dict[str, int]:
    return {key: index for kind, key, index, _ in rows if kind == node_type}


KEYS = [("user", f"u{i}") for i in range(150)] + [("host", f"h{i}") for i in range(7)] + [("host", "u3")]
MORE = [("user", f"n{i}") for i in range(40)] + [("video", "v")]


def test_the_first_keys_of_a_type_are_numbered_from_zero_without_a_hole(spark: Any) -> None:
    rows = numbered(spark, KEYS, [], "2026-03-01")
    assert sorted(by_type(rows, "user").values()) == list(range(150))
    assert sorted(by_type(rows, "host").values()) == list(range(8))
    assert {row[3] for row in rows} == {"2026-03-01"}


def test_a_known_key_is_not_numbered_again_and_new_ones_take_the_next_free(spark: Any) -> None:
    known = numbered(spark, KEYS, [], "2026-03-01")
    fresh = numbered(spark, KEYS + MORE, known, "2026-03-02")
    assert {row[:2] for row in fresh} == set(MORE)
    assert sorted(by_type(fresh, "user").values()) == list(range(150, 190))
    assert by_type(fresh, "video") == {"v": 0}
    assert {row[3] for row in fresh} == {"2026-03-02"}
    assert numbered(spark, KEYS + MORE, known + fresh, "2026-03-03") == []


def test_a_gap_that_the_dictionary_has_is_never_filled(spark: Any) -> None:
    known = [("user", "a", 0, "2026-03-01"), ("user", "z", 41, "2026-03-01")]
    assert numbered(spark, [("user", "b"), ("host", "b")], known, "2026-03-02") == [
        ("host", "b", 0, "2026-03-02"),
        ("user", "b", 42, "2026-03-02"),
    ]


def test_the_indices_depend_on_neither_the_order_nor_the_partitions_of_the_rows(spark: Any) -> None:
    shuffled = random.Random(1).sample(KEYS, len(KEYS))
    assert numbered(spark, KEYS, [], "d", partitions=1) == numbered(spark, shuffled, [], "d", partitions=5)


def test_two_types_do_not_touch_each_others_indices(spark: Any) -> None:
    alone = numbered(spark, [key for key in KEYS if key[0] == "user"], [], "d")
    assert by_type(alone, "user") == by_type(numbered(spark, KEYS, [], "d"), "user")
