"""Transitions made day by day in Spark against the whole history at once, pair by pair in plain Python."""

from __future__ import annotations

import itertools
import random
from collections import defaultdict
from functools import reduce
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from graphrep.config import NodeSource, Relation, Transition
from graphrep.contracts import EDGE, LOG_EVENT, TAIL
from graphrep.contracts.spark import spark_schema
from graphrep.edges.transitions import daily_transitions, paths, tail_after, whole_users

BASE = yaml.safe_load((Path(__file__).parents[2] / "configs" / "base.yaml").read_text(encoding="utf-8"))
DAYS = [f"2026-03-{day:02d}" for day in range(1, 5)]
DAY_MS = 86_400_000
START = 1_772_323_200_000  # 2026-03-01
NODES = {
    "user": NodeSource(column="user_id"),
    "host": NodeSource(column="host_id"),
    "video": NodeSource(column="item_id", item_type="video"),
}


def relation(domain: str, dst: str, *actions: str) -> Relation:
    own = {"domain": domain, "actions": actions, "from": "user", "to": dst}
    return Relation.model_validate({**BASE["relation_defaults"], "confirmed_by": (), **own})


RELATIONS = {
    "visits": relation("live", "host", "enter"),
    "stays": relation("live", "host", "enter", "stay"),
    "watches": relation("short_video", "video", "watch"),
    "follows": relation("short_video", "host", "watch"),
    "likes": relation("short_video", "video", "like"),
}


def transition(*relations: str, **own: Any) -> Transition:
    return Transition.model_validate({**BASE["transition_defaults"], "relations": relations, **own})


THEN = transition("stays", "watches", horizon=3, decay=0.5, reverse=0.25, max_tied=3, reach_days=2)

Step = tuple[str, int, str, str]
"""(user, ts, node type, key)."""


