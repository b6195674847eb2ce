"""The benchmark of frozen rankers: nothing of a day is in its graph, and what it measures is what it says."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import stability
from benchmarks.stability import Log, Pairs, chained, graph_of, judged, losses, pairs_of

KINDS = ("user", "watches_video", "video")


@pytest.fixture(scope="module")
def log() -> Log:
    return stability.sample(users=150, days=2, window=3, seed=0)


def test_a_day_asks_about_pairs_of_its_own_that_its_graph_cannot_have_seen(log: Log) -> None:
    day = 4
    g, events = graph_of(log, day), log.events[KINDS]
    inside = (events.day < day) & (events.day >= day - log.window)
    assert set(zip(*(events.src[inside], events.dst[inside]), strict=True)) == set(
        zip(*(g.edges[KINDS].src.tolist(), g.edges[KINDS].dst.tolist()), strict=True)
    )
    asked = pairs_of(log, KINDS, day, g, seed=0)
    today = set(zip(events.src[events.day == day], events.dst[events.day == day], strict=True))
    for left, right, met in zip(asked.left, asked.right, asked.met, strict=True):
        assert ((left, right) in today) == met
    assert set(asked.left[asked.half]).isdisjoint(asked.left[~asked.half])
    assert set(asked.right[~asked.met]) <= set(asked.right[asked.met]) | {b for _, b in today}


def _planted(days: int) -> tuple[list[dict[str, np.ndarray]], list[Pairs]]:
    rng = np.random.default_rng(0)
    vectors = {kind: rng.normal(size=(300, 6)).astype(np.float32) for kind in ("user", "video")}
    asked = []
    for _ in range(days):
        left, right = rng.integers(0, 300, (2, 4000))
        score = (vectors["user"][left] * vectors["video"][right]) @ np.array([3.0, -2, 1, 1, 0, 0])
        asked.append(Pairs(left, right, score + rng.normal(size=4000) > 1, left < 150))
    return [vectors] * days, asked


def test_a_turn_costs_a_frozen_ranker_and_alignment_brings_it_back() -> None:
    kept, asked = _planted(3)
    rng = np.random.default_rng(1)
    turns = [np.linalg.qr(rng.normal(size=(6, 6)))[0].astype(np.float32) for _ in kept]
    turned = [{kind: x @ turn for kind, x in day.items()} for day, turn in zip(kept, turns, strict=True)]

    def loss(days: list[dict[str, np.ndarray]]) -> float:
        return losses([judged(v, KINDS, q) for v, q in zip(days, asked, strict=True)])[1][1]

    assert abs(loss(kept)) < 0.005
    assert loss(turned) > 0.1
    # A basis of its own suits this ranker less well, but aligned it is one and the same each day.
    assert abs(loss(chained(turned))) < 0.01
    assert abs(loss(chained(turned, scaled=True))) < 0.01
