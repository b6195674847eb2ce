"""``fit(model="gnn")``: what it learns, for whom, from what it must not see, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from graphrep.embed import Choice, NeighbourTraining, Training, fit
from graphrep.embed.backend import Backend
from graphrep.embed.gnn import inductive_fit
from graphrep.embed.gnn.inductive_fit import InductiveFit
from graphrep.embed.gnn.inductive_training import InductiveTrainer
from graphrep.embed.gnn.training import Step
from graphrep.embed.histories import every_type, histories
from graphrep.embed.history_walk import VectorPowers
from graphrep.errors import InputError
from graphrep.graph import EdgeList, HeteroGraph

SMALL = NeighbourTraining(epochs=2, batch=64, history=8, horizon=3, negatives=64, folds=2, views=2, neighbours=6)
CHOICE = Choice(vectors=VectorPowers())
WATCHES, FOLLOWS = ("user", "watches", "host"), ("user", "follows", "host")
COMMUNITIES, USERS, HOSTS, COLD = 6, 300, 60, 12
WALKS = ["history", "joint"]


def world(timed: bool = True, seed: int = 0) -> tuple[HeteroGraph, NDArray[np.float64]]:
    """Users watch hosts of their community, but for the first hosts, whom nobody does; and contents that tell it."""
    chance = np.random.default_rng(seed)
    of_host = np.arange(HOSTS) % COMMUNITIES
    src = np.repeat(np.arange(USERS), 8)
    own = src % COMMUNITIES + COMMUNITIES * chance.integers(COLD // COMMUNITIES, HOSTS // COMMUNITIES, len(src))
    dst = np.where(chance.random(len(src)) < 0.85, own, chance.integers(COLD, HOSTS, len(src)))
    day = np.repeat(chance.integers(0, 5, USERS), 8) * 86_400
    edges = EdgeList(src, dst, time=day + np.tile(np.arange(8), USERS) * 3600 if timed else None)
    followed = EdgeList(src[::9], dst[::9], time=day[::9] if timed else None)
    content = np.eye(COMMUNITIES)[of_host] + 0.1 * chance.normal(size=(HOSTS, COMMUNITIES))
    return HeteroGraph.from_edges({"user": USERS, "host": HOSTS}, {WATCHES: edges, FOLLOWS: followed}), content


def learnt(g: HeteroGraph, walk: str = "history", **options: Any) -> Any:
    chosen = {"choice": CHOICE} if walk == "history" else {}
    return fit(g, "gnn", dim=8, walk=walk, **{"training": SMALL, "share": 1.0, **chosen, **options})


def trainer(g: HeteroGraph, walk: str, training: NeighbourTraining, **features: Any) -> InductiveTrainer:
    """As ``fit`` makes it, before the first step."""
    made: list[InductiveTrainer] = []

    def kept(one: InductiveTrainer, *_: Any) -> None:
        made.append(one)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inductive_fit, "train", kept)
        learnt(g, walk, training=training, features=features)
    return made[0]


def of_cold(emb: Mapping[str, NDArray[np.float32]]) -> float:
    """How often a user's score of a host of the community that nobody watched is above that of another such host."""
    scores = emb["user"] @ emb["host"][:COLD].T
    same = np.arange(COLD) % COMMUNITIES == (np.arange(USERS) % COMMUNITIES)[:, None]
    return float(np.mean([(row[own][:, None] > row[~own]).mean() for row, own in zip(scores, same, strict=True)]))


@pytest.mark.parametrize("timed", [True, False])
@pytest.mark.parametrize("walk", WALKS)
def test_hosts_whom_nobody_watched_are_ranked_by_their_content(walk: str, timed: bool) -> None:
    g, content = world(timed)
    training = replace(SMALL, epochs=8 if timed else 2, rate=3e-3)
    assert of_cold(learnt(g, walk, features={"host": content}, training=training)) > 0.7
    assert of_cold(fit(g, dim=8, walk=walk, **({"choice": CHOICE} if walk == "history" else {}))) == 0


