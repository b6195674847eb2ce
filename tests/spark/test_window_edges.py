"""Daily edges in, the decayed and capped window out, against brute force."""

from __future__ import annotations

import datetime as dt
import random
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from graphrep.config import Relation
from graphrep.contracts import EDGE, NODE_DAY
from graphrep.contracts.spark import spark_schema
from graphrep.edges import window_edges, window_nodes

LAST = "2026-03-10"
BASE = yaml.safe_load((Path(__file__).parents[2] / "configs" / "base.yaml").read_text(encoding="utf-8"))
DEFAULTS = {**BASE["relation_defaults"], "confirmed_by": ()}
SETTINGS: dict[str, dict[str, Any]] = {
    "short": {"half_life_days": 1.0, "window_days": 2, "cap": 100.0, "sign": 1},
    "long": {"half_life_days": 3.5, "window_days": 6, "cap": 2.0, "sign": 1},
    "disliked": {"half_life_days": 14.0, "window_days": 28, "cap": 1.0, "sign": -1},
}
RELATIONS = {
    name: Relation.model_validate(
        {
            **DEFAULTS,
            "domain": "live",
            "actions": ("watch",),
            "from": "user",
            "to": "host",
            **given,
        }
    )
    for name, given in SETTINGS.items()
}
Daily = tuple[int, str, str, str, float, int]  # age in days, relation, source, destination, weight, count


def day(age: int) -> str:
    return (dt.date.fromisoformat(LAST) - dt.timedelta(days=age)).isoformat()


def edge_row(age: int, name: str, src: str, dst: str, weight: float, count: int) -> tuple[Any, ...]:
    sign = SETTINGS.get(name, {"sign": 1})["sign"]
    return (day(age), name, "user", src, "host", dst, sign, weight, count, 1000 - age)


def framed(spark: Any, rows: list[tuple[Any, ...]]) -> Any:
    return spark.createDataFrame(rows, spark_schema(EDGE))


def collected(frame: Any) -> list[tuple[Any, ...]]:
    columns = [name for name in EDGE.names if name != "ds"]
    assert frame.columns == columns
    return sorted(tuple(row) for row in frame.collect())


def oracle(daily: list[Daily]) -> dict[tuple[str, str, str], tuple[float, int, int]]:
    found: dict[tuple[str, str, str], list[tuple[float, int, int]]] = defaultdict(list)
    for age, name, src, dst, weight, count in daily:
        if name in SETTINGS and 0 <= age < SETTINGS[name]["window_days"]:
            decayed = weight * 2 ** (-age / SETTINGS[name]["half_life_days"])
            found[name, src, dst].append((decayed, count, 1000 - age))
    return {
        edge: (
            min(sum(t[0] for t in terms), SETTINGS[edge[0]]["cap"]),
            sum(t[1] for t in terms),
            max(t[2] for t in terms),
        )
        for edge, terms in found.items()
    }


one_edge = st.tuples(
    st.integers(-2, 30),
    st.sampled_from([*SETTINGS, "no_longer_configured"]),
    st.sampled_from(["a", "b"]),
    st.sampled_from(["h", "i"]),
    st.integers(1, 3_000_000).map(lambda millionths: millionths / 1_000_000),
    st.integers(1, 5),
)


@settings(max_examples=4, deadline=None, derandomize=True, database=None, phases=[Phase.generate])
@given(daily=st.lists(one_edge, min_size=10, max_size=80, unique_by=lambda e: e[:4]))
def test_the_window_is_what_brute_force_says(spark: Any, daily: list[Daily]) -> None:
    rows = collected(window_edges(framed(spark, [edge_row(*e) for e in daily]), RELATIONS, LAST))
    expected = oracle(daily)
    assert {(r[0], r[2], r[4]): r[7:] for r in rows} == {edge: found[1:] for edge, found in expected.items()}
    assert {(r[0], r[2], r[4]): r[6] for r in rows} == {
        edge: pytest.approx(found[0], abs=1e-7) for edge, found in expected.items()
    }
    assert all(row[5] == SETTINGS[row[0]]["sign"] for row in rows)


def test_each_day_before_the_last_weighs_by_its_half_life_up_to_the_cap(spark: Any) -> None:
    daily = [
        edge_row(0, "short", "a", "h", 1.0, 1),
        edge_row(1, "short", "a", "h", 1.0, 2),
        edge_row(2, "short", "a", "h", 1.0, 4),  # outside a window of two days
        edge_row(-1, "short", "a", "h", 1.0, 8),  # the future
        edge_row(0, "long", "a", "h", 1.75, 1),
        edge_row(3, "long", "a", "h", 1.75, 1),
        edge_row(5, "long", "b", "h", 1.0, 1),
        edge_row(0, "retired", "a", "h", 1.0, 1),
    ]
    assert collected(window_edges(framed(spark, daily), RELATIONS, LAST)) == [
        ("long", "user", "a", "host", "h", 1, 2.0, 2, 1000),
        ("long", "user", "b", "host", "h", 1, pytest.approx(2 ** (-5 / 3.5), abs=1e-9), 1, 995),
        ("short", "user", "a", "host", "h", 1, 1.5, 3, 1000),
    ]


def test_the_sum_is_the_same_to_the_last_bit_whatever_the_order_of_the_days(spark: Any) -> None:
    chance = random.Random(3)
    rows = [
        edge_row(age, "disliked", f"u{i}", "h", chance.randrange(1, 10**6) / 1e8, 1)
        for i in range(20)
        for age in range(28)
    ]
    first = collected(window_edges(framed(spark, rows).repartition(1), RELATIONS, LAST))
    other = collected(window_edges(framed(spark, rows[::-1]).repartition(3), RELATIONS, LAST))
    assert first == other
    assert len({row[6] for row in first}) == 20


def test_an_edge_that_has_faded_to_nothing_is_left_out(spark: Any) -> None:
    fast = {"short": RELATIONS["short"].model_copy(update={"half_life_days": 0.01})}
    assert collected(window_edges(framed(spark, [edge_row(1, "short", "a", "h", 1.0, 1)]), fast, LAST)) == []


def test_nodes_of_the_window_add_up_their_days(spark: Any) -> None:
    daily = [("2026-03-01", "user", "a", 2, 5), ("2026-03-02", "user", "a", 3, 9), ("2026-03-02", "host", "a", 1, 7)]
    rows = window_nodes(spark.createDataFrame(daily, spark_schema(NODE_DAY))).collect()
    assert sorted(map(tuple, rows)) == [("host", "a", 1, 7), ("user", "a", 5, 9)]
