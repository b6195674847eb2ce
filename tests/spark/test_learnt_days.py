"""The hybrid through whole days: cold, then warm; killed, spoilt or gone, it says so and ends with the same bytes."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from graphrep import vocab
from graphrep.contracts import Manifest
from graphrep.datasets.sample import SampleSpec
from graphrep.embed import EncoderState
from graphrep.embed.gnn.checkpoint import unpacked
from graphrep.embed.gnn.kept_state import KeptState
from graphrep.lookup import open_release
from graphrep.pipeline.context import Run, Silent, Step
from graphrep.pipeline.datasets import write_sample_logs
from graphrep.pipeline.embed import day_vectors
from graphrep.pipeline.load import load_graph
from graphrep.pipeline.run import run_day, run_stage
from graphrep.pipeline.training import start_of
from graphrep.store import erase, releases, runlog, tables

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
SPEC = SampleSpec(users=120, days=5, seed=0, start=dt.date(2026, 3, 1))
FIRST, SECOND, THIRD = (SPEC.ds(i) for i in (2, 3, 4))
EMBED: dict[str, Any] = {
    "model": "hybrid",
    "walk": "history",
    "dim": 8,
    "share": 0.5,
    "warm_epochs": 2,
    "training": {"epochs": 3, "batch": 64, "history": 16, "negatives": 64, "folds": 2},
}
# A sample this small is no test of quality.
GATES = {"new_space": {"green_max": 1}}


class Told:
    """Progress that remembers the names of the stages."""

    def __init__(self) -> None:
        self.names: list[str] = []

    @contextmanager
    def stage(self, name: str, total: int) -> Iterator[Step]:
        self.names.append(name)
        yield lambda label="": None


def configure(place: Any, **embed: Any) -> None:
    settings = {
        "extends": str(CONFIGS / "local.yaml"),
        "spark": {"shuffle_partitions": 2, "driver_memory": "1g"},
        "logs": {"max_quarantine_share": 0.05},
        "embed": {**EMBED, **embed},
        "gate_defaults": {"min_rows": 10_000},
        "gates": GATES,
    }
    place.config.write_text(yaml.safe_dump(settings), encoding="utf-8")


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory, new_place: Callable[[Path], Any]) -> Callable[[Any], Any]:
    """Makes a place; a copy of another one where one is given."""

    def made(of: Any = None) -> Any:
        place = new_place(tmp_path_factory.mktemp("learnt"))
        configure(place)
        if of is not None:
            for name in ("logs", "warehouse"):
                shutil.copytree(of.root / name, place.root / name)
        return place

    return made


@pytest.fixture(scope="module")
def graphs(make: Callable[..., Any]) -> Any:
    """Graphs of three days."""
    place = make()
    write_sample_logs(place.logs, SPEC, Silent())
    for ds in (FIRST, SECOND, THIRD):
        run_day(place.run(), ds, at=place.at, last=vocab.GRAPH)
    return place


@pytest.fixture(scope="module")
def done(graphs: Any, make: Callable[..., Any]) -> Any:
    """All three published: the first from the walk, the others from the day before."""
    place = make(graphs)
    place.records = {ds: run_day(place.run(), ds, at=place.at, first=vocab.EMBED) for ds in (FIRST, SECOND, THIRD)}
    return place


@pytest.fixture
def again(done: Any, make: Callable[..., Any]) -> Any:
    return make(done)


def folder(place: Any, ds: str) -> Path:
    return tables.partition(place.warehouse, tables.CHECKPOINTS, ds)


def files_of(path: Path) -> dict[str, bytes]:
    return {str(p.relative_to(path)): p.read_bytes() for p in sorted(path.rglob("*")) if p.is_file()}


def results(place: Any, ds: str) -> dict[str, bytes]:
    """Vectors of a day and what its training left."""
    return {**files_of(tables.partition(place.warehouse, tables.VECTORS, ds)), **files_of(folder(place, ds))}


def embed_again(place: Any, ds: str) -> tuple[dict[str, Any], str]:
    """The stage's record when it is run once more as if it had never been, and what it told of the fit."""
    runlog.drop_stage(place.warehouse, ds, vocab.EMBED)
    run: Run = place.run()
    told = Told()
    run.progress = told
    record = run_stage(run, vocab.EMBED, ds, at=place.at)
    (fitted,) = [name for name in told.names if name.startswith("fit ")]
    trainings = told.names[told.names.index(fitted) + 1 :]
    assert set(trainings) == ({"train"} if record["training"] else set())
    return record, fitted


