"""Users as sums of all they met: what a step predicts from what, and what is learnt of an order that nobody knows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from graphrep.embed import BagTraining, Choice, fit
from graphrep.embed.gnn import bag_training as module
from graphrep.embed.gnn.bag_training import BagTrainer, Users
from graphrep.embed.gnn.bags import Bags, Events, unit
from graphrep.embed.gnn.hybrid import Walk
from graphrep.embed.histories import histories
from graphrep.embed.history_walk import VectorPowers
from graphrep.errors import InputError
from graphrep.graph import EdgeList, HeteroGraph

CHOICE = Choice(vectors=VectorPowers())
SMALL = BagTraining(epochs=6, batch=64, targets=4, negatives=64)


def circles(users: int = 240, things: int = 60, each: int = 8, seed: int = 0) -> HeteroGraph:
    """Users of three circles, each with things of its own type, and no times."""
    chance = np.random.default_rng(seed)
    edges = {"clip": ([], []), "room": ([], [])}
    for user in range(users):
        own = np.arange(user % 3, things, 3)
        for src, dst in edges.values():
            src += [user] * (each // 2)
            dst += chance.choice(own, each // 2, replace=False).tolist()
    lists = {("user", f"meets_{kind}", kind): EdgeList(src, dst) for kind, (src, dst) in edges.items()}
    return HeteroGraph.from_edges({"user": users, "clip": things, "room": things + 1}, lists)


def trainer(g: HeteroGraph, training: BagTraining = SMALL, dim: int = 8, seed: int = 0) -> BagTrainer:
    events = Events.of(histories(g), 0.0, "cpu")
    begin = g.num_nodes["clip"]
    chance = torch.Generator().manual_seed(seed)
    walk = Walk(*(torch.randn(begin + g.num_nodes["room"], dim, generator=chance) / dim**0.5 for _ in range(2)))
    return BagTrainer(events, walk, [(0, begin), (begin, begin + g.num_nodes["room"])], training, seed)


def test_the_loss_falls_and_things_of_the_own_circle_outrank_the_others() -> None:
    g, losses = circles(), []
    one = trainer(g, replace(SMALL, epochs=40))
    one.run(report=lambda step: losses.append(step.loss))
    assert np.mean(losses[-4:]) < 0.7 * np.mean(losses[:4])
    user, thing = one.vectors(one.walks[0])
    for begin in (0, 60):
        scores = user @ thing[begin : begin + 60].T
        own = np.arange(240)[:, None] % 3 == np.arange(60)[None] % 3
        assert scores[own].mean() > scores[~own].mean() + 0.3


def test_the_loss_is_that_of_each_thing_against_what_its_user_never_met(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "product", lambda user, thing: user @ thing.T)  # not in bfloat16
    g = circles(users=4, things=6, each=4)
    one = trainer(g, replace(SMALL, event_dropout=0.0, balance=0.0, targets=9))
    walk, events, temperature = one.walks[0], one.events, SMALL.temperature
    expected = []
    for first, end in ((0, 6), (6, 13)):
        by_user = []
        for user in range(4):
            own = events.thing[events.begin[user] : events.begin[user + 1]].tolist()
            met = {int(thing) for thing in events.thing}
            rivals = [thing for thing in range(first, end) if thing in met and thing not in own]
            each = []
            for target in (thing for thing in own if first <= thing < end):
                rest = unit(walk.source[[thing for thing in own if thing != target]].sum(0))
                whole = unit(walk.source[own].sum(0))
                right = rest @ unit(walk.target[target]) / temperature
                wrong = torch.logsumexp(torch.stack([whole @ unit(walk.target[r]) / temperature for r in rivals]), 0)
                each.append(torch.nn.functional.softplus(wrong - right))
            by_user.append(torch.stack(each).mean())
        expected.append(torch.stack(by_user).mean())
    assert float(one.loss(torch.arange(4)).detach()) == pytest.approx(float(torch.stack(expected).mean()), rel=1e-5)


def test_a_thing_says_nothing_of_itself() -> None:
    """However long a thing's own part is, its score does not change: it is taken out of the sum."""
    g = HeteroGraph.from_edges(
        {"user": 1, "clip": 3, "room": 0}, {("user", "meets", "clip"): EdgeList([0, 0, 0], [0, 1, 2])}
    )
    one = trainer(g, replace(SMALL, event_dropout=0.0, targets=3))
    walk = one.walks[0]
    found: list[torch.Tensor] = []

    def positive(given: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
        found.append(given.detach().clone())
        return given.sum()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "sampled_softmax", positive)
        one.loss(torch.tensor([0]))
        walk.source[1] *= 50.0
        one.loss(torch.tensor([0]))
    assert found[0][0, 1] == pytest.approx(float(found[1][0, 1]), abs=1e-4)
    assert abs(float(found[0][0, 0] - found[1][0, 0])) > 1e-3


