"""Sampled neighbourhoods: what may be in them, how often, and through torch_geometric's loaders."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_geometric.loader import LinkLoader, NodeLoader
from torch_geometric.sampler import NodeSamplerInput

from graphrep.embed.neighbours import Neighbours
from graphrep.embed.sampler import TemporalSampler
from graphrep.errors import InputError
from graphrep.graph import EdgeList, HeteroGraph

WATCHES, VISITS, THEN = ("user", "watches", "video"), ("user", "visits", "host"), ("video", "then", "video")


def graph(seed: int, edges: int = 60, timed: bool = True) -> HeteroGraph:
    """Users, videos and hosts, some edges twice, some of weight 0, videos that follow videos without a time."""
    chance = np.random.default_rng(seed)
    sizes = {"user": 9, "video": 7, "host": 4}

    def drawn(source: str, destination: str, count: int, timed: bool) -> EdgeList:
        weight = chance.choice([0.0, 0.5, 1.0, -2.0, 9.0], count).astype(np.float32)
        time = chance.integers(0, 12, count) if timed else None
        return EdgeList(
            chance.integers(0, sizes[source], count), chance.integers(0, sizes[destination], count), weight, time
        )

    return HeteroGraph.from_edges(
        sizes,
        {
            WATCHES: drawn("user", "video", edges, timed),
            VISITS: drawn("user", "host", edges // 6, timed),
            THEN: drawn("video", "video", edges // 2, False),
        },
    ).with_reverses()


def asked(kind: str, nodes: Any, times: Any = None) -> NodeSamplerInput:
    return NodeSamplerInput(None, torch.as_tensor(nodes), None if times is None else torch.as_tensor(times), kind)


def reachable(g: HeteroGraph, kind: str, node: int, time: int | None, strictly: bool) -> list[tuple[Any, int]]:
    """Brute force: (relation, edge) of every edge into a node that was there."""
    found = []
    for edge_type, edges in g.edges.items():
        if edge_type[2] == kind:
            for e in np.flatnonzero((edges.dst == node) & (edges.weight != 0)):
                late = time is not None and edges.time is not None
                if not (late and (edges.time[e] > time or (strictly and edges.time[e] == time))):
                    found.append((edge_type, int(e)))
    return found


def check(g: HeteroGraph, out: Any, limit: int, times: Any, strictly: bool, hops: int) -> None:
    """Every drawn edge is one of brute force's, none twice, and as many as there can be; none for the last nodes."""
    by_node: dict[Any, list[tuple[Any, int]]] = {}
    for edge_type, edge in out.edge.items():
        source, destination = (out.node[edge_type[i]] for i in (0, 2))
        row, col = out.row[edge_type], out.col[edge_type]
        listed = g.edges[edge_type]
        assert source[row].tolist() == listed.src[edge.numpy()].tolist()
        assert destination[col].tolist() == listed.dst[edge.numpy()].tolist()
        if times is not None:
            assert out.batch[edge_type[0]][row].tolist() == out.batch[edge_type[2]][col].tolist()
        for c, e in zip(col.tolist(), edge.tolist(), strict=True):
            by_node.setdefault((edge_type[2], c), []).append((edge_type, e))
    for kind, nodes in out.node.items():
        inner = sum(out.num_sampled_nodes[kind][:hops])
        for place, node in enumerate(nodes.tolist()):
            drawn = by_node.get((kind, place), [])
            assert len(set(drawn)) == len(drawn)
            if place >= inner:
                assert not drawn
                continue
            time = None if times is None else int(times[out.batch[kind][place]])
            allowed = reachable(g, kind, node, time, strictly)
            assert set(drawn) <= set(allowed)
            for edge_type in g.edge_types:
                there = sum(e == edge_type for e, _ in allowed)
                assert sum(e == edge_type for e, _ in drawn) == min(limit, there)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 6), st.booleans(), st.booleans(), st.integers(1, 3))
