"""One raw table in, the contract's columns out: names, units, exact numbers, value maps, constants, event ids."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable
from decimal import Decimal
from functools import reduce
from typing import Any

import pytest
from pyspark.sql import types as T

from graphrep.config import ColumnSource, LogTable
from graphrep.errors import InputError
from graphrep.logs import normalise
from graphrep.logs.normalise import CORRUPT, ROW, WRONG_TYPE

Rows = list[dict[str, Any]]
PLAIN = {"user_id": "u", "action": "watch", "domain": "live", "host_id": "h"}


def log_table(**columns: Any) -> LogTable:
    sources = {n: c if isinstance(c, str) else ColumnSource(**c) for n, c in columns.items()}
    return LogTable(path="t", format="parquet", partitioned=True, required=True, marker=None, columns=sources)


def one_column(spark: Any, values: Iterable[Any], kind: T.DataType, name: str, extra: dict[str, Any]) -> Any:
    """Rows that are plain but for one column."""
    fields = {**PLAIN, **extra}
    schema = T.StructType([T.StructField(name, kind), *[T.StructField(f, T.StringType()) for f in fields]])
    return spark.createDataFrame([(value, *fields.values()) for value in values], schema)


NAIVE = dt.datetime(2026, 3, 1, tzinfo=dt.UTC).replace(tzinfo=None)
TIMES: dict[str, tuple[str, T.DataType, list[Any], list[int | None]]] = {
    "microseconds": ("us", T.LongType(), [1_772_323_200_123_999, 999, -1], [1_772_323_200_123, 0, -1]),
    "microseconds beyond 2^53 as decimals": (
        "us",
        T.DecimalType(38, 0),
        [Decimal(9_007_199_254_740_993_000), Decimal(9_007_199_254_740_995_001)],
        [9_007_199_254_740_993, 9_007_199_254_740_995],
    ),
    "milliseconds": ("ms", T.LongType(), [1_772_323_200_000, 9_007_199_254_740_993], [1_772_323_200_000, 2**53 + 1]),
    "milliseconds as text": ("ms", T.StringType(), [" 12 ", "12.9", "", "x", None], [12, 12, None, None, None]),
    "seconds": ("s", T.DoubleType(), [1_772_323_200.25, math.nan], [1_772_323_200_250, None]),
    "minutes": ("min", T.IntegerType(), [29_538_720], [1_772_323_200_000]),
    "iso text": (
        "iso",
        T.StringType(),
        ["2026-03-01T00:00:00Z", "2026-03-01T08:00:00.5+08:00", "2026-03-01", "yesterday"],
        [1_772_323_200_000, 1_772_323_200_500, 1_772_323_200_000, None],
    ),
    "timestamps": ("ms", T.TimestampType(), [dt.datetime(2026, 3, 1, tzinfo=dt.UTC)], [1_772_323_200_000]),
    "timestamps without a zone": ("ms", T.TimestampNTZType(), [NAIVE], [1_772_323_200_000]),
    "dates": ("ms", T.DateType(), [dt.date(2026, 3, 1)], [1_772_323_200_000]),
    "too large to be a time": ("s", T.StringType(), ["1e22", "99999999999999999999999999999999"], [None, None]),
}


@pytest.fixture(scope="module")
def times(spark: Any) -> dict[str, Rows]:
    """Every case of TIMES in one job."""
    frames = []
    for name, (unit, kind, values, _) in TIMES.items():
        raw = one_column(spark, values, kind, "at", {"case": name})
        frames.append(
            normalise(raw, name, log_table(ts={"column": "at", "unit": unit}), "_bad", max_key_bytes=99).drop(ROW)
        )
    found: dict[str, Rows] = {name: [] for name in TIMES}
    for row in reduce(lambda a, b: a.unionByName(b), frames).collect():
        found[row["_table"]].append(row.asDict())
    return found


@pytest.mark.parametrize("case", TIMES)
def test_a_time_becomes_whole_milliseconds_exactly(times: dict[str, Rows], case: str) -> None:
    assert [row["ts"] for row in times[case]] == TIMES[case][3]


def test_a_time_that_cannot_be_read_is_named_and_an_empty_one_is_only_missing(times: dict[str, Rows]) -> None:
    assert [row[WRONG_TYPE] for row in times["milliseconds as text"]] == [None, None, None, "ts", None]
    assert [row[WRONG_TYPE] for row in times["too large to be a time"]] == ["ts", "ts"]


def collected(frame: Any) -> Rows:
    return [row.asDict(recursive=True) for row in frame.collect()]


def test_durations_become_seconds_and_what_is_no_finite_number_is_named(spark: Any) -> None:
    values = ["1500", "0", "-1", "", "inf", "NaN", "1,5", None]
    raw = one_column(spark, values, T.StringType(), "spent", {"ts": "1"})
    rows = collected(
        normalise(raw, "t", log_table(duration={"column": "spent", "unit": "ms"}), "_bad", max_key_bytes=99)
    )
    assert [row["duration"] for row in rows] == [1.5, 0.0, -0.001, None, None, None, None, None]
    named = [None, None, None, None, "duration", "duration", "duration", None]
    assert [row[WRONG_TYPE] for row in rows] == named


def test_names_are_mapped_values_renamed_and_constants_filled_in(spark: Any) -> None:
    raw = spark.createDataFrame(
        [("a", 1, "10", "  ", 5, 7.5), ("b", 2, "20", "x", None, None), ("c", 9, "30", None, 6, 0.0)],
        "uid string, verb int, ts string, item_id string, room_id long, price double",
    )
    table = log_table(
        user_id="uid",
        action={"column": "verb", "map": {"1": "watch", "2": "skip"}},
        domain={"value": "live"},
        value="price",
    )
    rows = collected(normalise(raw, "t", table, "_bad", max_key_bytes=99))
    keep = ("user_id", "action", "domain", "item_id", "room_id", "value", "host_id", "query")
    assert [tuple(row[name] for name in keep) for row in rows] == [
        ("a", "watch", "live", None, "5", 7.5, None, None),
        ("b", "skip", "live", "x", None, None, None, None),
        ("c", "9", "live", None, "6", 0.0, None, None),
    ]
    assert rows[0][ROW] == {"uid": "a", "verb": 1, "ts": "10", "item_id": "  ", "room_id": 5, "price": 7.5}


def test_the_source_id_carries_the_table_and_a_row_without_one_is_known_by_its_content(spark: Any) -> None:
    raw = one_column(spark, ["7", None, " ", "", "7"], T.StringType(), "event_id", {"ts": "1"})
    ids = [row["event_id"] for row in collected(normalise(raw, "live", log_table(), "_bad", max_key_bytes=99))]
    assert [ids[0], ids[4]] == ["live:7", "live:7"]
    assert len(set(ids)) == 4
    assert {len(hashed) for hashed in ids[1:4]} == {len("live:") + 32}


def test_the_content_of_a_row_gives_the_same_id_whatever_the_order_of_its_columns(spark: Any) -> None:
    raw = one_column(spark, ["1", "2"], T.StringType(), "ts", {})
    turned = raw.select(*reversed(raw.columns))
    ids = [
        [r["event_id"] for r in collected(normalise(f, "t", log_table(), "_bad", max_key_bytes=99))]
        for f in (raw, turned)
    ]
    assert ids[0] == ids[1]
    assert ids[0][0] != ids[0][1]


def test_a_row_that_the_format_could_not_read_is_marked(spark: Any) -> None:
    raw = one_column(spark, ["1"], T.StringType(), "ts", {"_bad": "1;2;3"})
    assert [row[CORRUPT] for row in collected(normalise(raw, "t", log_table(), "_bad", max_key_bytes=99))] == [True]


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"user_id": "uid"}, r"expected the column 'uid', found columns \[.*\] \[log table live\]"),
        ({"event_id": "uid"}, r"expected the column 'uid', found columns \[.*\] \[log table live\]"),
        ({"value": {"column": "cost"}}, r"expected the column 'cost', found .* \[log table live\]"),
        ({"duration": "nested"}, r"expected duration as a plain value, found nested of type struct<a:string>"),
        ({"query": "many"}, r"expected query as a plain value, found many of type array<string>"),
        ({"event_id": "many"}, r"expected event_id as a plain value, found many of type array<string>"),
    ],
)
def test_a_mapping_that_does_not_fit_is_refused_by_name(spark: Any, columns: dict[str, Any], says: str) -> None:
    schema = "ts string, user_id string, action string, domain string, nested struct<a:string>, many array<string>"
    with pytest.raises(InputError, match=says):
        normalise(spark.createDataFrame([], schema), "live", log_table(**columns), "_bad", max_key_bytes=99)


def test_an_optional_key_that_no_json_line_has_is_null_and_a_required_one_is_refused(spark: Any) -> None:
    plain = one_column(spark, [1], T.LongType(), "ts", PLAIN)
    table = log_table(value="coins").model_copy(update={"format": "jsonl"})
    assert normalise(plain, "t", table, "_bad", max_key_bytes=99).collect()[0].value is None
    table = log_table(user_id="who").model_copy(update={"format": "jsonl"})
    with pytest.raises(InputError, match="the column 'who'"):
        normalise(plain, "t", table, "_bad", max_key_bytes=99)


@pytest.mark.parametrize("missing", ["ts", "user_id", "action", "domain"])
def test_a_required_column_without_a_source_says_where_to_map_it(spark: Any, missing: str) -> None:
    schema = ", ".join(f"{name} string" for name in ("ts", "user_id", "action", "domain") if name != missing)
    with pytest.raises(InputError, match=rf"a source for {missing}, .*map it under logs.tables.live.columns"):
        normalise(spark.createDataFrame([], schema), "live", log_table(), "_bad", max_key_bytes=99)
