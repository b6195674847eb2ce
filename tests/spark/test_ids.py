"""Stable dense ids: a key keeps its index for ever, a new one takes the next free index of its type."""

from __future__ import annotations

import hashlib
import random
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import functions as F

from graphrep.contracts import NODE
from graphrep.contracts.spark import spark_schema
from graphrep.errors import StoreError
from graphrep.graph.ids import BUCKETS, new_nodes
from graphrep.pipeline import ids
from graphrep.store import files, tables
from graphrep.store.erase import remember

Row = tuple[str, str | None, int, str]

KEYS = [("user", f"u{i}") for i in range(150)] + [("host", f"h{i}") for i in range(7)] + [("host", "u3")]
MORE = [("user", f"n{i}") for i in range(40)] + [("video", "v")]


def frame(spark: Any, keys: list[tuple[str, str]], partitions: int = 2) -> Any:
    return spark.createDataFrame(keys, "node_type string, key string").repartition(partitions)


def numbered(
    spark: Any, keys: list[tuple[str, str]], known: list[Row], ds: str, *, read: int = 2, written: int = 2
) -> list[Row]:
    free: dict[str, int] = {}
    for node_type, _, index, _ in known:
        free[node_type] = max(free.get(node_type, 0), index + 1)
    dictionary = spark.createDataFrame(known, spark_schema(NODE))
    return sorted(tuple(r) for r in new_nodes(frame(spark, keys, read), dictionary, free, ds, written).collect())


def by_type(rows: list[Row], node_type: str) -> dict[str | None, int]:
    return {key: index for kind, key, index, _ in rows if kind == node_type}


def dictionary(run: Any, keys: list[tuple[str, str]], ds: str, partitions: int = 2) -> dict[tuple[str, str], int]:
    """What a run of a day that meets these keys knows of the whole dictionary."""
    rows = ids.extend_dictionary(run, frame(run.spark, keys, partitions), ds).collect()
    found = {(row["node_type"], row["key"]): row["index"] for row in rows}
    assert len(found) == len(rows), "a key with two indices"
    assert len({(t, i) for (t, _), i in found.items()}) == len(rows), "an index of two keys"
    return found


def bytes_of(path: Path) -> dict[str, str]:
    return {str(p.relative_to(path)): hashlib.sha256(p.read_bytes()).hexdigest() for p in path.rglob("*.parquet")}


def test_the_first_keys_of_a_type_are_numbered_from_zero_without_a_hole(spark: Any) -> None:
    rows = numbered(spark, KEYS, [], "2026-03-01")
    assert sorted(by_type(rows, "user").values()) == list(range(150))
    assert sorted(by_type(rows, "host").values()) == list(range(8))
    assert {row[3] for row in rows} == {"2026-03-01"}


def test_a_known_key_is_not_numbered_again_and_new_ones_take_the_next_free(spark: Any) -> None:
    known = numbered(spark, KEYS, [], "2026-03-01")
    fresh = numbered(spark, KEYS + MORE, known, "2026-03-02")
    assert {row[:2] for row in fresh} == set(MORE)
    assert sorted(by_type(fresh, "user").values()) == list(range(150, 190))
    assert by_type(fresh, "video") == {"v": 0}
    assert {row[3] for row in fresh} == {"2026-03-02"}
    assert numbered(spark, KEYS + MORE, known + fresh, "2026-03-03") == []


def test_a_tombstone_is_no_key_and_its_index_is_taken(spark: Any) -> None:
    known: list[Row] = [("user", "a", 0, "2026-03-01"), ("user", None, 1, "2026-03-01")]
    assert numbered(spark, [("user", "b"), ("user", "a")], known, "2026-03-02") == [("user", "b", 2, "2026-03-02")]


def test_the_indices_depend_on_neither_the_order_nor_the_partitions_of_the_rows(spark: Any) -> None:
    # Several keys to a bucket, so that the order inside it is seen.
    keys = [("user", f"{'é😀 K'[i % 4]}{i}") for i in range(5 * BUCKETS)] + KEYS
    shuffled = random.Random(1).sample(keys, len(keys))
    expected = numbered(spark, keys, [], "d", read=1, written=1)
    assert sorted(by_type(expected, "user").values()) == list(range(5 * BUCKETS + 150))
    assert numbered(spark, shuffled, [], "d", read=5, written=3) == expected


def test_two_types_do_not_touch_each_others_indices(spark: Any) -> None:
    alone = numbered(spark, [key for key in KEYS if key[0] == "user"], [], "d")
    assert by_type(alone, "user") == by_type(numbered(spark, KEYS, [], "d"), "user")


def test_a_storm_of_new_keys_of_one_type_is_spread_over_the_tasks(spark: Any) -> None:
    window = spark.range(20_000).select(F.lit("user").alias("node_type"), F.col("id").cast("string").alias("key"))
    none = spark.createDataFrame([], spark_schema(NODE))
    fresh = new_nodes(window, none, {}, "d", 4)
    sizes = [row["count"] for row in fresh.groupBy(F.spark_partition_id()).count().collect()]
    assert len(sizes) == 4
    assert max(sizes) < 1.25 * 20_000 / 4


