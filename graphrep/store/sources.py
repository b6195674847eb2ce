"""Files of public data sets, read column by column: what is not asked for is never read."""

from __future__ import annotations

import gzip
import json
import zlib
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from graphrep.errors import InputError


def list_folder(path: Path) -> list[str]:
    """The file names in a folder.

    Raises:
        InputError: there is no such folder.
    """
    if not path.is_dir():
        raise InputError("the folder of the data set", found="none", where=str(path))
    return sorted(p.name for p in path.iterdir() if p.is_file())


def read_source(file: Path, columns: list[str]) -> pa.Table:
    """Read the named columns of a Parquet, CSV, text or JSON file; all but Parquet may be gzipped.

    Text and JSON name no columns, so theirs are named by the caller: one for the lines of a text; two for the keys
    and the values of a JSON object.

    Raises:
        InputError: damaged, of another format, or without one of the columns.
    """
    try:
        match file.name.removesuffix(".gz").rpartition(".")[2]:
            case "parquet":
                return pq.ParquetFile(file).read(columns=_known(columns, pq.read_schema(file).names, file))
            case "txt":
                (lines,) = columns
                return pa.table({lines: pa.array(_read_lines(file), pa.string())})
            case "json":
                return _read_object(file, *columns)
            case _:
                return _read_csv(file, columns)
    except (pa.ArrowInvalid, KeyError, OSError) as error:
        raise InputError(f"columns {columns}", found=str(error).splitlines()[0], where=str(file)) from None


def _known(columns: list[str], found: list[str], file: Path) -> list[str]:
    missing = [column for column in columns if column not in found]
    if missing:
        raise InputError(f"columns {columns}", found=f"no {', '.join(missing)}", where=str(file))
    return columns


def _read_csv(file: Path, columns: list[str]) -> pa.Table:
    uneven: list[pa.csv.InvalidRow] = []

    def note(row: pa.csv.InvalidRow) -> str:
        uneven.append(row)
        return "skip"

    with pa.input_stream(str(file)) as stream:
        content = stream.read()
    table = pa.csv.read_csv(
        pa.BufferReader(content),
        read_options=pa.csv.ReadOptions(use_threads=False),  # only then does an uneven row know its number
        parse_options=pa.csv.ParseOptions(invalid_row_handler=note),
        convert_options=pa.csv.ConvertOptions(include_columns=columns),
    )
    if uneven:
        first = uneven[0]
        found = f"{len(uneven)} rows with another number, the first in row {first.number} with {first.actual_columns}"
        raise InputError(f"{first.expected_columns} columns in each row", found=found, where=str(file))
    lines = sum(map(bool, content.splitlines())) - 1
    if lines != table.num_rows:  # a quote left open swallows the lines up to the next one
        raise InputError("a row in each line", found=f"{table.num_rows} rows in {lines} lines", where=str(file))
    return table


def _open_text(file: Path) -> IO[str]:
    return gzip.open(file, "rt", encoding="utf-8") if file.suffix == ".gz" else file.open(encoding="utf-8")


def _read_lines(file: Path) -> list[str]:
    lines: list[str] = []
    try:
        with _open_text(file) as text:
            for line in text:
                lines.append(line.removesuffix("\n"))  # one by one: their count tells where the damage is
    except (EOFError, zlib.error, UnicodeDecodeError, gzip.BadGzipFile) as error:
        raise InputError("lines of UTF-8", found=f"{error} after {len(lines)} lines", where=str(file)) from None
    return lines


def _read_object(file: Path, key: str, value: str) -> pa.Table:
    try:
        content = json.loads("\n".join(_read_lines(file)))
        if not isinstance(content, dict):
            raise InputError("one JSON object", found=type(content).__name__, where=str(file))
        return pa.table({key: pa.array(list(content), pa.string()), value: pa.array(list(content.values()))})
    except (json.JSONDecodeError, pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
        raise InputError("one JSON object of like values", found=str(error).splitlines()[0], where=str(file)) from None
