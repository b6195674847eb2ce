"""What producers really send, table by table: each row is an event, a repeat, or refused with its reason."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from graphrep import vocab
from graphrep.errors import InputError
from graphrep.pipeline.run import run_stage
from graphrep.store import tables

DAY = "2026-03-01"
START = 1_772_323_200_000
TABLES = ("videos", "live", "shop")
GOOD = {"videos": {"action": "watch", "item_id": "v"}, "live": {"action": "watch", "host_id": "h"}}
GOOD["shop"] = {"action": "buy", "item_id": "p"}


def row(table: str, **given: Any) -> dict[str, Any]:
    return {"ts": START, "user_id": "u", "event_id": "e", **GOOD[table], **given}


def logs_of(place: Any, table: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Stage logs on a day whose other tables are good."""
    place.configure(lambda settings: settings["logs"].update(max_quarantine_share=1))
    place.deliver_day(DAY)
    place.deliver(table, DAY, rows)
    record: dict[str, Any] = run_stage(place.run(), vocab.LOGS, DAY, at=place.at)
    adds_up(place, record)
    return record


def adds_up(place: Any, record: dict[str, Any]) -> None:
    assert record["rows_in"] == record["events"] + record["duplicates"] + record["quarantined"]
    assert record["events"] == tables.count_rows(tables.partition(place.warehouse, tables.EVENTS, DAY))
    assert record["quarantined"] == tables.count_rows(tables.partition(place.warehouse, tables.QUARANTINE, DAY))


def users(place: Any, table: str) -> dict[str, str]:
    events = tables.read_table(tables.partition(place.warehouse, tables.EVENTS, DAY)).to_pylist()
    return {e["event_id"]: e["user_id"] for e in events if e["event_id"].startswith(f"{table}:")}


def as_text(place: Any, table: str, kind: str, content: str) -> None:
    place.configure(lambda settings: settings["logs"]["tables"][table].update(format=kind))
    place.deliver_day(DAY)
    folder = place.logs / table / f"ds={DAY}"
    shutil.rmtree(folder)
    folder.mkdir()
    (folder / "part-0").write_text(content, encoding="utf-8")


KEYS = {
    "emoji": "😀👩‍👩‍👧",
    "case": "MiXed",
    "lower": "mixed",
    "space": " padded ",
    "quote": "a\"b'c\\d",
    "newline": "two\nlines",
    "longest": "é" * 256,
    "slash": "../../x=1%2F",
}
REFUSED = {"NUL": ("a\0b", "nul_in_user_id"), "long": ("x" * 10_000, "too_long_user_id")}


@pytest.mark.parametrize("table", TABLES)
def test_keys_of_any_letters_stay_as_they_are_and_those_that_nothing_can_hold_are_refused(
    place: Any, table: str
) -> None:
    rows = [row(table, event_id=name, user_id=key) for name, key in KEYS.items()]
    rows += [row(table, event_id=name, user_id=key) for name, (key, _) in REFUSED.items()]
    record = logs_of(place, table, rows)
    assert users(place, table) == {f"{table}:{name}": key for name, key in KEYS.items()}
    assert record["rows"][table] == {"accepted": len(KEYS), **{reason: 1 for _, reason in REFUSED.values()}}


def test_a_key_that_is_no_utf8_is_refused(place: Any) -> None:
    place.configure(lambda settings: settings["logs"].update(max_quarantine_share=1))
    place.deliver_day(DAY)
    file = place.logs / "live" / f"ds={DAY}" / "part-0.parquet"
    table = pq.read_table(file)
    spoilt = pa.array([b"\xff\xfe", *[f"u{i}".encode() for i in range(1, 6)]], pa.binary()).view(pa.string())
    pq.write_table(table.set_column(table.column_names.index("user_id"), "user_id", spoilt), file)
    record = run_stage(place.run(), vocab.LOGS, DAY, at=place.at)
    adds_up(place, record)
    assert record["rows"]["live"] == {"accepted": 5, "not_utf8_user_id": 1}


@pytest.mark.parametrize("table", TABLES)
def test_whole_numbers_beyond_2_to_the_53_keep_every_digit(place: Any, table: str) -> None:
    big = [2**53 + 1, 2**53 + 2, 2**63 - 1]
    logs_of(place, table, [row(table, event_id=n, user_id=n) for n in big])
    assert users(place, table) == {f"{table}:{n}": str(n) for n in big}


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_whole_numbers_beyond_2_to_the_53_keep_every_digit_in_text(place: Any, kind: str) -> None:
    big = [2**53 + 1, 2**53 + 2, 2**64 + 1]
    rows = [row("live", event_id=n, user_id=n) for n in big]
    head = ",".join(rows[0])
    lines = [",".join(str(v) for v in r.values()) if kind == "csv" else json.dumps(r) for r in rows]
    as_text(place, "live", kind, "\n".join([head, *lines] if kind == "csv" else lines))
    adds_up(place, run_stage(place.run(), vocab.LOGS, DAY, at=place.at))
    assert users(place, "live") == {f"live:{n}": str(n) for n in big}


