"""Columns of a typed graph's pairs, against a loop over its edges, and what can be learnt from them."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from graphrep.embed.attribute_weights import Training, learn_weights
from graphrep.embed.edge_features import COLUMNS, relation_features
from graphrep.embed.joint import joint_adjacency
from graphrep.errors import InputError
from graphrep.graph import EdgeList, HeteroGraph


def typed(seed: int) -> HeteroGraph:
    chance = np.random.default_rng(seed)

    def some(source: int, destination: int, timed: bool) -> EdgeList:
        time = chance.integers(0, 5, 12) if timed else None
        weight = chance.choice([-1.0, 0.5, 2.0], 12).astype(np.float32)
        return EdgeList(chance.integers(0, source, 12), chance.integers(0, destination, 12), weight, time)

    edges = {
        ("user", "watches", "host"): some(4, 3, True),
        ("user", "follows", "user"): some(4, 4, False),
        ("host", "hosts", "user"): some(3, 4, True),
    }
    return HeteroGraph.from_edges({"user": 4, "host": 3}, edges)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6))
def test_columns_are_those_of_a_loop_over_the_edges(seed: int) -> None:
    g = typed(seed)
    upper = np.triu(np.random.default_rng(seed).random((7, 7)) < 0.7, 1)
    pairs = sp.csr_array((upper | upper.T).astype(float))
    found = relation_features(g, pairs)
    assert found.shape == (upper.sum(), 15)
    offset = {"user": 0, "host": 4}
    for number, ((source, _, destination), edges) in enumerate(g.edges.items()):
        sums: dict[tuple[int, int], list[tuple[float, int]]] = {}
        times = np.zeros(len(edges), int) if edges.time is None else edges.time
        for u, v, w, t in zip(edges.src, edges.dst, edges.weight, times, strict=True):
            ends = sorted((int(u) + offset[source], int(v) + offset[destination]))
            sums.setdefault((ends[0], ends[1]), []).append((float(w), int(t)))
        strengths = [sum(w for w, _ in rows) for rows in sums.values()]
        newest = [max(t for _, t in rows) for rows in sums.values()]
        for row, pair in enumerate(zip(*np.nonzero(upper), strict=True)):
            got = dict(zip(COLUMNS, found[row, 5 * number : 5 * number + 5], strict=True))
            if pair not in sums:
                assert set(got.values()) == {0.0}
                continue
            strength = sum(w for w, _ in sums[pair])
            last = max(t for _, t in sums[pair])
            recency = np.mean([t <= last for t in newest]) if edges.time is not None else 0.0
            expected = (
                1.0,
                np.log1p(len(sums[pair])),
                np.sign(strength) * np.log1p(abs(strength)),
                np.mean([s <= strength for s in strengths]),
                recency,
            )
            np.testing.assert_allclose(list(got.values()), expected, rtol=1e-12)


def test_weights_learnt_from_them_tell_a_relation_that_says_something_from_noise() -> None:
    chance = np.random.default_rng(0)
    users, videos = 90, 60
    same = np.arange(users)[:, None] % 3 == np.arange(videos) % 3
    finished = same & (chance.random(same.shape) < 0.25)
    seen = chance.random(same.shape) < 0.3
    edges = {("user", "finishes", "video"): EdgeList(*np.nonzero(finished))}
    edges["user", "sees", "video"] = EdgeList(*np.nonzero(seen))
    g = HeteroGraph.from_edges({"user": users, "video": videos}, edges)
    a = joint_adjacency(g).matrix
    later = sp.coo_array(same & ~finished & ~seen & (chance.random(same.shape) < 0.25))
    validation = sp.csr_array((np.ones(later.nnz), (later.row, later.col + users)), shape=a.shape)
    learnt = learn_weights(
        a,
        np.repeat(np.eye(2), [users, videos], axis=0),
        eta=0.0,
        alpha=0.1,
        beta=1.0,
        validation=validation + validation.T,
        edge_features=relation_features(g, a),
        training=Training(epochs=6, batches=4, random=40, dropout=0.0),
    )
    weight = learnt.matrix[:users, users:].toarray()
    assert learnt.helped
    assert weight[finished].min() > weight[seen & ~finished].max()


def test_pairs_of_another_graph_are_refused() -> None:
    with pytest.raises(InputError, match=r"a scipy.sparse matrix of shape \(7, 7\)"):
        relation_features(typed(0), sp.csr_array((6, 6)))
