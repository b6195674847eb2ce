"""golive_uplift_daily: the oldest day with vectors and without its uplift -> its panel, fits and scores.

Where the uplift is not enabled nothing is ever due. What the gates of a fit hold back is no failure of the day, and a
day that fails here is published without its uplift. Woken by a graph, by vectors and by the clock.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from airflow.sdk import DAG, Asset, AssetOrTimeSchedule, CronTriggerTimetable

from graphrep import vocab
from graphrep.operators import CommandOperator, DueOperator, deadline, spark_task, told_of_failure
from graphrep.schedule import (
    CHOSEN_DAY,
    DEFAULTS,
    GRAPH_ASSET,
    SPARK_POOL,
    TAGS,
    UPLIFT_ASSET,
    VECTORS_ASSET,
    due_command,
    line,
    settings_from,
    shell_line,
)

SETTINGS = settings_from(os.environ, home=Path(__file__).resolve().parents[1])

with DAG(
    dag_id="golive_uplift_daily",
    description="A day's events and vectors -> panel of hosts and days -> uplift scores",
    schedule=AssetOrTimeSchedule(
        timetable=CronTriggerTimetable("30 * * * *", timezone="UTC"), assets=Asset(GRAPH_ASSET) | Asset(VECTORS_ASSET)
    ),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,  # scores of a day go on from those of the release before
    tags=TAGS,
    doc_md=__doc__,
    deadline=deadline("golive_uplift_daily", SETTINGS, hours=6),
    default_args={**DEFAULTS, "pool": SPARK_POOL, "on_failure_callback": told_of_failure},
):
    due = DueOperator(
        task_id="due", command_line=line(due_command(vocab.UPLIFT, SETTINGS), SETTINGS), settings=SETTINGS
    )
    panel = spark_task(vocab.PANEL, SETTINGS, CHOSEN_DAY)
    uplift = CommandOperator(
        task_id=vocab.UPLIFT,
        command_line=shell_line(vocab.UPLIFT, SETTINGS, CHOSEN_DAY),
        settings=SETTINGS,
        told={vocab.DS: CHOSEN_DAY},
        outlets=[Asset(UPLIFT_ASSET)],
    )
    due >> panel >> uplift
