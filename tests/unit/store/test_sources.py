"""Files of public data sets: the columns asked for, or one line that says what is wrong."""

from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from graphrep.errors import InputError
from graphrep.store.sources import list_folder, read_source

ROWS = {"user": [1, 2], "item": ["a", "b"]}


def write(folder: Path, name: str) -> Path:
    file = folder / name
    if name.endswith(".parquet"):
        pq.write_table(pa.table(ROWS), file)
    else:
        text = b"user,item\n1,a\n2,b\n"
        file.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    return file


def test_the_files_of_a_folder_are_listed_without_folders(tmp_path: Path) -> None:
    (tmp_path / "b").touch()
    (tmp_path / "a").touch()
    (tmp_path / "folder").mkdir()
    assert list_folder(tmp_path) == ["a", "b"]
    with pytest.raises(InputError, match=r"the folder of the data set, found none \[.*/a\]"):
        list_folder(tmp_path / "a")


@pytest.mark.parametrize("name", ["t.parquet", "t.csv", "t.csv.gz"])
def test_the_named_columns_are_read(tmp_path: Path, name: str) -> None:
    file = write(tmp_path, name)
    assert read_source(file, ["item", "user"]).select(["user", "item"]).to_pydict() == ROWS
    assert read_source(file, ["item"]).column_names == ["item"]


@pytest.mark.parametrize("name", ["t.parquet", "t.csv", "t.csv.gz"])
def test_a_column_that_is_not_there_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"found .*price.* \[.*t\.") as caught:
        read_source(write(tmp_path, name), ["user", "price"])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"\x00\xff\xfe", b"user,item\n1\n"])
@pytest.mark.parametrize("name", ["t.parquet", "t.csv", "t.csv.gz"])
def test_a_damaged_file_is_named(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=name) as caught:
        read_source(tmp_path / name, ["user"])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["t.parquet", "t.csv"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=name):
        read_source(tmp_path / name, ["user"])
