"""Who did in a day what no person does: left out of that day's edges, and kept in a table that can be reviewed."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from graphrep.config import Intensity
from graphrep.contracts import EXCLUSION, Event, Exclusion
from graphrep.contracts.spark import select_contract

HOUR_MS = 3_600_000
_HOURS = "_hours"


def exclusions(events: DataFrame, intensity: Intensity, ds: str) -> DataFrame:
    """The users of one day who are above a limit, over all surfaces: ``exclusion_v1``.

    The reason is the first of ``events``, ``active_hours`` and ``distinct`` that is above its limit. Distinct things
    are the pairs (item_type, item_id) and the hosts, counted exactly, but only for the few who could be above: n events
    name at most 2n things.

    Args:
        events: one day of ``log_event_v1``.
        ds: the day.
    """
    hour = F.pmod(F.floor(F.col(Event.TS) / HOUR_MS), F.lit(24)).cast("int")
    totals = events.groupBy(Event.USER_ID).agg(
        F.count(F.lit(1)).alias(Exclusion.EVENTS),
        # Hours as bits of one number: a count of different ones that is summed before the exchange.
        F.bit_or(F.call_function("shiftleft", F.lit(1), hour)).alias(_HOURS),
    )
    totals = totals.withColumn(Exclusion.ACTIVE_HOURS, F.bit_count(_HOURS).cast("bigint")).drop(_HOURS)
    many, long = F.col(Exclusion.EVENTS), F.col(Exclusion.ACTIVE_HOURS)
    suspects = totals.where(
        (many > intensity.max_events) | (long > intensity.max_active_hours) | (many * 2 > intensity.max_distinct)
    )
    counted = _with_distinct(events, suspects)
    reason = (
        F.when(many > intensity.max_events, "events")
        .when(long > intensity.max_active_hours, "active_hours")
        .when(F.col(Exclusion.DISTINCT) > intensity.max_distinct, "distinct")
    )
    judged = counted.withColumns({Exclusion.DS: F.lit(ds), Exclusion.REASON: reason})
    return select_contract(judged.where(F.col(Exclusion.REASON).isNotNull()), EXCLUSION)


def without(events: DataFrame, excluded: DataFrame) -> DataFrame:
    """The events but those of the users excluded on their day.

    Args:
        events: ``log_event_v1``.
        excluded: ``exclusion_v1``; small, it is sent to every task.
    """
    who = excluded.select(F.col(Exclusion.DS).alias(Event.DS), F.col(Exclusion.KEY).alias(Event.USER_ID))
    return events.join(F.broadcast(who), [Event.DS, Event.USER_ID], "left_anti").select(*events.columns)


def _with_distinct(events: DataFrame, suspects: DataFrame) -> DataFrame:
    """Add to each suspect the exact number of things that his events name."""
    item = F.struct(
        F.lit(True).alias("is_item"), F.col(Event.ITEM_TYPE).alias("kind"), F.col(Event.ITEM_ID).alias("key")
    )
    host = F.struct(
        F.lit(False).alias("is_item"), F.lit(None).cast("string").alias("kind"), F.col(Event.HOST_ID).alias("key")
    )
    who = [F.col(name) for name in suspects.columns]
    named = events.join(F.broadcast(suspects), Event.USER_ID).select(
        *who, F.explode(F.array(item, host)).alias("thing")
    )
    things = named.select(*who, "thing.*").distinct()
    return things.groupBy(*who).agg(F.count("key").alias(Exclusion.DISTINCT))
