"""The DAGs under a real Airflow on SQLite; the programs that they call are scripts that note their words."""

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
from graphrep.schedule import (
    CHOSEN_DAY,
    DATA_DAY,
    SPARK_STAGES,
    due_command,
    pools_json,
    settings_from,
    shell_line,
    stage_command,
)

REPOSITORY = Path(__file__).resolve().parents[2]
HOME = Path("/srv/graphrep")
STUB = """#!/bin/sh
{ printf '%s' "${0##*/}"; printf '\\t%s' "$@"; printf '\\n'; } >> "$STUB_CALLS"
case "$*" in *"$STUB_FAILS"*) exit "$STUB_CODE";; esac
case "$1" in
    due) echo "$STUB_DUE";;
    gates) echo "gates: $STUB_COLOUR";;
    lineage) echo '{"ds": "'"$3"'", "run_manifest_sha256": "5e1f", "gate": "'"$STUB_COLOUR"'"}';;
esac
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


def test_the_panel_is_a_job_too_and_no_part_of_the_graph() -> None:
    words = stage_command(vocab.PANEL, settings_from({}, HOME), "2026-03-04")
    assert words[:2] == ["spark-submit", "/srv/graphrep/spark_jobs/panel_job.py"]
    assert vocab.PANEL not in SPARK_STAGES
    assert (REPOSITORY / "spark_jobs" / "panel_job.py").is_file()


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


def test_what_is_due_is_asked_with_the_first_day_and_the_patience() -> None:
    settings = settings_from({"GRAPHREP_FIRST_DAY": "2026-03-01", "GRAPHREP_PATIENCE_H": "2"}, HOME)
    asked = ["graphrep", "due", "embed", "--first", "2026-03-01", "--patience", "2"]
    assert due_command(vocab.EMBED, settings) == [*asked, "--config", "/srv/graphrep/configs/local.yaml"]


def test_the_wait_before_a_retry_is_set_in_minutes() -> None:
    code = "from graphrep.schedule import DEFAULTS; print(DEFAULTS['retry_delay'].total_seconds())"
    for minutes, seconds in (("", "300.0"), ("0.5", "30.0")):
        environ = {**os.environ, "GRAPHREP_RETRY_MIN": minutes}
        done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == seconds


# ---- the DAG files, read by Airflow --------------------------------------------------------------


@pytest.fixture(scope="module")
def parsed(tmp_path_factory: pytest.TempPathFactory, real_airflow: Any) -> dict[str, Any]:
    facts: dict[str, Any] = real_airflow(tmp_path_factory.mktemp("parse"), "parse")
    assert facts["import_errors"] == {}
    return facts


@pytest.fixture(scope="module")
def dags(parsed: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = parsed["dags"]
    assert sorted(found) == [
        "consistency_daily",
        "embed_daily",
        "erasure_daily",
        "golive_uplift_daily",
        "graph_daily",
        "maintenance_weekly",
        "publish_daily",
    ]
    return found


def test_every_task_has_an_owner_retries_with_growing_waits_a_time_limit_and_somebody_to_tell(
    dags: dict[str, Any],
) -> None:
    for name, dag in dags.items():
        for task in dag["tasks"]:
            where = f"{name}.{task['id']}"
            assert task["owner"] == "graphrep", where
            assert task["retries"] == 2, where
            assert task["backoff"] > 1, where  # 1 multiplies the wait by one
            assert task["limit_s"] is not None, where
            assert 0 < task["limit_s"] <= 24 * 3600, where
            assert task["told"], where


def test_every_dag_is_tagged_has_a_deadline_and_does_not_catch_up(dags: dict[str, Any]) -> None:
    for name, dag in dags.items():
        assert dag["tags"] == ["embeddings", "graphrep"], name
        assert dag["catchup"] is False, name
        assert all(0 < seconds <= 24 * 3600 for seconds in dag["deadline_s"]), name
        assert dag["deadline_s"], name
    assert {name: dag["max_active_runs"] for name, dag in dags.items()} == {
        "graph_daily": 1,
        "embed_daily": 1,
        "golive_uplift_daily": 1,
        "publish_daily": 3,
        "consistency_daily": 1,
        "erasure_daily": 1,
        "maintenance_weekly": 1,
    }


def test_graphs_go_by_the_clock_and_the_others_by_hints_and_by_the_clock(dags: dict[str, Any]) -> None:
    assert dags["graph_daily"]["timetable"] == ["CronDataIntervalTimetable", "0 2 * * *", "UTC"]
    assert dags["embed_daily"]["timetable"] == ["AssetOrTimeSchedule", "20 * * * *", "UTC"]
    assert dags["golive_uplift_daily"]["timetable"] == ["AssetOrTimeSchedule", "30 * * * *", "UTC"]
    assert dags["publish_daily"]["timetable"] == ["AssetOrTimeSchedule", "40 * * * *", "UTC"]
    assert dags["consistency_daily"]["timetable"] == ["AssetOrTimeSchedule", "0 12 * * *", "UTC"]
    assert dags["erasure_daily"]["timetable"] == ["CronTriggerTimetable", "0 20 * * *", "UTC"]
    assert dags["maintenance_weekly"]["timetable"] == ["CronTriggerTimetable", "0 16 * * 0", "UTC"]
    woken = {name: dag["woken_by"] for name, dag in dags.items()}
    assert woken == {
        "graph_daily": [],
        "consistency_daily": ["graphrep/release"],
        "erasure_daily": [],
        "maintenance_weekly": [],
        "embed_daily": ["graphrep/graph", "graphrep/release", "graphrep/verdict"],
        "golive_uplift_daily": ["graphrep/graph", "graphrep/vectors"],
        "publish_daily": ["graphrep/uplift", "graphrep/vectors"],
    }


def test_who_hints_at_what(dags: dict[str, Any]) -> None:
    outlets = {
        f"{name}.{task['id']}": task["outlets"]
        for name, dag in dags.items()
        for task in dag["tasks"]
        if task["outlets"]
    }
    assert outlets == {
        "graph_daily.graph": ["graphrep/graph"],
        "embed_daily.embed": ["graphrep/vectors"],
        "golive_uplift_daily.uplift": ["graphrep/uplift"],
        "publish_daily.gate": ["graphrep/verdict"],
        "publish_daily.publish": ["graphrep/release"],
        "publish_daily.publish_approved": ["graphrep/release"],
    }


def test_tasks_run_in_the_pools_that_are_to_be_made(dags: dict[str, Any]) -> None:
    used = {task["pool"] for dag in dags.values() for task in dag["tasks"]} - {"default_pool"}
    assert used == set(json.loads(pools_json()))
    for name in ("publish_daily", "consistency_daily", "erasure_daily", "maintenance_weekly"):
        assert {task["pool"] for task in dags[name]["tasks"]} == {"graphrep_publish"}, name
    assert json.loads(pools_json())["graphrep_publish"]["slots"] == 1


def test_commands_are_those_of_the_schedule(dags: dict[str, Any]) -> None:
    settings = settings_from({}, REPOSITORY)
    commands = {task["id"]: task["command"] for dag in dags.values() for task in dag["tasks"]}
    for stage in SPARK_STAGES:
        assert commands[stage] == shell_line(stage, settings)
        assert shlex.split(commands[stage])[-2:] == ["--ds", "{{ data_interval_start | ds }}"]
    for stage in (vocab.EMBED, vocab.PANEL, vocab.UPLIFT, vocab.PUBLISH):
        assert commands[stage] == shell_line(stage, settings, CHOSEN_DAY)
        assert shlex.split(commands[stage])[-2:] == ["--ds", CHOSEN_DAY], "what Jinja reads is whole"
    assert commands[vocab.EVALUATE] == shell_line(vocab.EVALUATE, settings, CHOSEN_DAY) + " --without-uplift"


def test_parsing_is_quick_and_loads_no_room(parsed: dict[str, Any]) -> None:
    assert parsed["seconds"] < 2
    loaded = set(parsed["modules"])
    assert {m for m in loaded if m.split(".")[0] == "graphrep"} == {
        "graphrep",
        "graphrep.asking",
        "graphrep.errors",
        "graphrep.operators",
        "graphrep.schedule",
        "graphrep.vocab",
    }
    assert {m.split(".")[0] for m in loaded}.isdisjoint({"numpy", "pyarrow", "pyspark", "torch"})


# ---- the DAGs, run by Airflow, the programs replaced by stubs ------------------------------------

GOOD = {"STUB_FAILS": "nothing", "STUB_CODE": "0", "STUB_DUE": "2026-03-04", "STUB_COLOUR": "green"}
GRAPH = {"dag": "graph_daily", "logical_date": "2026-03-05T02:00:00+00:00"}
SCENARIOS = {
    "graph": {**GOOD, **GRAPH},
    "bad input": {
        **GOOD,
        **GRAPH,
        "logical_date": "2026-03-06T02:00:00+00:00",
        "STUB_FAILS": "logs_job",
        "STUB_CODE": "2",
    },
    "embed": {**GOOD, "dag": "embed_daily"},
    "no lineage": {**GOOD, "dag": "embed_daily", "STUB_FAILS": "lineage", "STUB_CODE": "1"},
    "nothing due": {**GOOD, "dag": "embed_daily", "STUB_DUE": ""},
    "broken": {**GOOD, "dag": "embed_daily", "STUB_FAILS": "embed --config", "STUB_CODE": "1"},
    "uplift": {**GOOD, "dag": "golive_uplift_daily"},
    "green": {**GOOD, "dag": "publish_daily"},
    "consistent": {**GOOD, "dag": "consistency_daily"},
    "another vector is read": {
        **GOOD,
        "dag": "consistency_daily",
        "STUB_FAILS": "consistency --config",
        "STUB_CODE": "3",
    },
    "erasure": {**GOOD, "dag": "erasure_daily"},
    "maintenance": {**GOOD, "dag": "maintenance_weekly"},
    "amber, approved": {**GOOD, "dag": "publish_daily", "STUB_COLOUR": "amber", "choice": "Approve"},
    "amber, rejected": {**GOOD, "dag": "publish_daily", "STUB_COLOUR": "amber", "choice": "Reject"},
    "red": {**GOOD, "dag": "publish_daily", "STUB_COLOUR": "red"},
    "refused": {**GOOD, "dag": "publish_daily", "STUB_FAILS": "publish --config", "STUB_CODE": "3"},
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, webhook: Any, real_airflow: Any) -> dict[str, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("run")
    (folder / "bin").mkdir()
    for name in ("graphrep", "spark-submit"):
        stub = folder / "bin" / name
        stub.write_text(STUB)
        stub.chmod(0o755)
    answers = real_airflow(
        folder,
        "run",
        json.dumps(list(SCENARIOS.values())),
        GRAPHREP_BIN=str(folder / "bin"),
        GRAPHREP_WAREHOUSE=str(folder / "warehouse"),
        GRAPHREP_ALERT_URL=webhook[0],
        STUB_CALLS=str(folder / "calls"),
        AIRFLOW__OPENLINEAGE__TRANSPORT=json.dumps(
            {"type": "file", "log_file_path": str(folder / "events"), "append": True}
        ),
    )
    return dict(zip(SCENARIOS, answers, strict=True))


def called(run: dict[str, Any]) -> list[str]:
    """What was called: the CLI's first word, or the name of the Spark job; not what is asked for the events."""
    names = [Path(call[1]).name.removesuffix("_job.py") for call in run["calls"]]
    return [name for name in names if name != "lineage"]


