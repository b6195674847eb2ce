"""The summary of a day's graph, counted from tables and records laid down by hand."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from graphrep import vocab
from graphrep.config import load_config
from graphrep.contracts import ADJACENCY, EXCLUSION, NODE_ACTIVITY, Adjacency, Exclusion, NodeActivity
from graphrep.errors import InputError, StoreError
from graphrep.pipeline.context import Run
from graphrep.pipeline.summary import SUMMARY, read_summary, summarise
from graphrep.pipeline.window import DayWindow
from graphrep.store import runlog, tables

TOY = Path(__file__).parents[2] / "spark" / "toy.yaml"
WINDOW = DayWindow(("2026-03-01", "2026-03-02", "2026-03-04"), "2026-03-05")
DS, BEFORE = "2026-03-05", "2026-03-03"
USERS, HOSTS, VIDEOS = [0, 2, 3, 7], [1, 4], [0, 5, 9]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A graph of four users, two hosts, three videos and no product, over three days of four."""
    found = Run(load_config(TOY, logs=tmp_path, warehouse=tmp_path), today=dt.date(2026, 3, 31))
    write_nodes(found, DS, {"user": USERS, "host": HOSTS, "video": VIDEOS})
    write_edges(found, "watches", [0, 0, 2], [5, 9, 0], [0.5, 10, 2])
    write_edges(found, "visits", [0, 3], [1, 1], [1, 1.5])
    for day in WINDOW.days:
        record_rows(found, day, {"videos": {"accepted": 4}})
    return found


def write_nodes(run: Run, ds: str, index: dict[str, list[int]]) -> None:
    """Degree = 10 · index."""
    rows = [
        {
            NodeActivity.TYPE: kind,
            NodeActivity.KEY: f"{kind}{i}",
            NodeActivity.INDEX: i,
            NodeActivity.EVENTS: 1,
            NodeActivity.DEGREE: 10 * i,
            NodeActivity.LAST_TS: 0,
        }
        for kind, found in index.items()
        for i in found
    ]
    table = pa.Table.from_pylist(rows, schema=NODE_ACTIVITY.schema)
    tables.write_arrow(tables.partition(run.warehouse, tables.NODES, ds), table)


def write_edges(run: Run, relation: str, src: list[int], dst: list[int], weight: list[float]) -> None:
    columns = {Adjacency.SRC: src, Adjacency.DST: dst, Adjacency.WEIGHT: weight, Adjacency.TIME: [0] * len(src)}
    table = pa.table(columns, schema=ADJACENCY.schema)
    path = tables.partition(run.warehouse, tables.ADJACENCY, DS) / f"relation={relation}"
    tables.write_arrow(path, table.slice(0, 1))
    tables.save_parquet(path / "part-1.parquet", table.slice(1))


def record_rows(run: Run, day: str, rows: dict[str, dict[str, int]]) -> None:
    runlog.record_stage(run.warehouse, day, vocab.LOGS, {"rows": rows})


def record_graph(run: Run, ds: str, record: dict[str, Any]) -> None:
    runlog.record_stage(run.warehouse, ds, vocab.GRAPH, record)


def exclude(run: Run, day: str, reasons: list[str]) -> None:
    columns = {name: [0] * len(reasons) for name in EXCLUSION.names}
    text = {Exclusion.DS: [day] * len(reasons), Exclusion.KEY: [f"bot{i}" for i in range(len(reasons))]}
    table = pa.table({**columns, **text, Exclusion.REASON: reasons}, schema=EXCLUSION.schema)
    tables.write_arrow(tables.partition(run.warehouse, tables.EXCLUDED, day), table)


def test_the_days_of_the_window_and_those_without_a_row(run: Run) -> None:
    found = summarise(run, DS, WINDOW)
    assert found["days"] == list(WINDOW.days)
    assert found["missing_days"] == ["2026-03-03"]


