"""The working tables of a warehouse, one directory per day, each put in place in one step; read as Arrow or numpy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from graphrep import vocab
from graphrep.errors import StoreError
from graphrep.store.files import STAGING, map_array, staged_directory, storing

EVENTS = "events"
QUARANTINE = "quarantine"
EDGES = "edges"
NODE_DAYS = "node_days"
EXCLUDED = "excluded"
TRANSITIONS = "transitions"
TAILS = "tails"
SIMILARITIES = "similarities"
WEEKS = "weeks"
IDS = "ids"
NODES = "nodes"
ADJACENCY = "adjacency"
ARRAYS = "arrays"
VECTORS = "vectors"
CHECKPOINTS = "checkpoints"
PUBLISHED = "published"
MAPS = "maps"
SCALARS = "scalars"
GOLIVE_PANEL = "golive_panel"
GOLIVE_DAYS = "golive_days"
GOLIVE_UPLIFT = "golive_uplift"

BATCH_ROWS = 1 << 18

Columns = Mapping[str, npt.NDArray[Any]]


def partition(warehouse: Path, table: str, ds: str) -> Path:
    """Where a day of a table lies: ``<warehouse>/<table>/ds=<day>``."""
    return day_of(warehouse / table, ds)


def day_of(root: Path, ds: str) -> Path:
    """Where a day lies inside a table's directory."""
    return root / f"{vocab.DS}={ds}"


def days(root: Path) -> list[str]:
    """The days of a table's directory, in order."""
    prefix = f"{vocab.DS}="
    if not root.is_dir():
        return []
    return sorted(p.name.removeprefix(prefix) for p in root.iterdir() if p.is_dir() and p.name.startswith(prefix))


def subdirectories(path: Path) -> list[str]:
    """Names of the finished directories in a place, in order."""
    if not path.is_dir():
        return []
    return sorted(p.name for p in path.iterdir() if p.is_dir() and p.name != STAGING)


def read_table(path: Path, columns: list[str] | None = None) -> pa.Table:
    """Read the Parquet files of one directory, in file order.

    Raises:
        StoreError: the directory is missing or a file is damaged.
    """
    with _reading(path):
        parts = [_read_file(file, columns) for file in _parquet_files(path)]
        return pa.concat_tables(parts) if parts else pa.table({})


def read_file(file: Path) -> pa.Table:
    """Read one Parquet file.

    Raises:
        StoreError: it is missing or damaged.
    """
    return _read_file(file, None)


def stream_table(path: Path, columns: list[str]) -> Iterator[pa.RecordBatch]:
    """The rows of one directory's Parquet files, in file order, in batches of at most ``BATCH_ROWS``.

    Raises:
        StoreError: the directory is missing, a file is damaged or lacks a column.
    """
    for file in _parquet_files(path):
        with _reading(file):
            yield from _opened(file, columns).iter_batches(BATCH_ROWS, columns=columns)


def _parquet_files(path: Path) -> list[Path]:
    if not path.is_dir():
        raise StoreError("a table", found="nothing", where=str(path), fix="run the stage that writes it")
    return sorted(path.glob("*.parquet"))


def _read_file(file: Path, columns: list[str] | None) -> pa.Table:
    with _reading(file):
        return _opened(file, columns).read(columns=columns)


def _opened(file: Path, columns: list[str] | None) -> pq.ParquetFile:
    opened = pq.ParquetFile(file, page_checksum_verification=True)
    missing = sorted(set(columns or ()) - set(opened.schema_arrow.names))
    if missing:
        fix = "run the stage that writes it again"
        raise StoreError(f"columns {columns}", found=f"no {', '.join(missing)}", where=str(file), fix=fix)
    return opened


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowInvalid, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            with storing(path):
                raise
        # Arrow's own, without an errno: a checksum or a decompressor that disagrees.
        raise StoreError("whole Parquet files of one schema", found=str(error), where=str(path)) from None


