"""Which days a run reads. One cut-off rules them: the graph ends where the label day begins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from graphrep.errors import InputError
from graphrep.pipeline.context import add_days, day_range


@dataclass(frozen=True, slots=True)
class DayWindow:
    """Days of a run.

    Attributes:
        days: the graph's days on which any table has rows, oldest first.
        label_day: the day after the last of them.
    """

    days: tuple[str, ...]
    label_day: str

    @property
    def first(self) -> str:
        return self.days[0]

    @property
    def last(self) -> str:
        """The newest day that the graph may reach."""
        return add_days(self.label_day, -1)


def plan_window(
    ds: str, *, window_days: int, holdout_days: int, tables: Mapping[str, tuple[Sequence[str], bool]]
) -> DayWindow:
    """Choose the days of a run.

    Args:
        ds: data day of the run.
        window_days: how far the graph reaches back.
        holdout_days: 1: the graph ends the day before ds and ds is its label day; 0: it ends with ds.
        tables: table → (its days in order, whether each day of it is required). A table's history begins with its
            first day; from then on a required day that is not there is an error, never a silent hole.

    Raises:
        InputError: no day before the cut-off, or a missing day.
    """
    last = add_days(ds, -holdout_days)
    starts = [days[0] for days, _ in tables.values() if days]
    if not starts or min(starts) > last:
        found = f"logs that begin {min(starts)}" if starts else "no day at all"
        raise InputError(f"logs of {last} or before", found=found, where=f"--ds {ds}")
    first = max(add_days(last, 1 - window_days), min(starts))
    days = day_range(first, last)
    for name, (present, required) in tables.items():
        have = set(present)
        missing = [d for d in [*days, ds] if required and (not present or d >= present[0]) and d not in have]
        if missing:
            raise InputError(
                f"rows of {name!r} for the day {missing[0]}",
                found=f"days {present[0]} to {present[-1]}, {len(present)} of them" if present else "no day",
                where=f"--ds {ds}",
                fix="deliver the day, or mark the table required: false",
            )
    # Days without a row of any table are left out: what could not be missing was asked for above.
    some = {day for present, _ in tables.values() for day in present}
    filled = tuple(day for day in days if day in some)
    if not filled:
        raise InputError(f"rows from {first} to {last}", found="no day with any", where=f"--ds {ds}")
    return DayWindow(filled, add_days(last, 1))
