"""One day's events in, its edges and nodes out, against a brute-force oracle in plain Python."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from graphrep.config import NodeSource, Relation
from graphrep.contracts import LOG_EVENT
from graphrep.contracts.spark import spark_schema
from graphrep.edges import daily_edges, daily_nodes

DS = "2026-03-01"
BASE = yaml.safe_load((Path(__file__).parents[2] / "configs" / "base.yaml").read_text(encoding="utf-8"))
DEFAULTS = {**BASE["relation_defaults"], "confirmed_by": ()}
NODES = {
    "user": NodeSource(column="user_id"),
    "host": NodeSource(column="host_id"),
    "video": NodeSource(column="item_id", item_type="video"),
    "product": NodeSource(column="item_id", item_type="product"),
}


def relation(
    strength: str, dst: str, *actions: str, domain: str = "live", sign: int = 1, prior: float = 4, **knobs: Any
) -> Relation:
    return Relation.model_validate(
        {
            **DEFAULTS,
            "domain": domain,
            "actions": actions,
            "from": "user",
            "to": dst,
            "sign": sign,
            "strength": strength,
            "prior_support": prior,
            **knobs,
        }
    )


RELATIONS = {
    "watched": relation("duration_percentile", "host", "watch", prior=0),
    "watched_or_liked": relation("duration_percentile", "host", "watch", "like", prior=3),
    "paid": relation("value_percentile", "video", "gift", "watch", prior=1.5),
    "skipped": relation("unit", "host", "skip", sign=-1),
    "bought": relation("unit", "product", "buy", domain="shop"),
    "often_watched": relation("duration_percentile", "host", "watch", "gift", min_support=3),
    "gave_much": relation("value_percentile", "host", "gift", value_weight="log"),
    "paid_for": relation("unit", "product", "buy", domain="shop", value_weight="linear", daily_cap=9.5),
}
COLUMN = {"duration_percentile": "duration", "value_percentile": "value"}


def event(**given: Any) -> dict[str, Any]:
    plain = {"event_id": "e", "ts": 1, "ds": DS, "domain": "live", "user_id": "u", "action": "watch"}
    return {**dict.fromkeys(LOG_EVENT.names), **plain, **given}


def framed(spark: Any, events: list[dict[str, Any]]) -> Any:
    rows = [tuple(e[name] for name in LOG_EVENT.names) for e in events]
    return spark.createDataFrame(rows, spark_schema(LOG_EVENT))


def strength(own: dict[str, Any], events: list[dict[str, Any]], rel: Relation) -> float:
    """(less + equal/2 + k/2) / (n + k) among the same user's same events that have the value, times its worth."""
    value = own["value"]
    if value is None or rel.value_weight == "none":
        return rank(own, events, rel)
    return min(1e6, rank(own, events, rel) * (value if rel.value_weight == "linear" else math.log2(1 + value)))


def rank(own: dict[str, Any], events: list[dict[str, Any]], rel: Relation) -> float:
    if rel.strength == "unit":
        return 1.0
    column = COLUMN[rel.strength]
    if own[column] is None:
        return 0.5
    alike = [e for e in events if all(e[c] == own[c] for c in ("ds", "user_id", "domain", "action"))]
    values = [e[column] for e in alike if e[column] is not None]
    less, equal = sum(v < own[column] for v in values), sum(v == own[column] for v in values)
    if len(values) < rel.min_support:
        return 0.5
    k = rel.prior_support
    return (less + equal / 2 + k / 2) / (len(values) + k)


def key_of(own: dict[str, Any], node_type: str) -> str | None:
    source = NODES[node_type]
    if source.item_type is not None and own["item_type"] != source.item_type:
        return None
    found: str | None = own[source.column]
    return found


def oracle_edges(events: list[dict[str, Any]]) -> dict[tuple[Any, ...], tuple[float, int, int]]:
    found: dict[tuple[Any, ...], list[tuple[float, int]]] = defaultdict(list)
    for own in events:
        for name, rel in RELATIONS.items():
            src, dst = key_of(own, rel.src), key_of(own, rel.dst)
            if own["domain"] == rel.domain and own["action"] in rel.actions and src and dst:
                found[own["ds"], name, rel.src, src, rel.dst, dst, rel.sign].append(
                    (strength(own, events, rel), own["ts"])
                )
    return {
        edge: (
            min(sum(max(1e-6, round(s, 6)) for s, _ in terms), RELATIONS[edge[1]].daily_cap),
            len(terms),
            max(ts for _, ts in terms),
        )
        for edge, terms in found.items()
    }


