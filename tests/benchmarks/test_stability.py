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
    assert set(asked.left[asked.halves[0]]).isdisjoint(asked.left[~asked.halves[0]])
    assert set(asked.right[~asked.met]) <= set(asked.right[asked.met]) | {b for _, b in today}


def _planted(days: int) -> tuple[list[dict[str, np.ndarray]], list[Pairs]]:
    rng = np.random.default_rng(0)
    vectors = {kind: rng.normal(size=(300, 6)).astype(np.float32) for kind in ("user", "video")}
    asked = []
    for _ in range(days):
        left, right = rng.integers(0, 300, (2, 4000))
        score = (vectors["user"][left] * vectors["video"][right]) @ np.array([3.0, -2, 1, 1, 0, 0])
        asked.append(Pairs(left, right, score + rng.normal(size=4000) > 1, np.stack([left < 150, left % 2 == 0])))
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


def test_users_fall_into_halves_in_as_many_ways_as_wanted_and_the_first_is_the_same(log: Log) -> None:
    g = graph_of(log, 4)
    one, three = (pairs_of(log, KINDS, 4, g, seed=0, splits=splits) for splits in (1, 3))
    assert three.halves.shape == (3, len(three.left))
    np.testing.assert_array_equal(one.halves[0], three.halves[0])
    assert (three.halves[0] != three.halves[1]).any()
    assert pairs_of(log, KINDS, 4, g, seed=0, most=10).met.sum() == 10


def test_what_the_control_loses_is_taken_off_by_seed() -> None:
    found = {
        ("walk", "kept", "asked"): [(0.8, 1.0, {7: 0.01}), (0.8, 1.0, {7: 0.03})],
        ("walk", "aligned", "asked"): [(0.8, 1.0, {7: 0.02}), (0.8, 1.0, {7: 0.06})],
    }
    assert stability.beyond_control(found, [7])[2:] == ["| walk, aligned | asked | 0.0200 (sd 0.0141) |"]


def test_losses_are_told_by_the_age_of_a_ranker_and_by_its_day() -> None:
    kept, asked = _planted(3)
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(6, 6)))[0].astype(np.float32)
    first = {kind: x @ turn for kind, x in kept[0].items()}
    found = [judged(v, KINDS, q) for v, q in zip([first, *kept[1:]], asked, strict=True)]
    _, by_age, by_day = losses(found)
    assert by_day[0] > 0.1 > 0.01 > abs(by_day[1]), "only the first day's ranker knows another basis"
    assert by_age[1] == pytest.approx((by_day[1] + 2 * by_day[0] - by_age[2]) / 2)
    lines = stability.by_day_lines({("walk", "raw", "asked"): [[0.1, 0.2], [0.3, 0.2]]})
    assert lines[2] == "| walk, raw | asked | 0.2000 | 0.2000 |"
