"""Erasure: the ledger of what was erased, and files rewritten without it, one after the other, each in one step.

A file is replaced in its place by a rename, so that no directory is ever absent; a run that was killed is run again.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from graphrep import vocab
from graphrep.contracts import ERASURE, Erasure, Node, key_hash
from graphrep.errors import InputError, StoreError
from graphrep.store import files, runlog, tables
from graphrep.store.denied import LEDGER
from graphrep.store.mentions import COLUMNS, Bools, Wanted, mentions

DAY_GRAPH = (
    tables.CHECKPOINTS,
    tables.SCALARS,
    tables.ARRAYS,
    tables.VECTORS,
    tables.PUBLISHED,
    tables.MAPS,
    tables.ADJACENCY,
    tables.NODES,
)
"""Tables of a day's graph, whose rows are positions. The one that names the keys is removed last."""
NOT_WORKING = (tables.IDS, LEDGER, "releases", "runs", "history")

Change = Callable[[pa.Table, Bools], pa.Table]
"""A table and the rows that name an erased key → what is left of it."""


def erasure_lock(warehouse: Path) -> Path:
    """Held alone by an erasure, and shared by the stages that read and write the working tables."""
    return warehouse / ".erase.lock"


def read_keys(path: Path, default: str, types: Sequence[str]) -> dict[str, list[str]]:
    """Read a file of keys: lines ``KEY`` or ``TYPE<TAB>KEY``, UTF-8; blank lines are passed over.

    Args:
        default: node type of a line without one.
        types: the node types there are.

    Returns:
        node type → its keys, each once, in order.

    Raises:
        InputError: not such a file, an unknown type, or no key at all; the message names the line.
    """
    with files.storing(path):
        content = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    found: dict[str, set[str]] = {}
    for number, line in enumerate(content.split(b"\n"), start=1):
        where = f"{path}, line {number}"
        try:
            text = line.removesuffix(b"\r").decode()
        except UnicodeDecodeError:
            raise InputError("UTF-8", found="other bytes", where=where) from None
        if not text.strip():
            continue
        first, tab, rest = text.partition("\t")
        node_type, key = (first, rest) if tab else (default, text)
        if node_type not in types:
            raise InputError(f"one of the node types {sorted(types)}", found=repr(node_type), where=where)
        if not key:
            raise InputError("a key after the tab", found="nothing", where=where)
        found.setdefault(node_type, set()).add(key)
    if not found:
        raise InputError("at least one key", found="none", where=str(path))
    return {node_type: sorted(found[node_type]) for node_type in sorted(found)}


def ledger_file(warehouse: Path) -> Path:
    """Where the ledger lies, once anything was erased: ``erasure_v1``."""
    return warehouse / LEDGER / "part-0.parquet"


def erased(warehouse: Path, node_type: str) -> set[str]:
    """Hashes of a type in the ledger: :func:`graphrep.contracts.key_hash` of every key that was erased."""
    file = ledger_file(warehouse)
    if not file.is_file():
        return set()
    known = tables.read_table(file.parent, ERASURE.names)
    both = zip(known[Erasure.TYPE].to_pylist(), known[Erasure.HASH].to_pylist(), strict=True)
    return {digest for kind, digest in both if kind == node_type}


def remember(warehouse: Path, keys: Mapping[str, Sequence[str]], ds: str) -> int:
    """Add the hashes that the ledger lacks, before anything is erased: from now on none of the keys can enter.

    Returns:
        How many were added; a ledger that lacks none is left as it is.
    """
    file = ledger_file(warehouse)
    known = tables.read_table(file.parent) if file.is_file() else ERASURE.schema.empty_table()
    have = set(zip(known[Erasure.TYPE].to_pylist(), known[Erasure.HASH].to_pylist(), strict=True))
    asked = {(node_type, key_hash(node_type, key)) for node_type, own in keys.items() for key in own}
    fresh = [{Erasure.TYPE: t, Erasure.HASH: h, Erasure.ERASED_DS: ds} for t, h in sorted(asked - have)]
    if fresh:
        whole = pa.concat_tables([known, pa.Table.from_pylist(fresh, schema=ERASURE.schema)])
        with _replacing(file) as new:
            tables.save_parquet(new, whole.sort_by([(name, "ascending") for name in ERASURE.grain]))
    return len(fresh)


def watermark(warehouse: Path) -> dict[str, Any]:
    """How far the ledger had come: ``count`` of erased keys, and ``sha256`` of its rows in the ledger's order."""
    file = ledger_file(warehouse)
    known = tables.read_table(file.parent) if file.is_file() else ERASURE.schema.empty_table()
    rows = zip(known[Erasure.TYPE].to_pylist(), known[Erasure.HASH].to_pylist(), strict=True)
    whole = "".join(f"{node_type}\0{key}\n" for node_type, key in rows)
    return {"count": known.num_rows, "sha256": hashlib.sha256(whole.encode()).hexdigest()}


def newest(warehouse: Path) -> str | None:
    """The day on which a key was erased last; None where none was."""
    days = _days(warehouse)
    return days[-1] if days else None


