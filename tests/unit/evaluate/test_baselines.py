"""Baselines against their formulas as sums over neighbour sets."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from graphrep.errors import InputError
from graphrep.evaluate import baselines

WEIGHTS: dict[str, Callable[[int], float]] = {
    "common_neighbors": lambda degree: 1.0,
    "resource_allocation": lambda degree: 1.0 / degree,
    "adamic_adar": lambda degree: 1.0 / math.log(degree) if degree > 1 else 0.0,
}


@pytest.mark.parametrize("name", WEIGHTS)
@given(seed=st.integers(0, 10**6))
@settings(max_examples=20, deadline=None)
def test_one_graph(name: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    a = np.triu(rng.random((9, 9)) * (rng.random((9, 9)) < 0.4))  # weights and self-loops that must not count
    a += np.triu(a, 1).T
    near = [set(np.flatnonzero(row)) - {u} for u, row in enumerate(a)]
    expected = np.array(
        [[sum(WEIGHTS[name](len(near[w])) for w in near[u] & near[v]) for v in range(9)] for u in (4, 0)]
    )
    function: Any = getattr(baselines, name)
    found = function(sp.csr_array(a), [4, 0])
    np.testing.assert_allclose(found, expected)
    np.testing.assert_allclose(function(sp.csr_array(a), [4, 0], [2, 7]), expected[[0, 1], [2, 7]])


@pytest.mark.parametrize("name", WEIGHTS)
@pytest.mark.parametrize("items", [7, 9])
@given(seed=st.integers(0, 10**6))
@settings(max_examples=15, deadline=None)
def test_users_by_items(name: str, items: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    b = rng.random((9, items)) * (rng.random((9, items)) < 0.4)
    has = [set(np.flatnonzero(row)) for row in b]
    by = [set(np.flatnonzero(column)) for column in b.T]
    expected = np.array(
        [[sum(WEIGHTS[name](len(has[w])) for j in has[u] for w in by[j] & by[i]) for i in range(items)] for u in (3, 8)]
    )
    function: Any = getattr(baselines, name)
    options = {"bipartite": True} if items == 9 else {}
    np.testing.assert_allclose(function(sp.csr_array(b), [3, 8], **options), expected)
    np.testing.assert_allclose(function(sp.csr_array(b), [3, 8], [1, 2], **options), expected[[0, 1], [1, 2]])


def test_popularity_and_degree_product() -> None:
    b = sp.csr_array(np.array([[0.5, 2.0, 0.0], [0.0, 3.0, 0.0]]))
    assert baselines.popularity(b, [1, 0]).tolist() == [[1, 2, 0], [1, 2, 0]]
    assert baselines.popularity(b, [1, 0], [1, 2]).tolist() == [2, 0]
    assert baselines.degree_product(b, [1, 0]).tolist() == [[1, 2, 0], [2, 4, 0]]
    assert baselines.degree_product(b, [1, 0], [1, 0]).tolist() == [2, 2]
    loop = sp.csr_array(np.array([[1.0, 1.0], [1.0, 0.0]]))
    assert baselines.degree_product(loop, [0]).tolist() == [[1, 1]]


@pytest.mark.parametrize("name", [*WEIGHTS, "popularity", "degree_product"])
def test_what_is_no_graph_is_refused(name: str) -> None:
    function: Any = getattr(baselines, name)
    with pytest.raises(InputError, match="symmetric"):
        function(sp.csr_array(np.array([[0, 1], [0, 0]])), [0])
    with pytest.raises(InputError, match="square"):
        function(sp.csr_array(np.ones((2, 3))), [0], bipartite=False)
    with pytest.raises(InputError, match="scipy"):
        function(np.ones((2, 2)), [0])
