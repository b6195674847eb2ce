"""Sample logs through whole days: done once, the same bytes again, nothing from the future, nobody lost."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from graphrep.contracts import EDGE, LOG_EVENT
from graphrep.datasets.sample import SampleSpec
from graphrep.edges import daily_edges, window_edges
from graphrep.lookup import open_release
from graphrep.pipeline.context import Silent
from graphrep.pipeline.datasets import write_sample_logs
from graphrep.pipeline.load import load_graph
from graphrep.pipeline.run import run_day
from graphrep.store import tables
from graphrep.store.spark import read_frames

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
SPEC = SampleSpec(users=120, days=4, seed=0, start=dt.date(2026, 3, 1))
DAYS = [SPEC.ds(i) for i in range(4)]
FIRST, SECOND = DAYS[2], DAYS[3]
TABLES = ("short_video", "live", "ecommerce", "search")
# A sample this small has videos that were only skipped, and a row more or less is a large share of its days.
SETTINGS = {
    "extends": str(CONFIGS / "local.yaml"),
    "spark": {"shuffle_partitions": 2, "driver_memory": "1g"},
    "logs": {"max_quarantine_share": 0.05},
    "embed": {"dim": 8},
    "gate_defaults": {"min_rows": 10_000},
}


@pytest.fixture(scope="module")
def sample_place(tmp_path_factory: pytest.TempPathFactory, new_place: Callable[[Path], Any]) -> Callable[[], Any]:
    """Makes a place on the sample's configuration, without logs."""

    def make() -> Any:
        place = new_place(tmp_path_factory.mktemp("sample"))
        place.config.write_text(yaml.safe_dump(SETTINGS), encoding="utf-8")
        return place

    return make


@pytest.fixture(scope="module")
def done(sample_place: Callable[[], Any]) -> Any:
    """Two days, end to end."""
    place = sample_place()
    write_sample_logs(place.logs, SPEC, Silent())
    place.records = [run_day(place.run(), ds, at=place.at) for ds in (FIRST, SECOND)]
    return place


@pytest.fixture
def again(done: Any, sample_place: Callable[[], Any]) -> Any:
    """A copy of the finished place, times of the files included, to spoil."""
    place = sample_place()
    for name in ("logs", "warehouse"):
        shutil.copytree(done.root / name, place.root / name)
    return place


def stamps(path: Path) -> dict[str, int]:
    return {str(p.relative_to(path)): p.stat().st_mtime_ns for p in sorted(path.rglob("*")) if p.is_file()}


def contents(path: Path) -> dict[str, bytes]:
    return {str(p.relative_to(path)): p.read_bytes() for p in sorted(path.rglob("*")) if p.is_file()}


def rewrite(logs: Path, table: str, ds: str, change: Callable[[pa.Table], pa.Table]) -> None:
    file = tables.partition(logs, table, ds) / "part-0.parquet"
    pq.write_table(change(pq.read_table(file)), file)


def one_more(table: pa.Table, **given: Any) -> pa.Table:
    """The table with its first row once more, but for what is given and the id."""
    row = {**table.slice(0, 1).to_pylist()[0], "event_id": 2**62, **given}
    return pa.concat_tables([table, pa.Table.from_pylist([row], schema=table.schema)])


def test_two_days_are_published_and_the_second_is_current(done: Any) -> None:
    published = [record["publish"] for record in done.records]
    assert [p["release_id"] for p in published] == [f"{FIRST}.1", f"{SECOND}.1"]
    assert all(p["new"] and p["current"] for p in published)
    assert open_release(done.warehouse, verify=True).release_id == f"{SECOND}.1"
    assert done.records[1]["graph"]["window"] == [DAYS[0], DAYS[2]]


def test_running_a_day_again_does_nothing(done: Any) -> None:
    before = stamps(done.warehouse / "releases" / f"{SECOND}.1")
    working = {t: stamps(done.warehouse / t) for t in ("events", "edges", "adjacency", "nodes", "ids", "vectors")}
    record = run_day(done.run(), SECOND, at=done.at)["publish"]
    assert record == {"release_id": f"{SECOND}.1", "new": False, "current": True, "removed": [], "mirrored": None}
    assert stamps(done.warehouse / "releases" / f"{SECOND}.1") == before
    assert {t: stamps(done.warehouse / t) for t in working} == working


def test_a_fresh_warehouse_from_the_same_rows_in_another_order_gives_the_same_bytes(
    done: Any, sample_place: Callable[[], Any]
) -> None:
    fresh = sample_place()
    shutil.copytree(done.logs, fresh.logs)
    chance = np.random.default_rng(4)
    for table in TABLES:
        for ds in DAYS:
            rewrite(fresh.logs, table, ds, lambda rows: rows.take(chance.permutation(rows.num_rows)))
    for ds in (FIRST, SECOND):
        run_day(fresh.run(), ds, at=fresh.at)
    for ds in (FIRST, SECOND):
        made, expected = (contents(p.warehouse / "releases" / f"{ds}.1") for p in (fresh, done))
        assert made.keys() == expected.keys()
        assert "manifest.json" in made
        assert [name for name in made if made[name] != expected[name]] == []


