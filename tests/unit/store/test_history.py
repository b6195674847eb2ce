"""The history is right whoever dies, races or looks: a day is whole or not there, and an erased key is nowhere."""

from __future__ import annotations

import datetime as dt
import os
import signal
import subprocess
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest

from graphrep.contracts import HISTORY
from graphrep.errors import InputError, StoreError
from graphrep.store import history, history_commit, history_sweep

DAY, NEXT = "2026-03-01", "2026-03-02"
LONG_AGO = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
SOON = dt.datetime(2999, 1, 1, tzinfo=dt.UTC)

WRITER = """
import os, signal, sys
from pathlib import Path
from graphrep.store import history, history_commit as commit
from tests_rows import rows
warehouse, ds, attempt, moment = Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
def dying(name, before):
    whole = getattr(commit, name)
    def stopped(*args, **kwargs):
        if before: os.kill(os.getpid(), signal.SIGKILL)
        done = whole(*args, **kwargs)
        if name == "_write_file": done = list(done)
        os.kill(os.getpid(), signal.SIGKILL)
    setattr(commit, name, stopped)
if moment != "never":
    name, when = moment.split(" ")
    dying(name, when == "before")
print("ready", flush=True)
sys.stdin.readline()
with history.open_catalog(warehouse, "graphrep", {}) as catalog:
    for kind in ("host", "user"):
        print(kind, commit.put_day(catalog, "graphrep", kind, rows(ds, f"{ds}.{attempt}", int(attempt))), flush=True)
"""


def rows(ds: str, release_id: str, seed: int = 0, count: int = 6) -> pa.Table:
    vectors = np.random.default_rng(seed).normal(size=(count, 3)).astype(np.float32)
    found = [
        {
            "ds": ds,
            "release_id": release_id,
            "space_id": "space",
            "key": f"key-{i}",
            "vector": vector.tolist(),
            "degree": i,
            "last_ds": ds,
            "source": "graph",
        }
        for i, vector in enumerate(vectors)
    ]
    return pa.Table.from_pylist(found, schema=HISTORY.schema)


@contextmanager
def opened(warehouse: Path) -> Iterator[Any]:
    with history.open_catalog(warehouse, "graphrep", {}) as catalog:
        yield catalog


def put(warehouse: Path, table: pa.Table, kind: str = "user") -> bool:
    with opened(warehouse) as catalog:
        return history_commit.put_day(catalog, "graphrep", kind, table)


def held(warehouse: Path, kind: str = "user") -> dict[str, str]:
    with opened(warehouse) as catalog:
        if kind not in history.node_types(catalog, "graphrep"):
            return {}
        table = history.open_table(catalog, "graphrep", kind)
        return {ds: day.release_id for ds, day in history.held_days(table).items()}


def files_of(warehouse: Path, kind: str = "user") -> dict[str, list[Path]]:
    with opened(warehouse) as catalog:
        days = history.held_days(history.open_table(catalog, "graphrep", kind))
    return {ds: [Path(f.file_path.removeprefix("file://")) for f in day.data] for ds, day in days.items()}


def test_every_file_of_a_state_is_on_the_disk_before_the_catalog_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: set[str] = set()
    real = os.fsync

    def noted(descriptor: int) -> None:
        real(descriptor)
        flushed.add(os.readlink(f"/proc/self/fd/{descriptor}"))

    monkeypatch.setattr(os, "fsync", noted)
    put(tmp_path, rows(DAY, f"{DAY}.1"))
    put(tmp_path, rows(NEXT, f"{NEXT}.1"))
    made = [path for path in (tmp_path / "history").rglob("*") if not path.name.startswith("catalog.db")]
    assert {path.suffix for path in made if path.is_file()} == {".parquet", ".avro", ".json"}
    assert {str(path) for path in made} <= flushed, "directories, too"


