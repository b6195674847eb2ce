"""Stage embed in two processes, by TorchDistributor and by torchrun, writes what it writes in this one."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graphrep.config import load_config
from graphrep.embed import ranks
from graphrep.pipeline import jobs
from graphrep.pipeline.context import Run
from graphrep.pipeline.run import run_stage
from graphrep.store import runlog, tables
from graphrep.store.files import sha256

ROOT = Path(__file__).resolve().parents[2]
DAY, BEFORE = "2026-03-02", "2026-03-01"
VECTORS = tables.partition(Path(), tables.VECTORS, DAY)
CHECKPOINTS = tables.partition(Path(), tables.CHECKPOINTS, DAY)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, new_place: Callable[[Path], Any]) -> Any:
    """A day's graph; ``place.copies`` of it for others, then its vectors by this process."""
    place = new_place(tmp_path_factory.mktemp("embed_job"))
    for ds in (BEFORE, DAY):
        place.deliver_day(ds)
        if ds == BEFORE:  # videos an hour after the rest, so that every user meets something after something else
            start = int(dt.datetime.fromisoformat(f"{ds}T09:00:00+00:00").timestamp()) * 1000
            rows = [{"ts": start + i, "user_id": f"u{i}", "event_id": str(i), "action": "watch"} for i in range(6)]
            videos = [{**row, "item_id": f"v{i % 4}", "duration": 5.0 + i} for i, row in enumerate(rows)]
            place.deliver("videos", ds, videos)
        for stage in ("logs", "edges"):
            run_stage(place.run(), stage, ds, at=place.at)
    run_stage(place.run(), "graph", DAY, at=place.at)
    place.copies = [place.root / name for name in ("by_distributor", "by_torchrun", "learnt", "second")]
    for copy in place.copies:
        shutil.copytree(place.warehouse, copy)
    place.record = run_stage(place.run(), "embed", DAY, at=place.at)
    return place


def same(place: Any, warehouse: Path) -> bool:
    made = {file.name: sha256(file) for file in (warehouse / VECTORS).glob("*.npy")}
    return made == {file.name: sha256(file) for file in (place.warehouse / VECTORS).glob("*.npy")} != {}


def arguments(place: Any, warehouse: Path) -> list[str]:
    return ["--config", str(place.config), "--ds", DAY, "--warehouse", str(warehouse)]


def test_by_torch_distributor(place: Any, spark: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    warehouse = place.copies[0]
    jobs.embed([*arguments(place, warehouse), "--processes", "2", "--local"])
    assert runlog.read_stage(warehouse, DAY, "embed") == place.record
    assert same(place, warehouse)


def torchrun(place: Any, warehouse: Path) -> Any:
    """What two processes print: the record."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "graphrep"]
    command += ["embed", *arguments(place, warehouse), "--json"]
    environ = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, env=environ, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_by_torchrun_the_first_alone_prints(place: Any) -> None:
    warehouse = place.copies[1]
    assert torchrun(place, warehouse) == runlog.read_stage(warehouse, DAY, "embed") == place.record
    assert same(place, warehouse)


def test_what_is_learnt_by_torchrun_is_written_by_the_first_alone(place: Any, new_place: Callable[[Path], Any]) -> None:
    """Without dropout it is what one process learns, up to the order of sums."""
    training = {"epochs": 2, "batch": 4, "history": 4, "horizon": 2, "negatives": 8, "dropout": 0.0, "folds": 2}
    learning = {"model": "hybrid", "walk": "history", "dim": 4, "share": 1.0, "training": training}
    alone = new_place(place.root / "alone")
    alone.configure(lambda settings: settings.update(embed=learning))
    together = place.copies[2]
    shutil.copytree(together, alone.warehouse)
    record = torchrun(alone, together)
    assert record == runlog.read_stage(together, DAY, "embed")
    assert (record["model"]["name"], record["training"]["start"]) == ("hybrid", "cold")
    (state,) = [path for path in (together / CHECKPOINTS).rglob("*") if path.is_file()]
    assert sha256(state) == record["model"]["state"]
    own = run_stage(alone.run(), "embed", DAY, at=place.at)
    assert {**own["model"], "state": None} == {**record["model"], "state": None}
    assert own["training"] == record["training"]
    for kind in ("user", "host", "video"):
        ours, theirs = (np.load(warehouse / VECTORS / f"{kind}.npy") for warehouse in (alone.warehouse, together))
        np.testing.assert_allclose(ours.view(np.float32), theirs.view(np.float32), atol=1e-2)


def test_the_second_process_writes_and_removes_nothing(place: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It fits alone here: whatever it wrote would race with what the first writes."""
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(ranks, "joined", lambda device: nullcontext())
    warehouse = place.copies[3]
    interrupted = warehouse / CHECKPOINTS / "0123456789abcdef" / "train"
    interrupted.parent.mkdir(parents=True)
    interrupted.write_bytes(b"of other inputs")

    def held() -> dict[str, str]:
        return {str(path): sha256(path) for path in warehouse.rglob("*") if path.is_file()}

    before = held()
    config = load_config(place.config, warehouse=warehouse)
    record = run_stage(Run(config, today=place.run().today), "embed", DAY, at=place.at)
    assert record["model"] == place.record["model"]
    assert held() == before


def test_a_day_without_a_graph_starts_no_processes(
    place: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        jobs.embed([*arguments(place, tmp_path), "--processes", "2", "--local"])
    assert left.value.code == 2
    assert f"graphrep embed: expected the graph of {DAY}, found none" in capfd.readouterr().err
