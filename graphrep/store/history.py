"""The history of published vectors: one Iceberg table per node type, partitioned by day; opened, made and read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from graphrep.contracts import HISTORY, History
from graphrep.errors import GraphrepError, InputError, StoreError
from graphrep.store import files

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.manifest import DataFile
    from pyiceberg.table import Table

HISTORY_DIR = "history"
MAIN = "main"
WRITE = "write-"
SUFFIX = "_embedding"
PROPERTIES = {
    # Bounds of keys would lie in the manifests, and an erased key could be one. Days and releases are found by theirs.
    "write.metadata.metrics.default": "none",
    f"write.metadata.metrics.column.{History.DS}": "full",
    f"write.metadata.metrics.column.{History.RELEASE_ID}": "full",
    # A commit that lost a race is looked at again from the start, not repeated blindly.
    "commit.retry.num-retries": "0",
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "20",
}

FLUSHED = {"py-io-impl": "graphrep.store.history_files.FlushedFiles"}
"""Named and not imported, since pyiceberg is an extra."""


@dataclass(frozen=True, slots=True)
class HeldDay:
    """What a table holds of one day."""

    ds: str
    release_id: str
    rows: int
    data: tuple[DataFile, ...]


def history_lock(warehouse: Path) -> Path:
    """Shared by writers of the history on this machine; held alone by an erasure, and while a catalog is made."""
    return warehouse / ".history.lock"


@contextmanager
def open_catalog(warehouse: Path, name: str, properties: Mapping[str, str]) -> Iterator[Catalog]:
    """A pyiceberg catalog; SQLite in ``history/`` of the warehouse where no properties are given.

    Raises:
        InputError: pyiceberg is not installed.
        StoreError: what the catalog or its database refused, in one line.
    """
    try:
        from pyiceberg.catalog import load_catalog
    except ImportError:
        fix = 'install it: pip install "graphrep[iceberg]"'
        raise InputError("pyiceberg, which keeps the history", found="none", fix=fix) from None
    place = (warehouse / HISTORY_DIR).resolve()
    given = dict(properties)
    if not given:
        place.mkdir(parents=True, exist_ok=True)
        given = {"type": "sql", "uri": f"sqlite:///{place}/catalog.db", "warehouse": f"file://{place}", **FLUSHED}
    with _one_line(_without_password(str(given.get("uri", name)))):
        with files.locked(place.parent / ".history.made.lock"):  # its own: two cannot make one database
            catalog = load_catalog(name, **given)
        try:
            yield catalog
        finally:
            catalog.close()


def _without_password(address: str) -> str:
    """
    >>> _without_password("postgresql://me:secret@host/db"), _without_password("sqlite:////a:b@c.db")
    ('postgresql://me:***@host/db', 'sqlite:////a:b@c.db')
    """
    return re.sub(r"^([^/]*//[^/:@]*):[^/@]*@", r"\1:***@", address)


@contextmanager
def _one_line(where: str) -> Iterator[None]:
    try:
        yield
    except (GraphrepError, OSError):
        raise
    except Exception as error:
        if type(error).__module__.split(".")[0] not in ("pyiceberg", "sqlalchemy"):
            raise
        found = f"{type(error).__name__}: {error}"
        raise StoreError("a history that can be read and written", found=found, where=where) from None


def node_types(catalog: Catalog, namespace: str) -> list[str]:
    """The types that have a table."""
    if not catalog.namespace_exists(namespace):
        return []
    names = [name[-1] for name in catalog.list_tables(namespace)]
    return sorted(name.removesuffix(SUFFIX) for name in names if name.endswith(SUFFIX))


def open_table(catalog: Catalog, namespace: str, node_type: str) -> Table:
    """The table of a type as it is now."""
    return catalog.load_table((namespace, f"{node_type}{SUFFIX}"))


def make_table(catalog: Catalog, namespace: str, node_type: str) -> Table:
    """The table of a type, made where there is none."""
    from pyiceberg.partitioning import PartitionField, PartitionSpec
    from pyiceberg.transforms import IdentityTransform

    schema = _schema()
    ds = PartitionField(schema.find_field(History.DS).field_id, 1000, IdentityTransform(), History.DS)
    catalog.create_namespace_if_not_exists(namespace)
    name = (namespace, f"{node_type}{SUFFIX}")
    return catalog.create_table_if_not_exists(name, schema, partition_spec=PartitionSpec(ds), properties=PROPERTIES)


def _schema() -> Any:
    from pyiceberg import types
    from pyiceberg.schema import Schema

    plain = {"string": types.StringType(), "int64": types.LongType()}
    fields = []
    for number, column in enumerate(HISTORY.columns, start=1):
        kind = plain.get(column.type) or types.ListType(len(HISTORY.columns) + 1, types.FloatType(), False)
        fields.append(types.NestedField(number, column.name, kind, required=True, doc=column.meaning))
    return Schema(*fields)


def held_days(table: Table, branch: str = MAIN) -> dict[str, HeldDay]:
    """The days of a table, by what its manifests say of the data files; none is opened.

    Raises:
        StoreError: a file of another writer, or one with deletes beside it, which readers of plain Parquet miss.
    """
    release = table.schema().find_field(History.RELEASE_ID).field_id
    found: dict[str, list[DataFile]] = {}
    for task in table.scan().use_ref(branch).plan_files() if branch in table.refs() else []:
        low, high = task.file.lower_bounds.get(release), task.file.upper_bounds.get(release)
        if low is None or low != high or task.delete_files:
            raise StoreError("files of one release each", found="another writer's", where=task.file.file_path)
        found.setdefault(str(task.file.partition[0]), []).append(task.file)
    return {ds: _held(ds, found[ds], release) for ds in sorted(found)}


def _held(ds: str, data: Sequence[DataFile], release: int) -> HeldDay:
    ids = sorted({file.lower_bounds[release].decode() for file in data})
    return HeldDay(ds, "+".join(ids), sum(file.record_count for file in data), tuple(data))


def read_day(table: Table, ds: str, branch: str = MAIN, columns: Sequence[str] | None = None) -> pa.Table:
    """The rows of a day, in the order of the release, with the checksums of their pages verified.

    Raises:
        StoreError: a file is missing or damaged.
    """
    held = held_days(table, branch).get(ds)
    names = list(columns or HISTORY.names)
    parts = [_read_file(table, file, names) for file in held.data] if held else []
    schema = pa.schema([HISTORY.schema.field(name) for name in names])
    return pa.concat_tables(parts).cast(schema) if parts else schema.empty_table()


def _read_file(table: Table, file: DataFile, names: list[str]) -> pa.Table:
    try:
        with table.io.new_input(file.file_path).open() as handle:
            read = pq.ParquetFile(handle, page_checksum_verification=True).read(columns=names)
            return read.select(names).replace_schema_metadata(None)
    except (OSError, pa.ArrowInvalid) as error:
        raise StoreError("a whole data file", found=str(error), where=file.file_path) from None
