"""Six days under a real scheduler that is disturbed on the way: five releases in order, and a day that is held."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from graphrep import vocab
from graphrep.lookup import open_release
from graphrep.pipeline.run import run_day
from graphrep.schedule import GRAPH_ASSET, SPARK_STAGES, VECTORS_ASSET
from graphrep.store import history, releases, runlog
from running_airflow import RunningAirflow, running_airflow, wait_for
from saboteur import Fault, Saboteur

PATIENCE_S = 900
NOW = dt.datetime.now(dt.UTC)
LAST = (NOW - dt.timedelta(hours=2)).date() - dt.timedelta(days=1)
"""The data day whose run of 02:00 UTC is the newest that is due."""
BEFORE, *DAYS, HELD = [(LAST - dt.timedelta(days=ago)).isoformat() for ago in range(6, -1, -1)]


@dataclass
class Story:
    """What happened."""

    place: Any
    faults: dict[str, Fault]
    runs: list[dict[str, Any]]
    tasks: list[dict[str, Any]]
    lost: list[Any]


def stages(place: Any, ds: str) -> dict[str, Any]:
    found: dict[str, Any] = runlog.read_run(place.warehouse, ds)["stages"]
    return found


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, new_place: Callable[[Path], Any]) -> Any:
    """A week of logs; ten times the users come on the last day but one, so that the last day's graph has them."""
    place = new_place(tmp_path_factory.mktemp("week"))
    few = {"count_change": {"min_rows": 3}}
    place.configure(lambda own: (own.update(history={"enabled": True}), own["gates"].update(few)))
    for ds in (BEFORE, *DAYS, HELD):
        place.deliver_day(ds)
    crowded = DAYS[-1]
    start = int(dt.datetime.fromisoformat(f"{crowded}T08:00:00+00:00").timestamp()) * 1000
    row = {"ts": start, "action": "watch", "item_id": "v1", "duration": 9.0}
    place.deliver("videos", crowded, [{**row, "user_id": f"u{i}", "event_id": f"{i}"} for i in range(60)])
    place.at = NOW
    return place


@pytest.fixture(scope="module")
def story(place: Any) -> Story:
    variables = {
        "GRAPHREP_CONFIG": str(place.config),
        "GRAPHREP_LOGS": str(place.logs),
        "GRAPHREP_WAREHOUSE": str(place.warehouse),
        "GRAPHREP_FIRST_DAY": DAYS[0],
        "GRAPHREP_RETRY_MIN": "0.05",
    }
    with running_airflow(place.root, **variables) as airflow:
        saboteur = Saboteur(airflow, place.warehouse, DAYS, HELD)
        airflow.pause("graph_daily", False)  # the run that is due by the clock
        saboteur.until(lambda: ended(airflow, "graph_daily"), "graph by the clock", PATIENCE_S)
        lost = [run["run_id"] for run in airflow.runs("embed_daily")]
        bounds = ("--from-date", DAYS[0], "--to-date", f"{DAYS[-1]}T23:00")
        airflow.cli("backfill", "create", "--dag-id", "graph_daily", *bounds, "--run-backwards")
        for dag in ("embed_daily", "publish_daily"):
            airflow.pause(dag, False)
        saboteur.until(airflow.backfilled, "graphs of the backfill", PATIENCE_S)
        for asset in (GRAPH_ASSET, VECTORS_ASSET):
            airflow.tell_again(asset)
        saboteur.until(lambda: settled(airflow, place), "end of the week", PATIENCE_S)
        runs, tasks = airflow.runs(), airflow.tasks()
    wait_for(lambda: not airflow.processes(), 10, "end of what was killed")
    return Story(place, saboteur.faults, runs, tasks, lost)


def ended(airflow: RunningAirflow, dag: str) -> bool:
    runs = airflow.runs(dag)
    return bool(runs) and all(run["state"] in ("success", "failed") for run in runs)


def settled(airflow: RunningAirflow, place: Any) -> bool:
    return vocab.EVALUATE in stages(place, HELD) and ended(airflow, "~")


