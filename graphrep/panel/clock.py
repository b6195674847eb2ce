"""Days as numbers, which days a panel has, and the refusal of what was known too late.

A decision is made at the first moment of its day. What it may know has happened before, by its own time, and was
delivered before; a label is known once the longest delay of a delivery is over.
"""

from __future__ import annotations

import datetime as dt
from typing import Final

from pyspark.sql import Column
from pyspark.sql import functions as F

from graphrep import vocab
from graphrep.config import Uplift

REFUSED: Final = "panel refused: "
"""Begins what an executor says of a row that must not be; the driver makes an error of it."""

_EPOCH = "1970-01-01"


def day_number(ds: Column) -> Column:
    """Days since 1970 of YYYY-MM-DD."""
    return F.datediff(ds.cast("date"), F.lit(_EPOCH).cast("date"))


def day_of(ts: Column) -> Column:
    """Days since 1970 of milliseconds since 1970, UTC."""
    return F.floor(ts / F.lit(vocab.DAY_MS)).cast("int")


def ds_of(day: Column) -> Column:
    """YYYY-MM-DD of days since 1970."""
    return F.date_format(F.date_add(F.lit(_EPOCH).cast("date"), day), "yyyy-MM-dd")


def number_of(ds: str) -> int:
    """Days since 1970 of YYYY-MM-DD.

    >>> number_of("1970-01-02")
    1
    """
    return (dt.date.fromisoformat(ds) - dt.date.fromisoformat(_EPOCH)).days


def first_decision(settings: Uplift, ds: str, lateness_days: int) -> str:
    """The oldest decision day of a panel: so many days back that ``days`` of them have every label.

    Args:
        ds: data day, the newest day of events.
        lateness_days: days by which a delivery may be late.
    """
    back = settings.days - 1 + max(settings.horizons) - 1 + lateness_days
    return (dt.date.fromisoformat(ds) - dt.timedelta(days=back)).isoformat()


def is_mature(day: Column, horizon: int, last: int, lateness_days: int) -> Column:
    """Whether all that tells of the days from a decision to its horizon has been delivered by the data day ``last``."""
    return day + F.lit(horizon - 1 + lateness_days) <= F.lit(last)


def known_before(day: Column, newest: Column, what: str) -> Column:
    """The newest day that an input knows, which has to lie before the decision day: else the whole panel is refused."""
    line = F.concat(
        F.lit(f"{REFUSED}{what} known before the decision day, found "), ds_of(newest), F.lit(" for "), ds_of(day)
    )
    return F.when(newest >= day, F.raise_error(line).cast("int")).otherwise(newest)
