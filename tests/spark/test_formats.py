"""The same rows give the same events, however they are written: format, partitions, names, units."""

from __future__ import annotations

import csv
import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from graphrep.pipeline.logs import raw_days
from graphrep.pipeline.run import run_stage
from graphrep.store import tables

Rows = list[dict[str, Any]]
FORMATS = ("parquet", "csv", "jsonl")
DAYS = ("2026-03-01", "2026-03-02")
RENAMED = {"event_id": "id", "ts": "when", "user_id": "who", "action": "verb", "item_id": "thing", "duration": "spent"}
SOURCES: dict[str, Any] = {
    **RENAMED,
    "ts": {"column": "when", "unit": "us"},
    "action": {"column": "verb", "map": {"W": "watch", "B": "buy"}},
    "duration": {"column": "spent", "unit": "ms"},
}


def day_rows(ds: str) -> dict[str, Rows]:
    start = int(dt.datetime.fromisoformat(f"{ds}T00:00:00+00:00").timestamp()) * 1000
    rows: dict[str, Rows] = {"videos": [], "live": [], "shop": []}
    for i in range(8):
        event = {"event_id": start + i, "ts": start + i, "user_id": f"ü{i % 3}, jr"}
        rows["videos"].append(
            {**event, "action": "watch", "item_id": str(i % 4), "duration": None if i == 5 else i + 0.5}
        )
        rows["live"].append({**event, "action": "watch", "host_id": f"h{i % 2}", "query": 'a "b"' if i == 1 else None})
        rows["shop"].append({**event, "action": "buy", "item_id": str(i % 2), "value": 2.25 * i})
    rows["live"].append(dict(rows["live"][0]))
    return rows


def renamed(rows: Rows) -> Rows:
    """Other names, microseconds for ts, milliseconds for durations, a letter for each action."""
    turned = [
        {
            **row,
            "ts": row["ts"] * 1000,
            "action": row["action"][0].upper(),
            **({"duration": row["duration"] and int(row["duration"] * 1000)} if "duration" in row else {}),
        }
        for row in rows
    ]
    return [{RENAMED.get(name, name): value for name, value in row.items()} for row in turned]


def write(path: Path, rows: Rows, kind: str) -> None:
    path.mkdir(parents=True, exist_ok=True)
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path / "part-0.parquet")
        return
    with (path / "part-0.txt").open("w", encoding="utf-8", newline="") as file:
        if kind == "csv":
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        else:
            file.writelines(json.dumps({k: v for k, v in row.items() if v is not None}) + "\n" for row in rows)
    (path / "_SUCCESS").touch()


def events_of(place: Any, kind: str, *, partitioned: bool, other_names: bool) -> tuple[list[tuple[Any, ...]], Any]:
    """The events of the second day, and the content's fingerprint."""

    def change(settings: dict[str, Any]) -> None:
        for name, table in settings["logs"]["tables"].items():
            table.update(format=kind, partitioned=partitioned)
            has = {"videos": {"item_id", "duration"}, "live": set(), "shop": {"item_id"}}[name]
            mapped = {c: s for c, s in SOURCES.items() if c not in ("item_id", "duration") or c in has}
            table["columns"].update(mapped if other_names else {})

    place.configure(change)
    turn = renamed if other_names else list
    by_day = {ds: {table: turn(rows) for table, rows in day_rows(ds).items()} for ds in DAYS}
    for table in ("videos", "live", "shop"):
        if partitioned:
            for ds in DAYS:
                write(place.logs / table / f"ds={ds}", by_day[ds][table], kind)
        else:
            write(place.logs / table, [row for ds in DAYS for row in by_day[ds][table]], kind)
    run = place.run()
    record = run_stage(run, "logs", DAYS[1], at=place.at)
    assert [raw_days(run, table) for table in ("videos", "live", "shop")] == [list(DAYS)] * 3
    assert (record["rows_in"], record["duplicates"], record["quarantined"]) == (25, 1, 0)
    read = tables.read_table(tables.partition(place.warehouse, tables.EVENTS, DAYS[1]))
    return sorted((tuple(row.values()) for row in read.to_pylist()), key=str), record["content"]


@pytest.fixture(scope="module")
def baseline(tmp_path_factory: pytest.TempPathFactory, new_place: Callable[[Path], Any]) -> Any:
    place = new_place(tmp_path_factory.mktemp("baseline"))
    return events_of(place, "parquet", partitioned=True, other_names=False)


def test_the_events_are_the_rows_that_were_written(baseline: Any) -> None:
    expected = [
        (
            f"{table}:{row['event_id']}",
            row["ts"],
            DAYS[1],
            {"videos": "short_video", "live": "live", "shop": "ecommerce"}[table],
            row["user_id"],
            row["action"],
            {"videos": "video", "live": None, "shop": "product"}[table],
            *[row.get(name) for name in ("item_id", "value", "duration", "query", "host_id", "room_id")],
        )
        for table, rows in day_rows(DAYS[1]).items()
        for row in rows
    ]
    assert baseline[0] == sorted(set(expected), key=str)


@pytest.mark.parametrize("partitioned", [True, False], ids=["by day", "one pool"])
@pytest.mark.parametrize("kind", FORMATS)
def test_every_way_of_writing_gives_the_same_events(place: Any, baseline: Any, kind: str, partitioned: bool) -> None:
    other_names = not partitioned or kind == "csv"
    assert events_of(place, kind, partitioned=partitioned, other_names=other_names) == baseline


def test_a_zero_for_a_time_begins_no_history_of_a_pool(place: Any) -> None:
    place.configure(lambda settings: settings["logs"]["tables"]["live"].update(partitioned=False))
    rows = day_rows(DAYS[0])["live"] + day_rows(DAYS[1])["live"]
    odd = [{**rows[0], "ts": ts} for ts in (0, -1, 10**15 * 5, 9 * 10**18, None)]
    write(place.logs / "live", rows + odd, "parquet")
    assert raw_days(place.run(), "live") == list(DAYS)
