"""One cut-off: an event of the future, planted in any table that a graph is made of, reaches no graph."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from graphrep import vocab
from graphrep.errors import StoreError
from graphrep.pipeline.load import load_graph
from graphrep.pipeline.run import run_day, run_stage
from graphrep.store import tables

DAYS = ("2026-03-01", "2026-03-02", "2026-03-03")
LABEL_DAY = DAYS[2]
CUT_OFF = 1_772_323_200_000 + 2 * vocab.DAY_MS
FUTURE = {"ts": CUT_OFF + 5, "last_ts": CUT_OFF + 5, "ds": LABEL_DAY}
VECTORS = {"v0": [1.0, 0.0], "v1": [0.9, 0.1], "v2": [0.0, 1.0], "v3": [0.1, 0.9]}


def configured(settings: dict[str, Any]) -> None:
    settings["transitions"] = {"then": {"relations": ["watches", "visits", "buys"], "reach_days": 2}}
    settings["item_vectors"] = {"video": {"path": "vectors", "partitioned": True, "key": "id", "vector": "x"}}
    settings["similarities"] = {"like": {"from": "video", "to": "video", "share": None}}
    settings["logs"]["max_quarantine_share"] = 0.2


def deliver_vectors(place: Any, ds: str, vectors: dict[str, list[float]]) -> None:
    path = tables.day_of(place.logs / "vectors", ds)
    path.mkdir(parents=True)
    pq.write_table(pa.table({"id": list(vectors), "x": list(vectors.values())}), path / "part-0.parquet")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, new_place: Callable[[Path], Any]) -> Any:
    """Two graph days and a label day, through stage edges."""
    place = new_place(tmp_path_factory.mktemp("made"))
    place.configure(configured)
    for ds in DAYS:
        place.deliver_day(ds)
    deliver_vectors(place, DAYS[0], VECTORS)
    run_day(place.run(), LABEL_DAY, at=place.at, last=vocab.EDGES)
    return place


@pytest.fixture
def ready(tmp_path: Path, made: Any, new_place: Callable[[Path], Any]) -> Any:
    """A copy of that place, to plant in."""
    place = new_place(tmp_path)
    place.configure(configured)
    shutil.copytree(made.logs, place.logs)
    shutil.copytree(made.warehouse, place.warehouse)
    return place


def plant(place: Any, table: str, day: str, **given: Any) -> None:
    """Add a copy of a table's first row, changed, to one of its days."""
    file = sorted(tables.partition(place.warehouse, table, day).glob("*.parquet"))
    file = [f for f in file if pq.ParquetFile(f).metadata.num_rows]
    rows = pq.ParquetFile(file[0]).read()
    row = {**rows.slice(0, 1).to_pylist()[0]}
    row |= {name: value for name, value in given.items() if name in row}
    pq.write_table(pa.concat_tables([rows, pa.Table.from_pylist([row], schema=rows.schema)]), file[0])


def keys_of(place: Any) -> set[str]:
    ids = [
        tables.read_table(place.warehouse / tables.IDS / n) for n in tables.subdirectories(place.warehouse / tables.IDS)
    ]
    nodes = tables.read_table(tables.partition(place.warehouse, tables.NODES, LABEL_DAY))
    return {key for table in [*ids, nodes] for key in table["key"].to_pylist()}


def check_graph(place: Any) -> None:
    """Nothing in the graph is of the cut-off or later, and no planted key has an id."""
    graph = load_graph(place.run(), LABEL_DAY).graph
    assert {label for _, label, _ in graph.edges} == {"watches", "visits", "buys", "then", "like"}
    assert all(int(e.time.max()) * 1000 < CUT_OFF for e in graph.edges.values() if e.time is not None and len(e))
    assert "planted" not in keys_of(place)


SAME = ("host", "video", "product")  # of which a good day has one event a user, and the same on both days


