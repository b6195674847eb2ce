"""Bad input stops the day with one line that says what and where; what was published before stays served."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from graphrep.errors import GateRefusedError, GraphrepError, InputError, StoreError
from graphrep.pipeline.run import run_day, run_stage
from graphrep.store import releases, runlog, tables

DAY = "2026-03-03"
START = 1_772_496_000_000


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory, new_place: Callable[[Path], Any]) -> Any:
    """A place where 2 March was published from two days of logs."""
    place = new_place(tmp_path_factory.mktemp("published"))
    for ds in ("2026-03-01", "2026-03-02"):
        place.deliver_day(ds)
    assert run_day(place.run(), "2026-03-02", at=place.at)["publish"]["current"]
    return place


@pytest.fixture
def place(tmp_path: Path, published: Any, new_place: Callable[[Path], Any]) -> Iterator[Any]:
    """The published warehouse, its logs copied and 3 March delivered; the release must outlive whatever a test does."""
    place = new_place(tmp_path)
    shutil.copytree(published.logs, place.logs)
    place.deliver_day(DAY)
    place.warehouse = published.warehouse
    before = releases.read_pointer(place.warehouse)
    yield place
    assert releases.read_pointer(place.warehouse) == before
    assert releases.list_releases(place.warehouse) == ["2026-03-02.1"]
    assert releases.verify_release(place.warehouse, "2026-03-02.1")


def day_file(place: Any, table: str) -> Path:
    return Path(place.logs) / table / f"ds={DAY}" / "part-0.parquet"


def with_format(place: Any, table: str, kind: str, *contents: str | bytes) -> None:
    """Let a table be of another format and 3 March its first day, with these files."""
    place.configure(lambda settings: settings["logs"]["tables"][table].update(format=kind))
    shutil.rmtree(place.logs / table)
    path = place.logs / table / f"ds={DAY}"
    path.mkdir(parents=True)
    for i, content in enumerate(contents):
        path.joinpath(f"part-{i}").write_bytes(content.encode() if isinstance(content, str) else content)


def map_column(place: Any, table: str, **columns: str) -> None:
    place.configure(lambda settings: settings["logs"]["tables"][table]["columns"].update(columns))


def damage_pages(place: Any) -> None:
    """Turn bytes of the pages and leave the footer whole."""
    chance = random.Random(0)
    rows = [{"ts": START + i, "user_id": f"u{chance.random()}", "action": "watch", "host_id": "h"} for i in range(5000)]
    place.deliver("live", DAY, rows)
    content = bytearray(day_file(place, "live").read_bytes())
    for i in range(20_000, 40_000):
        content[i] ^= 0xFF
    day_file(place, "live").write_bytes(content)


HEADER = "event_id,ts,user_id,action,host_id\n"
BAD_WINDOW: dict[str, tuple[Callable[[Any], Any], str]] = {
    "a missing table": (
        lambda p: shutil.rmtree(p.logs / "live"),
        r"expected the log table 'live', found nothing \[.*logs/live\]",
    ),
    "a missing day": (
        lambda p: shutil.rmtree(day_file(p, "live").parent),
        r"expected rows of 'live' for the day 2026-03-03, found days 2026-03-01 to 2026-03-02, 2 of them",
    ),
    "a gap in the window": (
        lambda p: shutil.rmtree(p.logs / "shop" / "ds=2026-03-02"),
        r"expected rows of 'shop' for the day 2026-03-02, found days 2026-03-01 to 2026-03-03, 2 of them",
    ),
    "a directory that is no day": (
        lambda p: (p.logs / "shop" / "ds=2026-3-4").mkdir(),
        r"expected a day as YYYY-MM-DD, found '2026-3-4' \[.*logs/shop\]",
    ),
}
BAD_DAY: dict[str, tuple[Callable[[Any], Any], str]] = {
    "a day without a file": (
        lambda p: day_file(p, "live").unlink(),
        r"expected rows of 'live' for the day 2026-03-03, found no file \[.*/live/ds=2026-03-03\]; deliver the day",
    ),
    "an empty day": (
        lambda p: pq.write_table(pq.read_table(day_file(p, "live")).slice(0, 0), day_file(p, "live")),
        r"expected rows of 'live' for the day 2026-03-03, found an empty day \[live\]",
    ),
    "a CSV day with a header only": (
        lambda p: with_format(p, "live", "csv", HEADER),
        r"expected rows of 'live' for the day 2026-03-03, found an empty day \[live\]",
    ),
    "a CSV day of no bytes": (
        lambda p: with_format(p, "live", "csv", ""),
        r"expected rows of 'live' for the day 2026-03-03, found no file \[.*/live/ds=2026-03-03\]",
    ),
    "CSV files whose headers differ": (
        lambda p: with_format(p, "live", "csv", HEADER, "ts,event_id,user_id,action,host_id\n1,2,u,watch,h\n"),
        r"expected readable files, found CSV header does not conform .*\[logs of 2026-03-03, file.*/live/.*part-1\]",
    ),
    "JSON lines of which none is JSON": (
        lambda p: with_format(p, "live", "jsonl", "a,b\n1,2\n"),
        r"expected a source for ts, found columns \[\] \[log table live, day 2026-03-03\]",
    ),
    "a mapping to a column that is not there": (
        lambda p: map_column(p, "videos", user_id="uid"),
        r"expected the column 'uid', found columns \[.*'user_id'.*\] \[log table videos, day 2026-03-03\]",
    ),
    "a column of another nature": (
        lambda p: p.deliver("videos", DAY, [{"ts": 1, "user_id": "u", "action": "watch", "duration": {"s": 1}}]),
        r"expected duration as a plain value, found duration of type struct<s:bigint>"
        r" \[log table videos, day 2026-03-03\]",
    ),
    "files of one day whose types differ": (
        lambda p: pq.write_table(pa.table({"duration": ["long"]}), day_file(p, "videos").with_name("part-1.parquet")),
        r"expected readable files, found .*merge.* \[.*/videos/ds=2026-03-03 as parquet\]",
    ),
    "a file that is not Parquet": (
        lambda p: day_file(p, "live").write_bytes(b"ts,user_id\n1,u\n"),
        r"expected readable files, found .* is not a Parquet file.* \[.*/live/ds=2026-03-03 as parquet\]",
    ),
    "a Parquet file of no bytes": (
        lambda p: day_file(p, "live").write_bytes(b""),
        r"expected readable files, found .* \[.*/live/ds=2026-03-03 as parquet\]",
    ),
    "a Parquet file that was cut off": (
        lambda p: day_file(p, "live").write_bytes(day_file(p, "live").read_bytes()[:-9]),
        r"expected readable files, found .* is not a Parquet file.* \[.*/live/ds=2026-03-03 as parquet\]",
    ),
    "a Parquet file with damaged pages": (
        damage_pages,
        r"expected readable files, found .* \[logs of 2026-03-03, file.*/live/ds=2026-03-03/part-0.parquet\]",
    ),
}


@pytest.mark.parametrize("case", BAD_WINDOW)
def test_a_day_whose_window_has_a_hole_is_refused_before_anything_is_read(place: Any, case: str) -> None:
    spoil, says = BAD_WINDOW[case]
    spoil(place)
    with pytest.raises(InputError, match=says):
        run_day(place.run(), DAY, at=place.at)


@pytest.mark.parametrize("case", BAD_DAY)
def test_a_day_that_cannot_be_read_is_refused_in_one_line_that_names_the_place(place: Any, case: str) -> None:
    spoil, says = BAD_DAY[case]
    spoil(place)
    with pytest.raises(InputError, match=says) as refused:
        run_stage(place.run(), "logs", DAY, at=place.at)
    assert refused.value.exit_code == 2
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("ds", "says"),
    [
        ("2026-04-01", "expected a day up to 2026-03-31, found 2026-04-01, in the future"),
        ("2026-3-3", "expected a day as YYYY-MM-DD, found '2026-3-3'"),
        ("20260303", "expected a day as YYYY-MM-DD, found '20260303'"),
        ("2026-02-30", "expected a day as YYYY-MM-DD, found '2026-02-30'"),
        ("today", "expected a day as YYYY-MM-DD, found 'today'"),
        ("2026-03-01", "expected logs of 2026-02-28 or before, found logs that begin 2026-03-01"),
    ],
)
def test_a_day_that_cannot_be_run_is_refused(place: Any, ds: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        run_day(place.run(), ds, at=place.at)


def test_a_stage_before_its_input_says_what_to_run_first(place: Any) -> None:
    with pytest.raises(InputError, match="the checked logs of 2026-03-30, found none; run graphrep logs"):
        run_stage(place.run(), "edges", "2026-03-30", at=place.at)
    with pytest.raises(InputError, match="the graph of 2026-03-30, found none; run graphrep graph"):
        run_stage(place.run(), "embed", "2026-03-30", at=place.at)


def test_a_warehouse_that_cannot_be_written_is_named(place: Any, tmp_path: Path) -> None:
    taken, warehouse = tmp_path / "taken", place.warehouse
    taken.write_text("a file where the warehouse should be", encoding="utf-8")
    place.warehouse = taken
    with pytest.raises(
        StoreError, match=r"expected a place that can be .* \[.*taken.*\]; check that the place"
    ) as failed:
        run_day(place.run(), DAY, at=place.at)
    assert failed.value.exit_code == 1
    place.warehouse = warehouse


# ---- dirty rows ----------------------------------------------------------------------------------

VIDEO = {"action": "watch", "item_id": "v1", "duration": 3.0}
VIDEOS = [
    {"event_id": "1", "ts": START, "user_id": "u1", **VIDEO},
    {"event_id": "1", "ts": START, "user_id": "u1", **VIDEO},
    {"event_id": "1", "ts": START + 9, "user_id": "u1", **VIDEO},
    {"event_id": "2", "ts": START, "user_id": None, **VIDEO},
    {"event_id": "3", "ts": START - 1, "user_id": "u1", **VIDEO},
    {"event_id": "4", "ts": START + 86_400_000, "user_id": "u1", **VIDEO},
    {"event_id": "5", "ts": START, "user_id": "u1", **VIDEO, "duration": -2.0},
]
LIVE = (
    # Another order of columns than the contract's; quotes as in RFC 4180.
    "user_id,host_id,ts,event_id,action,value\n"
    f'"u ""2"", jr",h1,{START},1,watch,1.5\n'
    f"u2,h1,{START},2,watch\n"
    f"u2,h1,{START},3,watch,1,2,3\n"
    f"u2,h1,{START},4,watch,a lot\n"
    f"u2,h1,noon,5,watch,\n"
    f"u2,h1,{START},6,watch,\n"
)
SHOP = [
    {"event_id": "1", "ts": START, "user_id": "u3", "action": "buy", "item_id": "p1", "value": 2},
    {"event_id": "2", "ts": START, "user_id": "u3", "action": "buy", "item_id": "p1", "value": {"eur": 2}},
    {"event_id": "3", "ts": str(START), "user_id": "u3", "action": "buy", "item_id": 17},
]
COUNTED = {
    "videos": {"accepted": 2, "duplicate": 2, "null_user": 1, "after_its_day": 1, "negative_duration": 1},
    "live": {"accepted": 2, "corrupt_row": 2, "wrong_type_value": 1, "wrong_type_ts": 1},
    "shop": {"accepted": 2, "corrupt_row": 2, "wrong_type_value": 1},
}


def deliver_dirty(place: Any, share: float) -> None:
    def change(settings: dict[str, Any]) -> None:
        settings["logs"]["max_quarantine_share"] = share
        settings["logs"]["tables"]["live"]["format"] = "csv"
        settings["logs"]["tables"]["shop"]["format"] = "jsonl"

    place.configure(change)
    place.deliver("videos", DAY, VIDEOS)
    lines = [json.dumps(row) for row in SHOP]
    for table, content in {"live": LIVE, "shop": "\n".join([*lines[:1], "not json", *lines[1:], "[1, 2]"])}.items():
        shutil.rmtree(place.logs / table / f"ds={DAY}", ignore_errors=True)
        (place.logs / table / f"ds={DAY}").mkdir(parents=True)
        (place.logs / table / f"ds={DAY}" / "part-0").write_text(content, encoding="utf-8")


@pytest.fixture(scope="module")
def dirty(tmp_path_factory: pytest.TempPathFactory, new_place: Callable[[Path], Any]) -> tuple[Any, dict[str, Any]]:
    """A day of three formats whose dirt is allowed for, through stage logs."""
    place = new_place(tmp_path_factory.mktemp("dirty"))
    deliver_dirty(place, share=1.0)
    return place, run_stage(place.run(), "logs", DAY, at=place.at)


@pytest.mark.parametrize("table", COUNTED)
def test_bad_rows_of_a_table_are_counted_by_reason(dirty: tuple[Any, dict[str, Any]], table: str) -> None:
    assert dirty[1]["rows"][table] == COUNTED[table]


def test_every_row_is_an_event_or_a_duplicate_or_quarantined(dirty: tuple[Any, dict[str, Any]]) -> None:
    place, record = dirty
    totals = {name: record[name] for name in ("rows_in", "events", "duplicates", "quarantined")}
    assert totals == {"rows_in": 18, "events": 6, "duplicates": 2, "quarantined": 10}
    kept = tables.count_by(tables.partition(place.warehouse, tables.QUARANTINE, DAY), "source_table")
    assert kept == {"videos": 3, "live": 4, "shop": 3}
    assert tables.count_rows(tables.partition(place.warehouse, tables.EVENTS, DAY)) == 6


def test_quarantine_keeps_what_could_not_be_read(dirty: tuple[Any, dict[str, Any]]) -> None:
    kept = tables.read_table(tables.partition(dirty[0].warehouse, tables.QUARANTINE, DAY)).to_pylist()
    unreadable = {json.loads(row["row"])["_corrupt_record"] for row in kept if row["reason"] == "corrupt_row"}
    assert unreadable == {f"u2,h1,{START},2,watch", f"u2,h1,{START},3,watch,1,2,3", "not json", "[1, 2]"}


def test_the_events_beside_bad_rows_are_whole(dirty: tuple[Any, dict[str, Any]]) -> None:
    events = tables.read_table(tables.partition(dirty[0].warehouse, tables.EVENTS, DAY)).to_pylist()
    found = sorted((e["event_id"], e["user_id"], e["item_id"], e["host_id"], e["value"]) for e in events)
    assert found == [
        ("live:1", 'u "2", jr', None, "h1", 1.5),
        ("live:6", "u2", None, "h1", None),
        ("shop:1", "u3", "p1", None, 2.0),
        ("shop:3", "u3", "17", None, None),
        ("videos:1", "u1", "v1", None, None),
        ("videos:3", "u1", "v1", None, None),
    ]


def test_too_many_bad_rows_hold_the_day_back_until_it_is_mended(place: Any) -> None:
    rows = pq.read_table(day_file(place, "live")).to_pylist()
    place.deliver("live", DAY, [{**row, "user_id": None} if i < 2 else row for i, row in enumerate(rows)])
    says = r"at most 0.50% of rows refused, found 2 of 18 rows of 2026-03-03 \(11.11%\): live: null_user 2 \[.*ds="
    with pytest.raises(GateRefusedError, match=says) as refused:
        run_day(place.run(), DAY, at=place.at)
    assert refused.value.exit_code == 3
    record = runlog.read_stage(place.warehouse, DAY, "logs")
    assert record is not None
    assert "live: null_user 2" in record["refused"]
    with pytest.raises(InputError, match="the checked logs of 2026-03-03, found none"):
        run_stage(place.run(), "edges", DAY, at=place.at)
    place.deliver_day(DAY)
    mended = run_stage(place.run(), "logs", DAY, at=place.at)
    assert (mended["events"], mended["quarantined"]) == (18, 0)
    assert tables.count_rows(tables.partition(place.warehouse, tables.QUARANTINE, DAY)) == 0


# ---- through the command -------------------------------------------------------------------------


def command(place: Any, *words: str) -> subprocess.CompletedProcess[str]:
    given = ["--config", str(place.config), "--logs", str(place.logs), "--warehouse", str(place.warehouse)]
    program = str(Path(sys.executable).with_name("graphrep"))
    environ = {k: v for k, v in os.environ.items() if not k.startswith("PYSPARK")}
    return subprocess.run(
        [program, *words, *given], capture_output=True, text=True, check=False, timeout=300, env=environ, cwd=place.root
    )


def test_the_command_says_a_wrong_day_in_one_line_and_leaves_with_2(place: Any) -> None:
    done = command(place, "run", "--ds", "3 March")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "graphrep: expected a day as YYYY-MM-DD, found '3 March' [--ds]\n"


def test_the_command_says_a_missing_table_in_one_line_and_leaves_with_2(place: Any) -> None:
    shutil.rmtree(place.logs / "videos")
    done = command(place, "logs", "--ds", DAY)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("graphrep: expected the log table 'videos', found nothing [")


def test_the_command_leaves_with_3_when_the_day_is_held_back(place: Any) -> None:
    place.deliver("live", DAY, [{"ts": START, "user_id": None, "action": "watch", "host_id": "h"}])
    done = command(place, "logs", "--ds", DAY)
    assert done.returncode == 3
    assert "Traceback" not in done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("graphrep: expected at most 0.50% of rows refused, found 1 of 13 rows of 2026-03-03 (7.69%)")


def test_every_deliberate_error_is_one_line() -> None:
    assert str(GraphrepError("a\nb", found="c\n d", where="e", fix="f")) == "expected a b, found c d [e]; f"
