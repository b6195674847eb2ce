"""Footers that list the same encodings in another order become the same bytes."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from graphrep.errors import StoreError
from graphrep.store.footers import sort_encodings

NAMES = ("PLAIN", "PLAIN_DICTIONARY", "RLE", "BIT_PACKED", "RLE_DICTIONARY")  # by their numbers 0, 2, 3, 4, 8


def written(file: Path) -> bytes:
    """Many columns of several kinds, several row groups, statistics and a few keys of metadata."""
    columns = {f"c{i}": pa.array([f"v{j % (i + 1)}" for j in range(90)]) for i in range(20)}
    columns |= {"long": pa.array(range(90)), "yes": pa.array([j % 3 == 0 for j in range(90)])}
    columns |= {"list": pa.array([[float(j)] * 3 for j in range(90)]), "x": pa.array([None, 1.5] * 45)}
    table = pa.table(columns).replace_schema_metadata({"long": "m" * 300})
    pq.write_table(table, file, row_group_size=30, compression="zstd", write_page_index=True)
    return file.read_bytes()


def encodings(file: Path) -> list[list[str]]:
    metadata = pq.ParquetFile(file).metadata
    chunks = [
        metadata.row_group(g).column(c) for g in range(metadata.num_row_groups) for c in range(metadata.num_columns)
    ]
    return [list(chunk.encodings) for chunk in chunks]


def test_every_list_of_every_chunk_is_sorted_and_nothing_else_changes(tmp_path: Path) -> None:
    file = tmp_path / "t.parquet"
    before = written(file)
    rows, unsorted = pq.read_table(file), encodings(file)
    sort_encodings(file)
    after = file.read_bytes()
    assert encodings(file) == [sorted(chunk, key=NAMES.index) for chunk in unsorted] != unsorted
    assert pq.read_table(file).equals(rows, check_metadata=True)
    start = len(before) - 8 - int.from_bytes(before[-8:-4], "little")
    assert after[:start] == before[:start]
    assert sorted(after[start:]) == sorted(before[start:])


def test_sorting_again_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "t.parquet"
    written(file)
    sort_encodings(file)
    once = file.read_bytes()
    sort_encodings(file)
    assert file.read_bytes() == once


def test_other_bytes_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "t.parquet"
    file.write_bytes(b"not Parquet")
    with pytest.raises(StoreError, match=r"found no Parquet file.* \[.*/t\.parquet\]"):
        sort_encodings(file)
