"""Every walk, its exact rows and its factors, against the matrices that define it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.linalg import expm

from graphrep.embed import autocovariance, multiscale, walk_scores
from graphrep.embed.backend import Backend
from graphrep.embed.scores import DegreeWalk
from graphrep.embed.walk import SignedWalk, poisson_times
from graphrep.errors import InputError

Matrix = NDArray[np.float64]
CPU = Backend(None)


def symmetric(seed: int, n: int, density: float) -> Matrix:
    """Connected, with an odd cycle, but for the last node, which has no edge."""
    rng = np.random.default_rng(seed)
    a = (rng.random((n, n)) < density) * (rng.random((n, n)) + 0.1)
    a += np.diag(np.full(n - 1, 0.1), 1) + np.diag([1.0] + [0.0] * (n - 1))
    a[:, -1] = a[-1] = 0.0
    return np.triu(a) + np.triu(a, 1).T


def signed_matrix(seed: int, n: int, density: float) -> Matrix:
    a = symmetric(seed, n, density)
    sign = np.triu(np.random.default_rng(seed).choice([-1.0, 1.0], a.shape, p=[0.3, 0.7]))
    return np.asarray(a * (sign + np.triu(sign, 1).T))


def arcs(seed: int, n: int) -> Matrix:
    """Directed; the last node has no edge, the one before only arcs that come in."""
    rng = np.random.default_rng(seed)
    a = rng.random((n, n)) * (rng.random((n, n)) < 0.3)
    a[:, -1] = a[-1] = a[-2] = 0.0
    a[0, 1] = a[0, -2] = 1.0
    return np.asarray(a)


def walk_matrix(a: Matrix, directed: bool = False) -> tuple[Matrix, Matrix]:
    """M and π."""
    degree = np.abs(a).sum(axis=1)
    m = a / np.where(degree > 0, degree, 1.0)[:, None]
    if not directed:
        return m, degree / degree.sum()
    n = len(a)
    m = 0.85 * np.where(degree[:, None] > 0, m, 1.0 / n) + 0.15 / n
    pi = np.full(n, 1.0 / n)
    for _ in range(400):
        pi = pi @ m
    return np.asarray(m), pi / pi.sum()


def powers(m: Matrix, times: Any, lazy: bool, continuous: bool) -> Matrix:
    if lazy:
        m = 0.5 * (np.eye(len(m)) + m)
    each = [expm(-t * (np.eye(len(m)) - m)) if continuous else np.linalg.matrix_power(m, t) for t in np.ravel(times)]
    return np.asarray(np.mean(each, axis=0))


def dense_r(a: Matrix, times: Any, *, directed: Any = False, lazy: Any = False, continuous: Any = False) -> Matrix:
    m, pi = walk_matrix(a, directed)
    return np.asarray(np.diag(pi) @ powers(m, times, lazy, continuous) - np.outer(pi, pi))


def dense_signed(a: Matrix, times: Any, *, lazy: Any = False, continuous: Any = True) -> Matrix:
    m, pi = walk_matrix(a)
    here = pi > 0
    there = powers(m, times, lazy, continuous)
    r = there.T @ (np.diag(pi) - np.outer(pi, pi)) @ there
    return np.asarray(r * np.outer(here, here))


def dense_crossed(b: Matrix, times: Any, *, lazy: Any = False) -> Matrix:
    """The users × items block; the eigenvalue −1 of each two-coloured component taken out."""
    n, m = b.shape
    a = np.block([[np.zeros((n, n)), b], [b.T, np.zeros((m, m))]])
    r = dense_r(a, times, lazy=lazy)
    if not lazy:
        half = np.sqrt(a.sum(axis=1))
        inverse = np.divide(1.0, half, out=np.zeros_like(half), where=half > 0)
        values, vectors = np.linalg.eigh(inverse[:, None] * a * inverse)
        q = half[:, None] * vectors[:, values < -1 + 1e-9]
        r -= np.mean([(-1.0) ** t for t in np.ravel(times)]) * q @ q.T / a.sum()
    return np.asarray(r[:n, n:])


def rectangle(seed: int) -> Matrix:
    rng = np.random.default_rng(seed)
    b = rng.random((9, 13)) * (rng.random((9, 13)) < 0.4)
    b[0] += 0.1
    b[-1], b[:, -1] = 0.0, 0.0
    return np.asarray(b)


OPTIONS: list[tuple[str, dict[str, Any]]] = [
    ("undirected", {"markov_time": 2}),
    ("undirected", {"markov_time": 3, "lazy": True}),
    ("undirected", {"markov_time": [1, 3, 5]}),
    ("undirected", {"markov_time": [2, 2, 3], "lazy": True}),
    ("undirected", {"markov_time": 2.5, "continuous": True}),
    ("undirected", {"markov_time": [0.3, 4], "continuous": True, "lazy": True}),
    ("directed", {"markov_time": 3}),
    ("directed", {"markov_time": [1, 3, 5]}),
    ("directed", {"markov_time": 0.7, "continuous": True}),
    ("directed", {"markov_time": [2.0, 6.0], "continuous": True, "lazy": True}),
    ("signed", {"markov_time": 2.5}),
    ("signed", {"markov_time": [0.5, 3.0]}),
    ("signed", {"markov_time": 3, "continuous": False}),
    ("signed", {"markov_time": [1, 2], "continuous": False, "lazy": True}),
    ("rectangular", {"markov_time": 3}),
    ("rectangular", {"markov_time": [1, 3, 5]}),
    ("rectangular", {"markov_time": 2, "lazy": True}),
]
each_walk = pytest.mark.parametrize(("kind", "options"), OPTIONS)


def case(kind: str, options: dict[str, Any], seed: int = 3) -> tuple[Any, Matrix, dict[str, Any]]:
    """The matrix, R from its definition, and the options with the walk's own."""
    rest = {name: value for name, value in options.items() if name != "markov_time"}
    times = options["markov_time"]
    if kind == "undirected":
        a = symmetric(seed, 25, 0.2)
        return sp.csr_array(a), dense_r(a, times, **rest), options
    if kind == "directed":
        a = arcs(seed, 20)
        return sp.csr_array(a), dense_r(a, times, directed=True, **rest), {**options, "directed": True}
    if kind == "signed":
        a = signed_matrix(seed, 25, 0.2)
        return sp.csr_array(a), dense_signed(a, times, **rest), {**options, "signed": True}
    b = rectangle(seed)
    return sp.csr_array(b), dense_crossed(b, times, **rest), options


