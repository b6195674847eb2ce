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


# ---- rows that are not rows ----------------------------------------------------------------------


def refusal(file: Path, content: bytes, columns: list[str]) -> str:
    """The message about a file with this content, packed where its name says so."""
    file.write_bytes(gzip.compress(content) if file.suffix == ".gz" else content)
    with pytest.raises(InputError) as caught:
        read_source(file, columns)
    message = str(caught.value)
    assert str(file) in message
    assert "\n" not in message
    return message


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz"])
def test_rows_with_another_number_of_columns_are_counted_and_not_shown(tmp_path: Path, name: str) -> None:
    message = refusal(tmp_path / name, b"user,item\n1,a\nann\n2,b\neve,e,1\n", ["user"])
    assert "expected 2 columns in each row, found 2 rows with another number, the first in row 3 with 1" in message
    assert "ann" not in message


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b'user,item,note\n1,a,x\n2,b,"y\n3,c,z\n', "2 rows in 3 lines"),
        (b'user,item,note\n1,a,"x\n2,b,y\n3,c,"z\n4,d,w\n', "2 rows in 4 lines"),
        (b'user,item,note\n1,"a,x\n2,b,y\n', "the first in row 2 with 2"),
    ],
    ids=["to the end", "to the next quote", "over a comma"],
)
@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz"])
def test_a_quote_left_open_loses_no_row_in_silence(tmp_path: Path, name: str, content: bytes, found: str) -> None:
    assert found in refusal(tmp_path / name, content, ["user", "item"])


# ---- text and JSON -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["t.txt", "t.txt.gz"])
@pytest.mark.parametrize("text", ["one\n\ntwo é\n", "one\n\ntwo é", "one\r\n\r\ntwo é\r\n"])
def test_the_lines_of_a_text_are_a_column(tmp_path: Path, name: str, text: str) -> None:
    file = tmp_path / name
    file.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    assert read_source(file, ["line"]).to_pydict() == {"line": ["one", "", "two é"]}


def test_an_empty_text_has_no_lines(tmp_path: Path) -> None:
    (tmp_path / "t.txt").touch()
    assert read_source(tmp_path / "t.txt", ["line"]).to_pydict() == {"line": []}


@pytest.mark.parametrize("name", ["t.json", "t.json.gz"])
def test_the_keys_and_values_of_an_object_are_columns(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    text = b'{"b": [1, 0],\n "a": [2, 1]}\n'
    file.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    assert read_source(file, ["key", "place"]).to_pydict() == {"key": ["b", "a"], "place": [[1, 0], [2, 1]]}


def test_damage_in_a_text_is_told_with_the_lines_before_it(tmp_path: Path) -> None:
    assert "after 0 lines" in refusal(tmp_path / "t.txt", b"\xff\xfe\n", ["line"])
    whole = gzip.compress("\n".join(str(n * n % 9973) for n in range(50_000)).encode())
    spoilt = bytearray(whole)
    spoilt[-8] ^= 1  # of the checksum
    for content in (whole[: len(whole) // 2], bytes(spoilt)):
        (tmp_path / "t.txt.gz").write_bytes(content)
        with pytest.raises(InputError, match=r"lines of UTF-8, found .* after [1-9]\d* lines \[.*/t\.txt\.gz\]"):
            read_source(tmp_path / "t.txt.gz", ["line"])


@pytest.mark.parametrize("name", ["t.txt.gz", "t.json.gz"])
def test_what_is_not_packed_is_no_packed_file(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"0 1|86400\n")
    with pytest.raises(InputError, match=r"Not a gzipped file .* after 0 lines"):
        read_source(tmp_path / name, ["key", "value"] if "json" in name else ["line"])


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "Expecting value"),
        (b'{"a": [1, 0]', "line 1 column"),
        (b"[1, 0]", "expected one JSON object, found list"),
        (b'{"a": [1, 0], "b": "x"}', "cannot mix"),
        (b'{"a": [1, 0], "b": [1, "x"]}', "Could not convert"),
        (b'{"a": [1180591620717411303424]}', "too large"),
    ],
)
def test_another_json_is_named(tmp_path: Path, content: bytes, found: str) -> None:
    assert found in refusal(tmp_path / "t.json", content, ["key", "value"])


@pytest.mark.parametrize("name", ["t.txt", "t.txt.gz", "t.json"])
def test_a_missing_text_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=name):
        read_source(tmp_path / name, ["key", "value"] if "json" in name else ["line"])
