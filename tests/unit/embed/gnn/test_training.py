"""Training beside a walk: what it learns, what it never sees, and that it goes on where it was stopped."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch

from graphrep.embed.backend import Backend
from graphrep.embed.gnn import training as module
from graphrep.embed.gnn.batches import Batches
from graphrep.embed.gnn.folds import crossed, walk_of
from graphrep.embed.gnn.negatives import Place, among
from graphrep.embed.gnn.settings import Training
from graphrep.embed.gnn.timelines import Timelines
from graphrep.embed.gnn.training import Step, Trainer
from graphrep.embed.histories import histories
from graphrep.embed.history_walk import Choice, VectorPowers
from graphrep.errors import GraphrepError, InputError
from graphrep.graph import EdgeList, HeteroGraph

SMALL = Training(epochs=4, batch=64, history=8, horizon=3, negatives=64, folds=2)
READ: dict[str, Any] = {"relation_weights": None, "transition_options": {}}
COMPANY = Choice(vectors=VectorPowers())
MEETS, SEES = ("user", "meets", "thing"), ("user", "sees", "video")


def rings(users: int = 120, length: int = 30, videos: int = 9) -> HeteroGraph:
    """Every user goes along a ring of things, one after the other, and sees videos between."""
    begin = np.arange(users) * 7 % length
    src, step = np.repeat(np.arange(users), 6), np.tile(np.arange(6), users)
    dst = (begin[src] + step) % length
    watched = EdgeList(src, (dst * 2) % videos, time=step * 7200 + 10)
    return HeteroGraph.from_edges(
        {"user": users, "thing": length, "video": videos},
        {MEETS: EdgeList(src, dst, time=step * 7200), SEES: watched},
    )


def trainer(g: HeteroGraph, training: Training = SMALL, seed: int = 0, choice: Choice = COMPANY) -> Trainer:
    events, backend = histories(g, **READ), Backend(None, "float32")
    whole = walk_of(events, choice, 8, seed, backend)
    walks, fold = crossed(g, events, whole, choice, seed, backend, training.folds, **READ)
    bounds = [*events.things.values(), len(whole.target)]
    types = list(pairwise(bounds))
    return Trainer(Timelines.of(g, events), walks, fold, types, training, seed, 1.0)


def losses(one: Trainer) -> list[float]:
    found: list[Step] = []
    one.run(found.append)
    assert [step.number for step in found] == list(range(1, one.steps + 1))
    assert {step.of for step in found} == {one.steps}
    assert all(step.seconds_left > 0 for step in found[:-1])
    assert found[-1].seconds_left == 0
    return [step.loss for step in found]


def test_the_loss_falls_and_what_comes_next_outranks_the_rest() -> None:
    g = rings()
    one = trainer(g, replace(SMALL, epochs=12, event_dropout=0.0, surface_dropout=0.0, dropout=0.0, decay=0.2))
    found = losses(one)
    assert np.mean(found[-5:]) < 0.8 * np.mean(found[:5])
    lines = one.lines
    anchors = lines.anchors()
    recent = lines.recent(lines.actor[anchors], anchors, lines.time[anchors], 8)
    things = lines.thing[anchors] < 30
    one.model.eval()
    walk = one.walks[0]
    scores = one.model.users(recent, walk) @ one.model.things(torch.arange(30), walk).T
    rank = (scores > scores.gather(1, lines.thing[anchors].clamp(max=29)[:, None])).sum(1)[things].float()
    assert rank.mean() < 3


def test_every_parameter_gets_a_gradient_in_a_step() -> None:
    one = trainer(rings())
    one.run()
    one.model.zero_grad()
    one.loss(one.lines.anchors()[:64]).backward()
    for name, parameter in one.model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().max() > 0, name


def test_the_same_seed_learns_the_same_and_another_something_else() -> None:
    first, again, other = (trainer(rings(), seed=seed) for seed in (0, 0, 1))
    for one in (first, again, other):
        one.run()
    assert all(torch.equal(x, again.state()[name]) for name, x in first.state().items())
    assert not torch.equal(first.model.target, other.model.target)
    fold = np.zeros(120, np.int64)
    batches = [Batches(first.lines, fold, SMALL, seed)[0].tolist() for seed in (0, 0, 1)]
    assert batches[0] == batches[1] != batches[2]


def test_every_step_has_draws_of_its_own() -> None:
    one, drawn = trainer(rings(), replace(SMALL, negatives=10)), []
    negatives = one._negatives

    def recorded(first: int, end: int) -> Any:
        drawn.append((one.done, first, tuple(negatives(first, end)[0].tolist())))
        return negatives(first, end)

    one._negatives = recorded
    one.run()
    of_things = {step: things for step, first, things in drawn if first == 0 and step > 0}
    assert len(set(of_things.values())) == one.steps - 1


def test_the_loss_is_that_of_each_label_against_all_others_of_its_type() -> None:
    one = trainer(rings(), replace(SMALL, balance=1.0, horizon=1))
    one.run()
    one.model.eval()
    anchors = one._batches[0]
    # Videos hardly ever: by their number they would not count.
    anchors = torch.cat([anchors[one.lines.thing[anchors] < 30], anchors[one.lines.thing[anchors] >= 30][:2]])
    walk = one.walks[int(one._fold[anchors[0]])]
    with torch.no_grad():
        recent = one.lines.recent(one.lines.actor[anchors], anchors, one.lines.time[anchors], 8)
        user = one.model.users(recent, walk) * one.model.scale.exp()
        scores = (user @ (walk.target + one.model.target).T).double()
        thing, share = one.lines.following(anchors, 1, 0.7)
        each: list[list[float]] = [[], []]
        for row in range(len(anchors)):
            for kind, (first, end) in enumerate([(0, 30), (30, 39)]):
                own = [
                    (int(t), float(w)) for t, w in zip(thing[row], share[row], strict=True) if first <= t < end and w
                ]
                rivals = [t for t in range(first, end) if t not in {t for t, _ in own}]
                total = sum(w for _, w in own)
                if own:
                    gap = [w * (torch.logsumexp(scores[row, [t, *rivals]], 0) - scores[row, t]) for t, w in own]
                    each[kind].append(float(sum(gap)) / total)
        found = float(one.loss(anchors))
    assert found == pytest.approx(np.mean([np.mean(part) for part in each]), rel=2e-2)  # products may be in bfloat16


def test_draws_are_left_as_they_were() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    trainer(rings()).run()
    assert torch.equal(torch.rand(3), expected)


def test_taken_up_after_a_kill_at_any_epoch_it_ends_the_same() -> None:
    whole = trainer(rings())
    kept: list[tuple[dict[str, torch.Tensor], int]] = []
    whole.run(keep=lambda one: kept.append(({k: x.clone() for k, x in one.state().items()}, one.done)))
    assert len(kept) == SMALL.epochs - 1
    for tensors, done in kept:
        later = trainer(rings())
        later.restore(tensors, done)
        later.run()
        assert all(torch.equal(x, later.state()[name]) for name, x in whole.state().items())


def test_a_step_sees_a_walk_without_its_users(monkeypatch: pytest.MonkeyPatch) -> None:
    g = rings()
    events = histories(g, **READ)
    one = trainer(g)
    fold = one._fold.numpy()
    assert set(fold.tolist()) == {0, 1}
    for number in range(2):
        # Whatever the users of a fold did, their walk is the same.
        own = np.unique(one.lines.actor.numpy()[fold == number])
        moved = dict(g.edges)
        dst = moved[MEETS].dst.copy()
        mine = np.isin(moved[MEETS].src, own)
        dst[mine] = (dst[mine] * 11 + 5) % 30
        moved[MEETS] = EdgeList(moved[MEETS].src, dst, time=moved[MEETS].time)
        changed = HeteroGraph.from_edges(g.num_nodes, moved)
        whole = walk_of(events, COMPANY, 8, 0, Backend(None, "float32"))
        read = histories(changed, **READ)
        walks, again = crossed(changed, read, whole, COMPANY, 0, Backend(None, "float32"), 2, **READ)
        assert np.array_equal(again[one.lines.actor.numpy()], fold)
        torch.testing.assert_close(walks[number].target, one.walks[number].target)
    used: list[int] = []
    monkeypatch.setattr(
        module.Hybrid, "users", lambda self, recent, walk: used.append(_place(one, walk)) or _zeros(recent)
    )
    for number in range(4):
        anchors = one._batches[number]
        one.loss(anchors)
        assert {int(f) for f in one._fold[anchors]} == {used[-1]}


def _place(one: Trainer, walk: Any) -> int:
    return next(i for i, own in enumerate(one.walks) if own is walk)


def _zeros(recent: Any) -> torch.Tensor:
    return torch.zeros(len(recent.weight), 8)


def test_a_fold_keeps_the_vectors_of_all_where_nobody_else_met_a_thing() -> None:
    src, dst = np.repeat(np.arange(40), 3), np.random.default_rng(0).integers(0, 10, 120)
    alone = HeteroGraph.from_edges(
        {"user": 40, "thing": 11}, {MEETS: EdgeList([*src, 0], [*dst, 10], time=[*(np.arange(120) % 9), 99])}
    )
    events, backend = histories(alone, **READ), Backend(None, "float32")
    whole = walk_of(events, COMPANY, 4, 0, backend)
    walks, fold = crossed(alone, events, whole, COMPANY, 0, backend, 2, **READ)
    assert torch.equal(walks[fold[0]].target[10], whole.target[10])
    assert not torch.equal(walks[1 - fold[0]].target[10], whole.target[10])


def test_the_walks_of_folds_lie_in_the_space_of_the_whole() -> None:
    g = rings(users=600)
    events, backend = histories(g, **READ), Backend(None, "float32")
    whole = walk_of(events, COMPANY, 8, 0, backend)
    for walk in crossed(g, events, whole, COMPANY, 0, backend, 2, **READ)[0]:
        assert float((walk.target - whole.target).norm() / whole.target.norm()) < 0.4


@pytest.mark.parametrize("lost", [0.0, 0.99])
def test_masking_leaves_every_history_something_and_takes_whole_surfaces(lost: float) -> None:
    one = trainer(rings(), replace(SMALL, event_dropout=0.0, surface_dropout=lost))
    anchors = one.lines.anchors()
    recent = one.lines.recent(one.lines.actor[anchors], anchors, one.lines.time[anchors], 8)
    torch.manual_seed(0)
    masked = one._masked(recent)
    assert bool((masked.weight > 0).any(1).all())
    both = (recent.weight > 0) & (recent.thing < 30), (recent.weight > 0) & (recent.thing >= 30)
    kept = [((masked.weight > 0) & part).sum(1) for part in both]
    changed = (masked.weight != recent.weight).any(1)
    assert bool(changed.any()) == (lost > 0)
    # A surface goes as a whole: what is left of each is all or nothing.
    for part, left in zip(both, kept, strict=True):
        assert bool(((left == 0) | (left == part.sum(1))).all())


def test_events_are_left_out_one_by_one() -> None:
    one = trainer(rings(), replace(SMALL, event_dropout=0.5, surface_dropout=0.0))
    anchors = one.lines.anchors()
    recent = one.lines.recent(one.lines.actor[anchors], anchors, one.lines.time[anchors], 8)
    torch.manual_seed(0)
    share = float((one._masked(recent).weight > 0).sum() / (recent.weight > 0).sum())
    assert 0.45 < share < 0.65
    one.model.eval()
    assert one._masked(recent) is recent


def test_drawn_negatives_are_of_their_type_and_corrected_for_how_often_they_come() -> None:
    one = trainer(rings(), replace(SMALL, negatives=10))
    drawn, log_q = one._negatives(0, 30)
    assert drawn.min() >= 0
    assert drawn.max() < 30
    assert log_q.tolist() == pytest.approx([np.log(10 / 30)] * 10)
    every, log_q = one._negatives(30, 39)
    assert every.tolist() == list(range(30, 39))
    assert log_q.abs().max() == 0


def test_a_negative_that_is_a_target_of_the_anchor_is_known_even_when_drawn_twice() -> None:
    thing = torch.tensor([[4, 7], [4, 4], [1, 2]])
    inside = torch.tensor([[True, False], [True, True], [True, True]])
    ordered, order = torch.tensor([7, 4, 3, 4, 2]).sort(stable=True)
    place = Place.of(thing, inside, ordered, order)
    found = among(place, int(place.count.sum()), 3)
    assert found.int().tolist() == [[0, 1, 0, 1, 0], [0, 1, 0, 1, 0], [0, 0, 0, 0, 1]]


def test_an_epoch_has_some_anchors_of_every_user_of_one_fold_in_each_batch() -> None:
    one = trainer(rings(), replace(SMALL, anchors=3, epochs=2))
    epochs = []
    for epoch in range(2):
        numbers = range(epoch * one.steps // 2, (epoch + 1) * one.steps // 2)
        batches = [one._batches[number] for number in numbers]
        assert all(len(batch) <= 64 and len(set(one._fold[batch].tolist())) == 1 for batch in batches)
        anchors = torch.cat(batches)
        assert torch.bincount(one.lines.actor[anchors]).tolist() == [3] * 120
        assert len(anchors.unique()) == len(anchors)
        epochs.append(sorted(anchors.tolist()))
    assert epochs[0] != epochs[1]


def test_a_loss_that_is_no_number_stops_the_training() -> None:
    one = trainer(rings())
    with torch.no_grad():
        one.model.target[0] = torch.nan
    with pytest.raises(GraphrepError, match=r"finite loss, found nan \[step 1\]; lower"):
        one.run()


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("epochs", 0, "a whole number of at least 1"),
        ("batch", 2.0, "a whole number of at least 1"),
        ("horizon", True, "a whole number of at least 1"),
        ("folds", 1, "a whole number of at least 2"),
        ("event_dropout", 1.0, "a number from 0 to below 1"),
        ("decay", 0.0, "a number above 0, up to 1"),
        ("balance", 1.5, "a number from 0 to 1"),
        ("rate", float("nan"), "a number above 0, below 1"),
        ("table_rate", 0, "a number above 0, below 1"),
    ],
)
def test_a_setting_out_of_its_range_is_named(name: str, value: Any, expected: str) -> None:
    with pytest.raises(InputError, match=rf"expected {expected}, found .* \[training.{name}\]"):
        Training(**{name: value})
