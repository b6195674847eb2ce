"""The DAG under a real Airflow on SQLite; the programs of a stage are scripts that note their words."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from graphrep import vocab
from graphrep.errors import InputError
from graphrep.schedule import DATA_DAY, settings_from, shell_line, stage_command

REPOSITORY = Path(__file__).resolve().parents[2]
HOME = Path("/srv/graphrep")
STUB = """#!/bin/sh
{ printf '%s' "${0##*/}"; printf '\\t%s' "$@"; printf '\\n'; } >> "$STUB_CALLS"
case "$*" in *"$STUB_FAILS"*) exit "$STUB_CODE";; esac
"""

# ---- commands, without Airflow -------------------------------------------------------------------


def test_a_spark_stage_is_a_spark_submit_of_its_job() -> None:
    settings = settings_from({}, HOME)
    assert stage_command(vocab.EDGES, settings, "2026-03-04") == [
        "spark-submit",
        "/srv/graphrep/spark_jobs/edges_job.py",
        "--config",
        "/srv/graphrep/configs/local.yaml",
        "--ds",
        "2026-03-04",
    ]


def test_a_later_stage_is_a_command_of_the_cli() -> None:
    settings = settings_from({}, HOME)
    assert stage_command(vocab.PUBLISH, settings, "2026-03-04") == [
        "graphrep",
        "publish",
        "--config",
        "/srv/graphrep/configs/local.yaml",
        "--ds",
        "2026-03-04",
    ]


def test_the_environment_places_every_path_and_the_master() -> None:
    environ = {
        "GRAPHREP_HOME": "/opt/g",
        "GRAPHREP_CONFIG": "configs/cluster.yaml",
        "GRAPHREP_LOGS": "/data/logs",
        "GRAPHREP_WAREHOUSE": "wh",
        "GRAPHREP_SPARK_MASTER": "yarn",
    }
    words = stage_command(vocab.GRAPH, settings_from(environ, HOME))
    assert words[:4] == ["spark-submit", "--master", "yarn", "/opt/g/spark_jobs/graph_job.py"]
    assert words[4:] == [
        *("--config", "/opt/g/configs/cluster.yaml"),
        *("--logs", "/data/logs"),
        *("--warehouse", "/opt/g/wh"),
        *("--ds", DATA_DAY),
    ]


def test_an_empty_variable_counts_as_unset_except_the_bin_directory() -> None:
    settings = settings_from({"GRAPHREP_LOGS": "", "GRAPHREP_HOME": "", "GRAPHREP_BIN": ""}, HOME)
    assert settings.logs is None
    assert settings.home == HOME
    assert settings.bin is None
    assert settings_from({}, HOME).bin == HOME / ".venv" / "bin"


def test_bash_reads_the_line_back_as_the_words_of_the_command(tmp_path: Path) -> None:
    home = tmp_path / "a folder with 'quotes' and $HOME"
    (home / "bin").mkdir(parents=True)
    program = home / "bin" / "graphrep"
    program.write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\n")
    program.chmod(0o755)
    settings = settings_from({"GRAPHREP_BIN": "bin"}, home)
    line = shell_line(vocab.EMBED, settings, "2026-03-04")
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == stage_command(vocab.EMBED, settings, "2026-03-04")[1:]


def test_an_unknown_stage_is_named() -> None:
    with pytest.raises(InputError, match="'embedd'"):
        stage_command("embedd", settings_from({}, HOME))


def test_importing_the_schedule_loads_nothing_heavy() -> None:
    code = "import sys, graphrep.schedule; print(*(m.split('.')[0] for m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "graphrep" in loaded
    assert loaded.isdisjoint({"airflow", "numpy", "pyarrow", "pydantic", "pyspark", "torch", "yaml"})


# ---- the DAG file, read by Airflow ---------------------------------------------------------------


def real_airflow(folder: Path, *words: str, **variables: str) -> Any:
    """The answer of real_airflow.py in its own process, with AIRFLOW_HOME in ``folder``."""
    ours = ("AIRFLOW", "GRAPHREP_", "PYTHONWARN")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    environ = inherited | {
        "AIRFLOW_HOME": str(folder / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(REPOSITORY / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "PYTHONDONTWRITEBYTECODE": "1",
        **variables,
    }
    out = folder / "answer.json"
    script = Path(__file__).with_name("real_airflow.py")
    program = [sys.executable, str(script), words[0], str(out), *words[1:]]
    done = subprocess.run(program, env=environ, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return json.loads(out.read_text())


@pytest.fixture(scope="module")
def dag(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    facts: dict[str, Any] = real_airflow(tmp_path_factory.mktemp("parse"), "parse")
    assert facts["import_errors"] == {}
    assert facts["dags"] == ["graphrep_daily"]
    return facts


def test_tasks_are_the_stages_in_a_chain(dag: dict[str, Any]) -> None:
    assert [task["id"] for task in dag["tasks"]] == list(vocab.STAGES)
    assert [task["downstream"] for task in dag["tasks"]] == [[stage] for stage in vocab.STAGES[1:]] + [[]]


def test_every_task_has_an_owner_retries_with_growing_waits_and_a_time_limit(dag: dict[str, Any]) -> None:
    for task in dag["tasks"]:
        assert task["owner"] == "graphrep", task["id"]
        assert task["retries"] == 2, task["id"]
        assert task["backoff"] > 1, task["id"]  # 1 multiplies the wait by one
        assert task["timeout_s"] is not None, task["id"]
        assert 0 < task["timeout_s"] <= 24 * 3600, task["id"]


def test_one_run_a_day_at_two_utc_without_catching_up(dag: dict[str, Any]) -> None:
    assert dag["timetable"] == ["CronDataIntervalTimetable", "0 2 * * *", "UTC"]
    assert dag["catchup"] is False
    assert dag["max_active_runs"] == 1
    assert "graphrep" in dag["tags"]


def test_only_publishing_updates_the_release_asset(dag: dict[str, Any]) -> None:
    outlets = {task["id"]: task["outlets"] for task in dag["tasks"] if task["outlets"]}
    assert outlets == {vocab.PUBLISH: ["graphrep/release"]}


def test_commands_are_those_of_the_schedule(dag: dict[str, Any]) -> None:
    settings = settings_from({}, REPOSITORY)
    assert {task["id"]: task["command"] for task in dag["tasks"]} == {
        stage: shell_line(stage, settings) for stage in vocab.STAGES
    }
    for task in dag["tasks"]:
        assert shlex.split(task["command"])[-2:] == ["--ds", "{{ data_interval_start | ds }}"]


def test_parsing_is_quick_and_loads_no_room(dag: dict[str, Any]) -> None:
    assert dag["seconds"] < 2
    loaded = set(dag["modules"])
    assert {m for m in loaded if m.split(".")[0] == "graphrep"} == {
        "graphrep",
        "graphrep.errors",
        "graphrep.schedule",
        "graphrep.vocab",
    }
    assert {m.split(".")[0] for m in loaded}.isdisjoint({"numpy", "pyarrow", "pyspark", "torch"})


# ---- the DAG, run by Airflow ---------------------------------------------------------------------

PASSES = {"logical_date": "2026-03-05T02:00:00+00:00", "STUB_FAILS": "", "STUB_CODE": "0"}
BAD_INPUT = {"logical_date": "2026-03-06T02:00:00+00:00", "STUB_FAILS": "logs_job.py", "STUB_CODE": "2"}
REFUSED = {"logical_date": "2026-03-07T02:00:00+00:00", "STUB_FAILS": "evaluate", "STUB_CODE": "3"}
BROKEN = {"logical_date": "2026-03-08T02:00:00+00:00", "STUB_FAILS": "embed", "STUB_CODE": "1"}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("run")
    (folder / "bin").mkdir()
    for name in ("graphrep", "spark-submit"):
        stub = folder / "bin" / name
        stub.write_text(STUB)
        stub.chmod(0o755)
    names = ("passes", "bad input", "refused", "broken")
    answers = real_airflow(
        folder,
        "run",
        json.dumps([PASSES, BAD_INPUT, REFUSED, BROKEN]),
        GRAPHREP_BIN=str(folder / "bin"),
        GRAPHREP_WAREHOUSE=str(folder / "warehouse"),
        STUB_CALLS=str(folder / "calls"),
    )
    return dict(zip(names, answers, strict=True))


def stages_called(run: dict[str, Any]) -> list[str]:
    """The stage of each stub call: the CLI's first word, or the name of the Spark job."""
    return [Path(call[1]).name.removesuffix("_job.py") for call in run["calls"]]