def test_the_first_day_starts_cold_and_the_next_ones_warm(done: Any) -> None:
    trained = [done.records[ds][vocab.EMBED]["training"] for ds in (FIRST, SECOND, THIRD)]
    assert [(t["start"], t["epochs"], t["cold_ds"]) for t in trained] == [
        ("cold", 3, FIRST),
        ("warm", 2, FIRST),
        ("warm", 2, FIRST),
    ]
    assert [t["why"] for t in trained] == ["there is no release before", None, None]
    spaces = {done.records[ds][vocab.EMBED]["space_id"] for ds in (FIRST, SECOND, THIRD)}
    assert len(spaces) == 1
    choices = [done.records[ds][vocab.EMBED]["model"]["choice"] for ds in (FIRST, SECOND, THIRD)]
    assert choices[0] == choices[1] == choices[2]


def test_a_day_keeps_its_state_and_nothing_of_the_way_to_it(done: Any) -> None:
    for ds in (FIRST, SECOND, THIRD):
        assert list(files_of(folder(done, ds))) == ["state.safetensors"]
        kept = KeptState.unpacked((folder(done, ds) / "state.safetensors").read_bytes(), "state")
        day = load_graph(done.run(), ds)
        assert set(kept.state.walk) == {"host", "video", "product"}
        for kind, ids in kept.ids.items():
            assert np.array_equal(ids, day.nodes[kind].index)
        target = kept.state.walk["host"][1] + 0.5 * kept.state.learnt["host"][1]
        assert np.allclose(target, day_vectors(done.run(), ds)["host"], atol=1e-5)


def test_the_release_says_what_made_it(done: Any) -> None:
    for ds in (FIRST, SECOND):
        made = releases.read_manifest(done.warehouse, f"{ds}.1")[Manifest.MODEL]
        assert (made["name"], made["learnt"]) == ("hybrid", 0.5)
        assert made == done.records[ds][vocab.EMBED]["model"]
        assert len(made["state"]) == 64
    assert open_release(done.warehouse, verify=True).release_id == f"{THIRD}.1"


def test_another_warehouse_with_other_stable_ids_of_new_nodes_takes_over_by_id(done: Any) -> None:
    """What a thing had learnt yesterday is where it starts today, also where its row is another one."""
    kept = KeptState.unpacked((folder(done, FIRST) / "state.safetensors").read_bytes(), "state")
    before, today = load_graph(done.run(), FIRST).nodes["video"], load_graph(done.run(), SECOND).nodes["video"]
    row = kept.known({"video": today.index})["video"]
    assert [before.keys[i] if i >= 0 else None for i in row] == [
        k if k in set(before.keys) else None for k in today.keys
    ]
    assert (row != np.arange(len(row))).any()


def test_the_same_bytes_again(done: Any, graphs: Any, make: Callable[..., Any]) -> None:
    other = make(graphs)
    for ds in (FIRST, SECOND):
        run_day(other.run(), ds, at=other.at, first=vocab.EMBED)
        assert results(other, ds) == results(done, ds)
        assert files_of(other.warehouse / "releases" / f"{ds}.1") == files_of(done.warehouse / "releases" / f"{ds}.1")


def killed_in_training(place: Any, ds: str) -> None:
    """Run the stage in a process of its own and kill it after its first epoch."""
    runlog.drop_stage(place.warehouse, ds, vocab.EMBED)
    command = [sys.executable, "-m", "graphrep", "embed", "--config", str(place.config), "--ds", ds]
    places = ["--logs", str(place.logs), "--warehouse", str(place.warehouse)]
    with subprocess.Popen([*command, *places], stderr=subprocess.DEVNULL, env=dict(os.environ)) as process:
        until = time.monotonic() + 120
        while not list(folder(place, ds).glob("*/*-published")) and time.monotonic() < until:
            assert process.poll() is None
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert runlog.read_stage(place.warehouse, ds, vocab.EMBED) is None


@pytest.mark.parametrize("ds", [FIRST, THIRD])
def test_killed_in_training_it_goes_on_and_ends_with_the_same_bytes(again: Any, done: Any, ds: str) -> None:
    killed_in_training(again, ds)
    (path,) = folder(again, ds).glob("*/hybrid-published")
    assert unpacked(path.read_bytes(), "state")[1].step > 0
    record, told = embed_again(again, ds)
    assert told.endswith("; on from where it was interrupted")
    assert results(again, ds) == results(done, ds)
    assert record == done.records[ds][vocab.EMBED]


