"""Which day is next, from the manifests alone: hints may be lost, doubled or late."""

from __future__ import annotations

import datetime as dt
import itertools
import os
from typing import Any

import pytest

from graphrep import vocab
from graphrep.errors import InputError
from graphrep.pipeline.due import next_day
from graphrep.store import runlog

DAYS = [f"2026-03-0{i}" for i in range(1, 6)]
HOURS = dt.timedelta(hours=6)
GREEN, RED = ({"gate": {"colour": colour}} for colour in ("green", "red"))


class Place:
    """A warehouse of which only manifests of runs are there."""

    def __init__(self, place: Any) -> None:
        self.run, self.now = place.run(), dt.datetime.now(dt.UTC)

    def enable_uplift(self) -> None:
        config = self.run.config
        self.run.config = config.model_copy(update={"uplift": config.uplift.model_copy(update={"enabled": True})})

    def did(self, ds: str, stage: str, record: Any = None) -> None:
        runlog.record_stage(self.run.warehouse, ds, stage, record or {})

    def due(self, stage: str, first: str | None = DAYS[0], later: dt.timedelta = dt.timedelta(0)) -> str | None:
        return next_day(self.run, stage, at=self.now + later, patience=HOURS, first=first)

    def work(self) -> list[str]:
        """Whatever is due is done, until nothing is: the days in the order in which they were published."""
        published = []
        while (ds := self.due(vocab.EMBED)) or (ds := self.due(vocab.PUBLISH)):
            if self.due(vocab.EMBED) == ds:
                self.did(ds, vocab.EMBED)
            else:
                self.did(ds, vocab.EVALUATE, GREEN)
                self.did(ds, vocab.PUBLISH)
                published.append(ds)
        return published


@pytest.fixture
def warehouse(still_place: Any) -> Place:
    return Place(still_place)


def test_nothing_is_due_in_an_empty_warehouse(warehouse: Place) -> None:
    assert warehouse.due(vocab.EMBED) is None
    assert warehouse.due(vocab.PUBLISH) is None
    assert warehouse.due(vocab.EMBED, first=None) is None


@pytest.mark.parametrize("order", list(itertools.permutations(DAYS[:4]))[::3])
def test_graphs_in_any_order_are_published_day_by_day_once(warehouse: Place, order: tuple[str, ...]) -> None:
    published: list[str] = []
    for ds in order:
        warehouse.did(ds, vocab.GRAPH)
        published += warehouse.work()  # woken after each, and a second time for nothing
        published += warehouse.work()
    assert published == DAYS[:4]


def test_a_day_waits_for_the_publishing_of_the_day_before(warehouse: Place) -> None:
    for ds in DAYS[:2]:
        warehouse.did(ds, vocab.GRAPH)
    assert warehouse.due(vocab.EMBED) == DAYS[0]
    assert warehouse.due(vocab.PUBLISH) is None, "there are no vectors yet"
    warehouse.did(DAYS[0], vocab.EMBED)
    assert warehouse.due(vocab.EMBED) is None, "the first is not published yet"
    assert warehouse.due(vocab.PUBLISH) == DAYS[0]
    warehouse.did(DAYS[0], vocab.EVALUATE, RED)
    assert warehouse.due(vocab.PUBLISH) is None, "held"
    assert warehouse.due(vocab.EMBED) == DAYS[1], "the next goes on from what is served"


def test_a_day_that_never_comes_holds_the_others_no_longer_than_patience(warehouse: Place) -> None:
    warehouse.did(DAYS[1], vocab.GRAPH)
    assert warehouse.due(vocab.EMBED) is None
    assert warehouse.due(vocab.EMBED, later=2 * HOURS) == DAYS[1]
    assert warehouse.due(vocab.EMBED, first=DAYS[1]) == DAYS[1], "nothing before it is asked for"


def test_a_day_whose_publishing_fails_for_hours_does_not_hold_the_next(warehouse: Place) -> None:
    for ds in DAYS[:2]:
        warehouse.did(ds, vocab.GRAPH)
    warehouse.did(DAYS[0], vocab.EMBED)
    manifest = runlog.run_manifest_path(warehouse.run.warehouse, DAYS[0])
    long_ago = (warehouse.now - 2 * HOURS).timestamp()
    os.utime(manifest, (long_ago, long_ago))
    assert warehouse.due(vocab.EMBED) == DAYS[1]
    assert warehouse.due(vocab.PUBLISH) == DAYS[0], "it is tried on, while nothing else is ready"
    warehouse.did(DAYS[1], vocab.EMBED)
    assert warehouse.due(vocab.PUBLISH) == DAYS[1]


