"""What the panel reads of the events: one row for each event and each thing that it tells, of each event once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from typing import Final

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from graphrep import vocab
from graphrep.config import Uplift
from graphrep.contracts import Event
from graphrep.panel.clock import REFUSED, day_number, day_of

DELIVERED: Final = "delivered_ds"
"""Column beside those of ``log_event_v1``: the day on which the event was delivered, YYYY-MM-DD."""

# Kinds of signals, named as the settings name them; refusals name them so.
AUTHORISED: Final = "authorised"
REVOKED: Final = "revoked"
STARTS: Final = "starts"
ENDS: Final = "ends"
NUDGED: Final = "nudges.given"
BY_POLICY: Final = "nudges.policy"
BY_LOT: Final = "nudges.lot"
REACHED: Final = "nudges.delivered"
SERVED: Final = "exposure"
BOOST: Final = "exposure.lot"

HOST: Final = "_host"
KIND: Final = "_kind"
LOGGED: Final = "_logged"
"""Day whose table has the event."""
KNOWN: Final = "_known"
"""Day at whose end it could be known, by that table and its delivery."""
SEEN: Final = "_seen"
"""The same by its own time: where the two differ, one of them slipped."""
DAY: Final = "_day"
TS: Final = "_ts"
NAME: Final = "_name"
ROOM: Final = "_room"
VALUE: Final = "_value"
LENGTH_MS: Final = "_length_ms"


@dataclass(frozen=True, slots=True)
class Selector:
    """Events of one kind: where, what was done, and which column names the host."""

    kind: str
    domain: str
    actions: tuple[str, ...]
    host: str = Event.HOST_ID

    @property
    def fits(self) -> Column:
        return (F.col(Event.DOMAIN) == self.domain) & F.col(Event.ACTION).isin(*self.actions)


def selectors(settings: Uplift) -> list[Selector]:
    """What the settings ask for."""
    return list(_selectors(settings))


def _selectors(settings: Uplift) -> Iterator[Selector]:
    for kind in (AUTHORISED, REVOKED, STARTS, ENDS):
        events = getattr(settings, kind)
        if events is not None:
            yield Selector(kind, events.domain, events.actions)
    if (nudges := settings.nudges) is not None:
        for kind in (NUDGED, BY_POLICY, BY_LOT, REACHED):
            action = getattr(nudges, kind.partition(".")[2])
            if action is not None:
                yield Selector(kind, nudges.domain, (action,))
    if (exposure := settings.exposure) is not None:
        yield Selector(SERVED, exposure.domain, exposure.actions, Event.USER_ID)
        if exposure.lot is not None:
            yield Selector(BOOST, exposure.domain, (exposure.lot,), Event.USER_ID)


def signals(events: DataFrame, settings: Uplift) -> DataFrame:
    """The events that the settings name, of each id and day the one that was delivered first.

    Args:
        events: ``log_event_v1`` and ``DELIVERED``; an event may come in several deliveries.

    Returns:
        ``HOST``, ``KIND``, the days ``LOGGED``, ``KNOWN``, ``SEEN`` and ``DAY`` (of its time), ``TS``, ``NAME``,
        ``ROOM``, ``VALUE``, ``LENGTH_MS``. An event of several kinds has a row for each.
    """
    asked = selectors(settings)
    picked = events.where(reduce(Column.__or__, [s.fits for s in asked]))
    values = [Event.TS, Event.DOMAIN, Event.ACTION, Event.HOST_ID, Event.USER_ID, Event.ITEM_ID, Event.ROOM_ID]
    first = F.min(F.struct(DELIVERED, *values, Event.VALUE, Event.DURATION)).alias("_first")
    once = picked.groupBy(Event.DS, Event.EVENT_ID).agg(first).select(Event.DS, "_first.*")
    kinds = F.array_compact(
        F.array(*[F.when(s.fits, F.struct(F.lit(s.kind).alias("kind"), F.col(s.host).alias("host"))) for s in asked])
    )
    told = once.select("*", F.explode(kinds).alias("_told")).where(F.col("_told.host").isNotNull())
    logged, delivered, day = day_number(F.col(Event.DS)), day_number(F.col(DELIVERED)), day_of(F.col(Event.TS))
    return told.select(
        F.col("_told.host").alias(HOST),
        F.col("_told.kind").alias(KIND),
        logged.alias(LOGGED),
        F.greatest(logged, delivered).alias(KNOWN),
        F.greatest(day, delivered).alias(SEEN),
        day.alias(DAY),
        F.col(Event.TS).alias(TS),
        _name(settings).alias(NAME),
        F.col(Event.ROOM_ID).alias(ROOM),
        F.col(Event.VALUE).alias(VALUE),
        F.round(F.coalesce(F.col(Event.DURATION), F.lit(0.0)) * 1000).cast("bigint").alias(LENGTH_MS),
    )


def _name(settings: Uplift) -> Column:
    """The arm of a nudge or of its chance; one that is not configured refuses the panel."""
    name = F.col(Event.ITEM_ID)
    if settings.nudges is None:
        return name
    arms = sorted(settings.nudges.arms)
    line = F.concat(F.lit(f"{REFUSED}nudges of the arms {', '.join(arms)}, found "), F.coalesce(name, F.lit("null")))
    known = F.coalesce(name.isin(*arms), F.lit(False))
    of_arm = F.col("_told.kind").isin(NUDGED, BY_POLICY, BY_LOT)
    return F.when(of_arm & ~known, F.raise_error(line).cast("string")).otherwise(name)


def hour_ms(hour: int) -> int:
    """Milliseconds from midnight to an hour."""
    return hour * vocab.DAY_MS // 24
