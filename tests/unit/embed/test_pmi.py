"""The logarithm of walk probabilities against its definition, and what it refuses."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from graphrep.embed.pmi import pmi
from graphrep.errors import GraphrepError, InputError

Matrix = NDArray[np.float64]


def symmetric(seed: int, n: int, density: float) -> Matrix:
    rng = np.random.default_rng(seed)
    a = (rng.random((n, n)) < density) * (rng.random((n, n)) + 0.1)
    return np.triu(a) + np.triu(a, 1).T


def dense_pmi(a: Matrix, times: range) -> Matrix:
    """Logs of everything, then what is not finite is replaced; a node without edges has no row."""
    degree = a.sum(axis=1)
    here = np.ix_(degree > 0, degree > 0)
    part, own = a[here], degree[degree > 0]
    with np.errstate(divide="ignore"):
        logs = np.log(
            np.mean([own.sum() * np.linalg.matrix_power(part / own[:, None], t) / own for t in times], axis=0)
        )
    r = np.zeros_like(a)
    r[here] = np.where(np.isfinite(logs), logs, logs[np.isfinite(logs)].min())
    return r


def positive_part(r: Matrix, dim: int) -> Matrix:
    values, vectors = np.linalg.eigh(r)
    values, vectors = values[::-1][:dim], vectors[:, ::-1][:, :dim]
    return np.asarray((vectors * np.maximum(values, 0.0)) @ vectors.T)


def check(f: Any, r: Matrix, dim: int) -> None:
    assert f.target is f.source
    expected = np.maximum(np.linalg.eigvalsh(r)[::-1][:dim], 0.0)
    np.testing.assert_allclose(f.values[: len(expected)], expected, atol=1e-7 * max(expected[0], 1e-3))
    np.testing.assert_allclose(f.source @ f.target.T, positive_part(r, dim), atol=1e-5 * np.abs(r).max())


@given(
    seed=st.integers(0, 10**6),
    n=st.integers(2, 40),
    density=st.floats(0.05, 0.9),
    step=st.sampled_from([(1, None), (2, None), (3, None), (1, 1), (1, 2), (1, 5)]),
)
@settings(max_examples=40, deadline=None)
def test_full_rank_factors_are_the_positive_part(
    seed: int, n: int, density: float, step: tuple[int, int | None]
) -> None:
    a = symmetric(seed, n, density)
    a[0, 1] = a[1, 0] = 1.0
    time, window = step
    times = range(time, time + 1) if window is None else range(1, window + 1)
    check(pmi(sp.csr_array(a), n, time, window), dense_pmi(a, times), n)


@pytest.mark.parametrize("window", [None, 3])
def test_leading_pairs_of_a_graph_that_is_not_decomposed_whole(window: int | None) -> None:
    a = symmetric(4, 320, 0.03)
    f = pmi(sp.csr_array(a), dim=8, window=window)
    check(f, dense_pmi(a, range(1, (window or 1) + 1)), 8)
    assert f.convergence is not None
    assert f.convergence.residual <= 1e-9


def test_a_window_of_one_is_one_step() -> None:
    a = sp.csr_array(symmetric(5, 30, 0.3))
    np.testing.assert_array_equal(pmi(a, 4).source, pmi(a, 4, window=1).source)


def test_nodes_without_edges_and_columns_beyond_are_zero() -> None:
    a = symmetric(6, 20, 0.4)
    a[[3, 17]] = a[:, [3, 17]] = 0.0
    f = pmi(sp.csr_array(a), dim=25)
    assert f.source.shape == (20, 25)
    assert not f.source[[3, 17]].any()
    assert not f.source[:, 18:].any()
    assert f.source[0].any()
    rest = np.delete(np.delete(a, [3, 17], 0), [3, 17], 1)
    np.testing.assert_allclose(np.delete(f.source, [3, 17], 0), pmi(sp.csr_array(rest), dim=25).source, atol=1e-6)


def test_pairs_that_no_walk_joins_take_the_smallest_finite_entry() -> None:
    path = sp.csr_array(np.array([[0.0, 1, 0], [1, 0, 3], [0, 3, 0]]))
    # vol 8; the entries of one step are 8·A[u, v] / (deg u · deg v) = 2 on both edges.
    found = pmi(path, dim=3)
    np.testing.assert_allclose(found.source @ found.target.T, np.log(2.0), rtol=1e-6)


def test_a_seed_gives_the_same_bytes_and_another_the_same_scores() -> None:
    a = sp.csr_array(symmetric(7, 310, 0.05))
    first, again, other = (pmi(a, 6, seed=seed).source for seed in (1, 1, 2))
    assert first.tobytes() == again.tobytes() != other.tobytes()
    np.testing.assert_allclose(first @ first.T, other @ other.T, atol=1e-4)


def test_what_does_not_fit_is_refused_by_its_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    a = sp.csr_array(symmetric(8, 1000, 0.01))
    module = sys.modules["graphrep.embed.pmi"]
    monkeypatch.setattr(module, "free_memory", lambda _: 17_000_000)
    with pytest.raises(GraphrepError, match=r"18,000,000 bytes .*found 17,000,000 bytes free") as caught:
        pmi(a, 8)
    assert "\n" not in str(caught.value)
    monkeypatch.setattr(module, "free_memory", lambda _: 25_000_000)
    with pytest.raises(GraphrepError, match="26,000,000 bytes"):
        pmi(a, 8, window=2)


PAIR = sp.csr_array(np.array([[0.0, 1.0], [1.0, 0.0]]))


@pytest.mark.parametrize(
    ("adjacency", "options", "message"),
    [
        (PAIR * np.nan, {}, "not finite"),
        (-PAIR, {}, "2 negative"),
        (PAIR * 0, {}, "at least one edge"),
        (PAIR.toarray(), {}, "scipy.sparse"),
        (sp.csr_array(np.ones((2, 3))), {}, "square"),
        (sp.csr_array(np.triu(np.ones((3, 3)))), {}, "symmetric"),
        (PAIR, {"dim": 0}, "dim"),
        (PAIR, {"markov_time": 0}, "markov_time"),
        (PAIR, {"markov_time": 1.5}, "markov_time"),
        (PAIR, {"window": 0}, "window"),
        (PAIR, {"window": True}, "window"),
        (PAIR, {"window": 3, "markov_time": 2}, "both"),
        (PAIR, {"seed": -1}, "seed"),
    ],
)
def test_bad_input_is_refused_in_one_line(adjacency: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        pmi(adjacency, **options)
    assert "\n" not in str(caught.value)
