"""Rows that name an erased key: they are counted, and go no further."""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from graphrep.config import NodeSource
from graphrep.contracts import Erasure, Event
from graphrep.contracts.spark import key_hash_column
from graphrep.logs.events import ERASED, REASON

_HASH, _HIT = "_key_hash", "_key_erased"


def mark_erased(rows: DataFrame, nodes: Mapping[str, NodeSource], erased: DataFrame) -> DataFrame:
    """Make ``erased`` the reason of the rows that name an erased key, whatever else is wrong with them.

    Args:
        rows: output of :func:`graphrep.logs.check_rows`.
        nodes: node type → event column that holds its keys.
        erased: rows with ``node_type`` and ``key_hash``, unique; few enough to be sent to every task.
    """
    for node_type, source in nodes.items():
        key = F.col(source.column)
        if source.item_type is not None:
            key = F.when(F.col(Event.ITEM_TYPE) == source.item_type, key)
        own = erased.where(F.col(Erasure.TYPE) == node_type).select(
            F.col(Erasure.HASH).alias(_HASH), F.lit(True).alias(_HIT)
        )
        hashed = rows.withColumn(_HASH, F.when(key.isNotNull(), key_hash_column(F.lit(node_type), key)))
        met = hashed.join(F.broadcast(own), on=_HASH, how="left")
        rows = met.withColumn(REASON, F.when(F.col(_HIT), ERASED).otherwise(F.col(REASON))).drop(_HASH, _HIT)
    return rows