def oracle_nodes(events: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    found: dict[tuple[str, str], list[int]] = defaultdict(list)
    for own in events:
        for node_type in NODES:
            if key := key_of(own, node_type):
                found[node_type, key].append(own["ts"])
    return sorted((DS, *node, len(times), max(times)) for node, times in found.items())


def collected(frame: Any) -> list[tuple[Any, ...]]:
    return sorted(tuple(row) for row in frame.collect())


def assert_edges_match(rows: list[tuple[Any, ...]], events: list[dict[str, Any]]) -> None:
    expected = oracle_edges(events)
    assert {row[:7]: row[8:] for row in rows} == {edge: found[1:] for edge, found in expected.items()}
    assert len(rows) == len(expected)
    # Half a millionth of rounding for each event.
    assert {row[:7]: row[7] for row in rows} == {
        edge: pytest.approx(weight, abs=1.01e-6 * count) for edge, (weight, count, _) in expected.items()
    }


one_event = st.fixed_dictionaries(
    {
        "ts": st.integers(0, 9),
        "ds": st.sampled_from([DS, DS, "2026-03-02"]),
        "domain": st.sampled_from(["live", "live", "shop"]),
        "user_id": st.sampled_from(["u", "w"]),
        "action": st.sampled_from(["watch", "like", "gift", "skip", "buy"]),
        "duration": st.one_of(st.none(), st.sampled_from([0.0, 1.0, 1.0, 2.5])),
        "value": st.one_of(st.none(), st.sampled_from([0.0, 7.0, 7.0, 3e6])),
        "host_id": st.one_of(st.none(), st.sampled_from(["h", "i"])),
        "item_id": st.one_of(st.none(), st.sampled_from(["a", "b"])),
        "item_type": st.sampled_from(["video", "product", None]),
    }
)


@settings(max_examples=3, deadline=None, derandomize=True, database=None, phases=[Phase.generate])
@given(events=st.lists(one_event, min_size=40, max_size=120))
def test_edges_are_what_brute_force_says(spark: Any, events: list[dict[str, Any]]) -> None:
    full = [event(**e) for e in events]
    assert_edges_match(collected(daily_edges(framed(spark, full), RELATIONS, NODES, gap_minutes=30)), full)


def test_ties_share_their_rank_and_support_pulls_to_the_middle(spark: Any) -> None:
    spent = {"h1": 3.0, "h2": 3.0, "h3": 9.0, "h4": None}
    events = [event(host_id=host, duration=value, ts=i) for i, (host, value) in enumerate(spent.items())]
    events.append(event(user_id="alone", host_id="h1", duration=100.0))
    rows = collected(daily_edges(framed(spark, events), RELATIONS, NODES, gap_minutes=30))
    weights = {(row[1], row[3], row[5]): row[7] for row in rows if row[1] in ("watched", "watched_or_liked")}
    assert weights == {
        ("watched", "u", "h1"): 0.333333,  # (0 + 2/2) / 3
        ("watched", "u", "h2"): 0.333333,
        ("watched", "u", "h3"): 0.833333,  # (2 + 1/2) / 3
        ("watched", "u", "h4"): 0.5,
        ("watched", "alone", "h1"): 0.5,
        ("watched_or_liked", "u", "h1"): 0.416667,  # (0 + 2/2 + 3/2) / 6
        ("watched_or_liked", "u", "h2"): 0.416667,
        ("watched_or_liked", "u", "h3"): 0.666667,
        ("watched_or_liked", "u", "h4"): 0.5,
        ("watched_or_liked", "alone", "h1"): 0.5,
    }


def many_events() -> list[dict[str, Any]]:
    chance = random.Random(5)
    return [
        event(
            event_id=str(i),
            ts=i,
            user_id=f"u{chance.randrange(5)}",
            action=chance.choice(["watch", "gift", "skip"]),
            duration=chance.random(),
            value=chance.choice([None, 1.0, 2.0]),
            host_id=f"h{chance.randrange(4)}",
            item_id=f"v{chance.randrange(4)}",
            item_type="video",
        )
        for i in range(300)
    ]


def test_weights_are_the_same_to_the_last_bit_whatever_the_order_of_the_rows(spark: Any) -> None:
    events = many_events()
    first = collected(daily_edges(framed(spark, events).repartition(1), RELATIONS, NODES, gap_minutes=30))
    other = collected(daily_edges(framed(spark, events[::-1]).repartition(3), RELATIONS, NODES, gap_minutes=30))
    assert first == other
    assert len(first) > 40


def test_nodes_are_all_keys_that_events_name_with_or_without_an_edge(spark: Any) -> None:
    events = [
        event(user_id="u", action="look", ts=5),
        event(user_id="u", host_id="h", ts=3),
        event(user_id="w", item_id="x", item_type="video", host_id="h", ts=4),
        event(user_id="w", item_id="x", item_type="product", ts=9),
        event(user_id="w", item_id="y", item_type="song", ts=1),
    ]
    assert collected(daily_nodes(framed(spark, events), NODES)) == oracle_nodes(events)
    assert (DS, "host", "h", 2, 4) in oracle_nodes(events)


def test_a_day_without_events_has_neither_edges_nor_nodes(spark: Any) -> None:
    empty = framed(spark, [])
    assert collected(daily_edges(empty, RELATIONS, NODES, gap_minutes=30)) == []
    assert collected(daily_nodes(empty, NODES)) == []
