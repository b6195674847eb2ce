"""What pyiceberg leaves lying: old states expired with their files, files of killed writers removed, keys erased."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import fs

from graphrep.contracts import HISTORY, History
from graphrep.errors import StoreError, of_system
from graphrep.store import history, history_commit

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table


def drop_days(
    catalog: Catalog, namespace: str, node_type: str, unwanted: Callable[[history.HeldDay], bool]
) -> list[str]:
    """Take days out of what is current: too old ones, or those of a release that was withdrawn.

    Returns:
        The days that were taken out.
    """

    def plan_for(ds: str) -> history_commit.Plan:
        def plan(table: Table) -> pa.Table | None:
            held = history.held_days(table).get(ds)
            return HISTORY.schema.empty_table() if held and unwanted(held) else None

        return plan

    held = history.held_days(history.open_table(catalog, namespace, node_type))
    found = [ds for ds, day in held.items() if unwanted(day)]
    return [ds for ds in found if history_commit.replace_day(catalog, namespace, node_type, ds, plan_for(ds), tag=None)]


def erase_keys(catalog: Catalog, namespace: str, node_type: str, keys: Collection[str]) -> int:
    """Write the days anew that hold one of these keys, without their rows. Older states still hold them: expire those.

    Returns:
        How many rows were left out.
    """
    wanted = pa.array(sorted(keys), pa.string())
    left_out: dict[str, int] = {}

    def plan_for(ds: str) -> history_commit.Plan:
        def plan(table: Table) -> pa.Table | None:
            if not pc.any(pc.is_in(history.read_day(table, ds, columns=[History.KEY])[History.KEY], wanted)).as_py():
                return None
            rows = history.read_day(table, ds)
            kept = rows.filter(pc.invert(pc.is_in(rows[History.KEY], wanted)))
            left_out[ds] = rows.num_rows - kept.num_rows
            return kept

        return plan

    for ds, held in history.held_days(history.open_table(catalog, namespace, node_type)).items():
        history_commit.replace_day(catalog, namespace, node_type, ds, plan_for(ds), tag=held.release_id)
    return sum(left_out.values())


def expire(catalog: Catalog, namespace: str, node_type: str, *, before: dt.datetime | None) -> int:
    """Forget states that were replaced before a moment, with their tags, and branches that nobody finished.

    A state that was current until an hour ago may have readers, however old it is: its age counts from its successor.

    Args:
        before: UTC; None forgets everything but the current state, at once.

    Returns:
        How many states were forgotten; their files lie there until :func:`sweep`.
    """
    limit = None if before is None else int(before.timestamp() * 1000)
    return history_commit.until_won(catalog, namespace, node_type, lambda table: _expire(table, limit))


def _expire(table: Table, limit: int | None) -> int:
    main = table.current_snapshot()
    if main is None:
        return 0
    replaced = _replaced_at(table, main.snapshot_id)
    old = {s for s, at in replaced.items() if s != main.snapshot_id and (limit is None or at < limit)}
    gone = [(name, ref) for name, ref in table.refs().items() if ref.snapshot_id in old]
    if gone:
        change = table.manage_snapshots()
        for name, ref in gone:
            is_branch = ref.snapshot_ref_type.value == "branch"
            change = change.remove_branch(name) if is_branch else change.remove_tag(name)
        change.commit()
    if old:
        table.maintenance.expire_snapshots().by_ids(sorted(old)).commit()
    return len(old)


def _replaced_at(table: Table, main: int) -> dict[int, int]:
    """Snapshot → when its successor was made, epoch milliseconds; its own time where it never was current."""
    known = {snapshot.snapshot_id: snapshot for snapshot in table.snapshots()}
    found = {name: snapshot.timestamp_ms for name, snapshot in known.items()}
    child = known[main]
    while (parent := known.get(child.parent_snapshot_id or -1)) is not None:
        found[parent.snapshot_id] = child.timestamp_ms
        child = parent
    return found


def sweep(catalog: Catalog, namespace: str, node_type: str, *, before: dt.datetime) -> int:
    """Remove the files of a table that no state of it reaches and that were written before a moment.

    A writer at work has files that no state reaches yet: the moment must lie further back than any commit takes.

    Args:
        before: UTC.

    Returns:
        How many files were removed.

    Raises:
        StoreError: the place cannot be listed or a file not be removed.
    """
    table = history.open_table(catalog, namespace, node_type)
    place, root = _place(table, table.location())
    reached = {_place(table, location)[1] for location in _reached(table)}
    try:
        listed = place.get_file_info(fs.FileSelector(root, recursive=True))
        lost = [f.path for f in listed if f.is_file and f.path not in reached and f.mtime < before]
        for path in lost:
            place.delete_file(path)
    except OSError as error:
        raise of_system(error, table.location()) from None
    return len(lost)


def _place(table: Table, location: str) -> tuple[Any, str]:
    """The file system of a location, with the catalog's credentials, and the path in it."""
    from pyiceberg.io.pyarrow import PyArrowFileIO

    if not isinstance(table.io, PyArrowFileIO):
        found = type(table.io).__name__
        fix = "set py-io-impl: pyiceberg.io.pyarrow.PyArrowFileIO in history.catalog"
        raise StoreError("a history read by pyarrow, to list its files", found=found, fix=fix)
    scheme, netloc, path = table.io.parse_location(location, table.io.properties)
    return table.io.fs_by_scheme(scheme, netloc), path


def _reached(table: Table) -> set[str]:
    found = {table.metadata_location, *(entry.metadata_file for entry in table.metadata.metadata_log)}
    found |= {entry.statistics_path for entry in table.metadata.statistics}
    found |= {entry.statistics_path for entry in table.metadata.partition_statistics}
    for snapshot in table.snapshots():
        found.add(snapshot.manifest_list)
        for manifest in snapshot.manifests(table.io):
            found.add(manifest.manifest_path)
            found |= {entry.data_file.file_path for entry in manifest.fetch_manifest_entry(table.io)}
    return found