def best(r: Matrix, dim: int, symmetrical: bool) -> Matrix:
    if symmetrical:
        values, vectors = np.linalg.eigh(r)
        values, vectors = np.maximum(values[::-1][:dim], 0.0), vectors[:, ::-1][:, :dim]
        return np.asarray((vectors * values) @ vectors.T)
    left, values, right = np.linalg.svd(r, full_matrices=False)
    return np.asarray((left[:, :dim] * values[:dim]) @ right[:dim])


def close(found: Any, expected: Any, error: float = 2e-6) -> None:
    np.testing.assert_allclose(found, expected, atol=error * np.abs(expected).max(), rtol=0)


def scores(f: Any) -> Matrix:
    return np.asarray(f.source.astype(np.float64) @ f.target.T.astype(np.float64))


@each_walk
@pytest.mark.filterwarnings("ignore::graphrep.errors.GraphrepWarning")
def test_factors_are_the_best_of_their_rank(kind: str, options: dict[str, Any]) -> None:
    a, r, options = case(kind, options)
    for dim in (4, 30):
        close(scores(autocovariance(a, dim=dim, **options)), best(r, dim, kind in ("undirected", "signed")))


@each_walk
@pytest.mark.parametrize("device", [None, "cpu"])
def test_rows_are_those_of_r_for_nodes_with_and_without_edges(
    kind: str, options: dict[str, Any], device: str | None
) -> None:
    a, r, options = case(kind, options)
    sources = [len(r) - 1, 0, 4, 0, len(r) - 2]
    found = walk_scores(a, sources, device=device, **options)
    assert found.dtype == np.float32
    close(found, r[sources], 1e-6)
    assert found[0].any() == (kind == "directed")  # teleport reaches a node without edges


@each_walk
def test_torch_and_single_precision_give_the_same_scores(kind: str, options: dict[str, Any]) -> None:
    a, _, options = case(kind, options)
    expected = scores(autocovariance(a, dim=4, **options))
    close(scores(autocovariance(a, dim=4, device="cpu", **options)), expected, 1e-6)
    close(scores(autocovariance(a, dim=4, precision="float32", **options)), expected, 2e-5)
    close(scores(autocovariance(a, dim=4, precision="float32", device="cpu", **options)), expected, 2e-5)


