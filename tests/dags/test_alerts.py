"""What a running Airflow tells when a run is late and when it fails: in the log, and to a webhook."""

from __future__ import annotations

import json
from typing import Any

import pytest

from running_airflow import RunningAirflow, running_airflow, wait_for

DAG = """
import os
from datetime import UTC, datetime
from pathlib import Path

from airflow.sdk import DAG, CronDataIntervalTimetable

from graphrep.operators import CommandOperator, deadline, told_of_failure
from graphrep.schedule import DATA_DAY, DEFAULTS, settings_from

SETTINGS = settings_from(os.environ, home=Path(os.environ["GRAPHREP_HOME"]))

with DAG(
    dag_id="slow_daily",
    schedule=CronDataIntervalTimetable("0 2 * * *", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    deadline=deadline("slow_daily", SETTINGS, hours=0.001),
    default_args={**DEFAULTS, "on_failure_callback": told_of_failure},
):
    CommandOperator(task_id="slow", command_line="sleep 12; exit 2", settings=SETTINGS, told={"ds": DATA_DAY})
"""
STUB = """#!/bin/sh
echo "gates of $3: red"
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, webhook: tuple[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Of one run: what the webhook was told, by event, and the log of its task."""
    folder = tmp_path_factory.mktemp("alerts")
    for name, content in (("dags/slow_daily.py", DAG), ("bin/graphrep", STUB)):
        (folder / name).parent.mkdir()
        (folder / name).write_text(content)
    (folder / "bin" / "graphrep").chmod(0o755)
    variables = {
        "AIRFLOW__CORE__DAGS_FOLDER": str(folder / "dags"),
        "GRAPHREP_HOME": str(folder),
        "GRAPHREP_BIN": str(folder / "bin"),
        "GRAPHREP_ALERT_URL": webhook[0],
    }
    with running_airflow(folder, **variables) as airflow:
        airflow.pause("slow_daily", False)  # the run that is due by the clock
        wait_for(lambda: len(webhook[1]) >= 2, 180, "alert of the delay and of the failure")
        logs = _logs(airflow)
    return {**{message["event"]: message for message in webhook[1]}, "logs": logs, "count": len(webhook[1])}


def _logs(airflow: RunningAirflow) -> str:
    return "".join(path.read_text() for path in (airflow.home / "logs").rglob("*") if path.is_file())


@pytest.mark.slow
def test_a_late_run_is_told_once_while_it_is_still_running(told: dict[str, Any]) -> None:
    late = told["run is late"]
    assert (late["dag"], late["reason"]) == ("slow_daily", "not done 0.001 hours after it was queued")
    assert late["run"].startswith("scheduled__")
    assert late["gates"] == f"gates of {late['ds']}: red\n"
    assert told["count"] == 2


def test_a_failed_task_is_told_with_the_day_its_run_and_its_gates(told: dict[str, Any]) -> None:
    failed, late = told["task failed"], told["run is late"]
    assert (failed["dag"], failed["task"], failed["run"]) == ("slow_daily", "slow", late["run"])
    assert failed["ds"] == late["ds"]
    assert failed["gates"] == f"gates of {failed['ds']}: red\n"
    assert "bad input" in failed["reason"]


def test_both_stand_in_the_logs_too(told: dict[str, Any]) -> None:
    for event in ("run is late", "task failed"):
        assert json.dumps(json.dumps(event))[1:-1] in told["logs"], event