def test_nothing_of_the_label_day_or_later_reaches_a_graph(done: Any, again: Any) -> None:
    later = SPEC.day_start(3) + 5
    for table in TABLES:
        # On the label day; in a graph day's file, dated later; and on a day that is not run yet.
        rewrite(again.logs, table, SECOND, lambda rows: one_more(rows, user_id="future-label"))
        rewrite(again.logs, table, FIRST, lambda rows: one_more(rows, user_id="future-misfiled", ts=later))
        tomorrow = again.logs / table / "ds=2026-03-05"
        shutil.copytree(again.logs / table / f"ds={SECOND}", tomorrow)
    records = run_day(again.run(), SECOND, at=again.at)
    assert records["logs"]["events"] == done.records[1]["logs"]["events"] + len(TABLES)
    release = open_release(again.warehouse)
    assert not release.get("user", ["future-label", "future-misfiled"]).found.any()
    before = open_release(done.warehouse)
    assert {t: release.keys(t) for t in release.types} == {t: before.keys(t) for t in before.types}
    day = load_graph(again.run(), SECOND)
    assert all(edges.time.max() < SPEC.day_start(3) // 1000 for edges in day.graph.edges.values() if len(edges.src))


def test_every_user_of_the_window_is_found(done: Any) -> None:
    seen: set[str] = set()
    for ds in DAYS[:3]:
        for table in TABLES:
            file = tables.partition(done.logs, table, ds) / "part-0.parquet"
            seen |= set(pq.read_table(file, columns=["user_id"])["user_id"].to_pylist())
    release = open_release(done.warehouse, f"{SECOND}.1")
    hit = release.get("user", sorted(seen))
    assert len(seen) >= 100
    assert hit.found.all()
    assert set(release.keys("user")) == seen
    assert np.isfinite(hit.vectors).all()
    assert not release.get("user", ["nobody"]).found.any()


def test_a_day_delivered_again_changes_its_own_edges_and_the_window_and_nothing_else(again: Any) -> None:
    before = {t: stamps(again.warehouse / t) for t in ("events", "edges", "node_days")}
    adjacency = contents(tables.partition(again.warehouse, "adjacency", SECOND))
    rewrite(again.logs, "live", DAYS[1], lambda rows: one_more(rows, user_id="latecomer"))
    record = run_day(again.run(), SECOND, at=again.at)
    for table, old in before.items():
        new = stamps(again.warehouse / table)
        touched = {name.split("/")[0] for name in old.keys() | new.keys() if old.get(name) != new.get(name)}
        assert touched == {f"ds={DAYS[1]}"}, table
    assert contents(tables.partition(again.warehouse, "adjacency", SECOND)) != adjacency
    assert record["publish"] == {
        "release_id": f"{SECOND}.2",
        "new": True,
        "current": True,
        "removed": [],
        "mirrored": None,
    }
    assert open_release(again.warehouse).get("user", ["latecomer"]).found.all()


def test_a_file_delivered_again_with_the_same_rows_changes_no_graph_and_no_release(again: Any) -> None:
    before = {t: stamps(again.warehouse / t) for t in ("adjacency", "nodes", "ids", "vectors", "releases")}
    rewrite(again.logs, "live", DAYS[1], lambda rows: rows.slice(0))
    assert run_day(again.run(), SECOND, at=again.at)["publish"]["new"] is False
    assert {t: stamps(again.warehouse / t) for t in before} == before


def test_the_window_kept_day_by_day_equals_one_rebuilt_from_all_the_events(spark: Any, done: Any) -> None:
    run = done.run()
    config = run.config
    rebuilt = [
        daily_edges(
            read_frames(spark, [tables.partition(done.warehouse, tables.EVENTS, ds)], LOG_EVENT),
            config.relations,
            config.nodes,
            gap_minutes=config.sessions.gap_minutes,
        ).select(*EDGE.names)
        for ds in DAYS[:3]
    ]
    window = window_edges(rebuilt[0].union(rebuilt[1]).union(rebuilt[2]), config.merges, DAYS[2]).collect()
    day = load_graph(run, SECOND)
    kept = {}
    for (src_type, name, dst_type), edges in day.graph.edges.items():
        src, dst = day.nodes[src_type].keys, day.nodes[dst_type].keys
        for s, d, w, t in zip(edges.src, edges.dst, edges.weight, edges.time, strict=True):
            kept[name, src[s], dst[d]] = (np.float32(w), int(t))
    assert kept == {
        (r["relation"], r["src_key"], r["dst_key"]): (np.float32(r["weight"]) * r["sign"], r["last_ts"] // 1000)
        for r in window
    }
    assert len(kept) > 1000


def test_each_relations_adjacency_lies_sorted_by_source_and_destination(done: Any) -> None:
    path = tables.partition(done.warehouse, tables.ADJACENCY, SECOND)
    for relation in tables.subdirectories(path):
        rows = tables.read_table(path / relation)
        pairs = list(zip(rows["src"].to_pylist(), rows["dst"].to_pylist(), strict=True))
        assert pairs == sorted(set(pairs)), relation
