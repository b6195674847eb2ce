"""Tables of content vectors, such as those of an image or a text model: Parquet, made elsewhere, checked when read."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from graphrep.config import ItemVectors
from graphrep.errors import InputError
from graphrep.store import tables
from graphrep.store.raw import check_day

FIX = "deliver the table again"


@dataclass(frozen=True)
class Vectors:
    """Vectors of one node type.

    Attributes:
        keys: outside keys in their order, each once.
        vectors: (n, d) float32, finite.
        ds: the day of which they are.
    """

    keys: npt.NDArray[np.object_]
    vectors: npt.NDArray[np.float32]
    ds: str


@dataclass(frozen=True)
class VectorFiles:
    """Where the vectors of one node type lie, as a graph that ends with some day may know them.

    Attributes:
        name: of the table, for messages: its node type and day.
        ds: the newest day with a file, not after the graph's last day; that one where the table has no days.
        files: in order.
    """

    name: str
    ds: str
    files: tuple[Path, ...]

    def fingerprint(self) -> str:
        """Sha256 over the day and over names, sizes and modification times of the files."""
        stats = [(file.name, stat.st_size, stat.st_mtime_ns) for file in self.files if (stat := file.stat())]
        return hashlib.sha256(json.dumps([self.ds, stats]).encode()).hexdigest()


def find_vectors(root: Path, node_type: str, table: ItemVectors, last: str) -> VectorFiles:
    """Choose the newest day of a table up to the graph's last day; never a later one.

    Raises:
        InputError: there is no table, or no file of such a day.
    """
    path = root / table.path
    name = f"item_vectors.{node_type}"
    if not path.exists():
        raise InputError(f"the table {name}", found="nothing", where=str(path), fix="check logs.root and its path")
    if not table.partitioned:
        found = _data_files(path)
        if not found:
            raise InputError(f"Parquet files of {name}", found="none", where=str(path), fix=FIX)
        return VectorFiles(name, last, found)
    days = tables.days(path)
    for day in days:
        check_day(day, where=str(path))
    for day in reversed([day for day in days if day <= last]):
        if found := _data_files(tables.day_of(path, day)):
            return VectorFiles(f"{name}, day {day}", day, found)
    present = f"days {days[0]} to {days[-1]}" if days else "no day"
    raise InputError(f"{name} of {last} or before", found=present, where=str(path), fix="deliver a day of it")


def _data_files(path: Path) -> tuple[Path, ...]:
    if path.is_file():
        return (path,)
    return tuple(sorted(p for p in path.rglob("*.parquet") if not any(s[0] in "_." for s in p.relative_to(path).parts)))


def read_vectors(source: VectorFiles, table: ItemVectors) -> Vectors:
    """Read and check the vectors of a table, in the order of their keys.

    Raises:
        InputError: a damaged file, a missing column or one of another type, nulls, repeated keys, lengths that differ,
            numbers that are not finite. It names the table, the day, the column and how many.
    """
    parts = [_read(source, file, table) for file in source.files]
    try:
        read = pa.concat_tables(parts, promote_options="permissive")
    except pa.ArrowException as error:
        found = str(error).splitlines()[0]
        raise InputError(f"files of one schema in {source.name}", found=found, fix=FIX) from None
    keys = _keys(source, table.key, read[table.key].combine_chunks())
    vectors = _matrix(source, table.vector, read[table.vector].combine_chunks())
    order = np.argsort(keys, kind="stable")
    return Vectors(keys[order], vectors[order], source.ds)


def _read(source: VectorFiles, file: Path, table: ItemVectors) -> pa.Table:
    try:
        opened = pq.ParquetFile(file, page_checksum_verification=True)
        for column in (table.key, table.vector):
            if column not in opened.schema_arrow.names:
                raise _refused(source, column, "the column", "none", where=str(file))
        return opened.read(columns=[table.key, table.vector])
    except (pa.ArrowException, OSError) as error:
        found = str(error).splitlines()[0]
        raise InputError(f"readable files of {source.name}", found=found, where=str(file), fix=FIX) from None


def _keys(source: VectorFiles, column: str, keys: pa.Array) -> npt.NDArray[np.object_]:
    if not (pa.types.is_string(keys.type) or pa.types.is_large_string(keys.type) or pa.types.is_integer(keys.type)):
        raise _refused(source, column, "keys as strings or integers", str(keys.type))
    if keys.null_count:
        raise _refused(source, column, "a key in each row", f"{keys.null_count} nulls")
    repeated = len(keys) - len(keys.unique())
    if repeated:
        raise _refused(source, column, "each key once", f"{repeated} repeated rows")
    return np.asarray(keys.cast(pa.string()).to_pylist(), dtype=object)


def _matrix(source: VectorFiles, column: str, lists: pa.Array) -> npt.NDArray[np.float32]:
    kind: Any = lists.type
    nested = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    if not nested or not pa.types.is_floating(kind.value_type):
        raise _refused(source, column, "lists of floating-point numbers", str(kind))
    lists = lists.cast(pa.large_list(kind.value_type))
    if lists.null_count:
        raise _refused(source, column, "a vector in each row", f"{lists.null_count} nulls")
    values = lists.flatten()
    if values.null_count:
        raise _refused(source, column, "numbers in each vector", f"{values.null_count} nulls")
    lengths = pc.list_value_length(lists).value_counts().to_pylist()
    if len(lengths) != 1:
        counts = sorted(((entry["counts"], entry["values"]) for entry in lengths), reverse=True)[:3]
        found = ", ".join(f"{count} of {length}" for count, length in counts)
        raise _refused(source, column, "vectors of one length", found or "no row")
    with np.errstate(over="ignore"):
        matrix = np.asarray(values.to_numpy(zero_copy_only=False), np.float32).reshape(len(lists), -1)
    bad = len(matrix) - int(np.isfinite(matrix).all(axis=1).sum())
    if bad:
        raise _refused(source, column, "finite numbers", f"{bad} vectors with others")
    return matrix


def _refused(source: VectorFiles, column: str, expected: str, found: str, where: str = "") -> InputError:
    place = where or str(source.files[0].parent)
    return InputError(f"{expected} in {column!r} of {source.name}", found=found, where=place, fix=FIX)