def erased_on(warehouse: Path, keys: Mapping[str, Sequence[str]]) -> str | None:
    """The day on which the last of some keys was erased; None where none was."""
    file = ledger_file(warehouse)
    asked = {key_hash(node_type, key) for node_type, own in keys.items() for key in own}
    rows = tables.read_table(file.parent).to_pylist() if file.is_file() else []
    return max((row[Erasure.ERASED_DS] for row in rows if row[Erasure.HASH] in asked), default=None)


def erased_since(warehouse: Path, ds: str | None, count: int) -> str | None:
    """The first day on which a key was erased that a training may have seen.

    Args:
        ds: what :func:`newest` was when the training began; None: nothing had been erased, or it is not known.
        count: how many keys the ledger held then.

    Returns:
        The day, at times one too early: keys erased before the training on that very day are not told apart. None: no
        key was erased since.
    """
    days = _days(warehouse)
    return next((day for day in days if ds is None or day >= ds), None) if len(days) != count else None


def _days(warehouse: Path) -> list[str]:
    file = ledger_file(warehouse)
    return sorted(tables.read_table(file.parent)[Erasure.ERASED_DS].to_pylist()) if file.is_file() else []


@contextmanager
def _replacing(file: Path) -> Iterator[Path]:
    """Give a place to write a file to; it takes the place of the other when the block ends well."""
    with files.staging_directory(file.parent) as staging:
        new = staging / file.name
        yield new
        files.flush_files(staging)
        with files.storing(file):
            new.replace(file)
            files.flush_directory(file.parent)


def without_rows(table: pa.Table, named: Bools) -> pa.Table:
    """A working table without the rows that name an erased key."""
    return table.filter(pa.array(~named))


def with_tombstones(table: pa.Table, named: Bools) -> pa.Table:
    """A segment of the dictionary in which an erased key is null: its index stays, and is never given again."""
    place = table.schema.get_field_index(Node.KEY)
    field = table.schema.field(place).with_nullable(True)
    return table.set_column(place, field, pc.if_else(pa.array(named), None, table[Node.KEY]))


def rewrite(root: Path, wanted: Wanted, change: Change) -> int:
    """Rewrite those Parquet files of a table, in all its directories, that name a wanted key.

    Returns:
        How many rows did.

    Raises:
        StoreError: a file is damaged.
    """
    return sum(_rewrite_file(file, wanted, change) for file in _data_files(root))


def count(root: Path, wanted: Wanted) -> int:
    """How many rows of a directory name a wanted key."""
    return sum(_count_in(file, wanted) for file in _data_files(root))


def _data_files(root: Path) -> list[Path]:
    return sorted(root.rglob("*.parquet"))


def _count_in(file: Path, wanted: Wanted) -> int:
    with _reading(file):
        source = pq.ParquetFile(file, page_checksum_verification=True)
        columns = [name for name in source.schema_arrow.names if name in COLUMNS]
        groups = range(source.num_row_groups) if columns else []
        return sum(int(mentions(source.read_row_group(i, columns), wanted).sum()) for i in groups)


def _rewrite_file(file: Path, wanted: Wanted, change: Change) -> int:
    named = _count_in(file, wanted)
    if not named:
        return 0
    with _reading(file), _replacing(file) as new:
        source = pq.ParquetFile(file, page_checksum_verification=True)
        empty = source.schema_arrow.empty_table()
        schema = change(empty, mentions(empty, wanted)).schema
        with pq.ParquetWriter(new, schema, compression="zstd", write_page_checksum=True) as writer:
            for i in range(source.num_row_groups):  # one at a time: the memory is that of a group, not of the file
                table = source.read_row_group(i)
                writer.write_table(change(table, mentions(table, wanted)))
    return named


@contextmanager
def _reading(file: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowInvalid, OSError) as error:
        fix = "run the stage that writes it again, then erase again"
        raise StoreError("a whole Parquet file", found=str(error), where=str(file), fix=fix) from None


def working_tables(warehouse: Path) -> list[str]:
    """The tables whose rows stand for themselves: all but day graphs, the dictionary, releases and records."""
    kept = {*NOT_WORKING, *DAY_GRAPH}
    return [name for name in tables.subdirectories(warehouse) if name not in kept and not name.startswith(".")]


def remove_leftovers(warehouse: Path) -> None:
    """Remove what killed writers left of their staging; only for a caller who holds :func:`erasure_lock`."""
    for staging in list(warehouse.rglob(files.STAGING)):
        files.remove_staging(staging.parent)


def copy_files(source: Path, target: Path, names: Iterable[str]) -> None:
    """Copy files of one directory into another that is being staged."""
    for name in names:
        with files.storing(source / name):
            shutil.copyfile(source / name, target / name)


def remove_day_graph(warehouse: Path, ds: str) -> None:
    """Remove a day's graph with all that was made from it, and the records of it, so that the next run makes it anew.

    What names the keys goes last: a removal that was killed in the middle is found and finished by the next.
    """
    path = runlog.run_manifest_path(warehouse, ds)
    if path.exists():
        with files.locked(path.with_name(".lock")):
            manifest = runlog.read_run(warehouse, ds)
            kept = {name: record for name, record in manifest["stages"].items() if name in vocab.DAY_TABLES}
            files.write_json(path, {**manifest, "stages": kept})
    for table in DAY_GRAPH:
        place = tables.partition(warehouse, table, ds)
        if place.is_dir():
            with files.storing(place):
                shutil.rmtree(place)
