"""Alike items become edges of the graph; the graph is mapped from its arrays, which are its adjacency by row."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from graphrep import vocab
from graphrep.errors import InputError, StoreError
from graphrep.pipeline.graph import run_graph
from graphrep.pipeline.load import load_graph
from graphrep.pipeline.run import run_day
from graphrep.store import tables

DAYS = ("2026-03-01", "2026-03-02")
DS = DAYS[1]  # the label day: the graph is made of the day before
START = 1772323200  # 2026-03-01T00:00:00Z
ALIKE = ("video", "looks_like", "video")
VECTORS = {"v0": [1.0, 0.0], "v1": [2.0, 0.2], "v2": [0.0, 3.0], "v3": [1.0, 1.0], "never met": [1.0, 0.0]}


def deliver_vectors(place: Any, ds: str, vectors: dict[str, list[float]]) -> None:
    folder = place.logs / "frames" / f"ds={ds}"
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"video": list(vectors), "frame": list(vectors.values())}), folder / "part-0.parquet")


def alike(settings: dict[str, Any]) -> None:
    settings["item_vectors"] = {
        "video": {"path": "frames", "partitioned": True, "key": "video", "vector": "frame"},
    }
    settings["similarities"] = {"looks_like": {"from": "video", "to": "video", "k": 2}}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, new_place: Any) -> Any:
    place = new_place(tmp_path_factory.mktemp("alike"))
    place.configure(alike)
    for ds in DAYS:
        place.deliver_day(ds)
    deliver_vectors(place, DAYS[0], VECTORS)
    place.record = run_day(place.run(), DS, at=place.at, last=vocab.GRAPH)[vocab.GRAPH]
    return place


@pytest.fixture
def again(built: Any, tmp_path: Path, new_place: Any) -> Any:
    """A copy of the place, to change."""
    place = new_place(tmp_path)
    place.configure(alike)
    for name in ("logs", "warehouse"):
        shutil.copytree(built.root / name, place.root / name)
    return place


def stamps(place: Any) -> dict[str, int]:
    made = [p for t in (tables.NODES, tables.ADJACENCY, tables.ARRAYS) for p in (place.warehouse / t).rglob("*")]
    return {str(p): p.stat().st_mtime_ns for p in made if p.is_file()}


def pairs(place: Any) -> dict[tuple[str, str], float]:
    day = load_graph(place.run(), DS)
    edges, keys = day.graph.edges[ALIKE], day.nodes["video"].keys
    return {(keys[s], keys[d]): float(w) for s, d, w in zip(edges.src, edges.dst, edges.weight, strict=True)}


def test_alike_items_of_the_window_are_edges_that_weigh_their_cosine(built: Any) -> None:
    # 6 edges of the day touch videos, half of them may be added; v0–v1 .995, v1–v3 .774, v0–v3 and v2–v3 .707
    assert pairs(built) == {
        ("v0", "v1"): pytest.approx(0.995037),
        ("v1", "v3"): pytest.approx(0.773957),
        ("v0", "v3"): pytest.approx(0.707107),
    }
    assert built.record["edges"] == {"watches": 6, "visits": 6, "buys": 6, "looks_like": 3}
    times = load_graph(built.run(), DS).graph.edges[ALIKE].time
    assert times is not None
    assert set(times.tolist()) == {START}


def test_vectors_of_the_label_day_and_later_change_nothing(again: Any) -> None:
    before = stamps(again)
    deliver_vectors(again, DS, {key: [1.0, 1.0] for key in VECTORS})
    assert run_graph(again.run(), DS)["inputs"]["item_vectors"]
    assert stamps(again) == before


def test_vectors_that_were_delivered_again_make_the_graph_anew(again: Any) -> None:
    deliver_vectors(again, DAYS[0], {"v0": [1.0, 0.0], "v2": [1.0, 0.0], "v3": [-1.0, 0.0]})
    run_graph(again.run(), DS)
    assert pairs(again) == {("v0", "v2"): 1.0}


def test_a_damaged_table_of_vectors_is_refused_and_the_graph_stays(again: Any) -> None:
    before = stamps(again)
    deliver_vectors(again, DAYS[0], {"v0": [1.0, float("nan")]})
    with pytest.raises(InputError, match=r"'frame' of item_vectors\.video, day 2026-03-01, found 1 vectors"):
        run_graph(again.run(), DS)
    assert stamps(again) == before


def test_the_arrays_are_the_adjacency_by_row_and_the_graph_is_mapped_from_them(built: Any) -> None:
    day = load_graph(built.run(), DS)
    path = tables.partition(built.warehouse, tables.ADJACENCY, DS)
    for name, kind in built.run().config.graph_relations.items():
        rows = tables.read_table(path / f"relation={name}")
        edges = day.graph.edges[kind.src, kind.label, kind.dst]
        index = {t: nodes["index"].to_numpy() for t, nodes in nodes_of(built).items()}
        assert index[kind.src][edges.src].tolist() == rows["src"].to_pylist()
        assert index[kind.dst][edges.dst].tolist() == rows["dst"].to_pylist()
        assert edges.weight.tolist() == (kind.sign * rows["weight"].to_numpy()).tolist()
        assert edges.time is not None
        assert edges.time.tolist() == rows["time"].to_pylist()
        assert isinstance(edges.src.base, np.memmap)


def nodes_of(place: Any) -> Any:
    from graphrep.pipeline.load import nodes_by_type

    return nodes_by_type(place.run(), DS, ["index"])


@pytest.mark.parametrize("damage", ["cut", "gone", "shorter", "another type"])
def test_an_array_that_was_changed_is_named_with_what_to_do(again: Any, damage: str) -> None:
    file = tables.partition(again.warehouse, tables.ARRAYS, DS) / "watches.src.npy"
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:-8])
    elif damage == "gone":
        file.unlink()
    else:
        array = np.load(file)
        np.save(file, array[1:] if damage == "shorter" else array.astype(np.int32))
    with pytest.raises(StoreError, match=r"watches\.src\.npy\]; run stage graph again"):
        load_graph(again.run(), DS)


def test_two_runs_of_one_day_at_once_do_the_work_once(again: Any) -> None:
    shutil.rmtree(again.warehouse / tables.ARRAYS)
    records: list[Any] = []
    written: list[dict[str, int]] = []

    def run() -> None:
        records.append(run_graph(again.run(), DS))
        written.append(stamps(again))

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert records[0] == records[1]
    assert written[0] == written[1]
