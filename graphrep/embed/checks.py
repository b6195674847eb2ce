"""Whether a matrix is one that a walk can run on, and what to do where it is not."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from graphrep.embed.backend import is_mapped
from graphrep.errors import InputError


def check_seed(seed: Any) -> None:
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise InputError("an integer of at least 0", found=repr(seed), where="seed")


def check_dim(dim: Any) -> None:
    if isinstance(dim, bool) or not isinstance(dim, int | np.integer) or dim < 1:
        raise InputError("an integer of at least 1", found=repr(dim), where="dim")


def checked_matrix(adjacency: Any, *, signed: bool = False) -> Any:
    """A CSR matrix of float64 without duplicates and zeros; one that is mapped from files is taken as it is.

    Raises:
        InputError: not sparse, not real, an index that no node has, a weight that is not finite, or negative where
            signs mean nothing; no edge.
    """
    if not sp.issparse(adjacency) or adjacency.ndim != 2:
        raise InputError(
            "a two-dimensional scipy.sparse matrix",
            found=type(adjacency).__name__,
            where="adjacency",
            fix="wrap it: scipy.sparse.csr_array(a)",
        )
    if np.iscomplexobj(adjacency.data):
        raise InputError("real weights", found=str(adjacency.dtype), where="adjacency")
    _check_indices(adjacency)
    if is_mapped(adjacency.data):
        matrix = _mapped(adjacency)
    else:
        matrix = sp.csr_array(adjacency, dtype=np.float64, copy=True)
        matrix.sum_duplicates()
        matrix.eliminate_zeros()
    _check_weights(matrix, signed)
    return matrix


def _check_indices(matrix: Any) -> None:
    """scipy does not look at them: a number that did not fit its type has become a negative one."""
    if matrix.format in ("csr", "csc"):
        sides = [(matrix.indices, matrix.shape[1 if matrix.format == "csr" else 0])]
        steps = np.diff(matrix.indptr)
        lines = matrix.shape[0 if matrix.format == "csr" else 1]
        if len(steps) != lines or matrix.indptr[0] != 0 or (steps < 0).any() or matrix.indptr[-1] > len(matrix.indices):
            raise InputError("row pointers that rise to the number of entries", found="others", where="adjacency")
    elif matrix.format == "coo":
        sides = list(zip(matrix.coords, matrix.shape, strict=True))
    else:
        return
    for indices, size in sides:
        if len(indices) and (indices.min() < 0 or indices.max() >= size):
            raise InputError(
                f"indices in 0..{size - 1}",
                found=f"{indices.min()}..{indices.max()} of {indices.dtype}",
                where="adjacency",
                fix="count from 0 and use int64 for numbers beyond two thousand million",
            )


def _mapped(matrix: Any) -> Any:
    if matrix.format != "csr" or not matrix.has_canonical_format or not matrix.data.all():
        raise InputError(
            "a CSR matrix, sorted, without duplicates and zeros, where its arrays are mapped from files",
            found=f"{matrix.format} with duplicates, zeros or another order",
            where="adjacency",
            fix="sum_duplicates() and eliminate_zeros() before it is written",
        )
    return matrix


def _check_weights(matrix: Any, signed: bool) -> None:
    faults = [(~np.isfinite(matrix.data), "not finite", "drop them")]
    if not signed:
        faults.append((matrix.data < 0, "negative", "drop them, clip at 0, or pass signed=True"))
    for bad, found, fix in faults:
        if bad.any():
            place = int(np.flatnonzero(bad)[0])
            row = int(np.searchsorted(matrix.indptr, place, side="right")) - 1
            raise InputError(
                "finite weights" if signed else "finite weights of at least 0",
                found=f"{int(bad.sum())} {found}",
                where=f"adjacency, first at row {row}, column {int(matrix.indices[place])}",
                fix=fix,
            )
    if matrix.nnz == 0:
        raise InputError("at least one edge of positive weight", found=f"none, shape {matrix.shape}", where="adjacency")


def check_shape(matrix: Any, *, crosses: bool, directed: bool, signed: bool) -> None:
    """Square or not, symmetric or not, as the walk needs it; ``crosses``: it ends on the other side of a block."""
    n, m = matrix.shape
    for given, name in ((directed, "directed"), (signed, "signed")):
        if n != m and given:
            where = f"adjacency with {name}=True"
            raise InputError("a square matrix", found=f"{n} × {m}", where=where, fix=f"{name}=False")
    if directed and signed:
        raise InputError("directed or signed", found="both", where="autocovariance", fix="leave one out")
    if n != m and not crosses:
        raise InputError(
            "an odd markov_time for a rectangular (users × items) matrix",
            found="an even one",
            where="markov_time",
            fix="an even number of steps never crosses sides: pass an odd one or lazy=True",
        )
    if n == m and not directed and not is_symmetric(matrix):
        raise InputError(
            "a symmetric matrix",
            found="A[u, v] that differs from A[v, u]",
            where="adjacency with directed=False",
            fix="pass A + A.T, or directed=True, or the block [[0, B], [B.T, 0]] of users × items",
        )


def is_symmetric(matrix: Any) -> bool:
    """Up to the last digits of float32, in which sums taken in another order differ.

    A matrix in files is not transposed: ``Ax`` is compared with ``Aᵀx`` for one random x (Freivalds, IFIP 1977).
    """
    if not is_mapped(matrix.data):
        return bool(abs(matrix - matrix.T).max() <= 1e-6 * abs(matrix).max())
    x = np.random.default_rng(0).random(matrix.shape[0]) + 0.5
    there, back = matrix @ x, matrix.T @ x
    return bool(np.allclose(there, back, rtol=1e-5))


def nodes_with_edges(matrix: Any) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and columns that have an entry; of a square matrix both are its rows."""
    rows = np.flatnonzero(np.diff(matrix.indptr))
    return rows, rows if matrix.shape[0] == matrix.shape[1] else np.unique(matrix.indices)
