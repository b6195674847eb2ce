"""Which rows are events: the rules in their order, the winner among repeats, the counts."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from graphrep.config import ColumnSource, LogTable, Surface
from graphrep.logs import accepted, check_rows, count_events, count_rows, normalise, quarantined
from graphrep.logs.events import REASON

DS = "2026-03-01"
START = 1_772_323_200_000
DAY = 86_400_000
SURFACES = {
    "live": Surface(actions=("watch", "gift"), item_types=()),
    "shop": Surface(actions=("buy",), item_types=("product",)),
}
TABLE = LogTable(
    path="t",
    format="jsonl",
    partitioned=True,
    required=True,
    marker=None,
    columns={"item_id": "item", "item_type": "kind", "duration": ColumnSource(column="spent", unit="s")},
)
COLUMNS = ("event_id", "ts", "user_id", "domain", "action", "item", "kind", "host_id", "spent", "value", "bad")
SCHEMA = ", ".join(f"{name} string" for name in COLUMNS)
GOOD = {"ts": str(START), "user_id": "u", "domain": "shop", "action": "buy", "item": "p1", "kind": "product"}
LIVE = {"domain": "live", "action": "watch", "item": None, "kind": None, "host_id": "h"}


def frame(spark: Any, rows: list[dict[str, Any]]) -> Any:
    """Rows like GOOD but for what they say."""
    full = [{**GOOD, "event_id": f"e{i}", **row} for i, row in enumerate(rows)]
    return spark.createDataFrame([tuple(row.get(name) for name in COLUMNS) for row in full], SCHEMA)


def checked(spark: Any, rows: list[dict[str, Any]], *, cut_by_ts: bool = False, lateness: int = 0) -> Any:
    raw = normalise(frame(spark, rows), "t", TABLE, "bad", max_key_bytes=20)
    return check_rows(raw, SURFACES, DS, cut_by_ts=cut_by_ts, lateness_days=lateness)


# Each row breaks its own rule and, where it can, a later one too: the first in the order of the rules is the reason.
BROKEN: list[tuple[str, dict[str, Any]]] = [
    ("corrupt_row", {"bad": "{oops", "user_id": None}),
    ("null_user", {"user_id": None, "ts": "soon"}),
    ("null_user", {"user_id": " "}),
    ("wrong_type_ts", {"ts": "soon", "value": "much"}),
    ("wrong_type_value", {"value": "much", "domain": "mars"}),
    ("wrong_type_duration", {"spent": "long"}),
    ("null_ts", {"ts": None, "domain": "mars"}),
    ("too_late", {"ts": str(START - 1), "domain": "mars"}),
    ("after_its_day", {"ts": str(START + DAY), "user_id": "u" * 21}),
    ("too_long_user_id", {"user_id": "u" * 21, "domain": "mars"}),
    ("too_long_item_id", {"item": "é" * 11}),
    ("nul_in_item_id", {"item": "p\0"}),
    ("nul_in_event_id", {"event_id": "e\0"}),
    ("unknown_domain", {"domain": "mars", "action": "land"}),
    ("unknown_domain", {"domain": None}),
    ("unknown_action", {"action": "gift", "spent": "-1"}),
    ("unknown_action", {"action": None}),
    ("negative_duration", {"spent": "-0.5", "value": "-1"}),
    ("negative_value", {"value": "-1", "item": None}),
    ("nothing_acted_on", {"item": None, "kind": "comet"}),
    ("item_without_type", {"kind": None}),
    ("unknown_item_type", {"kind": "comet"}),
    ("unknown_item_type", {**LIVE, "item": "p1", "kind": "product"}),
]
NUL = next(i for i, (reason, _) in enumerate(BROKEN) if reason == "nul_in_event_id")
ACCEPTED: list[dict[str, Any]] = [
    {},
    {"ts": str(START + DAY - 1), "value": "0", "spent": "0"},
    LIVE,
    {**LIVE, "action": "gift", "value": "9.5"},
    {"item": None, "kind": None, "host_id": "h"},
    {"user_id": "é" * 10, "item": "😀 Mixed Case"},
]


@pytest.fixture(scope="module")
def reasons(spark: Any) -> dict[str, str | None]:
    rows = [row for _, row in BROKEN] + ACCEPTED
    found = checked(spark, rows).select("event_id", REASON).collect()
    # The row whose id holds a NUL is the one that is not found by its number.
    return {row["event_id"].replace("e\0", f"e{NUL}"): row[REASON] for row in found}


@pytest.mark.parametrize("i", range(len(BROKEN)), ids=[f"{reason}-{i}" for i, (reason, _) in enumerate(BROKEN)])
def test_a_broken_row_is_refused_with_the_first_rule_that_it_breaks(reasons: dict[str, str], i: int) -> None:
    assert reasons[f"t:e{i}"] == BROKEN[i][0]


def test_good_rows_at_the_edges_of_the_rules_are_events(reasons: dict[str, str | None]) -> None:
    assert [reasons[f"t:e{len(BROKEN) + i}"] for i in range(len(ACCEPTED))] == [None] * len(ACCEPTED)


def test_a_pool_of_days_leaves_other_days_out_and_sets_rows_without_a_time_apart(spark: Any) -> None:
    rows = [{}, {"ts": str(START - 1)}, {"ts": str(START + DAY)}, {"ts": None}, {"ts": "soon"}]
    found = checked(spark, rows, cut_by_ts=True).select("event_id", REASON).collect()
    assert sorted(map(tuple, found), key=str) == [("t:e0", None), ("t:e3", "undated"), ("t:e4", "undated")]


REPEATS = [
    {"event_id": "a", "ts": str(START + 5), "item": "late"},
    {"event_id": "a", "ts": str(START + 1), "item": "n"},
    {"event_id": "a", "ts": str(START + 1), "item": "m"},
    {"event_id": "a", "ts": str(START + 1), "item": "m"},
    {"event_id": "a", "ts": str(START), "user_id": None, "item": "refused"},
    {"event_id": "b", "item": "only"},
    {"event_id": "c", "domain": "mars"},
    {"event_id": "c", "domain": "mars"},
]


@pytest.mark.parametrize("seed", [0, 1])
def test_one_of_the_repeats_wins_whatever_the_order_and_refused_rows_neither_win_nor_vanish(
    spark: Any, seed: int
) -> None:
    rows = random.Random(seed).sample(REPEATS, len(REPEATS))
    judged = checked(spark, rows).repartition(1 + seed).persist()
    events = sorted((row["event_id"], row["ts"], row["item_id"], row["ds"]) for row in accepted(judged).collect())
    assert events == [("t:a", START + 1, "m", DS), ("t:b", START, "only", DS)]
    refused = sorted((r["source_table"], r["reason"], r["ds"]) for r in quarantined(judged).collect())
    assert refused == [("t", "null_user", DS), ("t", "unknown_domain", DS), ("t", "unknown_domain", DS)]
    counts = {row[REASON]: row["rows"] for row in count_rows(judged).collect()}
    assert counts == {None: 5, "null_user": 1, "unknown_domain": 2}
    assert [tuple(row) for row in count_events(accepted(judged)).collect()] == [("t", 2)]
    judged.unpersist()


def test_late_rows_join_the_day_of_their_time_up_to_the_lateness(spark: Any) -> None:
    times = [START + DAY, START, START - 1, START - DAY, START - DAY - 1]
    # One id on two days names two events.
    rows = [{"ts": str(ts), "event_id": "same" if i in (1, 2) else f"e{i}"} for i, ts in enumerate(times)]
    judged = checked(spark, rows, lateness=1)
    found = sorted((row["ts"], row["ds"], row[REASON]) for row in judged.collect())
    before = "2026-02-28"
    assert found == [
        (times[4], DS, "too_late"),
        (times[3], before, None),
        (times[2], before, None),
        (times[1], DS, None),
        (times[0], DS, "after_its_day"),
    ]
    assert sorted((r["ds"], r["event_id"]) for r in accepted(judged).collect()) == [
        (before, "t:e3"),
        (before, "t:same"),
        (DS, "t:same"),
    ]
    counts = {(row["ds"], row[REASON]): row["rows"] for row in count_rows(judged).collect()}
    assert counts == {(DS, "too_late"): 1, (DS, "after_its_day"): 1, (before, None): 2, (DS, None): 1}


def test_quarantine_keeps_the_raw_row_whole_under_its_own_names(spark: Any) -> None:
    row = {"user_id": None, "spent": "12", "item": 'a "quoted" name', "value": None}
    (kept,) = quarantined(checked(spark, [row])).collect()
    assert json.loads(kept["row"]) == {
        "event_id": "e0",
        "ts": str(START),
        "domain": "shop",
        "action": "buy",
        "item": 'a "quoted" name',
        "kind": "product",
        "spent": "12",
    }


def test_the_digest_of_a_day_knows_contents_and_not_their_order(spark: Any) -> None:
    rows: list[dict[str, Any]] = [{"event_id": str(i), "item": f"p{i}"} for i in range(20)]
    other = [*rows[:-1], {"event_id": "19", "item": "p0"}]

    def digest(of: list[dict[str, Any]]) -> list[Any]:
        return [row["digest"] for row in count_rows(checked(spark, of)).collect()]

    same = digest(rows)
    assert digest(rows[::-1]) == same
    assert digest(other) != same
