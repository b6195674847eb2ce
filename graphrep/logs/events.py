"""Which rows are events: the rules in their order, the deterministic winner among repeats."""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from graphrep import vocab
from graphrep.config import Surface
from graphrep.contracts import LOG_EVENT, QUARANTINE, Event, Quarantine
from graphrep.contracts.spark import select_contract
from graphrep.logs import normalise as n

REASON = "_reason"
DUPLICATE = "duplicate"
UNDATED = "undated"


def check_rows(rows: DataFrame, surfaces: Mapping[str, Surface], ds: str, *, cut_by_ts: bool) -> DataFrame:
    """Add ``ds`` and ``_reason``: null for an event, else the first rule that the row breaks.

    ``_row`` becomes JSON where the row is refused and null elsewhere: few rows pay for it.

    Args:
        rows: output of :func:`graphrep.logs.normalise`.
        ds: the data day.
        cut_by_ts: the rows are a pool of many days: those of other days are left out, not refused; those without a
            readable time could be of any day, and are ``undated``.
    """
    start = F.unix_millis(F.lit(f"{ds} 00:00:00").cast("timestamp"))
    inside = (F.col(Event.TS) >= start) & (F.col(Event.TS) < start + vocab.DAY_MS)
    if cut_by_ts:
        rows = rows.where(inside | F.col(Event.TS).isNull())
    undated = [F.when(F.col(Event.TS).isNull(), UNDATED)] if cut_by_ts else []
    reason = F.coalesce(*undated, *[F.when(broken, name) for name, broken in _rules(surfaces, inside)])
    rows = rows.withColumns({Event.DS: F.lit(ds), REASON: reason})
    return rows.withColumn(n.ROW, F.when(F.col(REASON).isNotNull(), F.to_json(n.ROW)))


def _rules(surfaces: Mapping[str, Surface], inside: Column) -> list[tuple[Column, Column]]:
    pairs = [f"{domain}\0{action}" for domain, surface in surfaces.items() for action in surface.actions]
    types = [f"{domain}\0{kind}" for domain, surface in surfaces.items() for kind in surface.item_types]
    domain = F.col(Event.DOMAIN)
    item, kind = F.col(Event.ITEM_ID), F.col(Event.ITEM_TYPE)
    about = F.coalesce(item, F.col(Event.HOST_ID), F.col(Event.ROOM_ID), F.col(Event.QUERY))
    wrong_type = F.col(n.WRONG_TYPE)
    rules: list[tuple[str | Column, Column]] = [
        ("corrupt_row", F.col(n.CORRUPT)),
        ("null_user", F.col(Event.USER_ID).isNull()),
        (F.concat(F.lit("wrong_type_"), wrong_type), wrong_type.isNotNull()),
        ("null_ts", F.col(Event.TS).isNull()),
        ("ts_outside_day", ~inside),
        ("unknown_domain", domain.isNull() | ~domain.isin(*surfaces)),
        ("unknown_action", ~_known(F.concat_ws("\0", domain, F.col(Event.ACTION)), pairs)),
        ("negative_duration", F.col(Event.DURATION) < 0),
        ("negative_value", F.col(Event.VALUE) < 0),
        ("nothing_acted_on", about.isNull()),
        ("item_without_type", item.isNotNull() & kind.isNull()),
        ("unknown_item_type", item.isNotNull() & ~_known(F.concat_ws("\0", domain, kind), types)),
    ]
    return [(F.lit(name) if isinstance(name, str) else name, broken) for name, broken in rules]


def _known(value: Column, names: list[str]) -> Column:
    return value.isin(*names) if names else F.lit(False)


def mark_duplicates(rows: DataFrame) -> DataFrame:
    """Mark all but one of the good rows that share an event id; the earliest wins, whatever the order read.

    Rows of one time are ordered by their values: two that agree in all of them are the same event.
    """
    good = F.col(REASON).isNull()
    values = [name for name in LOG_EVENT.names if name not in (Event.EVENT_ID, Event.TS, Event.DS)]
    same = Window.partitionBy(Event.EVENT_ID, good).orderBy(Event.TS, *values)
    again = good & (F.row_number().over(same) > 1)
    return rows.withColumn(REASON, F.when(again, F.lit(DUPLICATE)).otherwise(F.col(REASON)))


def accepted(rows: DataFrame) -> DataFrame:
    """The events: ``log_event_v1``."""
    return select_contract(rows.where(F.col(REASON).isNull()), LOG_EVENT)


def quarantined(rows: DataFrame) -> DataFrame:
    """The refused rows: ``quarantine_v1``. A repeat of an accepted event is counted, not kept."""
    refused = rows.where(F.col(REASON).isNotNull() & (F.col(REASON) != DUPLICATE))
    named = refused.select(
        F.col(Event.DS).alias(Quarantine.DS),
        F.col(n.TABLE).alias(Quarantine.TABLE),
        F.col(REASON).alias(Quarantine.REASON),
        F.col(n.ROW).alias(Quarantine.ROW),
    )
    return select_contract(named, QUARANTINE)


def count_rows(rows: DataFrame) -> DataFrame:
    """Rows by table and reason (null = accepted), a few lines to be collected.

    ``digest`` is a sum of row hashes, so it tells two contents apart whatever the order of their rows.
    """
    hashed = F.xxhash64(*[F.col(name) for name in LOG_EVENT.names]).cast("decimal(38,0)")
    return rows.groupBy(n.TABLE, REASON).agg(F.count(F.lit(1)).alias("rows"), F.sum(hashed).alias("digest"))