@pytest.mark.parametrize("walk", WALKS)
def test_the_loss_falls_and_targets_outrank_the_rest(walk: str) -> None:
    g, content = world(timed=False)
    found: list[Step] = []
    one = trainer(g, walk, replace(SMALL, epochs=6), host=content)
    batches = [one._batches[number] for number in range(one._batches.in_an_epoch)]

    def loss() -> float:
        one.model.eval()
        with torch.no_grad():
            total = sum(float(one.loss(batch)) for batch in batches)
        one.model.train()
        return total / len(batches)

    with torch.no_grad():
        one._calibrate(batches[0])
    before = loss()
    one.run(found.append)
    assert [step.number for step in found] == list(range(1, one.steps + 1))
    assert loss() < before
    one.model.eval()
    _, asked, positive, candidates = one._ranked(one._batches[0])
    scores, known, _, _ = candidates[one.nodes.events.things["host"]]
    share = (positive[:, :1] > scores).float()[~known].mean()
    assert share > 0.7
    assert int((asked.share > 0).sum()) > 0


@pytest.mark.parametrize("walk", WALKS)
def test_every_parameter_gets_a_gradient(walk: str) -> None:
    g, content = world(timed=walk == "history")
    one = trainer(g, walk, replace(SMALL, epochs=2), host=content)
    one.run()
    one.model.zero_grad()
    for number in range(one._batches.in_an_epoch):
        one.loss(one._batches[number]).backward()
    for name, parameter in one.model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize("walk", WALKS)
def test_negatives_belong_to_their_own_anchor(walk: str) -> None:
    g, _ = world()
    one = trainer(g, walk, replace(SMALL, negatives=20, hard=5))
    events = every_type(g) if walk == "joint" else histories(g)
    met = events.events.toarray() > 0
    group = one._batches[1]
    one.model.eval()
    torch.manual_seed(5)
    _, asked, _, candidates = one._ranked(group)
    torch.manual_seed(5)
    drawn = {first: one._negatives(first, end)[0] for first, end in one._types}
    for first, (scores, known, log_q, hardest) in candidates.items():
        things = drawn[first]
        assert len(set(things.tolist())) == len(things) == scores.shape[1]
        assert log_q.exp() * (one.nodes.events.num_nodes["user" if first == 0 and walk == "joint" else "host"]) == (
            pytest.approx(len(things))
        )
        actors = asked.actor.numpy()
        expected = met[actors][:, things.numpy()]
        if walk == "joint":
            expected |= actors[:, None] == things.numpy()
        np.testing.assert_array_equal(known.numpy(), expected)
        user, thing = one._vectors(group, asked.actor, things)
        # Another neighbourhood is drawn for other nodes; untrained, nothing is added to the walk.
        torch.testing.assert_close(scores, user @ thing.T)
        best = scores.masked_fill(known, -torch.inf).topk(5).values
        torch.testing.assert_close(scores.gather(1, hardest), best)


@pytest.mark.parametrize("walk", WALKS)
def test_nodes_that_are_taken_for_new_have_nothing_of_the_walk_nor_of_their_events(walk: str) -> None:
    g, content = world()
    users = np.random.default_rng(0).normal(size=(USERS, 3))
    one = trainer(g, walk, replace(SMALL, new=1 - 1e-9, missing=0.0), host=content, user=users)
    group = one._batches[0]
    targets = one.views[group.view].targets
    assert targets is not None
    actors, things = targets.actor[group.rows], one.nodes.events.things["host"] + torch.arange(COLD, HOSTS)
    torch.manual_seed(0)
    with torch.no_grad():
        user, thing = one._vectors(group, actors, things)
        assert not user.any()
        assert not thing.any()
        one.model.eval()
        assert all(x.any() for x in one._vectors(group, actors, things))


@pytest.mark.parametrize("walk", WALKS)
def test_share_0_is_the_walk_and_others_lie_on_the_way(walk: str) -> None:
    g, content = world()
    options = {"features": {"host": content}}
    base = fit(g, dim=8, walk=walk, **({"choice": CHOICE} if walk == "history" else {}))
    none, half, whole = (learnt(g, walk, share=share, **options) for share in (0.0, 0.5, 1.0))
    assert [one.learnt for one in (none, half, whole)] == [0.0, 0.5, 1.0]
    for kind in base:
        assert none[kind].tobytes() == base[kind].tobytes()
    np.testing.assert_allclose(half["host"], (base["host"] + whole["host"]) / 2, rtol=1e-4, atol=1e-5)
    assert np.array_equal(none.score("user", [3], "host", exact=True), whole.score("user", [3], "host", exact=True))


