"""consistency_daily: what rankers read against what was published, after each release and at noon.

A difference fails without a retry and is told. It holds nothing back: what is served is for a person to decide, who can
go back to the release before.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from airflow.sdk import DAG, Asset, AssetOrTimeSchedule, CronTriggerTimetable

from graphrep.operators import CommandOperator, deadline, told_of_failure
from graphrep.schedule import DEFAULTS, PUBLISH_POOL, RELEASE_ASSET, TAGS, command, line, settings_from

SETTINGS = settings_from(os.environ, home=Path(__file__).resolve().parents[1])

with DAG(
    dag_id="consistency_daily",
    description="Reader, history, mirror and Redis against the current release",
    schedule=AssetOrTimeSchedule(
        timetable=CronTriggerTimetable("0 12 * * *", timezone="UTC"), assets=Asset(RELEASE_ASSET)
    ),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    tags=TAGS,
    doc_md=__doc__,
    deadline=deadline("consistency_daily", SETTINGS, hours=4),
    default_args={**DEFAULTS, "pool": PUBLISH_POOL, "on_failure_callback": told_of_failure},
):
    CommandOperator(
        task_id="consistency",
        command_line=line(command(["consistency"], SETTINGS), SETTINGS),
        settings=SETTINGS,
    )
