"""One day's events → its edges and its nodes. Written once a day; the window is a sum of these.

Weights are whole millionths while they are summed: sums of integers do not depend on the order of the rows,
so two runs give the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from graphrep.config import NodeSource, Relation
from graphrep.contracts import EDGE, NODE_DAY, Edge, Event, NodeDay
from graphrep.contracts.spark import select_contract

MILLIONTHS = 1_000_000


def daily_edges(events: DataFrame, relations: Mapping[str, Relation], nodes: Mapping[str, NodeSource]) -> DataFrame:
    """Sum the events of one day behind each typed pair: ``edge_v1``.

    An event's strength is 1, or its rank within its user (PEARL, arXiv 2605.21752): with ``less`` and ``equal`` the
    events of the same user, surface and action that day with a smaller and an equal value (itself among the equal),
    n of them all, and k the relation's ``prior_support`` of events at the median,
    ``(less + equal/2 + k/2) / (n + k)``: ties share their middle rank, a lone event is worth one half.

    Args:
        events: one day of ``log_event_v1``.
        relations, nodes: as configured.
    """
    columns = {r.strength: _ranked_column(r.strength) for r in relations.values() if r.strength != "unit"}
    for column in columns.values():
        events = _with_ranks(events, column)
    cases = [_edge_case(name, relation, nodes) for name, relation in relations.items()]
    found = events.select(Event.DS, Event.TS, F.explode(F.array_compact(F.array(*cases))).alias("e"))
    found = found.select(Event.DS, Event.TS, "e.*")
    by = [Edge.DS, Edge.RELATION, Edge.SRC_TYPE, Edge.SRC_KEY, Edge.DST_TYPE, Edge.DST_KEY, Edge.SIGN]
    summed = found.groupBy(*by).agg(
        (F.sum("millionths") / F.lit(MILLIONTHS)).alias(Edge.WEIGHT),
        F.count(F.lit(1)).alias(Edge.COUNT),
        F.max(Event.TS).alias(Edge.LAST_TS),
    )
    return select_contract(summed, EDGE)


def daily_nodes(events: DataFrame, nodes: Mapping[str, NodeSource]) -> DataFrame:
    """Every key that the day's events name: ``node_day_v1``."""
    cases = [
        F.when(endpoint(source).isNotNull(), F.struct(F.lit(kind).alias("t"), endpoint(source).alias("k")))
        for kind, source in nodes.items()
    ]
    named = events.select(Event.DS, Event.TS, F.explode(F.array_compact(F.array(*cases))).alias("n"))
    by = [F.col(Event.DS), F.col("n.t").alias(NodeDay.TYPE), F.col("n.k").alias(NodeDay.KEY)]
    counted = named.groupBy(*by).agg(F.count(F.lit(1)).alias(NodeDay.EVENTS), F.max(Event.TS).alias(NodeDay.LAST_TS))
    return select_contract(counted, NODE_DAY)


def endpoint(source: NodeSource) -> Column:
    """The key of a node type in an event, null where the event names none."""
    key = F.col(source.column)
    return key if source.item_type is None else F.when(F.col(Event.ITEM_TYPE) == source.item_type, key)


def _ranked_column(strength: str) -> str:
    return {"duration_percentile": Event.DURATION, "value_percentile": Event.VALUE}[strength]


def _with_ranks(events: DataFrame, column: str) -> DataFrame:
    """Add, per event, how many of the user's same events lie below, at or below, and in all."""
    group = Window.partitionBy(Event.USER_ID, Event.DOMAIN, Event.ACTION, F.col(column).isNull())
    ordered = group.orderBy(column)
    up_to_here = ordered.rangeBetween(Window.unboundedPreceding, Window.currentRow)
    return events.withColumns(
        {
            f"_{column}_less": F.rank().over(ordered) - 1,
            f"_{column}_up_to": F.count(F.lit(1)).over(up_to_here),
            f"_{column}_all": F.count(F.lit(1)).over(group),
        }
    )


def _strength(relation: Relation) -> Column:
    if relation.strength == "unit":
        return F.lit(1.0)
    column = _ranked_column(relation.strength)
    k = relation.prior_support
    middle = (F.col(f"_{column}_less") + F.col(f"_{column}_up_to")) / 2
    rank = (middle + k / 2) / (F.col(f"_{column}_all") + k)
    # An event without the value says nothing about its rank: the middle.
    return F.when(F.col(column).isNull(), F.lit(0.5)).otherwise(rank)


def _edge_case(name: str, relation: Relation, nodes: Mapping[str, NodeSource]) -> Column:
    src, dst = endpoint(nodes[relation.src]), endpoint(nodes[relation.dst])
    acted = (F.col(Event.DOMAIN) == relation.domain) & F.col(Event.ACTION).isin(*relation.actions)
    edge = F.struct(
        F.lit(name).alias(Edge.RELATION),
        F.lit(relation.src).alias(Edge.SRC_TYPE),
        src.alias(Edge.SRC_KEY),
        F.lit(relation.dst).alias(Edge.DST_TYPE),
        dst.alias(Edge.DST_KEY),
        F.lit(relation.sign).alias(Edge.SIGN),
        F.greatest(F.lit(1), F.round(_strength(relation) * MILLIONTHS)).cast("bigint").alias("millionths"),
    )
    return F.when(acted & src.isNotNull() & dst.isNotNull(), edge)
