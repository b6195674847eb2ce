"""What is published for nodes with few edges: mature rows keep their bytes, gates rise, estimates rank hidden edges."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphrep import vocab
from graphrep.embed import cold_choice, fit
from graphrep.embed.cold_choice import _best_for_things, choose_gates, hide_newest
from graphrep.embed.cold_estimates import degrees
from graphrep.embed.cold_start import ColdStart, Gate, Published, publish
from graphrep.errors import InputError
from graphrep.graph import EdgeList, HeteroGraph

WATCHES = ("user", "watches", "host")
TOPICS, USERS, HOSTS = 6, 700, 180


def planted(seed: int = 0) -> tuple[HeteroGraph, dict[str, Any], Any]:
    """Users and hosts of topics; hosts arrive over time, so the newest have few edges. Content tells the topic."""
    chance = np.random.default_rng(seed)
    user_topic, host_topic = chance.integers(0, TOPICS, USERS), chance.integers(0, TOPICS, HOSTS)
    arrives = np.sort(chance.random(HOSTS)) * (chance.random(HOSTS) < 0.6)
    src, dst, time = [], [], []
    for user in range(USERS):
        for at in chance.random(chance.integers(1, 14)):
            fits = (arrives <= at) & (host_topic == user_topic[user])
            there = np.flatnonzero(fits if chance.random() < 0.9 else arrives <= at)
            if len(there):
                src.append(user), dst.append(chance.choice(there)), time.append(int(at * 1e6))
    g = HeteroGraph.from_edges({"user": USERS, "host": HOSTS}, {WATCHES: EdgeList(src, dst, time=time)})
    content = np.eye(TOPICS)[host_topic] + 0.1 * chance.standard_normal((HOSTS, TOPICS))
    return g, {"host": content.astype(np.float32)}, (user_topic, host_topic)


def vectors_of(g: HeteroGraph) -> Any:
    return fit(g, dim=16, walk="joint")


@pytest.fixture(scope="module")
def world() -> Any:
    g, content, topics = planted()
    return g, content, topics, vectors_of(g), choose_gates(g, vectors_of, content)


def test_hosts_that_content_tells_of_are_ranked_better_than_by_the_prior(world: Any) -> None:
    g, _, _, _, gates = world
    by_prior = choose_gates(g, vectors_of)
    newest = {gate.estimate: gate for gate in [*gates, *by_prior] if gate.node_type == "host" and gate.least == 0}
    told, prior = newest["content"], newest["prior"]
    assert (told.pairs, told.nodes) == (prior.pairs, prior.nodes)
    assert told.pairs >= 20
    assert told.blended > 1.5 * max(prior.blended, prior.own)


def test_a_host_without_an_edge_stands_before_the_users_of_its_topic(world: Any) -> None:
    g, content, (user_topic, host_topic), _, gates = world
    mute = int(np.flatnonzero(degrees(g)["host"] >= 16)[0])
    kept = g.edges[WATCHES].dst != mute
    edges = g.edges[WATCHES]
    without = HeteroGraph.from_edges(
        g.num_nodes, {WATCHES: EdgeList(edges.src[kept], edges.dst[kept], time=edges.time[kept])}
    )
    own = vectors_of(without)
    assert not own["host"][mute].any()
    out = publish(without, own, gates, content)
    assert vocab.SOURCES[out.sources["host"][mute]] == "content"
    scores = out.vectors["user"] @ out.vectors["host"][mute]
    mine = user_topic == host_topic[mute]
    assert scores[mine].mean() > scores[~mine].mean() + scores[~mine].std()


def test_users_without_an_edge_are_given_what_ranks_by_what_newcomers_meet(world: Any) -> None:
    g, content, _, _, gates = world
    more = HeteroGraph.from_edges({"user": USERS + 1, "host": HOSTS}, g.edges)
    out = publish(more, vectors_of(more), gates, content)
    row = out.vectors["user"][USERS]
    np.testing.assert_allclose(row, out.priors["user"], rtol=1e-6)
    assert vocab.SOURCES[out.sources["user"][USERS]] == "prior"
    edges = g.edges[WATCHES]
    met = np.bincount(edges.dst, 1.0 / degrees(g)["user"][edges.src], minlength=HOSTS)
    mature = degrees(g)["host"] >= 16
    assert np.corrcoef((out.vectors["host"] @ row)[mature], met[mature])[0, 1] > 0.3


def test_each_of_those_that_act_tells_once() -> None:
    watched = EdgeList([0, 1, 2, *[3] * 40], [0, 0, 0, *[1] * 40])
    g = HeteroGraph.from_edges({"user": 4, "host": 2}, {WATCHES: watched})
    prior = publish(g, {"user": np.ones((4, 2), np.float32), "host": np.eye(2, dtype=np.float32)}, []).priors["user"]
    assert prior[0] / prior[1] == pytest.approx(3, rel=1e-5)


def test_mature_rows_and_gates_of_one_leave_the_bytes_as_they_are(world: Any) -> None:
    g, content, _, emb, gates = world
    out = publish(g, emb, gates, content)
    for kind, degree in degrees(g).items():
        mature = degree >= 16
        assert out.vectors[kind][mature].tobytes() == emb[kind][mature].tobytes()
        assert (out.sources[kind][mature] == vocab.SOURCES.index("graph")).all()
    untouched = publish(g, emb, [], content)
    for kind in emb:
        own = emb[kind].any(axis=1)
        assert untouched.vectors[kind][own].tobytes() == emb[kind][own].tobytes()
        assert (untouched.sources[kind][own] == vocab.SOURCES.index("graph")).all()


def test_no_gate_is_above_that_of_a_bucket_with_more_edges(world: Any) -> None:
    for gates in (world[4], choose_gates(world[0], vectors_of)):
        for kind in ("user", "host"):
            for estimate in ("content", "prior"):
                own = [gate.gate for gate in gates if (gate.node_type, gate.estimate) == (kind, estimate)]
                assert own == sorted(own, reverse=True)
                assert all(0 <= gate <= 1 for gate in own)


def test_the_same_seed_chooses_the_same_and_publishes_the_same_bytes(world: Any) -> None:
    g, content, _, emb, gates = world
    assert choose_gates(g, vectors_of, content) == gates
    first, second = publish(g, emb, gates, content), publish(g, emb, gates, content)
    assert all(first.vectors[kind].tobytes() == second.vectors[kind].tobytes() for kind in emb)


def test_where_nothing_helps_the_gate_is_one(world: Any) -> None:
    g, content, _, emb, gates = world
    warm = [gate for gate in gates if gate.node_type == "user" and gate.least >= 4]
    assert [gate.gate for gate in warm] == [1.0, 1.0]
    assert all(gate.blended == gate.own > gate.estimated for gate in warm)
    rows = degrees(g)["user"] >= 4
    assert publish(g, emb, gates, content).vectors["user"][rows].tobytes() == emb["user"][rows].tobytes()


def test_raising_what_is_cold_costs_the_others_no_more_than_was_allowed(world: Any) -> None:
    g, content, _, _, gates = world
    free = choose_gates(g, vectors_of, content, ColdStart(max_loss=1.0))
    bound = choose_gates(g, vectors_of, content, ColdStart(max_loss=0.0))
    told = [[x.blended for x in own if x.estimate == "content" and x.blended] for own in (bound, gates, free)]
    assert sum(told[0]) <= sum(told[1]) <= sum(told[2])
    assert sum(told[0]) < sum(told[2])


def test_a_bucket_that_nothing_helps_stays_below_the_gate_before_it() -> None:
    class Worse:
        """Own vectors rank best; of the others, the less there is of the estimate the better."""

        mine = np.array([True] * 30 + [False] * 30)

        def quality(self, gate: float | None, scale: float = 1.0) -> Any:
            return np.full(60, 1.0 if gate is None else 0.5 * gate + 0.1 * (1 - scale))

    gate, cost = _best_for_things(Worse(), Gate("host", 1, 1, "content", gate=0.4), 0.01)
    assert (gate.gate, gate.scale) == (0.4, 0.0625)
    assert cost == pytest.approx(1 - 0.2 - 0.1 * (1 - 0.0625))
    gate, cost = _best_for_things(Worse(), Gate("host", 1, 1, "content", gate=1.0), 0.01)
    assert (gate.gate, cost) == (1.0, 0.0)


def test_what_may_be_lost_is_shared_by_the_buckets_that_are_left_and_spent_once(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    g, content, *_ = world
    costs = [0.03, -0.5, 0.0, 0.02, 0.01, 0.0, 0.0, 0.0, 0.0, 0.0]
    asked: list[tuple[int, str, float]] = []

    def spent(cell: Any, gate: Gate, max_loss: float) -> tuple[Gate, float]:
        asked.append((gate.least, gate.estimate, max_loss))
        return gate, costs[len(asked) - 1]

    monkeypatch.setattr(cold_choice, "_best_for_things", spent)
    gates = choose_gates(g, vectors_of, content, ColdStart(max_loss=0.1))
    cells = [(gate.least, gate.estimate) for gate in gates if gate.node_type == "host"]
    assert len(asked) >= 3
    left = 0.1
    for (least, estimate, given_share), cost in zip(asked, costs, strict=False):
        assert given_share == pytest.approx(left / (len(cells) - cells.index((least, estimate))))
        left -= max(cost, 0.0)


def test_a_gate_of_users_stays_below_that_of_the_bucket_before(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever ranks the bucket best, and also where too few pairs tell."""
    best = iter([(30, 0.4), (30, 1.0), (5, 1.0), (30, 0.2), (30, 0.8)])

    def tried(*_: Any) -> dict[float, Any]:
        pairs, gate = next(best)
        return {share: np.full(pairs, 1 - abs(share - gate)) for share in cold_choice.GATES}

    monkeypatch.setattr(cold_choice, "_tried_by_actors", tried)
    gates = [gate for gate in choose_gates(world[0], vectors_of) if gate.node_type == "user"]
    assert [gate.least for gate in gates] == [8, 4, 2, 1, 0]
    assert [gate.gate for gate in gates] == [0.4, 0.4, 0.4, 0.2, 0.2]
    assert [gate.blended is None for gate in gates] == [False, False, True, False, False]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.02, 0.3]))
