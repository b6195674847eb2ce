"""The tables follow the pointer, also back, are kept within their age, and lose what is erased."""

from __future__ import annotations

import datetime as dt
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graphrep.errors import InputError, StoreError
from graphrep.lookup import open_release
from graphrep.pipeline import erase, history
from graphrep.store import history as store
from graphrep.store import history_commit, releases

DAYS = ("2026-03-01", "2026-03-02", "2026-03-03")
AT = dt.datetime(2026, 3, 4, tzinfo=dt.UTC)


def vectors(seed: int) -> dict[str, dict[str, list[float]]]:
    rng = np.random.default_rng(seed)
    return {kind: {f"{kind}-{i}": rng.normal(size=3).tolist() for i in range(9)} for kind in ("host", "user")}


def shown(run: Any) -> dict[str, list[tuple[str, str, int]]]:
    tables = history.show(run)["tables"]
    return {t: [(d["ds"], d["release_id"], d["rows"]) for d in days] for t, days in tables.items()}


@pytest.fixture
def run(still_place: Any, publish_vectors: Any) -> Any:
    """Three published days, no history yet."""
    for number, ds in enumerate(DAYS):
        publish_vectors(still_place.warehouse, ds, vectors(number))
    return still_place.run()


def test_the_tables_hold_what_the_releases_hold_and_follow_the_pointer_back(run: Any, publish_vectors: Any) -> None:
    record = history.sync(run, at=AT)
    assert record["written"] == {"host": list(DAYS), "user": list(DAYS)}
    assert history.sync(run, at=AT) == {"written": {}, "dropped": {}, "states": 0, "files": 0}
    with store.open_catalog(run.warehouse, "graphrep", {}) as catalog:
        table = store.open_table(catalog, "graphrep", "user")
        rows = store.read_day(table, DAYS[1])
    release = open_release(run.warehouse, f"{DAYS[1]}.1")
    hit = release.get("user", rows["key"].to_pylist())
    assert rows["key"].to_pylist() == release.keys("user")
    assert np.array_equal(np.stack(rows["vector"].to_numpy()), hit.vectors)
    assert rows["source"].to_pylist() == hit.source.tolist()
    assert set(rows["space_id"].to_pylist()) == {release.space_id}

    second = publish_vectors(run.warehouse, DAYS[2], vectors(7))
    assert history.sync(run, DAYS[2], at=AT)["written"] == {"host": [DAYS[2]], "user": [DAYS[2]]}
    assert shown(run)["user"][2] == (DAYS[2], second, 9)
    releases.rollback(run.warehouse, f"{DAYS[1]}.1", at=AT)
    assert history.sync(run, at=AT)["dropped"] == {"host": [DAYS[2]], "user": [DAYS[2]]}, "withdrawn, with no other"
    assert [ds for ds, *_ in shown(run)["user"]] == list(DAYS[:2])
    releases.rollback(run.warehouse, f"{DAYS[2]}.1", at=AT)
    history.sync(run, at=AT)
    assert shown(run)["host"][2] == (DAYS[2], f"{DAYS[2]}.1", 9)


def test_a_sync_that_failed_between_the_tables_is_made_up(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*given: Any) -> None:
        if given[0].name()[-1].startswith("user"):
            raise StoreError("a disk with room", found="none")
        publish(*given)

    publish = history_commit.publish_branch
    monkeypatch.setattr(history_commit, "publish_branch", fail)
    with pytest.raises(StoreError, match="a disk with room"):
        history.sync(run, at=AT)
    monkeypatch.undo()
    assert shown(run) == {"host": [(DAYS[0], f"{DAYS[0]}.1", 9)], "user": []}
    history.sync(run, at=AT)
    assert [len(days) for days in shown(run).values()] == [3, 3]


def test_days_beyond_their_age_leave(still_place: Any, run: Any) -> None:
    still_place.configure(lambda settings: settings.update(history={"keep_days": 1}))
    short = still_place.run()
    history.sync(run, at=AT)
    assert history.sync(short, at=AT)["dropped"] == {"host": [DAYS[0]], "user": [DAYS[0]]}
    assert [ds for ds, *_ in shown(short)["host"]] == list(DAYS[1:])
    late = AT + dt.timedelta(days=4000)
    assert history.sync(short, at=late)["files"] > 0, "the files of the dropped day"
    assert history.sync(short, at=late) == {"written": {}, "dropped": {}, "states": 0, "files": 0}


def test_an_erased_key_leaves_the_history_and_does_not_come_back(run: Any) -> None:
    history.sync(run, at=AT)
    assert b"user-3" in everything(run.warehouse)
    record = erase.erase(run, {"user": ["user-3", "nobody"]}, at=AT)
    assert record["history"] == {"user": 3}
    assert b"user-3" not in everything(run.warehouse)
    again = history.sync(run, at=AT)["written"]
    assert again == {"host": list(DAYS), "user": list(DAYS)}, "every day's release was made anew without the key"
    assert shown(run) == {
        "host": [(ds, f"{ds}.2", 9) for ds in DAYS],
        "user": [(ds, f"{ds}.2", 8) for ds in DAYS],
    }
    assert history.sync(run, at=AT)["written"] == {}
    assert b"user-3" not in everything(run.warehouse)


def everything(warehouse: Path) -> bytes:
    import pyarrow.parquet as pq

    found = b""
    for file in (warehouse / "history").rglob("*"):
        if file.is_file():
            found += file.read_bytes()
            found += repr(pq.read_table(file).to_pylist()).encode() if file.suffix == ".parquet" else b""
    return found


def test_what_cannot_be_is_said_in_one_line(still_place: Any, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"a history, found none .*graphrep history sync"):
        history.show(run)
    with pytest.raises(InputError, match=r"not withdrawn.*found 2026-02-01"):
        history.sync(run, "2026-02-01", at=AT)
    parquet = run.warehouse / "releases" / f"{DAYS[0]}.1" / "user.parquet"
    parquet.write_bytes(parquet.read_bytes()[:-9] + b"123456789")
    with pytest.raises(StoreError, match="the bytes that were published"):
        history.sync(run, at=AT)
    monkeypatch.setitem(sys.modules, "pyiceberg.catalog", None)
    with pytest.raises(InputError, match=r'pyiceberg.*pip install "graphrep\[iceberg\]"'):
        history.sync(run, at=AT)


def test_a_catalog_that_cannot_be_reached_is_one_line(still_place: Any, run: Any) -> None:
    elsewhere = {
        "type": "sql",
        "uri": f"sqlite:///{run.warehouse}/nowhere/else.db",
        "warehouse": f"file://{run.warehouse}",
    }
    still_place.configure(lambda settings: settings.update(history={"catalog": elsewhere}))
    with pytest.raises(StoreError, match=r"a history that can be read and written.*unable to open") as caught:
        history.sync(still_place.run(), at=AT)
    assert "\n" not in str(caught.value)
