"""Working tables: written whole, read back exactly, and refused when damaged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from graphrep.errors import StoreError
from graphrep.store import tables

TABLE = pa.table({"relation": ["a", "b", "a"], "weight": [1.0, 2.0, 3.0]})


def test_a_table_is_read_back_with_the_columns_asked_for(tmp_path: Path) -> None:
    path = tables.partition(tmp_path, tables.EDGES, "2026-03-01")
    assert path == tmp_path / "edges" / "ds=2026-03-01"
    tables.write_arrow(path, TABLE)
    assert tables.read_table(path).equals(TABLE)
    assert tables.read_table(path, ["weight"]).to_pydict() == {"weight": [1.0, 2.0, 3.0]}


def test_a_second_write_replaces_the_first_whole(tmp_path: Path) -> None:
    path = tmp_path / "t"
    tables.save_parquet(tmp_path / "stray.parquet", TABLE)
    tables.write_arrow(path, TABLE)
    (tmp_path / "stray.parquet").rename(path / "part-1.parquet")
    assert tables.count_rows(path) == 6
    tables.write_arrow(path, TABLE.slice(0, 1))
    assert tables.count_rows(path) == 1


def test_several_files_are_one_table_in_the_order_of_their_names(tmp_path: Path) -> None:
    tables.save_parquet(tmp_path / "b.parquet", TABLE.slice(0, 1))
    tables.save_parquet(tmp_path / "a.parquet", TABLE.slice(1, 2))
    assert tables.read_table(tmp_path)["weight"].to_pylist() == [2.0, 3.0, 1.0]


def test_rows_are_counted_by_value_and_in_all(tmp_path: Path) -> None:
    tables.write_arrow(tmp_path / "t", TABLE)
    assert tables.count_by(tmp_path / "t", "relation") == {"a": 2, "b": 1}
    assert tables.count_rows(tmp_path / "t") == 3
    tables.write_arrow(tmp_path / "empty", TABLE.slice(0, 0))
    (tmp_path / "no files").mkdir()
    for name in ("empty", "no files"):
        assert tables.count_by(tmp_path / name, "relation") == {}
        assert tables.count_rows(tmp_path / name) == 0
    assert tables.count_rows(tmp_path / "nowhere") == 0


def test_a_missing_table_says_which_and_what_to_run(tmp_path: Path) -> None:
    for read in (tables.read_table, tables.read_arrays):
        with pytest.raises(StoreError, match=r"found nothing \[.*/nowhere\]; run the stage"):
            read(tmp_path / "nowhere")


def test_a_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    tables.write_arrow(tmp_path / "t", TABLE)
    with pytest.raises(StoreError, match=r"found no wieght .*part-0\.parquet"):
        tables.read_table(tmp_path / "t", ["relation", "wieght"])


def test_one_flipped_bit_of_the_rows_is_never_read(tmp_path: Path) -> None:
    weights = pa.table({"weight": np.random.default_rng(0).normal(size=4096)})
    tables.write_arrow(tmp_path / "t", weights)
    file = tmp_path / "t" / "part-0.parquet"
    good = file.read_bytes()
    column = pq.ParquetFile(file).metadata.row_group(0).column(0)
    begin = min(filter(None, (column.dictionary_page_offset, column.data_page_offset)))
    # Past the page header, whose bytes no checksum covers.
    for at in range(begin + 200, begin + column.total_compressed_size, 997):
        file.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
        with pytest.raises(StoreError, match=r"part-0\.parquet"):
            tables.read_table(tmp_path / "t")


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_truncated_file_is_named(tmp_path: Path, share: float) -> None:
    tables.write_arrow(tmp_path / "t", TABLE)
    file = tmp_path / "t" / "part-0.parquet"
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * share)])
    for read in (tables.read_table, tables.count_rows):
        with pytest.raises(StoreError, match="whole Parquet files") as caught:
            read(tmp_path / "t")
        assert str(tmp_path / "t") in str(caught.value)
        assert "\n" not in str(caught.value)


def test_files_of_two_schemas_are_refused(tmp_path: Path) -> None:
    tables.save_parquet(tmp_path / "a.parquet", TABLE)
    tables.save_parquet(tmp_path / "b.parquet", pa.table({"relation": [1], "weight": [1.0]}))
    with pytest.raises(StoreError, match="of one schema"):
        tables.read_table(tmp_path)


def test_arrays_are_read_back_mapped(tmp_path: Path) -> None:
    arrays: dict[str, Any] = {"user": np.eye(2, dtype=np.float32), "host": np.zeros((0, 2)), "a.b": np.arange(3)}
    tables.write_arrays(tmp_path / "v", arrays)
    read = tables.read_arrays(tmp_path / "v")
    assert read.keys() == arrays.keys()
    for name, array in arrays.items():
        assert read[name].dtype == array.dtype
        np.testing.assert_array_equal(read[name], array)
    assert isinstance(read["user"], np.memmap)


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"PK\x03\x04"])
def test_a_damaged_array_is_named(tmp_path: Path, content: bytes) -> None:
    tables.write_arrays(tmp_path / "v", {"user": np.eye(2)})
    (tmp_path / "v" / "user.npy").write_bytes(content)
    with pytest.raises(StoreError, match=r"expected a numpy array, .*user\.npy"):
        tables.read_arrays(tmp_path / "v")


def test_days_and_directories_are_in_order_without_what_is_being_staged(tmp_path: Path) -> None:
    for name in ("ds=2026-03-02", "ds=2026-03-01", ".staging", "other"):
        (tmp_path / name).mkdir()
    (tmp_path / "ds=2026-03-03").touch()
    assert tables.days(tmp_path) == ["2026-03-01", "2026-03-02"]
    assert tables.subdirectories(tmp_path) == ["ds=2026-03-01", "ds=2026-03-02", "other"]
    assert tables.days(tmp_path / "nowhere") == tables.subdirectories(tmp_path / "nowhere") == []


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="file"):
        tables.write_arrow(tmp_path / "file" / "t", TABLE)
    with pytest.raises(StoreError, match="nowhere"):
        tables.save_parquet(tmp_path / "nowhere" / "a.parquet", TABLE)
    with pytest.raises(StoreError, match="nowhere"):
        tables.save_arrays(tmp_path / "nowhere", {"a": np.eye(2)})