def test_gates_rise_with_the_bucket_whatever_the_vectors(seed: int, max_loss: float) -> None:
    chance = np.random.default_rng(seed)
    count = {"user": 80, "host": 60}
    popular = chance.integers(1, 60, 500) * chance.random(500)
    edges = EdgeList(chance.integers(0, 80, 500), popular.astype(np.int64), time=np.arange(500))
    g = HeteroGraph.from_edges(count, {WATCHES: edges})
    rows = {kind: chance.standard_normal((n, 4)) * chance.random((n, 1)) ** 4 for kind, n in count.items()}
    content = {"host": chance.standard_normal((60, 3)) * (chance.random((60, 1)) < 0.7)}
    gates = choose_gates(g, lambda g: rows, content, ColdStart(max_loss=max_loss, k=10))
    for kind in count:
        for estimate in ("content", "prior"):
            own = [gate.gate for gate in gates if (gate.node_type, gate.estimate) == (kind, estimate)]
            assert own == sorted(own, reverse=True)


@st.composite
def worlds(draw: Any) -> Any:
    chance = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    users, hosts, dim = draw(st.integers(1, 12)), draw(st.integers(1, 12)), draw(st.integers(1, 4))
    count = draw(st.integers(1, 40))
    weight = chance.choice([-1.0, 0.5, 1.0], count)
    edges = EdgeList(chance.integers(0, users, count), chance.integers(0, hosts, count), weight)
    g = HeteroGraph.from_edges({"user": users, "host": hosts}, {WATCHES: edges})
    vectors = {k: chance.standard_normal((n, dim)).astype(np.float32) for k, n in g.num_nodes.items()}
    content = {k: chance.standard_normal((n, 3)).astype(np.float32) for k, n in g.num_nodes.items()}
    for x in (*vectors.values(), *content.values()):
        x[chance.random(len(x)) < 0.3] = 0
    shares = sorted(chance.choice([0.0, 0.4, 1.0], 2))
    gates = [
        Gate(kind, least, most, estimate, gate=float(share), scale=0.5)
        for kind in g.num_nodes
        for (least, most), share in zip([(0, 1), (2, 3)], shares, strict=True)
        for estimate in ("content", "prior")
    ]
    return g, vectors, content, gates, chance


