"""Publishing brings the history up to date, and Spark reads it by the table's own list of files."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphrep.lookup import open_release
from graphrep.pipeline import history
from graphrep.pipeline.run import run_day
from graphrep.store import history as store

DAYS = ("2026-03-01", "2026-03-02", "2026-03-03")


def test_a_published_day_is_in_the_tables_and_spark_reads_it(place: Any, spark: Any) -> None:
    place.configure(lambda settings: settings.update(history={"enabled": True}))
    for ds in DAYS:
        place.deliver_day(ds)
    run = place.run()
    for ds in DAYS[1:]:
        run_day(run, ds, at=place.at)
    shown = history.show(run)
    assert {d["release_id"] for days in shown["tables"].values() for d in days} == {f"{ds}.1" for ds in DAYS[1:]}
    with store.open_catalog(run.warehouse, "graphrep", {}) as catalog:
        tasks = list(store.open_table(catalog, "graphrep", "user").scan().plan_files())
    assert not any(task.delete_files for task in tasks)
    rows = spark.read.parquet(*[task.file.file_path for task in tasks]).toPandas()
    assert sorted(rows["ds"].unique()) == list(DAYS[1:]), "ds is in the files, not only in their paths"
    for ds, own in rows.groupby("ds"):
        release = open_release(run.warehouse, f"{ds}.1")
        hit = release.get("user", own["key"].tolist())
        assert sorted(own["key"]) == sorted(release.keys("user"))
        assert np.allclose(np.stack(own["vector"].to_list()), hit.vectors, atol=0.02), "int8 online, float32 here"
        assert own["degree"].tolist() == hit.degree.tolist()
        assert own["source"].tolist() == hit.source.tolist()
