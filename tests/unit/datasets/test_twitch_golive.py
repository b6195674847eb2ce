"""Twitch sessions as raw rows: a few made by hand, then the real month where it is at hand."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphrep.datasets.public import ADAPTERS, select_sources
from graphrep.datasets.twitch_golive import split_games
from graphrep.errors import InputError
from graphrep.store.sources import read_source

TWITCH = ADAPTERS["twitch-golive"]
FILE = "sessions.csv.gz"
REAL = Path(__file__).resolve().parents[4] / "shared" / "data" / "twitch_golive_2019_07"
JULY_1 = 1_561_939_200_000  # 2019-07-01 00:00 UTC, ms
MINUTE = 60_000


def session(**changes: Any) -> dict[str, Any]:
    """One hour of ann from 10:00 on 1 July, with one game and 240 minutes watched."""
    row = {"channel": "ann", "stream_id": 7, "start_time": "2019-07-01T10:00"}
    return row | {"length_min": 60, "watch_min": 240, "games": "Chess"} | changes


def key(name: str) -> str:
    return "c" + hashlib.sha256(name.encode()).hexdigest()[:16]


def converted(*sessions: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Data day -> its raw rows."""
    days = list(TWITCH.convert({FILE: pa.Table.from_pylist(list(sessions))}))
    assert {table for table, _, _ in days} <= {"golive"}
    return {str(ds): rows.to_pylist() for _, ds, rows in days}


def rows_of(*sessions: dict[str, Any]) -> list[dict[str, Any]]:
    return [row for rows in converted(*sessions).values() for row in rows]


def broadcasts(*sessions: dict[str, Any]) -> list[dict[str, Any]]:
    return [row for row in rows_of(*sessions) if row["action"] == "broadcast"]


def test_only_the_sessions_are_read_and_of_them_nothing_about_followers() -> None:
    chosen = select_sources(TWITCH, ["channel_games.csv.gz", "channel_stats.csv.gz", FILE])
    assert chosen == {FILE: ("channel", "stream_id", "start_time", "length_min", "watch_min", "games")}


def test_the_start_says_who_and_when_and_the_end_says_the_rest() -> None:
    start, end = rows_of(session())
    who = {"user_id": key("ann"), "host_id": key("ann"), "room_id": "7"}
    nothing = {"item_id": None, "duration": None, "value": None}
    assert start == {"ts": JULY_1 + 600 * MINUTE, "action": "go_live", **who, **nothing}
    facts = {"item_id": "Chess", "duration": 3600.0, "value": 240.0}
    assert end == {"ts": JULY_1 + 660 * MINUTE, "action": "broadcast", **who, **facts}


def test_a_session_over_midnight_is_known_on_the_day_of_its_end() -> None:
    days = converted(session(start_time="2019-07-01T23:30"))
    assert {ds: [row["action"] for row in rows] for ds, rows in days.items()} == {
        "2019-07-01": ["go_live"],
        "2019-07-02": ["broadcast"],
    }


def test_games_share_the_session_so_that_sums_are_its_own() -> None:
    found = broadcasts(session(games="Chess,Papers, Please,Chess"))
    assert {row["item_id"] for row in found} == {"Chess", "Papers, Please"}
    assert [(row["duration"], row["value"]) for row in found] == [(1800.0, 120.0)] * 2


@pytest.mark.parametrize("games", ["", None])
def test_a_session_without_a_game_still_ends(games: str | None) -> None:
    found = broadcasts(session(games=games), session(stream_id=8))
    assert [(row["item_id"], row["duration"]) for row in found if row["room_id"] == "7"] == [(None, 3600.0)]


WORDS = st.text(st.characters(exclude_characters=",&", exclude_categories=("Cs",)), min_size=1)
PIECES = WORDS.filter(lambda word: not word[0].isspace() and not word.startswith("000"))
NAMES = st.builds(lambda head, tail: head + "".join(tail), PIECES, st.lists(st.sampled_from([", then", ",000 more"])))


@given(st.lists(NAMES, min_size=1))
def test_a_list_of_games_splits_into_what_it_was_joined_of(names: list[str]) -> None:
    assert split_games(",".join(names)) == names


def test_a_length_of_zero_ends_at_its_start() -> None:
    assert [(row["ts"], row["action"]) for row in rows_of(session(length_min=0))] == [
        (JULY_1 + 600 * MINUTE, "broadcast"),
        (JULY_1 + 600 * MINUTE, "go_live"),
    ]


def test_a_negative_length_is_kept_for_the_logs_stage_and_ends_no_earlier_than_it_starts() -> None:
    (end,) = broadcasts(session(length_min=-5))
    assert (end["ts"], end["duration"]) == (JULY_1 + 600 * MINUTE, -300.0)


@pytest.mark.parametrize("name", ["", None])
def test_a_session_without_a_channel_has_no_key(name: str | None) -> None:
    found = rows_of(session(channel=name), session())
    assert [row["user_id"] for row in found].count(None) == 2


def test_a_channel_whose_name_is_a_number_has_the_key_of_its_digits() -> None:
    assert rows_of(session(channel=12))[0]["host_id"] == key("12")


def test_what_the_source_does_not_say_is_null() -> None:
    (end,) = broadcasts(session(watch_min=None))
    assert (end["value"], end["duration"]) == (None, 3600.0)


def test_repeated_stream_ids_stay_repeated() -> None:
    assert len(rows_of(session(), session(), session(length_min=61))) == 6


def test_rows_do_not_hang_on_the_order_of_the_source() -> None:
    sessions = [session(channel=f"host {n % 3}", stream_id=n, length_min=n * 7 % 5) for n in range(9)]
    assert converted(*sessions) == converted(*reversed(sessions))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"start_time": None}, "no null in start_time, found 1 nulls"),
        ({"start_time": "July 1st"}, "times YYYY-MM-DDThh:mm in start_time"),
        ({"length_min": None}, "no null in length_min, found 1 nulls"),
        ({"watch_min": 0.5}, "whole numbers in watch_min"),
    ],
)
def test_a_session_that_cannot_be_placed_or_read_is_an_input_error(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=rf"{message}.*\[{FILE}\]"):
        converted(session(), session(**wrong))


def test_the_real_month_adds_up_and_names_nobody() -> None:
    if not REAL.is_dir():
        pytest.skip("the Twitch sessions are not beside the repository")
    (columns,) = select_sources(TWITCH, [FILE]).values()
    sessions = read_source(REAL / FILE, list(columns))
    days = list(TWITCH.convert({FILE: sessions}))
    assert [days[0][1], days[-1][1]] == ["2019-06-30", "2019-08-10"]
    rows = pa.concat_tables(table for _, _, table in days)
    start = rows.filter(pc.equal(rows["action"], "go_live"))
    end = rows.filter(pc.equal(rows["action"], "broadcast"))
    assert (start.num_rows, end.num_rows) == (271_173, 353_070)
    assert len(pc.unique(start["host_id"])) == 16_578
    assert len(pc.unique(end["room_id"])) == 271_173
    assert pc.sum(end["duration"]).as_py() == pytest.approx(pc.sum(sessions["length_min"]).as_py() * 60)
    assert pc.sum(end["value"]).as_py() == pytest.approx(pc.sum(sessions["watch_min"]).as_py())
    names = pc.unique(sessions["channel"])
    assert not any(pc.any(pc.is_in(rows[c], value_set=names)).as_py() for c in ("user_id", "host_id", "room_id"))
    assert pc.all(pc.match_substring_regex(pc.unique(rows["host_id"]), "^c[0-9a-f]{16}$")).as_py()
