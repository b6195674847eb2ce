"""Inputs of the encoder: what stands in which column, and what is not seen."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphrep.embed.gnn.inputs import input_parts, node_inputs
from graphrep.errors import InputError
from graphrep.graph import EdgeList, HeteroGraph

DAY = 86_400
WATCHES, FOLLOWS = ("user", "watches", "video"), ("user", "follows", "user")


def graph() -> HeteroGraph:
    """Three users, two videos; user 2 is only followed, by an edge without a time; an edge of weight 0 counts for none.

    User 0 follows 1 twice.
    """
    watches = EdgeList([0, 0, 1, 1], [0, 1, 1, 0], [1.0, -2.0, 1.0, 0.0], [DAY, 4 * DAY, 3 * DAY, 9 * DAY])
    follows = EdgeList([0, 0, 0], [1, 1, 2])
    return HeteroGraph.from_edges({"user": 3, "video": 2}, {WATCHES: watches, FOLLOWS: follows})


def vectors(g: HeteroGraph, d: int = 2) -> dict[str, Any]:
    return {kind: np.ones((n, d)) for kind, n in g.num_nodes.items()}


def test_columns_of_a_small_graph_by_hand() -> None:
    g = graph()
    walk = {"user": np.array([[1.0, 2.0], [0.0, 0.0], [0.0, 3.0]]), "video": np.ones((2, 1))}
    content = {"user": np.array([[0.0, 0.0], [1.0, 7.0], [3.0, 7.0]])}
    found = node_inputs(g, walk, content, as_of=5 * DAY)
    one, two, three = np.log([2.0, 3.0, 4.0])
    users = [
        # walk, none | content, none | watches, follows, followed | days, never
        [1, 2, 0, 0, 0, 1, two, three, 0, one, 0],
        [0, 0, 1, -1, 0, 0, one, 0, two, two, 0],
        [0, 3, 0, 1, 0, 0, 0, 0, one, 0, 1],
    ]
    videos = [[1, 0, one, np.log(5.0), 0], [1, 0, two, one, 0]]
    assert {kind: x.dtype for kind, x in found.items()} == {"user": np.float32, "video": np.float32}
    assert np.allclose(found["user"], users)
    assert np.allclose(found["video"], videos)


def test_later_edges_are_not_seen() -> None:
    g = graph()
    found = node_inputs(g, vectors(g), as_of=2 * DAY)["user"]
    assert np.allclose(found[:, 3], np.log1p([1, 0, 0]))  # watches
    assert np.allclose(found[:, 6], np.log1p([1, 0, 0]))  # days
    assert found[:, 7].tolist() == [0, 1, 1]  # never


def test_the_moment_is_the_newest_time_unless_it_is_given() -> None:
    g = graph()
    for kind, x in node_inputs(g, vectors(g)).items():
        assert x.tobytes() == node_inputs(g, vectors(g), as_of=9 * DAY)[kind].tobytes()


def test_a_graph_without_times_has_no_days() -> None:
    g = HeteroGraph.from_edges({"user": 2}, {FOLLOWS: EdgeList([0], [1])})
    assert node_inputs(g, vectors(g))["user"][:, -2:].tolist() == [[0, 1], [0, 1]]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 12))
def test_counts_and_days_are_those_of_brute_force(seed: int, as_of: int) -> None:
    chance = np.random.default_rng(seed)
    src, dst = chance.integers(0, 5, (2, 30))
    weight, time = chance.choice([0.0, -1.0, 2.0], 30), chance.integers(0, 12, 30)
    g = HeteroGraph.from_edges({"user": 5}, {FOLLOWS: EdgeList(src, dst, weight, time)})
    for node, row in enumerate(node_inputs(g, vectors(g), as_of=as_of)["user"]):
        there = [i for i in range(30) if weight[i] and time[i] <= as_of]
        touching = [i for i in there if node in (src[i], dst[i])]
        newest = max((time[i] for i in touching), default=None)
        counts = [sum(side[i] == node for i in there) for side in (src, dst)]
        days = 0.0 if newest is None else (as_of - newest) / DAY
        assert np.allclose(row[3:], [*np.log1p([*counts, days]), newest is None])


def test_content_has_mean_0_and_deviation_1_over_the_nodes_that_have_any() -> None:
    g = HeteroGraph.from_edges({"user": 200}, {})
    content = np.random.default_rng(0).normal(1.7e9, 1e3, (200, 3))
    content[:, 2] = 0.1
    content[:50] = 0
    x = node_inputs(g, vectors(g), {"user": content})["user"]
    assert np.allclose(x[50:, 3:5].mean(0), 0, atol=1e-5)
    assert np.allclose(x[50:, 3:5].std(0), 1, atol=1e-5)
    assert not x[:50, 3:6].any()
    assert not x[:, 5].any()
    assert x[:, 6].tolist() == [1] * 50 + [0] * 150


def test_a_node_whose_content_is_the_mean_has_content() -> None:
    g = HeteroGraph.from_edges({"user": 2}, {})
    assert node_inputs(g, vectors(g), {"user": np.full((2, 1), 5)})["user"][:, 3:5].tolist() == [[0, 0], [0, 0]]


def test_parts_are_those_that_a_node_may_lack_and_their_flags_follow() -> None:
    g = graph()
    walk, content = vectors(g, 3), {"user": np.array([[1.0, 0.0], [0.0, 0.0], [2.0, 4.0]])}
    walk["user"][1] = walk["video"][0] = 0
    parts = input_parts(walk, content)
    assert {kind: len(own) for kind, own in parts.items()} == {"user": 2, "video": 1}
    for kind, x in node_inputs(g, walk, content).items():
        given = [walk[kind], *([content[kind]] if kind in content else [])]
        for part, matrix in zip(parts[kind], given, strict=True):
            assert part.stop - part.start == matrix.shape[1]
            assert x[:, part.stop].tolist() == (~matrix.any(1)).tolist()
            assert not x[~matrix.any(1), part].any()


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e39])
def test_what_is_not_finite_is_named(bad: float) -> None:
    g = HeteroGraph.from_edges({"user": 70_000}, {})
    content = np.zeros((70_000, 4))
    content[[69_000, 69_001], [2, 1]] = bad
    with pytest.raises(InputError, match=r"features\['user'\], column 2, first in row 69000"):
        node_inputs(g, vectors(g), {"user": content})
    with pytest.raises(InputError, match=r"vectors\['user'\], column 2, first in row 69000"):
        node_inputs(g, {"user": content})


def test_other_types_rows_and_moments_are_refused() -> None:
    g = graph()
    good = vectors(g)
    for walk, content, as_of, culprit in [
        ({"user": good["user"]}, None, None, r"all of the types user, video, found user \[vectors\]"),
        (good, {"host": good["user"]}, None, r"found host \[features\]"),
        ({**good, "user": np.ones((4, 2))}, None, None, r"\(3, ·\), found float64 \(4, 2\) \[vectors\['user'\]\]"),
        (good, {"video": np.ones(2)}, None, r"features\['video'\]"),
        (good, {"video": np.array([["a"], ["b"]])}, None, r"features\['video'\]"),
        (good, None, 1.5, "as_of"),
        (good, None, True, "as_of"),
    ]:
        with pytest.raises(InputError, match=culprit):
            node_inputs(g, walk, content, as_of=as_of)
