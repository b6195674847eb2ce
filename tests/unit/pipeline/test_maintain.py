"""Old days go, and only those that are settled; what stays and what serves is as it was."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from conftest import Place
from graphrep import vocab
from graphrep.cli import app
from graphrep.lookup import open_release
from graphrep.pipeline import history
from graphrep.pipeline.maintain import PANELS, maintain
from graphrep.store import erase, releases, runlog, tables

DAYS = [f"2026-03-0{i}" for i in range(1, 7)]
AT = dt.datetime(2026, 3, 7, tzinfo=dt.UTC)
HELD = {"gate": {"colour": "red"}}


@pytest.fixture
def place(still_place: Place, publish_vectors: Any) -> Place:
    """Six days with tables; the first was held, the second not judged yet, the others are published."""
    still_place.configure(
        lambda own: own.update(
            operations={"graph_days": 2, "panel_days": 3},
            publish={"keep": 2},
            history={"enabled": True, "keep_days": 2},
        )
    )
    for number, ds in enumerate(DAYS):
        for name in (*erase.DAY_GRAPH, *PANELS, tables.EVENTS):
            tables.partition(still_place.warehouse, name, ds).mkdir(parents=True)
        runlog.record_stage(still_place.warehouse, ds, vocab.GRAPH, {})
        if number > 1:
            publish_vectors(still_place.warehouse, ds, {"user": {f"u{i}": [1.0, i, number] for i in range(4)}})
            runlog.record_stage(still_place.warehouse, ds, vocab.PUBLISH, {})
    runlog.record_stage(still_place.warehouse, DAYS[0], vocab.EVALUATE, HELD)
    return still_place


def days(place: Place, name: str) -> list[str]:
    return tables.days(place.warehouse / name)


def test_old_settled_days_go_and_are_not_waited_for(place: Place) -> None:
    history.sync(place.run(), at=AT)
    before = {ds: runlog.read_run(place.warehouse, ds) for ds in DAYS}
    found = maintain(place.run(), at=AT)
    assert (found["graphs"], found["panels"]) == ([DAYS[0], DAYS[2]], [DAYS[0]])
    for name in erase.DAY_GRAPH:
        assert days(place, name) == [DAYS[1], *DAYS[3:]], "the second day is on its way"
    for name in PANELS:
        assert days(place, name) == DAYS[1:]
    assert days(place, tables.EVENTS) == DAYS
    assert {ds: runlog.read_run(place.warehouse, ds) for ds in DAYS} == before
    assert found["releases"] == [f"{DAYS[2]}.1", f"{DAYS[3]}.1"]
    assert open_release(place.warehouse, verify=True).release_id == f"{DAYS[5]}.1"
    shown = history.show(place.run())["tables"]["user"]
    assert [day["ds"] for day in shown] == DAYS[3:]
    again = maintain(place.run(), at=AT)
    assert (again["releases"], again["graphs"], again["panels"]) == ([], [], [])


def test_where_nothing_is_published_nothing_is_old(still_place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    tables.partition(still_place.warehouse, tables.NODES, DAYS[0]).mkdir(parents=True)
    words = ["maintain", "--config", str(still_place.config), "--warehouse", str(still_place.warehouse)]
    app(words, standalone_mode=False)
    assert capsys.readouterr().out.splitlines() == [
        "releases  none",
        "graphs    none",
        "panels    none",
        "history   not enabled",
    ]
    assert releases.list_releases(still_place.warehouse) == []
    assert days(still_place, tables.NODES) == [DAYS[0]]
