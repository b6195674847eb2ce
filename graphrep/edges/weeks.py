"""Which calendar weeks of a window are read as one table each, and which days singly. Dates only: no Spark."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from graphrep.config import Merge


@dataclass(frozen=True, slots=True)
class WeekPlan:
    """What a window reads.

    Attributes:
        weeks: last day (a Sunday) of each week that some relation reads whole → those of its days that there are.
        days: days that some relation reads singly, in order.
    """

    weeks: dict[str, tuple[str, ...]]
    days: tuple[str, ...]


def plan_weeks(days: Sequence[str], last_ds: str, merges: Mapping[str, Merge]) -> WeekPlan:
    """Choose weeks, Monday to Sunday, that lie wholly inside a relation's window; its other days are read singly.

    Relations have windows of different lengths, so a day can be read both ways, by different relations.

    Args:
        days: days of which there are edges, in any order; a week may lack some of its own.
        last_ds: newest day inside the window.

    >>> from types import SimpleNamespace as Window
    >>> days = [f"2026-03-{day:02d}" for day in range(1, 11)]
    >>> plan = plan_weeks(days, "2026-03-10", {"likes": Window(window_days=9)})
    >>> plan.weeks.keys(), plan.days
    (dict_keys(['2026-03-08']), ('2026-03-09', '2026-03-10'))
    """
    weeks: dict[str, set[str]] = {}
    single: set[str] = set()
    last = dt.date.fromisoformat(last_ds)
    for window_days in {merge.window_days for merge in merges.values()}:
        first = last - dt.timedelta(days=window_days - 1)
        for ds in days:
            day = dt.date.fromisoformat(ds)
            sunday = day + dt.timedelta(days=6 - day.weekday())
            if first <= sunday - dt.timedelta(days=6) and sunday <= last:
                weeks.setdefault(sunday.isoformat(), set()).add(ds)
            elif first <= day <= last:
                single.add(ds)
    return WeekPlan({sunday: tuple(sorted(weeks[sunday])) for sunday in sorted(weeks)}, tuple(sorted(single)))
