"""``fit(model="hybrid", begin=…)``: what is taken over from an earlier day, in which basis, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from graphrep.embed import BagTraining, Choice, State, Training, fit
from graphrep.embed.gnn import fitting
from graphrep.embed.gnn.kept_state import KeptState
from graphrep.embed.history_walk import VectorPowers
from graphrep.errors import InputError
from graphrep.graph import EdgeList, HeteroGraph

SMALL = Training(epochs=3, batch=64, history=8, horizon=3, negatives=64, folds=2)
# Steps so short that what was taken over stays as it was.
STILL = replace(SMALL, epochs=1, rate=1e-12, table_rate=1e-12, tether=0.0)
MEETS = ("user", "meets", "thing")
THINGS, USERS = 20, 120
ALL = {"thing": np.arange(THINGS), "room": np.arange(2)}


def paired(seed: int = 0, things: int = THINGS) -> HeteroGraph:
    """After every other thing comes its partner, after that anything."""
    chance = np.random.default_rng(seed)
    rows = []
    for user in range(USERS):
        last = int(chance.integers(0, things))
        for step in range(8):
            rows.append((user, last, step * 3600))
            last = (last + things // 2) % things if step % 2 == 0 else int(chance.integers(0, things))
    src, dst, time = np.array(rows).T
    counts = {"user": USERS, "thing": things, "room": 2}
    return HeteroGraph.from_edges(counts, {MEETS: EdgeList(src, dst, time=time)})


def learnt(g: HeteroGraph, **options: Any) -> Any:
    return fit(g, "hybrid", dim=8, **{"training": SMALL, **options})


@pytest.fixture(scope="module")
def yesterday() -> Any:
    return learnt(paired(), choice=Choice(vectors=VectorPowers()), share=0.5)


def turn(seed: int = 5) -> Any:
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(8, 8)))[0]


def test_the_state_is_what_the_vectors_are_made_of_in_their_basis(yesterday: Any) -> None:
    g = paired(1)
    aligned = learnt(g, choice=yesterday.choice, share=0.5, previous=yesterday)
    for emb in (yesterday, aligned):
        made = emb.state.walk["thing"][1] + 0.5 * emb.state.learnt["thing"][1]
        assert np.allclose(made, emb["thing"], atol=1e-5)
    assert (yesterday.state.share, yesterday.state.choice) == (0.5, yesterday.choice)
    assert learnt(g, choice=yesterday.choice, share=0.0).state is None


def test_what_was_learnt_is_taken_over_and_what_is_new_starts_at_nothing(yesterday: Any) -> None:
    rows = {"thing": np.r_[np.arange(10), -1, np.arange(11, THINGS)], "room": np.array([-1, 1])}
    begin = yesterday.state.rows(rows)
    state = learnt(paired(1), training=STILL, begin=begin).state
    was = yesterday.state.learnt["thing"]
    assert np.abs(was).mean() > 1e-3
    expected = np.where((np.arange(THINGS) == 10)[None, :, None], 0, was)
    assert np.allclose(state.learnt["thing"], expected, atol=1e-6)
    for name in ("tower", "origin"):
        own, then = getattr(state, name), getattr(yesterday.state, name)
        assert all(np.allclose(own[key], then[key], atol=1e-6) for key in own)
    moved = [key for key, x in state.tower.items() if not np.array_equal(x, state.origin[key])]
    assert {"tower.recency.curve", "tower.ask.weight", "scale"} <= set(moved)


def test_it_keeps_the_choice_and_the_share_of_the_state_and_hides_nothing(
    yesterday: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitting, "hidden_events", lambda *_: pytest.fail("hidden"))
    emb = learnt(paired(1), begin=yesterday.state)
    assert (emb.learnt, emb.choice, emb.tried) == (0.5, yesterday.choice, {})
    assert learnt(paired(1), begin=yesterday.state, share=1.0).learnt == 1.0


def test_the_walk_is_turned_onto_that_of_the_state(yesterday: Any) -> None:
    g, by = paired(1), turn()
    plain, turned = (learnt(g, training=STILL, begin=one) for one in (yesterday.state, yesterday.state.turned(by)))
    for kind in ("user", "thing"):
        assert np.allclose(plain[kind] @ by.astype(np.float32), turned[kind], atol=1e-4)
    cosine = np.einsum("td,td->t", plain["thing"], yesterday["thing"])
    cosine /= np.linalg.norm(plain["thing"], axis=1) * np.linalg.norm(yesterday["thing"], axis=1)
    assert cosine.mean() > 0.7


def test_the_same_bytes_again_and_from_any_state_that_was_kept(yesterday: Any) -> None:
    class Kept(dict[str, bytes]):
        latest = dict.get

        def replace(self, name: str, content: bytes) -> None:
            self[name] = content

    g, kept = paired(1), Kept()
    first = learnt(g, begin=yesterday.state, previous=yesterday, checkpoints=kept)
    assert list(kept) == ["hybrid-published"]
    for options in ({}, {"checkpoints": Kept(kept)}):
        again = learnt(g, begin=yesterday.state, previous=yesterday, **options)
        assert all(again[kind].tobytes() == first[kind].tobytes() for kind in first)
        assert again.state.digest() == first.state.digest()
    assert learnt(g, begin=first.state)["user"].tobytes() != first["user"].tobytes()
    with pytest.raises(InputError, match=r"config.begin = '\w+', found '\w+'"):
        learnt(g, begin=first.state, checkpoints=kept)


def test_a_type_that_is_gone_one_that_is_new_and_a_relation_without_edges(yesterday: Any) -> None:
    g = paired(1)
    none = np.zeros(0, np.int64)
    edges = dict(g.edges) | {
        ("user", "buys", "product"): EdgeList([0, 1, 2], [0, 1, 1], time=[1, 2, 3]),
        ("user", "skips", "thing"): EdgeList(none, none),
    }
    other = HeteroGraph.from_edges({"user": USERS, "thing": THINGS, "product": 2, "video": 0}, edges)
    rows = {"thing": ALL["thing"], "product": np.array([-1, -1]), "video": np.zeros(0, np.int64)}
    emb = learnt(other, begin=yesterday.state.rows(rows))
    assert emb.state.walk.keys() == {"thing", "product", "video"}
    assert emb["product"].shape == (2, 8)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: 3, r"a graphrep.embed.State, found int \[begin\]"),
        (lambda s: s.rows({"thing": ALL["thing"]}), r"the type room, found only thing \[begin\]; give it rows"),
        (lambda s: s.rows({**ALL, "thing": ALL["thing"][1:]}), r"20 rows, those of the graph, found 19 \[begin.walk"),
        (
            lambda s: s.rows({k: x * 0 - 1 for k, x in ALL.items()}),
            r"something met that the state knows, found nothing",
        ),
        (
            lambda s: replace(s, tower={**s.tower, "scale": np.zeros(3)}),
            r"scale \(\), found scale \(3,\) \[begin.tower",
        ),
        (
            lambda s: replace(s, origin={}),
            r"expected scale \(\), found scale missing \[begin.origin\]; leave begin out",
        ),
    ],
)
def test_a_state_that_does_not_fit_is_refused(yesterday: Any, change: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        learnt(paired(1), begin=change(yesterday.state))


def test_a_state_of_another_dim_and_a_choice_beside_it_are_refused(yesterday: Any) -> None:
    with pytest.raises(InputError, match=r"a state of dim 4, found dim 8 \[begin\]; leave begin out"):
        fit(paired(), "hybrid", dim=4, training=SMALL, begin=yesterday.state)
    with pytest.raises(InputError, match="no choice beside begin"):
        learnt(paired(), choice=Choice(), begin=yesterday.state)
    with pytest.raises(InputError, match="an option of the history walk"):
        fit(paired(), dim=8, begin=yesterday.state)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"walk": {}, "learnt": {}}, "of each type, of one d, found {}"),
        ({"walk": {"thing": np.zeros((1, 3, 4))}}, r"\(2, n, d\) of each type, of one d"),
        ({"learnt": {"thing": np.zeros((2, 3, 4))}}, "the shapes of the walk"),
        ({"tower": {"scale": np.array(np.nan)}}, r"finite numbers, found others \[begin.tower\['scale'\]\]"),
    ],
)
def test_a_state_is_checked_when_it_is_made(yesterday: Any, change: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        replace(yesterday.state, **change)


def test_as_bytes_it_comes_back_whole_and_finds_rows_by_their_numbers(yesterday: Any) -> None:
    ids = {"thing": np.arange(THINGS) * 3, "room": np.array([4, 9])}
    content = KeptState(yesterday.state, ids, {"cold": "2026-03-01"}).packed()
    assert content == KeptState(yesterday.state, ids, {"cold": "2026-03-01"}).packed()
    again = KeptState.unpacked(content, "memory")
    assert again.state.digest() == yesterday.state.digest()
    assert isinstance(again.state, State)
    assert again.about == {"cold": "2026-03-01"}
    rows = again.known({"thing": np.array([0, 1, 57, 60]), "room": np.array([9]), "product": np.array([1])})
    assert {kind: row.tolist() for kind, row in rows.items()} == {
        "thing": [0, -1, 19, -1],
        "room": [1],
        "product": [-1],
    }
    with pytest.raises(InputError, match=r"a training state of format 1, found .* \[memory\]"):
        KeptState.unpacked(content[:-1], "memory")
    wrong = KeptState(yesterday.state, {**ids, "room": np.array([4])}, {}).packed()
    with pytest.raises(InputError, match="2 numbers of room"):
        KeptState.unpacked(wrong, "memory")


def test_bags_go_on_from_bags_and_from_nothing_else(yesterday: Any) -> None:
    bags = BagTraining(epochs=2, batch=64)
    first = learnt(paired(), training=bags, choice=Choice(vectors=VectorPowers()), share=0.5)
    assert not first.state.tower
    still = replace(bags, table_rate=1e-12)
    again = learnt(paired(1), training=still, begin=first.state)
    assert np.allclose(again.state.learnt["thing"], first.state.learnt["thing"], atol=1e-6)
    assert np.abs(first.state.learnt["thing"]).mean() > 1e-3
    with pytest.raises(InputError, match=r"expected scale \(\), found scale missing"):
        learnt(paired(1), begin=first.state)
    with pytest.raises(InputError, match=r"expected scale absent, found scale \(\)"):
        learnt(paired(1), training=bags, begin=yesterday.state)