def test_a_user_whose_others_were_all_left_out_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    one = trainer(circles(), replace(SMALL, targets=8))
    shares: list[torch.Tensor] = []

    def keep_one(self: Any, anchors: torch.Tensor, row: torch.Tensor) -> torch.Tensor:
        return torch.cat([torch.tensor([True]), row[1:] != row[:-1]])

    real = module.sampled_softmax
    monkeypatch.setattr(BagTrainer, "_kept", keep_one)
    monkeypatch.setattr(module, "sampled_softmax", lambda *a, **o: shares.append(o["weight"].clone()) or real(*a, **o))
    loss = one.loss(torch.arange(64))
    loss.backward()
    first = one._targets(torch.arange(64))[0] == one.events.begin[:64, None]
    assert (shares[0] + shares[1])[first].sum() == 0
    assert (shares[0] + shares[1]).sum() > 0
    assert all(torch.isfinite(p.grad).all() for p in one.model.parameters())


def test_every_table_gets_a_gradient_only_where_things_were_met() -> None:
    one = trainer(circles())
    one.loss(one._batches[0]).backward()
    for table in (one.model.source, one.model.target):
        assert table.grad is not None
        assert table.grad[:60].abs().sum() > 0
        assert table.grad[120].abs().max() == 0  # the room that nobody met


def test_targets_are_all_of_a_user_or_as_many_drawn() -> None:
    g = HeteroGraph.from_edges(
        {"user": 3, "clip": 9, "room": 0},
        {("user", "meets", "clip"): EdgeList([0, 0, *[1] * 9, 2], [0, 1, *range(9), 4])},
    )
    place, there = trainer(g, replace(SMALL, targets=4))._targets(torch.tensor([1, 0]))
    assert there.tolist() == [[True] * 4, [True, True, False, False]]
    assert place[0].max() < 9
    assert place[1, :2].tolist() == [9, 10]


def test_a_long_history_is_summed_up_in_part() -> None:
    src = np.repeat(np.arange(2), [3, 4000])
    g = HeteroGraph.from_edges(
        {"user": 2, "clip": 4000, "room": 0}, {("user", "meets", "clip"): EdgeList(src, [*range(3), *range(4000)])}
    )
    one = trainer(g, replace(SMALL, history=100, event_dropout=0.0))
    row = torch.as_tensor(src)
    kept = one._kept(torch.tensor([0, 1]), row)
    assert kept[:3].all()
    assert 40 < int(kept[3:].sum()) < 200


@pytest.mark.parametrize("change", [lambda i: {}, lambda i: {"seed": i}])
def test_the_same_seed_learns_the_same_and_another_something_else(change: Callable[[int], dict[str, int]]) -> None:
    found = []
    for number in range(2):
        one = trainer(circles(users=60), seed=change(number).get("seed", 0))
        one.run()
        found.append(one.model.source.detach().numpy().tobytes())
    assert (found[0] == found[1]) == (change(1) == {})


