"""graphrep_daily: the logs of one day -> a published release, at 02:00 UTC on the day after.

A run is keyed by the start of its data interval. A stage skips work that is already done and replaces what it
writes, so any task can be cleared and run again. Settings come from the environment: see graphrep.schedule.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG, Asset, Context, CronDataIntervalTimetable, chain
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from graphrep import vocab
from graphrep.schedule import FINAL_EXIT_CODES, RELEASE_ASSET, settings_from, shell_line

SETTINGS = settings_from(os.environ, home=Path(__file__).resolve().parents[1])


class StageOperator(BashOperator):
    """A command whose final exit codes fail the task at once; any other failure is retried.

    BashOperator tells exit codes apart only to skip the task, so the skip is turned into the failure it is.
    """

    def execute(self, context: Context) -> Any:
        try:
            return super().execute(context)
        except AirflowSkipException as final:
            reason = "bad input (exit code 2) or a day that a gate refused (3); the log above says which"
            raise AirflowFailException(f"{self.task_id}: {reason}. Not retried.") from final


with DAG(
    dag_id="graphrep_daily",
    description="Behaviour logs -> graph -> embeddings -> gate -> release",
    schedule=CronDataIntervalTimetable("0 2 * * *", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,  # one writer: a release names its parent
    tags=["graphrep", "embeddings"],
    doc_md=__doc__,
    default_args={
        "owner": "graphrep",
        "retries": 2,
        "retry_delay": timedelta(minutes=5),
        "retry_exponential_backoff": 2.0,  # the factor: 5 min, then 10
        "max_retry_delay": timedelta(hours=1),
        "execution_timeout": timedelta(hours=4),
        "do_xcom_push": False,
    },
):
    chain(
        *(
            StageOperator(
                task_id=stage,
                bash_command=shell_line(stage, SETTINGS),
                cwd=str(SETTINGS.home),
                skip_on_exit_code=FINAL_EXIT_CODES,
                outlets=[Asset(RELEASE_ASSET)] if stage == vocab.PUBLISH else [],
            )
            for stage in vocab.STAGES
        )
    )
