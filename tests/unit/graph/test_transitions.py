"""Transition edges against the plain definition, averaged by brute force over every order of equal times."""

from __future__ import annotations

import itertools
import random
import sys
from collections import defaultdict
from collections.abc import Callable
from statistics import fmean
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphrep.errors import InputError
from graphrep.graph import EdgeList, transitions
from graphrep.graph.transitions import Rule, pair_weights, sum_pairs

Events = list[tuple[int, int, tuple[str, int]]]
"""(user, time, (item type, index)) of each event."""
Weights = dict[tuple[Any, Any], float]
Reach = Callable[[int, int], bool]


def anywhere(earlier: int, later: int) -> bool:
    return True


def of_one_order(order: Events, rule: Rule, reached: Reach) -> Weights:
    """The plain definition: a double loop over one user's events."""
    crowded = {t for _, t, _ in order if sum(t == other for _, other, _ in order) > rule.max_tied}
    found: Weights = defaultdict(float)
    for here, there in itertools.combinations(range(len(order)), 2):
        (_, t, i), (_, u, j) = order[here], order[there]
        if there - here <= rule.horizon and i != j and not {t, u} & crowded and reached(t, u):
            found[i, j] += rule.decay ** (there - here - 1)
            found[j, i] += rule.decay ** (there - here - 1) * rule.reverse
    return found


def of_every_order(events: Events, rule: Rule, reached: Reach = anywhere) -> Weights:
    found: Weights = defaultdict(float)
    for user in {u for u, _, _ in events}:
        own = sorted(e for e in events if e[0] == user)
        groups = [list(group) for _, group in itertools.groupby(own, key=lambda e: e[1])]
        orders = list(itertools.product(*(itertools.permutations(group) for group in groups)))
        each = [of_one_order(list(itertools.chain(*order)), rule, reached) for order in orders]
        for pair in {pair for weights in each for pair in weights}:
            found[pair] += fmean(weights.get(pair, 0.0) for weights in each)
    return found


def as_edges(events: Events) -> dict[tuple[str, str, str], EdgeList]:
    edges = {}
    for kind in sorted({kind for _, _, (kind, _) in events}):
        rows = [(user, index, time) for user, time, (of, index) in events if of == kind]
        src, dst, time = np.array(rows, np.int64).T
        edges["user", f"meets_{kind}", kind] = EdgeList(src, dst, time=time)
    return edges


def found_by(events: Events, rule: Rule) -> Weights:
    edges = transitions(as_edges(events), rule.horizon, rule.decay, rule.reverse, max_tied=rule.max_tied)
    return {
        ((a, int(i)), (b, int(j))): float(w)
        for (a, _, b), e in edges.items()
        for i, j, w in zip(e.src, e.dst, e.weight, strict=True)
    }


def assert_alike(found: Weights, expected: Weights) -> None:
    # Half a millionth of rounding for each of some dozen pairs.
    assert found == pytest.approx({pair: w for pair, w in expected.items() if w > 1e-5}, abs=1e-5)


items = st.tuples(st.sampled_from(["host", "video"]), st.integers(0, 2))
one_user = st.lists(st.tuples(st.integers(0, 3), items), max_size=6)
rules = st.builds(
    Rule,
    horizon=st.integers(1, 4),
    decay=st.sampled_from([0.5, 0.9, 1.0]),
    reverse=st.sampled_from([0.0, 0.3, 1.0]),
    max_tied=st.integers(1, 6),
)


@settings(max_examples=60, deadline=None)
@given(paths=st.lists(one_user, min_size=1, max_size=3), rule=rules)
def test_the_weight_is_the_mean_over_every_order_of_equal_times(paths: Any, rule: Rule) -> None:
    events = [(user, time, item) for user, path in enumerate(paths) for time, item in path]
    assert_alike(found_by(events, rule), of_every_order(events, rule))


def many_events(seed: int, times: int) -> Events:
    chance = random.Random(seed)
    kinds = ["host", "video"]
    return [
        (chance.randrange(9), chance.randrange(times), (chance.choice(kinds), chance.randrange(6))) for _ in range(300)
    ]


def test_without_equal_times_it_is_the_plain_definition() -> None:
    events = [(user, 10 * n, item) for n, (user, _, item) in enumerate(many_events(1, 1))]
    rule = Rule(horizon=8, decay=0.7, reverse=0.3, max_tied=1)
    assert_alike(found_by(events, rule), of_every_order(events, rule))


def columns(edges: dict[Any, EdgeList]) -> dict[Any, list[Any]]:
    return {key: [e.src.tolist(), e.dst.tolist(), e.weight.tolist(), list(e.time)] for key, e in edges.items()}


def test_neither_the_order_of_the_edges_nor_the_size_of_a_part_changes_a_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    events = many_events(2, times=12)
    first = columns(transitions(as_edges(events)))
    assert columns(transitions(as_edges(events[::-1]))) == first
    monkeypatch.setattr(sys.modules[pair_weights.__module__], "_EVENTS_AT_ONCE", 20)
    assert columns(transitions(as_edges(events))) == first
    assert set(first) == {(a, "then", b) for a in ("host", "video") for b in ("host", "video")}


def test_edges_are_sorted_typed_and_bear_the_newest_later_time() -> None:
    edges = {("user", "buys", "item"): EdgeList([1, 1, 0, 0], [4, 2, 2, 4], time=[100, 50, 7, 9])}
    then = transitions(edges, reverse=0.5, name="next")["item", "next", "item"]
    assert (then.src.tolist(), then.dst.tolist()) == ([2, 4], [4, 2])
    assert then.weight.tolist() == [2.0, 1.0]
    assert then.time is not None
    assert then.time.tolist() == [100, 100]
    assert (then.src.dtype, then.weight.dtype, then.time.dtype) == (np.int64, np.float32, np.int64)


