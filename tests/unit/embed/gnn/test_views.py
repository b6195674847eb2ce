"""Views: what is hidden in each, that nothing made of it is left, and what comes next."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from graphrep.embed.gnn.groups import Nodes
from graphrep.embed.gnn.hybrid import Walk
from graphrep.embed.gnn.inputs import content_columns, node_inputs
from graphrep.embed.gnn.views import Reader, View
from graphrep.graph import EdgeList, HeteroGraph, transitions

WATCHES, FOLLOWS = ("user", "watches", "host"), ("user", "follows", "host")
KNOWS = ("user", "knows", "user")


def graph(seed: int = 0, timed: bool = True, **more: EdgeList) -> HeteroGraph:
    """Random edges of two relations, some pairs in both and some twice, the second relation without times."""
    chance = np.random.default_rng(seed)
    src, dst = chance.integers(0, 30, 200), chance.integers(0, 12, 200)
    time = chance.integers(0, 50, 200) if timed else None
    edges = {WATCHES: EdgeList(src, dst, time=time), FOLLOWS: EdgeList(src[:60], dst[:60])}
    return HeteroGraph.from_edges({"user": 30, "host": 12}, edges)


def reader(joint: bool = False, recency: float = 0.0) -> Reader:
    return Reader(joint, None, {"decay": 0.5}, recency, 0, "cpu")


def views_of(g: HeteroGraph, one: Reader, horizon: int = 4) -> list[View]:
    return one.parts(one.whole(g), g, 4, horizon, 0.5)


def pairs(edges: EdgeList) -> set[tuple[int, int]]:
    return set(zip(edges.src.tolist(), edges.dst.tolist(), strict=True))


def targets_of(view: View) -> list[tuple[int, int, int, float]]:
    found = view.targets
    assert found is not None
    rows = []
    for row, actor in enumerate(found.actor.tolist()):
        columns = zip(found.thing[row].tolist(), found.relation[row].tolist(), found.share[row].tolist(), strict=True)
        rows += [(actor, thing, relation, share) for thing, relation, share in columns if share > 0]
    return rows


@pytest.mark.parametrize("joint", [False, True])
def test_of_timed_edges_a_view_has_those_before_its_moment_and_targets_from_then_on(joint: bool) -> None:
    g = graph()
    every, moments = g.edges[WATCHES], []
    assert every.time is not None
    for view in views_of(g, reader(joint)):
        known = view.g.edges[WATCHES]
        assert known.time is not None
        moment = int(known.time.max()) + 1
        assert len(known) == int((every.time < moment).sum())
        moments.append(moment)
        later = {(s, d) for s, d, t in zip(every.src, every.dst, every.time, strict=True) if t >= moment}
        first = 30 if joint else 0
        assert {(a, t - first) for a, t, relation, _ in targets_of(view) if relation == 0} <= later
        then = view.g.edges["host", "then_user", "host"]
        expected = transitions({WATCHES: known}, decay=0.5, name="then_user")["host", "then_user", "host"]
        np.testing.assert_array_equal(then.weight, expected.weight)
    assert moments == sorted(set(moments))
    assert len(moments) == 4


@pytest.mark.parametrize("joint", [False, True])
def test_without_times_no_edge_between_the_ends_of_a_target_is_left(joint: bool) -> None:
    chance = np.random.default_rng(1)
    g = graph(timed=False)
    if joint:  # with edges of which many run both ways
        src, dst = chance.integers(0, 30, 80), chance.integers(0, 30, 80)
        both = EdgeList(np.append(src, dst), np.append(dst, src))
        g = HeteroGraph.from_edges(g.num_nodes, {**g.edges, KNOWS: both})
    found = views_of(g, reader(joint))
    assert len(found) == 4
    hidden: set[tuple[int, int]] = set()
    for view in found:
        seen = pairs(view.g.edges[WATCHES]) | pairs(view.g.edges[FOLLOWS])
        asked = targets_of(view)
        first = 30 if joint else 0
        assert not seen & {(a, t - first) for a, t, relation, _ in asked if relation < 2}
        if joint:
            known = pairs(view.g.edges[KNOWS])
            assert not (known | {(b, a) for a, b in known}) & {(a, t) for a, t, relation, _ in asked if relation == 2}
        hidden |= {(a, t) for a, t, _, _ in asked}
    assert len(hidden) > 0.8 * len(pairs(g.edges[WATCHES]))


def test_what_comes_next_is_in_the_order_of_time_and_equal_times_count_alike() -> None:
    seen = EdgeList([0] * 6 + [1], [0, 1, 2, 3, 4, 5, 0], time=[0, 0, 10, 10, 20, 30, 0])
    g = HeteroGraph.from_edges({"user": 2, "host": 6}, {WATCHES: seen})
    one = reader()
    (view,) = [v for v in views_of(g, one) if len(v.g.edges[WATCHES]) == 3]
    asked = targets_of(view)
    assert {actor for actor, *_ in asked} == {0}
    shares = {thing: share for _, thing, _, share in asked}
    assert shares == pytest.approx({2: 1 / 2.375, 3: 1 / 2.375, 4: 0.25 / 2.375, 5: 0.125 / 2.375})
    short = [v for v in views_of(g, one, horizon=2) if len(v.g.edges[WATCHES]) == 3]
    assert {thing for _, thing, _, _ in targets_of(short[0])} == {2, 3}


def test_dislikes_are_known_but_never_targets() -> None:
    g = graph(timed=False)
    edges = g.edges[WATCHES]
    disliked = EdgeList(edges.src, edges.dst, np.where(edges.dst < 6, -1.0, 1.0))
    for view in views_of(HeteroGraph.from_edges(g.num_nodes, {WATCHES: disliked}), reader()):
        assert all(thing >= 6 for _, thing, _, _ in targets_of(view))
        assert (view.g.edges[WATCHES].weight < 0).any()


def test_all_views_have_the_relations_of_the_graph() -> None:
    one = reader()
    edges = dict(graph().edges) | {("user", "buys", "product"): EdgeList([3, 3], [0, 1], time=[48, 49])}
    g = HeteroGraph.from_edges({"user": 30, "host": 12, "product": 2}, edges)
    whole = one.whole(g)
    assert ("product", "then_user", "product") in whole.g.edges
    for view in one.parts(whole, g, 4, 4, 0.5):
        assert view.g.edge_types == whole.g.edge_types
        assert {kind: x.shape for kind, x in view.activity.items()} == {
            kind: x.shape for kind, x in whole.activity.items()
        }


@pytest.mark.parametrize("joint", [False, True])
def test_inputs_are_those_of_node_inputs(joint: bool) -> None:
    g, chance = graph(), np.random.default_rng(0)
    content = chance.normal(size=(12, 3))
    content[4] = 0
    one = reader(joint, recency=0.7)
    view = one.whole(g)
    nodes = Nodes(view.events, {"host": torch.from_numpy(content_columns(content, "host"))})
    walk = Walk(*(torch.randn(view.events.events.shape[1], 5) for _ in range(2)))
    vectors: dict[str, NDArray[Any]] = {}
    for kind, n in g.num_nodes.items():
        vectors[kind] = nodes.walked(view, walk, kind, torch.arange(n)).numpy()
    expected = node_inputs(view.g, vectors, {"host": content})
    for kind, n in g.num_nodes.items():
        found = nodes.inputs(view, walk, kind, torch.arange(n)).numpy()
        np.testing.assert_allclose(found, expected[kind], rtol=1e-6)
        assert [part.stop for part in nodes.parts(5)[kind]] == ([5, 9] if kind == "host" else [5])
    if not joint:
        start = view.events.start(0.7).toarray()
        mean = start / start.sum(1, keepdims=True) @ walk.source.numpy()
        np.testing.assert_allclose(vectors["user"], mean, rtol=1e-4, atol=1e-6)
