"""Daily edges → the window: Σ weight · 2^(−age / half-life), capped. Daily nodes → the window's nodes."""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from graphrep.config import Merge
from graphrep.contracts import Edge, NodeDay

BILLIONTHS = 1_000_000_000


def window_edges(daily: DataFrame, relations: Mapping[str, Merge], last_ds: str) -> DataFrame:
    """Sum daily edges into one edge per relation and pair.

    Args:
        daily: ``edge_v1`` of any days; days after ``last_ds`` or older than a relation's window are left out.
        relations: those that belong in the graph; edges of others are left out.
        last_ds: newest day inside the window; its edges count in full.

    Returns:
        The columns of ``edge_v1`` but ``ds``. Terms are rounded to whole billionths before they are summed,
        so that the sum does not depend on the order of the days.
    """
    age = F.datediff(F.lit(last_ds), F.col(Edge.DS))
    inside = F.col(Edge.RELATION).isin(*relations) & (age >= 0) & (age < _by_relation(relations, "window_days"))
    decay = F.pow(F.lit(2.0), -age / _by_relation(relations, "half_life_days"))
    term = F.round(F.col(Edge.WEIGHT) * decay * BILLIONTHS).cast("bigint")
    by = [Edge.RELATION, Edge.SRC_TYPE, Edge.SRC_KEY, Edge.DST_TYPE, Edge.DST_KEY, Edge.SIGN]
    summed = (
        daily.where(inside)
        .groupBy(*by)
        .agg(
            (F.sum(term) / F.lit(BILLIONTHS)).alias(Edge.WEIGHT),
            F.sum(Edge.COUNT).alias(Edge.COUNT),
            F.max(Edge.LAST_TS).alias(Edge.LAST_TS),
        )
    )
    capped = F.least(F.col(Edge.WEIGHT), _by_relation(relations, "cap"))
    return summed.withColumn(Edge.WEIGHT, capped).where(F.col(Edge.WEIGHT) > 0)


def window_nodes(daily: DataFrame) -> DataFrame:
    """Sum daily nodes into one row per type and key, without ``ds``."""
    return daily.groupBy(NodeDay.TYPE, NodeDay.KEY).agg(
        F.sum(NodeDay.EVENTS).alias(NodeDay.EVENTS), F.max(NodeDay.LAST_TS).alias(NodeDay.LAST_TS)
    )


def _by_relation(relations: Mapping[str, Merge], field: str) -> Column:
    pairs = [F.lit(value) for name, r in relations.items() for value in (name, float(getattr(r, field)))]
    return F.create_map(*pairs)[F.col(Edge.RELATION)]