@pytest.mark.parametrize("kind", ["undirected", "directed", "signed"])
def test_torch_and_single_precision_agree_where_the_solver_iterates(kind: str) -> None:
    n = 400
    grow = {"undirected": symmetric, "signed": signed_matrix}.get(kind)
    a = sp.csr_array(arcs(1, n) * (np.random.default_rng(2).random((n, n)) < 0.1) if grow is None else grow(1, n, 0.02))
    options: dict[str, Any] = {} if kind == "undirected" else {kind: True}
    mine = autocovariance(a, dim=6, markov_time=2, **options)
    theirs = autocovariance(a, dim=6, markov_time=2, device="cpu", **options)
    single = autocovariance(a, dim=6, markov_time=2, precision="float32", **options)
    assert mine.convergence is not None
    assert single.convergence is not None
    assert mine.convergence.tolerance < single.convergence.tolerance
    close(scores(theirs), scores(mine), 1e-6)
    close(scores(single), scores(mine), 1e-3)
    np.testing.assert_allclose(single.values, mine.values, rtol=1e-3)


def test_a_mean_of_times_is_the_mean_of_their_rows_and_repeats_count() -> None:
    a = sp.csr_array(symmetric(5, 25, 0.2))
    one, three = (walk_scores(a, range(25), markov_time=t) for t in (1, 3))
    close(walk_scores(a, range(25), markov_time=[1, 3, 3]), (one + 2 * three) / 3, 1e-6)
    close(walk_scores(a, range(25), markov_time=[3]), three, 1e-9)


def test_a_rectangle_without_an_odd_time_is_refused_and_so_is_one_even_among_odd() -> None:
    for times in (2, [1, 2], [4]):
        with pytest.raises(InputError, match="odd"):
            walk_scores(sp.csr_array(rectangle(1)), [0], markov_time=times)


@pytest.mark.parametrize(
    ("time", "options", "message"),
    [
        ([], {}, "at least one time"),
        ([1, 0], {}, "at least 1, found 0"),
        (2.5, {}, "integer"),
        (True, {}, "integer"),
        ("3", {}, "integer"),
        (0.0, {"continuous": True}, "above 0"),
        (np.inf, {"continuous": True}, "above 0"),
        (np.nan, {"signed": True}, "above 0"),
        (-1.0, {"signed": True}, "above 0"),
        (1.5, {"signed": True, "continuous": False}, "integer"),
    ],
)
def test_times_that_mean_nothing_are_refused(time: Any, options: dict[str, Any], message: str) -> None:
    a = sp.csr_array(np.ones((3, 3)))
    for call in (autocovariance, walk_scores):
        with pytest.raises(InputError, match=message) as caught:
            call(a, [0] if call is walk_scores else 2, markov_time=time, **options)
        assert "markov_time" in str(caught.value)


@pytest.mark.parametrize("time", [1e-3, 0.5, 1.0, 10.0, 100.0])
def test_the_numbers_of_steps_of_continuous_time_are_poisson(time: float) -> None:
    weights = poisson_times(time)
    assert sum(weights.values()) == pytest.approx(1.0, rel=1e-12)
    assert sum(k * w for k, w in weights.items()) == pytest.approx(time, rel=1e-10)
    assert sum(k * k * w for k, w in weights.items()) == pytest.approx(time + time**2, rel=1e-10)
    assert list(weights) == list(range(len(weights)))


@given(seed=st.integers(0, 10**6), time=st.integers(1, 3), lazy=st.booleans(), continuous=st.booleans())
@settings(max_examples=25, deadline=None)
def test_a_signed_walk_without_negative_weights_is_the_walk_of_twice_the_time(
    seed: int, time: int, lazy: bool, continuous: bool
) -> None:
    a = symmetric(seed, 12, 0.3)
    options: dict[str, Any] = {"lazy": lazy, "continuous": continuous}
    found = walk_scores(sp.csr_array(a), range(12), markov_time=time, signed=True, **options)
    close(found, walk_scores(sp.csr_array(a), range(12), markov_time=2 * time, **options), 1e-6)
    close(found, dense_r(a, 2 * time, **options), 1e-6)


@given(seed=st.integers(0, 10**6), time=st.integers(1, 3), lazy=st.booleans(), continuous=st.booleans())
@settings(max_examples=25, deadline=None)
def test_the_signed_walk_counts_paths_with_their_signs(seed: int, time: int, lazy: bool, continuous: bool) -> None:
    a = signed_matrix(seed, 10, 0.3)[:9, :9]
    times = poisson_times(time) if continuous else {time: 1.0}
    walk = SignedWalk(sp.csr_array(a), times, lazy=lazy, backend=CPU)
    close(walk.matmat(CPU.dense(np.eye(9))), dense_signed(a, time, lazy=lazy, continuous=continuous), 1e-12)