def test_a_graph_day_is_keyed_by_the_start_of_its_interval_and_says_so(runs: dict[str, dict[str, Any]]) -> None:
    run = runs["graph"]
    assert run["state"] == "success"
    assert called(run) == list(SPARK_STAGES)
    assert [call[-2:] for call in run["calls"][:3]] == [["--ds", "2026-03-04"]] * 3
    assert [[name, told["ds"]] for name, told in run["told"]] == [["graphrep/graph", "2026-03-04"]]


def test_an_event_carries_the_lineage_of_its_day_and_a_task_without_one_does_not_ask(
    runs: dict[str, dict[str, Any]],
) -> None:
    told = [about for _, about in runs["green"]["told"]]
    assert [(about["ds"], about["run_manifest_sha256"], about["gate"]) for about in told] == [
        ("2026-03-04", "5e1f", "green")
    ] * 2
    asked = [call[1:4] for call in runs["green"]["calls"] if call[1] == "lineage"]
    assert asked == [["lineage", "--ds", "2026-03-04"]] * 2
    assert "gate" not in runs["no lineage"]["told"][0][1]
    assert runs["no lineage"]["state"] == "success", "the work is done"


def test_bad_input_fails_at_once(runs: dict[str, dict[str, Any]]) -> None:
    run = runs["bad input"]
    assert (run["state"], run["told"]) == ("failed", [])
    assert run["tasks"][vocab.LOGS] == ["failed", 1]
    assert called(run) == [vocab.LOGS, "gates"], "whoever is told gets the gates, if there are any"


