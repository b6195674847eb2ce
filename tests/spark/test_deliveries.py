"""Late rows, days delivered twice or by half, runs in any order: a day holds what was delivered of it by then."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from graphrep import vocab
from graphrep.errors import InputError
from graphrep.pipeline.deliveries import deliveries_of
from graphrep.pipeline.run import run_day, run_stage
from graphrep.store import runlog, tables

DAYS = ("2026-03-01", "2026-03-02", "2026-03-03", "2026-03-04")
START = {ds: 1_772_323_200_000 + i * vocab.DAY_MS for i, ds in enumerate(DAYS)}


def visit(ds: str, name: str, host: str = "h0") -> dict[str, Any]:
    return {"ts": START[ds] + 7, "user_id": name, "event_id": f"late-{name}", "action": "watch", "host_id": host}


def deliver(place: Any, ds: str, *late: dict[str, Any]) -> None:
    """A good day, and rows of other days among its visits."""
    place.deliver_day(ds)
    if late:
        file = place.logs / "live" / f"ds={ds}" / "part-0.parquet"
        place.deliver("live", ds, [*pq.read_table(file).to_pylist(), *late])


def visitors(place: Any, ds: str) -> set[str]:
    rows = tables.read_table(tables.partition(place.warehouse, tables.EDGES, ds)).to_pylist()
    return {row["src_key"] for row in rows if row["relation"] == "visits"}


def stamps(place: Any, table: str) -> dict[str, set[int]]:
    root = place.warehouse / table
    return {day: {p.stat().st_mtime_ns for p in tables.day_of(root, day).iterdir()} for day in tables.days(root)}


@pytest.fixture
def late(place: Any) -> Any:
    """Three days; the third brings a visit of the first, one of the second, one too old, and one of the future."""
    place.configure(lambda settings: settings["logs"].update(max_quarantine_share=0.1))
    for ds in DAYS[:2]:
        deliver(place, ds)
    run_day(place.run(), DAYS[1], at=place.at)
    place.before = {t: stamps(place, t) for t in ("events", "edges", "node_days")}
    deliver(place, DAYS[2], visit(DAYS[0], "first"), visit(DAYS[1], "second"), visit(DAYS[3], "future"))
    return place


def test_late_rows_change_the_days_that_they_tell_of_and_no_other(late: Any) -> None:
    records = run_day(late.run(), DAYS[2], at=late.at)
    assert records[vocab.LOGS]["late"] == 2
    assert records[vocab.LOGS]["rows"]["live"] == {"accepted": 8, "after_its_day": 1}
    assert sorted(records[vocab.LOGS]["content"]) == list(DAYS[:3])
    assert "first" in visitors(late, DAYS[0])
    assert "second" in visitors(late, DAYS[1])
    assert {"first", "second", "future"}.isdisjoint(visitors(late, DAYS[2]))
    after = stamps(late, "events")
    assert {day: after[day] for day in DAYS[:2]} == late.before["events"], "what was checked once is not checked again"
    graph = tables.read_table(tables.partition(late.warehouse, tables.NODES, DAYS[2]))["key"].to_pylist()
    assert {"first", "second"} <= set(graph)
    assert "future" not in graph


def test_a_delivery_without_late_rows_leaves_the_days_before_alone(late: Any) -> None:
    deliver(late, DAYS[2])
    run_day(late.run(), DAYS[2], at=late.at)
    for table in ("edges", "node_days"):
        after = stamps(late, table)
        assert {day: after[day] for day in DAYS[:2]} == late.before[table]


def test_stage_edges_of_a_day_makes_the_late_days_anew_by_itself(late: Any) -> None:
    run = late.run()
    run_stage(run, vocab.LOGS, DAYS[2], at=late.at)
    with pytest.raises(
        InputError, match=r"the daily edges of 2026-03-01 as delivered up to 2026-03-03, found edges of"
    ):
        run_stage(run, vocab.GRAPH, DAYS[2], at=late.at)
    run_stage(run, vocab.EDGES, DAYS[2], at=late.at)
    assert "first" in visitors(late, DAYS[0])
    assert run_stage(run, vocab.GRAPH, DAYS[2], at=late.at)["window"] == [DAYS[0], DAYS[1]]


def test_rows_older_than_the_lateness_are_refused_and_counted(late: Any) -> None:
    late.configure(lambda settings: settings["logs"].update(lateness_days=1, max_quarantine_share=0.2))
    record = run_stage(late.run(), vocab.LOGS, DAYS[2], at=late.at)
    assert record["rows"]["live"] == {"accepted": 7, "after_its_day": 1, "too_late": 1}


def test_a_run_that_is_repeated_knows_only_what_was_delivered_by_then(late: Any) -> None:
    adjacency = tables.partition(late.warehouse, tables.ADJACENCY, DAYS[1])
    first = {p.name: p.read_bytes() for p in adjacency.rglob("*.parquet")}
    run_day(late.run(), DAYS[2], at=late.at)
    assert deliveries_of(late.run(), DAYS[0], DAYS[2]).keys() == {DAYS[0], DAYS[2]}
    run_day(late.run(), DAYS[1], at=late.at)
    assert "first" not in visitors(late, DAYS[0])
    assert {p.name: p.read_bytes() for p in adjacency.rglob("*.parquet")} == first
    assert runlog.read_stage(late.warehouse, DAYS[2], vocab.PUBLISH), "the later run keeps its records"


def test_a_day_delivered_twice_counts_once(place: Any) -> None:
    deliver(place, DAYS[0])
    run_day_edges = run_stage(place.run(), vocab.LOGS, DAYS[0], at=place.at)
    # Once more in the same partition as a second file, and once more inside the next day's delivery.
    again = place.logs / "live" / f"ds={DAYS[0]}"
    (again / "part-1.parquet").write_bytes((again / "part-0.parquet").read_bytes())
    deliver(place, DAYS[1], *pq.read_table(again / "part-0.parquet").to_pylist())
    run = place.run()
    records = [run_stage(run, vocab.LOGS, ds, at=place.at) for ds in DAYS[:2]]
    assert records[0]["rows"]["live"] == {"accepted": 6, "duplicate": 6}
    assert records[1]["rows"]["live"] == {"accepted": 12}
    run_stage(run, vocab.EDGES, DAYS[1], at=place.at)
    edges = runlog.read_stage(place.warehouse, DAYS[0], vocab.EDGES)
    assert edges is not None
    assert edges["late"] == {"events": 0, "duplicates": 6}
    rows = tables.read_table(tables.partition(place.warehouse, tables.EDGES, DAYS[0])).to_pylist()
    assert [row["count"] for row in rows if row["relation"] == "visits"] == [1] * 6
    assert run_day_edges["rows_in"] == 18


@pytest.mark.parametrize("marker", ["_SUCCESS", "done.flag"])
def test_a_day_half_delivered_is_refused_until_its_marker_is_there(place: Any, marker: str) -> None:
    place.configure(lambda settings: settings["logs"]["tables"]["live"].update(marker=marker))
    deliver(place, DAYS[0])
    says = (
        rf"expected the marker {marker} of 'live' for the day 2026-03-01, found 1 files without it \[.*ds=2026-03-01\]"
    )
    with pytest.raises(InputError, match=says):
        run_stage(place.run(), vocab.LOGS, DAYS[0], at=place.at)
    assert not Path(tables.partition(place.warehouse, tables.EVENTS, DAYS[0])).exists()
    (place.logs / "live" / f"ds={DAYS[0]}" / marker).touch()
    assert run_stage(place.run(), vocab.LOGS, DAYS[0], at=place.at)["events"] == 18


def test_a_column_whose_type_changes_overnight_is_told_and_what_cannot_be_read_is_counted(place: Any) -> None:
    deliver(place, DAYS[0])
    deliver(place, DAYS[1])
    file = place.logs / "videos" / f"ds={DAYS[1]}" / "part-0.parquet"
    rows = [{**row, "duration": "12.5" if i else "a while"} for i, row in enumerate(pq.read_table(file).to_pylist())]
    place.deliver("videos", DAYS[1], rows)
    place.configure(lambda settings: settings["logs"].update(max_quarantine_share=0.1))
    run = place.run()
    for ds in DAYS[:2]:
        record = run_stage(run, vocab.LOGS, ds, at=place.at)
    assert record["type_changes"] == ["videos.duration: double -> string"]
    assert record["rows"]["videos"] == {"accepted": 5, "wrong_type_duration": 1}


def test_ids_that_turn_into_floating_numbers_overnight_are_refused(place: Any) -> None:
    deliver(place, DAYS[0])
    place.deliver("live", DAYS[0], [{**visit(DAYS[0], "x"), "user_id": 2.0**53}])
    says = (
        r"expected user_id as text or whole numbers, found user_id of type double \[log table live, day 2026-03-01\];"
        r" cast it at the source"
    )
    with pytest.raises(InputError, match=says):
        run_stage(place.run(), vocab.LOGS, DAYS[0], at=place.at)
