"""The matrix-free factors against R(τ) written out densely from its definition."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from graphrep.embed import autocovariance
from graphrep.embed.backend import Backend
from graphrep.embed.walk import CrossWalk, DirectedWalk, UndirectedWalk
from graphrep.errors import InputError

Matrix = NDArray[np.float64]
CPU = Backend(None)


def symmetric(seed: int, n: int, density: float, weighted: bool = True) -> Matrix:
    rng = np.random.default_rng(seed)
    a = (rng.random((n, n)) < density) * (rng.random((n, n)) + 0.1 if weighted else 1.0)
    return np.triu(a) + np.triu(a, 1).T


def blocks(*parts: Matrix) -> Matrix:
    return np.asarray(sp.block_diag(parts).toarray())


def bipartite(b: Matrix) -> Matrix:
    n, m = b.shape
    return np.block([[np.zeros((n, n)), b], [b.T, np.zeros((m, m))]])


def dense_r(a: Matrix, tau: int, lazy: bool = False) -> Matrix:
    """ΠM^τ − ππᵀ with nothing clever; a node without edges has no row."""
    degree = a.sum(axis=1)
    m = a / np.where(degree > 0, degree, 1.0)[:, None]
    if lazy:
        m = 0.5 * (np.eye(len(a)) + m)
    pi = degree / degree.sum()
    return np.asarray(np.diag(pi) @ np.linalg.matrix_power(m, tau) - np.outer(pi, pi))


def dense_minus_one(a: Matrix, tau: int) -> Matrix:
    """The part of ΠM^τ that belongs to eigenvalue −1, from a dense eigendecomposition."""
    degree = a.sum(axis=1)
    half = np.sqrt(degree)
    inverse = np.divide(1.0, half, out=np.zeros_like(half), where=half > 0)
    values, vectors = np.linalg.eigh(inverse[:, None] * a * inverse)
    q = half[:, None] * vectors[:, values < -1 + 1e-9]
    return np.asarray((-1.0) ** tau * q @ q.T / degree.sum())


def positive_part(r: Matrix, dim: int | None = None) -> Matrix:
    values, vectors = np.linalg.eigh(r)
    values, vectors = values[::-1][:dim], vectors[:, ::-1][:, :dim]
    return np.asarray((vectors * np.maximum(values, 0.0)) @ vectors.T)


def dense_directed(a: Matrix, tau: int, lazy: bool = False) -> Matrix:
    n = len(a)
    degree = a.sum(axis=1)
    follow = np.where(degree[:, None] > 0, a / np.where(degree > 0, degree, 1.0)[:, None], 1.0 / n)
    m = 0.85 * follow + 0.15 / n
    values, vectors = np.linalg.eig(m.T)
    pi = np.real(vectors[:, np.argmax(values.real)])
    pi /= pi.sum()
    if lazy:
        m = 0.5 * (np.eye(n) + m)
    return np.asarray(np.diag(pi) @ np.linalg.matrix_power(m, tau) - np.outer(pi, pi))


def scores(f: Any) -> Matrix:
    return np.asarray(f.source.astype(np.float64) @ f.target.T.astype(np.float64))


def close(found: Matrix, expected: Matrix) -> None:
    np.testing.assert_allclose(found, expected, atol=2e-6 * max(np.abs(expected).max(), 1e-3))


@given(
    seed=st.integers(0, 10**6),
    n=st.integers(2, 14),
    density=st.floats(0.15, 0.9),
    tau=st.integers(1, 5),
    lazy=st.booleans(),
    weighted=st.booleans(),
)
@settings(max_examples=80, deadline=None)
def test_full_rank_factors_are_the_positive_part_of_r(
    seed: int, n: int, density: float, tau: int, lazy: bool, weighted: bool
) -> None:
    a = symmetric(seed, n, density, weighted)
    a[0, 1] = a[1, 0] = 1.0
    r = dense_r(a, tau, lazy)
    if not lazy:
        r -= dense_minus_one(a, tau)
    close(scores(autocovariance(sp.csr_array(a), dim=n, markov_time=tau, lazy=lazy)), positive_part(r))


@given(seed=st.integers(0, 10**6), tau=st.integers(1, 4), lazy=st.booleans(), corrected=st.booleans())
@settings(max_examples=25, deadline=None)
def test_lanczos_finds_the_leading_algebraic_pairs(seed: int, tau: int, lazy: bool, corrected: bool) -> None:
    rng = np.random.default_rng(seed)
    parts = symmetric(seed, 20, 0.3), np.zeros((3, 3)), bipartite(rng.random((8, 9))), bipartite(rng.random((2, 3)))
    a = blocks(*parts)
    r = dense_r(a, tau, lazy)
    if corrected and not lazy:
        r -= dense_minus_one(a, tau)
    f = autocovariance(sp.csr_array(a), dim=6, markov_time=tau, lazy=lazy, seed=seed, bipartite_correction=corrected)
    close(scores(f), positive_part(r, 6))
    np.testing.assert_allclose(f.values, np.maximum(np.linalg.eigvalsh(r)[::-1][:6], 0.0), atol=1e-12)
    assert f.target is f.source
    assert not f.source[20:23].any()


@pytest.mark.parametrize(("legs", "tau", "lazy"), [(6, 2, False), (6, 3, True), (4, 3, True)])
def test_equal_components_give_equal_eigenvalues_and_none_is_missed(legs: int, tau: int, lazy: bool) -> None:
    star = bipartite(np.ones((1, legs)))
    a = blocks(*[star] * 20, *[bipartite(np.ones((1, 3)))] * 20)
    r = dense_r(a, tau, lazy) - (0.0 if lazy else dense_minus_one(a, tau))
    f = autocovariance(sp.csr_array(a), dim=12, markov_time=tau, lazy=lazy)
    np.testing.assert_allclose(f.values, np.linalg.eigvalsh(r)[::-1][:12], rtol=1e-9)
    np.testing.assert_allclose(f.source.T @ f.source, np.diag(f.values), rtol=1e-5, atol=1e-6 * f.values[0])


def test_lanczos_space_grows_where_it_has_no_shift_left() -> None:
    triangle, star = np.ones((3, 3)) - np.eye(3), bipartite(np.ones((1, 4)))
    a = blocks(symmetric(1, 60, 0.2), *[triangle] * 20, *[star] * 15)
    r = dense_r(a, 2) - dense_minus_one(a, 2)
    f = autocovariance(sp.csr_array(a), dim=60, markov_time=2)
    np.testing.assert_allclose(f.values, np.linalg.eigvalsh(r)[::-1][:60], rtol=1e-9)


@pytest.mark.parametrize("tau", [1, 2, 3])
def test_bipartite_component_is_centred_on_and_across_its_sides(tau: int) -> None:
    b = np.random.default_rng(1).random((5, 7)) + 0.1
    walk = UndirectedWalk(sp.csr_array(bipartite(b)), {tau: 1.0}, lazy=False, bipartite_correction=True, backend=CPU)
    r, pi = walk.matmat(CPU.dense(np.eye(12))).numpy(), walk.stationary
    plain = dense_r(bipartite(b), tau) + np.outer(pi, pi)
    same = np.zeros((12, 12), dtype=bool)
    same[:5, :5] = same[5:, 5:] = True
    reached = same if tau % 2 == 0 else ~same
    np.testing.assert_allclose(r, np.where(reached, plain - 2 * np.outer(pi, pi), 0.0), atol=1e-15)
    np.testing.assert_allclose(r[:5].sum(axis=1), 0.0, atol=1e-15)


def test_correction_leaves_components_with_an_odd_cycle_alone() -> None:
    a = sp.csr_array(blocks(symmetric(3, 12, 0.5), symmetric(4, 12, 0.5)))
    plain, corrected = (autocovariance(a, dim=5, bipartite_correction=c) for c in (False, True))
    np.testing.assert_array_equal(plain.source, corrected.source)


@given(
    seed=st.integers(0, 10**6),
    shape=st.sampled_from([(4, 9), (9, 4), (14, 11), (11, 14)]),
    step=st.sampled_from([(1, False), (3, False), (2, True), (3, True)]),
    dim=st.sampled_from([3, 12]),
)
@settings(max_examples=40, deadline=None)
def test_rectangular_is_the_truncated_svd_of_the_cross_block(
    seed: int, shape: tuple[int, int], step: tuple[int, bool], dim: int
) -> None:
    rng = np.random.default_rng(seed)
    b = rng.random(shape) * (rng.random(shape) < 0.4)
    b[0, 0] = 1.0
    b[1], b[:, 1] = 0.0, 0.0
    (n, _), (tau, lazy), a = shape, step, bipartite(b)
    r = dense_r(a, tau, lazy) - (0.0 if lazy else dense_minus_one(a, tau))
    left, values, right = np.linalg.svd(r[:n, n:], full_matrices=False)
    f = autocovariance(sp.csr_array(b), dim=dim, markov_time=tau, lazy=lazy)
    close(scores(f), (left[:, :dim] * values[:dim]) @ right[:dim])
    assert f.source.shape == (shape[0], dim)
    assert f.target.shape == (shape[1], dim)
    assert not f.source[1].any()
    assert not f.target[1].any()


def test_rectangular_whose_connected_part_is_square_stays_users_by_items() -> None:
    b = np.array([[1.0, 2.0, 0.0], [3.0, 1.0, 0.0]])
    a = bipartite(b)
    r = (dense_r(a, 1) - dense_minus_one(a, 1))[:2, 2:]
    close(scores(autocovariance(sp.csr_array(b), dim=2, markov_time=1)), r)


@given(seed=st.integers(0, 10**6), tau=st.integers(1, 4), lazy=st.booleans(), dim=st.sampled_from([4, 15]))
@settings(max_examples=40, deadline=None)
def test_directed_is_the_truncated_svd_of_the_pagerank_walk(seed: int, tau: int, lazy: bool, dim: int) -> None:
    rng = np.random.default_rng(seed)
    a = rng.random((15, 15)) * (rng.random((15, 15)) < 0.2)
    a[3] = 0.0
    a[0, 1] = 1.0
    left, values, right = np.linalg.svd(dense_directed(a, tau, lazy))
    f = autocovariance(sp.csr_array(a), dim=dim, markov_time=tau, directed=True, lazy=lazy)
    close(scores(f), (left[:, :dim] * values[:dim]) @ right[:dim])


def test_products_with_the_transpose_agree() -> None:
    rng = np.random.default_rng(5)
    a = sp.csr_array(rng.random((9, 9)) * (rng.random((9, 9)) < 0.4))
    b = sp.csr_array(rng.random((4, 6)))
    for walk in (
        DirectedWalk(a, {3: 1.0}, lazy=False, backend=CPU),
        DirectedWalk(a, {2: 1.0}, lazy=True, backend=CPU),
        CrossWalk(b, {3: 1.0}, lazy=False, bipartite_correction=True, backend=CPU),
    ):
        n, m = walk.shape
        np.testing.assert_allclose(walk.matmat(CPU.dense(np.eye(m))), walk.rmatmat(CPU.dense(np.eye(n))).T, atol=1e-16)


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("kind", ["undirected", "bipartite", "rectangular", "directed"])
def test_torch_gives_what_scipy_gives(kind: str, lazy: bool) -> None:
    rng = np.random.default_rng(7)
    b = rng.random((12, 10)) * (rng.random((12, 10)) < 0.5) + 0.01
    a = {
        "undirected": symmetric(7, 25, 0.3) + 0.01,
        "bipartite": bipartite(b),
        "rectangular": b,
        "directed": b @ rng.random((10, 12)),
    }[kind]
    directed = kind == "directed"
    mine, theirs = (
        autocovariance(sp.csr_array(a), dim=4, directed=directed, lazy=lazy, device=device) for device in (None, "cpu")
    )
    np.testing.assert_allclose(theirs.source, mine.source, atol=1e-6)
    np.testing.assert_allclose(theirs.target, mine.target, atol=1e-6)


def test_columns_beyond_the_rank_are_zero() -> None:
    clique = sp.csr_array(np.ones((60, 60)))
    assert not autocovariance(clique, dim=8, markov_time=1).source.any()  # R = 0
    two = sp.csr_array(blocks(np.ones((40, 40)), np.ones((30, 30))))
    f = autocovariance(two, dim=8)
    assert f.source.shape == (70, 8)
    assert f.source[:, 0].all()
    assert not f.source[:, 1:].any()
    assert not f.values[1:].any()


def test_large_markov_time_keeps_its_digits() -> None:
    """Eigenvalues of R fall by the walk's second eigenvalue; rounding of ΠM^τ − ππᵀ alone would stop at 1e-17."""
    a = sp.csr_array(symmetric(11, 40, 0.5))
    last = [autocovariance(a, dim=2, markov_time=tau).values[0] for tau in (38, 40, 42)]
    assert last[0] < 1e-17
    assert last[2] / last[1] == pytest.approx(last[1] / last[0], rel=1e-3)


