"""Airflow's own operator for Spark, and OpenLineage: each where its provider is installed and asked for."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from graphrep import vocab
from graphrep.errors import InputError
from graphrep.schedule import SPARK_STAGES, settings_from
from graphrep.store import runlog

HOME = Path("/srv/graphrep")
BEFORE, DAY = "2026-03-02", "2026-03-03"
OPERATOR = {"GRAPHREP_SPARK_SUBMIT": "operator"}
CONNECTION = {"conn_type": "spark", "host": "local[1]", "extra": {"deploy-mode": "client"}}


def test_the_setting_is_one_of_two_and_the_operator_has_the_master_of_its_connection() -> None:
    assert settings_from({}, HOME).spark_submit == "command"
    assert settings_from(OPERATOR, HOME).spark_conn == "spark_default"
    with pytest.raises(InputError, match="expected command or operator, found 'yarn'"):
        settings_from({"GRAPHREP_SPARK_SUBMIT": "yarn"}, HOME)
    with pytest.raises(InputError, match=r"found 'yarn' \[GRAPHREP_SPARK_MASTER\]"):
        settings_from({**OPERATOR, "GRAPHREP_SPARK_MASTER": "yarn"}, HOME)


def test_without_the_provider_one_line_says_so_and_only_where_it_is_asked_for() -> None:
    code = """
import sys
sys.modules["airflow.providers.apache.spark.operators.spark_submit"] = None
from pathlib import Path
from graphrep.operators import spark_task
from graphrep.schedule import settings_from
print(type(spark_task("edges", settings_from({}, Path("/srv")))).__name__)
try:
    spark_task("edges", settings_from({"GRAPHREP_SPARK_SUBMIT": "operator"}, Path("/srv")))
except Exception as error:
    print(type(error).__name__, error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    plain, refused = done.stdout.splitlines()[-2:]
    assert plain == "CommandOperator"
    assert refused.startswith("InputError expected the Spark provider of Airflow, found ")
    assert "[GRAPHREP_SPARK_SUBMIT]; install apache-airflow-providers-apache-spark" in refused


def test_the_dags_parse_with_the_operator_too(tmp_path: Path, real_airflow: Callable[..., Any]) -> None:
    facts = real_airflow(tmp_path, "parse", **OPERATOR)
    assert facts["import_errors"] == {}
    assert facts["seconds"] < 2
    assert {m.split(".")[0] for m in facts["modules"]}.isdisjoint({"numpy", "pyarrow", "pyspark", "torch"})
    tasks = {task["id"]: task for task in facts["dags"]["graph_daily"]["tasks"]}
    assert [(name, tasks[name]["command"]) for name in SPARK_STAGES] == [(name, None) for name in SPARK_STAGES]
    assert [(tasks[name]["retries"], tasks[name]["told"]) for name in SPARK_STAGES] == [(2, True)] * 3


# ---- one day, for real ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, new_place: Callable[[Path], Any]) -> Any:
    place = new_place(tmp_path_factory.mktemp("providers"))
    for ds in (BEFORE, DAY):
        place.deliver_day(ds)
    return place


@pytest.fixture(scope="module")
def runs(place: Any, real_airflow: Callable[..., Any]) -> dict[str, Any]:
    dag = {"dag": "graph_daily", "pass_over": "edges|graph"}
    scenarios = {
        "good": {**dag, "logical_date": "2026-03-04T02:00:00+00:00"},
        "bad input": {**dag, "logical_date": "2026-03-09T02:00:00+00:00"},
    }
    transport = {"type": "file", "log_file_path": str(place.root / "lineage.json"), "append": True}
    answers = real_airflow(
        place.root,
        "run",
        json.dumps(list(scenarios.values())),
        GRAPHREP_CONFIG=str(place.config),
        GRAPHREP_LOGS=str(place.logs),
        GRAPHREP_WAREHOUSE=str(place.warehouse),
        AIRFLOW_CONN_SPARK_DEFAULT=json.dumps(CONNECTION),
        AIRFLOW__OPENLINEAGE__TRANSPORT=json.dumps(transport),
        AIRFLOW__OPENLINEAGE__NAMESPACE="tests",
        **OPERATOR,
    )
    return dict(zip(scenarios, answers, strict=True))


def test_a_stage_is_submitted_by_the_operator(place: Any, runs: dict[str, Any]) -> None:
    assert runs["good"]["state"] == "success"
    assert runs["good"]["tasks"][vocab.LOGS] == ["success", 1]
    assert runlog.read_stage(place.warehouse, DAY, vocab.LOGS)


def test_the_final_exit_code_of_a_job_is_not_tried_again(runs: dict[str, Any]) -> None:
    assert runs["bad input"]["tasks"][vocab.LOGS] == ["failed", 1]


def test_openlineage_is_told_when_a_task_starts_and_ends(place: Any, runs: dict[str, Any]) -> None:
    lines = (place.root / "lineage.json").read_text().splitlines()
    events = [json.loads(line) for line in lines]
    told = [(event["job"]["name"], event["eventType"]) for event in events if "." in event["job"]["name"]]
    assert told == [
        ("graph_daily.logs", "START"),
        ("graph_daily.logs", "COMPLETE"),
        ("graph_daily.logs", "START"),
        ("graph_daily.logs", "FAIL"),
    ]
    assert {event["job"]["namespace"] for event in events} == {"tests"}
    assert runs
