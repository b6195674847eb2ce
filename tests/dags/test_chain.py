"""The whole chain under a real Airflow, its programs and all, from an empty warehouse; hints come early and twice."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from graphrep import vocab
from graphrep.pipeline.run import run_day
from graphrep.store import files, releases, runlog

BEFORE, DAYS = "2026-03-01", ("2026-03-02", "2026-03-03", "2026-03-04")


def graph(ds: str) -> dict[str, str]:
    """A day's graph is made on the day after."""
    return {"dag": "graph_daily", "logical_date": f"{ds[:-1]}{int(ds[-1]) + 1}T02:00:00+00:00"}


EMBED, PUBLISH = {"dag": "embed_daily"}, {"dag": "publish_daily"}
SCENARIOS = [
    graph(DAYS[1]),
    EMBED,  # too early: the day before is to come
    graph(DAYS[0]),
    PUBLISH,  # there are no vectors
    *(EMBED, PUBLISH, PUBLISH),  # the first day; the second hint at it changes nothing
    graph(DAYS[2]),
    *(EMBED, EMBED, PUBLISH),  # the second, hinted at twice
    *(EMBED, PUBLISH),
    EMBED,
]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, new_place: Callable[[Path], Any]) -> Any:
    place = new_place(tmp_path_factory.mktemp("chain"))
    for ds in (BEFORE, *DAYS):
        place.deliver_day(ds)
    return place


@pytest.fixture(scope="module")
def runs(place: Any, real_airflow: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = real_airflow(
        place.root,
        "run",
        json.dumps(SCENARIOS),
        GRAPHREP_CONFIG=str(place.config),
        GRAPHREP_LOGS=str(place.logs),
        GRAPHREP_WAREHOUSE=str(place.warehouse),
        GRAPHREP_FIRST_DAY=DAYS[0],
    )
    return found


def test_events_carry_what_is_in_the_warehouse(place: Any, runs: list[dict[str, Any]]) -> None:
    told = [(name.removeprefix("graphrep/"), about) for run in runs for name, about in run["told"]]
    released = [about for name, about in told if name == "release"]
    for about in released:
        manifest = releases.release_path(place.warehouse, f"{about['ds']}.1") / releases.MANIFEST
        run = runlog.run_manifest_path(place.warehouse, about["ds"])
        assert (about["release_id"], about["gate"]) == (f"{about['ds']}.1", "green")
        assert (about["release_sha256"], about["run_manifest"]) == (files.sha256(manifest), str(run))
        assert about["run_manifest_sha256"] == files.sha256(run), "no stage comes after it"
    assert len(released) == len(DAYS)
    assert all(("gate" in about) == (name in ("verdict", "release")) for name, about in told)


@pytest.mark.slow
def test_three_days_out_of_order_become_three_releases_in_order(place: Any, runs: list[dict[str, Any]]) -> None:
    assert [run["state"] for run in runs] == ["success"] * len(SCENARIOS)
    told = [(name.removeprefix("graphrep/"), about["ds"]) for run in runs for name, about in run["told"]]
    assert [ds for name, ds in told if name == "graph"] == [DAYS[1], DAYS[0], DAYS[2]]
    assert [ds for name, ds in told if name == "release"] == list(DAYS)
    assert releases.list_releases(place.warehouse) == [f"{ds}.1" for ds in DAYS]
    moves = [(move["action"], move["to"]) for move in releases.read_log(place.warehouse)]
    assert moves == [(releases.PUBLISH, f"{ds}.1") for ds in DAYS]


def test_the_releases_are_those_of_a_run_by_hand(
    place: Any, runs: list[dict[str, Any]], new_place: Callable[[Path], Any]
) -> None:
    hand = new_place(place.root / "by_hand")
    hand.logs = place.logs
    for ds in DAYS:
        run_day(hand.run(), ds, at=place.at)
    for ds in DAYS:
        theirs, ours = (releases.read_manifest(one.warehouse, f"{ds}.1") for one in (place, hand))
        assert theirs == ours
        assert releases.verify_release(place.warehouse, f"{ds}.1") > 3
    assert runs
    assert vocab.PUBLISH in runs[-2]["tasks"]
