"""Which deliveries tell of a day. A delivery brings events of its own day and, late, of some days before it."""

from __future__ import annotations

from graphrep import vocab
from graphrep.errors import InputError
from graphrep.pipeline.context import Run, add_days, day_range
from graphrep.pipeline.logs import raw_days
from graphrep.store import runlog

Deliveries = dict[str, str]
"""Day of delivery → hash of what it tells of the day in question."""


def deliveries_of(run: Run, day: str, upto: str) -> Deliveries:
    """The checked deliveries that tell of a day, as a run of the day ``upto`` knows them: none later than that.

    So a run that is repeated after later deliveries came gives what it gave when it was due.
    """
    last = min(add_days(day, run.config.logs.lateness_days), upto)
    found = {}
    for delivered in day_range(day, last):
        if delivered not in run.contents:
            record = runlog.read_stage(run.warehouse, delivered, vocab.LOGS) or {}
            run.contents[delivered] = record["content"] if runlog.FINGERPRINT in record else {}
        if day in run.contents[delivered]:
            found[delivered] = run.contents[delivered][day]
    return found


def raw_days_between(run: Run, first: str, last: str) -> list[str]:
    """The days, both included, on which any raw table has rows."""
    return sorted({day for name in run.config.logs.tables for day in raw_days(run, name) if first <= day <= last})


def check_delivered(run: Run, first: str, upto: str) -> None:
    """Make sure that stage ``logs`` accepted every raw day from the first to the run's own.

    Raises:
        InputError: it did not, for the day that is named.
    """
    for day in raw_days_between(run, first, upto):
        check_logs(run, day)


def check_logs(run: Run, day: str) -> None:
    """Make sure that stage ``logs`` accepted a day.

    Raises:
        InputError: it did not.
    """
    if runlog.FINGERPRINT not in (runlog.read_stage(run.warehouse, day, vocab.LOGS) or {}):
        raise InputError(f"the checked logs of {day}", found="none", fix=f"run graphrep logs --ds {day} first")
