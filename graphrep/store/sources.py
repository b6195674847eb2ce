"""Files of public data sets, read column by column: what is not asked for is never read."""

from __future__ import annotations

from pathlib import Path

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
    """Read the named columns of a Parquet or (gzipped) CSV file.

    Raises:
        InputError: damaged, of another format, or without one of the columns.
    """
    try:
        if file.suffix == ".parquet":
            return pq.ParquetFile(file).read(columns=_known(columns, pq.read_schema(file).names, file))
        convert = pa.csv.ConvertOptions(include_columns=columns)
        return pa.csv.read_csv(file, convert_options=convert)
    except (pa.ArrowInvalid, KeyError, OSError) as error:
        raise InputError(f"columns {columns}", found=str(error).splitlines()[0], where=str(file)) from None


def _known(columns: list[str], found: list[str], file: Path) -> list[str]:
    missing = [column for column in columns if column not in found]
    if missing:
        raise InputError(f"columns {columns}", found=f"no {', '.join(missing)}", where=str(file))
    return columns