def test_vectors_are_made_of_the_day_that_is_due(runs: dict[str, dict[str, Any]]) -> None:
    run = runs["embed"]
    assert run["state"] == "success"
    assert called(run) == ["due", vocab.EMBED]
    assert run["calls"][1][-2:] == ["--ds", "2026-03-04"]
    assert [[name, told["ds"]] for name, told in run["told"]] == [["graphrep/vectors", "2026-03-04"]]


def test_where_nothing_is_due_nothing_is_done_and_nobody_woken(runs: dict[str, dict[str, Any]]) -> None:
    run = runs["nothing due"]
    assert (run["state"], run["told"]) == ("success", [])
    assert called(run) == ["due"]
    assert {task: state for task, (state, _) in run["tasks"].items()} == {"due": "skipped", vocab.EMBED: "skipped"}


def test_any_other_failure_is_tried_three_times(runs: dict[str, dict[str, Any]]) -> None:
    run = runs["broken"]
    assert run["state"] == "failed"
    assert run["tasks"][vocab.EMBED] == ["failed", 3]
    assert called(run) == ["due", *[vocab.EMBED] * 3, "gates"]


def test_the_uplift_of_the_day_that_is_due_is_made_and_told(runs: dict[str, dict[str, Any]]) -> None:
    run = runs["uplift"]
    assert run["state"] == "success"
    assert called(run) == ["due", vocab.PANEL, vocab.UPLIFT]
    assert run["calls"][0][2] == vocab.UPLIFT
    assert [call[-2:] for call in run["calls"][1:3]] == [["--ds", "2026-03-04"]] * 2
    assert [[name, told["ds"]] for name, told in run["told"]] == [["graphrep/uplift", "2026-03-04"]]


