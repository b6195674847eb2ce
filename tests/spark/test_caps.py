"""Minimum count, hub damping and the strongest edges of each end, against brute force; ties do not hang on the rows."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import yaml
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from graphrep.config import Relation
from graphrep.contracts import EDGE
from graphrep.contracts.spark import spark_schema
from graphrep.edges import window_edges

LAST = "2026-03-10"
BASE = yaml.safe_load((Path(__file__).parents[2] / "configs" / "base.yaml").read_text(encoding="utf-8"))


def relation(**knobs: Any) -> Relation:
    given = {"domain": "live", "actions": ("watch",), "from": "user", "to": "host"}
    return Relation.model_validate({**BASE["relation_defaults"], "confirmed_by": (), **given, **knobs})


RELATIONS = {
    "plain": relation(),
    "rare": relation(min_count=3),
    "damped": relation(hub_damping=0.5, min_count=2),
    "few_each": relation(src_top=2),
    "bounded": relation(dst_top=3),
    "all": relation(hub_damping=1.0, src_top=3, dst_top=2, min_count=2, cap=3.0),
    "all_but_less": relation(hub_damping=0.25, src_top=2, dst_top=4, cap=5.0),
}
Pair = tuple[str, str, str]


def framed(spark: Any, edges: dict[Pair, tuple[float, int]]) -> Any:
    rows = [(LAST, name, "user", u, "host", h, 1, weight, n, 9) for (name, u, h), (weight, n) in edges.items()]
    return spark.createDataFrame(rows, spark_schema(EDGE))


def collected(frame: Any) -> dict[Pair, float]:
    return {(r["relation"], r["src_key"], r["dst_key"]): r["weight"] for r in frame.collect()}


def hashes(spark: Any) -> dict[str, int]:
    keys = [(f"{kind}{i}",) for kind in "uh" for i in range(9)]
    return dict(spark.createDataFrame(keys, "key string").selectExpr("key", "xxhash64(key)").collect())


def oracle(edges: dict[Pair, tuple[float, int]], tie: dict[str, int]) -> dict[Pair, float]:
    found: dict[Pair, float] = {}
    for name, rel in RELATIONS.items():
        kept = {e: min(w, rel.cap) for e, (w, n) in edges.items() if e[0] == name and n >= rel.min_count}
        degree = Counter(dst for _, _, dst in kept)
        kept = {e: round(w * degree[e[2]] ** -rel.hub_damping, 9) for e, w in kept.items()}
        for place, other, k in ((1, 2, rel.src_top), (2, 1, rel.dst_top)):
            groups = defaultdict(list)
            for e, w in kept.items():
                groups[e[place]].append((-w, tie[e[other]], e[other], e))
            kept = {row[3]: -row[0] for group in groups.values() for row in sorted(group)[:k]}
        found |= kept
    return found


one_edge = st.tuples(
    st.tuples(
        st.sampled_from(list(RELATIONS)),
        st.integers(0, 8).map("u{}".format),
        st.integers(0, 3).map("h{}".format),
    ),
    st.tuples(st.sampled_from([0.25, 0.5, 1.0, 1.0, 2.0, 4.0, 8.0]), st.integers(1, 4)),
)


@settings(max_examples=2, deadline=None, derandomize=True, database=None, phases=[Phase.generate])
@given(edges=st.lists(one_edge, min_size=150, max_size=220, unique_by=lambda e: e[0]))
def test_thinned_edges_are_what_brute_force_says(spark: Any, edges: list[Any]) -> None:
    found = collected(window_edges(framed(spark, dict(edges)), RELATIONS, LAST))
    expected = oracle(dict(edges), hashes(spark))
    assert found.keys() == expected.keys()
    assert all(abs(found[e] - expected[e]) < 1.1e-9 for e in expected)


def test_who_stays_at_a_hub_of_equal_weights_does_not_hang_on_the_order_of_the_rows(spark: Any) -> None:
    edges = {("bounded", f"u{i}", "hub"): (1.0, 1) for i in range(400)}
    shuffled = dict(random.Random(4).sample(list(edges.items()), 400))
    first = collected(window_edges(framed(spark, edges).repartition(1), RELATIONS, LAST))
    other = collected(window_edges(framed(spark, shuffled).repartition(3), RELATIONS, LAST))
    assert first == other
    assert len(first) == 3
    assert sorted(first) != sorted(edges)[:3], "the first names are not favoured"


def test_relations_without_these_settings_pay_for_none(spark: Any) -> None:
    plan = window_edges(framed(spark, {}), {"plain": RELATIONS["plain"]}, LAST)._jdf.queryExecution().toString()
    physical = plan[plan.index("== Physical Plan ==") :]
    assert physical.count("Exchange hashpartitioning") == 1
    assert "Window" not in physical
    assert "Join" not in physical
