"""Daily edges → the window: Σ weight · 2^(−age / half-life), capped and thinned. Daily nodes → the window's nodes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from graphrep.config import Merge
from graphrep.contracts import EDGE_WEEK, Edge, NodeDay
from graphrep.contracts.spark import select_contract
from graphrep.edges.caps import BILLIONTHS, damped, strongest

PAIR = (Edge.RELATION, Edge.SRC_TYPE, Edge.SRC_KEY, Edge.DST_TYPE, Edge.DST_KEY, Edge.SIGN)
_WHOLE = "_whole"
_REST = "_rest"
# Added before rounding down. Not a whole half: halving leaves many sums on half a billionth exactly, where the last
# bit of a term would decide.
_ALMOST_HALF = 499_900_000


def window_edges(
    daily: DataFrame, merges: Mapping[str, Merge], last_ds: str, weeks: DataFrame | None = None
) -> DataFrame:
    """Merge daily edges into one edge per relation and pair.

    In this order: the decayed sum, at most ``cap``; pairs with fewer than ``min_count`` events go; the weight is
    multiplied by degree(destination)^-``hub_damping``; the ``src_top`` strongest edges of each source stay, then the
    ``dst_top`` strongest of each destination. A pair that has faded to less than half a billionth is left out.

    Args:
        daily: ``edge_v1`` of any days; days after ``last_ds`` or older than a relation's window are left out.
        merges: those that belong in the graph, by relation; edges of others are left out.
        last_ds: newest day inside the window; its edges count in full.
        weeks: ``edge_week_v1``, or None. Of each relation, a calendar week that lies wholly inside its window is read
            from here and its days are not; :func:`graphrep.edges.weeks.plan_weeks` says which weeks those are.

    Returns:
        The columns of ``edge_v1`` but ``ds``; weights in steps of 1e-9. Terms are rounded to 1e-18 and summed as
        integers, so the sum does not depend on the order of the days; with weeks or without them it is the same to
        1e-9, and so to a few last bits of a float64 before that rounding.
    """
    alike: dict[Hashable, dict[str, Merge]] = defaultdict(dict)
    for name, merge in merges.items():
        # Relations that are not thinned must not pay for the exchanges of those that are.
        alike[merge.hub_damping > 0, merge.src_top is None, merge.dst_top is None][name] = merge
    parts = [_thinned(_merged(daily, group, last_ds, weeks), group) for group in alike.values()]
    return reduce(DataFrame.union, parts)


def week_edges(daily: DataFrame, merges: Mapping[str, Merge], week_end: str) -> DataFrame:
    """Sum one calendar week's daily edges, decayed to its last day: ``edge_week_v1``.

    Args:
        daily: ``edge_v1`` of any days; those outside the seven that end with ``week_end`` are left out.
        merges: relations whose window may read the week; edges of others are left out.
        week_end: a Sunday.

    Returns:
        Weights are sums of terms rounded to 1e-18, as a float64: a term of the window that is read from a week differs
        from its days' terms by less than 1e-15 of its size and 1e-17.
    """
    age = _age(daily, week_end)
    inside = F.col(Edge.RELATION).isin(*merges) & age.between(0, 6)
    summed = _sum(_terms(daily.where(inside), merges, age))
    weight = (F.col(_WHOLE) + F.col(_REST) / BILLIONTHS) / BILLIONTHS
    kept = summed.withColumns({Edge.WEIGHT: weight, Edge.DS: F.lit(week_end)}).where(F.col(Edge.WEIGHT) > 0)
    return select_contract(kept, EDGE_WEEK)


def window_nodes(daily: DataFrame) -> DataFrame:
    """Sum daily nodes into one row per type and key, without ``ds``."""
    return daily.groupBy(NodeDay.TYPE, NodeDay.KEY).agg(
        F.sum(NodeDay.EVENTS).alias(NodeDay.EVENTS), F.max(NodeDay.LAST_TS).alias(NodeDay.LAST_TS)
    )


def _merged(daily: DataFrame, merges: Mapping[str, Merge], last_ds: str, weeks: DataFrame | None) -> DataFrame:
    """The decayed, capped sums of pairs with enough events."""
    named = F.col(Edge.RELATION).isin(*merges)
    window = _by_relation(merges, lambda m: m.window_days)
    age = _age(daily, last_ds)
    inside = named & (age >= 0) & (age < window)
    if weeks is None:
        terms = _terms(daily.where(inside), merges, age)
    else:
        # 0 on Sunday to 6 on Monday: days until the week's end.
        to_sunday = F.lit(6) - F.weekday(F.to_date(daily[Edge.DS]))
        whole = (age - to_sunday >= 0) & (age - to_sunday + 6 < window)
        week_age = _age(weeks, last_ds)
        in_weeks = weeks.where(named & (week_age >= 0) & (week_age + 6 < window))
        terms = _terms(daily.where(inside & ~whole), merges, age).union(_terms(in_weeks, merges, week_age))
    billionths = F.col(_WHOLE) + F.floor((F.col(_REST) + _ALMOST_HALF) / BILLIONTHS)
    capped = F.least(billionths / F.lit(BILLIONTHS), _by_relation(merges, lambda m: m.cap))
    pairs = _sum(terms).withColumn(Edge.WEIGHT, capped).drop(_WHOLE, _REST)
    return pairs.where((F.col(Edge.COUNT) >= _by_relation(merges, lambda m: m.min_count)) & (F.col(Edge.WEIGHT) > 0))


def _thinned(edges: DataFrame, merges: Mapping[str, Merge]) -> DataFrame:
    first = next(iter(merges.values()))
    if first.hub_damping > 0:
        edges = damped(edges, _by_relation(merges, lambda m: m.hub_damping))
    if first.src_top is not None:
        edges = strongest(edges, Edge.SRC_KEY, Edge.DST_KEY, _by_relation(merges, lambda m: m.src_top))
    if first.dst_top is not None:
        edges = strongest(edges, Edge.DST_KEY, Edge.SRC_KEY, _by_relation(merges, lambda m: m.dst_top))
    return edges.select(*PAIR, Edge.WEIGHT, Edge.COUNT, Edge.LAST_TS)


def _age(frame: DataFrame, last_ds: str) -> Column:
    return F.datediff(F.lit(last_ds), frame[Edge.DS])


def _terms(frame: DataFrame, merges: Mapping[str, Merge], age: Column) -> DataFrame:
    """Decayed weights as whole billionths and the rest of each in billionths of a billionth."""
    decay = F.pow(F.lit(2.0), -age / _by_relation(merges, lambda m: m.half_life_days))
    billionths = F.col(Edge.WEIGHT) * decay * BILLIONTHS
    whole = F.floor(billionths)
    rest = F.rint((billionths - whole) * BILLIONTHS).cast("bigint")
    return frame.select(*PAIR, Edge.COUNT, Edge.LAST_TS, whole.alias(_WHOLE), rest.alias(_REST))


def _sum(terms: DataFrame) -> DataFrame:
    return terms.groupBy(*PAIR).agg(
        F.sum(_WHOLE).alias(_WHOLE),
        F.sum(_REST).alias(_REST),
        F.sum(Edge.COUNT).alias(Edge.COUNT),
        F.max(Edge.LAST_TS).alias(Edge.LAST_TS),
    )


def _by_relation(merges: Mapping[str, Merge], value: Callable[[Merge], float | int | None]) -> Column:
    """A setting of the row's relation; one that all share is a constant."""
    names: dict[float | int | None, list[str]] = defaultdict(list)
    for name, merge in merges.items():
        names[value(merge)].append(name)
    first, *others = names
    chosen = F.lit(first)
    for other in others:
        chosen = F.when(F.col(Edge.RELATION).isin(*names[other]), F.lit(other)).otherwise(chosen)
    return chosen
