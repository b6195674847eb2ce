"""One day's transitions: what users met on it, after what they had met up to then. Made by user, a day at a time.

The weights are those of :mod:`graphrep.graph.transitions`, with times in milliseconds. Spark's Python workers import
this module; they need numpy and pyarrow for it, and no more of the configuration than plain numbers.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from graphrep import vocab
from graphrep.contracts import EDGE, TAIL, Edge, Event, Tail
from graphrep.contracts.spark import select_contract
from graphrep.edges.daily import endpoint
from graphrep.graph.transitions import MILLIONTHS, Rule, pair_weights, sum_pairs

if TYPE_CHECKING:
    from graphrep.config import NodeSource, Relation, Transition

PATH = [Tail.USER, Tail.TS, Tail.TYPE, Tail.KEY]
FRESH = "fresh"
ENDS = [Edge.SRC_TYPE, Edge.SRC_KEY, Edge.DST_TYPE, Edge.DST_KEY]
SUMS = ["millionths", "pairs", Edge.LAST_TS]


def paths(
    events: DataFrame, transition: Transition, relations: Mapping[str, Relation], nodes: Mapping[str, NodeSource]
) -> DataFrame:
    """The events that a transition joins: user_key, ts, node_type, key; one row for each event and node it names.

    An event that several relations send to the same node counts once; one that names two nodes is two events of equal
    time. ``confirmed_by`` plays no part.

    Args:
        events: ``log_event_v1``.
        relations, nodes: as configured.
    """
    joined = [relations[name] for name in transition.relations]
    user = endpoint(nodes[joined[0].src])
    cases = []
    for kind in sorted({relation.dst for relation in joined}):
        met = F.lit(False)
        for relation in (r for r in joined if r.dst == kind):
            met |= (F.col(Event.DOMAIN) == relation.domain) & F.col(Event.ACTION).isin(*relation.actions)
        key = endpoint(nodes[kind])
        node = F.struct(F.lit(kind).alias(Tail.TYPE), key.alias(Tail.KEY))
        cases.append(F.when(met & key.isNotNull(), node))
    met_nodes = F.explode(F.array_compact(F.array(*cases))).alias("node")
    found = events.where(user.isNotNull()).select(user.alias(Tail.USER), Event.TS, met_nodes)
    return found.select(Tail.USER, Tail.TS, "node.*")


def daily_transitions(
    fresh: DataFrame, tail: DataFrame, name: str, transition: Transition, ds: str, partitions: int
) -> DataFrame:
    """The transitions whose later event is of one day: ``edge_v1``, one relation for each pair of node types.

    An event of day E is followed by one of day D if D - E is at most ``reach_days`` and not more than ``horizon``
    events lie between them, so that the days' sums are those of the whole history within that reach.

    Args:
        fresh: :func:`paths` of the day.
        tail: :func:`tail_after` of the day before, or any longer part of the paths up to there; may be empty.
        name: the transition's name in the configuration.
        ds: the day.
        partitions: tasks, by user.
    """
    from graphrep.config import transition_name

    rule = Rule(transition.horizon, transition.decay, transition.reverse, transition.max_tied)
    whole = Window.partitionBy(Tail.USER).orderBy(*PATH[1:])  # the order that is wanted below: one sort serves both
    whole = whole.rowsBetween(Window.unboundedPreceding, Window.unboundedFollowing)
    before = _since(tail.where(F.col(Tail.TRANSITION) == name), ds, -transition.reach_days)
    path = (
        fresh.select(*PATH, F.lit(True).alias(FRESH))
        .unionByName(before.select(*PATH, F.lit(False).alias(FRESH)))
        .repartition(partitions, Tail.USER)
        .withColumn("is_back", F.max(FRESH).over(whole))
        .where("is_back")
        .drop("is_back")
        .sortWithinPartitions(*PATH)
    )
    schema = ", ".join([f"{end} string" for end in ENDS] + [f"{number} long" for number in SUMS])
    summed = path.mapInArrow(partial(sums_of_users, rule=rule), schema)
    summed = summed.groupBy(*ENDS).agg(
        (F.sum("millionths") / F.lit(MILLIONTHS)).alias(Edge.WEIGHT),
        F.sum("pairs").alias(Edge.COUNT),
        F.max(Edge.LAST_TS).alias(Edge.LAST_TS),
    )
    relation = F.format_string(transition_name(name, "%s", "%s"), Edge.SRC_TYPE, Edge.DST_TYPE)
    return select_contract(summed.withColumns({Edge.DS: F.lit(ds), Edge.RELATION: relation, Edge.SIGN: F.lit(1)}), EDGE)


def tail_after(
    fresh: DataFrame, tail: DataFrame, name: str, transition: Transition, ds: str, partitions: int
) -> DataFrame:
    """What the next day's events can follow on: ``tail_v1``.

    Of each user, the events of the last ``reach_days`` days up to and with ``ds`` that fewer than ``horizon`` later
    ones follow, groups of equal time whole. That is a function of these days alone, wherever the recursion began.

    Args:
        fresh, tail, name, ds, partitions: as for :func:`daily_transitions`.
    """
    before = tail.where(F.col(Tail.TRANSITION) == name).select(*PATH)
    path = _since(fresh.select(*PATH).unionByName(before), ds, 1 - transition.reach_days)
    # Ranks of equal times are equal, and one more than the number of later events.
    rank = F.rank().over(Window.partitionBy(Tail.USER).orderBy(F.desc(Tail.TS)))
    last = path.repartition(partitions, Tail.USER).withColumn("rank", rank).where(F.col("rank") <= transition.horizon)
    return select_contract(last.withColumns({Tail.DS: F.lit(ds), Tail.TRANSITION: F.lit(name)}), TAIL)


def sums_of_users(batches: Iterator[pa.RecordBatch], rule: Rule) -> Iterator[pa.RecordBatch]:
    """Sum the pairs of a partition's users, a few users at a time: what Spark's workers run.

    Args:
        batches: a path's columns and ``fresh``, sorted by user and time; a user may span any number of them.
    """
    for users in whole_users(batches):
        yield from _sums(users, rule).to_batches()


def whole_users(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.Table]:
    """The same rows, cut so that no user's are parted: the last user of a batch waits for the next one."""
    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        rows = pa.Table.from_batches([*waiting, batch])
        users = rows[Tail.USER]
        last = pc.index(users, users[-1]).as_py() if len(users) else 0
        if last:
            yield rows.slice(0, last)
        waiting = rows.slice(last).to_batches()
    if waiting:
        yield pa.Table.from_batches(waiting)


def _sums(users: pa.Table, rule: Rule) -> pa.Table:
    who, types, keys = (users[c].combine_chunks().dictionary_encode() for c in (Tail.USER, Tail.TYPE, Tail.KEY))
    number, kind, key = (codes.indices.to_numpy().astype(np.int64) for codes in (who, types, keys))
    item = kind * len(keys.dictionary) + key
    sums = sum_pairs(pair_weights(number, users[Tail.TS].to_numpy(), item, rule, users[FRESH].to_numpy()))
    ends = []
    for items in (sums.src, sums.dst):
        kind, key = np.divmod(items, len(keys.dictionary))
        ends += [types.dictionary.take(pa.array(kind)), keys.dictionary.take(pa.array(key))]
    return pa.table([*ends, sums.millionths, sums.pairs, sums.ts], names=ENDS + SUMS)


def _since(frame: DataFrame, ds: str, days: int) -> DataFrame:
    """The rows of the day that lies so many days after ``ds``, and of later ones."""
    day = dt.date.fromisoformat(ds) + dt.timedelta(days=days)
    return frame.where(F.col(Tail.TS) >= (day - dt.date(1970, 1, 1)).days * vocab.DAY_MS)