SMALL = ColdStart(buckets=(0, 2, 4), neighbours=3)


@settings(max_examples=80, deadline=None)
@given(worlds())
def test_every_number_is_finite_and_whoever_is_not_cold_is_untouched(given_world: Any) -> None:
    g, vectors, content, gates, _ = given_world
    out = publish(g, vectors, gates, content, SMALL)
    for kind, degree in degrees(g).items():
        assert np.isfinite(out.vectors[kind]).all()
        assert np.isfinite(out.priors[kind]).all()
        stays = (degree >= 4) & vectors[kind].any(axis=1)
        assert (out.vectors[kind][stays] == vectors[kind][stays]).all()
        changed = (out.vectors[kind] != vectors[kind]).any(axis=1)
        assert not changed[out.sources[kind] == vocab.SOURCES.index("graph")].any()


@settings(max_examples=60, deadline=None)
@given(worlds())
def test_another_order_of_the_nodes_gives_the_same_rows_in_that_order(given_world: Any) -> None:
    g, vectors, content, gates, chance = given_world
    order = {kind: chance.permutation(n) for kind, n in g.num_nodes.items()}
    place = {kind: np.argsort(own) for kind, own in order.items()}
    edges = g.edges[WATCHES]
    turned = EdgeList(place["user"][edges.src], place["host"][edges.dst], edges.weight)
    other = HeteroGraph.from_edges(g.num_nodes, {WATCHES: turned})
    moved = publish(other, turn(vectors, order), gates, turn(content, order), SMALL)
    out: Published = publish(g, vectors, gates, content, SMALL)
    for kind, own in order.items():
        np.testing.assert_allclose(moved.vectors[kind], out.vectors[kind][own], rtol=1e-4, atol=1e-5)
        assert (moved.sources[kind] == out.sources[kind][own]).all()


