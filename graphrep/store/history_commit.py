"""One day of the history, written whole: branch, audit, publish.

A day is written to a branch, read back and compared, and made current in one commit together with its tag. pyiceberg
makes any branch current, also one that would drop somebody's commit: here only one that goes on from what is current.
Everything is looked up before it is done, so that a run that was killed anywhere, or lost a race, is run again.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from graphrep.contracts import HISTORY, History, check_table
from graphrep.errors import InputError, StoreError
from graphrep.store.history import SUFFIX, WRITE, held_days, make_table, open_table, read_day

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.manifest import DataFile
    from pyiceberg.table import Table

RELEASE, DAY = "graphrep.release-id", "graphrep.ds"
ATTEMPTS = 5
PAUSE = 0.2

Result = TypeVar("Result")
Plan = Callable[["Table"], "pa.Table | None"]
"""A table as it is now → the rows that a day is to hold, or None where it holds them."""


def put_day(catalog: Catalog, namespace: str, node_type: str, rows: pa.Table) -> bool:
    """Make a day of a table hold these rows, in place of what it held. The other days stay.

    Args:
        rows: of ``history_v1``, of one day and one release.

    Returns:
        Whether it was written; a day that holds this release is left as it is.

    Raises:
        StoreError: what was written is not what was read back, or others won every race.
        InputError: the rows break their contract.
    """
    ds, release_id = (_only(rows, name) for name in (History.DS, History.RELEASE_ID))
    _check(rows)

    def plan(table: Table) -> pa.Table | None:
        held = held_days(table).get(ds)
        return None if held and held.release_id == release_id else rows

    make_table(catalog, namespace, node_type)
    return replace_day(catalog, namespace, node_type, ds, plan, tag=release_id)


def _only(rows: pa.Table, name: str) -> str:
    values = pc.unique(rows[name]).to_pylist()
    if len(values) != 1:
        raise InputError(f"rows of one {name}", found=str(values[:3]), where=HISTORY.name)
    return str(values[0])


def _check(rows: pa.Table) -> None:
    check_table(rows, HISTORY)
    lengths = pc.unique(pc.list_value_length(rows[History.VECTOR])).to_pylist()
    if len(lengths) != 1:
        raise InputError("vectors of one length", found=str(sorted(lengths)), where=HISTORY.name)
    numbers = pc.list_flatten(rows[History.VECTOR])
    if numbers.null_count or not np.isfinite(numbers.to_numpy()).all():
        raise InputError("finite vectors", found="a NaN, an infinity or a null", where=HISTORY.name)


def replace_day(catalog: Catalog, namespace: str, node_type: str, ds: str, plan: Plan, *, tag: str | None) -> bool:
    """Branch, audit, publish: until the day holds what the plan says. Whoever loses a race looks again and plans anew.

    Args:
        tag: name of the state that this makes current; one of that name is moved.

    Returns:
        Whether anything was written.
    """

    def act(table: Table) -> bool:
        rows = plan(table)
        if rows is None:
            return False
        if table.current_snapshot() is None:
            begin_table(table)
        branch = stage_day(table, ds, rows)
        audit_day(table, ds, rows, branch)
        publish_branch(table, branch, tag)
        return True

    return until_won(catalog, namespace, node_type, act)


def until_won(catalog: Catalog, namespace: str, node_type: str, act: Callable[[Table], Result]) -> Result:
    """Act on a table as it is now; after a lost race, or a commit whose outcome nobody told, look and act again.

    Raises:
        StoreError: others won every race.
    """
    from pyiceberg.exceptions import CommitFailedException, CommitStateUnknownException, ValidationException

    lost = ""
    for attempt in range(ATTEMPTS):
        time.sleep(PAUSE * attempt)
        try:
            return act(open_table(catalog, namespace, node_type))
        except (CommitFailedException, CommitStateUnknownException, ValidationException) as error:
            lost = f"{type(error).__name__}: {error}"
    fix = "others write it: run again when they are done"
    raise StoreError(f"to win one race of {ATTEMPTS}", found=lost, where=f"{node_type}{SUFFIX}", fix=fix)


def begin_table(table: Table) -> None:
    """Give a new table a first, empty state: a table without one takes no branch."""
    with table.transaction() as change, change.update_snapshot().fast_append():
        pass


def stage_day(table: Table, ds: str, rows: pa.Table) -> str:
    """Write a day to its branch; one that holds the same already, left by a killed run or made by another, is used."""
    branch = f"{WRITE}{ds}"
    main = table.current_snapshot()
    if branch in table.refs():
        head = table.snapshot_by_name(branch)
        goes_on = main is not None and head is not None and head.parent_snapshot_id == main.snapshot_id
        if goes_on and rows.num_rows and read_day(table, ds, branch).equals(rows):
            return branch
        table.manage_snapshots().remove_branch(branch).commit()
    if main is not None:
        table.manage_snapshots().create_branch(main.snapshot_id, branch).commit()
    held = held_days(table).get(ds)
    new = list(_write_file(table, ds, rows)) if rows.num_rows else []
    commit_day(table, branch, ds, rows, held.data if held else (), new)
    return branch


def _write_file(table: Table, ds: str, rows: pa.Table) -> Iterator[DataFile]:
    from pyiceberg.io.pyarrow import parquet_files_to_data_files, schema_to_pyarrow

    name = f"{table.location()}/data/{ds}/{uuid.uuid4().hex}.parquet"
    plain = rows.cast(schema_to_pyarrow(table.schema()))  # with Iceberg's field ids, by which its readers go
    with table.io.new_output(name).create() as handle:
        pq.write_table(plain, handle, compression="zstd", write_page_checksum=True, store_schema=False)
    yield from parquet_files_to_data_files(table.io, table.metadata, iter([name]))


def commit_day(
    table: Table, branch: str, ds: str, rows: pa.Table, old: Sequence[DataFile], new: Sequence[DataFile]
) -> None:
    """One snapshot on the branch in which the new files of a day stand in the place of the old ones."""
    from pyiceberg.expressions import EqualTo

    told = {DAY: ds, **({RELEASE: _only(rows, History.RELEASE_ID)} if rows.num_rows else {})}
    with (
        table.transaction() as change,
        change.update_snapshot(snapshot_properties=told, branch=branch).overwrite() as snapshot,
    ):
        if old:
            snapshot.delete_by_predicate(EqualTo(term=History.DS, value=ds))
        for file in old:
            snapshot.delete_data_file(file)
        for file in new:
            snapshot.append_data_file(file)


def audit_day(table: Table, ds: str, rows: pa.Table, branch: str) -> None:
    """Read a branch back: the day as it should be, value for value, and every other day as it is on main.

    Raises:
        StoreError: it is not; nothing was made current.
    """
    staged, current = held_days(table, branch), held_days(table)
    read = read_day(table, ds, branch)
    where = f"{table.name()[-1]} {branch}"
    if read.num_rows != rows.num_rows:
        raise StoreError(f"{rows.num_rows} rows of {ds}", found=str(read.num_rows), where=where)
    if not read.equals(rows):
        raise StoreError(f"the rows of {ds} as they were written", found="others", where=where)
    if {d: h for d, h in staged.items() if d != ds} != {d: h for d, h in current.items() if d != ds}:
        raise StoreError("no change of other days", found="one", where=where)


def publish_branch(table: Table, branch: str, tag: str | None) -> None:
    """Make a branch current, name the state and remove the branch, in one commit.

    Raises:
        CommitFailedException: the branch does not go on from what is current, or somebody else was first.
    """
    from pyiceberg.exceptions import CommitFailedException
    from pyiceberg.table.snapshots import ancestors_of

    main, head = table.current_snapshot(), table.snapshot_by_name(branch)
    before = {snapshot.snapshot_id for snapshot in ancestors_of(head, table.metadata)} if head else set()
    if head is None or (main is not None and main.snapshot_id not in before):
        raise CommitFailedException(f"{branch} does not go on from the current state")
    change = table.manage_snapshots().set_current_snapshot(snapshot_id=head.snapshot_id)
    if tag is not None:
        change = change.create_tag(head.snapshot_id, tag)
    change.remove_branch(branch).commit()