def test_a_key_has_the_same_index_on_every_day_also_on_an_old_one_that_is_run_late(place: Any) -> None:
    first = dictionary(place.run(), KEYS[:40], "2026-03-02")
    later = dictionary(place.run(), KEYS[20:] + MORE, "2026-03-03")
    before = dictionary(place.run(), [*KEYS[:5], ("user", "early")], "2026-03-01")
    assert first.items() <= later.items() <= before.items()
    assert before["user", "early"] == 1 + max(i for (t, _), i in later.items() if t == "user")
    again = bytes_of(place.warehouse / tables.IDS)
    assert dictionary(place.run(), KEYS, "2026-03-02") == before
    assert bytes_of(place.warehouse / tables.IDS) == again, "a run without new keys writes nothing"


def test_equal_days_write_equal_bytes_however_their_rows_come(place: Any, new_place: Any, tmp_path: Path) -> None:
    other = new_place(tmp_path / "other")
    for index, (ds, keys) in enumerate((("2026-03-01", KEYS), ("2026-03-02", MORE + KEYS))):
        dictionary(place.run(), keys, ds, partitions=1)
        dictionary(other.run(), random.Random(index).sample(keys, len(keys)), ds, partitions=5)
    assert bytes_of(place.warehouse / tables.IDS) == bytes_of(other.warehouse / tables.IDS)


def test_two_runs_at_once_give_no_index_twice_and_lose_no_key(place: Any) -> None:
    asked = [(KEYS, "2026-03-01"), (KEYS, "2026-03-01"), (KEYS[100:] + MORE, "2026-03-02")]
    with ThreadPoolExecutor(3) as pool:
        runs = [pool.submit(dictionary, place.run(), keys, ds) for keys, ds in asked]
    found = [run.result() for run in runs]
    final = dictionary(place.run(), KEYS + MORE, "2026-03-03")
    assert set(final) == set(KEYS + MORE)
    assert sorted(i for (t, _), i in final.items() if t == "user") == list(range(190))
    for (keys, _), own in zip(asked, found, strict=True):
        assert set(keys) <= set(own)
        assert own.items() <= final.items()
    assert len(tables.subdirectories(place.warehouse / tables.IDS)) == 2, "the second of two equal runs found all"


def test_a_run_that_dies_before_or_after_its_segment_is_simply_run_again(
    place: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = dictionary(place.run(), KEYS, "2026-03-01")
    root = place.warehouse / tables.IDS
    whole = bytes_of(root)
    shutil.rmtree(root)

    def die(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(files, "put_directory", die)
        with pytest.raises(KeyboardInterrupt):
            dictionary(place.run(), KEYS, "2026-03-01")
    assert tables.subdirectories(root) == []
    with monkeypatch.context() as patch:
        patch.setattr(files, "flush_directory", die)  # the first thing after the segment is in its place
        with pytest.raises(KeyboardInterrupt):
            dictionary(place.run(), KEYS, "2026-03-01")
    assert tables.subdirectories(root) == ["000001"]
    assert dictionary(place.run(), KEYS, "2026-03-01") == expected
    assert bytes_of(root) == whole


def copied(root: Path) -> None:
    shutil.copytree(root / "000002", root / "000003")


def lost(root: Path) -> None:
    shutil.rmtree(root / "000001")


def another(root: Path) -> None:
    shutil.copytree(root / "000001", root / "000001-copy")


def file_twice(root: Path) -> None:
    file = sorted((root / "000002").glob("*.parquet"))[0]
    shutil.copy(file, file.with_name("part-9.parquet"))


def swapped(root: Path) -> None:
    (root / "000001").rename(root / "x")
    (root / "000002").rename(root / "000001")
    (root / "x").rename(root / "000002")


@pytest.mark.parametrize(
    ("harm", "named"),
    [(copied, "000003"), (lost, "000001"), (another, "000001-copy"), (file_twice, "000002"), (swapped, "000001")],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_dictionary_that_somebody_changed_by_hand_is_refused(place: Any, harm: Any, named: str) -> None:
    dictionary(place.run(), KEYS, "2026-03-01")
    dictionary(place.run(), MORE, "2026-03-02")
    harm(place.warehouse / tables.IDS)
    with pytest.raises(StoreError, match=named) as refused:
        dictionary(place.run(), MORE, "2026-03-03")
    assert "\n" not in str(refused.value)


def test_an_erased_key_gets_no_index_while_all_others_do(place: Any) -> None:
    remember(place.warehouse, {"user": ["u1", "n1"], "host": ["u2"]}, "2026-03-01")
    found = dictionary(place.run(), KEYS + MORE, "2026-03-02")
    assert set(found) == set(KEYS + MORE) - {("user", "u1"), ("user", "n1")}
    assert sorted(i for (t, _), i in found.items() if t == "user") == list(range(188))
    assert ("host", "u2") not in set(KEYS)
    assert ("user", "u2") in found, "another type's key of the same name is another key"