@pytest.mark.parametrize("walk", WALKS)
def test_the_best_share_is_taken_on_what_was_hidden(walk: str, monkeypatch: pytest.MonkeyPatch) -> None:
    g, _ = world(timed=False)
    known: list[HeteroGraph] = []
    learn = InductiveFit._learnt

    def recorded(self: InductiveFit, part: HeteroGraph, name: str) -> Any:
        known.append(part)
        return learn(self, part, name)

    figures = iter([0.5, 0.6, 0.7, 0.7, 0.4])
    monkeypatch.setattr(InductiveFit, "_learnt", recorded)
    asked: list[Any] = []
    monkeypatch.setattr(
        inductive_fit, "quality", lambda rows, seen, *hidden: (asked.append((seen, hidden)), next(figures))[1]
    )
    assert learnt(g, walk, share=None).learnt == 0.5
    less, whole = known
    assert whole is g
    seen, (actors, things) = asked[0]
    gone = set(zip(actors.tolist(), things.tolist(), strict=True))
    first = seen.things["host"]
    for edges in less.edges.values():
        assert not gone & set(zip(edges.src.tolist(), (edges.dst + first).tolist(), strict=True))
    assert np.asarray(seen.events[actors, things]).sum() == 0


def test_where_nothing_is_gained_the_vectors_are_the_walks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inductive_fit, "quality", lambda *_: 0.5)
    g, _ = world()
    emb = learnt(g, share=None, training=replace(SMALL, epochs=1))
    assert emb.learnt == 0
    assert np.array_equal(emb["user"], fit(g, dim=8, choice=CHOICE)["user"])


@pytest.mark.parametrize("walk", WALKS)
def test_the_same_seed_gives_the_same_bytes_and_another_others(walk: str) -> None:
    g, content = world()
    first, again, other = (learnt(g, walk, seed=seed, features={"host": content}) for seed in (0, 0, 1))
    assert all(first[kind].tobytes() == again[kind].tobytes() for kind in first)
    assert not np.allclose(first["host"] @ first["host"].T, other["host"] @ other["host"].T, atol=1e-4)