def test_two_camps_that_dislike_each_other_have_scores_of_two_signs() -> None:
    camps = np.kron([[1.0, -1.0], [-1.0, 1.0]], np.ones((5, 5)))
    camps[:5, 5:] *= 0.2
    camps[5:, :5] *= 0.2
    s = scores(autocovariance(sp.csr_array(camps), dim=2, signed=True))
    assert (s[:5, :5] > 0).all()
    assert (s[5:, 5:] > 0).all()
    assert (s[:5, 5:] < 0).all()


@given(
    seed=st.integers(0, 10**6),
    shape=st.sampled_from([(8, 8), (6, 9), (9, 6)]),
    exponents=st.lists(st.floats(-2, 2), min_size=2, max_size=5),
    device=st.sampled_from([None, "cpu"]),
)
@settings(max_examples=60, deadline=None)
def test_degree_walk_is_the_dense_product(
    seed: int, shape: tuple[int, int], exponents: list[float], device: str | None
) -> None:
    n, m = shape
    rng = np.random.default_rng(seed)
    if n == m:
        a = symmetric(seed, n, 0.4)
    else:
        a = rng.random(shape) * (rng.random(shape) < 0.5)
        a[0, 0], a[-1] = 1.0, 0.0
        exponents = [*exponents, 0.5] if len(exponents) % 2 else exponents
    degrees = [a.sum(axis=1), a.sum(axis=0)]

    def power(side: int, exponent: float) -> Matrix:
        d = degrees[side]
        return np.diag(np.where(d > 0, np.where(d > 0, d, 1.0) ** exponent, 0.0))

    expected = power(0, exponents[0])
    for step, exponent in enumerate(exponents[1:], 1):
        expected = expected @ (a if step % 2 else a.T) @ power(step % 2, exponent)
    time = len(exponents) - 1
    found = walk_scores(sp.csr_array(a), range(n), markov_time=time, exponents=exponents, device=device)
    close(found, expected, 1e-6)
    walk = DegreeWalk(sp.csr_array(a), exponents, backend=CPU)
    close(walk.matmat(CPU.dense(np.eye(walk.shape[1]))), expected, 1e-12)


@pytest.mark.parametrize("time", [1, 3, 4])
def test_the_plain_powers_of_degrees_are_the_standard_walk(time: int) -> None:
    a = symmetric(9, 20, 0.3)
    m, pi = walk_matrix(a)
    found = walk_scores(sp.csr_array(a), range(20), markov_time=time, exponents=(0, *[-1] * (time - 1), 0))
    close(found, a.sum() * np.diag(pi) @ powers(m, time, False, False), 1e-6)


