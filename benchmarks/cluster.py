"""The Spark jobs on a standalone cluster of the loopback and in one process: are their bytes equal, and what they cost.

    python benchmarks/cluster.py --users 3000 --days 3
    python benchmarks/cluster.py --users 3000 --days 3 --kill

A master and two workers are started from the pyspark package on ports that the system chooses, graphrep is packed
for ``--py-files``, and each job of the last day is submitted. ``--kill`` ends one executor of each job with SIGKILL
while it runs, with speculation on. Costs are read from Spark's event logs: shuffle, output, CPU seconds.
"""

from __future__ import annotations

import argparse
import datetime as dt
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from graphrep.config import load_config
from graphrep.datasets.sample import SampleSpec
from graphrep.pipeline.context import Run, Silent
from graphrep.pipeline.datasets import last_days, write_sample_logs
from graphrep.pipeline.run import run_stage

REPOSITORY = Path(__file__).resolve().parents[1]
STAGES = ("logs", "edges", "graph")
RAW = ("short_video", "live", "ecommerce", "search")
START_SECONDS = 120
FAULTS = (
    # Copies of slow tasks begin soon, what a dead executor held is given up soon, and a new one is warm soon.
    *("spark.speculation=true", "spark.speculation.interval=100ms", "spark.speculation.quantile=0.5"),
    *("spark.shuffle.io.maxRetries=1", "spark.shuffle.io.retryWait=1s"),
    "spark.executor.extraJavaOptions=-XX:TieredStopAtLevel=1",
)


# ---- the cluster ---------------------------------------------------------------------------------------------------


@dataclass
class Cluster:
    """A running master and its workers; everything that they write lies under ``home``."""

    home: Path
    master: str
    workers: list[int]

    def executors(self) -> list[int]:
        """Process ids of the executors, which the workers started."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
                command = (process / "cmdline").read_bytes()
            except OSError:  # it ended while we looked
                continue
            if parent in self.workers and b"CoarseGrainedExecutorBackend" in command:
                found.append(int(process.name))
        return sorted(found)


@contextmanager
def cluster(home: Path, workers: int = 2) -> Iterator[Cluster]:
    """Start a master and workers of one core and 1 GB; end them, and all that they started, whatever happens."""
    home.mkdir(parents=True, exist_ok=True)
    ports = ("--host", "127.0.0.1", "--port", "0", "--webui-port", "0")
    with ExitStack() as running:
        running.enter_context(_daemon(home, "master", "org.apache.spark.deploy.master.Master", *ports))
        master = _wait_for(home / "master.log", r"Starting Spark master at (spark://\S+)")
        size = ("--cores", "1", "--memory", "1g", "--work-dir", str(home / "work"))
        worker = ("org.apache.spark.deploy.worker.Worker", *ports, *size, master)
        pids = [running.enter_context(_daemon(home, f"worker{i}", *worker)) for i in range(workers)]
        for i in range(workers):
            _wait_for(home / f"worker{i}.log", r"(Successfully registered) with master")
        yield Cluster(home, master, pids)


@contextmanager
def _daemon(home: Path, name: str, *arguments: str) -> Iterator[int]:
    with (home / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            [_spark("spark-class"), *arguments],
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment(home),
            start_new_session=True,
        )
    try:
        yield process.pid
    finally:
        # A worker's executors are of its process group.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def environment(home: Path) -> dict[str, str]:
    """Ours without what would lead Spark or Python elsewhere; this interpreter, the loopback, a quick compiler."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYSPARK", "SPARK", "PYTHON"))}
    return kept | {
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_LOCAL_DIRS": str(home / "scratch"),
        "SPARK_DAEMON_MEMORY": "256m",
        "SPARK_DAEMON_JAVA_OPTS": "-XX:TieredStopAtLevel=1",
        "SPARK_SUBMIT_OPTS": "-XX:TieredStopAtLevel=1",
    }


def _spark(command: str) -> str:
    return str(Path(sys.executable).with_name(command))


def _wait_for(log: Path, pattern: str) -> str:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if found := re.search(pattern, log.read_text(errors="replace")):
            return found[1]
        time.sleep(0.1)
    raise TimeoutError(f"expected {pattern!r} within {START_SECONDS} s, found none [{log}]")


# ---- a job ---------------------------------------------------------------------------------------------------------


