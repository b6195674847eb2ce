"""Histories and the walks from them, against dense products; and that a choice sees nothing that is hidden."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphrep.embed import choice, fit, history_walk
from graphrep.embed.backend import Backend
from graphrep.embed.choice import choose
from graphrep.embed.histories import actor_types, histories
from graphrep.embed.history_walk import Choice, HistoryWalk, VectorPowers
from graphrep.errors import InputError
from graphrep.graph import EdgeList, HeteroGraph

BUYS, SEES = ("user", "buys", "product"), ("user", "sees", "video")


def graph(seed: int = 0, users: int = 40, products: int = 12, videos: int = 9, timed: bool = True) -> HeteroGraph:
    rng = np.random.default_rng(seed)
    bought, seen = rng.integers(0, products, 5 * users), rng.integers(0, videos, 4 * users)
    times = (rng.integers(0, 50, len(bought)), rng.integers(0, 50, len(seen))) if timed else (None, None)
    return HeteroGraph.from_edges(
        {"user": users, "product": products, "video": videos},
        {
            BUYS: EdgeList(np.repeat(np.arange(users), 5), bought, time=times[0]),
            SEES: EdgeList(np.repeat(np.arange(users), 4), seen, time=times[1]),
        },
    )


def in_order(length: int = 40, users: int = 60) -> HeteroGraph:
    """Every user goes along a ring of things, one after the other: only order tells what is next."""
    begin = np.arange(users) * 7 % length
    src = np.repeat(np.arange(users), 6)
    dst = (begin[:, None] + np.arange(6)[None, :]).ravel() % length
    return HeteroGraph.from_edges(
        {"user": users, "thing": length},
        {("user", "meets", "thing"): EdgeList(src, dst, time=np.tile(np.arange(6), users))},
    )


def test_a_type_acts_if_nothing_leads_to_it() -> None:
    assert actor_types(graph()) == ["user"]
    follows = HeteroGraph.from_edges({"user": 2}, {("user", "follows", "user"): EdgeList([0], [1])})
    assert actor_types(follows) == []
    with pytest.raises(InputError, match="walk='joint'"):
        fit(follows, walk="history")


def test_age_counts_the_events_at_later_times_and_equal_times_are_equally_old() -> None:
    g = HeteroGraph.from_edges(
        {"user": 2, "product": 5, "video": 2},
        {
            BUYS: EdgeList([0, 0, 0, 0, 1], [0, 1, 2, 0, 3], time=[10, 30, 30, 20, 5]),
            ("user", "keeps", "video"): EdgeList([0, 1], [1, 0]),
        },
    )
    found = histories(g)
    ages = {(int(u), int(i)): int(a) for u, i, a in zip(*found.events.tocoo().coords, found.age, strict=True)}
    # Product 0 was met twice: its newest time counts. Videos come behind the five products and have no times.
    assert ages == {(0, 0): 3, (0, 1): 1, (0, 2): 1, (0, 6): 0, (1, 3): 1, (1, 5): 0}
    weight = found.start(1.0).toarray()
    np.testing.assert_allclose(weight[0, [0, 1, 2]], [2 / 3, 1.0, 1.0])
    assert weight[0, 6] == pytest.approx((1 + 1 + 1 / 3) / 3)
    assert weight[1, 5] == 1.0


@given(
    seed=st.integers(0, 10**6),
    a=st.floats(-1.5, 0.5),
    b=st.floats(-1.5, 0.5),
    c=st.floats(-1, 0.5),
    share=st.floats(0.1, 0.9),
)
@settings(max_examples=15, deadline=None)
def test_rows_are_the_dense_products(seed: int, a: float, b: float, c: float, share: float) -> None:
    events = histories(graph(seed))
    choice = Choice(company=(a, b, c), sequence=-0.3, recency=0.4, share=share)
    m = events.events.toarray()
    items, users, t = m.sum(axis=0), m.sum(axis=1), events.then.toarray()

    def power(x: Any, e: float) -> Any:
        return np.where(x > 0, np.where(x > 0, x, 1.0) ** e, 0.0)

    def even(x: Any) -> Any:
        return x / np.where(x.sum(axis=1) > 0, x.sum(axis=1), 1.0)[:, None]

    company = events.start(0.4).toarray() * power(items, a) @ (m.T * power(users, b)) @ (m * power(items, c))
    sequence = events.start(1.5).toarray() @ np.linalg.matrix_power(even(t), 3) * power(t.sum(axis=0), -0.3)
    expected = share * even(company) + (1 - share) * even(sequence)
    np.testing.assert_allclose(HistoryWalk(events, choice).rows(np.arange(40)), expected, atol=1e-6)


@pytest.mark.parametrize("share", [1.0, 0.5, 0.0])
def test_row_vectors_of_full_rank_are_the_logarithms_of_the_largest_scores(
    share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history_walk, "LARGEST", 6)
    walk = HistoryWalk(histories(graph(3)), Choice(share=share))
    rows = walk.rows(np.arange(40))
    assert ((rows > 0).sum(axis=1) > 6).any()
    sixth = np.sort(rows, axis=1)[:, -6][:, None]
    expected = np.where(rows >= sixth, np.log1p(21 * rows), 0.0)
    user, item = walk.row_vectors(21, 0, Backend())
    np.testing.assert_allclose(user @ item.T * (expected.sum() / (user @ item.T).sum()), expected, atol=1e-3)


@pytest.mark.parametrize("made", ["row_vectors", "company_vectors"])
def test_some_actors_have_the_vectors_that_they_have_among_all(made: str) -> None:
    walk, some = HistoryWalk(histories(graph(3)), Choice(share=0.5, recency=0.6)), np.array([3, 7, 31])
    powers = {"powers": VectorPowers()} if made == "company_vectors" else {"count": 25}
    (user, item), (few, same) = (getattr(walk, made)(4, 0, Backend(), **powers, actors=of) for of in (None, some))
    np.testing.assert_array_equal(item, same)
    np.testing.assert_allclose(few / np.linalg.norm(few), user[some] / np.linalg.norm(user[some]), atol=1e-6)


def test_actors_beyond_those_that_are_factorised_are_their_rows_times_the_vectors() -> None:
    walk = HistoryWalk(histories(graph(4)), Choice(share=0.5))
    user, item = walk.row_vectors(5, 2, Backend(), 15)
    again, _ = walk.row_vectors(5, 2, Backend(), 15)
    np.testing.assert_array_equal(user, again)
    assert not np.allclose(item, walk.row_vectors(5, 2, Backend(), 40)[1], atol=1e-3)
    expected = walk.largest(np.arange(40)) @ item
    np.testing.assert_allclose(user / np.linalg.norm(user), expected / np.linalg.norm(expected), atol=1e-5)


def test_rows_do_not_depend_on_which_others_are_asked_for() -> None:
    walk = HistoryWalk(histories(graph(8, users=90)), Choice(share=0.5, recency=0.3))
    alone = np.concatenate([walk.rows(np.array([user])) for user in range(90)])
    np.testing.assert_allclose(walk.rows(np.arange(90)), alone, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("exact", [False, True])
def test_a_sequence_goes_on_and_not_back(exact: bool) -> None:
    emb = fit(in_order(), dim=40, choice=Choice(share=0.0))
    user = np.arange(60)
    last = (user * 7 + 5) % 40
    scores = emb.score("user", user, "thing", exact=exact)
    ahead = scores[user[:, None], (last[:, None] + np.arange(1, 7)) % 40].sum(axis=1)
    behind = scores[user[:, None], (last[:, None] - np.arange(6, 12)) % 40].sum(axis=1)
    assert (ahead > 3 * behind).all()


def test_what_is_hidden_is_in_no_part_of_what_the_choice_sees(monkeypatch: pytest.MonkeyPatch) -> None:
    g = graph(5, users=200)
    events = histories(g)
    seen: list[Any] = []
    made = HistoryWalk.__init__

    def remember(self: Any, shown: Any, choice: Any) -> None:
        seen.append(shown)
        made(self, shown, choice)

    monkeypatch.setattr(HistoryWalk, "__init__", remember)
    choose(g, events, 4, 0, Backend())
    (shown,) = {id(one): one for one in seen}.values()
    gone = (events.events - shown.events).tocoo()
    assert gone.nnz == 200  # one of each user
    newest = {(u, i) for u, i, age in zip(*events.events.tocoo().coords, events.age, strict=True) if age == 1}
    assert set(zip(*gone.coords, strict=True)) <= newest
    rest = {kind: listed for kind, listed in g.edges.items()}
    pairs = set(zip(*gone.coords, strict=True))
    for kind, first in ((BUYS, 0), (SEES, 12)):
        kept = [(int(u), int(i) + first) not in pairs for u, i in zip(rest[kind].src, rest[kind].dst, strict=True)]
        rest[kind] = EdgeList(rest[kind].src[kept], rest[kind].dst[kept], time=rest[kind].time[kept])
    expected = histories(HeteroGraph.from_edges(g.num_nodes, rest)).then
    assert abs(expected - shown.then).max() == 0


def test_a_choice_is_that_of_its_seed_and_transitions_that_are_given_are_not_judged() -> None:
    g = graph(6, users=80)
    events = histories(g)
    first, again = (choose(g, events, 4, 1, Backend()) for _ in range(2))
    assert first == again
    then = HeteroGraph.from_edges(
        g.num_nodes, {**g.edges, ("product", "then", "video"): EdgeList([0, 1], [0, 1], [1.0, 2.0])}
    )
    given_events = histories(then)
    assert given_events.then.nnz == 2
    assert choose(then, given_events, 4, 1, Backend())[0].share == 0.5


@pytest.mark.parametrize("timed", [True, False])
def test_a_fifth_of_each_history_is_hidden_the_newest_where_there_are_times(timed: bool) -> None:
    src, dst = np.repeat(np.arange(30), 11), (np.arange(30)[:, None] * 3 + np.arange(11)).ravel() % 40
    listed = EdgeList(src, dst, time=np.tile(np.arange(11), 30) if timed else None)
    events = histories(HeteroGraph.from_edges({"user": 30, "product": 40}, {BUYS: listed}))
    actors, things = choice.hidden_events(events, np.random.default_rng(0))
    assert np.bincount(actors).tolist() == [2] * 30
    newest = {(u, (3 * u + k) % 40) for u in range(30) for k in (9, 10)}
    assert (set(zip(actors.tolist(), things.tolist(), strict=True)) == newest) == timed


def test_quality_ranks_each_hidden_thing_as_if_it_alone_were_hidden() -> None:
    g = HeteroGraph.from_edges({"user": 2, "product": 5, "video": 3}, {BUYS: EdgeList([0, 1], [0, 4])})
    seen = histories(g)
    scores = np.array([[9.0, 3, 2, 1, 0, 7, 8, 9], [1, 2, 3, 4, 9, 0, 1, 2]])
    actors, things = np.array([0, 0, 1]), np.array([1, 2, 6])

    def gain(above: int, others: int) -> float:
        return float(1 / np.log2(2 + above) + 1 / np.log2(2 + above * 1000 / others)) / 2

    # Both of user 0's are first without the other; user 1's is second of the three videos.
    assert choice.quality(lambda rows: scores[rows], seen, actors, things) == pytest.approx((1 + gain(1, 3)) / 2)
    # Equal scores all count as better.
    even = (gain(2, 3) + gain(2, 3)) / 2
    assert choice.quality(lambda rows: np.zeros((len(rows), 8)), seen, actors, things) == pytest.approx(
        (even + gain(2, 3)) / 2
    )


def test_too_few_histories_are_not_judged() -> None:
    g = graph(7, users=10)
    assert choose(g, histories(g), 4, 0, Backend()) == (Choice(share=0.5), {})


def test_dislike_and_relations_of_weight_zero_leave_nothing() -> None:
    g = HeteroGraph.from_edges(
        {"user": 2, "product": 2},
        {BUYS: EdgeList([0, 1], [0, 1]), ("user", "returns", "product"): EdgeList([0], [0], [-2.0])},
    )
    assert histories(g).events.toarray().tolist() == [[0.0, 0.0], [0.0, 1.0]]
    with pytest.raises(InputError, match="at least one edge of positive weight"):
        histories(g, {"buys": 0.0})