def write_arrow(path: Path, table: pa.Table) -> None:
    """Write a table as the one file of a directory that appears whole."""
    with staged_directory(path) as staging:
        save_parquet(staging / "part-0.parquet", table)


def write_parts(path: Path, parts: Iterable[tuple[str, pa.Table]]) -> None:
    """Write tables, one file each by its name, into a directory that appears whole; one is in memory at a time."""
    with staged_directory(path) as staging:
        for name, table in parts:
            save_parquet(staging / f"{name}.parquet", table)


def write_arrays(path: Path, arrays: Mapping[str, npt.NDArray[np.generic]]) -> None:
    """Write named arrays, one ``.npy`` each, into a directory that appears whole."""
    with staged_directory(path) as staging:
        save_arrays(staging, arrays)


def save_parquet(file: Path, table: pa.Table) -> None:
    """Write one Parquet file with page checksums, inside a directory that is being staged."""
    with storing(file):
        pq.write_table(table, file, compression="zstd", write_page_checksum=True)


def save_arrays(path: Path, arrays: Mapping[str, npt.NDArray[np.generic]]) -> None:
    """Write one ``.npy`` per name, inside a directory that is being staged."""
    with storing(path):
        for name, array in arrays.items():
            np.save(path / f"{name}.npy", array, allow_pickle=False)


def save_columns(
    path: Path, name: str, dtypes: Mapping[str, npt.DTypeLike], rows: int, batches: Iterable[Columns]
) -> None:
    """Write ``<name>.<column>.npy`` batch by batch, inside a directory that is being staged.

    Args:
        dtypes: the columns and their types.
        rows: of all batches together.
        batches: column → values; one batch is in memory at a time.
    """
    with storing(path), ExitStack() as opened:
        handles = {}
        for column, dtype in dtypes.items():
            handles[column] = opened.enter_context((path / f"{name}.{column}.npy").open("wb"))
            header = {"descr": np.lib.format.dtype_to_descr(np.dtype(dtype)), "fortran_order": False, "shape": (rows,)}
            np.lib.format.write_array_header_1_0(handles[column], header)
        for batch in batches:
            for column, handle in handles.items():
                handle.write(np.ascontiguousarray(batch[column], dtypes[column]).data)


def read_arrays(path: Path) -> dict[str, npt.NDArray[np.generic]]:
    """Memory-map the arrays that :func:`write_arrays` wrote."""
    if not path.is_dir():
        raise StoreError("arrays", found="nothing", where=str(path), fix="run the stage that writes them")
    return {p.stem: map_array(p) for p in sorted(path.glob("*.npy"))}


def map_columns(path: Path, name: str, dtypes: Mapping[str, npt.DTypeLike], rows: int, *, fix: str) -> Columns:
    """Memory-map what :func:`save_columns` wrote, read-only.

    Raises:
        StoreError: one is missing, cut off, of another length or of another type; it says what to do in words given.
    """
    found: dict[str, npt.NDArray[Any]] = {}
    for column, dtype in dtypes.items():
        file = path / f"{name}.{column}.npy"
        try:
            array = map_array(file)
        except StoreError as error:
            raise StoreError(error.expected, found=error.found, where=error.where, fix=fix) from None
        if (array.shape, array.dtype) != ((rows,), np.dtype(dtype)):
            found_there = f"{array.dtype} of shape {array.shape}"
            raise StoreError(f"{rows} values of {np.dtype(dtype)}", found=found_there, where=str(file), fix=fix)
        found[column] = array
    return found


def count_by(path: Path, column: str) -> dict[str, int]:
    """Rows of a table by the value of one column, a batch in memory at a time."""
    found: Counter[str] = Counter()
    for batch in stream_table(path, [column]):
        counted = batch[column].value_counts()
        found.update({str(entry["values"]): int(entry["counts"]) for entry in counted.to_pylist()})
    return dict(found)


def count_rows(path: Path) -> int:
    """Rows of a table by its footers; a table that was not written has none."""
    with _reading(path):
        return sum(pq.ParquetFile(file).metadata.num_rows for file in sorted(path.glob("*.parquet")))
