"""Frames in and out of the store: equal rows are equal bytes, damage is one line, a path is what it says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import functions as F

from graphrep.config import LogTable, Spark
from graphrep.contracts import ADJACENCY, NODE_DAY
from graphrep.errors import StoreError
from graphrep.store.files import sha256
from graphrep.store.spark import read_frames, read_raw, session, spark_errors, write_frame

DS = "2026-03-01"
ROWS = 3000


def node_days(spark: Any, *ids: int) -> Any:
    """Rows of ``node_day_v1`` of two types, in the order of the ids: all of them, or a range with its partitions."""
    key = F.sha2(F.col("id").cast("string"), 256)
    kind = F.when(F.col("id") % 3 == 0, "host").otherwise("user")
    values = [F.lit(DS).alias("ds"), kind.alias("node_type"), key.alias("key"), F.col("id").alias("events")]
    return spark.range(*ids or (ROWS,)).select(*values, F.col("id").alias("last_ts"))


def files_of(path: Path) -> dict[str, str]:
    return {str(file.relative_to(path)): sha256(file) for file in path.rglob("*") if file.is_file()}


def test_the_same_rows_are_the_same_bytes_whatever_order_they_came_in(spark: Any, tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    write_frame(node_days(spark).repartition(3, "key"), one, NODE_DAY)
    write_frame(node_days(spark, ROWS - 1, -1, -1, 5).repartition(3, "key"), other, NODE_DAY)
    assert files_of(one) == files_of(other)
    assert sorted(files_of(one)) == [f"part-0000{i}.zstd.parquet" for i in range(3)]


def test_so_are_those_of_a_table_with_a_directory_per_value(spark: Any, tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for path, ids in ((one, (0, 400, 1, 2)), (other, (399, -1, -1, 5))):
        edges = spark.range(*ids).select(
            (F.col("id") % 20).alias("src"),
            F.expr("id div 20").alias("dst"),
            F.lit(0.5).cast("float").alias("weight"),
            F.col("id").alias("time"),
            F.when(F.col("id") % 7 < 3, "likes").otherwise("buys").alias("relation"),
        )
        write_frame(edges.repartition(2, "src"), path, ADJACENCY, partition_by="relation")
    assert files_of(one) == files_of(other)
    assert sorted(files_of(one)) == [
        f"relation={r}/part-0000{i}.zstd.parquet" for r in ("buys", "likes") for i in (0, 1)
    ]


def test_an_empty_frame_is_a_file_with_the_columns(spark: Any, tmp_path: Path) -> None:
    path = tmp_path / "node_days"
    write_frame(node_days(spark).where("events < 0").repartition(3, "key"), path, NODE_DAY)
    assert list(files_of(path)) == ["part-00000.zstd.parquet"]
    assert read_frames(spark, [path], NODE_DAY).count() == 0


# ---- damage --------------------------------------------------------------------------------------------------------


def flip_a_bit(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 3] ^= 1
    file.write_bytes(content)


def without(file: Path, column: str) -> None:
    pq.write_table(pq.read_table(file).drop_columns([column]), file)


def as_text(file: Path, column: str) -> None:
    table = pq.read_table(file)
    at = table.column_names.index(column)
    pq.write_table(table.set_column(at, column, table[column].cast(pa.string())), file)


DAMAGE: dict[str, tuple[Callable[[Path], Any], str]] = {
    "a bit": (flip_a_bit, "could not verify page integrity, CRC checksum verification failed"),
    "the end": (lambda file: file.write_bytes(file.read_bytes()[:-9]), ".* is not a Parquet file.*|.*magic bytes.*"),
    "everything": (lambda file: file.write_bytes(b""), ".*size is 0 bytes"),
    "a column": (lambda file: without(file, "last_ts"), "no column last_ts"),
    "a type": (lambda file: as_text(file, "events"), "events as string, not int64"),
    "the file": (lambda file: file.unlink(), "no file"),
}


@pytest.fixture(scope="module")
def written(spark: Any, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The one file of a day of nodes."""
    path = tmp_path_factory.mktemp("written") / "node_days"
    write_frame(node_days(spark).repartition(1, "key"), path, NODE_DAY)
    return (path / "part-00000.zstd.parquet").read_bytes()


@pytest.mark.parametrize("lost", DAMAGE)
def test_damage_to_a_table_is_one_line_that_names_table_day_and_file(
    spark: Any, tmp_path: Path, written: bytes, lost: str
) -> None:
    spoil, says = DAMAGE[lost]
    path = tmp_path / "node_days" / f"ds={DS}"
    path.mkdir(parents=True)
    (path / "part-00000.zstd.parquet").write_bytes(written)
    spoil(path / "part-00000.zstd.parquet")
    line = rf"^expected whole files of node_days of {DS}, found (?:{says}) \[.*/ds={DS}/.*\]; run the stage"
    with pytest.raises(StoreError, match=line) as refused:
        write_frame(read_frames(spark, [path], NODE_DAY), tmp_path / "copy", NODE_DAY)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "copy").exists()


def test_damage_behind_the_first_file_is_found_when_it_is_read(spark: Any, tmp_path: Path) -> None:
    path = tmp_path / "000001"
    write_frame(node_days(spark).repartition(2, "key"), path, NODE_DAY)
    (path / "part-00001.zstd.parquet").write_bytes(b"PAR1")
    frame = read_frames(spark, [path], NODE_DAY)
    line = rf"expected whole files of {tmp_path.name}/000001, found .* \[.*/part-00001.zstd.parquet\]"
    with pytest.raises(StoreError, match=line), spark_errors("counting"):
        frame.agg(F.sum("events")).collect()


# ---- paths ---------------------------------------------------------------------------------------------------------

ODD = "a{b}[c]*? \\d"


@pytest.mark.parametrize("kind", ["parquet", "csv", "jsonl"])
def test_a_path_with_the_signs_of_patterns_is_read_as_it_is(
    spark: Any, tmp_path: Path, kind: Literal["parquet", "csv", "jsonl"]
) -> None:
    for name, value in ((ODD, "mine"), ("abc* \\d", "another"), ("ab[c]xy d", "another")):
        path = tmp_path / name
        path.mkdir()
        if kind == "parquet":
            pq.write_table(pa.table({"user_id": [value]}), path / "part-{0}")
        else:
            text = f"user_id\n{value}\n" if kind == "csv" else json.dumps({"user_id": value})
            (path / "part-{0}").write_text(text, encoding="utf-8")
    table = LogTable(path=ODD, format=kind, partitioned=False, required=True, marker=None, columns={})
    rows = read_raw(spark, tmp_path / ODD, table).collect()
    assert [row["user_id"] for row in rows] == ["mine"]


def test_so_is_that_of_a_warehouse(spark: Any, tmp_path: Path, written: bytes) -> None:
    path = tmp_path / ODD / "node_days"
    path.mkdir(parents=True)
    (path / "part-00000.zstd.parquet").write_bytes(written)
    write_frame(read_frames(spark, [path], NODE_DAY), tmp_path / ODD / "copy", NODE_DAY)
    assert read_frames(spark, [tmp_path / ODD / "copy"], NODE_DAY).count() == ROWS


def test_two_configurations_in_one_process_keep_their_own_number_of_partitions(spark: Any) -> None:
    opened = [session(Spark(master="local[2]", driver_memory="1g", shuffle_partitions=n)) for n in (3, 5)]
    assert [one.range(9).repartition("id").rdd.getNumPartitions() for one in opened] == [3, 5]
    assert spark.conf.get("spark.sql.shuffle.partitions") == "2"