def path(*rows: tuple[int, int]) -> Events:
    return [(0, time, ("item", index)) for time, index in rows]


def test_an_item_met_twice_is_no_pair_and_keeps_its_places() -> None:
    found = found_by(path((1, 0), (2, 0), (3, 1)), Rule(8, 0.5, 0.0, 64))
    assert found == {(("item", 0), ("item", 1)): 1.5}


def test_a_crowd_of_equal_times_has_no_pairs_and_keeps_its_place() -> None:
    crowd = [(2, n) for n in range(10, 15)]
    wide, narrow = Rule(6, 0.5, 0.0, 4), Rule(5, 0.5, 0.0, 4)
    assert found_by(path((1, 0), *crowd, (3, 1)), wide) == {(("item", 0), ("item", 1)): 0.5**5}
    assert found_by(path((1, 0), *crowd, (3, 1)), narrow) == {}


def test_the_same_event_twice_is_two_events() -> None:
    found = found_by(path((1, 0), (1, 0), (2, 1)), Rule(8, 0.5, 0.0, 64))
    assert found == {(("item", 0), ("item", 1)): 1.5}


def test_a_pair_below_half_a_millionth_is_no_edge() -> None:
    found = found_by(path((1, 0), (2, 1), (3, 2)), Rule(8, 4e-7, 0.0, 64))
    assert sorted(found) == [(("item", 0), ("item", 1)), (("item", 1), ("item", 2))]


def test_no_edges_and_lone_events_give_nothing() -> None:
    assert transitions({}) == {}
    assert transitions({("user", "buys", "item"): EdgeList(np.zeros(0, np.int64), [], time=[])}) == {}
    assert transitions({("user", "buys", "item"): EdgeList([0, 1], [0, 1], time=[5, 5])}) == {}


DAY = 3


def last_of(events: Events, day: int, reach: int, rule: Rule) -> Events:
    """Those that an event of a later day can follow on."""
    near = [e for e in events if day - reach < e[1] // DAY]
    return [e for e in near if sum(e[0] == f[0] and f[1] > e[1] for f in near) < rule.horizon]


def day_by_day(events: Events, reach: int, rule: Rule) -> Weights:
    found: Weights = defaultdict(float)
    tail: Events = []
    for day in range(1 + max(time for _, time, _ in events) // DAY):
        rows = sorted(tail + [e for e in events if e[1] // DAY == day])
        user, time, index = np.array([(u, t, i) for u, t, (_, i) in rows], np.int64).reshape(-1, 3).T
        sums = sum_pairs(pair_weights(user, time, index, rule, fresh=time // DAY == day))
        for i, j, weight in zip(sums.src, sums.dst, sums.millionths, strict=True):
            found[("item", int(i)), ("item", int(j))] += int(weight) / 1e6
        tail = last_of(rows, day, reach, rule)
    return found


numbered = st.tuples(st.just("item"), st.integers(0, 3))


@settings(max_examples=60, deadline=None)
@given(
    paths=st.lists(st.lists(st.tuples(st.integers(0, 11), numbered), min_size=1, max_size=7), min_size=1, max_size=3),
    reach=st.integers(0, 3),
    rule=rules,
)
def test_the_sum_of_the_days_is_the_history_within_reach(paths: Any, reach: int, rule: Rule) -> None:
    events = [(user, time, item) for user, path in enumerate(paths) for time, item in path]
    expected = of_every_order(events, rule, lambda t, u: u // DAY - t // DAY <= reach)
    assert_alike(day_by_day(events, reach, rule), expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"horizon": 0}, "horizon of 1 or more"),
        ({"horizon": 2.5}, "horizon of 1 or more"),
        ({"horizon": True}, "horizon of 1 or more"),
        ({"max_tied": 0}, "max_tied of 1 or more"),
        ({"decay": 0}, "decay above 0"),
        ({"decay": 1.1}, "decay above 0"),
        ({"decay": float("nan")}, "decay above 0"),
        ({"reverse": -0.1}, "reverse from 0 to 1"),
        ({"reverse": "half"}, "reverse from 0 to 1"),
        ({"name": ""}, "a name"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        transitions({("user", "buys", "item"): EdgeList([0], [0], time=[1])}, **arguments)


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        (EdgeList([0], [0], time=[1]), "a mapping"),
        ({("user", "buys", "item"): EdgeList([0], [0])}, "timed edges.*buys"),
        ({("user", "buys", "item"): EdgeList([0], [-1], time=[1])}, "indices.*buys"),
        ({("user", "buys", "item"): EdgeList([0], [0, 1], time=[1])}, "1 values.*buys"),
        ({("user", "buys", "item"): EdgeList([0], [0], time=[1_700_000_000_000])}, "seconds.*buys"),
        ({("user", "buys", "item"): ([0], [0])}, "an EdgeList.*buys"),
        ({("user", "item"): EdgeList([0], [0], time=[1])}, "an edge type"),
        ({"buys": EdgeList([0], [0], time=[1])}, "an edge type"),
        (
            {(src, "buys", "item"): EdgeList([0], [0], time=[1]) for src in ("user", "guest")},
            "one source type, found guest, user",
        ),
    ],
)
def test_edges_that_cannot_be_a_path_are_refused(edges: Any, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        transitions(edges)
    assert "\n" not in str(caught.value)