def test_a_good_day_runs_every_stage_once_and_updates_the_asset(runs: dict[str, dict[str, Any]]) -> None:
    run = runs["passes"]
    assert run["state"] == "success"
    assert stages_called(run) == list(vocab.STAGES)
    assert run["asset_events"] == 1


def test_a_run_is_keyed_by_the_start_of_its_interval(runs: dict[str, dict[str, Any]]) -> None:
    assert PASSES["logical_date"].startswith("2026-03-05")
    assert [call[-2:] for call in runs["passes"]["calls"]] == [["--ds", "2026-03-04"]] * len(vocab.STAGES)


def test_bad_input_fails_at_once(runs: dict[str, dict[str, Any]]) -> None:
    run = runs["bad input"]
    assert run["state"] == "failed"
    assert run["tasks"][vocab.LOGS] == ["failed", 1]
    assert stages_called(run) == [vocab.LOGS]


def test_a_refused_day_fails_at_once_and_publishes_nothing(runs: dict[str, dict[str, Any]]) -> None:
    run = runs["refused"]
    assert run["state"] == "failed"
    assert run["tasks"][vocab.EVALUATE] == ["failed", 1]
    assert run["tasks"][vocab.PUBLISH][0] == "upstream_failed"
    assert stages_called(run) == list(vocab.STAGES[:-1])
    assert run["asset_events"] == 0


def test_any_other_failure_is_tried_three_times(runs: dict[str, dict[str, Any]]) -> None:
    run = runs["broken"]
    assert run["state"] == "failed"
    assert run["tasks"][vocab.EMBED] == ["failed", 3]
    assert stages_called(run) == [vocab.LOGS, vocab.EDGES, vocab.GRAPH] + [vocab.EMBED] * 3
