"""Training rows in Spark get what the same rows get in pandas, in whatever zone the session is."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from graphrep.pipeline.asof import join_pandas, join_spark
from graphrep.store import releases
from published_rows import publish_rows

START = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)


@pytest.fixture
def shanghai(spark: Any) -> Iterator[Any]:
    """A session in another zone than the releases' log."""
    zone = "spark.sql.session.timeZone"
    before = spark.conf.get(zone)
    spark.conf.set(zone, "Asia/Shanghai")
    yield spark
    spark.conf.set(zone, before)


def test_spark_and_pandas_join_alike(shanghai: Any, tmp_path: Path) -> None:
    for day in (1, 2):
        users = {f"u{i}": np.random.default_rng(10 * day + i).normal(size=4) for i in range(9)}
        publish_rows(tmp_path, f"2026-03-0{day}", {"user": users}, at=START + dt.timedelta(hours=32 * day))
    releases.rollback(tmp_path, None, at=START + dt.timedelta(hours=70))
    chance = np.random.default_rng(0)
    hours = chance.integers(20, 90, 60)
    keys = [None if i == 7 else f"u{i}" for i in chance.integers(0, 12, 60).tolist()]
    times = [None if i == 3 else START + dt.timedelta(hours=int(hour)) for i, hour in enumerate(hours)]
    rows = [(i, key, at) for i, (key, at) in enumerate(zip(keys, times, strict=True))]
    told = {"node_type": "user", "key": "who", "time": "at"}
    plain = pd.DataFrame(rows, columns=["i", "who", "at"]).assign(at=lambda f: pd.to_datetime(f["at"], utc=True))
    expected = join_pandas(plain, tmp_path, **told).drop(columns="at")
    frame = shanghai.createDataFrame(rows, "i int, who string, at timestamp")
    found = join_spark(frame, tmp_path, **told)
    assert found.columns == [*frame.columns, *expected.columns[2:]]
    got = {row["i"]: row for row in found.drop("at").collect()}
    assert len(set(expected["vector_release_id"])) == 3
    for row in expected.to_dict("records"):
        vector = got[row["i"]]["vector"]
        assert (vector is None) == (row["vector"] is None)
        if vector is not None:
            np.testing.assert_array_equal(np.array(vector, np.float32), row["vector"])
        for name in set(row) - {"vector", "who"}:
            assert got[row["i"]][name] == row[name], name
    logged = found.select("i", "who", found["vector_release_id"].alias("shown"))
    again = join_spark(logged, tmp_path, node_type="user", key="who", release_id="shown")
    assert {row["i"]: row["vector_found"] for row in again.collect()} == {
        i: row["vector_found"] for i, row in got.items()
    }
