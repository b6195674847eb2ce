"""graph_daily: the logs of one day -> events, edges, and the graph of the window, at 02:00 UTC on the day after.

A run is keyed by the start of its data interval, so `airflow backfill create --dag-id graph_daily` makes any days in
any order. A stage skips work that is done and replaces what it writes: any task can be cleared and run again.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from airflow.sdk import DAG, Asset, CronDataIntervalTimetable, chain

from graphrep import vocab
from graphrep.operators import deadline, spark_task, told_of_failure
from graphrep.schedule import (
    DEFAULTS,
    GRAPH_ASSET,
    SPARK_POOL,
    SPARK_STAGES,
    TAGS,
    settings_from,
)

SETTINGS = settings_from(os.environ, home=Path(__file__).resolve().parents[1])

with DAG(
    dag_id="graph_daily",
    description="Behaviour logs -> events -> edges -> the window's graph",
    schedule=CronDataIntervalTimetable("0 2 * * *", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,  # ids are given in the order of runs
    tags=TAGS,
    doc_md=__doc__,
    deadline=deadline("graph_daily", SETTINGS, hours=6),
    default_args={**DEFAULTS, "pool": SPARK_POOL, "on_failure_callback": told_of_failure},
):
    chain(
        *(
            spark_task(stage, SETTINGS, outlets=[Asset(GRAPH_ASSET)] if stage == vocab.GRAPH else [])
            for stage in SPARK_STAGES
        )
    )
