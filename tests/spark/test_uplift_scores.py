"""Spark's workers score hosts as one machine does."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import Place
from graphrep.contracts import check_table
from graphrep.contracts.uplift_scores import SCORES
from graphrep.pipeline.uplift import day_scores
from graphrep.pipeline.uplift_score import score_day
from made_panel import DS


@pytest.fixture
def copy(fitted_uplift: Place, tmp_path: Path) -> Place:
    shutil.copytree(fitted_uplift.root, tmp_path / "copy")
    return Place(tmp_path / "copy")


def test_scores_of_spark_are_those_made_here(copy: Place, spark: Any) -> None:
    run = copy.run()
    here = day_scores(run, DS)
    run._spark = spark
    spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", "170")  # several batches in a worker
    try:
        record = score_day(run, DS, by_spark=True)
    finally:
        spark.conf.unset("spark.sql.execution.arrow.maxRecordsPerBatch")
    there = day_scores(run, DS)
    assert here is not None
    assert there is not None
    check_table(there, SCORES)
    assert (record["rows"], there.num_rows) == (1000, 1000)
    for column in SCORES.columns:
        left, right = here[column.name], there[column.name]
        if column.type == "float64" and not left.null_count:
            off = np.abs(left.to_numpy() - right.to_numpy()).max()
            assert off <= 1e-12, (column.name, off)
        else:
            assert left.to_pylist() == right.to_pylist(), column.name
