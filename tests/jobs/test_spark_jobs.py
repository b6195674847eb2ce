"""Each job through a real spark-submit writes what the stage writes in this process, and leaves with its exit code."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from graphrep.pipeline.run import run_stage
from graphrep.store import runlog, tables
from graphrep.store.files import sha256

REPOSITORY = Path(__file__).resolve().parents[2]
DAY, BEFORE = "2026-03-02", "2026-03-01"
WRITES = {"logs": ("events", "quarantine"), "edges": ("edges", "node_days"), "graph": ("ids", "nodes", "adjacency")}


def submit(place: Any, stage: str, warehouse: Path, ds: str = DAY) -> subprocess.CompletedProcess[str]:
    command = [
        str(Path(sys.executable).with_name("spark-submit")),
        *("--master", "local[2]", "--driver-memory", "1g"),
        *("--conf", "spark.ui.enabled=false", "--conf", "spark.sql.shuffle.partitions=2"),
        str(REPOSITORY / "spark_jobs" / f"{stage}_job.py"),
        *("--config", str(place.config), "--ds", ds, "--logs", str(place.logs), "--warehouse", str(warehouse)),
    ]
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("PYSPARK", "SPARK"))}
    environ |= {"PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}
    environ |= {"SPARK_SUBMIT_OPTS": "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=256m"}
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=300, env=environ, cwd=REPOSITORY
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, new_place: Callable[[Path], Any]) -> Any:
    """The day before made in this process, then the day twice: by jobs in ``by_jobs``, in this process beside it."""
    place = new_place(tmp_path_factory.mktemp("jobs"))
    for ds in (BEFORE, DAY):
        place.deliver_day(ds)
    for stage in ("logs", "edges"):
        run_stage(place.run(), stage, BEFORE, at=place.at)
    place.by_jobs = place.root / "by_jobs"
    shutil.copytree(place.warehouse, place.by_jobs)
    place.submitted = {stage: submit(place, stage, place.by_jobs) for stage in WRITES}
    for stage in WRITES:
        run_stage(place.run(), stage, DAY, at=place.at)
    return place


def files_under(path: Path) -> dict[str, str]:
    return {str(file.relative_to(path)): sha256(file) for file in path.rglob("*.parquet")}


@pytest.mark.slow
@pytest.mark.parametrize("stage", WRITES)
def test_the_job_writes_the_same_bytes_as_the_stage(place: Any, stage: str) -> None:
    assert place.submitted[stage].returncode == 0, place.submitted[stage].stdout
    for table in WRITES[stage]:
        under = tables.partition(Path(), table, DAY) if table != "ids" else Path(table)
        made = files_under(place.by_jobs / under)
        assert made == files_under(place.warehouse / under)
        assert made
    records = [runlog.read_stage(warehouse, DAY, stage) for warehouse in (place.by_jobs, place.warehouse)]
    assert records[0] == records[1] is not None


def test_a_job_leaves_with_2_and_one_line_when_its_day_is_not_there(place: Any, tmp_path: Path) -> None:
    done = submit(place, "edges", tmp_path / "warehouse")
    assert done.returncode == 2
    line = f"graphrep edges: expected the checked logs of {BEFORE}, found none; run graphrep logs --ds {BEFORE} first"
    assert line in done.stderr.splitlines()
    assert "graphrep" not in done.stdout
    assert "Traceback" not in done.stderr + done.stdout
