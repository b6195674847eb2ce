"""A script of the tests beside it: a real Airflow, in its own process because it rewires logging and warnings.

``parse OUT`` writes what the DAG files declare; ``run OUT SCENARIOS`` runs DAGs one after the other, as the scheduler
would for a moment or for an asset, and answers what they ask a person. Both write JSON to the file OUT.
"""

from __future__ import annotations

import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any


def _load() -> Any:
    from airflow.dag_processing.dagbag import DagBag

    return DagBag(dag_folder=os.environ["AIRFLOW__CORE__DAGS_FOLDER"])


def parse() -> dict[str, Any]:
    """What stands in the DAGs, how long reading them took (s) and which modules that pulled in."""
    import airflow.dag_processing.dagbag
    import airflow.providers.standard.operators.bash
    import airflow.providers.standard.operators.hitl
    import airflow.sdk

    if os.environ.get("GRAPHREP_SPARK_SUBMIT") == "operator":
        import airflow.providers.apache.spark.operators.spark_submit  # noqa: F401

    before = set(sys.modules)
    start = time.perf_counter()
    bag = _load()
    seconds = time.perf_counter() - start
    return {
        "import_errors": {str(k): v for k, v in bag.import_errors.items()},
        "seconds": seconds,
        "modules": sorted(set(sys.modules) - before),
        "dags": {name: _about(dag) for name, dag in bag.dags.items()},
    }


def _about(dag: Any) -> dict[str, Any]:
    timetable = dag.timetable
    clock = getattr(timetable, "timetable", timetable)
    condition = getattr(timetable, "asset_condition", None)
    return {
        "timetable": [type(timetable).__name__, clock.expression, str(clock.timezone)],
        "woken_by": sorted(_names(condition)) if condition else [],
        "catchup": dag.catchup,
        "max_active_runs": dag.max_active_runs,
        "tags": sorted(dag.tags),
        "deadline_s": [alert.interval.total_seconds() for alert in _listed(dag.deadline)],
        "tasks": [
            {
                "id": task.task_id,
                "downstream": sorted(task.downstream_task_ids),
                "owner": task.owner,
                "retries": task.retries,
                "backoff": float(task.retry_exponential_backoff),
                "limit_s": _seconds(task.execution_timeout or getattr(task, "response_timeout", None)),
                "pool": task.pool,
                "outlets": [outlet.name for outlet in task.outlets],
                "told": bool(task.on_failure_callback),
                "command": getattr(task, "bash_command", None),
            }
            for task in dag.topological_sort()
        ],
    }


def _names(condition: Any) -> list[str]:
    """Of the assets inside a condition."""
    parts = getattr(condition, "objects", None)
    return [condition.name] if parts is None else [name for part in parts for name in _names(part)]


def _listed(found: Any) -> list[Any]:
    return list(found) if isinstance(found, (list, tuple)) else [found] if found else []


def _seconds(limit: timedelta | None) -> float | None:
    return limit.total_seconds() if limit else None


def run(scenarios: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The end of each task, what assets were told and what a person was asked.

    Args:
        scenarios: {dag, logical_date or none, choice of a person or none, pass_over: tasks that count as done,
            STUB_…: value}.
    """
    from airflow.models.asset import AssetEvent
    from airflow.utils.db import initdb
    from airflow.utils.session import create_session

    initdb()
    bag = _load()
    results = []
    for scenario in scenarios:
        dag = bag.dags[scenario["dag"]]
        dag.deadline = None  # Airflow 3.3's dag.test looks for a stored alert, and there is none
        for task in dag.tasks:
            task.retry_delay = timedelta(0)  # the number of tries is under test, not the wait
        calls = Path(os.environ.get("STUB_CALLS", os.devnull))
        if calls.is_file():
            calls.unlink()
        os.environ |= {name: value for name, value in scenario.items() if name.startswith("STUB_")}
        with create_session() as session:
            seen = session.query(AssetEvent).count()
        moment = scenario.get("logical_date")
        with ThreadPoolExecutor(1) as person:
            asked = person.submit(_answer, scenario["choice"]) if "choice" in scenario else None
            dag_run = dag.test(
                logical_date=datetime.fromisoformat(moment) if moment else None,
                mark_success_pattern=scenario.get("pass_over"),
            )
        with create_session() as session:
            events = session.query(AssetEvent).order_by(AssetEvent.id).all()[seen:]
            told = [[event.asset.name, event.extra] for event in events]
        results.append(
            {
                "state": str(dag_run.state),
                "tasks": {ti.task_id: [str(ti.state), ti.try_number] for ti in dag_run.get_task_instances()},
                "calls": [line.split("\t") for line in calls.read_text().splitlines()] if calls.is_file() else [],
                "told": told,
                "asked": asked.result() if asked else None,
            }
        )
    return results


def _answer(choice: str) -> dict[str, Any]:
    """What a person is asked, once somebody is; it is answered as Airflow's page does it, by the REST API."""
    details = "/api/v2/dags/~/dagRuns/~/hitlDetails"
    end = time.monotonic() + 120
    while time.monotonic() < end:
        if found := _api().get(details, params={"response_received": False}).json()["hitl_details"]:
            ti = found[0]["task_instance"]
            place = (
                f"/api/v2/dags/{ti['dag_id']}/dagRuns/{ti['dag_run_id']}/taskInstances/{ti['task_id']}/-1/hitlDetails"
            )
            done = _api().patch(place, json={"chosen_options": [choice], "params_input": {}})
            assert done.status_code == 200, done.text
            return {"subject": found[0]["subject"], "body": found[0]["body"], "by": done.json()["responded_by"]["name"]}
        time.sleep(0.5)
    raise AssertionError("nobody was asked")


@cache
def _api() -> Any:
    """The API server, in this process, for whoever asks."""
    from airflow.api_fastapi.app import create_app
    from fastapi.testclient import TestClient

    client = TestClient(create_app(apps="core"), base_url="http://localhost")
    client.headers["Authorization"] = f"Bearer {client.get('/auth/token').json()['access_token']}"
    return client


if __name__ == "__main__":
    answer = parse() if sys.argv[1] == "parse" else run(json.loads(sys.argv[3]))
    Path(sys.argv[2]).write_text(json.dumps(answer))