def test_taken_up_after_any_epoch_it_ends_the_same() -> None:
    states: list[tuple[int, dict[str, torch.Tensor]]] = []
    whole = trainer(circles(users=60))
    whole.run(keep=lambda one: states.append((one.done, {k: x.clone() for k, x in one.state().items()})))
    assert len(states) == SMALL.epochs - 1
    for done, state in states[::2]:
        again = trainer(circles(users=60))
        again.restore(state, done)
        again.run()
        assert torch.equal(again.model.source, whole.model.source)


def users_of_many() -> Events:
    return Events(torch.arange(0, 102, 2), torch.arange(100), torch.ones(100))


def test_an_epoch_has_every_user_who_met_two_things_once() -> None:
    g = HeteroGraph.from_edges(
        {"user": 7, "clip": 9, "room": 0}, {("user", "meets", "clip"): EdgeList([0, 0, 1, 3, 3, 4, 4, 4], range(8))}
    )
    users = Users(Events.of(histories(g), 0.0, "cpu"), replace(SMALL, batch=2), 0)
    assert users.in_an_epoch == 2
    assert sorted(torch.cat([users[2], users[3]]).tolist()) == [0, 3, 4]
    orders = {
        tuple(Users(users_of_many(), replace(SMALL, batch=99), seed)[epoch].tolist())
        for seed in (0, 1)
        for epoch in (0, 1)
    }
    assert len(orders) == 4


def test_vectors_are_of_length_one_and_zero_where_nobody_met_anything() -> None:
    model = Bags(3, 2)
    events = Events(torch.tensor([0, 2, 2]), torch.tensor([0, 1]), torch.tensor([1.0, 3.0]))
    table = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    user, thing = model.vectors(events, Walk(table, 2 * table))
    np.testing.assert_allclose(user, [[0.1**0.5, 0.9**0.5], [0, 0]], rtol=1e-6)
    np.testing.assert_allclose(thing, [[1, 0], [0, 1], [0, 0]])


def test_vectors_in_blocks_are_those_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    one = trainer(circles())
    whole = one.vectors(one.walks[0])
    monkeypatch.setattr("graphrep.embed.gnn.bags._AT_ONCE", 100)
    for here, there in zip(one.vectors(one.walks[0]), whole, strict=True):
        np.testing.assert_array_equal(here, there)


def test_fit_learns_bags_where_no_event_has_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[type] = []
    real = BagTrainer.__init__

    def noted(self: BagTrainer, *given: Any) -> None:
        made.append(type(given[3]))
        real(self, *given)

    monkeypatch.setattr(BagTrainer, "__init__", noted)
    g = circles(users=60)
    emb = fit(g, "hybrid", dim=8, choice=CHOICE, share=1.0)
    assert made == [BagTraining]
    norms = np.linalg.norm(emb["user"], axis=1)
    np.testing.assert_allclose(norms, 1, rtol=1e-5)
    timed = {kind: EdgeList(e.src, e.dst, time=np.arange(len(e))) for kind, e in g.edges.items()}
    fit(HeteroGraph.from_edges(g.num_nodes, timed), "hybrid", dim=8, choice=CHOICE, share=1.0)
    assert len(made) == 1


def test_users_of_one_event_each_teach_nothing_and_it_is_said() -> None:
    g = HeteroGraph.from_edges({"user": 9, "thing": 3}, {("user", "meets", "thing"): EdgeList(range(9), [0, 1, 2] * 3)})
    with pytest.raises(InputError, match=r"users who met two things or more, found none .*autocovariance"):
        fit(g, "hybrid", dim=2, choice=CHOICE, share=1.0)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [("temperature", 0.0, "a number above 0, up to 1"), ("targets", 0, "a whole number of at least 1")],
)
def test_a_setting_out_of_its_range_is_named(name: str, value: Any, expected: str) -> None:
    with pytest.raises(InputError, match=rf"{expected}, found {value} \[training.{name}\]"):
        BagTraining(**{name: value})