def test_a_state_of_other_settings_is_left_behind_and_that_is_said(again: Any, done: Any) -> None:
    killed_in_training(again, FIRST)
    configure(again, dim=6)
    record, told = embed_again(again, FIRST)
    assert told.endswith("; anew, since its inputs changed")
    assert record["training"]["epochs"] == 3
    assert list(files_of(folder(again, FIRST))) == ["state.safetensors"]


def test_a_damaged_state_is_left_behind_and_that_is_said(again: Any, done: Any) -> None:
    killed_in_training(again, FIRST)
    (path,) = folder(again, FIRST).glob("*/hybrid-published")
    path.write_bytes(path.read_bytes()[:-1])
    _, told = embed_again(again, FIRST)
    assert told.endswith("; anew, since its state is damaged")
    assert results(again, FIRST) == results(done, FIRST)


@pytest.mark.parametrize(
    ("embed", "why"),
    [
        ({"cold_every_days": 1}, "the last start from the walk was 1 days ago"),
        ({"dim": 6}, f"{FIRST}.1 has other dimensions"),
    ],
)
def test_settings_can_ask_for_a_start_from_the_walk(again: Any, embed: dict[str, Any], why: str) -> None:
    configure(again, **embed)
    record, told = embed_again(again, SECOND)
    assert (record["training"]["start"], record["training"]["why"]) == ("cold", why)
    assert (record["training"]["epochs"], record["training"]["cold_ds"]) == (3, SECOND)
    assert f"hybrid from the walk: {why}" in told


def test_without_yesterdays_state_it_starts_cold_and_yesterdays_choice_stays(again: Any, done: Any) -> None:
    (folder(again, FIRST) / "state.safetensors").write_bytes(b"")
    record, _ = embed_again(again, SECOND)
    assert record["training"]["why"] == f"the state of {FIRST}.1 is not there any more"
    assert record["model"]["choice"] == done.records[FIRST][vocab.EMBED]["model"]["choice"]


def test_after_the_other_model_it_starts_cold_and_leaves_no_state_behind(again: Any, done: Any) -> None:
    configure(again, model="autocovariance")
    record, told = embed_again(again, SECOND)
    assert record["model"]["choice"] == done.records[FIRST][vocab.EMBED]["model"]["choice"]
    assert (record["training"], record["model"]["learnt"], record["model"]["state"]) == (None, None, None)
    assert told == f"fit {SECOND}"
    assert not files_of(folder(again, SECOND))
    run_day(again.run(), SECOND, at=again.at, first=vocab.EVALUATE)
    configure(again)
    record, _ = embed_again(again, THIRD)
    assert record["training"]["why"] == f"{SECOND}.2 holds nothing that this model learnt"


def test_after_the_other_walk_a_new_space_begins(again: Any) -> None:
    configure(again, model="autocovariance", walk="joint")
    record, _ = embed_again(again, SECOND)
    assert (record["parent"], record["alignment"]) == (None, None)
    assert record["space_id"].startswith(SECOND)


def test_the_share_is_chosen_on_a_cold_day_and_the_figures_are_kept(again: Any) -> None:
    configure(again, share=None)
    record, _ = embed_again(again, FIRST)
    tried = record["training"]["tried"]
    assert list(tried) == ["0.0", "0.25", "0.5", "0.75", "1.0"]
    best = max(tried, key=lambda share: tried[share])
    chosen = float(best) if tried[best] > tried["0.0"] * 1.001 else 0.0
    assert record["model"]["learnt"] == chosen
    assert (record["model"]["state"] is None) == (chosen == 0)


@pytest.fixture(scope="module")
def by_gnn(graphs: Any, make: Callable[..., Any]) -> Any:
    """The first day published and the second fitted, by neighbourhoods and the content of hosts."""
    place = make(graphs)
    hosts = sorted(load_graph(place.run(), SECOND).nodes["host"].keys)
    vectors = np.random.default_rng(0).normal(size=(len(hosts), 4))
    rows = [{"key": key, "vector": x.tolist()} for key, x in zip(hosts, vectors, strict=True)]
    (place.logs / "host_vectors").mkdir()
    pq.write_table(pa.Table.from_pylist(rows), place.logs / "host_vectors" / "vectors.parquet")
    as_gnn(place)
    place.records = {FIRST: run_day(place.run(), FIRST, at=place.at, first=vocab.EMBED)}
    place.records[SECOND] = run_day(place.run(), SECOND, at=place.at, first=vocab.EMBED, last=vocab.EMBED)
    return place


