"""fit: cross-domain structure reaches the vectors, and only structure does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from graphrep.embed import Embedding, fit
from graphrep.embed.history_walk import Choice, VectorPowers
from graphrep.embed.joint import joint_adjacency
from graphrep.errors import InputError
from graphrep.graph import EdgeList, HeteroGraph

USERS, HOSTS, VIDEOS, COLD = 200, 40, 120, 80
WATCHES, LIVE = ("user", "watches", "video"), ("user", "visits", "host")


def planted(seed: int, shuffled: bool = False) -> HeteroGraph:
    """Two communities (even, odd indices). The first COLD users watch videos and have never visited a host."""
    rng = np.random.default_rng(seed)

    def draw(users: Any, each: int, items: int) -> tuple[Any, Any]:
        src = np.repeat(users, each)
        own = rng.random(len(src)) < 0.85
        side = np.where(own, src % 2, 1 - src % 2)
        return src, 2 * rng.integers(0, items // 2, len(src)) + side

    src, dst = draw(np.arange(USERS), 12, VIDEOS)
    live_src, live_dst = draw(np.arange(COLD, USERS), 5, HOSTS)
    if shuffled:  # every degree is kept, what links the two relations is not
        src = rng.permutation(USERS)[src]
    return HeteroGraph.from_edges(
        num_nodes={"user": USERS, "host": HOSTS, "video": VIDEOS},
        edges={WATCHES: EdgeList(src, dst), LIVE: EdgeList(live_src, live_dst)},
    )


def own_share(emb: Embedding) -> float:
    """Share of hosts of the own community among the ten best hosts of the users without live history."""
    cold = np.arange(COLD)
    best = np.argsort(-emb.score("user", cold, "host"), axis=1)[:, :10]
    return float((best % 2 == cold[:, None] % 2).mean())


@pytest.mark.parametrize("walk", ["joint", "history"])
def test_users_without_live_history_find_hosts_of_their_community_through_videos(walk: str) -> None:
    shares = [own_share(fit(planted(seed), dim=16, walk=walk)) for seed in range(3)]
    noise = [own_share(fit(planted(seed, shuffled=True), dim=16, walk=walk)) for seed in range(3)]
    assert min(shares) > 0.8
    assert max(noise) < 0.62


def test_types_keep_their_order_and_rows() -> None:
    g = planted(0)
    emb = fit(g, dim=5)
    assert emb.types == list(emb) == ["user", "host", "video"]
    assert {kind: emb[kind].shape for kind in emb} == {
        "user": (USERS, 5),
        "host": (HOSTS, 5),
        "video": (VIDEOS, 5),
    }
    assert all(emb[kind].dtype == np.float32 for kind in emb)
    assert emb.alignment is None
    np.testing.assert_allclose(emb.score("user", [3, 1], "host"), emb["user"][[3, 1]] @ emb["host"].T, atol=1e-6)


def test_mean_squared_norm_of_nodes_with_edges_is_one_and_others_are_zero() -> None:
    g = planted(0)
    wider = HeteroGraph.from_edges({**g.num_nodes, "host": HOSTS + 7}, g.edges)
    emb = fit(wider, dim=16, walk="joint")
    degree = np.diff(joint_adjacency(wider).matrix.indptr)
    squares = np.concatenate([(emb[kind] ** 2).sum(axis=1) for kind in emb])
    assert squares[degree > 0].mean() == pytest.approx(1.0, abs=1e-5)
    assert not emb["host"][HOSTS:].any()


def test_same_seed_same_vectors() -> None:
    first, again = (fit(planted(1), dim=8, seed=3) for _ in range(2))
    for kind in first:
        np.testing.assert_array_equal(first[kind], again[kind])


def test_previous_space_is_kept_while_the_graph_grows() -> None:
    g = planted(2)
    yesterday = fit(g, dim=2)
    turn = np.array([[0.6, -0.8], [0.8, 0.6]], np.float32)
    turned = {kind: yesterday[kind] @ turn for kind in yesterday}
    edges = dict(g.edges)
    edges[LIVE] = EdgeList(np.append(g.edges[LIVE].src, [USERS, 0]), np.append(g.edges[LIVE].dst, [0, HOSTS]))
    grown = HeteroGraph.from_edges({"user": USERS + 1, "host": HOSTS + 1, "video": VIDEOS}, edges)
    today = fit(grown, dim=2, previous=turned, choice=yesterday.choice)
    assert today.alignment is not None
    assert today.alignment.held_out_residual < 0.1
    assert np.linalg.norm(today["user"][:USERS] - turned["user"]) < 0.1 * np.linalg.norm(turned["user"])
    raw = fit(grown, dim=2, choice=yesterday.choice)
    np.testing.assert_allclose(today.score("user", [0], "host"), raw.score("user", [0], "host"), atol=1e-4)
    assert fit(grown, dim=2, previous=yesterday).alignment is not None


def test_relation_weight_zero_is_the_graph_without_that_relation() -> None:
    g = planted(3)
    without = HeteroGraph.from_edges(g.num_nodes, {LIVE: g.edges[LIVE]})
    emb, expected = fit(g, dim=4, relation_weights={"watches": 0.0}), fit(without, dim=4)
    np.testing.assert_allclose(emb["host"], expected["host"], atol=1e-6)


def test_options_reach_the_walk() -> None:
    g = planted(3)
    plain = fit(g, dim=4, walk="joint")["user"]
    assert not np.allclose(fit(g, dim=4, walk="joint", markov_time=5)["user"], plain, atol=1e-3)
    assert not np.allclose(fit(g, dim=4, walk="joint", lazy=True)["user"], plain, atol=1e-3)


def test_each_side_of_a_history_has_its_own_scale_and_nodes_without_edges_are_zero() -> None:
    g = planted(0)
    emb = fit(HeteroGraph.from_edges({**g.num_nodes, "host": HOSTS + 7}, g.edges), dim=16)
    assert (emb["user"] ** 2).sum(axis=1).mean() == pytest.approx(1.0, abs=1e-5)
    things = np.concatenate([emb["host"][:HOSTS], emb["video"]])
    assert (things**2).sum(axis=1).mean() == pytest.approx(1.0, abs=1e-5)
    assert not emb["host"][HOSTS:].any()


@pytest.mark.parametrize("walk", ["joint", "history"])
def test_exact_scores_are_what_many_dimensions_come_to(walk: str) -> None:
    g = planted(1)
    choice = {} if walk == "joint" else {"choice": Choice(vectors=VectorPowers(end=-0.2, flattened=1.0))}
    vectors = fit(g, dim=160, walk=walk, **choice).score("user", np.arange(USERS), "host")
    exact = fit(g, dim=2, walk=walk, **choice).score("user", np.arange(USERS), "host", exact=True)
    # Vectors of users leave out negative parts (joint), and what leads from a thing to itself (history).
    unmet = np.ones((USERS, HOSTS), bool)
    unmet[g.edges[LIVE].src, g.edges[LIVE].dst] = False
    same = [np.corrcoef(a[m], b[m])[0, 1] for a, b, m in zip(vectors, exact, unmet, strict=True)]
    assert np.mean(same) > 0.95


def test_the_choice_tells_which_vectors_there_are_and_leaves_exact_rows_alone() -> None:
    g, users = planted(1), np.arange(USERS)
    kinds = [fit(g, dim=8, choice=Choice(vectors=vectors)) for vectors in (None, VectorPowers(), VectorPowers(met=0.3))]
    exact = [emb.score("user", users, "host", exact=True) for emb in kinds]
    np.testing.assert_array_equal(exact[0], exact[1])
    np.testing.assert_array_equal(exact[0], exact[2])
    users_of = [emb["user"] for emb in kinds]
    assert all(not np.allclose(a, b, atol=1e-3) for a, b in ((users_of[0], users_of[1]), (users_of[1], users_of[2])))
    assert np.allclose(kinds[1]["host"], kinds[2]["host"])


def test_exact_scores_need_the_walk() -> None:
    emb = fit(planted(0), dim=2)
    with pytest.raises(InputError, match="vectors alone"):
        Embedding(emb.vectors).score("user", [0], "host", exact=True)
    with pytest.raises(InputError, match=r"a type that is met .*'user'"):
        emb.score("host", [0], "user", exact=True)
    assert emb.score("host", [0, 1], "video", exact=True).shape == (2, VIDEOS)


def test_vectors_are_read_only() -> None:
    with pytest.raises(ValueError, match="read-only"):
        fit(planted(0), dim=2)["user"][0, 0] = 1.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "oracle"}, "autocovariance.*'oracle'"),
        ({"walk_length": 3}, "choice.*'walk_length'"),
        ({"walk_length": 3, "walk": "joint"}, "markov_time.*'walk_length'"),
        ({"walk": "random"}, "joint, history or None, found 'random'"),
        ({"dim": 0}, "at least 1, found 0"),
        ({"relation_weights": {"sells": 1.0}}, "'sells'"),
        ({"relation_weights": {"watches": float("nan")}}, "finite"),
        ({"previous": {"user": np.ones((1, 3), np.float32)}}, "new space"),
    ],
)
def test_bad_options_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        fit(planted(0), **{"dim": 2, **options})


def test_score_refuses_what_does_not_exist() -> None:
    emb = fit(planted(0), dim=2)
    with pytest.raises(InputError, match="'product'"):
        emb.score("user", [0], "product")
    with pytest.raises(InputError, match="indices"):
        emb.score("user", [USERS], "host")
    with pytest.raises(InputError, match="indices"):
        emb.score("user", [-1], "host")


def test_joint_adjacency_sums_both_directions_and_clips_dislike_by_pair() -> None:
    g = HeteroGraph.from_edges(
        {"host": 2, "user": 2},
        {
            ("user", "likes", "host"): EdgeList([0, 0, 1], [0, 1, 1], [2.0, 1.0, 0.5]),
            ("host", "thanks", "user"): EdgeList([0], [0], [4.0]),
            ("user", "skips", "host"): EdgeList([0, 1], [0, 1], [-1.0, -3.0]),
            ("user", "follows", "user"): EdgeList([0, 1, 1], [1, 0, 1], [1.0, 1.0, 5.0]),
        },
    )
    joint = joint_adjacency(g, {"likes": 2.0})
    assert dict(joint.offsets) == {"host": 0, "user": 2}
    expected = np.zeros((4, 4))
    expected[0, 2] = expected[2, 0] = 2 * 2.0 + 4.0 - 1.0
    expected[1, 2] = expected[2, 1] = 2 * 1.0
    expected[2, 3] = expected[3, 2] = 2.0
    expected[3, 3] = 5.0  # 2·0.5 − 3 is clipped: users 1 and host 1 have no edge
    np.testing.assert_array_equal(joint.matrix.toarray(), expected)
    assert joint.matrix.nnz == np.count_nonzero(expected)


def test_graph_without_edges_is_refused() -> None:
    with pytest.raises(InputError, match="at least one edge"):
        fit(HeteroGraph.from_edges({"user": 3}, {}))


def test_balance_makes_relations_weigh_alike_whatever_their_size() -> None:
    g = HeteroGraph.from_edges(
        {"user": 3, "host": 2},
        {
            ("user", "sees", "host"): EdgeList([0, 1, 2], [0, 0, 0], [8.0, 8.0, 8.0]),
            ("user", "follows", "host"): EdgeList([0, 1], [1, 1], [1.0, 1.0]),
        },
    )
    half, whole = (joint_adjacency(g, {"follows": 2.0}, balance).matrix.toarray()[:3, 3:] for balance in (0.5, 1.0))
    np.testing.assert_allclose(whole.sum(axis=0), [13.0, 26.0])
    np.testing.assert_allclose(half.sum(axis=0), [24 * (13 / 24) ** 0.5, 2 * 2 * (13 / 2) ** 0.5])
    with pytest.raises(InputError, match="from 0 to 1"):
        joint_adjacency(g, balance=1.5)
    plain, balanced = (fit(planted(3), dim=4, walk="joint", balance=balance)["host"] for balance in (0.0, 1.0))
    assert not np.allclose(plain, balanced, atol=1e-3)
