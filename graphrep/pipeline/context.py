"""What every stage is handed: the settings, the clock, where to report progress, and one Spark session."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from graphrep.config import Config
from graphrep.errors import InputError
from graphrep.store.raw import check_day

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


class Step(Protocol):
    """Moves a stage's bar by one."""

    def __call__(self, label: str = "") -> None: ...


class Progress(Protocol):
    """Shows the stages: a bar each on a terminal, a line each elsewhere."""

    def stage(self, name: str, total: int) -> Any:
        """A context manager that gives a :class:`Step`."""


class Silent:
    """Shows nothing: for libraries and tests."""

    @contextmanager
    def stage(self, name: str, total: int) -> Iterator[Step]:
        yield lambda label="": None


@dataclass
class Run:
    """One call of the pipeline.

    Attributes:
        config: the settings.
        today: the newest day that may be run; time is an argument, never read from a clock below the entry points.
        progress: where stages report.
        raw_days: the days that raw tables have, once they were asked for.
        pool_rows: rows of those tables that are not partitioned.
        contents: day of delivery → what it told of which days, once asked for; stage ``logs`` forgets it.
    """

    config: Config
    today: dt.date
    progress: Progress = field(default_factory=Silent)
    _spark: SparkSession | None = field(default=None, init=False, repr=False)
    raw_days: dict[str, list[str]] = field(default_factory=dict, repr=False)
    pool_rows: dict[str, int] = field(default_factory=dict, repr=False)
    contents: dict[str, dict[str, str]] = field(default_factory=dict, repr=False)

    @property
    def warehouse(self) -> Path:
        return self.config.warehouse

    @property
    def spark(self) -> SparkSession:
        """The Spark session, started when a stage first needs it."""
        if self._spark is None:
            from graphrep.store.spark import session

            with self.progress.stage("start Spark", 1) as step:
                self._spark = session(self.config.spark, f"graphrep {self.config.name}")
                step()
        return self._spark

    def check_ds(self, ds: str) -> dt.date:
        """Parse the day of a run.

        Raises:
            InputError: not a date, or after today.
        """
        day = check_day(ds, where="--ds")
        if day > self.today:
            raise InputError(f"a day up to {self.today}", found=f"{ds}, in the future", where="--ds")
        return day


def fingerprint(*parts: Any) -> str:
    """Sha256 of plain data: equal when nothing that a result depends on has changed."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def add_days(ds: str, days: int) -> str:
    return (dt.date.fromisoformat(ds) + dt.timedelta(days=days)).isoformat()


def day_range(first: str, last: str) -> list[str]:
    """Every day from first to last, both included; none where last is before first."""
    count = (dt.date.fromisoformat(last) - dt.date.fromisoformat(first)).days
    return [add_days(first, i) for i in range(count + 1)]