@dataclass
class Submitted:
    """What a job left: its exit code and streams, and the events of its application in order."""

    returncode: int
    stdout: str
    stderr: str
    seconds: float
    events: list[dict[str, Any]] = field(repr=False)

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["Event"] == f"SparkListener{kind}"]

    @property
    def lost_executors(self) -> list[str]:
        """Why each executor was lost."""
        return [event["Removed Reason"] for event in self.of("ExecutorRemoved")]

    @property
    def lost_tasks(self) -> list[str]:
        """Reasons of the tasks that had to be run again because of it."""
        reasons = [event["Task End Reason"]["Reason"] for event in self.of("TaskEnd")]
        return [reason for reason in reasons if reason in ("ExecutorLostFailure", "FetchFailed", "Resubmitted")]

    def total(self, *keys: str) -> int:
        """Sum of one number of the tasks' metrics."""
        return sum(_number(event.get("Task Metrics") or {}, keys) for event in self.of("TaskEnd"))

    @property
    def largest_shuffle(self) -> int:
        """Bytes that the stage with the most of them wrote for a shuffle."""
        written: Counter[int] = Counter()
        for event in self.of("TaskEnd"):
            written[event["Stage ID"]] += _number(event.get("Task Metrics") or {}, WRITTEN)
        return max(written.values(), default=0)


def _number(metrics: dict[str, Any], keys: tuple[str, ...]) -> int:
    value: Any = metrics
    for key in keys:
        value = value.get(key, {})
    return int(value or 0)


def package(target: Path) -> Path:
    """Pack graphrep for ``--py-files``."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted((REPOSITORY / "graphrep").rglob("*")):
            if file.is_file() and file.suffix != ".pyc":
                archive.write(file, file.relative_to(REPOSITORY))
    return target


def submit(on: Cluster, job: Path, *arguments: str, conf: tuple[str, ...] = (), kill: bool = False) -> Submitted:
    """Submit a job with graphrep as a zip; ``kill``: end one executor with SIGKILL while the job runs."""
    logs = Path(tempfile.mkdtemp(prefix="events-", dir=on.home))
    settings = (
        *("spark.driver.host=127.0.0.1", "spark.driver.bindAddress=127.0.0.1", "spark.ui.enabled=false"),
        *("spark.eventLog.enabled=true", f"spark.eventLog.dir={logs.as_uri()}"),
        *("spark.eventLog.rolling.enabled=false", "spark.eventLog.compress=false"),
        "spark.scheduler.minRegisteredResourcesRatio=1",
        *conf,
    )
    command = [_spark("spark-submit"), "--master", on.master, "--py-files", str(package(on.home / "graphrep.zip"))]
    command += ["--driver-memory", "1g", "--executor-memory", "1g"]
    command += [part for setting in settings for part in ("--conf", setting)]
    began = time.monotonic()
    with subprocess.Popen(
        [*command, str(job), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(on.home),
        cwd=on.home,
        start_new_session=True,
    ) as process:
        try:
            if kill:
                threading.Thread(target=_kill_one, args=(on, logs, process.poll), daemon=True).start()
            stdout, stderr = process.communicate(timeout=600)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    return Submitted(process.returncode, stdout, stderr, time.monotonic() - began, list(_events(logs)))


def _events(logs: Path) -> Iterator[dict[str, Any]]:
    for file in logs.iterdir():
        for line in file.read_text().splitlines():
            # The last line of a log that is still written may be half of one.
            if line.endswith("}"):
                yield json.loads(line)


def _kill_one(on: Cluster, logs: Path, ended: Callable[[], int | None]) -> None:
    """Once some task has written shuffle files and a job has begun after it, end an executor: tasks and files go."""
    while ended() is None:
        shuffled = False
        for event in _events(logs):
            if event["Event"] == "SparkListenerTaskEnd":
                shuffled = shuffled or _number(event["Task Metrics"], WRITTEN) > 0
            elif shuffled and event["Event"] == "SparkListenerJobStart" and (executors := on.executors()):
                os.kill(executors[0], signal.SIGKILL)
                return
        time.sleep(0.02)


# ---- the comparison ------------------------------------------------------------------------------------------------

WRITTEN = ("Shuffle Write Metrics", "Shuffle Bytes Written")
SPILLED = ("Disk Bytes Spilled",)
OUTPUT = ("Output Metrics", "Bytes Written")
CPU_NS = ("Executor CPU Time",)


def digests(warehouse: Path) -> dict[str, str]:
    """File → sha256, of every file of a warehouse."""
    files = [file for file in sorted(warehouse.rglob("*")) if file.is_file() and file.name != ".lock"]
    return {str(f.relative_to(warehouse)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}


def run_here(config: Path, logs: Path, warehouse: Path, stage: str, ds: str) -> float:
    """Run a stage in this process; its seconds."""
    now = dt.datetime.now(dt.UTC)
    run = Run(load_config(config, logs=logs, warehouse=warehouse), today=now.date())
    began = time.monotonic()
    run_stage(run, stage, ds, at=now)
    return time.monotonic() - began


def main() -> int:
    """Print a line for each stage; 1 if a job failed or a byte differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=3000)
    parser.add_argument("--days", type=int, default=3)
    parser.add_argument("--config", type=Path, default=REPOSITORY / "configs" / "local.yaml")
    parser.add_argument("--kill", action="store_true", help="end one executor of each job, speculation on")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the cluster is ended with us
    with tempfile.TemporaryDirectory(prefix="graphrep-cluster-") as home:
        return compare(
            Path(home), args.config.resolve(), SampleSpec(users=args.users, days=args.days, seed=0), kill=args.kill
        )


