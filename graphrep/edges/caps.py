"""Hubs: their edges damped by degree, and of every node only the strongest kept."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from graphrep.contracts import Edge

BILLIONTHS = 1_000_000_000
SALTS = 16
"""Tasks that share the first ranking of one hub's edges."""

_DEGREE = "_degree"
_SALT = "_salt"
_TIE = "_tie"
_PLACE = "_place"


def damped(edges: DataFrame, exponent: Column) -> DataFrame:
    """Multiply each weight by degree^-exponent, rounded to whole billionths.

    The degree is the destination's number of edges of the relation. Counting sums before its exchange; the join back
    is one that adaptive execution splits where a hub makes it uneven.

    Args:
        exponent: b of each edge's relation, 0 to 1.
    """
    ends = [Edge.RELATION, Edge.DST_KEY]
    degrees = edges.groupBy(*ends).agg(F.count(F.lit(1)).alias(_DEGREE))
    weight = F.rint(F.col(Edge.WEIGHT) * F.pow(F.col(_DEGREE), -exponent) * BILLIONTHS) / BILLIONTHS
    return edges.join(degrees, ends).withColumn(Edge.WEIGHT, weight).drop(_DEGREE).where(F.col(Edge.WEIGHT) > 0)


def strongest(edges: DataFrame, key: str, other: str, k: Column) -> DataFrame:
    """Keep the k strongest edges of each relation and ``key``; equal weights go by a hash of ``other``, then by it.

    A hub's edges are first ranked in ``SALTS`` parts, chosen by the hash, and only k of each part are ranked together,
    so that no task has all of them: who is among the k of the whole is among the k of his part.
    """
    # Not the key's own order, which would favour the same few names at every hub.
    edges = edges.withColumn(_TIE, F.xxhash64(other))
    edges = edges.withColumn(_SALT, F.pmod(F.col(_TIE), F.lit(SALTS)))
    for part in ([Edge.RELATION, key, _SALT], [Edge.RELATION, key]):
        order = Window.partitionBy(*part).orderBy(F.col(Edge.WEIGHT).desc(), F.col(_TIE), F.col(other))
        edges = edges.withColumn(_PLACE, F.row_number().over(order)).where(F.col(_PLACE) <= k)
    return edges.drop(_TIE, _SALT, _PLACE)
