"""Vectors whose dot products are the autocovariance of a random walk, by sparse products only.

Huang, Silva, Singh: A Broader Picture of Random-walk Based Graph Embedding, KDD 2021, sections 3 and 4.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse.linalg import ArpackError, ArpackNoConvergence, LinearOperator, eigsh
from threadpoolctl import threadpool_limits

from graphrep.embed.walk import Backend, CrossWalk, Dense, DirectedWalk, Operator, UndirectedWalk
from graphrep.errors import GraphrepError, InputError

_EPS = float(np.finfo(np.float64).eps)
# Before scipy 1.17 ARPACK drew its restart vectors from a generator of its own, which takes no seed.
_ARPACK_TAKES_RNG = "rng" in inspect.signature(eigsh).parameters


@dataclass(frozen=True, eq=False)
class Factors:
    """``source @ target.T`` approximates R(τ).

    Attributes:
        source: (n, d) float32, rows u of the score u → v.
        target: (m, d) float32; the same array as ``source`` for an undirected graph.
        values: (d,) float64, descending: eigenvalues of R (undirected) or singular values. 0 where R has no
            further positive one; the columns there are zero.
    """

    source: NDArray[np.float32]
    target: NDArray[np.float32]
    values: Dense


def autocovariance(
    adjacency: Any,
    dim: int = 128,
    markov_time: int = 3,
    directed: bool = False,
    lazy: bool = False,
    seed: int = 0,
    device: str | None = None,
    bipartite_correction: bool = True,
) -> Factors:
    """Factorise ``R(τ) = Π M^τ − π πᵀ``; the score of a pair is the dot product of its vectors.

    ======================= =================================== ===========================================
    adjacency               walk                                factors
    ======================= =================================== ===========================================
    square, symmetric       ``M = D⁻¹A``, ``π = deg/vol``       ``U = QΛ^½``, largest *algebraic* eigenpairs
    square, directed=True   PageRank, teleport 0.15             truncated SVD, ``UΣ^½`` and ``VΣ^½``
    rectangular n×m         users × items, bipartite            truncated SVD of the users × items block
    ======================= =================================== ===========================================

    The scale is R's own: at full rank ``source @ target.T`` is R, less its negative eigenvalues in the
    symmetric case. Time O(τ·edges + n·dim) for each of a few times ``dim`` Lanczos steps, memory
    O(edges + n·dim): no n×n matrix is made. Only where a side has at most ``dim + 2`` nodes with edges is R,
    then thin, formed, because Lanczos needs room beyond ``dim``.

    Args:
        adjacency: (n, m) scipy.sparse, weights ≥ 0, rows = sources. A self-loop counts once in the degree. A
            square users × items matrix cannot be told from a graph: pass the block ``[[0, B], [B.T, 0]]``.
        dim: columns d ≥ 1; columns beyond the rank of R are zero.
        markov_time: steps τ ≥ 1 of the walk. Odd is better than even for link prediction; a rectangular
            matrix needs odd or ``lazy``, since an even number of steps ends on the side where it began.
        directed: PageRank walk along the edges.
        lazy: stay with probability ½: ``(I + M)/2`` for M.
        seed: start vector of Lanczos; the same seed gives the same vectors.
        device: None = scipy on the CPU; else a torch device for the sparse products.
        bipartite_correction: also remove the eigenvalue −1 of each component that is two-colourable, which
            otherwise leaves the popularity term π_uπ_v in every score across the sides (``UndirectedWalk``).
            No effect on other components, on the lazy and on the directed walk.

    Returns:
        Factors. Nodes without edges have zero rows (but see ``DirectedWalk``). The largest entry by size of
        each column of ``source`` is positive.

    Raises:
        InputError: wrong shape or weights, no edge, dim or markov_time below 1, unknown device.
        GraphrepError: Lanczos did not converge.

    >>> triangle_and_tail = sp.csr_array(([1.0] * 4, ([0, 1, 2, 2], [1, 2, 0, 3])), shape=(4, 4))
    >>> f = autocovariance(triangle_and_tail + triangle_and_tail.T, dim=2, markov_time=1)
    >>> f.source.shape, bool(f.values[0] > 0), f.values[1]
    ((4, 2), True, np.float64(0.0))
    """
    _check_seed(seed)
    matrix = _checked(adjacency, dim, markov_time, directed, lazy)
    n, m = matrix.shape
    rows, columns = _nodes_with_edges(matrix, directed)
    core = matrix[rows][:, columns]
    backend = Backend(device)
    operator: Operator
    if directed:
        operator = DirectedWalk(core, markov_time, lazy=lazy, backend=backend)
    else:
        walk = CrossWalk if n != m else UndirectedWalk
        operator = walk(core, markov_time, lazy=lazy, bipartite_correction=bipartite_correction, backend=backend)
    if directed or n != m:
        left, right, values = _singular(operator, dim, seed)
        source, target = _scattered(left, rows, n), _scattered(right, columns, m)
    else:
        left, values = _eigen(operator, dim, seed)
        source = target = _scattered(left, rows, n)
    return _scaled(source, target, values, _noise(operator, markov_time))


def _check_seed(seed: int) -> None:
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise InputError("an integer of at least 0", found=repr(seed), where="seed")


def _checked(adjacency: Any, dim: int, markov_time: int, directed: bool, lazy: bool) -> Any:
    for name, value in (("dim", dim), ("markov_time", markov_time)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
            raise InputError("an integer of at least 1", found=repr(value), where=name)
    if not sp.issparse(adjacency) or adjacency.ndim != 2:
        raise InputError(
            "a two-dimensional scipy.sparse matrix",
            found=type(adjacency).__name__,
            where="adjacency",
            fix="wrap it: scipy.sparse.csr_array(a)",
        )
    if np.iscomplexobj(adjacency.data):
        raise InputError("real weights", found=str(adjacency.dtype), where="adjacency")
    matrix = sp.csr_array(adjacency, dtype=np.float64, copy=True)
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    _check_weights(matrix)
    _check_shape(matrix, markov_time, directed, lazy)
    return matrix


def _check_weights(matrix: Any) -> None:
    for bad, found in ((~np.isfinite(matrix.data), "not finite"), (matrix.data < 0, "negative")):
        if bad.any():
            row, column = (int(i[bad][0]) for i in matrix.tocoo().coords)
            raise InputError(
                "finite weights of at least 0",
                found=f"{int(bad.sum())} {found}",
                where=f"adjacency, first at row {row}, column {column}",
                fix="drop them or clip at 0",
            )
    if matrix.nnz == 0:
        raise InputError("at least one edge of positive weight", found=f"none, shape {matrix.shape}", where="adjacency")


def _check_shape(matrix: Any, markov_time: int, directed: bool, lazy: bool) -> None:
    n, m = matrix.shape
    if n != m and directed:
        raise InputError(
            "a square matrix", found=f"{n} × {m}", where="adjacency with directed=True", fix="directed=False"
        )
    if n != m and markov_time % 2 == 0 and not lazy:
        raise InputError(
            "an odd markov_time for a rectangular (users × items) matrix",
            found=str(markov_time),
            where="markov_time",
            fix="an even number of steps never crosses sides: pass an odd one or lazy=True",
        )
    # Sums taken in another order differ in the last digits of float32: that is not asymmetry.
    if n == m and not directed and abs(matrix - matrix.T).max() > 1e-6 * matrix.max():
        raise InputError(
            "a symmetric matrix",
            found="A[u, v] that differs from A[v, u]",
            where="adjacency with directed=False",
            fix="pass A + A.T, or directed=True, or the block [[0, B], [B.T, 0]] of users × items",
        )


def _nodes_with_edges(matrix: Any, directed: bool) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    if directed:  # teleport gives every node a part in the walk
        every = np.arange(matrix.shape[0])
        return every, every
    rows = np.flatnonzero(np.diff(matrix.indptr))
    return rows, rows if matrix.shape[0] == matrix.shape[1] else np.unique(matrix.indices)


def _eigen(operator: Operator, dim: int, seed: int) -> tuple[Dense, Dense]:
    n = operator.shape[0]
    if n <= dim + 2:
        dense = operator.matmat(np.eye(n))
        values, vectors = np.linalg.eigh(0.5 * (dense + dense.T))
    else:
        values, vectors = _lanczos(operator.matmat, n, dim, seed)
    order = np.argsort(-values, kind="stable")[:dim]
    return _padded(vectors[:, order], dim), _padded(values[order], dim)


def _singular(operator: Operator, dim: int, seed: int) -> tuple[Dense, Dense, Dense]:
    """Leading singular triplets, by Lanczos on the Gram matrix of the smaller side.

    Squaring loses the directions below 1e-8 of the leading value, not the accuracy of the values: these are
    taken from R restricted to the space found.
    """
    n, m = operator.shape
    forward, backward = operator.matmat, operator.rmatmat
    if n < m:
        forward, backward = backward, forward
    small = min(n, m)
    if small <= dim + 2:
        basis = np.eye(small)
    else:
        _, basis = _lanczos(lambda x: backward(forward(x)), small, dim, seed)
    left, values, right = np.linalg.svd(forward(basis), full_matrices=False)
    left, right, values = left[:, :dim], (basis @ right.T)[:, :dim], values[:dim]
    if n < m:
        left, right = right, left
    return _padded(left, dim), _padded(right, dim), _padded(values, dim)


def _lanczos(product: Callable[[Dense], Dense], n: int, dim: int, seed: int) -> tuple[Dense, Dense]:
    """The ``dim`` largest algebraic eigenpairs of a symmetric operator, in no order.

    A Krylov space holds one vector of each eigenvalue, and equal components of a graph give the same eigenvalue
    many times over. So what is left beside the pairs found is searched again until it has nothing larger.
    """
    rng = np.random.default_rng(seed)
    start = rng.standard_normal((n, 1))
    # R is of order 1/n and falls with τ, ARPACK's notion of zero is absolute: bring R to order 1.
    size = float(np.linalg.norm(product(start)) / np.linalg.norm(start))
    if size == 0.0:
        return np.zeros(dim), np.zeros((n, dim))
    values, vectors = _arpack(lambda x: product(x) / size, n, dim, rng)
    for _ in range(dim):  # a round finds at least one of at most dim missed pairs
        floor = max(float(values.min()), 0.0) + 1e-9 * max(float(values.max()), 1e-3)

        def rest(x: Dense, values: Dense = values, vectors: Dense = vectors) -> Dense:
            return product(x) / size - vectors @ (values[:, None] * (vectors.T @ x))

        if _arpack(rest, n, 1, rng, tolerance=1e-2)[0][0] <= floor:
            break
        more, beside = _arpack(rest, n, min(8, dim), rng)
        values = np.append(values, more[more > floor])
        vectors = np.hstack([vectors, beside[:, more > floor]])
        best = np.argsort(-values, kind="stable")[:dim]
        values, vectors = values[best], vectors[:, best]
    return values * size, vectors


def _arpack(
    product: Callable[[Dense], Dense], n: int, k: int, rng: np.random.Generator, tolerance: float = 0.0
) -> tuple[Dense, Dense]:
    operator = LinearOperator(
        (n, n), matvec=lambda x: product(x.reshape(-1, 1)).ravel(), matmat=product, dtype=np.float64
    )
    options = {"rng": rng} if _ARPACK_TAKES_RNG else {}
    start, space = rng.standard_normal(n), min(n, max(2 * k + 1, 20))
    while True:
        try:
            # ARPACK's many small BLAS calls gain nothing from threads and lose much to them on a busy machine.
            with threadpool_limits(limits=1, user_api="blas"):
                values, vectors = eigsh(
                    operator, k=k, which="LA", v0=start, ncv=space, maxiter=20 * n, tol=tolerance, **options
                )
            return values, vectors
        except ArpackError as error:  # where eigenvalues coincide a small space may have no shift left
            if space == n or isinstance(error, ArpackNoConvergence):
                raise GraphrepError(
                    f"{k} eigenpairs within {20 * n} Lanczos iterations",
                    found=str(error),
                    where="autocovariance",
                    fix="lower dim, or pass lazy=True",
                ) from error
            space = min(n, 2 * space)


def _noise(operator: Operator, markov_time: int) -> float:
    """Size of an eigenvalue of R that stands for an eigenvalue of M lost in rounding."""
    return float(operator.stationary.max() * (len(operator.stationary) * _EPS) ** markov_time)


def _scaled(source: Dense, target: Dense, values: Dense, noise: float) -> Factors:
    real = values > max(noise, _EPS * max(len(source), len(target)) * values[0])
    values = np.where(real, values, 0.0)
    size = np.abs(source)
    # Entries equal but for rounding count as equal, so that two machines choose the same one.
    first = np.argmax(size >= (1.0 - 1e-6) * size.max(axis=0), axis=0)
    sign = np.where(source[first, np.arange(source.shape[1])] < 0, -1.0, 1.0)
    left = (source * (sign * np.sqrt(values))).astype(np.float32)
    if target is source:
        return Factors(left, left, values)
    return Factors(left, (target * (sign * np.sqrt(values))).astype(np.float32), values)


def _padded(array: Dense, dim: int) -> Dense:
    missing = dim - array.shape[-1]
    return np.pad(array, [(0, 0)] * (array.ndim - 1) + [(0, missing)])


def _scattered(vectors: Dense, rows: NDArray[np.int64], n: int) -> Dense:
    out = np.zeros((n, vectors.shape[1]))
    out[rows] = vectors
    return out
