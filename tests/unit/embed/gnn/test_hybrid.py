"""``fit(model="hybrid")``: what is published, what it is chosen on, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from graphrep.embed import Choice, Training, fit
from graphrep.embed.gnn import fitting
from graphrep.embed.history_walk import VectorPowers
from graphrep.errors import InputError
from graphrep.graph import EdgeList, HeteroGraph

SMALL = Training(epochs=3, batch=64, history=8, horizon=3, negatives=64, folds=2)
CHOICE = Choice(vectors=VectorPowers())
MEETS = ("user", "meets", "thing")


def paired(users: int = 300, things: int = 24, seed: int = 0) -> HeteroGraph:
    """After every other thing comes its partner, after that anything."""
    chance = np.random.default_rng(seed)
    rows = []
    for user in range(users):
        last = int(chance.integers(0, things))
        for step in range(8):
            rows.append((user, last, step * 3600))
            last = (last + things // 2) % things if step % 2 == 0 else int(chance.integers(0, things))
    src, dst, time = np.array(rows).T
    return HeteroGraph.from_edges({"user": users, "thing": things, "room": 3}, {MEETS: EdgeList(src, dst, time=time)})


class Kept(dict[str, bytes]):
    """Checkpoints in memory; every state that was ever saved is remembered."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.ever: list[tuple[str, bytes]] = []

    def latest(self, name: str) -> bytes | None:
        return self.get(name)

    def replace(self, name: str, content: bytes) -> None:
        self[name] = content
        self.ever.append((name, content))


def learnt(g: HeteroGraph, **options: Any) -> Any:
    return fit(g, "hybrid", dim=8, **{"choice": CHOICE, "training": SMALL, **options})


def test_it_publishes_what_it_learnt_where_that_ranks_hidden_events_better() -> None:
    emb = learnt(paired(), training=Training(epochs=8, batch=64, history=8, horizon=1, negatives=64, folds=2))
    assert emb.learnt > 0
    assert {kind: x.shape for kind, x in emb.items()} == {"user": (300, 8), "thing": (24, 8), "room": (3, 8)}
    assert emb.score("user", [0], "thing", exact=True).shape == (1, 24)


def test_where_nothing_is_gained_the_vectors_are_the_walks(monkeypatch: pytest.MonkeyPatch) -> None:
    # As if whatever was learnt ranked no better.
    monkeypatch.setattr(fitting, "quality", lambda rows, *hidden: 0.5)
    g = paired()
    emb, walk = learnt(g), fit(g, dim=8, choice=CHOICE)
    assert emb.learnt == 0
    assert all(np.array_equal(emb[kind], walk[kind]) for kind in emb)
    assert walk.learnt is None


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_share_that_is_given_is_taken_without_hiding_anything(share: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "hidden_events", lambda *_: pytest.fail("hidden"))
    g = paired()
    emb = learnt(g, share=share)
    assert emb.learnt == share
    assert np.array_equal(emb["user"], learnt(g, share=1.0)["user"]) == (share == 1)
    assert np.array_equal(emb["user"], fit(g, dim=8, choice=CHOICE)["user"]) == (share == 0)


def test_the_best_of_the_shares_is_taken_the_smaller_of_equals(monkeypatch: pytest.MonkeyPatch) -> None:
    figures = iter([0.5, 0.6, 0.7, 0.7, 0.6])
    monkeypatch.setattr(fitting, "quality", lambda rows, *hidden: next(figures))
    assert learnt(paired()).learnt == 0.5


def test_a_gain_of_less_than_a_thousandth_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    figures = iter([0.5, 0.5004, 0.5, 0.5, 0.5])
    monkeypatch.setattr(fitting, "quality", lambda rows, *hidden: next(figures))
    assert learnt(paired()).learnt == 0


def test_hidden_events_are_neither_in_the_walk_nor_in_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    g, seen = paired(), []
    original = fitting.HybridFit._learnt
    monkeypatch.setattr(fitting.HybridFit, "_learnt", lambda s, g, e, n: seen.append((n, g, e)) or original(s, g, e, n))
    hidden: list[Any] = []
    of = fitting.hidden_events
    monkeypatch.setattr(fitting, "hidden_events", lambda *a: hidden.append(of(*a)) or hidden[-1])
    learnt(g)
    name, less, events = seen[0]
    assert name == "choice"
    pairs = set(zip(*(column.tolist() for column in hidden[0]), strict=True))
    assert len(pairs) > 200
    assert not pairs & set(zip(less.edges[MEETS].src.tolist(), less.edges[MEETS].dst.tolist(), strict=True))
    assert not pairs & set(zip(*(axis.tolist() for axis in events.events.tocoo().coords), strict=True))


