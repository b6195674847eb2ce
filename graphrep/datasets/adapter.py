"""What an adapter of a public data set is made of: its sources, its conversion, the raw rows that come out.

An adapter opens no file. It names the files and the columns that it needs and the caller reads exactly those,
so a column that knows the future is never read: no source names it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from graphrep import vocab
from graphrep.contracts import Event
from graphrep.errors import InputError

Tables = Mapping[str, pa.Table]
"""File name -> the columns that were read of it."""

Day = tuple[str, str, pa.Table]
"""(raw log table, data day YYYY-MM-DD, rows in the order of ``ts``)."""

Pool = tuple[str, None, pa.Table]
"""(raw log table, no day, rows of all days in the order of ``ts``)."""

Times = npt.NDArray[np.int64]


RAW_TYPES: dict[str, pa.DataType] = {
    Event.TS: pa.int64(),
    Event.USER_ID: pa.string(),
    Event.ACTION: pa.string(),
    Event.ITEM_ID: pa.string(),
    Event.HOST_ID: pa.string(),
    Event.ROOM_ID: pa.string(),
    Event.DURATION: pa.float64(),
    Event.VALUE: pa.float64(),
}
"""Columns that raw rows may have: ts in ms, duration in s. A table leaves out what its source cannot say."""


@dataclass(frozen=True, slots=True)
class Source:
    """Files of one kind: a name pattern (``*`` as in a shell) and the only columns that are read of them."""

    pattern: str
    columns: tuple[str, ...]
    required: bool = True
    many: bool = False


@dataclass(frozen=True, slots=True)
class Adapter:
    """A public data set: the files that it needs, and the raw logs that they become."""

    name: str
    sources: tuple[Source, ...]
    convert: Callable[[Tables], Iterator[Day] | Iterator[Pool]]


def select_sources(adapter: Adapter, names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Which files of a folder to read, and which columns of each.

    Args:
        names: the file names in the folder; other files are left alone.

    Raises:
        InputError: a required file is missing, or several fit where one is meant.

    Example:
        >>> one = Adapter("demo", (Source("log_*.csv", ("user", "item")),), convert=lambda tables: iter(()))
        >>> select_sources(one, ["log_1.csv", "notes.txt"])
        {'log_1.csv': ('user', 'item')}
    """
    listed = sorted(names)
    chosen: dict[str, tuple[str, ...]] = {}
    for source in adapter.sources:
        fitting = [name for name in listed if fnmatchcase(name, source.pattern)]
        if not fitting and source.required:
            raise InputError(
                f"a file {source.pattern}",
                found=", ".join(listed) or "an empty folder",
                where=f"source of {adapter.name}",
                fix="give the folder that holds the data set",
            )
        if len(fitting) > 1 and not source.many:
            raise InputError(f"one file {source.pattern}", found=", ".join(fitting), where=f"source of {adapter.name}")
        chosen |= dict.fromkeys(fitting, source.columns)
    return chosen


def tables_of(source: Source, tables: Tables) -> dict[str, pa.Table]:
    """The tables of one source by file name, cut to its columns; none where an optional source is absent.

    Raises:
        InputError: the source is required and absent, or a file lacks a column.
    """
    fitting = {name: tables[name] for name in sorted(tables) if fnmatchcase(name, source.pattern)}
    if not fitting and source.required:
        raise InputError(f"a file {source.pattern}", found=", ".join(sorted(tables)) or "none")
    for name, table in fitting.items():
        missing = [column for column in source.columns if column not in table.column_names]
        if missing:
            raise InputError(
                f"columns {', '.join(source.columns)}",
                found=f"{', '.join(table.column_names)} (no {', '.join(missing)})",
                where=name,
            )
    return {name: table.select(list(source.columns)) for name, table in fitting.items()}


def integers(table: pa.Table, column: str, where: str) -> pa.ChunkedArray:
    """A column as int64.

    Raises:
        InputError: it holds something else than whole numbers.
    """
    try:
        return pc.cast(table[column], pa.int64())
    # A value that cannot be cast, a type that has no cast.
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise InputError(f"whole numbers in {column}", found=str(table[column].type), where=where) from None


def moments(table: pa.Table, column: str, where: str) -> Times:
    """A column that places rows in time, as int64 numpy in the column's own unit.

    Raises:
        InputError: it holds something else than whole numbers, or a null: such a row belongs to no day.
    """
    return _complete(integers(table, column, where), column, where)


def instants(table: pa.Table, column: str, where: str) -> Times:
    """A column of ISO times, UTC where they state no zone, as ms since 1970-01-01 UTC.

    Raises:
        InputError: it holds something else than times, or a null.
    """
    try:
        times = pc.cast(table[column], pa.timestamp("ms"))
    # As above: what the source wrote is no time.
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        found = str(error).splitlines()[0]
        raise InputError(f"times YYYY-MM-DDThh:mm in {column}", found=found, where=where) from None
    return _complete(pc.cast(times, pa.int64()), column, where)


def _complete(times: pa.ChunkedArray, column: str, where: str) -> Times:
    if times.null_count:
        raise InputError(f"no null in {column}", found=f"{times.null_count} nulls", where=where)
    values: Times = times.to_numpy()
    return values


def keys(prefix: str, ids: pa.ChunkedArray | pa.Array) -> pa.ChunkedArray | pa.Array:
    """Ids as strings behind a letter that says what they are of; a null stays one."""
    return pc.binary_join_element_wise(prefix, pc.cast(ids, pa.string()), "")


def raw_rows(ts: Times, **columns: pa.ChunkedArray | pa.Array | str) -> pa.Table:
    """Raw rows from their columns; a plain string fills a column."""
    filled = {
        name: pa.repeat(column, len(ts)) if isinstance(column, str) else column
        for name, column in {Event.TS: pa.array(ts), **columns}.items()
    }
    order = [name for name in RAW_TYPES if name in filled]
    return pa.table(
        [pc.cast(filled[name], RAW_TYPES[name]) for name in order],
        schema=pa.schema([(n, RAW_TYPES[n]) for n in order]),
    )


def ordered_rows(rows: pa.Table) -> pa.Table:
    """Rows ordered by every column, ``ts`` first, so that the result does not hang on the order of the source."""
    return rows.sort_by([(name, "ascending") for name in rows.column_names])


def days_of(table_name: str, rows: pa.Table) -> Iterator[Day]:
    """Order rows and cut them into data days, the UTC days of ``ts``, oldest first."""
    ordered = ordered_rows(rows)
    numbers = ordered[Event.TS].to_numpy() // vocab.DAY_MS
    for number, start, size in zip(*np.unique(numbers, return_index=True, return_counts=True), strict=True):
        yield table_name, str(np.datetime64(int(number), "D")), ordered.slice(start, size)