def test_neighbours_are_those_of_brute_force(seed: int, limit: int, timed: bool, strictly: bool, hops: int) -> None:
    g = graph(seed)
    chance = np.random.default_rng(seed)
    nodes = chance.integers(0, 9, 5) if timed else chance.choice(9, 5, replace=False)
    times = chance.integers(-1, 13, 5) if timed else None
    sampler = TemporalSampler(g, [limit] * hops, seed=seed, strictly_before=strictly)
    out = sampler.sample_from_nodes(asked("user", nodes, times))
    assert out.node["user"][:5].tolist() == nodes.tolist()
    check(g, out, limit, times, strictly, hops)
    for kind, x in out.node.items():
        keys = x if times is None else torch.stack([out.batch[kind], x], 1)
        assert len(torch.unique(keys, dim=0)) == len(keys)
        assert sum(out.num_sampled_nodes[kind]) == len(x)
    for edge_type, row in out.row.items():
        assert sum(out.num_sampled_edges[edge_type]) == len(row)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 9))
def test_a_budget_is_dealt_out_evenly(seed: int, budget: int) -> None:
    g = graph(seed)
    out = TemporalSampler(g, [-1], budget=[budget], seed=seed).sample_from_nodes(asked("user", range(9)))
    for user in range(9):
        there = [sum(e == t for e, _ in reachable(g, "user", user, None, False)) for t in g.edge_types]
        got = [int((out.col[t] == user).sum()) if t[2] == "user" else 0 for t in g.edge_types]
        assert sum(got) == min(budget, sum(there))
        # Max-min: whoever got less than another got all that he has, or is one behind.
        assert all(got[i] == there[i] or got[i] >= max(got) - 1 for i in range(len(got)))


def frequencies(weights: Any, wanted: int, draws: int) -> Any:
    """How often each edge of one node is first, and how often it is drawn at all."""
    n = len(weights)
    one = Neighbours(EdgeList(np.arange(n), np.zeros(n, int), np.asarray(weights, np.float32)), 1, "cpu")
    nodes = torch.zeros(draws, dtype=torch.int64)
    row, place = one.draw(*one.ranges(nodes), torch.full((draws,), wanted), torch.Generator().manual_seed(3))
    assert torch.bincount(row, minlength=draws).tolist() == [wanted] * draws
    assert len(torch.unique(row * n + place)) == draws * wanted
    return torch.bincount(one.source[place], minlength=n).numpy() / draws


def successive(weights: Any, wanted: int) -> Any:
    """Probability to be among the first so many of successive draws without replacement, by recursion."""
    weights = np.asarray(weights, float)
    if wanted == 0:
        return np.zeros(len(weights))
    total = np.zeros(len(weights))
    for first in np.flatnonzero(weights):
        rest = weights.copy()
        rest[first] = 0
        later = successive(rest, wanted - 1)
        later[first] = 1.0
        total += weights[first] / weights.sum() * later
    return total


@pytest.mark.parametrize(
    ("weights", "wanted"),
    [
        ([1.0, 2.0, 3.0, 10.0], 2),  # by keys
        ([5.0] * 6, 3),  # by keys, all alike
        ([1.0] * 10 + [30.0, 10.0, 3.0], 1),  # by bisection
        ([1.0] * 30, 2),  # by bisection, all alike
        ([1e-3] * 30 + [1e4, 10.0], 3),  # by bisection, finished by keys
    ],
)
def test_draws_follow_the_weights_without_replacement(weights: list[float], wanted: int) -> None:
    found, law = frequencies(weights, wanted, 20_000), successive(weights, wanted)
    assert np.abs(found - law).max() < 0.015


