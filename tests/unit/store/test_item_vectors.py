"""Tables of content vectors: the newest day that a graph may know, and what is wrong with a table in one line."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from graphrep.config import ItemVectors
from graphrep.errors import InputError
from graphrep.store.item_vectors import Vectors, find_vectors, read_vectors

DAILY = ItemVectors(path="v", partitioned=True, key="id", vector="vec")
WHOLE = ItemVectors(path="v", partitioned=False, key="id", vector="vec")
LAST = "2026-03-02"


def write(root: Path, columns: dict[str, Any], ds: str | None = LAST, name: str = "part-0.parquet") -> Path:
    folder = root / "v" / f"ds={ds}" if ds else root / "v"
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), folder / name)
    return folder / name


def read(root: Path, table: ItemVectors = DAILY) -> Vectors:
    return read_vectors(find_vectors(root, "video", table, LAST), table)


def good(*keys: str) -> dict[str, Any]:
    return {"id": list(keys), "vec": [[float(len(key)), 1.0] for key in keys], "title": ["t"] * len(keys)}


def test_the_newest_day_that_is_not_after_the_last_is_read_in_the_order_of_the_keys(tmp_path: Path) -> None:
    for ds in ("2026-02-28", "2026-03-01", "2026-03-03"):
        write(tmp_path, good("bbb", "a", ds), ds)
    (tmp_path / "v" / "ds=2026-03-02").mkdir()  # begun, and nothing is there yet
    (tmp_path / "v" / "ds=2026-03-01" / "_SUCCESS").touch()
    found = read(tmp_path)
    assert found.ds == "2026-03-01"
    assert found.keys.tolist() == ["2026-03-01", "a", "bbb"]
    assert found.vectors.dtype == np.float32
    assert found.vectors.tolist() == [[10, 1], [1, 1], [3, 1]]


def test_a_table_without_days_is_read_whole_and_is_of_the_last_day(tmp_path: Path) -> None:
    write(tmp_path, good("b"), None, "one.parquet")
    write(tmp_path, good("a"), None, "two.parquet")
    found = read(tmp_path, WHOLE)
    assert (found.ds, found.keys.tolist()) == (LAST, ["a", "b"])


@pytest.mark.parametrize(
    ("keys", "vectors"),
    [
        (pa.array([2, 1], pa.int64()), pa.array([[1.0], [2.0]], pa.list_(pa.float64()))),
        (pa.array(["2", "1"], pa.large_string()), pa.array([[1.0], [2.0]], pa.large_list(pa.float32()))),
        (pa.array(["2", "1"]), pa.array([[1.0], [2.0]], pa.list_(pa.float32(), 1))),
        (pa.array(["2", "1"]), pa.array(np.array([1, 2], np.float16)).cast(pa.float16())),
    ],
)
def test_keys_and_numbers_of_every_width_are_read(tmp_path: Path, keys: Any, vectors: Any) -> None:
    if not pa.types.is_nested(vectors.type):
        vectors = pa.ListArray.from_arrays(pa.array([0, 1, 2], pa.int32()), vectors)
    write(tmp_path, {"id": keys, "vec": vectors})
    found = read(tmp_path)
    assert found.keys.tolist() == ["1", "2"]
    assert found.vectors.tolist() == [[2.0], [1.0]]


def test_the_fingerprint_changes_with_the_files_and_with_the_day(tmp_path: Path) -> None:
    file = write(tmp_path, good("a"), "2026-03-01")
    first = find_vectors(tmp_path, "video", DAILY, LAST).fingerprint()
    assert find_vectors(tmp_path, "video", DAILY, "2026-03-01").fingerprint() == first
    stat = file.stat()
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    later = find_vectors(tmp_path, "video", DAILY, LAST).fingerprint()
    assert later != first
    file.parent.rename(file.parent.with_name("ds=2026-03-02"))
    assert find_vectors(tmp_path, "video", DAILY, LAST).fingerprint() not in (first, later)


def test_a_table_or_a_day_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"the table item_vectors\.video, found nothing"):
        read(tmp_path)
    (tmp_path / "v").mkdir()
    with pytest.raises(InputError, match=r"item_vectors\.video of 2026-03-02 or before, found no day"):
        read(tmp_path)
    with pytest.raises(InputError, match=r"Parquet files of item_vectors\.video, found none"):
        read(tmp_path, WHOLE)
    write(tmp_path, good("a"), "2026-03-03")
    with pytest.raises(InputError, match="found days 2026-03-03 to 2026-03-03"):
        read(tmp_path)


FLOATS = pa.list_(pa.float32())


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"vec": [[1.0]]}, "the column in 'id' of item_vectors.video, day 2026-03-02, found none"),
        ({"id": ["a"]}, "the column in 'vec' of item_vectors.video, day 2026-03-02, found none"),
        ({"id": [1.5], "vec": [[1.0]]}, "keys as strings or integers in 'id' .* found double"),
        ({"id": ["a", None, None], "vec": [[1.0]] * 3}, "a key in each row in 'id' .* found 2 nulls"),
        ({"id": ["a", "b", "a", "a"], "vec": [[1.0]] * 4}, "each key once in 'id' .* found 2 repeated rows"),
        ({"id": ["a"], "vec": ["x"]}, "lists of floating-point numbers in 'vec' .* found string"),
        ({"id": ["a"], "vec": [[1]]}, "lists of floating-point numbers in 'vec' .* found list<"),
        ({"id": ["a", "b"], "vec": [[1.0], None]}, "a vector in each row in 'vec' .* found 1 nulls"),
        ({"id": ["a", "b"], "vec": [[1.0, None], [1.0, 2.0]]}, "numbers in each vector in 'vec' .* found 1 nulls"),
        ({"id": ["a", "b", "c"], "vec": [[1.0], [1.0, 2.0], [3.0]]}, "one length in 'vec' .* found 2 of 1, 1 of 2"),
        ({"id": ["a", "b"], "vec": [[np.nan], [1.0]]}, "finite numbers in 'vec' .* found 1 vectors"),
        ({"id": ["a", "b"], "vec": [[1e300], [np.inf]]}, "finite numbers in 'vec' .* found 2 vectors"),
        ({"id": pa.array([], pa.string()), "vec": pa.array([], FLOATS)}, "one length in 'vec' .* found no row"),
    ],
)
def test_what_is_wrong_with_a_table_is_said_in_one_line(tmp_path: Path, columns: Any, message: str) -> None:
    write(tmp_path, columns)
    with pytest.raises(InputError, match=message) as caught:
        read(tmp_path)
    assert "\n" not in str(caught.value)


def test_damaged_files_and_files_of_two_schemas_are_named(tmp_path: Path) -> None:
    file = write(tmp_path, good("a", "b"))
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(InputError, match=r"readable files of item_vectors\.video, day 2026-03-02, .*part-0\.parquet"):
        read(tmp_path)
    write(tmp_path, good("a"))
    write(tmp_path, {"id": ["b"], "vec": ["x"]}, name="part-1.parquet")
    with pytest.raises(InputError, match=r"files of one schema in item_vectors\.video, day 2026-03-02"):
        read(tmp_path)
