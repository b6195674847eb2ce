"""A whole Airflow that lives as long as a block: scheduler, DAG processor and API server, LocalExecutor, loopback only.

Its processes are told apart from all others by their session or by the AIRFLOW_HOME in their environment: a task's
command has a session of its own, and a process that sets its title writes over what it shows of its environment.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
COMPONENTS = ("api-server", "scheduler", "dag-processor")
QUICK = {
    "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__PARALLELISM": "3",
    "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
    "AIRFLOW__API__HOST": "127.0.0.1",
    "AIRFLOW__API_AUTH__JWT_SECRET": "of-the-test-and-long-enough-for-HS512-" * 2,
    "AIRFLOW__SCHEDULER__JOB_HEARTBEAT_SEC": "2",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "20",  # a dead scheduler's tasks are taken over after it
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "5",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",  # a dead worker's task is tried again after it
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "3",
    "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "2",
    "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3600",
    "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
    "PYTHONDONTWRITEBYTECODE": "1",
    # Many short Java lives: a JVM that compiles quickly beats one that compiles well.
    "SPARK_SUBMIT_OPTS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xshare:auto",
}


@dataclass(frozen=True)
class Process:
    """One line of the process table."""

    pid: int
    parent: int
    words: str


@dataclass
class RunningAirflow:
    """A started Airflow; what tests ask of it."""

    home: Path
    environ: dict[str, str]
    port: int
    components: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    sessions: set[int] = field(default_factory=set)

    def start(self, component: str) -> None:
        extra = ["--skip-serve-logs"] if component == "scheduler" else []
        with (self.home / f"{component}.log").open("ab") as log:
            self.components[component] = subprocess.Popen(
                [str(_program()), component, *extra], env=self.environ, stdout=log, stderr=log, start_new_session=True
            )
        self.sessions.add(self.components[component].pid)

    def cli(self, *words: str) -> str:
        """What a command of ``airflow`` prints."""
        done = subprocess.run([str(_program()), *words], env=self.environ, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        return done.stdout

    def ask(self, path: str, method: str = "GET", body: Any = None) -> Any:
        """The answer of the REST API."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/api/v2/{path}",
            json.dumps(body).encode() if body is not None else None,
            {"Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            content = answer.read()
        return json.loads(content) if content else None

    def pause(self, dag: str, paused: bool) -> None:
        self.ask(f"dags/{dag}", "PATCH", {"is_paused": paused})

    def runs(self, dag: str = "~") -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.ask(f"dags/{dag}/dagRuns?limit=100&order_by=id")["dag_runs"]
        return found

    def tasks(self, dag: str = "~") -> list[dict[str, Any]]:
        """Every task of every run: state, try_number and all."""
        found: list[dict[str, Any]] = []
        while page := self.ask(f"dags/{dag}/dagRuns/~/taskInstances?limit=100&offset={len(found)}")["task_instances"]:
            found += page
        return found

    def backfilled(self) -> bool:
        """Has every backfill of graph_daily come to its end?"""
        return all(found["completed_at"] for found in self.ask("backfills?dag_id=graph_daily")["backfills"])

    def tell_again(self, asset: str) -> None:
        """The newest event of an asset, once more."""
        ids = {found["name"]: found["id"] for found in self.ask("assets")["assets"]}
        newest = self.ask(f"assets/events?asset_id={ids[asset]}&order_by=-timestamp&limit=1")["asset_events"][0]
        self.ask("assets/events", "POST", {"asset_id": ids[asset], "extra": newest["extra"]})

    def processes(self) -> list[Process]:
        """All that belong to this Airflow, the commands of its tasks too."""
        mark = f"AIRFLOW_HOME={self.home}".encode()
        found = []
        for place in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):  # it has ended
                state, parent, _, session = (place / "stat").read_text().rpartition(")")[2].split()[:4]
                if state == "Z":
                    continue
                if int(session) in self.sessions or mark in (place / "environ").read_bytes().split(b"\0"):
                    words = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
                    found.append(Process(int(place.name), int(parent), words))
        return found

    def kill_task(self, command: Process) -> None:
        """SIGKILL to the process of a task, to its command and to what that started. The worker sees it end."""
        self._kill_under(self._above(command)[-2])

    def kill_worker(self, command: Process) -> None:
        """The same with LocalExecutor's worker: that the task is dead is known by the beats that do not come."""
        self._kill_under(self._above(command)[-1])

    def kill_worker_alone(self, command: Process) -> None:
        """SIGKILL to the worker and to the task's process; the command lives on, and nobody waits for it."""
        kill({process.pid for process in self._above(command)[-2:]})

    def _above(self, command: Process) -> list[Process]:
        """A command, the shell, the task, the worker."""
        table = {process.pid: process for process in self.processes()}
        above = [command]
        while above[-1].parent in table and above[-1].parent not in self.sessions:
            above.append(table[above[-1].parent])
        return above

    def _kill_under(self, top: Process) -> None:
        table, doomed = self.processes(), {top.pid}
        while more := {process.pid for process in table if process.parent in doomed} - doomed:
            doomed |= more
        kill(doomed)

    def kill_scheduler(self) -> None:
        """SIGKILL to the scheduler alone; its workers live on."""
        process = self.components["scheduler"]
        process.kill()
        process.wait()


