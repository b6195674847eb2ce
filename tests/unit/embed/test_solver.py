"""Eigenpairs against a dense decomposition, where they are close together, many at once, or hard to see."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from graphrep.embed import solver
from graphrep.embed.solver import basis_size, largest_eigenpairs, smallest_basis
from graphrep.errors import GraphrepError

Matrix = NDArray[np.float64]
DOUBLE = torch.zeros(0, dtype=torch.float64)


def with_values(values: Matrix, seed: int = 0) -> Matrix:
    """A symmetric matrix with these eigenvalues."""
    turn, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((len(values), len(values))))
    return np.asarray((turn * values) @ turn.T)


def solve(matrix: Matrix, dim: int, **options: Any) -> Any:
    like = options.pop("like", DOUBLE)
    held = torch.as_tensor(matrix).to(like)
    return largest_eigenpairs(lambda x: held @ x, len(matrix), dim, **{"seed": 0, "like": like, **options})


def check(matrix: Matrix, dim: int, found: Any, error: float = 1e-7) -> None:
    expected = np.linalg.eigvalsh(matrix)[::-1][:dim]
    size = np.abs(expected).max()
    np.testing.assert_allclose(found.values, expected, atol=error * size)
    x = found.vectors.double().numpy()
    np.testing.assert_allclose(x.T @ x, np.eye(dim), atol=max(error, 1e-10))
    np.testing.assert_allclose(matrix @ x, x * found.values, atol=10 * error * size)


@given(
    seed=st.integers(0, 10**6),
    n=st.integers(30, 150),
    dim=st.integers(1, 20),
    block=st.sampled_from([2, 8]),
    decay=st.floats(0.5, 0.98),
)
@settings(max_examples=40, deadline=None)
def test_pairs_are_those_of_a_dense_decomposition(seed: int, n: int, dim: int, block: int, decay: float) -> None:
    rng = np.random.default_rng(seed)
    matrix = with_values(decay ** np.arange(n) * rng.choice([-1.0, 1.0], n), seed)
    check(matrix, dim, solve(matrix, dim, block=block, seed=seed))


def test_long_vectors_are_multiplied_and_made_orthonormal_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    matrix = with_values(0.8 ** np.arange(130.0))
    monkeypatch.setattr(solver, "_ROWS_AT_ONCE", 32)  # the last piece has fewer rows than a block has columns
    check(matrix, 12, solve(matrix, 12))


def test_a_block_of_float32_is_orthonormal_however_long() -> None:
    block = torch.as_tensor(np.random.default_rng(0).standard_normal((1_000_000, 8)), dtype=torch.float32)
    columns, triangle = solver._qr(block)
    columns = columns.double()
    torch.testing.assert_close(columns.T @ columns, torch.eye(8, dtype=torch.float64), rtol=0, atol=3e-6)
    torch.testing.assert_close(columns @ triangle.double(), block.double(), rtol=0, atol=1e-4)


def test_a_basis_that_is_small_is_restarted_and_ends_at_the_same_pairs() -> None:
    matrix = with_values(1.0 / (1 + np.arange(400.0)))
    room = smallest_basis(20, 400, 4)
    found = solve(matrix, 20, block=4, room=room)
    check(matrix, 20, found)
    assert found.convergence.products > 2 * room
    assert solve(matrix, 20, block=4).convergence.products < found.convergence.products


@pytest.mark.parametrize("values", [1.0 / (1 + np.arange(400.0)), 1 - np.arange(400.0) / 400], ids=["gaps", "even"])
def test_a_restarted_basis_is_looked_at_as_often_as_one_that_grows(values: Matrix) -> None:
    matrix = with_values(values)
    whole, cut = (solve(matrix, 20, block=4, room=room, tolerance=1e-5).convergence for room in (400, 72))
    assert cut.rounds < 1.3 * whole.rounds
    assert cut.residual > 1e-8


@pytest.mark.parametrize("copies", [1, 3, 40, 120])
def test_every_copy_of_an_eigenvalue_is_found_however_narrow_the_block(copies: int) -> None:
    matrix = with_values(np.concatenate([np.full(copies, 1.0), [0.7] * 5, 0.5 * 0.9 ** np.arange(200)]))
    check(matrix, 30, solve(matrix, 30, block=4))


def test_negative_values_are_given_where_there_are_no_others() -> None:
    matrix = with_values(-np.arange(1.0, 201.0))
    check(matrix, 10, solve(matrix, 10))


def test_zero_and_identity_are_solved_at_once() -> None:
    for scale in (0.0, 1.0):
        found = solve(scale * np.eye(200), 12)
        np.testing.assert_allclose(found.values, scale, atol=1e-12)
        assert found.convergence.products < 200


def test_the_basis_of_the_same_matrix_is_known_soon_and_that_of_yesterday_sooner_than_none() -> None:
    rng = np.random.default_rng(3)
    matrix = with_values(0.97 ** np.arange(600))
    change = rng.standard_normal((600, 600)) * 1e-4
    cold = solve(matrix, 24, tolerance=1e-4)
    again = solve(matrix, 24, tolerance=1e-4, start=cold.vectors)
    turned = cold.vectors @ torch.as_tensor(np.linalg.qr(rng.standard_normal((24, 24)))[0])
    warm = solve(matrix + change + change.T, 24, tolerance=1e-4, start=turned)
    check(matrix + change + change.T, 24, warm, 1e-3)
    assert again.convergence.products < warm.convergence.products < cold.convergence.products


def test_single_precision_reaches_its_own_tolerance() -> None:
    matrix = with_values(0.95 ** np.arange(500))
    found = solve(matrix, 32, like=torch.zeros(0, dtype=torch.float32))
    assert found.vectors.dtype == torch.float32
    assert found.convergence.residual <= found.convergence.tolerance == 1e-5
    check(matrix, 32, found, 1e-5)


def test_a_seed_gives_the_same_bytes() -> None:
    matrix = with_values(0.95 ** np.arange(300))
    first, again, other = (solve(matrix, 16, seed=seed).vectors.numpy() for seed in (1, 1, 2))
    assert first.tobytes() == again.tobytes() != other.tobytes()


@pytest.mark.parametrize("copies", [1, 13])
@pytest.mark.parametrize("room", [None, 48])
def test_residuals_are_what_is_reported(copies: int, room: int | None) -> None:
    matrix = with_values(np.concatenate([np.full(copies, 1.0), 0.98 ** np.arange(500)]))
    found = solve(matrix, 16, tolerance=1e-6, room=room, block=4)
    x = found.vectors.numpy()
    real = np.linalg.norm(matrix @ x - x * found.values, axis=0).max() / found.values[0]
    assert real <= 1.1 * found.convergence.residual + 1e-12
    assert found.convergence.residual <= 1e-6


def test_what_does_not_converge_says_how_far_it_came() -> None:
    with pytest.raises(GraphrepError, match=r"16 eigenpairs within 100 products, found a residual of .* \[eigensolver"):
        solve(with_values(1 - 1e-4 * np.arange(500.0)), 16, max_products=100)


def test_all_pairs_of_a_matrix_can_be_asked_for() -> None:
    matrix = with_values(np.linspace(-1, 1, 40))
    check(matrix, 40, solve(matrix, 40, block=8))
    assert basis_size(40, 40, 8) == smallest_basis(40, 40, 8) == 40


@pytest.mark.parametrize("n", range(1, 8))
def test_a_matrix_smaller_than_a_block_is_solved(n: int) -> None:
    matrix = with_values(np.arange(1.0, n + 1))
    check(matrix, n, solve(matrix, n))


def test_what_is_rounding_counts_as_nothing() -> None:
    noise = with_values(1e-14 * np.random.default_rng(0).standard_normal(400))
    assert solve(noise, 8, floor=1e-4, block=4).convergence.products < 100