@pytest.mark.parametrize(
    ("exponents", "options", "message"),
    [
        ((0, -1, 0), {}, "4 finite numbers"),
        ((0, -1, np.nan, 0), {}, "4 finite numbers"),
        ((0, -1, np.inf, 0), {}, "4 finite numbers"),
        *[
            pytest.param((0, 0, 0, 0), options, "exponents")
            for options in (
                {"directed": True},
                {"signed": True},
                {"lazy": True},
                {"continuous": True},
                {"markov_time": [1, 3]},
            )
        ],
    ],
)
def test_exponents_that_do_not_fit_the_walk_are_refused(
    exponents: tuple[float, ...], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        walk_scores(sp.csr_array(np.ones((3, 3))), [0], exponents=exponents, **options)


@each_walk
def test_targets_pick_columns_in_their_order(kind: str, options: dict[str, Any]) -> None:
    a, r, options = case(kind, options)
    targets = [r.shape[1] - 1, 3, 3, 0]
    whole = walk_scores(a, [1, 2], **options)
    np.testing.assert_array_equal(walk_scores(a, [1, 2], targets, **options), whole[:, targets])
    assert walk_scores(a, [1, 2], [], **options).shape == (2, 0)
    assert walk_scores(a, [], **options).shape == (0, r.shape[1])


def test_targets_pick_columns_of_the_degree_walk_too() -> None:
    b = sp.csr_array(rectangle(2))
    whole = walk_scores(b, [0, 1], exponents=(0, -1, -1, 0))
    np.testing.assert_array_equal(walk_scores(b, [0, 1], [12, 5], exponents=(0, -1, -1, 0)), whole[:, [12, 5]])


def test_more_sources_than_go_in_one_batch_are_all_answered() -> None:
    a = symmetric(3, 700, 0.01)
    sources = np.random.default_rng(0).permutation(700)
    close(walk_scores(sp.csr_array(a), sources, markov_time=2), dense_r(a, 2)[sources], 1e-6)


@pytest.mark.parametrize(
    ("sources", "targets", "message"),
    [
        ([25], None, r"indices in 0..24, found 25..25 \[sources\]"),
        ([-1], None, r"\[sources\]"),
        ([0.5], None, "integers"),
        ([[0]], None, "integers"),
        ([0], [0, 25], r"\[targets\]"),
        ([0], ["0"], "integers"),
    ],
)
def test_nodes_that_are_not_there_are_refused(sources: Any, targets: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        walk_scores(sp.csr_array(symmetric(1, 25, 0.2)), sources, targets)


LARGE = sp.csr_array(symmetric(11, 500, 0.02))


def communities(seed: int) -> Any:
    rng = np.random.default_rng(seed)
    camp = rng.integers(0, 12, 600)
    a = rng.random((600, 600)) < np.where(camp[:, None] == camp, 0.4, 0.01)
    return sp.csr_array(np.triu(a, 1) + np.triu(a, 1).T, dtype=np.float64)


def test_a_warm_start_gives_the_same_scores_in_fewer_products() -> None:
    before = communities(1)
    weight = sp.csr_array(sp.triu(before))
    weight.data = 1.0 + 0.01 * np.random.default_rng(0).random(weight.nnz)
    after = sp.csr_array(weight + weight.T)
    old = autocovariance(before, dim=24, tolerance=1e-3)
    yesterday = old.source.copy()
    yesterday[:1], yesterday[1:2] = 0.0, np.nan  # rows that are new today
    again = autocovariance(before, dim=24, tolerance=1e-3, previous=old.source)
    cold = autocovariance(after, dim=24, tolerance=1e-3)
    warm = autocovariance(after, dim=24, tolerance=1e-3, previous=yesterday)
    assert products(again) < products(cold)
    assert products(warm) < products(cold)
    close(scores(again), scores(old), 1e-2)
    close(scores(warm), scores(cold), 1e-2)


def test_a_warm_start_is_no_slower_at_the_usual_tolerance() -> None:
    before = communities(1)
    after = sp.csr_array(before + 1e-4 * sp.diags_array(np.random.default_rng(0).random(600)))
    old, cold = autocovariance(before, dim=24), autocovariance(after, dim=24)
    assert products(autocovariance(after, dim=24, previous=old.source)) <= products(cold)


def products(f: Any) -> int:
    return int(f.convergence.products)


def test_a_previous_space_of_other_rows_is_refused() -> None:
    for previous in (np.zeros((499, 3)), np.zeros(500)):
        with pytest.raises(InputError, match=r"vectors of 500 rows, found shape .*\[previous\]"):
            autocovariance(LARGE, dim=3, previous=previous)


@pytest.mark.parametrize("device", [None, "cpu"])
@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_a_seed_gives_the_same_bytes(device: str | None, precision: Any) -> None:
    first, again, other = (
        autocovariance(LARGE, dim=6, seed=seed, device=device, precision=precision).source for seed in (1, 1, 2)
    )
    assert first.tobytes() == again.tobytes()
    close(scores_of(first), scores_of(other), 1e-6 if precision == "float64" else 1e-3)


def scores_of(x: Any) -> Matrix:
    return np.asarray(x.astype(np.float64) @ x.T.astype(np.float64))


def test_several_scales_are_what_separate_runs_give() -> None:
    found = multiscale(LARGE, [5, 1, 3], dim=6, seed=4)
    assert list(found) == [1, 3, 5]
    for time, f in found.items():
        alone = autocovariance(LARGE, dim=6, markov_time=time, seed=4)
        close(scores(f), scores(alone), 1e-6)
        np.testing.assert_allclose(f.values, alone.values, rtol=1e-7)


def test_several_scales_are_solved_from_one_another_in_fewer_products() -> None:
    a = communities(2)
    found = multiscale(a, [1, 3, 5], dim=11, tolerance=1e-5)
    assert products(found[5]) < products(autocovariance(a, dim=11, markov_time=5, tolerance=1e-5))


@pytest.mark.parametrize("kind", ["undirected", "signed"])
def test_a_short_continuous_time_does_not_warn(kind: str) -> None:
    a, _, options = case(kind, {"markov_time": 2.5, "continuous": True})
    autocovariance(a, dim=30, **options)