def test_a_green_day_is_published_and_verified_without_a_person(runs: dict[str, dict[str, Any]]) -> None:
    run = runs["green"]
    assert run["state"] == "success"
    assert called(run) == ["due", vocab.EVALUATE, "gates", vocab.PUBLISH, "releases", "export"]
    assert [name for name, _ in run["told"]] == ["graphrep/verdict", "graphrep/release"]
    assert run["told"][0][1]["answer"] == "gates: green"
    assert run["tasks"]["approve"][0] == run["tasks"]["publish_approved"][0] == "skipped"


def test_a_difference_between_read_and_published_fails_at_once(runs: dict[str, dict[str, Any]]) -> None:
    assert (runs["consistent"]["state"], called(runs["consistent"])) == ("success", ["consistency"])
    assert runs["another vector is read"]["tasks"] == {"consistency": ["failed", 1]}


def test_requests_are_erased_before_the_exports_are_made_anew(runs: dict[str, dict[str, Any]]) -> None:
    run = runs["erasure"]
    assert run["state"] == "success"
    assert [call[1:3] for call in run["calls"]] == [["erase", "--pending"], ["export", "daily"]]


def test_what_maintenance_leaves_is_verified(runs: dict[str, dict[str, Any]]) -> None:
    run = runs["maintenance"]
    assert (run["state"], called(run)) == ("success", ["maintain", "releases"])