def test_every_outcome_of_a_row_is_a_reason_known_or_not_and_they_add_up(run: Run) -> None:
    record_rows(run, "2026-03-01", {"videos": {"accepted": 5, "duplicate": 2}, "live": {"accepted": 1, "null_ts": 3}})
    record_rows(run, "2026-03-02", {"videos": {"accepted": 7, "duplicate": 1, "erased": 4}})
    record_rows(run, "2026-03-04", {"videos": {"accepted": 4}, "gone": {"never heard of": 6}})
    found = summarise(run, DS, WINDOW)["rows"]
    assert found["window"] == {
        "videos": {
            "surface": "short_video",
            "days": 3,
            "in": 23,
            "events": 16,
            "dropped": {"duplicate": 3, "erased": 4},
            "undated": 0,
        },
        "live": {"surface": "live", "days": 1, "in": 4, "events": 1, "dropped": {"null_ts": 3}, "undated": 0},
        "gone": {"surface": None, "days": 1, "in": 6, "events": 0, "dropped": {"never heard of": 6}, "undated": 0},
    }
    assert found["newest"]["videos"]["in"] == found["newest"]["videos"]["events"] == 4
    assert set(found["newest"]) == {"videos", "gone"}


def test_undated_rows_of_a_pool_are_the_same_ones_each_day(run: Run) -> None:
    for day, undated in zip(WINDOW.days, (3, 5, 4), strict=True):
        record_rows(run, day, {"videos": {"accepted": 2, "undated": undated}})
    found = summarise(run, DS, WINDOW)["rows"]
    assert (found["window"]["videos"]["undated"], found["newest"]["videos"]["undated"]) == (5, 4)
    assert found["window"]["videos"]["in"] == 6


def test_a_day_without_a_record_of_its_logs_is_an_error_and_no_smaller_sum(run: Run) -> None:
    with pytest.raises(InputError, match="the checked logs of 2026-02-28, found none; run graphrep logs"):
        summarise(run, DS, DayWindow(("2026-02-28", *WINDOW.days), DS))


def test_late_events_are_counted_with_the_day_that_they_tell_of(run: Run) -> None:
    late = {
        "2026-03-01": {"events": 3, "duplicates": 1},
        "2026-03-03": {"events": 2, "duplicates": 0},
        "2026-03-04": {"events": 0, "duplicates": 0},
        DS: {"events": 9, "duplicates": 9},
    }
    for day, counts in late.items():
        runlog.record_stage(run.warehouse, day, vocab.EDGES, {"late": counts})
    assert summarise(run, DS, WINDOW)["late"] == {"window": {"events": 5, "duplicates": 1}, "newest": {}}


def test_days_of_users_that_were_left_out_are_counted_by_reason(run: Run) -> None:
    assert summarise(run, DS, WINDOW)["excluded"] == {"window": {}, "newest": {}}
    exclude(run, "2026-03-01", ["max_events", "max_distinct"])
    exclude(run, "2026-03-04", ["max_events"])
    exclude(run, "2026-03-03", ["max_events"])  # nothing was delivered then, and late events told of it
    exclude(run, DS, ["max_events"])
    found = summarise(run, DS, WINDOW)["excluded"]
    assert found == {"window": {"max_events": 3, "max_distinct": 1}, "newest": {"max_events": 1}}


def test_nodes_and_their_degrees_by_type(run: Run) -> None:
    found = summarise(run, DS, WINDOW)["nodes"]
    assert {kind: nodes["nodes"] for kind, nodes in found.items()} == {"user": 4, "host": 2, "video": 3, "product": 0}
    assert found["user"]["degree"] == {"p0": 0, "p50": 20, "p90": 70, "p99": 70, "max": 70}
    assert found["product"]["degree"] is None


def test_the_first_graph_has_nothing_to_be_compared_with(run: Run) -> None:
    found = summarise(run, DS, WINDOW)
    assert found["compared_with"] is None
    assert {(nodes["new"], nodes["vanished"]) for nodes in found["nodes"].values()} == {(None, None)}


def test_nodes_are_compared_with_the_newest_graph_of_an_earlier_day(run: Run) -> None:
    earlier = {"user": [0, 1, 2], "host": [1, 4]}
    for day, index in {
        "2026-03-02": {"user": [5]},
        BEFORE: earlier,
        "2026-03-06": {"user": [6]},
    }.items():
        write_nodes(run, day, index)
        record_graph(run, day, {})
    write_nodes(run, "2026-03-04", {"user": [8]})  # its stage never came to an end
    record_graph(run, DS, {})  # the day itself was made before
    found = summarise(run, DS, WINDOW)
    assert found["compared_with"] == BEFORE
    assert {kind: (nodes["new"], nodes["vanished"]) for kind, nodes in found["nodes"].items()} == {
        "user": (2, 1),
        "host": (0, 0),
        "video": (3, 0),
        "product": (0, 0),
    }