def kill(pids: set[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def running_airflow(folder: Path, **variables: str) -> Iterator[RunningAirflow]:
    """A healthy Airflow with this repository's DAGs, paused, and their pools; gone at the end of the block."""
    home = folder / "airflow"
    home.mkdir(parents=True)
    port = free_port()
    ours = ("AIRFLOW", "GRAPHREP_", "PYTHONWARN", "SPARK_SUBMIT_OPTS")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    address = f"http://127.0.0.1:{port}"
    environ = (
        inherited
        | QUICK
        | {
            "AIRFLOW_HOME": str(home),
            # A writer waits for the one before it; pysqlite's five seconds are few beside busy cores.
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}?timeout=60",
            "AIRFLOW__CORE__DAGS_FOLDER": str(REPOSITORY / "dags"),
            "AIRFLOW__API__PORT": str(port),
            "AIRFLOW__API__BASE_URL": address,
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{address}/execution/",
            **variables,
        }
    )
    airflow = RunningAirflow(home, environ, port)
    try:
        airflow.cli("db", "migrate")
        for component in COMPONENTS:
            airflow.start(component)
        _import_pools(airflow)
        wait_for(lambda: _healthy(airflow), 120, "a healthy Airflow")
        yield airflow
    finally:
        _stop(airflow)


def wait_for(truth: Callable[[], Any], seconds: float, what: str, every: float = 0.5) -> Any:
    """What ``truth`` answers as soon as it answers something."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := truth():
            return found
        time.sleep(every)
    raise AssertionError(f"no {what} after {seconds:g} s")


def _healthy(airflow: RunningAirflow) -> bool:
    dead = [name for name, process in airflow.components.items() if process.poll() is not None]
    assert not dead, "".join((airflow.home / f"{name}.log").read_text()[-3000:] for name in dead)
    try:
        health = airflow.ask("monitor/health")
        files = len(list(Path(airflow.environ["AIRFLOW__CORE__DAGS_FOLDER"]).glob("*.py")))
        return health["scheduler"]["status"] == "healthy" and airflow.ask("dags")["total_entries"] == files
    except OSError:  # not yet
        return False


def _import_pools(airflow: RunningAirflow) -> None:
    from graphrep.schedule import pools_json

    pools = airflow.home / "pools.json"
    pools.write_text(pools_json())
    airflow.cli("pools", "import", str(pools))


def _stop(airflow: RunningAirflow) -> None:
    for process in airflow.components.values():
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
    for process in airflow.components.values():
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=15)
    kill({process.pid for process in airflow.processes()})
    for process in airflow.components.values():
        process.wait(timeout=15)


def _program() -> Path:
    return Path(sys.executable).with_name("airflow")


def free_port() -> int:
    """A port of the loopback that nobody listens at."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
    return port
