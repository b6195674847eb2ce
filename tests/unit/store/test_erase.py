"""Files of keys, the ledger, and tables rewritten without some keys: nothing else of them changes."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphrep.config import NodeSource
from graphrep.contracts import EDGE, ERASURE, LOG_EVENT, NODE, NODE_DAY, QUARANTINE, TAIL, check_table, key_hash
from graphrep.errors import InputError, StoreError
from graphrep.store import erase, files, runlog, tables
from graphrep.store.mentions import Wanted, mentions

TYPES = ["host", "product", "user"]
NODES = {
    "user": NodeSource(column="user_id"),
    "host": NodeSource(column="host_id"),
    "product": NodeSource(column="item_id", item_type="product"),
}


def wanted(**keys: list[str]) -> Wanted:
    return Wanted(keys, NODES, {"then": "user"})


def rows(contract: Any, *given: dict[str, Any]) -> pa.Table:
    blank = {"string": "", "int32": 1, "int64": 1, "float64": 1.0}
    full = [{c.name: None if c.nullable else blank[c.type] for c in contract.columns} | row for row in given]
    return pa.Table.from_pylist(full, schema=contract.schema)


def test_a_file_of_keys_may_name_types_and_come_from_any_editor(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_bytes("\ufeffu2\r\nhost\th 1\r\n\r\n   \nu1\nuser\tu1\nproduct\ta\tb\n\u2028x".encode())
    found = erase.read_keys(file, "user", TYPES)
    assert found == {"host": ["h 1"], "product": ["a\tb"], "user": ["u1", "u2", "\u2028x"]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"u1\nqueen\tu2\n", r"one of the node types \['host', 'product', 'user'\], found 'queen' \[.*line 2\]"),
        (b"user\t\n", r"a key after the tab, found nothing \[.*line 1\]"),
        (b"\n\xff\xfe\n", r"UTF-8, found other bytes \[.*line 2\]"),
        (b" \r\n", r"at least one key, found none"),
    ],
)
def test_another_file_is_refused_by_its_line(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "keys"
    file.write_bytes(content)
    with pytest.raises(InputError, match=message):
        erase.read_keys(file, "user", TYPES)


def test_an_unknown_default_type_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("u1")
    with pytest.raises(InputError, match="'usr'"):
        erase.read_keys(tmp_path / "keys", "usr", TYPES)
    with pytest.raises(StoreError, match="expected a file, found none"):
        erase.read_keys(tmp_path / "none", "user", TYPES)


def test_the_ledger_keeps_hashes_alone_and_the_day_of_the_first_erasure(tmp_path: Path) -> None:
    assert erase.remember(tmp_path, {"user": ["anna", "bob"], "host": ["anna"]}, "2026-03-01") == 3
    before = erase.ledger_file(tmp_path).read_bytes()
    assert erase.remember(tmp_path, {"user": ["bob"]}, "2026-03-02") == 0
    assert erase.ledger_file(tmp_path).read_bytes() == before
    assert erase.remember(tmp_path, {"user": ["bob", "carl"]}, "2026-03-02") == 1
    ledger = tables.read_table(tmp_path / "erased")
    check_table(ledger, ERASURE)
    found = {(row["node_type"], row["key_hash"]): row["erased_ds"] for row in ledger.to_pylist()}
    assert found[("user", key_hash("user", "bob"))] == "2026-03-01"
    assert found[("user", key_hash("user", "carl"))] == "2026-03-02"
    assert not any(name in repr(found) for name in ("anna", "bob", "carl"))
    assert [p.name for p in (tmp_path / "erased").iterdir() if p.name != files.STAGING] == ["part-0.parquet"]


@given(st.lists(st.tuples(st.text(max_size=4), st.text(max_size=4)), max_size=8, unique=True))
def test_no_two_keys_share_what_is_hashed(pairs: list[tuple[str, str]]) -> None:
    plain = [(t, k) for t, k in pairs if "\0" not in t and (t + k).isprintable()]
    assert len({key_hash(t, k) for t, k in plain}) == len(plain)


@pytest.mark.parametrize(
    ("contract", "given_rows", "expected"),
    [
        (LOG_EVENT, [{"user_id": "a"}, {"user_id": "b"}, {"host_id": "a"}, {"host_id": "h"}], [1, 0, 0, 1]),
        (LOG_EVENT, [{"item_id": "p", "item_type": t} for t in ("product", "video", None)], [1, 0, 0]),
        (EDGE, [{"src_type": t, "src_key": "a", "dst_type": "host", "dst_key": "x"} for t in TYPES], [0, 0, 1]),
        (EDGE, [{"src_type": "user", "src_key": "x", "dst_type": t, "dst_key": "h"} for t in TYPES], [1, 0, 0]),
        (NODE_DAY, [{"node_type": t, "key": "a"} for t in TYPES], [0, 0, 1]),
        (TAIL, [{"user_key": "a", "transition": t, "node_type": "", "key": ""} for t in ("then", "x")], [1, 0]),
        (TAIL, [{"user_key": "x", "transition": "then", "node_type": "product", "key": k} for k in "pq"], [1, 0]),
        (NODE, [{"node_type": "user", "key": None}, {"node_type": "user", "key": "a"}], [0, 1]),
    ],
)
def test_a_row_is_found_by_key_and_type(contract: Any, given_rows: list[dict[str, Any]], expected: list[int]) -> None:
    table = rows(contract, *given_rows)
    assert mentions(table, wanted(user=["a"], host=["h"], product=["p"])).tolist() == [bool(x) for x in expected]


@pytest.mark.parametrize(
    ("raw", "key", "found"),
    [
        ({"who": "u1"}, "u1", True),
        ({"who": "u12"}, "u1", False),
        ({"who": 7, "what": {"deep": ["u1"]}}, "u1", True),
        ({"who": 12345678901234567890}, "12345678901234567890", True),
        ({"_corrupt_record": 'x,"u1,watch'}, "u1", True),
        ({"_corrupt_record": '{"who": "\\u00e9va", '}, "éva", True),
        ({"_corrupt_record": 'x,"say ""hi""",y'}, 'say "hi"', True),
        ({"who": 'a"b\\c\n'}, 'a"b\\c\n', True),
        ({"who": "😀"}, "😀", True),
        ({"who": "éva"}, "va", False),
        ({"u1": "x"}, "u1", False),
        ({"who": "a.c"}, "abc", False),
        ({"who": "abc"}, "a.c", False),
        ({}, "u1", False),
    ],
)
def test_a_raw_row_is_found_as_soon_as_the_key_stands_in_it(raw: dict[str, Any], key: str, found: bool) -> None:
    for ascii_only in (True, False):
        table = rows(QUARANTINE, {"row": json.dumps(raw, ensure_ascii=ascii_only)})
        assert mentions(table, wanted(user=[key])).tolist() == [found]


