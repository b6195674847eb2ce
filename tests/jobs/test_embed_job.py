"""Stage embed in two processes, by TorchDistributor and by torchrun, writes what it writes in this one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from graphrep.pipeline import jobs
from graphrep.pipeline.run import run_stage
from graphrep.store import runlog, tables
from graphrep.store.files import sha256

ROOT = Path(__file__).resolve().parents[2]
DAY, BEFORE = "2026-03-02", "2026-03-01"
VECTORS = tables.partition(Path(), tables.VECTORS, DAY)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, new_place: Callable[[Path], Any]) -> Any:
    """A day's graph; ``place.copies`` of it for others, then its vectors by this process."""
    place = new_place(tmp_path_factory.mktemp("embed_job"))
    for ds in (BEFORE, DAY):
        place.deliver_day(ds)
        for stage in ("logs", "edges"):
            run_stage(place.run(), stage, ds, at=place.at)
    run_stage(place.run(), "graph", DAY, at=place.at)
    place.copies = [place.root / name for name in ("by_distributor", "by_torchrun")]
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


def test_by_torchrun_the_first_alone_prints(place: Any) -> None:
    warehouse = place.copies[1]
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "graphrep"]
    command += ["embed", *arguments(place, warehouse), "--json"]
    environ = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, env=environ, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == runlog.read_stage(warehouse, DAY, "embed") == place.record
    assert same(place, warehouse)


def test_a_day_without_a_graph_starts_no_processes(
    place: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        jobs.embed([*arguments(place, tmp_path), "--processes", "2", "--local"])
    assert left.value.code == 2
    assert f"graphrep embed: expected the graph of {DAY}, found none" in capfd.readouterr().err
