"""One day's events → its edges and its nodes. Written once a day; the window is a sum of these.

Weights are whole millionths while they are summed: sums of integers do not depend on the order of the rows,
so two runs give the same bytes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from graphrep.config import NodeSource, Relation
from graphrep.contracts import EDGE, NODE_DAY, Edge, Event, NodeDay
from graphrep.contracts.spark import select_contract
from graphrep.edges.sessions import is_confirmed, with_next
from graphrep.edges.strength import MILLIONTHS, millionths, ranked_column, with_ranks

_RELATION = "_relation"
_MILLIONTHS = "_millionths"


def daily_edges(
    events: DataFrame, relations: Mapping[str, Relation], nodes: Mapping[str, NodeSource], *, gap_minutes: float
) -> DataFrame:
    """Sum the events of one day behind each typed pair: ``edge_v1``.

    What an event counts is said in :func:`graphrep.edges.strength.millionths`, when a relation with ``confirmed_by``
    counts it in :mod:`graphrep.edges.sessions`. A pair's sum is at most the relation's ``daily_cap``.

    Args:
        events: ``log_event_v1``; rows of several days stay apart, as if each had been given alone.
        relations, nodes: as configured.
        gap_minutes: a pause longer than this ends a user's session on a surface.
    """
    alike: dict[Hashable, dict[str, Relation]] = defaultdict(dict)
    for name, relation in relations.items():
        # Relations that need the same of an event go over the events together, and over no other relation's events.
        alike[ranked_column(relation), bool(relation.confirmed_by)][name] = relation
    parts = [_edges_of(events, group, nodes, gap_minutes) for group in alike.values()]
    return reduce(DataFrame.union, parts)


def daily_nodes(events: DataFrame, nodes: Mapping[str, NodeSource]) -> DataFrame:
    """Every key that the day's events name: ``node_day_v1``."""
    parts = []
    for kind, source in nodes.items():
        # One narrow pass for each type: cheaper than a row for each key of each event.
        named = events.select(Event.DS, Event.TS, endpoint(source).alias(NodeDay.KEY))
        counted = named.where(F.col(NodeDay.KEY).isNotNull()).groupBy(Event.DS, NodeDay.KEY)
        totals = counted.agg(F.count(F.lit(1)).alias(NodeDay.EVENTS), F.max(Event.TS).alias(NodeDay.LAST_TS))
        parts.append(select_contract(totals.withColumn(NodeDay.TYPE, F.lit(kind)), NODE_DAY))
    return reduce(DataFrame.union, parts)


def endpoint(source: NodeSource) -> Column:
    """The key of a node type in an event, null where the event names none."""
    key = F.col(source.column)
    return key if source.item_type is None else F.when(F.col(Event.ITEM_TYPE) == source.item_type, key)


def _edges_of(
    events: DataFrame, relations: Mapping[str, Relation], nodes: Mapping[str, NodeSource], gap_minutes: float
) -> DataFrame:
    """The edges of relations that rank by the same column, or do not rank, and are all confirmed or none is."""
    ordered = list(relations.values())
    column, confirmed = ranked_column(ordered[0]), bool(ordered[0].confirmed_by)
    acted = sorted({(r.domain, action) for r in ordered for action in r.actions})
    proofs = sorted({(r.domain, r.confirmed_by) for r in ordered})
    if confirmed:
        # Whatever the user does on the surface keeps his session going.
        events = events.where(F.col(Event.DOMAIN).isin(*{r.domain for r in ordered}))
    else:
        events = events.where(reduce(Column.__or__, [_did(*pair) for pair in acted]))
    if column or confirmed:
        # One exchange, by user, serves the windows and then the sums of every relation that starts at the user.
        events = events.select(*_needed(ordered, nodes)).repartition(Event.USER_ID)
    if confirmed:
        events = with_next(events, proofs, gap_minutes)
    if column:
        events = with_ranks(events, column)
    found = events.select("*", F.explode(_numbers(ordered)).alias(_RELATION))
    if confirmed:
        places = [proofs.index((r.domain, r.confirmed_by)) for r in ordered]
        found = found.where(_choose([is_confirmed(place) for place in places], places))
    return _summed(found, relations, nodes)


