"""publish_daily: the oldest day with vectors and without a verdict -> judged, and published if its gates are green.

Where the uplift is enabled a day waits for its own, but no longer than the patience, and goes without it then. An amber
day waits for a person, a red one fails and is not tried again: what is served stays served, and the next day goes on
from it. Woken by vectors, by the uplift and by the clock; it asks the manifests which day is next.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import DAG, Asset, AssetOrTimeSchedule, CronTriggerTimetable, TriggerRule

from graphrep import vocab
from graphrep.operators import CommandOperator, DueOperator, GateOperator, deadline, told_of_failure
from graphrep.schedule import (
    APPROVAL,
    APPROVED,
    CHOSEN_DAY,
    DEFAULTS,
    PUBLISH_POOL,
    RELEASE_ASSET,
    TAGS,
    UPLIFT_ASSET,
    VECTORS_ASSET,
    VERDICT_ASSET,
    WITHOUT_UPLIFT,
    command,
    due_command,
    line,
    settings_from,
    shell_line,
)

SETTINGS = settings_from(os.environ, home=Path(__file__).resolve().parents[1])
DAY = {"settings": SETTINGS, "told": {vocab.DS: CHOSEN_DAY}}

with DAG(
    dag_id="publish_daily",
    description="A day's vectors and uplift -> verdict -> release -> history, mirror, exports",
    schedule=AssetOrTimeSchedule(
        timetable=CronTriggerTimetable("40 * * * *", timezone="UTC"), assets=Asset(VECTORS_ASSET) | Asset(UPLIFT_ASSET)
    ),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=3,  # two may wait for a person; the pool has one writer
    tags=TAGS,
    doc_md=__doc__,
    deadline=deadline("publish_daily", SETTINGS, hours=4),
    default_args={**DEFAULTS, "pool": PUBLISH_POOL, "on_failure_callback": told_of_failure},
):
    due = DueOperator(
        task_id="due", command_line=line(due_command(vocab.PUBLISH, SETTINGS), SETTINGS), settings=SETTINGS
    )
    evaluate = CommandOperator(
        task_id=vocab.EVALUATE,
        command_line=shell_line(vocab.EVALUATE, SETTINGS, CHOSEN_DAY) + WITHOUT_UPLIFT,
        **DAY,
    )
    gate = GateOperator(
        task_id="gate",
        command_line=line(command(["gates", "--ds", CHOSEN_DAY], SETTINGS), SETTINGS),
        green=vocab.PUBLISH,
        amber="approve",
        outlets=[Asset(VERDICT_ASSET)],
        **DAY,
    )
    approve = ApprovalOperator(
        task_id="approve",
        subject=f"graphrep: {CHOSEN_DAY} is amber. Publish it?",
        body=APPROVAL,
        defaults=ApprovalOperator.REJECT,
        response_timeout=timedelta(hours=12),
        execution_timeout=None,
    )
    approved = CommandOperator(
        task_id="publish_approved",
        command_line=shell_line(vocab.PUBLISH, SETTINGS, CHOSEN_DAY) + APPROVED,
        env={"APPROVED_BY": "{{ ti.xcom_pull(task_ids='approve')['responded_by_user']['name'] }}"},
        outlets=[Asset(RELEASE_ASSET)],
        **DAY,
    )
    publish = CommandOperator(
        task_id=vocab.PUBLISH,
        command_line=shell_line(vocab.PUBLISH, SETTINGS, CHOSEN_DAY),
        outlets=[Asset(RELEASE_ASSET)],
        **DAY,
    )
    verify = CommandOperator(
        task_id="verify",
        command_line=line(command(["releases", "verify"], SETTINGS), SETTINGS),
        trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS,
        **DAY,
    )
    exports = CommandOperator(  # history and mirror are brought up to date by publish itself
        task_id="exports", command_line=line(command(["export", "daily"], SETTINGS), SETTINGS), **DAY
    )
    due >> evaluate >> gate >> [approve, publish]
    approve >> approved
    [publish, approved] >> verify >> exports
