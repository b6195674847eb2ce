"""The summaries of two days' graphs that the stages made, against counting the raw rows."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pytest

from graphrep import vocab
from graphrep.pipeline.graph import window_of
from graphrep.pipeline.run import run_day
from graphrep.pipeline.summary import summarise

DAYS = ["2026-03-01", "2026-03-02", "2026-03-03"]
# Table → its action, the column and type of what is acted on, the relation that comes of it.
TABLES = {
    "videos": ("watch", "item_id", "video", "watches"),
    "live": ("watch", "host_id", "host", "visits"),
    "shop": ("buy", "item_id", "product", "buys"),
}


def some_rows(chance: np.random.Generator, ds: str, table: str) -> list[dict[str, Any]]:
    """Eight events of six people out of nine, one of them delivered twice, and two rows that break a rule."""
    action, column, kind, _ = TABLES[table]
    start = int(dt.datetime.fromisoformat(f"{ds}T08:00:00+00:00").timestamp()) * 1000
    rows = [
        {
            "event_id": f"{ds}-{i}",
            "ts": start + i,
            "action": action,
            "user_id": f"u{chance.integers(6) + DAYS.index(ds)}",
            column: f"{kind}{chance.integers(4)}",
        }
        for i in range(8)
    ]
    nobody = {**rows[1], "event_id": f"{ds}-8", "user_id": None}
    nothing = {**rows[2], "event_id": f"{ds}-9", column: None}
    return [*rows, rows[0], nobody, nothing]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, new_place: Any) -> Any:
    """Three days of logs and the graphs of the newest two of them, two days each."""
    place = new_place(tmp_path_factory.mktemp("summary"))

    def two_days(settings: dict[str, Any]) -> None:
        settings |= {"holdout_days": 0}
        settings["relation_defaults"] |= {"window_days": 2}
        settings["logs"] |= {"max_quarantine_share": 0.5}

    place.configure(two_days)
    chance = np.random.default_rng(1)
    place.rows = {ds: {table: some_rows(chance, ds, table) for table in TABLES} for ds in DAYS}
    for ds, tables in place.rows.items():
        for table, rows in tables.items():
            place.deliver(table, ds, rows)
    for ds in DAYS[1:]:
        run_day(place.run(), ds, at=place.at, last=vocab.GRAPH)
    run = place.run()
    place.summaries = {ds: summarise(run, ds, window_of(run, ds)) for ds in DAYS[1:]}
    return place


def pairs(place: Any, days: list[str], table: str) -> set[tuple[str, str]]:
    column = TABLES[table][1]
    rows = [row for ds in days for row in place.rows[ds][table]]
    return {(row["user_id"], row[column]) for row in rows if row["user_id"] and row[column]}


def nodes(place: Any, days: list[str]) -> dict[str, set[str]]:
    found = {TABLES[table][2]: {item for _, item in pairs(place, days, table)} for table in TABLES}
    # A row that says who but not what is refused: it makes nobody known.
    return {**found, "user": {user for table in TABLES for user, _ in pairs(place, days, table)}}


def test_every_delivered_row_is_an_event_or_dropped_for_a_reason(done: Any) -> None:
    found = done.summaries[DAYS[2]]["rows"]
    for which, days in {"window": DAYS[1:], "newest": DAYS[2:]}.items():
        for table in TABLES:
            delivered = sum(len(done.rows[ds][table]) for ds in days)
            counted = found[which][table]
            assert counted["in"] == delivered == counted["events"] + sum(counted["dropped"].values())
            assert counted["events"] == 8 * len(days)
            assert counted["dropped"]["duplicate"] == counted["dropped"]["null_user"] == len(days)
            assert (counted["days"], counted["undated"]) == (len(days), 0)


def test_nodes_degrees_edges_and_surfaces_are_those_of_the_rows(done: Any) -> None:
    for i, ds in enumerate(DAYS[1:]):
        days = DAYS[i : i + 2]
        found = done.summaries[ds]
        assert (found["days"], found["missing_days"]) == (days, [])
        joined = {table: pairs(done, days, table) for table in TABLES}
        assert {name: edges["edges"] for name, edges in found["edges"].items()} == {
            TABLES[table][3]: len(joined[table]) for table in TABLES
        }
        users = nodes(done, days)["user"]
        met = [sum(any(user == who for who, _ in joined[table]) for table in TABLES) for user in users]
        assert found["surfaces"] == {"user": [met.count(k) for k in range(4)]}
        degrees = sorted(sum(user == who for table in TABLES for who, _ in joined[table]) for user in users)
        assert found["nodes"]["user"]["degree"]["p50"] == degrees[(len(degrees) + 1) // 2 - 1]
        assert found["nodes"]["user"]["degree"]["max"] == degrees[-1]


def test_new_and_vanished_nodes_are_those_of_the_rows(done: Any) -> None:
    now, before = nodes(done, DAYS[1:]), nodes(done, DAYS[:2])
    found = done.summaries[DAYS[2]]
    assert found["compared_with"] == DAYS[1]
    for kind in now:
        counted = found["nodes"][kind]
        assert counted["nodes"] == len(now[kind])
        assert (counted["new"], counted["vanished"]) == (len(now[kind] - before[kind]), len(before[kind] - now[kind]))
    assert found["nodes"]["user"]["new"] > 0
    assert found["nodes"]["user"]["vanished"] > 0
    assert done.summaries[DAYS[1]]["compared_with"] is None