def _summed(found: DataFrame, relations: Mapping[str, Relation], nodes: Mapping[str, NodeSource]) -> DataFrame:
    """One row per event and relation → one row per pair."""
    ordered = list(relations.values())
    src = _choose([endpoint(nodes[r.src]) for r in ordered], [r.src for r in ordered])
    dst = _choose([endpoint(nodes[r.dst]) for r in ordered], [r.dst for r in ordered])
    worth = _choose(
        [millionths(r) for r in ordered],
        [(r.strength, r.prior_support, r.min_support, r.value_weight) for r in ordered],
    )
    terms = found.select(
        Event.DS, Event.TS, _RELATION, src.alias(Edge.SRC_KEY), dst.alias(Edge.DST_KEY), worth.alias(_MILLIONTHS)
    ).where(F.col(Edge.SRC_KEY).isNotNull() & F.col(Edge.DST_KEY).isNotNull())
    # The number of a relation is a narrower key than its name, its types and its sign.
    pairs = terms.groupBy(Event.DS, _RELATION, Edge.SRC_KEY, Edge.DST_KEY).agg(
        F.sum(_MILLIONTHS).alias(_MILLIONTHS),
        F.count(F.lit(1)).alias(Edge.COUNT),
        F.max(Event.TS).alias(Edge.LAST_TS),
    )
    caps = _choose([F.lit(round(r.daily_cap * MILLIONTHS)) for r in ordered], [r.daily_cap for r in ordered])
    named = {
        Edge.RELATION: _choose([F.lit(name) for name in relations], list(relations)),
        Edge.SRC_TYPE: _choose([F.lit(r.src) for r in ordered], [r.src for r in ordered]),
        Edge.DST_TYPE: _choose([F.lit(r.dst) for r in ordered], [r.dst for r in ordered]),
        Edge.SIGN: _choose([F.lit(r.sign) for r in ordered], [r.sign for r in ordered]),
        Edge.WEIGHT: F.least(F.col(_MILLIONTHS), caps) / F.lit(MILLIONTHS),
    }
    return select_contract(pairs.withColumns(named), EDGE)


def _numbers(relations: list[Relation]) -> Column:
    """The numbers of the relations that count the event, null where none does."""
    counted: dict[tuple[str, str], list[Column]] = defaultdict(list)
    for number, relation in enumerate(relations):
        for action in sorted(set(relation.actions)):
            counted[relation.domain, action].append(F.lit(number))
    first, *others = [(_did(*pair), F.array(*numbers)) for pair, numbers in counted.items()]
    chosen = F.when(*first)
    for other in others:
        chosen = chosen.when(*other)
    return chosen


def _did(domain: str, action: str) -> Column:
    return (F.col(Event.DOMAIN) == domain) & (F.col(Event.ACTION) == action)


def _needed(relations: list[Relation], nodes: Mapping[str, NodeSource]) -> list[str]:
    """Columns of an event that an edge may depend on: what is not named here is not moved."""
    always = [Event.DS, Event.TS, Event.USER_ID, Event.DOMAIN, Event.ACTION]
    ends = [nodes[end] for r in relations for end in (r.src, r.dst)]
    wanted: set[str] = {source.column for source in ends}
    wanted |= {Event.ITEM_TYPE for source in ends if source.item_type is not None}
    wanted |= {column for r in relations if (column := ranked_column(r))}
    wanted |= {Event.VALUE for r in relations if r.value_weight != "none"}
    return always + sorted(wanted - set(always))


def _choose(values: Sequence[Column], alike: Sequence[Hashable]) -> Column:
    """The value of the row's relation, by its number; relations that are ``alike`` have the same value."""
    places: dict[Hashable, list[int]] = defaultdict(list)
    for place, key in enumerate(alike):
        places[key].append(place)
    first, *others = places.values()
    chosen = values[first[0]]
    for group in others:
        chosen = F.when(F.col(_RELATION).isin(*group), values[group[0]]).otherwise(chosen)
    return chosen
