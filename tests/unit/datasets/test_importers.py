"""Adapters of public logs: small tables made by hand, then the real slices where they are at hand."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from graphrep.datasets.kuairand import FLAGS
from graphrep.datasets.public import ADAPTERS, select_sources
from graphrep.errors import InputError

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data"
KUAIRAND = ADAPTERS["kuairand"]
RETAILROCKET = ADAPTERS["retailrocket"]
LOG = "log_standard_2022-04-25.parquet"
SEQUENCES = "user_sequences_to_2022-04-24.parquet"
AUTHORS = "video_features_basic_pure.csv.gz"
MIDNIGHT_CHINA = 1_650_816_000_000  # 2022-04-25 00:00 in China, ms UTC
DAYS = {"2022-04-25": 1_650_844_800_000, "2022-04-26": 1_650_931_200_000}  # where each begins, ms


def exposure(**changes: Any) -> dict[str, Any]:
    """One exposure at 10:00 on 2022-04-25 in China: not played, nothing done."""
    row = {"user_id": 1, "video_id": 2, "author_id": 3, "date": 20220425}
    row |= {"time_ms": MIDNIGHT_CHINA + 10 * 3_600_000, "play_time_ms": 0}
    return {**row, **dict.fromkeys(FLAGS, 0), **changes}


def log(*rows: dict[str, Any]) -> dict[str, pa.Table]:
    return {LOG: pa.Table.from_pylist(list(rows) or [exposure()])}


def sequences(*videos: list[int]) -> pa.Table:
    return pa.table({"user_id": list(range(len(videos))), "watch_seq": pa.array(videos, type=pa.list_(pa.int64()))})


def converted(tables: dict[str, pa.Table]) -> dict[tuple[str, str], list[dict[str, Any]]]:
    return {(table, ds): rows.to_pylist() for table, ds, rows in KUAIRAND.convert(tables)}


# ---- sources -------------------------------------------------------------------------------------


def test_only_named_columns_of_named_files_are_asked_for() -> None:
    listed = [LOG, SEQUENCES, AUTHORS, "item_features.parquet", "LICENSE.gz", "user_features_pure.csv.gz"]
    chosen = select_sources(KUAIRAND, listed)
    assert set(chosen) == {LOG, SEQUENCES, AUTHORS}
    assert set(chosen[LOG]) == {"user_id", "video_id", "author_id", "date", "time_ms", "play_time_ms", *FLAGS}
    assert chosen[SEQUENCES] == ("user_id", "watch_seq")
    assert chosen[AUTHORS] == ("video_id", "author_id")


def test_every_part_of_the_log_is_read_and_the_rest_is_optional() -> None:
    parts = ["log_standard_b.parquet", "log_standard_a.parquet"]
    assert list(select_sources(KUAIRAND, parts)) == sorted(parts)


def test_held_out_purchases_are_no_source() -> None:
    chosen = select_sources(RETAILROCKET, ["buy_test.csv.gz", "events_train.csv.gz"])
    assert chosen == {"events_train.csv.gz": ("user", "item", "behavior", "timestamp")}


def test_a_missing_file_is_answered_with_what_is_there() -> None:
    with pytest.raises(InputError, match=r"a file log_standard_\*\.parquet, found a\.txt, b\.txt .*kuairand"):
        select_sources(KUAIRAND, ["b.txt", "a.txt"])
    with pytest.raises(InputError, match="an empty folder"):
        select_sources(RETAILROCKET, [])


def test_two_histories_are_one_too_many() -> None:
    with pytest.raises(InputError, match=r"one file user_sequences_to_\*"):
        select_sources(KUAIRAND, [LOG, SEQUENCES, "user_sequences_to_2022-04-23.parquet"])


def test_a_missing_column_is_named_with_its_file() -> None:
    tables = {LOG: log()[LOG].drop_columns(["is_hate"])}
    with pytest.raises(InputError, match=rf"no is_hate.*{LOG}"):
        KUAIRAND.convert(tables)


def test_a_table_that_was_not_handed_over_is_an_input_error() -> None:
    for adapter in ADAPTERS.values():
        with pytest.raises(InputError, match="expected a file"):
            adapter.convert({})


# ---- kuairand: exposures -------------------------------------------------------------------------


def test_each_true_flag_is_an_event_and_only_the_view_lasts() -> None:
    flags = dict.fromkeys(FLAGS, 1)
    ((key, rows),) = converted(log(exposure(play_time_ms=2500, **flags))).items()
    assert key == ("short_video", "2022-04-25")
    assert {row["action"]: row["duration"] for row in rows} == {"view": 2.5, **dict.fromkeys(FLAGS.values())}
    ids = {(row["user_id"], row["item_id"], row["host_id"], row["ts"]) for row in rows}
    assert ids == {("u1", "v2", "a3", DAYS["2022-04-25"] + 10 * 3_600_000)}


@pytest.mark.parametrize(("flag", "action"), FLAGS.items())
def test_a_flag_becomes_its_own_action(flag: str, action: str) -> None:
    (rows,) = converted(log(exposure(**{flag: 1}))).values()
    assert [row["action"] for row in rows] == [action]


def test_an_exposure_without_any_action_is_a_skip() -> None:
    (rows,) = converted(log(exposure())).values()
    assert [(row["action"], row["duration"]) for row in rows] == [("skip", None)]


def test_repeated_exposures_stay_repeated_and_equal() -> None:
    (rows,) = converted(log(exposure(is_click=1), exposure(is_click=1))).values()
    assert len(rows) == 2
    assert rows[0] == rows[1]


def test_a_day_is_the_source_s_date_and_no_event_moves_back() -> None:
    first = exposure(user_id=1, time_ms=MIDNIGHT_CHINA)
    logged_late = exposure(user_id=2, time_ms=MIDNIGHT_CHINA - 600_000)
    last = exposure(user_id=3, time_ms=MIDNIGHT_CHINA + 86_399_999)
    tomorrow = exposure(user_id=4, time_ms=MIDNIGHT_CHINA + 86_400_000, date=20220426)
    days = converted(log(tomorrow, last, logged_late, first))
    assert {(ds, row["user_id"]): row["ts"] for (_, ds), rows in days.items() for row in rows} == {
        ("2022-04-25", "u1"): DAYS["2022-04-25"],
        ("2022-04-25", "u2"): DAYS["2022-04-25"],
        ("2022-04-25", "u3"): DAYS["2022-04-26"] - 1,
        ("2022-04-26", "u4"): DAYS["2022-04-26"],
    }
    assert list(days) == [("short_video", "2022-04-25"), ("short_video", "2022-04-26")]


def test_rows_are_in_the_order_of_ts_whatever_the_order_of_the_source() -> None:
    rows = [exposure(user_id=n, time_ms=MIDNIGHT_CHINA + (n * 7 % 5) * 1000, is_click=1) for n in range(9)]
    (forward,) = converted(log(*rows)).values()
    (backward,) = converted(log(*reversed(rows))).values()
    assert [row["ts"] for row in forward] == sorted(row["ts"] for row in forward)
    assert forward == backward


def test_a_missing_id_is_left_for_the_logs_stage_to_refuse() -> None:
    rows = [exposure(user_id=None, is_click=1), exposure(user_id=5, is_click=None)]
    (found,) = converted(log(*rows)).values()
    assert Counter((row["user_id"], row["action"]) for row in found) == {
        (None, "click"): 1,
        ("u5", "skip"): 1,
    }


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"time_ms": None}, "no null in time_ms"),
        ({"date": 20221399}, "a day, found '20221399'"),
        ({"play_time_ms": "long"}, "whole numbers in play_time_ms"),
    ],
)
def test_a_time_that_cannot_be_read_is_an_input_error(wrong: dict[str, Any], message: str) -> None:
    good = exposure() if "play_time_ms" not in wrong else exposure(play_time_ms="short")
    with pytest.raises(InputError, match=message):
        KUAIRAND.convert(log(good, exposure(**wrong)))


def test_an_empty_log_has_no_days() -> None:
    assert list(KUAIRAND.convert({LOG: log()[LOG].slice(0, 0)})) == []


# ---- kuairand: history ---------------------------------------------------------------------------


def test_the_history_stands_at_noon_of_its_day_with_the_authors_of_the_static_table() -> None:
    authors = pa.table({"video_id": [8, 7], "author_id": [80, 70]})
    days = converted({**log(), SEQUENCES: sequences([7, 8, 7], [], [9]), AUTHORS: authors})
    assert list(days) == [("history", "2022-04-24"), ("short_video", "2022-04-25")]
    rows = days["history", "2022-04-24"]
    noon = DAYS["2022-04-25"] - 12 * 3_600_000
    assert {(row["ts"], row["action"]) for row in rows} == {(noon, "view")}
    assert Counter((row["user_id"], row["item_id"], row["host_id"]) for row in rows) == {
        ("u0", "v7", "a70"): 2,
        ("u0", "v8", "a80"): 1,
        ("u2", "v9", None): 1,
    }


def test_authors_of_the_history_are_not_taken_from_the_later_log() -> None:
    days = converted({**log(exposure(video_id=7)), SEQUENCES: sequences([7])})
    assert [row["host_id"] for row in days["history", "2022-04-24"]] == [None]


def test_a_history_that_reaches_into_the_log_is_refused() -> None:
    with pytest.raises(InputError, match="before the log begins on 2022-04-25, found sequences up to 2022-04-25"):
        KUAIRAND.convert({**log(), "user_sequences_to_2022-04-25.parquet": sequences([7])})


# ---- retailrocket --------------------------------------------------------------------------------


def test_shop_events_become_raw_rows_by_utc_day() -> None:
    events = pa.table(
        {
            "user": [9, 1, 1],
            "item": [4, 5, 5],
            "behavior": ["buy", "cart", "view"],
            "timestamp": [86_400, 86_399, 86_398],
        }
    )
    assert [(t, ds, rows.to_pylist()) for t, ds, rows in RETAILROCKET.convert({"events_train.csv.gz": events})] == [
        (
            "ecommerce",
            "1970-01-01",
            [
                {"ts": 86_398_000, "user_id": "u1", "action": "view", "item_id": "p5"},
                {"ts": 86_399_000, "user_id": "u1", "action": "cart", "item_id": "p5"},
            ],
        ),
        (
            "ecommerce",
            "1970-01-02",
            [{"ts": 86_400_000, "user_id": "u9", "action": "buy", "item_id": "p4"}],
        ),
    ]


# ---- the real slices -----------------------------------------------------------------------------


def read(name: str, folder: str) -> dict[str, pa.Table]:
    """The tables that an adapter asks for, as the pipeline reads them."""
    source = SHARED / folder
    if not source.is_dir():
        pytest.skip(f"the data set is not at hand: {folder}")
    chosen = select_sources(ADAPTERS[name], [path.name for path in source.iterdir()])
    tables = {}
    for file, columns in chosen.items():
        if file.endswith(".parquet"):
            tables[file] = pq.read_table(source / file, columns=list(columns))
        else:
            options = pyarrow.csv.ConvertOptions(include_columns=list(columns))
            tables[file] = pyarrow.csv.read_csv(source / file, convert_options=options)
    return tables


def counts(rows: pa.Table, column: str) -> dict[Any, int]:
    return {value["values"]: value["counts"] for value in pc.value_counts(rows[column]).to_pylist()}


Slice = tuple[pa.Table, dict[tuple[str, str], pa.Table]]


@pytest.fixture(scope="module")
def kuairand() -> Slice:
    """All exposures, and the raw rows by (table, day)."""
    tables = read("kuairand", "kuairand_pure_slice")
    exposures = pa.concat_tables(table for name, table in tables.items() if name.startswith("log_standard_"))
    return exposures, {(table, ds): rows for table, ds, rows in KUAIRAND.convert(tables)}


def test_kuairand_actions_add_up_to_the_flags(kuairand: Slice) -> None:
    exposures, days = kuairand
    events = pa.concat_tables(rows for (table, _), rows in days.items() if table == "short_video")
    found = counts(events, "action")
    published = {"click": 100_900, "long_view": 70_963, "like": 3_915, "follow": 304}
    assert published.items() <= found.items()
    assert {action: found[action] for action in FLAGS.values()} == {
        action: pc.sum(exposures[flag]).as_py() for flag, action in FLAGS.items()
    }
    assert found["view"] == pc.sum(pc.greater(exposures["play_time_ms"], 0)).as_py()
    assert found["skip"] == 21_725
    assert pc.sum(events["duration"]).as_py() == pytest.approx(pc.sum(exposures["play_time_ms"]).as_py() / 1000)


def test_kuairand_days_are_the_source_s_dates(kuairand: Slice) -> None:
    exposures, days = kuairand
    clicked = exposures.filter(pc.equal(exposures["is_click"], 1))
    clicks = {
        ds.replace("-", ""): counts(rows, "action")["click"]
        for (table, ds), rows in days.items()
        if table == "short_video"
    }
    assert clicks == {str(date): number for date, number in counts(clicked, "date").items()}
    assert [min(clicks), max(clicks), len(clicks)] == ["20220425", "20220508", 14]
    for (_, ds), rows in days.items():
        bounds = pc.min_max(rows["ts"]).as_py()
        assert {datetime.fromtimestamp(ms / 1000, UTC).date().isoformat() for ms in bounds.values()} == {ds}


def test_kuairand_moves_few_exposures_and_none_back(kuairand: Slice) -> None:
    exposures, days = kuairand
    events = pa.concat_tables(rows for (table, _), rows in days.items() if table == "short_video")
    views = events.filter(pc.equal(events["action"], "view"))["ts"].sort()
    played = exposures.filter(pc.greater(exposures["play_time_ms"], 0))
    local = pc.add(played["time_ms"], 8 * 3_600_000).sort()
    assert pc.all(pc.greater_equal(views, local)).as_py()  # sorted: each rank is moved later or not at all
    midnights = pc.sum(pc.equal(pc.subtract(views, pc.multiply(pc.divide(views, 86_400_000), 86_400_000)), 0))
    assert 0.005 < midnights.as_py() / len(views) < 0.015


def test_kuairand_keeps_what_the_source_repeats(kuairand: Slice) -> None:
    _, days = kuairand
    events = pa.concat_tables(rows for (table, _), rows in days.items() if table == "short_video")
    distinct = events.group_by(events.column_names).aggregate([]).num_rows
    assert (events.num_rows, distinct) == (409_068, 401_772)


def test_kuairand_history_is_whole_and_earlier(kuairand: Slice) -> None:
    _, days = kuairand
    rows = days["history", "2022-04-24"]
    assert rows.num_rows == 817_187
    assert rows["host_id"].null_count == 0
    assert [table for table, _ in days].count("history") == 1


def test_retailrocket_adds_up() -> None:
    days = list(RETAILROCKET.convert(read("retailrocket", "retailrocket_mb")))
    events = pa.concat_tables(rows for _, _, rows in days)
    assert counts(events, "action") == {"view": 75_374, "cart": 12_456, "buy": 9_551}
    assert [days[0][1], days[-1][1]] == ["2015-05-03", "2015-09-18"]
    assert [ds for _, ds, _ in days] == sorted({ds for _, ds, _ in days})
    assert len(counts(events, "user_id")) == 2_174