def start(warehouse: Path, ds: str, attempt: int, moment: str = "never") -> subprocess.Popen[str]:
    source = WRITER.replace(
        "from tests_rows import rows\n", "sys.path.insert(0, sys.argv[5])\nfrom test_history import rows\n"
    )
    command = [sys.executable, "-c", source, str(warehouse), ds, str(attempt), moment, str(Path(__file__).parent)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_day_is_written_once_and_replaced_alone(tmp_path: Path) -> None:
    assert put(tmp_path, rows(DAY, f"{DAY}.1"))
    assert put(tmp_path, rows(NEXT, f"{NEXT}.1", seed=1))
    before = files_of(tmp_path)
    assert not put(tmp_path, rows(DAY, f"{DAY}.1")), "there already"
    assert files_of(tmp_path) == before
    assert put(tmp_path, rows(DAY, f"{DAY}.2", seed=2, count=4))
    assert held(tmp_path) == {DAY: f"{DAY}.2", NEXT: f"{NEXT}.1"}
    assert files_of(tmp_path)[NEXT] == before[NEXT]
    with opened(tmp_path) as catalog:
        table = history.open_table(catalog, "graphrep", "user")
        assert history.read_day(table, DAY).equals(rows(DAY, f"{DAY}.2", seed=2, count=4))
        assert set(table.refs()) == {"main", f"{DAY}.1", f"{DAY}.2", f"{NEXT}.1"}
        named = table.snapshot_by_name(f"{NEXT}.1")
        assert named is not None
        assert named.summary is not None
        assert named.summary[history_commit.RELEASE] == f"{NEXT}.1"
        then = table.scan(snapshot_id=named.snapshot_id).to_arrow()
        assert sorted(set(then["release_id"].to_pylist())) == [f"{DAY}.1", f"{NEXT}.1"], (
            "a tag is the state of its time"
        )


@pytest.mark.parametrize(
    ("column", "value", "named"),
    [
        ("vector", [1.0, 2.0], "one length"),
        ("vector", [1.0, 2.0, float("nan")], "finite"),
        ("key", "key-1", "one row per"),
        ("release_id", "2026-03-01.9", "one release_id"),
        ("ds", NEXT, "one ds"),
    ],
)
def test_rows_that_break_the_contract_are_refused_before_anything_is_written(
    tmp_path: Path, column: str, value: Any, named: str
) -> None:
    broken = rows(DAY, f"{DAY}.1").to_pylist()
    broken[0][column] = value
    with pytest.raises(InputError, match=named):
        put(tmp_path, pa.Table.from_pylist(broken, schema=HISTORY.schema))
    assert held(tmp_path) == {}


def test_what_is_not_read_back_as_it_was_written_is_not_made_current(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, rows(DAY, f"{DAY}.1"))
    write = history_commit._write_file
    for wrong in (rows(DAY, f"{DAY}.2", seed=5), rows(DAY, f"{DAY}.2", count=5)):
        monkeypatch.setattr(history_commit, "_write_file", lambda table, ds, _, wrong=wrong: write(table, ds, wrong))
        with pytest.raises(StoreError, match=r"rows of 2026-03-01"):
            put(tmp_path, rows(DAY, f"{DAY}.2"))
        assert held(tmp_path) == {DAY: f"{DAY}.1"}
    monkeypatch.undo()
    assert put(tmp_path, rows(DAY, f"{DAY}.2")), "what was left on the branch is not trusted"
    assert held(tmp_path) == {DAY: f"{DAY}.2"}


def test_a_branch_that_would_drop_a_commit_is_not_published(tmp_path: Path) -> None:
    from pyiceberg.exceptions import CommitFailedException

    put(tmp_path, rows(DAY, f"{DAY}.1"))
    with opened(tmp_path) as catalog:
        table = history.open_table(catalog, "graphrep", "user")
        branch = history_commit.stage_day(table, NEXT, rows(NEXT, f"{NEXT}.1"))
        put(tmp_path, rows(DAY, f"{DAY}.2"))
        stale = history.open_table(catalog, "graphrep", "user")
        with pytest.raises(CommitFailedException, match="does not go on"):
            history_commit.publish_branch(stale, branch, f"{NEXT}.1")
        with pytest.raises(CommitFailedException):
            history_commit.publish_branch(table, branch, f"{NEXT}.1")
    assert held(tmp_path) == {DAY: f"{DAY}.2"}
    assert put(tmp_path, rows(NEXT, f"{NEXT}.1"))
    assert held(tmp_path) == {DAY: f"{DAY}.2", NEXT: f"{NEXT}.1"}


MOMENTS = ["begin_table after", "_write_file after", "commit_day after", "publish_branch after"]


@pytest.mark.parametrize("moment", MOMENTS)
def test_whoever_is_killed_anywhere_leaves_whole_days_and_is_run_again(tmp_path: Path, moment: str) -> None:
    """After the publishing of the first table is between the tables."""
    first = not moment.startswith("begin_table")
    if first:
        for kind in ("host", "user"):
            put(tmp_path, rows(DAY, f"{DAY}.1"), kind)
    dead = start(tmp_path, NEXT, 1, moment)
    dead.communicate("\n", timeout=60)
    assert dead.returncode == -signal.SIGKILL
    landed = {NEXT: f"{NEXT}.1"} if moment == "publish_branch after" else {}
    assert held(tmp_path, "host") == ({DAY: f"{DAY}.1"} if first else {}) | landed
    assert held(tmp_path, "user") == ({DAY: f"{DAY}.1"} if first else {})

    for kind in ("host", "user"):
        done_before = kind == "host" and bool(landed)
        assert put(tmp_path, rows(NEXT, f"{NEXT}.1", 1), kind) is not done_before, "what landed is not done twice"
        assert held(tmp_path, kind)[NEXT] == f"{NEXT}.1"
        with opened(tmp_path) as catalog:
            table = history.open_table(catalog, "graphrep", kind)
            assert history.read_day(table, NEXT).equals(rows(NEXT, f"{NEXT}.1", 1))
            assert not [name for name in table.refs() if name.startswith(history.WRITE)]
            history_sweep.sweep(catalog, "graphrep", kind, before=SOON)
            assert len(list((tmp_path / "history").rglob(f"{kind}_embedding/data/{NEXT}/*"))) == 1, "no orphan stays"


def test_writers_of_one_day_and_of_others_at_once_lose_nothing(tmp_path: Path) -> None:
    """Three at once on an empty place: two write the same day from two attempts, one the next."""
    at_work = [start(tmp_path, DAY, 1), start(tmp_path, DAY, 2), start(tmp_path, NEXT, 1)]
    for one in at_work:
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
    for one in at_work:
        assert one.stdin is not None
        one.stdin.write("\n")
        one.stdin.flush()
    said = [one.communicate(timeout=120) for one in at_work]
    for one, (_, wrong) in zip(at_work, said, strict=True):
        lost_and_said_so = "expected to win one race" in wrong
        assert one.returncode == 0 or lost_and_said_so, wrong
    for kind in ("host", "user"):
        put(tmp_path, rows(NEXT, f"{NEXT}.1", 1), kind)  # a writer that lost is run again
        put(tmp_path, rows(DAY, f"{DAY}.2", 2), kind)
        assert held(tmp_path, kind) == {DAY: f"{DAY}.2", NEXT: f"{NEXT}.1"}
        with opened(tmp_path) as catalog:
            table = history.open_table(catalog, "graphrep", kind)
            assert table.scan().to_arrow().num_rows == 12


def test_other_engines_read_the_files(tmp_path: Path) -> None:
    put(tmp_path, rows(DAY, f"{DAY}.1"))
    put(tmp_path, rows(NEXT, f"{NEXT}.1", seed=1))
    paths = [str(path) for own in files_of(tmp_path).values() for path in own]
    found = duckdb.sql(
        f"select ds, count(*), sum(len(vector)) from read_parquet({paths}) group by ds order by ds"
    ).fetchall()
    assert found == [(DAY, 6, 18), (NEXT, 6, 18)], "ds is a column in the file"
    read = pyarrow.dataset.dataset(paths, format="parquet").to_table()
    assert read["ds"].null_count == 0
    assert read.schema.names == HISTORY.names
    with opened(tmp_path) as catalog:
        table = history.open_table(catalog, "graphrep", "user")
        scanned = table.scan(row_filter=f"ds = '{NEXT}'").to_arrow()
    assert np.array_equal(np.stack(scanned["vector"].to_numpy()), np.stack(read["vector"].to_numpy()[6:]))


def test_a_changed_byte_is_noticed(tmp_path: Path) -> None:
    put(tmp_path, rows(DAY, f"{DAY}.1", count=500))
    (path,) = files_of(tmp_path)[DAY]
    whole = path.read_bytes()
    with opened(tmp_path) as catalog:
        table = history.open_table(catalog, "graphrep", "user")
        for at in range(40, len(whole) // 2, len(whole) // 20):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
            with pytest.raises(StoreError, match=r"a whole data file|value"):
                assert history.read_day(table, DAY).equals(rows(DAY, f"{DAY}.1", count=500)), "value"


def test_a_state_stays_for_readers_until_it_was_replaced_long_enough_ago(tmp_path: Path) -> None:
    put(tmp_path, rows(DAY, f"{DAY}.1"))
    put(tmp_path, rows(DAY, f"{DAY}.2", seed=1))
    with opened(tmp_path) as catalog:
        where = (catalog, "graphrep", "user")
        reader = history.open_table(*where)
        replaced = reader.snapshot_by_name("main")
        assert replaced is not None
        old = reader.refs()[f"{DAY}.1"].snapshot_id
        # The old state is older than the moment, but its successor is not: it was current until then.
        between = dt.datetime.fromtimestamp(replaced.timestamp_ms / 1000, dt.UTC)
        assert history_sweep.expire(*where, before=between) <= 1, "the empty first state at most"
        history_sweep.sweep(*where, before=SOON)
        assert reader.scan(snapshot_id=old).to_arrow().num_rows == 6
        data = next(iter(reader.scan(snapshot_id=old).plan_files())).file
        history_sweep.expire(*where, before=SOON)
        assert history_sweep.sweep(*where, before=LONG_AGO) == 0, "too young"
        assert history_sweep.sweep(*where, before=SOON) > 0
        table = history.open_table(*where)
        assert set(table.refs()) == {"main", f"{DAY}.2"}
        assert history.read_day(table, DAY).num_rows == 6
        with pytest.raises(StoreError, match="whole data file"):
            history._read_file(reader, data, ["key"])
    assert put(tmp_path, rows(NEXT, f"{NEXT}.1"))


def test_an_erased_key_is_in_no_byte_and_all_else_stays(tmp_path: Path) -> None:
    for kind in ("host", "user"):
        put(tmp_path, rows(DAY, f"{DAY}.1"), kind)
        put(tmp_path, rows(NEXT, f"{NEXT}.1", seed=1), kind)
        put(tmp_path, rows(NEXT, f"{NEXT}.2", seed=2), kind)
    assert holders(tmp_path / "history", ["graphrep.ds", DAY]) == {"host_embedding", "user_embedding"}
    orphan = tmp_path / "history" / "graphrep" / "user_embedding" / "data" / DAY / "orphan.parquet"
    orphan.write_bytes(b"of a killed writer: key-0")
    keys = ["key-0", "key-5", "never-there"]  # the first and the last: where bounds would hold them
    with opened(tmp_path) as catalog:
        where = (catalog, "graphrep", "user")
        assert history_sweep.erase_keys(*where, keys) == 4
        history_sweep.expire(*where, before=None)
        history_sweep.sweep(*where, before=SOON)
        table = history.open_table(*where)
        for ds, seed in ((DAY, 0), (NEXT, 2)):
            kept = history.read_day(table, ds)
            assert kept.equals(rows(ds, kept["release_id"][0].as_py(), seed).slice(1, 4))
        assert history_sweep.erase_keys(*where, keys) == 0
    assert holders(tmp_path / "history", keys) == {"host_embedding"}
    assert held(tmp_path) == {DAY: f"{DAY}.1", NEXT: f"{NEXT}.2"}
    assert not put(tmp_path, rows(NEXT, f"{NEXT}.2", seed=2)), "the day still is that release's"


def holders(root: Path, words: list[str]) -> set[str]:
    """Tables with a file that holds one of the words, as it lies or decompressed; ``catalog`` for the database."""
    found = set()
    for file in root.rglob("*"):
        if not file.is_file():
            continue
        content = file.read_bytes()
        if file.suffix == ".parquet" and content[:4] == b"PAR1":
            content += repr(pq.read_table(file).to_pylist()).encode()
        if file.suffix == ".avro":
            content += b"".join(_blocks(content))
        if any(word.encode() in content for word in words):
            found.add(next((part for part in file.parts if part.endswith(history.SUFFIX)), "catalog"))
    return found


def _blocks(content: bytes) -> Iterator[bytes]:
    """The blocks of an Avro file, inflated: each is two numbers, deflated rows and the mark that ends the file, too."""
    for block in content.split(content[-16:])[1:-1]:
        at = 0
        for _ in range(2):
            while block[at] & 0x80:
                at += 1
            at += 1
        yield zlib.decompress(block[at:], -15)
