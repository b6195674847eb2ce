"""An erased key is gone from everything that is ours, releases too, and never comes back; all else stays."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from graphrep import vocab
from graphrep.cli import main
from graphrep.config import NodeSource
from graphrep.contracts import ERASURE, LOG_EVENT, key_hash
from graphrep.contracts.spark import key_hash_column, spark_schema
from graphrep.errors import InputError
from graphrep.logs.erased import mark_erased
from graphrep.logs.events import REASON
from graphrep.lookup import follow_releases, open_release
from graphrep.pipeline.erase import erase
from graphrep.pipeline.run import run_day
from graphrep.store import erase as store
from graphrep.store import tables

USER, HOST, VIDEO = "zarathustra", "xanthippe", "v-énd"
GONE = {"user": [USER], "host": [HOST], "video": [VIDEO]}
NOTHING: dict[str, Any] = {"renewed": {}, "removed": [], "held": {}, "unreadable": []}
DAYS = ("2026-03-01", "2026-03-02", "2026-03-03", "2026-03-04")


def rows_of(place: Any, table: str, ds: str) -> list[dict[str, Any]]:
    """The raw rows of a day as they were delivered."""
    rows: list[dict[str, Any]] = pq.read_table(place.logs / table / f"ds={ds}" / "part-0.parquet").to_pylist()
    return rows


def deliver(place: Any, ds: str) -> None:
    """A good day, and the user, host and video that are to be erased; one row of theirs is refused."""
    place.deliver_day(ds)
    start = int(dt.datetime.fromisoformat(f"{ds}T09:00:00+00:00").timestamp()) * 1000
    rows = {table: rows_of(place, table, ds) for table in ("videos", "live")}
    who = {"ts": start, "user_id": USER}
    rows["videos"].append({**who, "event_id": "z1", "action": "watch", "item_id": "v1", "duration": 3.0})
    rows["videos"].append({**who, "event_id": "z2", "action": "watch", "item_id": "v2", "duration": -3.0})
    other = {"ts": start + 1, "user_id": "u1", "action": "watch"}
    rows["videos"].append({**other, "event_id": "z3", "item_id": VIDEO, "duration": 1.0})
    rows["live"].append({**other, "event_id": "z4", "host_id": HOST, "room_id": "r1"})
    for table, own in rows.items():
        place.deliver(table, ds, own)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory, new_place: Any) -> Any:
    """Four days of logs; 2 and 3 March are published, and the key is everywhere."""
    place = new_place(tmp_path_factory.mktemp("published"))
    place.configure(lambda settings: settings["logs"].update(max_quarantine_share=0.5))
    for ds in DAYS:
        deliver(place, ds)
    run = place.run()
    for ds in DAYS[1:3]:
        run_day(run, ds, at=place.at)
    return place


@pytest.fixture
def own(published: Any, tmp_path: Path) -> Any:
    """A copy of it to change."""
    shutil.copytree(published.root, tmp_path / "own")
    place = type(published)(tmp_path / "own")
    place.configure(lambda settings: settings["logs"].update(max_quarantine_share=0.5))
    return place


def holders(warehouse: Path, word: str) -> set[str]:
    """Tables with a file whose bytes or values hold the word: Parquet decompressed, all else as it lies."""
    found = set()
    for file in warehouse.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            if file.suffix == ".parquet":
                content += json.dumps(pq.read_table(file).to_pylist(), ensure_ascii=False).encode()
            if word.encode() in content:
                found.add(file.relative_to(warehouse).parts[0])
    return found


def bytes_of(warehouse: Path) -> dict[str, str]:
    files = (p for p in warehouse.rglob("*") if p.is_file())
    return {str(p.relative_to(warehouse)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def indices(warehouse: Path) -> dict[tuple[str, str | None, int], str]:
    root = warehouse / tables.IDS
    rows = [row for name in tables.subdirectories(root) for row in tables.read_table(root / name).to_pylist()]
    return {(row["node_type"], row["key"], row["index"]): row["first_ds"] for row in rows}


def test_no_byte_of_the_key_is_left_and_all_else_stays(own: Any) -> None:
    for word in (USER, HOST, VIDEO):
        assert {tables.EVENTS, tables.EDGES, tables.NODE_DAYS, tables.IDS, tables.NODES} <= holders(own.warehouse, word)
    assert tables.QUARANTINE in holders(own.warehouse, USER)
    ids = indices(own.warehouse)
    record = erase(own.run(), GONE, at=own.at)

    for word in (USER, HOST, VIDEO):
        assert not holders(own.warehouse, word)
    left = indices(own.warehouse)
    gone = {(t, k, i) for t, k, i in ids if k in (USER, HOST, VIDEO)}
    assert left == {(t, None if k in (USER, HOST, VIDEO) else k, i): ds for (t, k, i), ds in ids.items()}
    assert {(t, i) for t, k, i in left if k is None} == {(t, i) for t, _, i in gone}
    assert record == {
        "keys": {"user": 1, "host": 1, "video": 1},
        "remembered": 3,
        "dictionary": 3,
        "rows": {"events": 9, "quarantine": 3, "edges": 9, "node_days": 9},
        "graphs": ["2026-03-02", "2026-03-03"],
        "releases": {
            "renewed": {f"{ds}.1": f"{ds}.2" for ds in DAYS[1:3]},
            "removed": [],
            "held": {f"{ds}.1": {"user": 1, "host": 1, "video": 1} for ds in DAYS[1:3]},
            "unreadable": [],
        },
        "horizon": {"served": "2026-04-01", "kept": 7},
        "history": {},
    }
    reader = follow_releases(own.warehouse)
    assert all(reader.get(node_type, keys).denied.all() for node_type, keys in GONE.items())
    assert not reader.get("user", ["u1"]).denied.any()
    events = tables.read_table(tables.partition(own.warehouse, tables.EVENTS, DAYS[0]))
    assert events.num_rows == 18, "the other events of the day"
    assert json.loads(json.dumps(record)) == record


def test_done_again_it_finds_nothing_and_changes_no_byte(own: Any) -> None:
    erase(own.run(), GONE, at=own.at)
    before = bytes_of(own.warehouse)
    again = erase(own.run(), GONE, at=own.at + dt.timedelta(days=1))
    assert bytes_of(own.warehouse) == before
    assert (again["remembered"], again["dictionary"], again["rows"], again["graphs"]) == (0, 0, {}, [])
    assert again["releases"] == NOTHING
    assert again["horizon"]["served"] == "2026-04-01", "it was erased the day before"


def test_the_days_are_made_anew_without_it_and_when_it_comes_again_it_stays_out(own: Any) -> None:
    before = {key: index for _, key, index in indices(own.warehouse)}
    erase(own.run(), GONE, at=own.at)
    again = run_day(own.run(), DAYS[2], at=own.at)[vocab.PUBLISH]
    assert again["release_id"] == "2026-03-03.3"
    live = rows_of(own, "live", DAYS[2])  # the newest day of the window of 4 March
    own.deliver("live", DAYS[2], [*live, {**live[0], "user_id": "new", "event_id": "n"}])
    newest = run_day(own.run(), DAYS[3], at=own.at)[vocab.PUBLISH]
    for release_id in (again["release_id"], newest["release_id"]):
        release = open_release(own.warehouse, release_id)
        assert not any(release.get(t, keys).found.any() for t, keys in GONE.items())
    after = indices(own.warehouse)
    assert {key: index for _, key, index in after if key in before} == {
        key: index for key, index in before.items() if key not in (USER, HOST, VIDEO)
    }, "the neighbours' indices did not move"
    users = sorted(index for node_type, _, index in after if node_type == "user")
    assert users == list(range(8)), "the new key took the next index and not the erased one"
    assert ("user", "new", 7) in after


def test_a_key_that_was_never_met_is_remembered_and_never_enters(own: Any) -> None:
    before = bytes_of(own.warehouse)
    record = erase(own.run(), {"user": ["stranger"]}, at=own.at)
    assert (record["remembered"], record["dictionary"], record["graphs"], record["releases"]) == (1, 0, [], NOTHING)
    changed = {name for name, digest in bytes_of(own.warehouse).items() if before.get(name) != digest}
    assert {Path(name).parts[0] for name in changed} <= {"erased", ".erase.lock"}
    assert not holders(own.warehouse, "stranger")
    own.deliver("live", DAYS[2], [{**row, "user_id": "stranger"} for row in rows_of(own, "live", DAYS[2])])
    run_day(own.run(), DAYS[3], at=own.at)
    assert not any(key == "stranger" for _, key, _ in indices(own.warehouse))
    assert open_release(own.warehouse).get("user", ["stranger", "u1"]).found.tolist() == [False, True]


@pytest.mark.parametrize("steps", [1, 4, 11])
def test_an_erasure_that_was_killed_is_finished_by_the_next(
    own: Any, steps: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(own.root, tmp_path / "whole")
    whole = type(own)(tmp_path / "whole")
    whole.configure(lambda settings: settings["logs"].update(max_quarantine_share=0.5))
    erase(whole.run(), GONE, at=own.at)
    left = iter([None] * steps)
    put = store._replacing

    def put_some(file: Path) -> Any:
        if next(left, KeyboardInterrupt) is not None:
            raise KeyboardInterrupt
        return put(file)

    with monkeypatch.context() as patch:
        patch.setattr(store, "_replacing", put_some)
        with pytest.raises(KeyboardInterrupt):
            erase(own.run(), GONE, at=own.at)
    erase(own.run(), GONE, at=own.at)
    assert bytes_of(own.warehouse) == bytes_of(whole.warehouse)


def test_the_command_reads_a_file_of_keys_and_names_the_releases(
    own: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = own.root / "gone.txt"
    keys.write_bytes(f"\ufeff{USER}\r\nhost\t{HOST}\r\n\r\n".encode())
    command = ["graphrep", "erase", "--keys", str(keys), "--config", str(own.config), "--warehouse", str(own.warehouse)]
    monkeypatch.setattr("sys.argv", command)
    main()
    printed = capsys.readouterr().out
    assert "release     2026-03-03.1 was made anew as 2026-03-03.2" in printed
    assert "from this day's release on, no vector owes anything to these keys" in printed
    assert USER not in printed
    monkeypatch.setattr("sys.argv", [*command, "--json"])
    main()
    assert json.loads(capsys.readouterr().out)["keys"] == {"host": 1, "user": 1}
    keys.write_text("usr\tx\n")
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 2
    assert "'usr'" in capsys.readouterr().err


def test_a_release_that_cannot_be_read_is_named(own: Any) -> None:
    file = own.warehouse / "releases" / "2026-03-02.1" / "user.slots.npy"
    np.save(file, np.zeros(1))
    record = erase(own.run(), {"user": [USER]}, at=own.at)
    assert record["releases"]["unreadable"] == ["2026-03-02.1"]
    assert record["releases"]["renewed"] == {"2026-03-03.1": "2026-03-03.2"}


def test_what_cannot_be_erased_is_bad_input(place: Any) -> None:
    with pytest.raises(InputError, match="a warehouse, found no directory"):
        erase(place.run(), {"user": ["x"]}, at=place.at)
    place.warehouse.mkdir()
    with pytest.raises(InputError, match=r"node types among .*, found \['usr'\]"):
        erase(place.run(), {"usr": ["x"], "user": ["y"]}, at=place.at)


NODES = {
    "user": NodeSource(column="user_id"),
    "host": NodeSource(column="host_id"),
    "video": NodeSource(column="item_id", item_type="video"),
}


def test_rows_that_name_an_erased_key_are_told_apart_whatever_else_is_wrong_with_them(spark: Any) -> None:
    base = {"ts": 1, "ds": "2026-03-01", "domain": "live", "action": "watch", "user_id": "u"}
    given = [
        {"event_id": "kept"},
        {"event_id": "user", "user_id": "é😀"},
        {"event_id": "host", "host_id": "h"},
        {"event_id": "item", "item_type": "video", "item_id": "v"},
        {"event_id": "another type", "item_type": "product", "item_id": "v"},
        {"event_id": "another column", "host_id": "é😀"},
    ]
    blank = dict.fromkeys(LOG_EVENT.names)
    events = spark.createDataFrame([{**blank, **base, **row} for row in given], spark_schema(LOG_EVENT))
    pairs = [("user", "é😀"), ("host", "h"), ("video", "v"), ("room", "r")]
    ledger = [(t, key_hash(t, k), "2026-03-01") for t, k in pairs]
    erased = spark.createDataFrame(ledger, spark_schema(ERASURE)).select("node_type", "key_hash")
    checked = events.selectExpr("*", f"if(event_id = 'user', 'too_late', null) as {REASON}")
    marked = mark_erased(checked, NODES, erased)
    assert sorted(marked.columns) == sorted(checked.columns)
    found = {row.event_id: row[REASON] for row in marked.collect()}
    kept = {"kept", "another type", "another column"}
    assert found == {row["event_id"]: None if row["event_id"] in kept else "erased" for row in given}


def test_spark_hashes_a_key_as_the_ledger_does(spark: Any) -> None:
    keys = ["u1", "", "é😀", "a\tb\n", "x" * 10_000]
    frame = spark.createDataFrame([("user", key) for key in keys], "t string, k string")
    found = frame.select(key_hash_column(frame.t, frame.k)).collect()
    assert [row[0] for row in found] == [key_hash("user", key) for key in keys]