def test_the_graph_ends_where_the_label_day_begins(ready: Any) -> None:
    record = run_stage(ready.run(), vocab.GRAPH, LABEL_DAY, at=ready.at)
    assert record["window"] == list(DAYS[:2])
    assert {name for name, count in record["edges"].items() if not count} == {f"then_{t}_{t}" for t in SAME}
    check_graph(ready)


PLANTED = {
    "edges": {"src_key": "planted"},
    "node_days": {"key": "planted"},
    "transitions": {"dst_key": "planted"},
}


@pytest.mark.parametrize("table", PLANTED)
def test_a_row_of_a_later_day_in_an_earlier_days_table_is_left_out(ready: Any, table: str) -> None:
    plant(ready, table, DAYS[1], **FUTURE, **PLANTED[table])
    run_stage(ready.run(), vocab.GRAPH, LABEL_DAY, at=ready.at)
    check_graph(ready)


@pytest.mark.parametrize("table", PLANTED)
def test_a_row_that_lies_about_its_day_stops_the_graph(ready: Any, table: str) -> None:
    plant(ready, table, DAYS[1], last_ts=CUT_OFF + 5, **PLANTED[table])
    with pytest.raises(StoreError, match=rf"expected no event of {LABEL_DAY} or later in the graph"):
        run_stage(ready.run(), vocab.GRAPH, LABEL_DAY, at=ready.at)


def test_a_future_event_among_the_checked_events_makes_no_edge(ready: Any) -> None:
    run = ready.run()
    plant(ready, "events", DAYS[1], **{**FUTURE, "user_id": "planted", "event_id": "planted"})
    for table in ("edges", "node_days"):
        for file in tables.partition(ready.warehouse, table, DAYS[1]).iterdir():
            file.unlink()
        tables.partition(ready.warehouse, table, DAYS[1]).rmdir()
    run_stage(run, vocab.EDGES, DAYS[1], at=ready.at)
    run_stage(run, vocab.EDGES, LABEL_DAY, at=ready.at)
    run_stage(run, vocab.GRAPH, LABEL_DAY, at=ready.at)
    check_graph(ready)


def test_a_future_event_at_the_end_of_a_path_leads_nowhere(ready: Any) -> None:
    expected = run_stage(ready.run(), vocab.GRAPH, LABEL_DAY, at=ready.at)["edges"]
    plant(ready, "tails", DAYS[0], ts=CUT_OFF + 5, key="planted")
    for file in tables.partition(ready.warehouse, "transitions", DAYS[1]).iterdir():
        file.unlink()
    tables.partition(ready.warehouse, "transitions", DAYS[1]).rmdir()
    run = ready.run()
    run_stage(run, vocab.EDGES, LABEL_DAY, at=ready.at)
    assert run_stage(run, vocab.GRAPH, LABEL_DAY, at=ready.at)["edges"] == expected
    check_graph(ready)


def test_vectors_of_the_label_day_join_nothing(ready: Any) -> None:
    deliver_vectors(ready, LABEL_DAY, {key: [1.0, 0.0] for key in VECTORS})
    record = run_stage(ready.run(), vocab.GRAPH, LABEL_DAY, at=ready.at)
    assert record["edges"]["like"] == 2
    check_graph(ready)


def test_raw_rows_of_the_future_are_refused_and_counted(ready: Any) -> None:
    for table in ("videos", "live", "shop"):
        file = ready.logs / table / f"ds={DAYS[1]}" / "part-0.parquet"
        rows = pq.read_table(file).to_pylist()
        planted = {**rows[0], "ts": CUT_OFF + 5, "user_id": "planted", "event_id": "planted"}
        ready.deliver(table, DAYS[1], [*rows, planted])
    record = run_day(ready.run(), LABEL_DAY, at=ready.at, last=vocab.GRAPH)
    assert record[vocab.GRAPH]["window"] == list(DAYS[:2])
    logs = run_stage(ready.run(), vocab.LOGS, DAYS[1], at=ready.at)
    assert [logs["rows"][t]["after_its_day"] for t in ("videos", "live", "shop")] == [1, 1, 1]
    check_graph(ready)