class Kept(dict[str, bytes]):
    """Checkpoints in memory, with an end after some of them."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most

    def latest(self, name: str) -> bytes | None:
        return self.get(name)

    def replace(self, name: str, content: bytes) -> None:
        self[name] = content
        self.most -= 1
        if self.most == 0:
            raise KeyboardInterrupt


@pytest.mark.parametrize("walk", WALKS)
def test_a_run_that_was_stopped_ends_with_the_same_bytes(walk: str) -> None:
    g, content = world()
    options = {"features": {"host": content}, "training": replace(SMALL, epochs=3)}
    whole, kept = learnt(g, walk, **options), Kept(2)
    with pytest.raises(KeyboardInterrupt):
        learnt(g, walk, checkpoints=kept, **options)
    assert list(kept) == ["gnn-published"]
    steps: list[Step] = []
    again = learnt(g, walk, checkpoints=kept, report=steps.append, **options)
    assert steps[0].number == 2 * steps[-1].of // 3 + 1
    assert all(whole[kind].tobytes() == again[kind].tobytes() for kind in whole)


def test_a_state_of_other_settings_another_dim_or_other_content_is_refused() -> None:
    g, content = world()
    kept = Kept(-1)
    options = {"choice": CHOICE, "share": 1.0, "checkpoints": kept}
    fit(g, "gnn", dim=8, training=SMALL, features={"host": content}, **options)
    with pytest.raises(InputError, match=r"config.dim = 6, found 8 \[gnn-published\]"):
        fit(g, "gnn", dim=6, training=SMALL, features={"host": content}, **options)
    with pytest.raises(InputError, match=r"config.layers = 1, found 2"):
        fit(g, "gnn", dim=8, training=replace(SMALL, layers=1), features={"host": content}, **options)
    with pytest.raises(InputError, match=r"expected data = "):
        fit(g, "gnn", dim=8, training=SMALL, features={"host": content + 1}, **options)


@pytest.mark.parametrize("walk", WALKS)
def test_a_node_without_edges_has_what_its_content_tells_and_nothing_without(walk: str) -> None:
    g, content = world()
    content[0] = 0
    for share in (0.25, 1.0):
        emb = learnt(g, walk, features={"host": content}, share=share)
        assert not emb["host"][0].any()
        assert emb["host"][1:].any(axis=1).all()
    assert not learnt(g, walk)["host"][:COLD].any()


def test_a_first_edge_is_enough_for_a_vector_of_its_own() -> None:
    g, _ = world()
    emb = []
    for user in (0, 1):
        edges = g.edges[WATCHES]
        assert edges.time is not None
        late = int(edges.time.max())
        one = EdgeList(np.append(edges.src, user), np.append(edges.dst, 0), time=np.append(edges.time, late))
        emb.append(learnt(HeteroGraph.from_edges(g.num_nodes, {**g.edges, WATCHES: one})))
    assert all(one["host"][0].any() for one in emb)
    assert not np.allclose(emb[0]["host"][0], emb[1]["host"][0])


@pytest.mark.parametrize("walk", WALKS)
@pytest.mark.parametrize("timed", [True, False])
def test_types_without_nodes_relations_without_edges_and_one_relation_alone_are_fine(walk: str, timed: bool) -> None:
    g, _ = world(timed)
    nothing = np.zeros(0, np.int64)
    empty = EdgeList(nothing, nothing, time=nothing if timed else None)
    sizes = {"vanished": 0, **g.num_nodes, "product": 3}
    edges = {("user", "meets", "vanished"): empty, **g.edges, ("user", "buys", "product"): empty}
    training = replace(SMALL, epochs=1)
    emb = learnt(HeteroGraph.from_edges(sizes, edges), walk, training=training)
    assert {kind: x.shape for kind, x in emb.items()} == {kind: (n, 8) for kind, n in sizes.items()}
    assert all(np.isfinite(x).all() for x in emb.values())
    assert not emb["product"].any()
    alone = learnt(HeteroGraph.from_edges(g.num_nodes, {WATCHES: g.edges[WATCHES]}), walk, training=training)
    assert alone["user"].any(axis=1).all()


def test_a_graph_in_which_nobody_only_acts_is_learnt_from_beside_the_joint_walk() -> None:
    chance = np.random.default_rng(0)
    src, dst = chance.integers(0, 80, 600), chance.integers(0, 80, 600)
    same = src % 4 == dst % 4
    g = HeteroGraph.from_edges({"user": 80}, {("user", "follows", "user"): EdgeList(src[same], dst[same])})
    emb = fit(g, "gnn", dim=8, training=SMALL, share=1.0)
    assert emb.choice is None
    assert emb["user"].shape == (80, 8)
    scores = emb.score("user", np.arange(80), "user")
    own = np.arange(80)[:, None] % 4 == np.arange(80) % 4
    assert scores[own].mean() > scores[~own].mean()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"features": {"host": np.full((HOSTS, 2), np.nan)}}, r"finite .*found nan \[features\['host'\], column 0"),
        ({"features": {"host": np.zeros((3, 2))}}, r"shape \(60, ·\), found float64 \(3, 2\) \[features\['host'\]\]"),
        ({"features": {"video": np.zeros((3, 2))}}, r"some of the types user, host, found video \[features\]"),
        ({"training": Training()}, r"NeighbourTraining, found Training \[training\]"),
        ({"share": 2}, r"a share from 0 to 1, or None, found 2 \[share\]"),
        ({"horizon": 2}, r"an option of the gnn beside the history walk \(walk, .*features.*\), found 'horizon'"),
    ],
)
def test_what_does_not_fit_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        fit(world()[0], "gnn", dim=8, **options)


def test_events_at_one_moment_cannot_be_predicted_from_one_another() -> None:
    g, _ = world(timed=False)
    edges = g.edges[WATCHES]
    at_once = HeteroGraph.from_edges(
        g.num_nodes, {WATCHES: EdgeList(edges.src, edges.dst, time=np.zeros(len(edges), int))}
    )
    with pytest.raises(InputError, match=r"edges at two moments or more, .* pass model='autocovariance'"):
        learnt(at_once)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("views", 0, "a whole number of at least 1, found 0"),
        ("layers", True, "a whole number"),
        ("new", 1.0, "from 0 to below 1"),
        ("hard_share", -0.1, "from 0 to below 1"),
    ],
)
def test_settings_out_of_their_range_are_named(name: str, value: Any, message: str) -> None:
    with pytest.raises(InputError, match=rf"{message}.*\[training.{name}\]"):
        NeighbourTraining(**{name: value})


def test_the_device_is_the_backends() -> None:
    g, _ = world()
    one = trainer(g, "history", SMALL)
    assert {str(p.device) for p in one.model.parameters()} == {str(Backend(None).like.device)}
