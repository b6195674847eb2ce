"""A script of test_dags.py: a real Airflow, in its own process because it rewires logging and warnings.

``parse OUT`` writes what the DAG file declares; ``run OUT SCENARIOS`` runs the DAG once for each scenario,
with the programs of a stage replaced by stubs on PATH. Both write JSON to the file OUT.
"""

from __future__ import annotations

import json
import os
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

DAG_ID = "graphrep_daily"


def _load() -> Any:
    from airflow.dag_processing.dagbag import DagBag

    return DagBag(dag_folder=os.environ["AIRFLOW__CORE__DAGS_FOLDER"])


def parse() -> dict[str, Any]:
    """What stands in the DAG, how long reading it took (s) and which modules that pulled in."""
    import airflow.dag_processing.dagbag
    import airflow.providers.standard.operators.bash
    import airflow.sdk  # noqa: F401

    before = set(sys.modules)
    start = time.perf_counter()
    bag = _load()
    seconds = time.perf_counter() - start
    facts = {"import_errors": {str(k): v for k, v in bag.import_errors.items()}, "dags": sorted(bag.dags)}
    if DAG_ID not in bag.dags:
        return facts
    dag = bag.dags[DAG_ID]
    return facts | {
        "seconds": seconds,
        "modules": sorted(set(sys.modules) - before),
        "timetable": [type(dag.timetable).__name__, dag.timetable.expression, str(dag.timetable.timezone)],
        "catchup": dag.catchup,
        "max_active_runs": dag.max_active_runs,
        "tags": sorted(dag.tags),
        "tasks": [
            {
                "id": task.task_id,
                "downstream": sorted(task.downstream_task_ids),
                "owner": task.owner,
                "retries": task.retries,
                "backoff": float(task.retry_exponential_backoff),
                "timeout_s": task.execution_timeout.total_seconds() if task.execution_timeout else None,
                "outlets": [outlet.name for outlet in task.outlets],
                "command": task.bash_command,
            }
            for task in dag.topological_sort()
        ],
    }


def run(scenarios: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The end of each task and every call of a stub, for each scenario {logical_date, STUB_…: value}."""
    from airflow.models.asset import AssetEvent
    from airflow.utils.db import initdb
    from airflow.utils.session import create_session

    initdb()
    dag = _load().dags[DAG_ID]
    for task in dag.tasks:
        task.retry_delay = timedelta(0)  # the number of tries is under test, not the wait
    results = []
    for scenario in scenarios:
        calls = Path(os.environ["STUB_CALLS"])
        calls.write_text("")
        os.environ |= {name: value for name, value in scenario.items() if name.startswith("STUB_")}
        with create_session() as session:
            seen = session.query(AssetEvent).count()
        dag_run = dag.test(logical_date=datetime.fromisoformat(scenario["logical_date"]))
        with create_session() as session:
            published = session.query(AssetEvent).count() - seen
        results.append(
            {
                "state": str(dag_run.state),
                "tasks": {ti.task_id: [str(ti.state), ti.try_number] for ti in dag_run.get_task_instances()},
                "calls": [line.split("\t") for line in calls.read_text().splitlines()],
                "asset_events": published,
            }
        )
    return results


if __name__ == "__main__":
    answer = parse() if sys.argv[1] == "parse" else run(json.loads(sys.argv[3]))
    Path(sys.argv[2]).write_text(json.dumps(answer))