def turn(rows: Any, order: Any) -> Any:
    return {kind: x[order[kind]] for kind, x in rows.items()}


def test_hidden_are_the_newest_of_all_relations_and_no_pair_that_another_edge_joins() -> None:
    g = HeteroGraph.from_edges(
        {"user": 3, "host": 3},
        {
            WATCHES: EdgeList([0, 0, 1, 2, 2], [0, 1, 1, 0, 2], time=[1, 2, 3, 8, 9]),
            ("user", "likes", "host"): EdgeList([2, 0], [0, 2], [1.0, -1.0], time=[1, 9]),
            ("host", "like", "host"): EdgeList([0], [1], time=[9]),
        },
    )
    before, hidden = hide_newest(g, 0.4, lasting=("like",))
    assert before.edges[WATCHES].dst.tolist() == [0, 1, 1]
    assert len(before.edges["user", "likes", "host"]) == 1
    assert len(before.edges["host", "like", "host"]) == 1
    assert [x.tolist() for x in hidden["user", "host"]] == [[2], [2]]


def test_without_times_edges_are_hidden_at_random_by_the_seed() -> None:
    chance = np.random.default_rng(0)
    edges = EdgeList(chance.integers(0, 40, 500), chance.integers(0, 40, 500))
    g = HeteroGraph.from_edges({"user": 40, "host": 40}, {WATCHES: edges})
    first, again, other = (hide_newest(g, 0.2, seed)[0].edges[WATCHES] for seed in (1, 1, 2))
    assert 0.7 < len(first) / 500 < 0.9
    assert first.src.tolist() == again.src.tolist() != other.src.tolist()


def test_where_nothing_or_only_dislike_is_older_nothing_is_fitted() -> None:
    for weight in ([-1.0, 1.0], [1.0, -1.0]):
        watched = EdgeList([0, 1], [0, 1], weight, time=[1, 2])
        g = HeteroGraph.from_edges({"user": 2, "host": 2}, {WATCHES: watched})
        assert choose_gates(g, lambda g: pytest.fail("there is nothing to rank"), settings=ColdStart(hidden=0.5)) == []


def test_a_graph_in_which_nobody_only_acts_has_no_gates() -> None:
    g = HeteroGraph.from_edges({"page": 3}, {("page", "links", "page"): EdgeList([0, 1], [1, 2])})
    assert choose_gates(g, lambda g: {}) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"host": np.full((2, 3), np.nan, np.float32)},
            r"finite numbers, found 2 rows with others \[content\['host'\]\]",
        ),
        ({"host": np.zeros((3, 3), np.float32)}, r"2 rows, found shape \(3, 3\)"),
        ({"room": np.zeros((2, 3), np.float32)}, "a node type of user, host, found 'room'"),
    ],
)
def test_content_that_does_not_fit_is_refused(change: Any, message: str) -> None:
    g = HeteroGraph.from_edges({"user": 1, "host": 2}, {WATCHES: EdgeList([0], [0])})
    vectors = {"user": np.ones((1, 2), np.float32), "host": np.ones((2, 2), np.float32)}
    with pytest.raises(InputError, match=message):
        publish(g, vectors, [], change)


def test_vectors_that_are_missing_or_not_finite_are_refused() -> None:
    g = HeteroGraph.from_edges({"user": 1, "host": 2}, {WATCHES: EdgeList([0], [0])})
    users, hosts = np.ones((1, 2), np.float32), np.array([[1, 0], [np.inf, 0]], np.float32)
    with pytest.raises(InputError, match="1 rows with others"):
        publish(g, {"user": users, "host": hosts}, [])
    with pytest.raises(InputError, match="none of host"):
        publish(g, {"user": users}, [])


@pytest.mark.parametrize(
    "wrong",
    [{"buckets": ()}, {"buckets": (1, 2)}, {"buckets": (0, 2, 2)}, {"neighbours": 0}, {"max_loss": 2}, {"hidden": 0}],
)
def test_settings_out_of_range_are_refused(wrong: Any) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        ColdStart(**wrong)
