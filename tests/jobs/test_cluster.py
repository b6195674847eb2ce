"""A real standalone cluster whose executors are killed at work writes the bytes that one process writes."""

from __future__ import annotations

import datetime as dt
import importlib.util
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from graphrep.config import load_config
from graphrep.datasets.sample import SampleSpec
from graphrep.pipeline.context import Run, Silent
from graphrep.pipeline.datasets import last_days, write_sample_logs
from graphrep.pipeline.run import run_stage

ROOT = Path(__file__).resolve().parents[2]
STAGES = ("logs", "edges", "graph")
SPEC = SampleSpec(users=4000, days=2, seed=3)
BEFORE, DAY = last_days(SPEC, 2)
# What an operator may ask for and does not get: files would depend on measured sizes.
REFUSED = "spark.sql.adaptive.coalescePartitions.enabled"


def load_benchmark() -> Any:
    spec = importlib.util.spec_from_file_location("cluster_benchmark", ROOT / "benchmarks" / "cluster.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def benchmark() -> Any:
    return load_benchmark()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cluster")


@pytest.fixture(scope="module")
def on(benchmark: Any, home: Path) -> Iterator[Any]:
    """A master and two workers; at the end none of their processes is left."""
    with benchmark.cluster(home / "cluster") as cluster:
        yield cluster
    assert not cluster.executors()
    assert not any(Path(f"/proc/{worker}").exists() for worker in cluster.workers)


@pytest.fixture(scope="module")
def submitted(spark: Any, benchmark: Any, home: Path, on: Any) -> dict[str, Any]:
    """The day by jobs on the cluster, one executor of each killed, and in this process, from the same day before."""
    logs, here, there = home / "logs", home / "here", home / "there"
    write_sample_logs(logs, SPEC, Silent())
    config = ROOT / "configs" / "local.yaml"
    at = dt.datetime(2026, 3, 31, tzinfo=dt.UTC)
    run = Run(load_config(config, logs=logs, warehouse=here), today=at.date())
    run.spark.conf.set("spark.sql.shuffle.partitions", "2")  # as the operator gives it to the jobs
    for stage in STAGES[:2]:
        run_stage(run, stage, BEFORE, at=at)
    shutil.copytree(here, there)
    for stage in STAGES:
        run_stage(run, stage, DAY, at=at)
    where = ("--config", str(config), "--ds", DAY, "--logs", str(logs), "--warehouse", str(there))
    conf = (*benchmark.FAULTS, "spark.sql.shuffle.partitions=2", f"{REFUSED}=true")
    return {
        stage: benchmark.submit(on, ROOT / "spark_jobs" / f"{stage}_job.py", *where, conf=conf, kill=True)
        for stage in STAGES
    }


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_a_job_ends_well_though_one_of_its_executors_was_killed_at_work(submitted: Any, stage: str) -> None:
    done = submitted[stage]
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.lost_executors
    events = [event["Event"].rpartition("Listener")[2] for event in done.events]
    lost = events.index("ExecutorRemoved")
    assert "JobEnd" in events[lost:]


@pytest.mark.slow
def test_the_killed_executors_had_work_or_shuffle_files_that_were_made_anew(submitted: Any) -> None:
    assert [reason for done in submitted.values() for reason in done.lost_tasks]


@pytest.mark.slow
def test_every_byte_of_the_warehouse_is_what_one_process_writes(submitted: Any, benchmark: Any, home: Path) -> None:
    mine, theirs = benchmark.digests(home / "here"), benchmark.digests(home / "there")
    assert {name for name in mine.keys() | theirs.keys() if mine.get(name) != theirs.get(name)} == set()
    tables = {name.split("/")[0] for name in mine}
    assert tables >= {"events", "quarantine", "edges", "node_days", "ids", "nodes", "adjacency", "runs"}


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_an_operator_sets_what_time_depends_on_and_not_what_bytes_depend_on(submitted: Any, stage: str) -> None:
    started = [event for event in submitted[stage].events if event["Event"].endswith("SparkListenerSQLExecutionStart")]
    changed = started[-1]["modifiedConfigs"]
    assert changed[REFUSED] == "false"
    assert changed["parquet.page.verify-checksum.enabled"] == "true"
    assert changed["spark.sql.adaptive.skewJoin.skewedPartitionFactor"] == "3"
    assert "spark.sql.shuffle.partitions" not in changed  # as it was submitted


@pytest.mark.slow
def test_driver_and_executors_import_graphrep_from_the_zip(benchmark: Any, on: Any) -> None:
    done = benchmark.submit(on, Path(__file__).with_name("from_the_zip.py"))
    driver, *executors = done.stdout.splitlines()[-1].split()
    assert driver == f"{on.home}/graphrep.zip/graphrep/__init__.py"
    assert [Path(file).parts[-3:] for file in executors] == [("graphrep.zip", "graphrep", "__init__.py")]


def test_a_company_s_file_extends_the_cluster_s(tmp_path: Path) -> None:
    settings = yaml.safe_load((ROOT / "configs" / "local.yaml").read_text(encoding="utf-8"))
    own = {**settings, "extends": str(ROOT / "configs" / "cluster.yaml"), "name": "acme"}
    del own["warehouse"], own["logs"]["root"]
    (tmp_path / "acme.yaml").write_text(yaml.safe_dump(own), encoding="utf-8")
    config = load_config(tmp_path / "acme.yaml")
    assert config.spark.shuffle_partitions == 700
    assert config.warehouse.is_absolute()
    assert config.logs.root.is_absolute()