def expected_edges(steps: list[Step], by: Transition) -> dict[tuple[str, ...], tuple[float, int, int]]:
    """(day, relation, source, destination) → (weight, pairs, newest time), over every place that ties leave open."""
    found: dict[tuple[str, ...], list[tuple[float, int]]] = defaultdict(list)
    for a, b in itertools.combinations(sorted(steps), 2):
        own = [s for s in steps if s[0] == a[0]]
        p, q = (sum(s[1] == end[1] for s in own) for end in (a, b))
        apart = (b[1] - START) // DAY_MS - (a[1] - START) // DAY_MS
        if a[0] != b[0] or a[2:] == b[2:] or max(p, q) > by.max_tied or apart > by.reach_days:
            continue
        between = sum(a[1] < s[1] < b[1] for s in own)
        if a[1] == b[1]:
            places = [abs(x - y) for x in range(p) for y in range(p) if x != y]
        else:
            places = [between + 1 + x + y for x in range(p) for y in range(q)]
        mean = sum(by.decay ** (k - 1) for k in places if k <= by.horizon) / len(places)
        ways = [((1 + by.reverse) / 2,) * 2, (1.0, by.reverse)][a[1] != b[1]]
        for (src, dst), share in zip(((a, b), (b, a)), ways, strict=True):
            edge = (DAYS[(b[1] - START) // DAY_MS], f"then_{src[2]}_{dst[2]}", src[2], src[3], dst[2], dst[3])
            found[edge] += [(share * mean, b[1])] if share * mean else []
    return {e: (sum(w for w, _ in pairs), len(pairs), max(t for _, t in pairs)) for e, pairs in found.items() if pairs}


def framed(spark: Any, steps: list[Step]) -> Any:
    return spark.createDataFrame(steps, "user_key string, ts long, node_type string, key string")


def collected(frame: Any) -> list[tuple[Any, ...]]:
    return sorted(tuple(row) for row in frame.collect())


def day_of(step: Step) -> str:
    return DAYS[(step[1] - START) // DAY_MS]


def made_by_day(spark: Any, steps: list[Step], by: Transition, partitions: int) -> tuple[Any, Any]:
    """The edges of all days, each from its own events and the tail before; and the last tail."""
    tail = spark.createDataFrame([], spark_schema(TAIL))
    edges = []
    for ds in DAYS:
        fresh = framed(spark, [s for s in steps if day_of(s) == ds])
        edges.append(daily_transitions(fresh, tail, "then", by, ds, partitions))
        rows = tail_after(fresh, tail, "then", by, ds, partitions).collect()
        tail = spark.createDataFrame(rows, spark_schema(TAIL))
    return collected(reduce(lambda a, b: a.unionByName(b), edges)), collected(tail)


def assert_edges_match(rows: list[tuple[Any, ...]], steps: list[Step], by: Transition, *days: str) -> None:
    expected = {edge: found for edge, found in expected_edges(steps, by).items() if not days or edge[0] in days}
    assert {row[:6]: row[8:] for row in rows} == {edge: found[1:] for edge, found in expected.items()}
    assert len(rows) == len(expected)
    # Half a millionth of rounding for each pair.
    assert {row[:6]: row[7] for row in rows} == {
        edge: pytest.approx(weight, abs=0.51e-6 * pairs) for edge, (weight, pairs, _) in expected.items()
    }
    assert {row[6] for row in rows} == {1}


def many_steps(seed: int, users: int = 4, number: int = 90) -> list[Step]:
    chance = random.Random(seed)
    hours = [START + hour * 3_600_000 for hour in range(0, 24 * len(DAYS), 3)]
    nodes = [("host", "h0"), ("host", "h1"), ("host", "同"), ("video", "h0"), ("video", "v1")]
    return [(f"u{chance.randrange(users)}", chance.choice(hours), *chance.choice(nodes)) for _ in range(number)]


def test_the_days_sum_to_the_history_within_reach(spark: Any) -> None:
    steps = many_steps(seed=1)
    edges, tail = made_by_day(spark, steps, THEN, partitions=2)
    assert_edges_match(edges, steps, THEN)
    assert len(edges) > 60
    assert tail == expected_tail(steps, THEN, DAYS[-1])


def expected_tail(steps: list[Step], by: Transition, ds: str) -> list[tuple[Any, ...]]:
    """From the events of the last days alone, whatever was made of those before."""
    near = [s for s in steps if 0 <= DAYS.index(ds) - DAYS.index(day_of(s)) < by.reach_days]
    kept = [s for s in near if sum(s[0] == later[0] and later[1] > s[1] for later in near) < by.horizon]
    return sorted((ds, "then", *s) for s in kept)


def test_a_tail_with_older_events_and_other_transitions_does_no_harm(spark: Any) -> None:
    ds, noon = DAYS[3], START + 3 * DAY_MS + DAY_MS // 2
    steps = many_steps(seed=2, users=2)
    steps += [("rare", START, "host", "h0"), ("rare", noon, "host", "h1")]  # farther apart than the reach
    steps += [("at once", noon, "host", f"h{n}") for n in range(THEN.horizon + 2)]  # a tie longer than the horizon
    fresh = framed(spark, [s for s in steps if day_of(s) == ds])
    before = [s for s in steps if day_of(s) < ds]
    rows = [(DAYS[2], name, *s) for s in before for name in ("then", "other")]
    tail = spark.createDataFrame(rows, spark_schema(TAIL))
    upto = [s for s in steps if day_of(s) <= ds]
    found = collected(daily_transitions(fresh, tail, "then", THEN, ds, 2))
    assert_edges_match(found, upto, THEN, ds)
    assert collected(tail_after(fresh, tail, "then", THEN, ds, 2)) == expected_tail(upto, THEN, ds)


def test_neither_row_order_nor_partitions_nor_arrow_batches_change_a_bit(spark: Any) -> None:
    steps = [(user, START + ts % DAY_MS, kind, key) for user, ts, kind, key in many_steps(3, users=5, number=200)]
    steps += [("lone", START, "host", "h0"), ("busy", START, "video", "v9")]
    steps += [("busy", START + n, "host", f"h{n % 7}") for n in range(60)]
    tail = spark.createDataFrame([], spark_schema(TAIL))
    first = collected(daily_transitions(framed(spark, steps), tail, "then", THEN, DAYS[0], 1))
    assert_edges_match(first, steps, THEN)
    key = "spark.sql.execution.arrow.maxRecordsPerBatch"
    before = spark.conf.get(key)
    spark.conf.set(key, 7)
    try:
        other = collected(daily_transitions(framed(spark, steps[::-1]).repartition(3), tail, "then", THEN, DAYS[0], 3))
    finally:
        spark.conf.set(key, before)
    assert other == first


def test_no_reach_joins_a_day_with_itself_alone(spark: Any) -> None:
    alone = transition("stays", reach_days=0)
    steps = [("u", START + DAY_MS, "host", "a"), ("u", START + DAY_MS + 1, "host", "b")]
    old = [(DAYS[0], "then", "u", START + DAY_MS - 1, "host", "c"), (DAYS[0], "then", "gone", START, "host", "c")]
    tail = spark.createDataFrame(old, spark_schema(TAIL))
    rows = collected(daily_transitions(framed(spark, steps), tail, "then", alone, DAYS[1], 2))
    assert [(row[3], row[5], row[7], row[8]) for row in rows] == [("a", "b", 1.0, 1), ("b", "a", 0.3, 1)]
    assert collected(tail_after(framed(spark, steps), tail, "then", alone, DAYS[1], 2)) == []


def test_the_frames_keep_their_contracts(spark: Any) -> None:
    empty, tail = framed(spark, []), spark.createDataFrame([], spark_schema(TAIL))
    edges = daily_transitions(empty, tail, "then", THEN, DAYS[0], 2)
    after = tail_after(empty, tail, "then", THEN, DAYS[0], 2)
    for frame, contract in ((edges, EDGE), (after, TAIL)):
        assert [(f.name, f.dataType) for f in frame.schema] == [(f.name, f.dataType) for f in spark_schema(contract)]
    assert collected(edges) == []


def test_the_plan_moves_and_sorts_the_path_once(spark: Any) -> None:
    empty, tail = framed(spark, []), spark.createDataFrame([], spark_schema(TAIL))
    frame = daily_transitions(empty, tail, "then", THEN, DAYS[0], 3)
    plan = frame._jdf.queryExecution().executedPlan().toString()
    assert (plan.count("Exchange"), plan.count("Sort [")) == (2, 1)  # by user, and by pair of the sums


def event(**given: Any) -> dict[str, Any]:
    plain = {"event_id": "e", "ts": START, "ds": DAYS[0], "domain": "live", "user_id": "u", "action": "enter"}
    return {**dict.fromkeys(LOG_EVENT.names), **plain, **given}


one_event = st.fixed_dictionaries(
    {
        "ts": st.integers(0, 9),
        "domain": st.sampled_from(["live", "short_video", "shop"]),
        "user_id": st.sampled_from(["u", "w"]),
        "action": st.sampled_from(["enter", "stay", "watch", "like"]),
        "host_id": st.sampled_from([None, "h", "i"]),
        "item_id": st.sampled_from([None, "a", "b"]),
        "item_type": st.sampled_from(["video", "product", None]),
    }
)


def expected_paths(events: list[dict[str, Any]], by: Transition) -> list[Step]:
    found: list[Step] = []
    for e in events:
        met = set()
        for own in (RELATIONS[name] for name in by.relations):
            source = NODES[own.dst]
            named = source.item_type in (None, e["item_type"]) and e[source.column] is not None
            if e["domain"] == own.domain and e["action"] in own.actions and named:
                met.add((e["user_id"], e["ts"], own.dst, e[source.column]))
        found += met
    return sorted(found)


@settings(max_examples=3, deadline=None, derandomize=True, database=None, phases=[Phase.generate])
@given(events=st.lists(one_event, min_size=30, max_size=80))
def test_a_path_has_each_node_of_each_event_once(spark: Any, events: list[dict[str, Any]]) -> None:
    by = transition("visits", "stays", "watches", "follows", "likes")
    rows = [tuple(event(**e)[name] for name in LOG_EVENT.names) for e in events]
    frame = spark.createDataFrame(rows, spark_schema(LOG_EVENT))
    assert collected(paths(frame, by, RELATIONS, NODES)) == expected_paths(events, by)


@pytest.mark.parametrize("cuts", [[], [1], [2, 2, 3], [3, 5], [1, 2, 3, 4, 5, 6, 7]])
def test_no_user_is_parted_where_batches_end(cuts: list[int]) -> None:
    rows = pa.table({"user_key": list("aabbbbcd"), "row": range(8)})
    bounds = itertools.pairwise([0, *cuts, len(rows)])
    batches = [batch for a, b in bounds for batch in rows.slice(a, b - a).to_batches() or [rows.to_batches()[0][:0]]]
    parts = [part["user_key"].to_pylist() for part in whole_users(iter(batches))]
    assert list(itertools.chain(*parts)) == list("aabbbbcd")
    assert sum(len(set(part)) for part in parts) == 4
