"""One raw table → the contract's columns: names mapped, units converted, values cast. Nothing is dropped here."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from graphrep.config import ColumnSource, LogTable, Unit
from graphrep.contracts import LOG_EVENT, Event
from graphrep.errors import InputError

TABLE = "_table"
ROW = "_row"
CORRUPT = "_corrupt"
WRONG_TYPE = "_wrong_type"
BAD_KEY = "_bad_key"

NUMBERS = (Event.TS, Event.VALUE, Event.DURATION)
KEYS = (Event.EVENT_ID, Event.USER_ID, Event.ITEM_ID, Event.HOST_ID, Event.ROOM_ID, Event.QUERY)
REQUIRED = (Event.TS, Event.DOMAIN, Event.USER_ID, Event.ACTION)
WHOLE = (T.ByteType, T.ShortType, T.IntegerType, T.LongType)
DEFAULT_UNIT: dict[str, Unit] = {Event.TS: "ms", Event.DURATION: "s"}
MILLISECONDS: dict[Unit, str] = {"us": "0.001", "ms": "1", "s": "1000", "min": "60000"}
SECONDS: dict[Unit, float] = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0}


def normalise(
    raw: DataFrame, name: str, table: LogTable, corrupt: str, *, max_key_bytes: int, where: str = ""
) -> DataFrame:
    """Give raw rows the columns of ``log_event_v1`` (but ``ds``), whatever their values.

    A contract column without a mapping is read from the source column of the same name, if there is one.

    Args:
        raw: rows as they are in the files.
        name: the table's name, the prefix of event ids.
        corrupt: column that holds an unreadable row's text, where the format has one.
        max_key_bytes: longest id or query, in bytes of UTF-8.
        where: what messages call these rows; the table's name if empty.

    Returns:
        The contract's columns and ``_table``, ``_row`` (the raw row as a struct), ``_corrupt`` (unreadable),
        ``_wrong_type`` (name of the first column whose value could not be cast, else null), ``_bad_key`` (what is
        wrong with the first key that no table can hold, else null).

    Raises:
        InputError: a mapping names a column that the files lack, or one of a type that cannot be read.
    """
    where = where or f"log table {name}"
    found = [column for column in raw.columns if column != corrupt]
    values: dict[str, Column] = {}
    failed: list[Column] = []
    keys: list[Column] = []
    for column in LOG_EVENT.names:
        if column == Event.DS:
            continue
        source = _source(column, name, table, found, where)
        if column in KEYS and source is not None and _kind(source, raw) == T.StringType() and source.column is not None:
            keys += _key_problems(column, F.col(f"`{source.column}`"), max_key_bytes)
        if column == Event.EVENT_ID:
            continue
        if source is None:
            values[column] = F.lit(None).cast(_target(column))
            continue
        origin = F.lit(source.value) if source.column is None else F.col(f"`{source.column}`")
        values[column] = _read(origin, column, source, raw, where)
        if column in NUMBERS:
            given = origin if _is_number(_kind(source, raw)) else F.nullif(F.trim(origin.cast("string")), F.lit(""))
            failed.append(F.when(given.isNotNull() & values[column].isNull(), F.lit(column)))
    return raw.select(
        _event_id(name, table, found, raw, where).alias(Event.EVENT_ID),
        *[value.alias(column) for column, value in values.items()],
        F.lit(name).alias(TABLE),
        F.struct(*[F.col(f"`{c}`") for c in raw.columns]).alias(ROW),
        (F.col(corrupt).isNotNull() if corrupt in raw.columns else F.lit(False)).alias(CORRUPT),
        F.coalesce(*failed).alias(WRONG_TYPE),
        F.coalesce(F.lit(None).cast("string"), *keys).alias(BAD_KEY),
    )


def _key_problems(name: str, key: Column, max_bytes: int) -> list[Column]:
    """What files and stores that a key travels through do not agree on: it is refused here, where it can be named."""
    return [
        F.when(F.octet_length(key) > max_bytes, f"too_long_{name}"),
        F.when(F.contains(key, F.lit("\0")), f"nul_in_{name}"),
        F.when(~F.is_valid_utf8(key), f"not_utf8_{name}"),
    ]


def _target(column: str) -> T.DataType:
    if column == Event.TS:
        return T.LongType()
    return T.DoubleType() if column in NUMBERS else T.StringType()


def _source(column: str, name: str, table: LogTable, found: list[str], where: str) -> ColumnSource | None:
    source = table.source_of(column)
    if source is None:
        if column in found:
            return ColumnSource(column=column)
        if column in REQUIRED:
            fix = f"map it under logs.tables.{name}.columns"
            raise InputError(f"a source for {column}", found=f"columns {found}", where=where, fix=fix)
        return None
    if source.column is not None and source.column not in found:
        if table.format == "jsonl" and column not in REQUIRED:
            return None  # a key that no line of a day has is how JSON says null
        raise InputError(f"the column {source.column!r}", found=f"columns {found}", where=where)
    return source


def _read(origin: Column, column: str, source: ColumnSource, raw: DataFrame, where: str) -> Column:
    kind = _kind(source, raw)
    if isinstance(kind, (T.ArrayType, T.MapType, T.StructType, T.BinaryType)):
        raise InputError(
            f"{column} as a plain value", found=f"{source.column} of type {kind.simpleString()}", where=where
        )
    if column in KEYS and not _names_things(kind):
        # 7 read as 7.0 would be another key, in silence; and a double has lost the digits beyond 2**53 already.
        found = f"{source.column} of type {kind.simpleString()}"
        raise InputError(f"{column} as text or whole numbers", found=found, where=where, fix="cast it at the source")
    unit = source.unit or DEFAULT_UNIT.get(column)
    if column == Event.TS:
        return _milliseconds(origin, kind, unit or "ms", source.zone)
    if column in NUMBERS:
        # Text between the two where it gives 0.1 and not the 0.10000000149011612 of a float.
        number = (origin if _is_number(kind) else origin.cast("string")).try_cast("double")
        number = number * SECONDS[unit] if column == Event.DURATION and unit in SECONDS else number
        return F.when(F.abs(number) < F.lit(float("inf")), number)  # NaN is the largest number of all to Spark
    text = origin.cast("string")
    text = text if isinstance(kind, WHOLE) else F.when(F.trim(text) != "", text)
    for old, new in source.map.items():
        text = F.when(origin.cast("string") == old, F.lit(new)).otherwise(text)
    return text


def _kind(source: ColumnSource, raw: DataFrame) -> T.DataType:
    return T.StringType() if source.column is None else raw.schema[source.column].dataType


def _is_number(kind: T.DataType) -> bool:
    return isinstance(kind, (T.DoubleType, *WHOLE))


def _names_things(kind: T.DataType) -> bool:
    whole = isinstance(kind, T.DecimalType) and kind.scale == 0
    return whole or isinstance(kind, (T.StringType, *WHOLE))


def _milliseconds(origin: Column, kind: T.DataType, unit: Unit, zone: str | None) -> Column:
    if unit == "iso" or isinstance(kind, (T.TimestampType, T.TimestampNTZType, T.DateType)):
        moment = origin.try_cast("timestamp")
        if zone is None or isinstance(kind, T.TimestampType):  # which is a point in time whatever the zone
            return F.unix_millis(moment)
        says_its_own = F.lit(False) if kind != T.StringType() else origin.rlike(r"(?i)(z|[+-]\d{2}:?\d{2})\s*$")
        return F.unix_millis(F.when(says_its_own, moment).otherwise(F.to_utc_timestamp(moment, zone)))
    if isinstance(kind, WHOLE):
        whole = origin.cast("bigint")
        if unit == "us":
            return F.call_function("div", F.try_subtract(whole, F.pmod(whole, F.lit(1000))), F.lit(1000))
        return F.try_multiply(whole, F.lit(int(MILLISECONDS[unit])))
    # Decimals: a double loses integers beyond 2**53, which microseconds of far dates reach.
    exact = origin.cast("string").try_cast("decimal(30,6)") * F.lit(MILLISECONDS[unit]).cast("decimal(8,3)")
    return F.floor(exact).try_cast("bigint")


def _event_id(name: str, table: LogTable, found: list[str], raw: DataFrame, where: str) -> Column:
    """The source's id, made unique across tables by the table's name; else a hash of the whole row."""
    source = _source(Event.EVENT_ID, name, table, found, where)
    key = _row_hash(found)
    if source is not None and source.column is not None:
        key = F.coalesce(_read(F.col(f"`{source.column}`"), Event.EVENT_ID, source, raw, where), key)
    return F.concat(F.lit(f"{name}:"), key)


def _row_hash(found: list[str]) -> Column:
    cells = F.to_json(F.struct(*[F.col(f"`{column}`") for column in sorted(found)]))
    return F.substring(F.sha2(cells, 256), 1, 32)
