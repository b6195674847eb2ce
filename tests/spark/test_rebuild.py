"""Day by day, with late rows and runs again, gives the bytes of a rebuild from all that was ever delivered."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graphrep import vocab
from graphrep.pipeline.load import load_graph
from graphrep.pipeline.run import run_day
from graphrep.store import tables

# A Monday, the Sunday that ends its week, and the two days after it.
DAYS = ("2026-03-02", "2026-03-08", "2026-03-09", "2026-03-10")
START = {ds: 1_772_409_600_000 + i * vocab.DAY_MS for i, ds in zip((0, 6, 7, 8), DAYS, strict=True)}
TABLES = ("ids", "nodes", "adjacency", "arrays")


def configured(settings: dict[str, Any]) -> None:
    for table in settings["logs"]["tables"].values():
        table["required"] = False
    settings["relation_defaults"] = {"window_days": 28, "half_life_days": 2}
    settings["transitions"] = {"then": {"relations": ["watches", "visits", "buys"], "reach_days": 7}}
    settings["weekly_beyond_days"] = 7


def deliveries(seed: int) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Day of delivery → table → rows, some of them of days before it, some of them twice."""
    chance = random.Random(seed)
    rows: dict[str, dict[str, list[dict[str, Any]]]] = {ds: {"videos": [], "live": [], "shop": []} for ds in DAYS}
    for n in range(160):
        told = chance.randrange(4)
        brought = told if told in (0, 3) or chance.random() < 0.7 else told + 1
        table = chance.choice(("videos", "live", "shop"))
        about: dict[str, Any] = {
            "videos": {"action": "watch", "item_id": f"v{chance.randrange(6)}", "duration": float(chance.randrange(9))},
            "live": {"action": "watch", "host_id": f"h{chance.randrange(5)}"},
            "shop": {"action": "buy", "item_id": f"p{chance.randrange(4)}"},
        }[table]
        ts = START[DAYS[told]] + chance.randrange(40) * 1000
        # Each day has users of its own, whom a late row brings a day later.
        who = f"u{chance.randrange(6)}" if n % 3 else f"d{told}-{chance.randrange(3)}"
        row = {"ts": ts, "user_id": who, "event_id": str(n), **about}
        rows[DAYS[brought]][table].append(row)
        if n % 10 == 0 and brought < 3 and brought > 0:
            rows[DAYS[brought + 1]][table].append(row)
    return rows


def deliver(place: Any, ds: str, rows: dict[str, list[dict[str, Any]]]) -> None:
    for table, own in rows.items():
        if own:
            place.deliver(table, ds, own)


def contents(place: Any) -> dict[str, bytes]:
    files = [p for t in TABLES for p in sorted((place.warehouse / t).rglob("*")) if p.is_file() and p.name != ".lock"]
    return {str(p.relative_to(place.warehouse)): p.read_bytes() for p in files}


@pytest.fixture(scope="module")
def rebuilt(tmp_path_factory: pytest.TempPathFactory, new_place: Callable[[Path], Any]) -> Any:
    """Everything delivered, then each day run."""
    place = new_place(tmp_path_factory.mktemp("rebuilt"))
    place.configure(configured)
    for ds, rows in deliveries(0).items():
        deliver(place, ds, rows)
    for ds in DAYS[1:]:
        run_day(place.run(), ds, at=place.at, last=vocab.GRAPH)
    return place


def test_day_by_day_gives_the_bytes_of_the_rebuild(rebuilt: Any, place: Any) -> None:
    place.configure(configured)
    given = deliveries(0)
    deliver(place, DAYS[0], given[DAYS[0]])
    for before, ds in pairwise(DAYS):
        deliver(place, ds, given[ds])
        run_day(place.run(), ds, at=place.at, last=vocab.GRAPH)
        if before != DAYS[0]:
            run_day(place.run(), before, at=place.at, last=vocab.GRAPH)
    run_day(place.run(), DAYS[3], at=place.at, last=vocab.GRAPH)
    made, expected = contents(place), contents(rebuilt)
    assert made.keys() == expected.keys()
    assert [name for name in made if made[name] != expected[name]] == []
    late = tables.read_table(tables.partition(rebuilt.warehouse, tables.EVENTS, DAYS[2]))
    assert set(late["ds"].to_pylist()) == set(DAYS[1:3])


def test_a_window_read_by_weeks_is_the_window_of_its_days(rebuilt: Any, place: Any) -> None:
    assert tables.days(rebuilt.warehouse / tables.WEEKS) == [DAYS[1]]
    place.configure(lambda settings: (configured(settings), settings.update(weekly_beyond_days=28)))
    place.logs = rebuilt.logs
    for ds in DAYS[1:]:
        run_day(place.run(), ds, at=place.at, last=vocab.GRAPH)
    assert not (place.warehouse / tables.WEEKS).exists()
    by_weeks, by_days = (load_graph(p.run(), DAYS[3]).graph for p in (rebuilt, place))
    assert by_weeks.num_nodes == by_days.num_nodes
    for edge_type, edges in by_weeks.edges.items():
        same = by_days.edges[edge_type]
        assert edges.src.tolist() == same.src.tolist()
        assert edges.dst.tolist() == same.dst.tolist()
        np.testing.assert_allclose(edges.weight, same.weight, rtol=1e-6)
    assert sum(len(edges) for edges in by_weeks.edges.values()) > 100
