"""What is counted of a graph, against counting by hand."""

from __future__ import annotations

from fractions import Fraction
from math import ceil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphrep.graph.statistics import new_and_vanished, nodes_by_surfaces, quantiles

IDS = st.lists(st.integers(0, 30), unique=True)


@given(st.lists(st.integers(-5, 1000), min_size=1, max_size=400))
def test_a_quantile_is_the_value_at_its_rank(values: list[int]) -> None:
    found = quantiles(np.array(values))
    ordered = sorted(values)
    for name, share in {"p50": Fraction(1, 2), "p90": Fraction(9, 10), "p99": Fraction(99, 100)}.items():
        assert found is not None
        assert found[name] == ordered[ceil(len(values) * share) - 1]
        at_most = sum(value <= found[name] for value in values)
        below = sum(value < found[name] for value in values)
        assert Fraction(at_most, len(values)) >= share > Fraction(below, len(values))
    assert found is not None
    assert (found["p0"], found["max"]) == (min(values), max(values))


@pytest.mark.parametrize("n", [1, 2, 10, 70, 99, 100, 101, 1000, 30_000])
def test_the_ranks_are_exact_where_fractions_of_binary_numbers_are_not(n: int) -> None:
    found = quantiles(np.arange(1, n + 1)[::-1])
    assert found == {"p0": 1, "p50": -(-n // 2), "p90": -(-9 * n // 10), "p99": -(-99 * n // 100), "max": n}


def test_quantiles_are_plain_numbers_of_the_kind_that_was_given() -> None:
    assert quantiles(np.zeros(0)) is None
    whole, real = quantiles(np.array([3, 4])), quantiles(np.array([0.5], np.float32))
    assert whole is not None
    assert real is not None
    assert {type(v) for v in whole.values()} == {int}
    assert {type(v) for v in real.values()} == {float}


def test_what_is_counted_stays_as_it_was() -> None:
    values = np.array([5, 1, 4, 2])
    values.flags.writeable = False
    quantiles(values)
    assert values.tolist() == [5, 1, 4, 2]


@given(IDS, IDS)
def test_new_and_vanished_are_the_differences_of_two_sets(now: list[int], before: list[int]) -> None:
    found = new_and_vanished(np.array(now, np.int64), np.array(before, np.int64))
    assert found == (len(set(now) - set(before)), len(set(before) - set(now)))


@given(IDS, st.data())
def test_nodes_are_counted_by_their_different_surfaces(index: list[int], data: st.DataObject) -> None:
    ends = st.lists(st.lists(st.sampled_from(index))) if index else st.just([[]])
    drawn = {surface: data.draw(ends) for surface in ("live", "search", "shop")}
    found = nodes_by_surfaces(
        np.array(index, np.int64),
        {surface: (np.array(batch, np.int64) for batch in batches) for surface, batches in drawn.items()},
    )
    expected = [0, 0, 0, 0]
    for node in index:
        expected[sum(any(node in batch for batch in batches) for batches in drawn.values())] += 1
    assert found == expected