def count(story: Story, dag: str, task: str, state: str = "success") -> int:
    return sum((t["dag_id"], t["task_id"], t["state"]) == (dag, task, state) for t in story.tasks)


@pytest.mark.slow
def test_five_days_out_of_order_and_disturbed_become_five_releases_in_order(story: Story) -> None:
    assert releases.list_releases(story.place.warehouse) == [f"{ds}.1" for ds in DAYS]
    moves = [(move["action"], move["to"]) for move in releases.read_log(story.place.warehouse)]
    assert moves == [(releases.PUBLISH, f"{ds}.1") for ds in DAYS]


def test_their_manifests_are_those_of_a_run_by_hand(story: Story, new_place: Callable[[Path], Any]) -> None:
    hand = new_place(story.place.root / "by_hand")
    hand.config, hand.logs = story.place.config, story.place.logs
    hand.at = NOW
    for ds in DAYS:
        run_day(hand.run(), ds, at=hand.at)
        theirs, ours = (releases.read_manifest(one.warehouse, f"{ds}.1") for one in (story.place, hand))
        assert theirs == ours
        assert releases.verify_release(story.place.warehouse, f"{ds}.1") > 3


def test_a_reader_finds_a_whole_release_after_every_kill(story: Story) -> None:
    assert {name: fault.served for name, fault in story.faults.items() if fault.struck} == {
        "worker in Spark": None,
        "Spark alone": None,
        "task in training": None,
        "task before the switch": f"{DAYS[0]}.1",
        "task before the history": f"{DAYS[2]}.1",
        "scheduler": f"{DAYS[2]}.1",
        "worker, not its command": f"{DAYS[3]}.1",
    }


def test_what_was_killed_was_tried_again(story: Story) -> None:
    tries = {}
    for task in story.tasks:
        tries.setdefault((task["dag_id"], task["task_id"]), []).append(task["try_number"])
    assert max(tries["graph_daily", vocab.LOGS]) == 2
    assert max(tries["graph_daily", vocab.GRAPH]) == 2
    assert sorted(tries["embed_daily", vocab.EMBED])[-2:] == [2, 2]
    assert sorted(tries["publish_daily", vocab.PUBLISH])[-2:] == [2, 2]
    assert [count(story, "graph_daily", stage) for stage in SPARK_STAGES] == [6] * 3
    assert count(story, "embed_daily", vocab.EMBED) == 6


def test_the_history_holds_each_release_once(story: Story) -> None:
    run = story.place.run()
    with history.open_catalog(run.warehouse, "graphrep", {}) as catalog:
        days = history.held_days(history.open_table(catalog, run.config.history.namespace, "user"))
    assert {ds: held.release_id for ds, held in days.items()} == {ds: f"{ds}.1" for ds in DAYS}


def test_one_graph_came_by_the_clock_five_by_backfill_and_hints_woke_the_others(story: Story) -> None:
    kinds = {(run["dag_id"], run["run_type"], run["state"]) for run in story.runs}
    graphs = sorted(run["run_type"] for run in story.runs if run["dag_id"] == "graph_daily")
    assert graphs == ["backfill"] * 5 + ["scheduled"]
    assert {("embed_daily", "asset_triggered", "success"), ("publish_daily", "asset_triggered", "success")} <= kinds
    assert [run["dag_id"] for run in story.runs if run["state"] != "success"] == ["publish_daily"]


def test_a_lost_hint_and_doubled_ones_change_nothing(story: Story) -> None:
    assert story.lost == [], "the first graph was made while nobody listened"
    assert vocab.EMBED in stages(story.place, HELD), "and was found all the same"
    assert count(story, "embed_daily", "due", "skipped") + count(story, "publish_daily", "due", "skipped") >= 2


def test_the_day_that_the_gates_refuse_leaves_the_release_before_it(story: Story) -> None:
    assert stages(story.place, HELD)[vocab.EVALUATE]["gate"]["colour"] == "red"
    assert [t["try_number"] for t in story.tasks if (t["task_id"], t["state"]) == ("gate", "failed")] == [1]
    assert open_release(story.place.warehouse).release_id == f"{DAYS[-1]}.1"
