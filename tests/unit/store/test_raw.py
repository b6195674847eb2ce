"""Which days and files a raw table has, by name alone."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import pytest

from graphrep.config import LogTable
from graphrep.errors import InputError
from graphrep.store import raw

DAY = "2026-03-01"


def table(*, partitioned: bool = True, required: bool = True, kind: Literal["parquet", "csv"] = "parquet") -> LogTable:
    return LogTable(path="live", format=kind, partitioned=partitioned, required=required, marker=None, columns={})


def deliver(root: Path, day: str = DAY, name: str = "part-0.parquet") -> Path:
    file = root / "live" / f"ds={day}" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"rows")
    return file


def test_a_day_is_its_partition_and_a_pool_is_the_whole_table(tmp_path: Path) -> None:
    file = deliver(tmp_path)
    assert raw.day_path(tmp_path, "live", table(), DAY) == file.parent
    assert raw.day_path(tmp_path, "live", table(partitioned=False), DAY) == tmp_path / "live"


def test_a_pool_may_be_one_file(tmp_path: Path) -> None:
    (tmp_path / "live").write_bytes(b"rows")
    assert raw.day_path(tmp_path, "live", table(partitioned=False), DAY) == tmp_path / "live"
    assert raw.data_files(tmp_path / "live", table()) == [tmp_path / "live"]


def test_a_missing_required_table_or_day_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"the log table 'live', found nothing \[.*/live\]; check logs\.root"):
        raw.table_path(tmp_path, "live", table())
    deliver(tmp_path)
    with pytest.raises(InputError, match=r"rows of 'live' for the day 2026-03-02, found no file \[.*ds=2026-03-02\]"):
        raw.day_path(tmp_path, "live", table(), "2026-03-02")


def test_a_missing_optional_table_or_day_is_no_rows(tmp_path: Path) -> None:
    optional = table(required=False)
    assert raw.days(tmp_path, "live", optional) == []
    assert raw.day_path(tmp_path, "live", optional, DAY) is None
    deliver(tmp_path)
    assert raw.day_path(tmp_path, "live", optional, "2026-03-02") is None


def test_a_day_with_markers_only_is_missing(tmp_path: Path) -> None:
    for name in ("_SUCCESS", ".part-0.parquet.crc", "_temporary/0/part-0.parquet", ".hidden/part-0.parquet"):
        deliver(tmp_path, name=name)
    assert raw.data_files(tmp_path / "live" / f"ds={DAY}", table()) == []
    with pytest.raises(InputError, match="no file"):
        raw.day_path(tmp_path, "live", table(), DAY)


def test_files_are_found_in_order_and_at_any_depth(tmp_path: Path) -> None:
    made = [deliver(tmp_path, name=name) for name in ("b", "a", "hour=01/c")]
    assert raw.data_files(made[0].parent, table()) == [made[1], made[0], made[2]]


def test_a_text_file_of_no_bytes_is_no_data_and_a_parquet_file_of_none_is_a_damaged_one(tmp_path: Path) -> None:
    file = deliver(tmp_path)
    file.write_bytes(b"")
    assert raw.data_files(file.parent, table(kind="csv")) == []
    assert raw.data_files(file.parent, table()) == [file]


def test_days_are_in_order_and_nothing_else_is_one(tmp_path: Path) -> None:
    for day in ("2026-03-02", "2026-02-28", DAY):
        deliver(tmp_path, day)
    (tmp_path / "live" / "ds=2026-03-09").touch()
    (tmp_path / "live" / "other").mkdir()
    assert raw.days(tmp_path, "live", table()) == ["2026-02-28", DAY, "2026-03-02"]


@pytest.mark.parametrize("day", ["__HIVE_DEFAULT_PARTITION__", "2026-02-30", "20260301", "2026-W09-7", ""])
def test_a_partition_that_is_no_day_is_named(tmp_path: Path, day: str) -> None:
    deliver(tmp_path, day)
    with pytest.raises(InputError, match=rf"a day as YYYY-MM-DD, found '{day}' \[.*live\]"):
        raw.days(tmp_path, "live", table())


def test_a_day_is_parsed() -> None:
    assert raw.check_day("2024-02-29").isoformat() == "2024-02-29"


def test_the_fingerprint_follows_files_sizes_and_times_but_not_markers(tmp_path: Path) -> None:
    file = deliver(tmp_path)
    seen = [raw.fingerprint(tmp_path, "live", table(), DAY)]
    deliver(tmp_path, name="_SUCCESS")
    assert raw.fingerprint(tmp_path, "live", table(), DAY) == seen[0]
    file.write_bytes(b"more rows")
    seen.append(raw.fingerprint(tmp_path, "live", table(), DAY))
    os.utime(file, ns=(1, 1))
    seen.append(raw.fingerprint(tmp_path, "live", table(), DAY))
    deliver(tmp_path, name="part-1.parquet")
    seen.append(raw.fingerprint(tmp_path, "live", table(), DAY))
    seen.append(raw.fingerprint(tmp_path, "live", table(required=False), "2026-03-02"))
    assert len(set(seen)) == len(seen)
