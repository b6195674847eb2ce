"""Contracts as Spark types: the only file of this room that knows pyspark."""

from __future__ import annotations

from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from graphrep.contracts.table import Contract, Type

SPARK_TYPES: dict[Type, T.DataType] = {
    "string": T.StringType(),
    "int32": T.IntegerType(),
    "int64": T.LongType(),
    "float32": T.FloatType(),
    "float64": T.DoubleType(),
    "list<float32>": T.ArrayType(T.FloatType(), containsNull=False),
}


def spark_schema(contract: Contract) -> T.StructType:
    """The contract as a StructType, in column order."""
    return T.StructType([T.StructField(c.name, SPARK_TYPES[c.type], c.nullable) for c in contract.columns])


def select_contract(frame: DataFrame, contract: Contract, *, beside: str | None = None) -> DataFrame:
    """End a step with exactly the contract's columns, in its order and types, and one more column if it is named."""
    columns: list[SparkColumn] = [F.col(c.name).cast(SPARK_TYPES[c.type]).alias(c.name) for c in contract.columns]
    columns += [F.col(beside)] if beside else []
    return frame.select(*columns)


def key_hash_column(node_type: SparkColumn, key: SparkColumn) -> SparkColumn:
    """:func:`graphrep.contracts.key_hash` of each row; the key must not be null."""
    return F.sha2(F.concat_ws("\0", node_type, key), 256)