def as_gnn(place: Any, **embed: Any) -> None:
    neighbours = {"negatives": 32, "views": 2, "layers": 1, "neighbours": 4}
    training = {**EMBED["training"], "batch": 512, "rate": 0.01, "gnn": neighbours}
    configure(place, **{"model": "gnn", "training": training, **embed})
    settings = yaml.safe_load(place.config.read_text(encoding="utf-8"))
    settings["item_vectors"] = {
        "host": {"path": "host_vectors", "partitioned": False, "key": "key", "vector": "vector"}
    }
    place.config.write_text(yaml.safe_dump(settings), encoding="utf-8")


def test_the_gnn_goes_on_from_its_parameters_of_the_day_before(by_gnn: Any) -> None:
    first, second = (by_gnn.records[ds][vocab.EMBED] for ds in (FIRST, SECOND))
    trained = [record["training"] for record in (first, second)]
    assert [(t["start"], t["epochs"], t["cold_ds"]) for t in trained] == [("cold", 3, FIRST), ("warm", 2, FIRST)]
    assert [t["relations"] for t in trained] == [None, {"new": [], "gone": []}]
    assert first["space_id"] == second["space_id"]
    assert [(r["model"]["name"], r["model"]["learnt"]) for r in (first, second)] == [("gnn", 0.5)] * 2
    kept = [
        KeptState.unpacked((folder(by_gnn, ds) / "state.safetensors").read_bytes(), ds).state for ds in (FIRST, SECOND)
    ]
    assert all(isinstance(state, EncoderState) and dict(state.contents) == {"host": 4} for state in kept)
    names = [name for name in kept[0].parameters if name.startswith("encoder.own") or "recency" in name]
    near = [np.abs(kept[1].parameters[name] - kept[0].parameters[name]).max() for name in names]
    assert 0 < max(near) < 0.1
    made = releases.read_manifest(by_gnn.warehouse, f"{FIRST}.1")[Manifest.MODEL]
    assert made == first["model"]


def test_the_gnn_killed_in_training_goes_on_and_ends_with_the_same_bytes(by_gnn: Any, make: Callable[..., Any]) -> None:
    again = make(by_gnn)
    as_gnn(again)
    killed_in_training(again, SECOND)
    record, told = embed_again(again, SECOND)
    assert told == f"fit {SECOND}, gnn from the release before; on from where it was interrupted"
    assert results(again, SECOND) == results(by_gnn, SECOND)
    assert record == by_gnn.records[SECOND][vocab.EMBED]


def test_an_encoder_of_other_layers_is_no_beginning(by_gnn: Any) -> None:
    day = load_graph(by_gnn.run(), SECOND)
    run = by_gnn.run()
    for layers, columns, why in ((2, 4, "1 layers, not 2"), (1, 5, "4 columns of content of host, not 5"), (1, 4, "")):
        neighbours = run.config.embed.training.gnn.model_copy(update={"layers": layers})
        training = run.config.embed.training.model_copy(update={"gnn": neighbours})
        embed = run.config.embed.model_copy(update={"training": training})
        run.config = run.config.model_copy(update={"embed": embed})
        content = {"host": np.zeros((len(day.nodes["host"].keys), columns), np.float32)}
        start = start_of(run, SECOND, day, f"{FIRST}.1", content)
        assert start.why == (f"{FIRST}.1 was learnt with {why}" if why else "")
        assert (start.begin is None) == bool(why)


def test_an_erased_key_takes_the_state_of_its_day_with_it(again: Any) -> None:
    erase.remove_day_graph(again.warehouse, FIRST)
    assert not folder(again, FIRST).exists()
    assert folder(again, SECOND).exists()
    assert tables.CHECKPOINTS not in erase.working_tables(again.warehouse)


@pytest.mark.parametrize(("cold_every_days", "start"), [(28, "warm"), (21, "cold")])
def test_what_an_erased_key_had_a_part_in_is_begun_from_no_longer_than_said(
    again: Any, cold_every_days: int, start: str
) -> None:
    """Today is 31 March, and the state of the first day, which names no erased key, is from before 10 March."""
    configure(again, cold_every_days=cold_every_days)
    erase.remember(again.warehouse, {"user": ["long gone"]}, "2026-03-10")
    record, _ = embed_again(again, SECOND)
    why = f"{FIRST}.1 goes back to before the erasure of 2026-03-10"
    assert (record["training"]["start"], record["training"]["why"]) == (start, why if start == "cold" else None)
    kept = KeptState.unpacked((folder(again, SECOND) / "state.safetensors").read_bytes(), "state")
    newest = {"ds": "2026-03-10", "count": 1}
    assert kept.about["erased"] == (newest if start == "cold" else {"ds": None, "count": 0})
