"""The history in a catalog of a real PostgreSQL: what SQLite's does, and no password in what is said."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from graphrep.contracts import HISTORY
from graphrep.errors import StoreError
from graphrep.store import history, history_commit, history_sweep
from postgres_server import PASSWORD, postgres

DAY, NEXT = "2026-03-01", "2026-03-02"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres() as address:
        yield address


def rows(ds: str, attempt: int) -> pa.Table:
    release = {"ds": ds, "release_id": f"{ds}.{attempt}", "space_id": "space", "last_ds": ds, "source": "graph"}
    found = [{**release, "key": f"key-{i}", "vector": [float(i), float(attempt)], "degree": i} for i in range(5)]
    return pa.Table.from_pylist(found, schema=HISTORY.schema)


def test_days_are_written_replaced_erased_and_a_writer_that_comes_late_loses(server: str, tmp_path: Path) -> None:
    from pyiceberg.exceptions import CommitFailedException

    catalog_of = {"type": "sql", "uri": server, "warehouse": f"file://{tmp_path}/files"}
    with history.open_catalog(tmp_path, "graphrep", catalog_of) as catalog:
        where = (catalog, "graphrep", "user")
        assert history_commit.put_day(*where, rows(DAY, 1))
        assert not history_commit.put_day(*where, rows(DAY, 1)), "there already"
        late = history.open_table(*where)
        branch = history_commit.stage_day(late, NEXT, rows(NEXT, 1))
        assert history_commit.put_day(*where, rows(DAY, 2))
        with pytest.raises(CommitFailedException):
            history_commit.publish_branch(late, branch, f"{NEXT}.1")
        assert history_commit.put_day(*where, rows(NEXT, 1))
        assert history_sweep.erase_keys(*where, ["key-3"]) == 2
    with history.open_catalog(tmp_path, "graphrep", catalog_of) as catalog:  # what a second process finds
        table = history.open_table(catalog, "graphrep", "user")
        held = {ds: (day.release_id, day.rows) for ds, day in history.held_days(table).items()}
        assert held == {DAY: (f"{DAY}.2", 4), NEXT: (f"{NEXT}.1", 4)}
        assert history.read_day(table, NEXT)["key"].to_pylist() == ["key-0", "key-1", "key-2", "key-4"]
    assert not (tmp_path / "history").exists(), "nothing of the own SQLite catalog"


def test_what_is_refused_says_where_without_the_password(server: str, tmp_path: Path) -> None:
    nobody = server.replace("keeper:", "nobody:")
    wrong = {"type": "sql", "uri": nobody, "warehouse": f"file://{tmp_path}"}
    with (
        pytest.raises(StoreError, match=r"nobody:\*\*\*@/postgres") as refused,
        history.open_catalog(tmp_path, "graphrep", wrong) as catalog,
    ):
        history.node_types(catalog, "graphrep")
    assert PASSWORD not in str(refused.value)