def test_a_number_is_found_as_it_is_written() -> None:
    table = rows(QUARANTINE, {"row": '{"who": 1.2345678E7}'}, {"row": '{"who": 12345678.0}'})
    assert mentions(table, wanted(user=["1.2345678E7"])).tolist() == [True, False]


def test_many_long_keys_are_looked_for_at_once() -> None:
    keys = [hashlib.sha512(bytes([i // 256, i % 256])).hexdigest() * 8 for i in range(1000)]
    table = rows(QUARANTINE, {"row": json.dumps({"a": keys[999]})}, {"row": json.dumps({"a": keys[0] + "x"})})
    assert mentions(table, wanted(user=keys)).tolist() == [True, False]


def test_only_the_files_that_hold_a_key_are_written_again(tmp_path: Path) -> None:
    for ds, users in (("2026-03-01", ["a", "b", "a"]), ("2026-03-02", ["b", "c"])):
        place = tables.partition(tmp_path, tables.NODE_DAYS, ds)
        tables.write_arrow(place, rows(NODE_DAY, *[{"ds": ds, "node_type": "user", "key": u} for u in users]))
    other = tables.partition(tmp_path, tables.NODE_DAYS, "2026-03-02") / "part-0.parquet"
    before = (other.read_bytes(), other.stat().st_ino)
    root = tmp_path / tables.NODE_DAYS
    assert erase.count(root, wanted(user=["a"])) == 2
    assert erase.rewrite(root, wanted(user=["a"]), erase.without_rows) == 2
    left = tables.read_table(tables.partition(tmp_path, tables.NODE_DAYS, "2026-03-01"))
    assert left["key"].to_pylist() == ["b"]
    assert left.schema.equals(NODE_DAY.schema)
    assert (other.read_bytes(), other.stat().st_ino) == before
    assert erase.rewrite(root, wanted(user=["a"]), erase.without_rows) == 0
    assert erase.rewrite(root, wanted(user=["b"]), erase.without_rows) == 2, "a file may end without rows"


def test_a_large_file_is_written_group_by_group_in_its_order_with_checksums(tmp_path: Path) -> None:
    file = tmp_path / "t" / "part-0.parquet"
    file.parent.mkdir()
    many = rows(NODE_DAY, *[{"node_type": "user", "key": f"u{i}", "events": i} for i in range(100)])
    pq.write_table(many, file, row_group_size=30)
    assert erase.rewrite(tmp_path / "t", wanted(user=["u31", "u99"]), erase.without_rows) == 2
    assert tables.read_table(tmp_path / "t")["events"].to_pylist() == [i for i in range(100) if i not in (31, 99)]
    keys = pq.read_metadata(file).row_group(0).column(NODE_DAY.names.index("key"))
    content = bytearray(file.read_bytes())
    content[keys.dictionary_page_offset + keys.total_compressed_size // 2] ^= 0xFF
    file.write_bytes(content)
    with pytest.raises(StoreError, match="a whole Parquet file"):
        erase.count(tmp_path / "t", wanted(user=["u31"]))


def test_a_tombstone_keeps_everything_but_the_key(tmp_path: Path) -> None:
    required = pa.schema([field.with_nullable(False) for field in NODE.schema])
    given_rows = [{"node_type": "user", "key": k, "index": i, "first_ds": "d"} for i, k in enumerate("abc")]
    tables.write_arrow(tmp_path / "ids" / "000001", pa.Table.from_pylist(given_rows, schema=required))
    assert erase.rewrite(tmp_path / "ids", wanted(user=["b"]), erase.with_tombstones) == 1
    left = tables.read_table(tmp_path / "ids" / "000001")
    check_table(left, NODE)
    assert left.to_pylist() == [row | ({"key": None} if row["key"] == "b" else {}) for row in given_rows]
    assert erase.rewrite(tmp_path / "ids", wanted(user=["b"]), erase.with_tombstones) == 0


def test_a_killed_rewrite_leaves_the_old_file_and_the_next_one_sweeps_and_finishes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tables.partition(tmp_path, tables.NODE_DAYS, "2026-03-01")
    tables.write_arrow(place, rows(NODE_DAY, {"node_type": "user", "key": "a"}))
    before = (place / "part-0.parquet").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(files, "flush_files", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        patch.setattr("shutil.rmtree", lambda *_, **__: None)  # a kill cleans nothing
        with pytest.raises(KeyboardInterrupt):
            erase.rewrite(tmp_path / tables.NODE_DAYS, wanted(user=["a"]), erase.without_rows)
    assert (place / "part-0.parquet").read_bytes() == before
    assert list(tmp_path.rglob(files.STAGING))
    erase.remove_leftovers(tmp_path)
    assert not list(tmp_path.rglob(files.STAGING))
    assert erase.rewrite(tmp_path / tables.NODE_DAYS, wanted(user=["a"]), erase.without_rows) == 1


def test_a_day_graph_goes_with_its_records_and_what_names_keys_goes_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ds = "2026-03-01"
    for stage in ("logs", "edges", "graph", "embed"):
        runlog.record_stage(tmp_path, ds, stage, {"done": stage})
    for table in erase.DAY_GRAPH:
        tables.partition(tmp_path, table, ds).mkdir(parents=True)
        tables.partition(tmp_path, table, "2026-03-02").mkdir()
    removed: list[str] = []
    monkeypatch.setattr("shutil.rmtree", lambda path, **_: removed.append(Path(path).parent.name))
    erase.remove_day_graph(tmp_path, ds)
    assert removed[-1] == tables.NODES
    monkeypatch.undo()
    erase.remove_day_graph(tmp_path, ds)
    assert not list(tmp_path.glob(f"*/ds={ds}"))
    assert len(list(tmp_path.glob("*/ds=2026-03-02"))) == len(erase.DAY_GRAPH)
    assert sorted(runlog.read_run(tmp_path, ds)["stages"]) == ["edges", "logs"]
