"""erasure_daily: the requests of erasure that were delivered since -> erased, and gone from the exports.

The directory is the setting operations.erasure_requests; a request that was done is not done again, and without a new
one nothing is done. In the evening, when the day is published: a graph that is on its way and holds a key goes, too.
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
    dag_id="erasure_daily",
    description="Delivered requests of erasure -> erased",
    schedule=CronTriggerTimetable("0 20 * * *", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    tags=TAGS,
    doc_md=__doc__,
    deadline=deadline("erasure_daily", SETTINGS, hours=12),
    default_args={**DEFAULTS, "pool": PUBLISH_POOL, "on_failure_callback": told_of_failure},
):
    erase, exports = (
        CommandOperator(task_id=name, command_line=line(command(words, SETTINGS), SETTINGS), settings=SETTINGS)
        for name, words in {"erase": ["erase", "--pending"], "exports": ["export", "daily"]}.items()
    )
    erase >> exports