def test_a_million_identical_events_are_one(place: Any) -> None:
    place.deliver_day(DAY)
    same = pa.table({name: pa.repeat(value, 1_000_000) for name, value in row("live").items() if name != "event_id"})
    folder = place.logs / "live" / f"ds={DAY}"
    shutil.rmtree(folder)
    folder.mkdir()
    pq.write_table(same, folder / "part-0.parquet")
    record = run_stage(place.run(), vocab.LOGS, DAY, at=place.at)
    adds_up(place, record)
    assert record["rows"]["live"] == {"accepted": 1, "duplicate": 999_999}


OPEN = (
    'ts,user_id,event_id,action,host_id\n{0},u1,e1,watch,h\n{0},"u2,e2,watch,h\n{0},u3,e3,watch,h\n{0},u4,e4,watch,h\n'
)


def test_a_quote_left_open_costs_the_rows_that_it_swallows_and_each_is_counted(place: Any) -> None:
    place.configure(lambda settings: settings["logs"].update(max_quarantine_share=1))
    as_text(place, "live", "csv", OPEN.format(START))
    place.configure(
        lambda settings: (
            settings["logs"].update(max_quarantine_share=1),
            settings["logs"]["tables"]["live"].update(format="csv"),
        )
    )
    record = run_stage(place.run(), vocab.LOGS, DAY, at=place.at)
    adds_up(place, record)
    assert record["rows"]["live"] == {"accepted": 3, "corrupt_row": 1}
    assert users(place, "live") == {"live:e1": "u1", "live:e3": "u3", "live:e4": "u4"}


def test_a_file_cut_off_is_refused_by_table_and_day(place: Any) -> None:
    for table in TABLES:
        place.deliver_day(DAY)
        file = place.logs / table / f"ds={DAY}" / "part-0.parquet"
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
        with pytest.raises(InputError, match=rf"{table}/ds={DAY}"):
            run_stage(place.run(), vocab.LOGS, DAY, at=place.at)


NOON = START + 12 * 3_600_000
ZONES: dict[str, tuple[dict[str, Any], Callable[[], pa.Array]]] = {
    "UTC is the zone of a time without one": ({}, lambda: pa.array(["2026-03-01 12:00:00"] * 2)),
    "a zone of the table": ({"zone": "Asia/Shanghai"}, lambda: pa.array(["2026-03-01 20:00:00"] * 2)),
    "a time that says its own": ({"zone": "Asia/Shanghai"}, lambda: pa.array(["2026-03-01T07:00:00-05:00"] * 2)),
    "a Z": ({"zone": "Asia/Shanghai"}, lambda: pa.array(["2026-03-01T12:00:00Z"] * 2)),
    "a zone with summer time": ({"zone": "America/New_York"}, lambda: pa.array(["2026-03-01T07:00:00"] * 2)),
    "timestamps without a zone": (
        {"zone": "Asia/Shanghai"},
        lambda: pa.array([dt.datetime(2026, 3, 1, 20)] * 2, pa.timestamp("ms")),  # noqa: DTZ001
    ),
    "timestamps with one": (
        {"zone": "Asia/Shanghai"},
        lambda: pa.array([dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)] * 2, pa.timestamp("us", "Asia/Tokyo")),
    ),
}


@pytest.mark.parametrize("case", ZONES)
def test_times_of_any_zone_are_the_same_moment(place: Any, case: str) -> None:
    zone, times = ZONES[case]
    columns = {"ts": {"column": "at", "unit": "iso", **zone}}
    place.configure(lambda settings: settings["logs"]["tables"]["live"]["columns"].update(columns))
    place.deliver_day(DAY)
    file = place.logs / "live" / f"ds={DAY}" / "part-0.parquet"
    rows = {"at": times(), "user_id": ["a", "b"], "event_id": ["a", "b"], "action": ["watch"] * 2, "host_id": ["h"] * 2}
    pq.write_table(pa.table(rows), file)
    adds_up(place, run_stage(place.run(), vocab.LOGS, DAY, at=place.at))
    events = tables.read_table(tables.partition(place.warehouse, tables.EVENTS, DAY)).to_pylist()
    assert {e["ts"] for e in events if e["event_id"].startswith("live:")} == {NOON}
