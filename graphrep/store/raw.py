"""What lies in the raw log tables: which days, which files. Looks at names and sizes, opens nothing."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from pathlib import Path

from graphrep.config import LogTable
from graphrep.errors import InputError
from graphrep.store import tables


def table_path(root: Path, name: str, table: LogTable) -> Path:
    """The directory or file of a raw table.

    Raises:
        InputError: a required table is missing.
    """
    path = root / table.path
    if not path.exists() and table.required:
        raise InputError(
            f"the log table {name!r}",
            found="nothing",
            where=str(path),
            fix="check logs.root and logs.tables, or mark it required: false",
        )
    return path


def day_path(root: Path, name: str, table: LogTable, ds: str) -> Path | None:
    """The place of one day's rows (the whole table where it is not partitioned); None where it may be absent.

    Raises:
        InputError: a required table or day is missing, or the day lacks the marker of a whole delivery.
    """
    path = table_path(root, name, table)
    if table.partitioned:
        path = tables.day_of(path, ds)
    files = data_files(path, table)
    if (
        files
        and table.marker is not None
        and not (path if path.is_dir() else path.parent).joinpath(table.marker).exists()
    ):
        raise InputError(
            f"the marker {table.marker} of {name!r} for the day {ds}",
            found=f"{len(files)} files without it",
            where=str(path),
            fix="wait until the day is delivered whole",
        )
    if files:
        return path
    if not table.required:
        return None
    raise InputError(
        f"rows of {name!r} for the day {ds}",
        found="no file",
        where=str(path),
        fix="deliver the day, or mark the table required: false",
    )


def data_files(path: Path, table: LogTable) -> list[Path]:
    """The data files of a place, in order; names that begin with ``_`` or ``.`` are not data.

    Nor are text files of no bytes: they have neither header nor row. A Parquet file of no bytes is a damaged one.
    """
    inside = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
    named = [p for p in inside if not any(s[0] in "_." for s in p.relative_to(path).parts)]
    named = [p for p in named if p.name != table.marker]
    return sorted(p for p in named if table.format == "parquet" or p.stat().st_size)


def days(root: Path, name: str, table: LogTable) -> list[str]:
    """Days of a partitioned table, in order.

    Raises:
        InputError: a directory ``ds=…`` that is not a date.
    """
    path = table_path(root, name, table)
    found = tables.days(path)
    for day in found:
        check_day(day, where=str(path))
    return found


def check_day(ds: str, where: str = "") -> dt.date:
    """Parse a data day.

    Raises:
        InputError: not YYYY-MM-DD.
    """
    try:
        day = dt.date.fromisoformat(ds)
    except ValueError:
        day = None
    if day is None or day.isoformat() != ds:
        raise InputError("a day as YYYY-MM-DD", found=repr(ds), where=where)
    return day


def fingerprint(root: Path, name: str, table: LogTable, ds: str) -> str:
    """Sha256 over names, sizes and modification times of the files behind one day of a table."""
    path = day_path(root, name, table, ds)
    stats = [(file.name, file.stat()) for file in data_files(path, table)] if path else []
    listing = [(file, stat.st_size, stat.st_mtime_ns) for file, stat in stats]
    return hashlib.sha256(json.dumps(listing).encode()).hexdigest()
