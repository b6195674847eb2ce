"""Which rows are events: the rules in their order, the deterministic winner among repeats."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from graphrep import vocab
from graphrep.config import Surface
from graphrep.contracts import LOG_EVENT, QUARANTINE, Event, Quarantine
from graphrep.contracts.spark import select_contract
from graphrep.logs import normalise as n

REASON = "_reason"
UNDATED = "undated"
ERASED = "erased"
RANK = "_rank"


def check_rows(
    rows: DataFrame, surfaces: Mapping[str, Surface], ds: str, *, cut_by_ts: bool, lateness_days: int
) -> DataFrame:
    """Add ``ds``, the day of the row's time, and ``_reason``: null for an event, else the first rule that it breaks.

    Args:
        rows: output of :func:`graphrep.logs.normalise`.
        ds: the day of delivery.
        cut_by_ts: the rows are a pool of many days: those of other days are left out, not refused; those without a
            readable time could be of any day, and are ``undated``.
        lateness_days: rows of a delivery may tell of so many days before it.
    """
    ts, start = F.col(Event.TS), F.unix_millis(F.lit(f"{ds} 00:00:00").cast("timestamp"))
    late = 0 if cut_by_ts else lateness_days
    inside = (ts >= start) & (ts < start + vocab.DAY_MS)
    if cut_by_ts:
        rows = rows.where(inside | ts.isNull())
    undated = [F.when(ts.isNull(), UNDATED)] if cut_by_ts else []
    when = [("too_late", ts < start - late * vocab.DAY_MS), ("after_its_day", ts >= start + vocab.DAY_MS)]
    reason = F.coalesce(*undated, *[F.when(broken, name) for name, broken in _rules(surfaces, when)])
    day = F.coalesce(*[F.when(ts >= start - i * vocab.DAY_MS, _days_before(ds, i)) for i in range(late + 1)])
    rows = rows.withColumn(REASON, reason)
    # Each table has columns of its own; few rows pay for their JSON.
    rows = rows.withColumn(n.ROW, F.when(F.col(REASON).isNotNull(), F.to_json(n.ROW)))
    return rows.withColumn(Event.DS, F.when(F.col(REASON).isNull(), day).otherwise(F.lit(ds)))


def _days_before(ds: str, days: int) -> str:
    return (dt.date.fromisoformat(ds) - dt.timedelta(days=days)).isoformat()


def _rules(surfaces: Mapping[str, Surface], when: list[tuple[str, Column]]) -> list[tuple[Column, Column]]:
    domain = F.col(Event.DOMAIN)
    item, kind = F.col(Event.ITEM_ID), F.col(Event.ITEM_TYPE)
    about = F.coalesce(item, F.col(Event.HOST_ID), F.col(Event.ROOM_ID), F.col(Event.QUERY))
    wrong_type, bad_key = F.col(n.WRONG_TYPE), F.col(n.BAD_KEY)
    rules: list[tuple[str | Column, Column]] = [
        ("corrupt_row", F.col(n.CORRUPT)),
        ("null_user", F.col(Event.USER_ID).isNull()),
        (F.concat(F.lit("wrong_type_"), wrong_type), wrong_type.isNotNull()),
        ("null_ts", F.col(Event.TS).isNull()),
        *when,
        (bad_key, bad_key.isNotNull()),
        ("unknown_domain", domain.isNull() | ~domain.isin(*surfaces)),
        ("unknown_action", ~_known(surfaces, F.col(Event.ACTION), "actions")),
        ("negative_duration", F.col(Event.DURATION) < 0),
        ("negative_value", F.col(Event.VALUE) < 0),
        ("nothing_acted_on", about.isNull()),
        ("item_without_type", item.isNotNull() & kind.isNull()),
        ("unknown_item_type", item.isNotNull() & ~_known(surfaces, kind, "item_types")),
    ]
    return [(F.lit(name) if isinstance(name, str) else name, broken) for name, broken in rules]


def _known(surfaces: Mapping[str, Surface], value: Column, field: str) -> Column:
    """Whether the row's surface has the value. A table of one surface has a constant for it, so one list is left."""
    found = F.lit(False)
    for domain, surface in surfaces.items():
        if names := getattr(surface, field):
            found = found | ((F.col(Event.DOMAIN) == domain) & value.isin(*names))
    return F.coalesce(found, F.lit(False))


def accepted(rows: DataFrame) -> DataFrame:
    """The events, one of those that share an event id and a day: ``log_event_v1``.

    The earliest wins; those of one time are ordered by their values, and two that agree in all of them are the same
    event. So the winner depends on neither files nor partitions.
    """
    # The refused are left out behind the window: before it, every rule would be worked out once more for the filter.
    good = F.col(REASON).isNull()
    return select_contract(_first(rows, good).where(good), LOG_EVENT)


def first_of_each(events: DataFrame) -> DataFrame:
    """One event per id and day; see :func:`accepted`."""
    return _first(events)


def _first(rows: DataFrame, *also: Column) -> DataFrame:
    values = [name for name in LOG_EVENT.names if name not in (Event.EVENT_ID, Event.TS, Event.DS)]
    # Sorting by a number decides nearly every comparison without reading the strings.
    number = F.xxhash64(Event.EVENT_ID, Event.DS)
    same = Window.partitionBy(number, Event.EVENT_ID, Event.DS, *also).orderBy(Event.TS, *values)
    return rows.withColumn(RANK, F.row_number().over(same)).where(F.col(RANK) == 1).drop(RANK)


def quarantined(rows: DataFrame) -> DataFrame:
    """The refused rows, each whole and with its reason: ``quarantine_v1``. What was erased is not kept anywhere."""
    refused = rows.where(F.col(REASON).isNotNull() & (F.col(REASON) != ERASED))
    named = refused.select(
        F.col(Event.DS).alias(Quarantine.DS),
        F.col(n.TABLE).alias(Quarantine.TABLE),
        F.col(REASON).alias(Quarantine.REASON),
        F.col(n.ROW).alias(Quarantine.ROW),
    )
    return select_contract(named, QUARANTINE)


def count_rows(rows: DataFrame) -> DataFrame:
    """Rows by table, day and reason (null = an event or a repeat of one), a few lines to be collected.

    ``digest`` is a sum of row hashes, so it tells two contents apart whatever the order of their rows.
    """
    hashed = F.xxhash64(*[F.col(name) for name in LOG_EVENT.names]).cast("decimal(38,0)")
    known = F.when(F.col(REASON).isNull(), hashed)
    return rows.groupBy(n.TABLE, Event.DS, REASON).agg(F.count(F.lit(1)).alias("rows"), F.sum(known).alias("digest"))


def count_events(events: DataFrame) -> DataFrame:
    """Events by the table that they came from: its name leads their ids."""
    table = F.substring_index(F.col(Event.EVENT_ID), ":", 1).alias(n.TABLE)
    return events.groupBy(table).agg(F.count(F.lit(1)).alias("rows"))