def compare(home: Path, config: Path, spec: SampleSpec, *, kill: bool) -> int:
    """Run the last day here and on a cluster, from the same days before it."""
    logs, here, there = home / "logs", home / "here", home / "there"
    rows = write_sample_logs(logs, spec, Silent())
    *before, ds = last_days(spec, spec.days)
    for day in before:
        for stage in STAGES[:2]:
            run_here(config, logs, here, stage, day)
    shutil.copytree(here, there)
    local = {stage: run_here(config, logs, here, stage, ds) for stage in STAGES}
    print(f"{sum(rows.values()):,} rows of {spec.days} days")
    print("| stage | exit | s here | s on the cluster | CPU s | shuffle MB | largest MB | spill MB | written MB"
          " | executors lost | tasks lost |")  # fmt: skip
    print("|---" * 11 + "|")
    failed = False
    with cluster(home / "cluster") as on:
        for stage in STAGES:
            where = ("--config", str(config), "--ds", ds, "--logs", str(logs), "--warehouse", str(there))
            job = REPOSITORY / "spark_jobs" / f"{stage}_job.py"
            done = submit(on, job, *where, conf=FAULTS if kill else (), kill=kill)
            failed = failed or done.returncode != 0
            print(_line(stage, local[stage], done), flush=True)
    mine, theirs = digests(here), digests(there)
    differing = sorted(name for name in mine.keys() | theirs.keys() if mine.get(name) != theirs.get(name))
    _print_sizes(logs, here, ds)
    print(f"{len(mine)} files, {len(differing)} differ", *differing[:20], sep="\n")
    return int(failed or bool(differing))


def _print_sizes(logs: Path, warehouse: Path, ds: str) -> None:
    """Rows and bytes of the day's tables, raw ones first."""
    print("| table | rows | bytes | bytes per row |", "|---" * 4 + "|", sep="\n")
    raw = [path for path in logs.glob(f"*/ds={ds}") if path.parent.name in RAW]
    made = [*warehouse.glob(f"*/ds={ds}"), *(warehouse / "ids").glob("[0-9]*")]
    for path in [*sorted(raw), *sorted(made)]:
        files = [file for file in path.rglob("*") if file.is_file()]
        rows = sum(pq.ParquetFile(file).metadata.num_rows for file in files if file.suffix == ".parquet")
        size = sum(file.stat().st_size for file in files)
        print(f"| {path.parent.name}/{path.name} | {rows:,} | {size:,} | {size / max(rows, 1):.1f} |")


def _line(stage: str, local: float, done: Submitted) -> str:
    sizes = [f"{done.total(*keys) / 1e6:.2f}" for keys in (WRITTEN, SPILLED, OUTPUT)]
    sizes.insert(1, f"{done.largest_shuffle / 1e6:.2f}")
    lost = [str(len(done.lost_executors)), str(len(done.lost_tasks))]
    seconds = [f"{local:.1f}", f"{done.seconds:.1f}", f"{done.total(*CPU_NS) / 1e9:.1f}"]
    return f"| {stage} | {done.returncode} | " + " | ".join([*seconds, *sizes, *lost]) + " |"


if __name__ == "__main__":
    raise SystemExit(main())
