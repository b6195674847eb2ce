"""Signals → one row per host and day: what changed in its history that day, and what happened on it.

Everything goes through one exchange, by host: each signal says on which days it changes what, and the days are summed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from graphrep import vocab
from graphrep.config import Uplift
from graphrep.panel import history
from graphrep.panel.clock import day_of
from graphrep.panel.signals import (
    AUTHORISED,
    BOOST,
    BY_LOT,
    BY_POLICY,
    DAY,
    ENDS,
    HOST,
    KIND,
    KNOWN,
    LENGTH_MS,
    LOGGED,
    NAME,
    NUDGED,
    REACHED,
    REVOKED,
    ROOM,
    SEEN,
    SERVED,
    STARTS,
    TS,
    VALUE,
    hour_ms,
)

ASKED: Final = "_asked"
"""1: a decision day of the panel."""
AUTHORISED_TS: Final = "_authorised_ts"
REVOKED_TS: Final = "_revoked_ts"
NEWEST: Final = {kind: f"_newest_{number}" for number, kind in enumerate(history.INPUTS)}
"""Input → column of the newest day that it knows."""
LATEST: Final = (history.LAST_LIVE, history.LAST_NUDGE, AUTHORISED_TS, REVOKED_TS, *NEWEST.values())
"""Columns of which a decision day has the largest so far."""

LIVE: Final = "_live"
LIVE_LATER: Final = "_live_later"
LIVE_EARLY: Final = "_live_early"
"""Sessions of the day in all; begun from the hour on until which exposure is counted; begun before it."""
MS: Final = "_ms"
MS_LATER: Final = "_ms_later"
LAST_START: Final = "_last_start"
LAST_END: Final = "_last_end"
"""Of the day as its table has them, as far as they were known when it ended."""
FIRST_ARM: Final = "_first_arm"
LAST_ARM: Final = "_last_arm"
"""First and last of the arms that were given, in the order of their names; the same where one was."""
RECEIVED: Final = "_received"
SERVED_NOW: Final = "_served_now"
BOOSTED: Final = "_boosted"
BOOST_CHANCE: Final = "_boost_chance"

BOOSTED_NAME: Final = "boost"
"""What a draw of a boost names where it was won."""

# Which of a signal's effects a row is.
_FROM_TOMORROW, _ON_ITS_DAY, _AT_MIDNIGHT, _ASKED_DAY, _SESSION = "tomorrow", "day", "midnight", "asked", "session"
_FIRST, _START = "_first", "_start"
_EFFECT, _SLOT, _AMOUNT = "_effect", "_slot", "_amount"


def chance_columns(kind: str, settings: Uplift) -> list[str]:
    """Columns of the chances of the arms, in the order of the settings."""
    source = "lot" if kind == BY_LOT else "policy"
    return [f"_chance_{source}_{arm}" for arm in arms_of(settings)]


def arms_of(settings: Uplift) -> Sequence[str]:
    return list(settings.nudges.arms) if settings.nudges else []


def host_days(told: DataFrame, settings: Uplift, first: int, last: int) -> DataFrame:
    """What changes and what happens on each day of a host.

    Args:
        told: :func:`graphrep.panel.signals.signals`.
        first, last: oldest and newest decision day, since 1970.

    Returns:
        ``HOST``, ``DAY``, and the columns that this module and ``history`` name; days up to ``last``.
    """
    rows = _with_sessions(told.repartition(HOST))
    effects = rows.select("*", F.explode(_effects(first, last)).alias(_EFFECT))
    placed = effects.withColumns(
        {DAY: F.col(f"{_EFFECT}.day"), _SLOT: F.col(f"{_EFFECT}.slot"), _AMOUNT: F.col(f"{_EFFECT}.amount")}
    )
    return placed.where(F.col(DAY) <= last).groupBy(HOST, DAY).agg(*_totals(settings))


def _with_sessions(told: DataFrame) -> DataFrame:
    """Add whether a signal is the first of its unit, and to a session's rows its start.

    An end belongs to the last start of its host and room at or before it. Where there is none, its row was lost, and
    the session began as long before the end as it lasted.
    """
    arm = F.when(F.col(KIND) == NUDGED, F.col(NAME))
    day = F.when(F.col(KIND) != AUTHORISED, F.col(LOGGED))
    unit = Window.partitionBy(HOST, KIND, day, arm).orderBy(KNOWN, TS, ROOM)
    is_end = F.col(KIND) == ENDS
    in_room = Window.partitionBy(HOST, F.col(KIND).isin(STARTS, ENDS), ROOM).orderBy(TS, is_end)
    begun = F.last(F.when(F.col(KIND) == STARTS, F.col(TS)), ignorenulls=True)
    start = F.coalesce(begun.over(in_room.rowsBetween(Window.unboundedPreceding, 0)), F.col(TS) - F.col(LENGTH_MS))
    return told.withColumns(
        {_FIRST: F.row_number().over(unit) == 1, _START: F.when(is_end, start).otherwise(F.col(TS))}
    )


def _effects(first: int, last: int) -> Column:
    """Days on which a signal changes something, as an array: day, what, and by how much where that is a sum."""

    def effect(day: Column, slot: str, amount: Column) -> Column:
        return F.struct(day.cast("int").alias("day"), F.lit(slot).alias("slot"), amount.alias("amount"))

    none, kind = F.lit(0).cast("bigint"), F.col(KIND)
    session = kind.isin(STARTS, ENDS)
    own_day = kind.isin(NUDGED, BY_POLICY, BY_LOT, REACHED, SERVED, BOOST)
    single = [
        F.when(kind.isin(*history.INPUTS), effect(F.col(KNOWN) + 1, _FROM_TOMORROW, none)),
        F.when(own_day, effect(F.col(DAY), _ON_ITS_DAY, none)),
        F.when(session & (F.col(KNOWN) == F.col(LOGGED)), effect(F.col(LOGGED), _AT_MIDNIGHT, none)),
        F.when(session, effect(day_of(F.col(_START)), _SESSION, none)),
        *[F.when(counts, effect(day, name, by)) for counts, day, name, by in history.steps(F.col(_FIRST))],
    ]
    every = F.transform(F.sequence(F.lit(first), F.lit(last)), lambda day: effect(day, _ASKED_DAY, none))
    asked = F.when((kind == AUTHORISED) & F.col(_FIRST), every).otherwise(F.slice(every, 1, 0))
    return F.concat(F.array_compact(F.array(*single)), asked)


def _totals(settings: Uplift) -> list[Column]:
    kind, one = F.col(KIND), F.lit(1)

    def of(slot: str, value: Column, *kinds: str) -> Column:
        return F.when((F.col(_SLOT) == slot) & kind.isin(*kinds), value)

    def newest(kind: str, value: str, slot: str = _FROM_TOMORROW) -> Column:
        return F.max(of(slot, F.col(value), kind))

    hour = F.lit(hour_ms(settings.exposure.until_hour if settings.exposure else 0))
    later = F.pmod(F.col(_START), F.lit(vocab.DAY_MS)) >= hour
    length, session = F.col(LENGTH_MS), (STARTS, ENDS)
    before_hour = F.pmod(F.col(TS), F.lit(vocab.DAY_MS)) < hour
    own = {
        ASKED: F.max(F.when(F.col(_SLOT) == _ASKED_DAY, one)),
        history.LAST_LIVE: newest(STARTS, LOGGED),
        history.LAST_NUDGE: newest(NUDGED, LOGGED),
        history.FIRST_DAY: F.min(of(_FROM_TOMORROW, F.col(LOGGED), AUTHORISED)),
        AUTHORISED_TS: newest(AUTHORISED, TS),
        REVOKED_TS: newest(REVOKED, TS),
        **{column: newest(kind, SEEN) for kind, column in NEWEST.items()},
        LIVE: F.max(of(_SESSION, one, *session)),
        LIVE_LATER: F.max(of(_SESSION, later.cast("int"), *session)),
        LIVE_EARLY: F.max(of(_SESSION, (~later).cast("int"), *session)),
        MS: F.sum(of(_SESSION, length, ENDS)),
        MS_LATER: F.sum(of(_SESSION, F.when(later, length), ENDS)),
        LAST_START: newest(STARTS, TS, _AT_MIDNIGHT),
        LAST_END: newest(ENDS, TS, _AT_MIDNIGHT),
        FIRST_ARM: F.min(of(_ON_ITS_DAY, F.col(NAME), NUDGED)),
        LAST_ARM: newest(NUDGED, NAME, _ON_ITS_DAY),
        RECEIVED: F.max(of(_ON_ITS_DAY, one, REACHED)),
        SERVED_NOW: F.sum(of(_ON_ITS_DAY, F.when(before_hour, one), SERVED)),
        BOOSTED: F.max(of(_ON_ITS_DAY, (F.col(NAME) == BOOSTED_NAME).cast("int"), BOOST)),
        BOOST_CHANCE: newest(BOOST, VALUE, _ON_ITS_DAY),
    }
    for logged in (BY_POLICY, BY_LOT):
        for column, arm in zip(chance_columns(logged, settings), arms_of(settings), strict=True):
            own[column] = F.max(of(_ON_ITS_DAY, F.when(F.col(NAME) == arm, F.col(VALUE)), logged))
    sums = [F.sum(F.when(F.col(_SLOT) == name, F.col(_AMOUNT))).alias(name) for name in history.SUMS]
    return [*sums, *[total.alias(name) for name, total in own.items()]]
