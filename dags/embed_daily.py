"""embed_daily: the oldest day with a graph and without vectors -> its vectors, learnt on from the release before.

It is woken by a graph, by a verdict or a release (the next day may go on), and by the clock, in case a hint was lost.
It asks the manifests which day is next, and does nothing where none is.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from airflow.sdk import DAG, Asset, AssetOrTimeSchedule, CronTriggerTimetable

from graphrep import vocab
from graphrep.operators import CommandOperator, DueOperator, deadline, told_of_failure
from graphrep.schedule import (
    CHOSEN_DAY,
    DEFAULTS,
    GRAPH_ASSET,
    RELEASE_ASSET,
    TAGS,
    TRAIN_POOL,
    VECTORS_ASSET,
    VERDICT_ASSET,
    due_command,
    line,
    settings_from,
    shell_line,
)

SETTINGS = settings_from(os.environ, home=Path(__file__).resolve().parents[1])

with DAG(
    dag_id="embed_daily",
    description="A day's graph -> vectors in the space of the release before",
    schedule=AssetOrTimeSchedule(
        timetable=CronTriggerTimetable("20 * * * *", timezone="UTC"),
        assets=Asset(GRAPH_ASSET) | Asset(VERDICT_ASSET) | Asset(RELEASE_ASSET),
    ),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,  # each day is turned onto the release before it
    tags=TAGS,
    doc_md=__doc__,
    deadline=deadline("embed_daily", SETTINGS, hours=6),
    default_args={**DEFAULTS, "on_failure_callback": told_of_failure},
):
    due = DueOperator(task_id="due", command_line=line(due_command(vocab.EMBED, SETTINGS), SETTINGS), settings=SETTINGS)
    embed = CommandOperator(
        task_id=vocab.EMBED,
        command_line=shell_line(vocab.EMBED, SETTINGS, CHOSEN_DAY),
        settings=SETTINGS,
        told={vocab.DS: CHOSEN_DAY},
        pool=TRAIN_POOL,
        outlets=[Asset(VECTORS_ASSET)],
    )
    due >> embed
