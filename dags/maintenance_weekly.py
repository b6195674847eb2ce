"""maintenance_weekly: what is older than the settings keep goes, and every byte of what stays is compared.

Trainings start from the walk again by themselves, every embed.cold_every_days; a new basis is for a person to begin,
who tells the rankers.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from airflow.sdk import DAG, CronTriggerTimetable

from graphrep.operators import CommandOperator, deadline, told_of_failure
from graphrep.schedule import DEFAULTS, PUBLISH_POOL, TAGS, command, line, settings_from

SETTINGS = settings_from(os.environ, home=Path(__file__).resolve().parents[1])

with DAG(
    dag_id="maintenance_weekly",
    description="Old releases, graphs, panels and states of the history go; the others are verified",
    schedule=CronTriggerTimetable("0 16 * * 0", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    tags=TAGS,
    doc_md=__doc__,
    deadline=deadline("maintenance_weekly", SETTINGS, hours=12),
    default_args={**DEFAULTS, "pool": PUBLISH_POOL, "on_failure_callback": told_of_failure},
):
    maintain, verify = (
        CommandOperator(task_id=name, command_line=line(command(words, SETTINGS), SETTINGS), settings=SETTINGS)
        for name, words in {"maintain": ["maintain"], "verify": ["releases", "verify"]}.items()
    )
    maintain >> verify