def test_a_day_that_has_waited_for_long_still_lets_the_one_before_be_published(warehouse: Place) -> None:
    for ds in DAYS[:2]:
        warehouse.did(ds, vocab.GRAPH)
    long_ago = (warehouse.now - 2 * HOURS).timestamp()
    os.utime(runlog.run_manifest_path(warehouse.run.warehouse, DAYS[1]), (long_ago, long_ago))
    warehouse.did(DAYS[0], vocab.EMBED)
    assert warehouse.due(vocab.EMBED) is None, "a backfill of many days takes longer than the patience"


def test_a_graph_that_was_made_anew_is_due_again(warehouse: Place) -> None:
    warehouse.did(DAYS[0], vocab.GRAPH)
    assert warehouse.work() == [DAYS[0]]
    warehouse.did(DAYS[0], vocab.GRAPH, {"again": True})  # which drops what was made of the one before
    assert warehouse.work() == [DAYS[0]]


def test_the_uplift_is_due_only_where_it_is_enabled_and_of_days_with_vectors_and_no_release(warehouse: Place) -> None:
    for ds in DAYS[:2]:
        warehouse.did(ds, vocab.GRAPH)
    warehouse.did(DAYS[0], vocab.EMBED)
    assert warehouse.due(vocab.UPLIFT) is None
    warehouse.enable_uplift()
    assert warehouse.due(vocab.UPLIFT) == DAYS[0]
    warehouse.did(DAYS[0], vocab.PANEL)
    assert warehouse.due(vocab.UPLIFT) == DAYS[0], "the panel alone is not the uplift"
    warehouse.did(DAYS[0], vocab.UPLIFT)
    assert warehouse.due(vocab.UPLIFT) is None
    warehouse.did(DAYS[1], vocab.EMBED)
    warehouse.did(DAYS[1], vocab.EVALUATE, GREEN)
    warehouse.did(DAYS[1], vocab.PUBLISH)
    assert warehouse.due(vocab.UPLIFT) is None, "a day that was published without it stays so"


def test_publishing_waits_for_the_uplift_no_longer_than_patience_and_the_next_day_for_that(warehouse: Place) -> None:
    warehouse.enable_uplift()
    for ds in DAYS[:2]:
        warehouse.did(ds, vocab.GRAPH)
    warehouse.did(DAYS[0], vocab.EMBED)
    assert warehouse.due(vocab.PUBLISH) is None
    after = HOURS + dt.timedelta(minutes=1)
    assert warehouse.due(vocab.PUBLISH, later=after) == DAYS[0]
    assert warehouse.due(vocab.EMBED, later=after) is None, "it is about to be published"
    assert warehouse.due(vocab.EMBED, later=3 * HOURS) == DAYS[1]
    warehouse.did(DAYS[0], vocab.UPLIFT)
    assert warehouse.due(vocab.PUBLISH) == DAYS[0]


def test_vectors_turned_onto_a_release_that_is_no_longer_served_are_made_anew(
    warehouse: Place, publish_vectors: Any
) -> None:
    publish_vectors(warehouse.run.warehouse, DAYS[0], {"host": {"h": [1.0, 0.0]}})
    warehouse.did(DAYS[0], vocab.GRAPH)
    warehouse.did(DAYS[0], vocab.PUBLISH)
    warehouse.did(DAYS[1], vocab.GRAPH)
    warehouse.did(DAYS[1], vocab.EMBED, {"parent": f"{DAYS[0]}.1"})
    assert (warehouse.due(vocab.EMBED), warehouse.due(vocab.PUBLISH)) == (None, DAYS[1])
    publish_vectors(warehouse.run.warehouse, DAYS[0], {"host": {"h": [0.0, 1.0]}})  # such as after an erasure
    assert (warehouse.due(vocab.EMBED), warehouse.due(vocab.PUBLISH)) == (DAYS[1], None)
    warehouse.did(DAYS[1], vocab.EMBED, {"parent": f"{DAYS[0]}.2"})
    assert (warehouse.due(vocab.EMBED), warehouse.due(vocab.PUBLISH)) == (None, DAYS[1])


def test_another_stage_is_refused(warehouse: Place) -> None:
    with pytest.raises(InputError, match="'graph'"):
        warehouse.due(vocab.GRAPH)