def test_users_are_counted_by_the_surfaces_that_their_edges_come_from(run: Run) -> None:
    # User 0 on two, 2 and 3 on one each, 7 on none; the toy has three surfaces.
    assert summarise(run, DS, WINDOW)["surfaces"] == {"user": [1, 2, 1, 0]}


def test_two_relations_of_one_surface_are_one_surface(run: Run, tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    again = "{domain: live, actions: [watch], from: user, to: host}"
    own.write_text(f"extends: {TOY}\nrelations: {{visits_again: {again}}}\n", encoding="utf-8")
    twice = Run(load_config(own, logs=tmp_path, warehouse=tmp_path), today=run.today)
    write_edges(twice, "visits_again", [0, 3], [1, 1], [1, 1])
    assert summarise(twice, DS, WINDOW)["surfaces"] == {"user": [1, 2, 1, 0]}


def test_edges_and_their_weights_by_relation(run: Run) -> None:
    found = summarise(run, DS, WINDOW)["edges"]
    assert {name: relation["edges"] for name, relation in found.items()} == {"watches": 3, "visits": 2, "buys": 0}
    assert found["watches"]["weight"] == {"p0": 0.5, "p50": 2, "p90": 10, "p99": 10, "max": 10}
    assert (found["visits"]["from"], found["visits"]["to"], found["visits"]["sign"]) == ("user", "host", 1)
    assert (found["buys"]["weight"], found["buys"]["bytes"]) == (None, 0)


def test_bytes_are_those_of_the_files(run: Run) -> None:
    found = summarise(run, DS, WINDOW)
    path = tables.partition(run.warehouse, tables.ADJACENCY, DS)
    size = sum(file.stat().st_size for file in path.glob("*/*.parquet"))
    assert found["disk"]["adjacency"] == {"bytes": size, "bytes_per_edge": round(size / 5, 2)}
    assert sum(relation["bytes"] for relation in found["edges"].values()) == size
    assert found["disk"]["arrays"]["bytes"] == 0


def test_a_graph_at_random_against_counting_by_hand(run: Run) -> None:
    chance = np.random.default_rng(0)
    edges = {name: (chance.choice(USERS, 60).tolist(), chance.random(60).tolist()) for name in ("watches", "buys")}
    for name, (users, weight) in edges.items():
        write_edges(run, name, users, [0] * 60, weight)
    found = summarise(run, DS, WINDOW)
    surfaces = {"watches": "short_video", "visits": "live", "buys": "ecommerce"}
    met = {user: {surfaces[n] for n, (ends, _) in edges.items() if user in ends} for user in USERS}
    for user in (0, 3):
        met[user].add("live")
    assert found["surfaces"]["user"] == [sum(len(m) == k for m in met.values()) for k in range(4)]
    for name, (_, weight) in edges.items():
        ordered = np.sort(np.array(weight, np.float32))
        assert list(found["edges"][name]["weight"].values()) == [ordered[i] for i in (0, 29, 53, 59, 59)]


def test_missing_nodes_are_an_error(run: Run) -> None:
    with pytest.raises(StoreError, match="run the stage that writes it"):
        summarise(run, "2026-03-06", WINDOW)


def test_a_summary_is_read_from_the_record_and_from_nowhere_else(run: Run) -> None:
    record_graph(run, DS, {SUMMARY: {"days": []}})
    assert read_summary(run.warehouse, DS) == {"days": []}


def test_a_summary_goes_through_the_manifest_unchanged(run: Run) -> None:
    found = summarise(run, DS, WINDOW)
    record_graph(run, DS, {SUMMARY: found})
    assert read_summary(run.warehouse, DS) == found


def test_a_day_without_a_graph_has_no_summary(run: Run) -> None:
    with pytest.raises(InputError, match=r"a graph of 2026-03-05, found none .*; run graphrep graph --ds 2026-03-05"):
        read_summary(run.warehouse, DS)
    record_graph(run, DS, {"edges": {}})
    with pytest.raises(InputError, match=r"with a summary, found one made without .*; remove .*/nodes/ds=2026-03-05"):
        read_summary(run.warehouse, DS)
    with pytest.raises(InputError, match="a day as YYYY-MM-DD"):
        read_summary(run.warehouse, "yesterday")
