"""What was known of a user by a moment, against a plain loop over his events."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphrep.embed.gnn.timelines import UNTIMED, Timelines
from graphrep.embed.histories import histories
from graphrep.graph import EdgeList, HeteroGraph

HOUR = 3600


def graph(seed: int) -> HeteroGraph:
    """Two surfaces, equal times, events of weight 0 and below, and a relation without times."""
    chance = np.random.default_rng(seed)
    sizes = {"user": 6, "video": 5, "host": 4}

    def drawn(destination: str, count: int, timed: bool) -> EdgeList:
        weight = chance.choice([-1.0, 0.0, 0.5, 2.0], count).astype(np.float32)
        time = HOUR * chance.integers(0, 40, count) if timed else None
        return EdgeList(chance.integers(0, 6, count), chance.integers(0, sizes[destination], count), weight, time)

    edges = {
        ("user", "watches", "video"): drawn("video", 30, True),
        ("user", "visits", "host"): drawn("host", 20, True),
        ("user", "follows", "host"): drawn("host", 8, False),
    }
    return HeteroGraph.from_edges(sizes, edges)


def listed(g: HeteroGraph, factors: dict[str, float]) -> list[tuple[int, int, int, float]]:
    """(user, time, thing, weight) of every event that counts, sorted."""
    starts = {"video": 0, "host": 5}
    rows = []
    for (_, relation, kind), e in g.edges.items():
        for i in range(len(e)):
            weight = float(e.weight[i]) * factors.get(relation, 1.0)
            if weight > 0:
                time = UNTIMED if e.time is None else int(e.time[i])
                rows.append((int(e.src[i]), time, int(e.dst[i]) + starts[kind], weight))
    return sorted(rows, key=lambda row: row[:3])


def lines_of(g: HeteroGraph, factors: dict[str, float] | None = None) -> Timelines:
    return Timelines.of(g, histories(g, factors), factors)


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_events_stand_by_user_and_time_those_without_a_time_first(seed: int) -> None:
    g, factors = graph(seed), {"visits": 3.0}
    lines = lines_of(g, factors)
    found = zip(lines.actor.tolist(), lines.time.tolist(), lines.thing.tolist(), lines.weight.tolist(), strict=True)
    assert sorted(found) == sorted(listed(g, factors))
    assert [row[:2] for row in listed(g, factors)] == list(zip(lines.actor.tolist(), lines.time.tolist(), strict=True))
    assert lines.begin.tolist() == [sum(row[0] < user for row in listed(g, factors)) for user in range(7)]


@given(st.integers(0, 10_000), st.integers(1, 9))
@settings(max_examples=40, deadline=None)
def test_recent_events_are_the_last_before_the_anchor_and_their_ages_those_of_a_loop(seed: int, count: int) -> None:
    lines = lines_of(graph(seed))
    anchors = lines.anchors()
    recent = lines.recent(lines.actor[anchors], anchors, lines.time[anchors], count)
    for row, anchor in enumerate(anchors.tolist()):
        user, now = int(lines.actor[anchor]), int(lines.time[anchor])
        before = [e for e in range(anchor) if int(lines.actor[e]) == user]
        assert all(int(lines.time[e]) < now or now == UNTIMED for e in before), (
            "nothing of the anchor's own time, or later"
        )
        kept = before[::-1][:count]
        assert recent.thing[row, : len(kept)].tolist() == [int(lines.thing[e]) for e in kept]
        assert recent.weight[row].tolist() == [float(lines.weight[e]) for e in kept] + [0.0] * (count - len(kept))
        for place, e in enumerate(kept):
            time = int(lines.time[e])
            later = sum(int(lines.time[other]) > time for other in before)
            assert int(recent.age[row, place]) == (0 if time == UNTIMED else 1 + later)
            assert int(recent.elapsed[row, place]) == (0 if time == UNTIMED else now - time)
            apart = 0 if time == UNTIMED else abs(now // HOUR % 24 - time // HOUR % 24)
            assert int(recent.hours[row, place]) == min(apart, 24 - apart)


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_every_moment_but_the_first_of_a_user_is_an_anchor(seed: int) -> None:
    lines = lines_of(graph(seed))
    pairs = list(zip(lines.actor.tolist(), lines.time.tolist(), strict=True))
    begins = [place for place, pair in enumerate(pairs) if pair[1] == UNTIMED or pairs.index(pair) == place]
    assert lines.anchors().tolist() == [place for place in begins if place and pairs[place - 1][0] == pairs[place][0]]


def test_events_without_a_time_stand_in_an_order_of_the_seed_each_at_its_own_moment() -> None:
    g = HeteroGraph.from_edges({"user": 1, "host": 30}, {("user", "meets", "host"): EdgeList([0] * 30, range(30))})
    one, again, other = (Timelines.of(g, histories(g), seed=seed) for seed in (0, 0, 1))
    assert one.anchors().tolist() == list(range(1, 30))
    assert one.thing.tolist() == again.thing.tolist() != list(range(30))
    assert one.thing.tolist() != other.thing.tolist()
    _, shares = one.following(torch.tensor([3]), 3, 0.5)
    assert shares[0].tolist() == pytest.approx([4 / 7, 2 / 7, 1 / 7])


@given(st.integers(0, 10_000), st.integers(1, 7))
@settings(max_examples=25, deadline=None)
def test_labels_are_what_follows_and_those_of_one_time_count_alike(seed: int, horizon: int) -> None:
    lines = lines_of(graph(seed))
    anchors = lines.anchors()
    things, shares = lines.following(anchors, horizon, 0.5)
    for row, anchor in enumerate(anchors.tolist()):
        user = int(lines.actor[anchor])
        ahead = [e for e in range(anchor, len(lines.actor)) if int(lines.actor[e]) == user][:horizon]
        worth = [0.5 ** (int(lines.since[e]) - anchor) for e in ahead]
        assert things[row, : len(ahead)].tolist() == [int(lines.thing[e]) for e in ahead]
        expected = [w / sum(worth) for w in worth] + [0.0] * (horizon - len(ahead))
        assert shares[row].tolist() == pytest.approx(expected)


def test_one_moment_may_stand_for_all_users_and_nothing_is_newer_than_nothing() -> None:
    g = HeteroGraph.from_edges({"user": 2, "host": 2}, {("user", "meets", "host"): EdgeList([0, 1], [0, 1])})
    lines = lines_of(g)
    assert lines.newest() == UNTIMED
    recent = lines.recent(torch.tensor([0, 1]), lines.begin[1:], lines.newest(), 2)
    assert recent.age.tolist() == [[0, 0], [0, 0]]
    assert recent.elapsed.tolist() == [[0, 0], [0, 0]]
    assert recent.weight.tolist() == [[1.0, 0.0], [1.0, 0.0]]


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_all_columns_lie_on_the_device_that_was_asked_for(device: str) -> None:
    g = graph(0)
    lines: Any = Timelines.of(g, histories(g), device=device)
    names = ("begin", "actor", "thing", "time", "weight", "since")
    assert {getattr(lines, name).device.type for name in names} == {device}