def test_an_amber_day_waits_for_a_person_and_is_published_under_the_name_of_who_approves(
    runs: dict[str, dict[str, Any]],
) -> None:
    run = runs["amber, approved"]
    assert run["asked"]["subject"] == "graphrep: 2026-03-04 is amber. Publish it?"
    assert "```text\ngates: amber\n```" in run["asked"]["body"], "the table of the day"
    published = [call for call in run["calls"] if call[1] == vocab.PUBLISH]
    assert [call[-4:-2] for call in published] == [["--approve", run["asked"]["by"]]]
    assert run["asked"]["by"]
    assert run["state"] == "success"
    assert [name for name, _ in run["told"]] == ["graphrep/verdict", "graphrep/release"]
    assert (run["tasks"]["publish"][0], run["tasks"]["verify"][0]) == ("skipped", "success")


def test_a_day_that_a_person_rejects_is_held_and_nothing_is_published(runs: dict[str, dict[str, Any]]) -> None:
    run = runs["amber, rejected"]
    assert vocab.PUBLISH not in called(run)
    assert [name for name, _ in run["told"]] == ["graphrep/verdict"], "the next day may go on"
    assert {task for task, (state, _) in run["tasks"].items() if state == "skipped"} == {
        "publish",
        "publish_approved",
        "verify",
        "exports",
    }
    assert run["state"] == "success", "an answer is no failure"


def test_a_red_day_fails_without_a_retry_and_nothing_is_published(runs: dict[str, dict[str, Any]]) -> None:
    run = runs["red"]
    assert (run["state"], run["told"]) == ("failed", [])
    assert run["tasks"]["gate"] == ["failed", 1]
    assert vocab.PUBLISH not in called(run)


def test_a_day_that_publishing_refuses_is_not_tried_again(runs: dict[str, dict[str, Any]]) -> None:
    run = runs["refused"]
    assert run["tasks"][vocab.PUBLISH] == ["failed", 1]
    assert [name for name, _ in run["told"]] == ["graphrep/verdict"]


def test_the_webhook_is_told_of_each_failure_once_with_the_day_and_its_gates(
    runs: dict[str, dict[str, Any]], webhook: Any
) -> None:
    failed = [message for message in webhook[1] if message["event"] == "task failed"]
    told = [(message["dag"], message["task"], message["ds"], message["gates"]) for message in failed]
    assert told == [
        ("graph_daily", "logs", "2026-03-05", "gates: green\n"),
        ("embed_daily", "embed", "2026-03-04", "gates: green\n"),
        ("consistency_daily", "consistency", "", ""),
        ("publish_daily", "gate", "2026-03-04", "gates: red\n"),
        ("publish_daily", "publish", "2026-03-04", "gates: green\n"),
    ]
    assert runs


def test_the_webhook_is_told_of_each_day_that_waits_for_a_person(runs: dict[str, dict[str, Any]], webhook: Any) -> None:
    waiting = [message for message in webhook[1] if message["event"] == "waits for a person"]
    told = [(message["dag"], message["task"], message["ds"], message["gates"]) for message in waiting]
    assert told == [("publish_daily", "gate", "2026-03-04", "gates: amber")] * 2
    assert runs


def test_openlineage_is_told_what_a_task_read_and_made(
    runs: dict[str, dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    told = (tmp_path_factory.getbasetemp() / "run0" / "events").read_text().splitlines()
    done = [event for event in map(json.loads, told) if event["eventType"] == "COMPLETE"]
    named = {event["job"]["name"]: event for event in reversed(done)}  # the first of each
    read = {name: [found["name"] for found in event["inputs"]] for name, event in named.items()}
    assert read["graph_daily.graph"] == []
    assert read["embed_daily.embed"] == ["graphrep/graph"]
    assert read["publish_daily.publish"] == ["graphrep/vectors", "graphrep/verdict"]
    gates = [event for event in done if event["job"]["name"] == "publish_daily.gate"]
    verdicts = [event["inputs"][0]["inputFacets"]["dataQualityAssertions"]["assertions"][0] for event in gates]
    found = [(verdict["assertion"], verdict["success"]) for verdict in verdicts]
    assert found[:2] == [("gates: green", True), ("gates: amber", False)]
    (made,) = named["embed_daily.embed"]["outputs"]
    assert (made["name"], made["facets"]["version"]["datasetVersion"]) == ("graphrep/vectors", "5e1f")
    assert runs
