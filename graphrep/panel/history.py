"""What was known of a host before each day: sums over the days before, and how long ago something was.

An event of day e that is known at the end of day k counts for the decision days k + 1 … e + window. So it is added on
the first of these and taken off after the last, and a running sum over a host's days gives every window at once, late
deliveries included. The amounts are whole numbers: the sums do not depend on the order.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pyspark.sql import Column
from pyspark.sql import functions as F

from graphrep.contracts import Panel
from graphrep.contracts.uplift import LOOKBACK
from graphrep.panel.signals import (
    AUTHORISED,
    DAY,
    ENDS,
    KIND,
    KNOWN,
    LENGTH_MS,
    LOGGED,
    NUDGED,
    REVOKED,
    SERVED,
    STARTS,
)

WINDOWS: Final[dict[str, tuple[str, int]]] = {
    Panel.LIVE_DAYS_1: (STARTS, 1),
    Panel.LIVE_DAYS_3: (STARTS, 3),
    Panel.LIVE_DAYS_7: (STARTS, 7),
    Panel.LIVE_DAYS_14: (STARTS, 14),
    Panel.LIVE_DAYS_28: (STARTS, 28),
    Panel.MINUTES_7: (ENDS, 7),
    Panel.MINUTES_28: (ENDS, 28),
    Panel.NUDGES_1: (NUDGED, 1),
    Panel.NUDGES_7: (NUDGED, 7),
    Panel.NUDGES_14: (NUDGED, 14),
    Panel.SERVED_1: (SERVED, 1),
    Panel.SERVED_7: (SERVED, 7),
    Panel.SERVED_28: (SERVED, 28),
}
"""Covariate → what is counted, over how many days before."""
SUMS: Final = (*WINDOWS, Panel.LIVE_SAME_WEEKDAY_28)

INPUTS: Final = (AUTHORISED, REVOKED, STARTS, ENDS, NUDGED, SERVED)
"""What covariates and eligibility are made of."""

LAST_LIVE: Final = "_last_live"
LAST_NUDGE: Final = "_last_nudge"
FIRST_DAY: Final = "_first_day"


def steps(first: Column) -> Iterator[tuple[Column, Column, str, Column]]:
    """What a signal adds to the sums from a day on: whether it does, from which day, to which sum, how much.

    Args:
        first: whether the signal is the first of its host, kind, day and arm: a live day counts once, however many
            sessions it has, and a nudge once a day, however often it was logged.
    """
    known, logged, one = F.col(KNOWN), F.col(LOGGED), F.lit(1).cast("bigint")
    for name, (kind, days) in WINDOWS.items():
        counts = (F.col(KIND) == kind) & (known < logged + days)
        counts = counts & first if kind in (STARTS, NUDGED) else counts
        amount = F.col(LENGTH_MS) if kind == ENDS else one
        yield counts, known + 1, name, amount
        yield counts, logged + days + 1, name, -amount
    for week in range(1, LOOKBACK // 7 + 1):
        counts = (F.col(KIND) == STARTS) & first & (known < logged + 7 * week)
        yield counts, logged + 7 * week, Panel.LIVE_SAME_WEEKDAY_28, one
        yield counts, logged + 7 * week + 1, Panel.LIVE_SAME_WEEKDAY_28, -one


def covariates() -> dict[str, Column]:
    """The covariates of a decision day, from the running sums and the newest days of its host."""
    day = F.col(DAY)

    def since(last: str) -> Column:
        """Days since, at most one more than the windows look back."""
        return F.least(F.coalesce(day - F.col(last), F.lit(LOOKBACK + 1)), F.lit(LOOKBACK + 1))

    minutes = {name for name, (kind, _) in WINDOWS.items() if kind == ENDS}
    return {
        **{name: F.col(name) / F.lit(60_000) if name in minutes else F.col(name) for name in SUMS},
        Panel.DAYS_SINCE_LIVE: since(LAST_LIVE),
        Panel.DAYS_SINCE_NUDGE: since(LAST_NUDGE),
        # 1970-01-01 was a Thursday, the fourth.
        Panel.WEEKDAY: F.pmod(day + 3, F.lit(7)) + 1,
        Panel.TENURE_DAYS: day - F.col(FIRST_DAY),
    }
