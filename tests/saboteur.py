"""Disturbs a running Airflow: kills what it is told to, when it has come as far as it is told, once each."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graphrep import vocab
from graphrep.lookup import open_release
from graphrep.store import history, releases, runlog
from running_airflow import Process, RunningAirflow, kill


@dataclass
class Fault:
    """What is done to a running command, once.

    Attributes:
        command: words that are in its command line.
        strike: what is done.
        ready: has it come as far as it is to come? None: it runs.
        struck: it was done.
        served: the release that a reader finds right after it; None: nothing was published yet.
    """

    name: str
    command: tuple[str, ...]
    strike: Callable[[Process], None]
    ready: Callable[[Process], Any] | None = None
    struck: bool = False
    served: str | None = None

    def hits(self, process: Process) -> bool:
        """Is this the process, come as far as it is to come?"""
        named = all(word in process.words for word in self.command) and not process.words.startswith("bash ")
        return named and (self.ready is None or bool(self.ready(process)))


class Lock:
    """A lock of the warehouse: who needs it waits there, to be killed."""

    def __init__(self) -> None:
        self.descriptor: int | None = None

    def hold(self, path: Path) -> None:
        if self.descriptor is None:
            self.descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
            fcntl.flock(self.descriptor, fcntl.LOCK_EX)

    def release(self) -> None:
        if self.descriptor is not None:
            os.close(self.descriptor)


class Saboteur:
    """The faults of a week: ``days`` are published, the logs of ``held`` are not good."""

    def __init__(self, airflow: RunningAirflow, warehouse: Path, days: list[str], held: str) -> None:
        self.airflow, self.warehouse, self.days = airflow, warehouse, days
        self.before_switch, self.before_history = Lock(), Lock()
        self.left: set[Path] = set()
        self.faults = {
            fault.name: fault
            for fault in (
                Fault("worker in Spark", ("java", "logs_job.py", held), airflow.kill_worker, self._writes),
                Fault("Spark alone", ("java", "graph_job.py"), lambda java: kill({java.pid}), self._writes),
                Fault("task in training", ("graphrep embed", days[0]), airflow.kill_task, _has_torch),
                Fault("task before the switch", ("graphrep publish", days[1]), self._at_switch, self._is_staged),
                Fault("task before the history", ("bin/graphrep ",), self._at_history, self._is_switched),
                Fault("scheduler", ("graphrep evaluate", days[3]), self._scheduler),
                Fault("worker, not its command", ("graphrep embed", days[4]), airflow.kill_worker_alone),
            )
        }

    def until(self, goal: Callable[[], Any], what: str, patience_s: float) -> None:
        """Watch and strike until ``goal`` is reached."""
        end, look = time.monotonic() + patience_s, 0.0
        while time.monotonic() < end:
            self._watch()
            if time.monotonic() > look:
                if goal():
                    return
                look = time.monotonic() + 1
            time.sleep(0.1)
        still = [fault.name for fault in self.faults.values() if not fault.struck]
        raise AssertionError(f"no {what} after {patience_s:g} s; {still=}; {self.airflow.tasks()}")

    def current(self) -> str | None:
        pointer = releases.read_pointer(self.warehouse)
        return pointer.release_id if pointer else None

    def _watch(self) -> None:
        waiting = [fault for fault in self.faults.values() if not fault.struck]
        if not waiting:
            return
        self._hold_locks()
        for process in self.airflow.processes():
            for fault in waiting:
                if fault.hits(process):
                    fault.struck = True
                    fault.strike(process)
                    self.left |= set(self.warehouse.glob("**/.staging/*"))
                    fault.served = open_release(self.warehouse).release_id if self.current() else None
                    return

    def _hold_locks(self) -> None:
        made = [runlog.read_run(self.warehouse, ds)["stages"] for ds in self.days]
        if vocab.PUBLISH in made[0] and not self.faults["task before the switch"].struck:
            self.before_switch.hold(self.warehouse / ".CURRENT.lock")
        if vocab.EMBED in made[2] and not self.faults["task before the history"].struck:
            self.before_history.hold(history.history_lock(self.warehouse))

    def _writes(self, process: Process) -> bool:
        """Is anything half written but for what the killed ones left?"""
        return not self.left.issuperset(self.warehouse.glob("**/.staging/*"))

    def _is_staged(self, process: Process) -> bool:
        return f"{self.days[1]}.1" in releases.list_releases(self.warehouse)

    def _is_switched(self, process: Process) -> bool:
        return self.current() == f"{self.days[2]}.1"

    def _at_switch(self, process: Process) -> None:
        self.airflow.kill_task(process)
        self.before_switch.release()

    def _at_history(self, process: Process) -> None:
        self.airflow.kill_task(process)
        self.before_history.release()

    def _scheduler(self, process: Process) -> None:
        self.airflow.kill_scheduler()
        self.airflow.start("scheduler")


def _has_torch(process: Process) -> bool:
    return "libtorch" in Path(f"/proc/{process.pid}/maps").read_text()
