"""What an operator does between two days: rolls back, changes relations, delivers late; and pools without times."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from graphrep import vocab
from graphrep.errors import GateRefusedError, InputError, StoreError
from graphrep.pipeline.load import load_graph
from graphrep.pipeline.run import run_day, run_stage
from graphrep.store import releases, runlog, tables

DAYS = ("2026-03-01", "2026-03-02", "2026-03-03", "2026-03-04")


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory, new_place: Callable[[Path], Any]) -> Any:
    place = new_place(tmp_path_factory.mktemp("published"))
    for ds in DAYS:
        place.deliver_day(ds)
    for ds in DAYS[1:3]:
        run_day(place.run(), ds, at=place.at)
    return place


@pytest.fixture
def three(published: Any, place: Any) -> Any:
    """Four days of logs; 2 and 3 March are published. A copy of its own."""
    for name in ("logs", "warehouse"):
        shutil.copytree(published.root / name, place.root / name)
    return place


def current(place: Any) -> str:
    pointer = releases.read_pointer(place.warehouse)
    assert pointer is not None
    return pointer.release_id


def test_a_day_run_again_does_not_undo_a_rollback_and_the_next_day_is_aligned_to_what_is_served(three: Any) -> None:
    releases.rollback(three.warehouse, None, at=three.at)
    assert current(three) == "2026-03-02.1"
    again = run_day(three.run(), DAYS[2], at=three.at)[vocab.PUBLISH]
    assert again == {"release_id": "2026-03-03.1", "new": False, "current": False, "removed": [], "mirrored": None}
    assert current(three) == "2026-03-02.1"
    first = run_day(three.run(), DAYS[3], at=three.at)
    assert first[vocab.EMBED]["parent"] == "2026-03-02.1"
    assert current(three) == "2026-03-04.1"
    assert run_day(three.run(), DAYS[3], at=three.at)[vocab.PUBLISH]["new"] is False


def test_an_older_day_is_published_beside_the_current_one(three: Any) -> None:
    three.deliver("videos", DAYS[0], [])
    three.deliver_day(DAYS[0])
    three.configure(lambda settings: settings.update(seed=1))
    record = run_day(three.run(), DAYS[1], at=three.at)[vocab.PUBLISH]
    assert record == {"release_id": "2026-03-02.2", "new": True, "current": False, "removed": [], "mirrored": None}
    assert current(three) == "2026-03-03.1"


def test_daily_edges_of_other_relations_are_refused_when_stages_are_run_one_by_one(three: Any) -> None:
    def stronger(settings: dict[str, Any]) -> None:
        next(iter(settings["relations"].values()))["prior_support"] = 9

    three.configure(stronger)
    run = three.run()
    for stage in (vocab.LOGS, vocab.EDGES):
        run_stage(run, stage, DAYS[3], at=three.at)
    with pytest.raises(InputError, match=r"daily edges of 2026-03-01, .* found edges of other settings"):
        run_stage(run, vocab.GRAPH, DAYS[3], at=three.at)
    run_day(run, DAYS[3], at=three.at)
    assert current(three) == "2026-03-04.1"


def test_edges_that_went_missing_are_noticed(three: Any) -> None:
    run = three.run()
    recorded = runlog.read_stage(three.warehouse, DAYS[2], vocab.GRAPH)
    assert recorded is not None
    name = max(recorded["edges"], key=recorded["edges"].get)
    file = tables.partition(three.warehouse, tables.ARRAYS, DAYS[2]) / f"{name}.src.npy"
    np.save(file, np.load(file)[1:])
    with pytest.raises(StoreError, match=rf"{name}\.src\.npy\]; run stage graph again"):
        load_graph(run, DAYS[2])


def test_vectors_that_went_missing_are_made_again(three: Any) -> None:
    path = tables.partition(three.warehouse, tables.VECTORS, DAYS[2]) / "host.npy"
    before = path.read_bytes()
    path.unlink()
    run_day(three.run(), DAYS[2], at=three.at)
    assert path.read_bytes() == before


def test_without_a_held_out_day_a_release_does_not_depend_on_what_comes_after(place: Any) -> None:
    place.configure(lambda settings: settings.update(holdout_days=0))
    for ds in DAYS[:2]:
        place.deliver_day(ds)
    first = run_day(place.run(), DAYS[0], at=place.at)
    assert first[vocab.GRAPH]["window"] == [DAYS[0], DAYS[0]]
    assert first[vocab.EVALUATE]["quality"] == []
    run_day(place.run(), DAYS[1], at=place.at)
    assert run_day(place.run(), DAYS[0], at=place.at)[vocab.PUBLISH]["new"] is False
    assert releases.list_releases(place.warehouse) == ["2026-03-01.1", "2026-03-02.1"]


def pool(place: Any, *, undated: int) -> None:
    """Let the live table be one file of all days, with some rows that have no time."""
    rows = [
        row
        for ds in DAYS[:2]
        for file in (place.logs / "live" / f"ds={ds}").glob("*.parquet")
        for row in pq.read_table(file).to_pylist()
    ]
    rows += [{**rows[0], "ts": None, "event_id": f"x{i}"} for i in range(undated)]
    folder = Path(place.logs) / "pool"
    folder.mkdir()
    pq.write_table(pa.Table.from_pylist(rows), folder / "all.parquet")

    def pooled(settings: dict[str, Any]) -> None:
        settings["logs"]["tables"]["live"].update(path="pool", partitioned=False)
        settings["logs"]["max_quarantine_share"] = 0.08

    place.configure(pooled)


@pytest.mark.parametrize(("undated", "refused"), [(1, False), (4, True)])
def test_rows_without_a_time_are_judged_against_their_whole_pool(place: Any, undated: int, refused: bool) -> None:
    for ds in DAYS[:2]:
        place.deliver_day(ds)
    pool(place, undated=undated)
    run = place.run()
    if refused:
        with pytest.raises(GateRefusedError, match=r"4 of the 16 rows of 'live' without a readable time"):
            run_day(run, DAYS[1], at=place.at)
        return
    record = run_day(run, DAYS[1], at=place.at)[vocab.LOGS]
    assert (record["rows_in"], record["events"], record["quarantined"], record["undated"]) == (18, 18, 0, 1)