def test_the_same_bytes_for_the_same_graph_and_seed() -> None:
    first, again, other = (learnt(paired(), share=0.9, seed=seed) for seed in (0, 0, 1))
    assert all(first[kind].tobytes() == again[kind].tobytes() for kind in first)
    assert first["user"].tobytes() != other["user"].tobytes()


def test_it_goes_on_from_any_state_that_was_kept_and_ends_the_same() -> None:
    g, kept = paired(), Kept()
    whole = learnt(g, share=1.0, checkpoints=kept)
    assert [name for name, _ in kept.ever] == ["hybrid-published"] * 2
    for name, content in kept.ever:
        steps: list[Any] = []
        later = learnt(g, share=1.0, checkpoints=Kept({name: content}), report=steps.append)
        assert 0 < len(steps) < steps[-1].of
        assert all(later[kind].tobytes() == whole[kind].tobytes() for kind in whole)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dim": 6}, r"config.dim = 6, found 8 \[hybrid-published\]"),
        ({"seed": 3}, r"config.seed = 3, found 0"),
        ({"training": Training(epochs=2, batch=64, history=8, horizon=3, negatives=64, folds=2)}, r"config.epochs = 2"),
        ({"g": paired(seed=1)}, r"data = "),
    ],
)
def test_a_state_of_something_else_is_refused(change: dict[str, Any], message: str) -> None:
    kept = Kept()
    learnt(paired(), share=1.0, checkpoints=kept)
    given = {"g": paired(), "dim": 8, "seed": 0, "training": SMALL, **change}
    with pytest.raises(InputError, match=message):
        fit(model="hybrid", choice=CHOICE, share=1.0, checkpoints=kept, **given)


def test_too_few_users_to_hide_anything_of_get_the_walk() -> None:
    g = HeteroGraph.from_edges({"user": 2, "thing": 3}, {MEETS: EdgeList([0, 0, 1], [0, 1, 2], time=[1, 2, 3])})
    assert fit(g, "hybrid", dim=2, training=SMALL).learnt == 0


def test_without_times_histories_are_parted_at_random() -> None:
    g = paired()
    timeless = HeteroGraph.from_edges(g.num_nodes, {MEETS: EdgeList(g.edges[MEETS].src, g.edges[MEETS].dst)})
    emb, walk = learnt(timeless, share=1.0), fit(timeless, dim=8, choice=CHOICE)
    assert not np.allclose(emb["thing"], walk["thing"])


def test_users_of_one_event_each_teach_nothing_and_it_is_said() -> None:
    g = HeteroGraph.from_edges({"user": 9, "thing": 3}, {MEETS: EdgeList(range(9), [0, 1, 2] * 3, time=range(9))})
    with pytest.raises(InputError, match=r"users with events at two moments or more, found none .*autocovariance"):
        learnt(g, share=1.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"walk": "joint"}, "walk='history' or None beside model='hybrid', found 'joint'"),
        ({"share": 2}, "a share from 0 to 1, or None, found 2"),
        ({"share": True}, "a share from 0 to 1, or None, found True"),
        ({"training": {"epochs": 3}}, "a graphrep.embed.Training or BagTraining, found dict"),
        ({"markov_time": 3}, "an option of the hybrid"),
    ],
)
def test_options_that_do_not_fit_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        learnt(paired(), **options)


def test_options_of_the_hybrid_are_none_of_the_walk() -> None:
    with pytest.raises(InputError, match="an option of the history walk"):
        fit(paired(), training=SMALL)


def test_a_graph_without_users_that_only_act_is_refused() -> None:
    g = HeteroGraph.from_edges({"user": 2}, {("user", "follows", "user"): EdgeList([0], [1])})
    with pytest.raises(InputError, match="a type that acts"):
        fit(g, "hybrid")
