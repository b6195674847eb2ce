"""``fit(model="gnn", begin=…)``: what is taken over from an earlier day, relations that come and go, refusals."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from graphrep.embed import Choice, EncoderState, NeighbourTraining, State, fit
from graphrep.embed.gnn import inductive_fit
from graphrep.embed.gnn.encoder_state import input_columns, parameters_from
from graphrep.embed.gnn.inputs import node_inputs
from graphrep.embed.gnn.kept_state import KeptState
from graphrep.embed.history_walk import VectorPowers
from graphrep.errors import InputError
from graphrep.graph import EdgeList, HeteroGraph

SMALL = NeighbourTraining(epochs=2, batch=64, history=8, horizon=3, negatives=64, folds=2, views=2, neighbours=6)
# Steps so short that what was taken over stays as it was.
STILL = replace(SMALL, epochs=1, rate=1e-12)
MEETS, SKIPS = ("user", "meets", "host"), ("user", "skips", "host")
USERS, HOSTS = 120, 20
ROWS = {"host": np.arange(HOSTS)}


def graph(*more: tuple[str, str, str], seed: int = 0) -> HeteroGraph:
    """With relations whose only edge has the weight 0: they change no walk and no count."""
    chance = np.random.default_rng(seed)
    src, dst = np.repeat(np.arange(USERS), 6), chance.integers(1, HOSTS, USERS * 6)
    met = EdgeList(src, dst, time=np.tile(np.arange(6) * 3600, USERS))
    none = {kind: EdgeList([0], [0], weight=[0.0], time=[0]) for kind in more}
    return HeteroGraph.from_edges({"user": USERS, "host": HOSTS}, {**none, MEETS: met})


CONTENT = {"host": np.random.default_rng(1).normal(size=(HOSTS, 3)).astype(np.float32)}


def learnt(g: HeteroGraph, **options: Any) -> Any:
    return fit(g, "gnn", dim=8, **{"training": SMALL, "features": CONTENT, **options})


@pytest.fixture(scope="module")
def yesterday() -> Any:
    return learnt(
        graph(), choice=Choice(vectors=VectorPowers()), share=0.5, training=replace(SMALL, epochs=4, rate=0.03)
    )


def turn(seed: int = 5) -> Any:
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(8, 8)))[0]


@pytest.mark.parametrize("turned", [False, True])
def test_nothing_learnt_anew_leaves_yesterdays_vectors_in_the_basis_of_the_state(yesterday: Any, turned: bool) -> None:
    by = turn() if turned else np.eye(8)
    again = learnt(graph(), training=STILL, begin=yesterday.state.turned(by).rows(ROWS))
    assert again.learnt == 0.5
    for kind in yesterday:
        assert np.allclose(again[kind], yesterday[kind] @ by, atol=1e-4)
    walk = learnt(graph(), choice=yesterday.choice, share=0.0)
    assert not np.allclose(np.abs(again["host"]), np.abs(walk["host"]), atol=1e-2)


def test_the_state_follows_the_vectors_onto_the_day_before(yesterday: Any) -> None:
    by = turn()
    before = {kind: (x @ by).astype(np.float32) for kind, x in yesterday.items()}
    aligned = learnt(graph(), training=STILL, begin=yesterday.state.rows(ROWS), previous=before)
    again = learnt(graph(), training=STILL, begin=aligned.state.rows(ROWS))
    for kind in before:
        assert np.allclose(again[kind], before[kind], atol=1e-3)


def test_relations_that_came_change_nothing_and_those_that_went_take_only_their_own(yesterday: Any) -> None:
    wider = learnt(graph(SKIPS), training=STILL, begin=yesterday.state.rows(ROWS))
    assert SKIPS in wider.state.edge_types
    narrower = learnt(graph(), training=STILL, begin=wider.state.rows(ROWS))
    for emb in (wider, narrower):
        for kind in yesterday:
            assert np.allclose(emb[kind], yesterday[kind], atol=1e-4)
    assert narrower.state.edge_types == yesterday.state.edge_types


def test_content_that_came_changes_nothing_before_it_is_learnt_from(yesterday: Any) -> None:
    without = learnt(graph(), training=replace(SMALL, rate=0.03), choice=yesterday.choice, share=1.0, features={})
    again = learnt(graph(), training=STILL, begin=without.state.rows(ROWS))
    assert np.allclose(again["host"][1:], without["host"][1:], atol=1e-4)


def test_what_is_learnt_goes_on_from_the_state(yesterday: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    calibrated: list[Any] = []
    trained = []
    run = inductive_fit.train

    def seen(trainer: Any, *rest: Any) -> None:
        monkeypatch.setattr(type(trainer), "_calibrate", lambda self, anchors: calibrated.append(anchors))
        trained.append({name: x.clone() for name, x in trainer.model.state_dict().items()})
        run(trainer, *rest)

    monkeypatch.setattr(inductive_fit, "train", seen)
    learnt(graph(), begin=yesterday.state.rows(ROWS))
    assert not calibrated
    for name, x in trained[0].items():
        assert np.array_equal(x.numpy(), yesterday.state.parameters[name]), name


def test_the_columns_are_those_of_the_inputs() -> None:
    g = graph(SKIPS)
    vectors = {kind: np.zeros((n, 4), np.float32) for kind, n in g.num_nodes.items()}
    inputs = node_inputs(g, vectors, CONTENT)
    for kind, x in inputs.items():
        assert x.shape[1] == len(set(input_columns(kind, 4, g.edge_types, {"host": 3})))
    met = input_columns("host", 4, g.edge_types, {"host": 3}).index("to user meets host")
    degree = np.bincount(g.edges[MEETS].dst, minlength=HOSTS)
    assert np.allclose(inputs["host"][:, met], np.log1p(degree))


def test_columns_are_taken_over_by_what_they_are(yesterday: Any) -> None:
    state, g = yesterday.state, graph(SKIPS)
    names = input_columns("host", 8, g.edge_types, {})
    made = {"encoder.first.host.weight": torch.ones(8, len(names)), "encoder.first.room.weight": torch.ones(8, 2)}
    found = parameters_from(state, made, g.edge_types, {})
    before = input_columns("host", 8, state.edge_types, state.contents)
    old = dict(zip(before, state.parameters[next(iter(made))].T, strict=True))
    for column, x in zip(names, found["encoder.first.host.weight"].T, strict=True):
        assert np.array_equal(x.numpy(), old.get(column, np.zeros(8)))
    assert "to user skips host" not in old
    assert found["encoder.first.room.weight"].min() == 1


def test_kept_and_read_again_it_is_the_same(yesterday: Any) -> None:
    kept = KeptState(yesterday.state, ROWS, {"cold_ds": "2026-03-01"})
    again = KeptState.unpacked(kept.packed(), "memory")
    assert isinstance(again.state, EncoderState)
    assert again.state.digest() == yesterday.state.digest()
    assert again.packed() == kept.packed()
    assert again.about == kept.about
    changed = replace(yesterday.state, edge_types=[*yesterday.state.edge_types, SKIPS])
    assert changed.digest() != yesterday.state.digest()


def test_a_state_that_nothing_can_go_on_from_is_named(yesterday: Any) -> None:
    begin = yesterday.state.rows(ROWS)
    pair = {"host": np.zeros((2, HOSTS, 8), np.float32)}
    others: list[tuple[dict[str, Any], str]] = [
        ({"begin": State(pair, pair, {}, {}, Choice(), 0.5)}, r"EncoderState, found State \[begin\]"),
        ({"begin": begin, "walk": "joint"}, r"walk='history' or None beside begin, found 'joint'"),
        ({"begin": begin, "choice": Choice()}, r"no choice beside begin"),
        ({"begin": begin, "training": replace(SMALL, layers=1)}, r"expected 1, found 2 layers \[begin\]"),
        ({"begin": begin, "features": {"host": np.zeros((HOSTS, 4))}}, r"expected 4, found 3 columns of content of h"),
        ({"begin": begin.rows({"host": np.arange(3)})}, r"20 rows, those of the graph, found 3"),
        ({"begin": begin.rows({"host": np.full(HOSTS, -1)})}, r"something met that the state knows, found nothing"),
    ]
    for options, message in others:
        with pytest.raises(InputError, match=message):
            learnt(graph(), **options)
    with pytest.raises(InputError, match=r"a state of dim 6, found dim 8"):
        fit(graph(), "gnn", dim=6, training=SMALL, features=CONTENT, begin=begin)
    with pytest.raises(InputError, match=r"finite numbers, found others \[begin.parameters\['x'\]\]"):
        replace(begin, parameters={"x": np.full(2, np.nan)})


def test_without_anything_learnt_and_beside_the_joint_walk_there_is_no_state() -> None:
    choice = Choice(vectors=VectorPowers())
    assert learnt(graph(), share=0.0, choice=choice).state is None
    assert learnt(graph(), share=1.0, walk="joint", training=replace(SMALL, epochs=1)).state is None
