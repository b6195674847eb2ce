"""Who is above what a person does in a day: counted exactly, named with the first reason, and left out."""

from __future__ import annotations

from typing import Any

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from graphrep.config import Intensity
from graphrep.contracts import EXCLUSION, LOG_EVENT
from graphrep.contracts.spark import spark_schema
from graphrep.edges import exclusions, without

DS = "2026-03-01"
MIDNIGHT = 1_772_323_200_000
HOUR = 3_600_000
LIMITS = Intensity(max_events=12, max_active_hours=5, max_distinct=9)


def event(user: str, hour: int, kind: str | None = None, item: str | None = None, host: str | None = None) -> Any:
    row = {"event_id": "e", "ts": MIDNIGHT + hour * HOUR + 17, "ds": DS, "domain": "live", "action": "watch"}
    named = {"user_id": user, "item_type": kind, "item_id": item, "host_id": host}
    return {**dict.fromkeys(LOG_EVENT.names), **row, **named}


def framed(spark: Any, events: list[dict[str, Any]]) -> Any:
    return spark.createDataFrame([tuple(e[n] for n in LOG_EVENT.names) for e in events], spark_schema(LOG_EVENT))


def oracle(events: list[dict[str, Any]], limits: Intensity) -> list[tuple[Any, ...]]:
    found = []
    for user in sorted({e["user_id"] for e in events}):
        own = [e for e in events if e["user_id"] == user]
        hours = len({e["ts"] // HOUR for e in own})
        items = {(e["item_type"], e["item_id"]) for e in own if e["item_id"] is not None}
        distinct = len(items) + len({e["host_id"] for e in own} - {None})
        above = [
            reason
            for reason, is_above in (
                ("events", len(own) > limits.max_events),
                ("active_hours", hours > limits.max_active_hours),
                ("distinct", distinct > limits.max_distinct),
            )
            if is_above
        ]
        if above:
            found.append((DS, user, above[0], len(own), hours, distinct))
    return found


one_event = st.builds(
    event,
    user=st.sampled_from(["a", "b", "c", "c", "c", "d", "d"]),
    hour=st.sampled_from([0, 1, 2, 2, 2, 3, 12, 23]),
    kind=st.sampled_from([None, "video", "product"]),
    item=st.sampled_from([None, "x", "y", "z"]),
    host=st.sampled_from([None, "x", "y"]),
)


@settings(max_examples=3, deadline=None, derandomize=True, database=None, phases=[Phase.generate])
@given(events=st.lists(one_event, min_size=30, max_size=60))
def test_exclusions_are_what_brute_force_says(spark: Any, events: list[dict[str, Any]]) -> None:
    made = exclusions(framed(spark, events), LIMITS, DS)
    assert made.columns == EXCLUSION.names
    assert sorted(map(tuple, made.collect())) == oracle(events, LIMITS)


def test_each_limit_excludes_whoever_is_above_it_and_nobody_at_it(spark: Any) -> None:
    events = [event("too many", 0) for _ in range(13)] + [event("many", 0) for _ in range(12)]
    events += [event("too long", hour) for hour in range(6)] + [event("long", hour) for hour in range(5)]
    events += [event("too wide", 0, "video", f"v{i}", f"h{i}") for i in range(5)]
    events += [event("wide", 0, "video", f"v{i % 4}", f"h{i}") for i in range(5)]
    excluded = exclusions(framed(spark, events), LIMITS, DS).persist()
    assert sorted(map(tuple, excluded.collect())) == [
        (DS, "too long", "active_hours", 6, 6, 0),
        (DS, "too many", "events", 13, 1, 0),
        (DS, "too wide", "distinct", 5, 1, 10),
    ]
    other_day = {**event("too long", 7), "ds": "2026-03-02"}
    kept = without(framed(spark, [*events, other_day]), excluded)
    assert kept.columns == LOG_EVENT.names
    assert sorted((row["user_id"], row["ds"]) for row in kept.collect()) == sorted(
        [("many", DS)] * 12 + [("long", DS)] * 5 + [("wide", DS)] * 5 + [("too long", "2026-03-02")]
    )
    excluded.unpersist()


def test_all_hours_of_the_day_are_no_limit(spark: Any) -> None:
    events = [event("awake", hour) for hour in range(24)]
    limits = Intensity(max_events=24, max_active_hours=24, max_distinct=100)
    assert exclusions(framed(spark, events), limits, DS).collect() == []
