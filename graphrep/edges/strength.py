"""What one event counts in an edge: one, or its rank within its user, times what was paid."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from graphrep.config import Relation
from graphrep.contracts import Event

MILLIONTHS = 1_000_000
LARGEST = 1e6
"""Strengths that one event can count at most, so that no sum of a day leaves its integers."""

_LESS = "_less"
_UP_TO = "_up_to"
_ALL = "_all"


def ranked_column(relation: Relation) -> str | None:
    """The event column that the relation ranks by; None: it counts events."""
    return {"unit": None, "duration_percentile": Event.DURATION, "value_percentile": Event.VALUE}[relation.strength]


def with_ranks(events: DataFrame, column: str) -> DataFrame:
    """Add, per event, how many of the user's same events lie below, at or below, and in all.

    Same events: of the user, surface, action and day, with a value in the column.
    """
    # Sorting by a number decides nearly every comparison without reading the strings.
    number = F.xxhash64(Event.USER_ID, Event.DOMAIN, Event.ACTION)
    same = [number, *map(F.col, (Event.USER_ID, Event.DOMAIN, Event.ACTION, Event.DS)), F.col(column).isNull()]
    ordered = Window.partitionBy(*same).orderBy(column)
    whole = ordered.rowsBetween(Window.unboundedPreceding, Window.unboundedFollowing)
    up_to_here = ordered.rangeBetween(Window.unboundedPreceding, Window.currentRow)
    return events.withColumns(
        {
            _LESS: F.rank().over(ordered) - 1,
            _UP_TO: F.count(F.lit(1)).over(up_to_here),
            _ALL: F.count(F.lit(1)).over(whole),
        }
    )


def millionths(relation: Relation) -> Column:
    """What an event counts, in whole millionths of a strength, at least one.

    A unit event has strength 1. A ranked one has its rank within its user (PEARL, arXiv 2605.21752): with ``less`` and
    ``equal`` the events of the same user, surface, action and day with a smaller and an equal value (itself among the
    equal), n of them all, and k the relation's ``prior_support`` of events at the median,
    ``(less + equal/2 + k/2) / (n + k)``: ties share their middle rank, a lone event is worth one half. So is every
    event of fewer than ``min_support`` ranked ones, and an event without the value.

    ``value_weight`` multiplies the strength by log2(1 + value) or by value, or by 1 where there is no value; the
    product is at most ``LARGEST``.
    """
    column = ranked_column(relation)
    if column is None and relation.value_weight == "none":
        return F.lit(MILLIONTHS).cast("bigint")
    strength = F.lit(1.0) if column is None else _rank(relation, column)
    if relation.value_weight != "none":
        value = F.col(Event.VALUE)
        factor = value if relation.value_weight == "linear" else F.log2(1 + value)
        strength = F.least(strength * F.coalesce(factor, F.lit(1.0)), F.lit(LARGEST))
    return F.greatest(F.lit(1), F.rint(strength * MILLIONTHS).cast("bigint"))


def _rank(relation: Relation, column: str) -> Column:
    k = relation.prior_support
    middle = (F.col(_LESS) + F.col(_UP_TO)) / 2
    rank = (middle + k / 2) / (F.col(_ALL) + k)
    # Neither a missing value nor a few events say anything about a rank: the middle.
    says = F.col(column).isNotNull() & (F.col(_ALL) >= relation.min_support)
    return F.when(says, rank).otherwise(F.lit(0.5))