def test_seed_decides_and_signs_follow_the_rule() -> None:
    a = sp.csr_array(symmetric(2, 60, 0.2))
    first, again, other = (autocovariance(a, dim=6, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.source, again.source)
    np.testing.assert_allclose(first.source, other.source, atol=1e-6)
    largest = np.abs(first.source).argmax(axis=0)
    assert (first.source[largest, np.arange(6)] > 0).all()


def test_input_is_left_as_it_was() -> None:
    a = sp.csr_array(([1.0, 1.0, 0.0], ([0, 1, 2], [1, 0, 2])), shape=(3, 3))
    autocovariance(a, dim=1)
    assert a.nnz == 3


def test_other_sparse_formats_and_integers_are_read() -> None:
    a = symmetric(9, 10, 0.5, weighted=False)
    expected = autocovariance(sp.csr_array(a), dim=3).source
    np.testing.assert_array_equal(autocovariance(sp.coo_matrix(a.astype(int)), dim=3).source, expected)


NAN = sp.csr_array(np.array([[0.0, np.nan], [np.nan, 0.0]]))
PAIR = sp.csr_array(np.array([[0.0, 1.0], [1.0, 0.0]]))
WIDE = sp.csr_array(np.ones((2, 3)))


@pytest.mark.parametrize(
    ("adjacency", "options", "message"),
    [
        (NAN, {}, "2 not finite .*row 0, column 1"),
        (PAIR * np.inf, {}, "not finite"),
        (-PAIR, {}, "2 negative"),
        (PAIR * 1j, {}, "real"),
        (PAIR.toarray(), {}, "scipy.sparse"),
        (PAIR * 0, {}, "at least one edge"),
        (sp.csr_array((0, 0)), {}, "at least one edge"),
        (sp.csr_array(np.triu(np.ones((3, 3)))), {}, "symmetric"),
        (WIDE, {"directed": True}, "square"),
        (WIDE, {"markov_time": 2}, "odd"),
        (PAIR, {"dim": 0}, "dim"),
        (PAIR, {"dim": 1.5}, "dim"),
        (PAIR, {"markov_time": 0}, "markov_time"),
        (PAIR, {"device": "abacus"}, "torch device"),
    ],
)
def test_bad_input_is_refused_in_one_line(adjacency: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        autocovariance(adjacency, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("seed", [-1, None, 0.5])
def test_a_seed_that_would_not_fix_chance_is_refused(seed: Any) -> None:
    with pytest.raises(InputError, match=r"at least 0, found .* \[seed\]"):
        autocovariance(sp.csr_array(np.ones((3, 3))), dim=1, seed=seed)
