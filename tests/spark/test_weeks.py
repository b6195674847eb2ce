"""Whole weeks in place of their days: each day is read once by each relation, and the sum is the same."""

from __future__ import annotations

import datetime as dt
import random
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from graphrep.config import Relation
from graphrep.contracts import EDGE, EDGE_WEEK
from graphrep.contracts.spark import spark_schema
from graphrep.edges import plan_weeks, week_edges, window_edges

FIRST = dt.date(2026, 2, 1)
BASE = yaml.safe_load((Path(__file__).parents[2] / "configs" / "base.yaml").read_text(encoding="utf-8"))


def relation(window_days: int, half_life_days: float = 14, cap: float = 10) -> Relation:
    given = {"domain": "live", "actions": ("watch",), "from": "user", "to": "host", "confirmed_by": ()}
    knobs = {"window_days": window_days, "half_life_days": half_life_days, "cap": cap}
    return Relation.model_validate({**BASE["relation_defaults"], **given, **knobs})


def day(n: int) -> str:
    return (FIRST + dt.timedelta(days=n)).isoformat()


@given(
    present=st.sets(st.integers(0, 70)),
    last=st.integers(0, 80),
    windows=st.lists(st.integers(1, 60), min_size=1, max_size=3),
)
def test_each_relation_reads_each_day_of_its_window_once_and_no_other(
    present: set[int], last: int, windows: list[int]
) -> None:
    days = [day(n) for n in present]
    plan = plan_weeks(days, day(last), {str(i): relation(w) for i, w in enumerate(windows)})
    reads: set[str] = set()
    for window in windows:
        inside = {d for d in days if day(last - window + 1) <= d <= day(last)}
        own = [sunday for sunday in plan.weeks if _monday(sunday) >= day(last - window + 1) and sunday <= day(last)]
        by_week = {d for sunday in own for d in plan.weeks[sunday]}
        assert by_week == {d for d in inside if any(_monday(s) <= d <= s for s in own)}
        assert inside - by_week <= set(plan.days)
        assert len(inside - by_week) <= 12
        reads |= (inside - by_week) | {f"week {sunday}" for sunday in own}
    assert reads == set(plan.days) | {f"week {sunday}" for sunday in plan.weeks}, "nothing is read in vain"
    assert all(dt.date.fromisoformat(sunday).isoweekday() == 7 for sunday in plan.weeks)


def _monday(sunday: str) -> str:
    return (dt.date.fromisoformat(sunday) - dt.timedelta(days=6)).isoformat()


RELATIONS = {"short": relation(9), "long": relation(40, 3.5), "weak": relation(36, 1.0, 100), "half": relation(40, 7)}


def edge_rows(relations: list[str], days: range) -> list[tuple[Any, ...]]:
    chance = random.Random(8)
    return [
        (day(n), name, "user", f"u{i}", "host", "h", 1, max(1, chance.randrange(20) ** 5) / 1e6, 1 + n, n)
        for name in relations
        for i in range(6)
        for n in days
        if chance.random() < 0.7
    ]


def test_a_week_is_the_decayed_sum_of_its_seven_days(spark: Any) -> None:
    rows = edge_rows(["long", "weak", "retired"], range(0, 20))
    made = week_edges(spark.createDataFrame(rows, spark_schema(EDGE)), RELATIONS, day(14)).collect()
    assert list(made[0].asDict()) == EDGE_WEEK.names
    expected: dict[tuple[str, str], list[tuple[float, int, int]]] = {}
    for ds, name, _, src, *_, weight, count, ts in rows:
        age = (dt.date.fromisoformat(day(14)) - dt.date.fromisoformat(ds)).days
        if name in RELATIONS and 0 <= age <= 6:
            decayed = weight * 2 ** (-age / RELATIONS[name].half_life_days)
            expected.setdefault((name, src), []).append((decayed, count, ts))
    assert {(r["relation"], r["src_key"]): (r["ds"], r["weight"], r["count"], r["last_ts"]) for r in made} == {
        edge: (
            day(14),
            pytest.approx(sum(t[0] for t in terms), rel=1e-12),
            sum(t[1] for t in terms),
            max(t[2] for t in terms),
        )
        for edge, terms in expected.items()
    }


@pytest.mark.parametrize("last", [42, 45])  # a Sunday and a Wednesday
def test_a_window_of_weeks_is_the_window_of_their_days(spark: Any, last: int) -> None:
    rows = edge_rows([*RELATIONS, "retired"], range(-3, 48))
    daily = spark.createDataFrame(rows, spark_schema(EDGE)).persist()
    plan = plan_weeks([day(n) for n in range(-3, 48)], day(last), RELATIONS)
    weeks = [week_edges(daily, RELATIONS, sunday) for sunday in [*plan.weeks, day(49)]]
    merged = weeks[0]
    for week in weeks[1:]:
        merged = merged.union(week)
    singly = daily.where(daily["ds"].isin(*plan.days))
    by_weeks = sorted(map(tuple, window_edges(singly, RELATIONS, day(last), weeks=merged).collect()))
    by_days = sorted(map(tuple, window_edges(daily, RELATIONS, day(last)).collect()))
    assert len(plan.weeks) >= 4
    assert by_weeks == by_days
    daily.unpersist()