def test_the_same_seeds_draw_the_same_and_another_seed_does_not() -> None:
    g = graph(1, edges=300)
    first, again, other = (
        TemporalSampler(g, [2, 2], seed=seed).sample_from_nodes(asked("user", [1, 2, 3], [5, 9, 11]))
        for seed in (7, 7, 8)
    )
    for edge_type in g.edge_types:
        assert first.edge[edge_type].tolist() == again.edge[edge_type].tolist()
    assert any(first.edge[t].tolist() != other.edge[t].tolist() for t in g.edge_types)


def test_nothing_is_left_of_one_batch_in_the_next() -> None:
    g = graph(4)
    used, fresh = TemporalSampler(g, [2, 2]), TemporalSampler(g, [2, 2])
    used.sample_from_nodes(asked("user", [7, 1, 0]))
    after, first = (sampler.sample_from_nodes(asked("user", [2, 8])) for sampler in (used, fresh))
    for kind in g.node_types:
        assert after.node[kind].tolist() == first.node[kind].tolist()
    for edge_type in g.edge_types:
        assert after.row[edge_type].tolist() == first.row[edge_type].tolist()


def test_node_loader_joins_the_graph_of_pyg() -> None:
    g = graph(2)
    data = g.to_pyg()
    for kind, n in g.num_nodes.items():
        data[kind].x = torch.arange(n)
    times = torch.arange(9)
    sampler = TemporalSampler(g, [3, 2])
    loader = NodeLoader(data, sampler, input_nodes=("user", torch.arange(9)), input_time=times, batch_size=4)
    batches = list(loader)
    assert [batch["user"].batch_size for batch in batches] == [4, 4, 1]
    for batch in batches:
        assert batch["video"].x.tolist() == batch["video"].n_id.tolist()
        store = batch["video", "rev_watches", "user"]
        own = g.edges["video", "rev_watches", "user"]
        assert store.edge_weight.tolist() == own.weight[store.e_id.numpy()].tolist()
        when = batch["user"].seed_time[batch["user"].batch[store.edge_index[1]]]
        assert (store.edge_time <= when).all()


def test_link_loader_gives_triplets_and_hides_the_edge_that_is_asked_for() -> None:
    g = graph(3)
    edges = g.edges[WATCHES]
    sampler = TemporalSampler(g, [-1], strictly_before=True)
    pairs = torch.as_tensor(np.stack([edges.src, edges.dst]))
    loader = LinkLoader(
        g.to_pyg(),
        sampler,
        (WATCHES, pairs),
        edge_label_time=torch.tensor(edges.time),
        neg_sampling="triplet",
        batch_size=16,
    )
    for batch in loader:
        user, video, store = batch["user"], batch["video"], batch[WATCHES]
        assert (store.edge_time < user.seed_time[user.batch[store.edge_index[0]]]).all()
        found = torch.stack([user.n_id[user.src_index], video.n_id[video.dst_pos_index]])
        assert torch.equal(found, pairs[:, store.input_id])


@pytest.mark.parametrize(
    ("numbers", "options", "message"),
    [
        ([2, -2], {}, "integers of at least −1"),
        ([2, True], {}, "integers of at least −1"),
        ([2, 2], {"budget": [3]}, "as many hops everywhere"),
        ({WATCHES: [2]}, {}, "a list for every relation"),
        ([2], {"device": "cuda:77"}, "a torch device"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(numbers: Any, options: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        TemporalSampler(graph(0), numbers, **options)


def test_a_relation_without_edges_and_a_type_without_nodes_are_drawn_from_in_peace() -> None:
    empty = EdgeList(np.zeros(0, int), np.zeros(0, int), time=np.zeros(0, int))
    g = HeteroGraph.from_edges({"user": 2, "host": 0}, {("user", "watches", "host"): empty}).with_reverses()
    out = TemporalSampler(g, [3, 3]).sample_from_nodes(asked("user", [0, 1], [4, 4]))
    assert out.node["user"].tolist() == [0, 1]
    assert out.num_sampled_nodes == {"user": [2, 0, 0], "host": [0, 0, 0]}
