"""Vectors whose dot products are the autocovariance of a random walk, by sparse products only.

Huang, Silva, Singh: A Broader Picture of Random-walk Based Graph Embedding, KDD 2021, sections 3 and 4.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphrep.embed.backend import Backend, Precision, is_mapped
from graphrep.embed.checks import check_dim, check_seed, check_shape, checked_matrix, nodes_with_edges
from graphrep.embed.factorise import Factorisation, Factors, scaled, scattered
from graphrep.embed.plan import plan, precision_for
from graphrep.embed.walk import (
    CrossWalk,
    Dense,
    DirectedWalk,
    Operator,
    SignedWalk,
    Times,
    UndirectedWalk,
    poisson_times,
)
from graphrep.errors import InputError

_LOGGER = logging.getLogger(__name__)


def autocovariance(
    adjacency: Any,
    dim: int = 128,
    markov_time: float | Sequence[int] = 3,
    directed: bool = False,
    lazy: bool = False,
    signed: bool = False,
    seed: int = 0,
    device: str | None = None,
    *,
    bipartite_correction: bool = True,
    continuous: bool | None = None,
    previous: NDArray[Any] | None = None,
    precision: Precision | None = None,
    tolerance: float | None = None,
    memory: int | None = None,
) -> Factors:
    """Factorise ``R(τ) = Π M^τ − π πᵀ``; the score of a pair is the dot product of its vectors.

    ======================= =================================== ===========================================
    adjacency               walk                                factors
    ======================= =================================== ===========================================
    square, symmetric       ``M = D⁻¹A``, ``π = deg/vol``       ``U = QΛ^½``, largest *algebraic* eigenpairs
    the same, signed=True   paths count with their signs        the same, of ``M(t)ᵀWM(t)`` (``SignedWalk``)
    square, directed=True   PageRank, teleport 0.15             truncated SVD, ``UΣ^½`` and ``VΣ^½``
    rectangular n×m         users × items, bipartite            truncated SVD of the users × items block
    ======================= =================================== ===========================================

    The scale is R's own: at full rank ``source @ target.T`` is R, less its negative eigenvalues in the
    symmetric case. Time O(τ·edges + n·dim) for each of six to ten times ``dim`` products, memory O(edges + n·dim): no
    n×n matrix is made. What the work will take is logged before it begins (``graphrep.embed.plan``). Arrays that are
    mapped from files are multiplied in blocks of rows and, for the undirected walk of a square matrix in which every
    node has an edge, not copied.

    Args:
        adjacency: (n, m) scipy.sparse, weights ≥ 0 unless signed, rows = sources. Entries given twice are summed. A
            self-loop counts once in the degree. A square users × items matrix cannot be told from a graph: pass the
            block ``[[0, B], [B.T, 0]]``.
        dim: columns d ≥ 1; columns beyond the rank of R are zero.
        markov_time: steps τ ≥ 1 of the walk; several: the mean of their R(τ). Odd is better than even for link
            prediction; a rectangular matrix needs odd or ``lazy``, since an even number of steps ends on the side
            where it began.
        directed: PageRank walk along the edges.
        lazy: stay with probability ½: ``(I + M)/2`` for M.
        signed: negative weights are signs of paths; the walk goes ``markov_time`` from both ends.
        seed: chance of the solver; the same seed gives the same vectors.
        device: None = the CPU; else a torch device.
        bipartite_correction: also remove the eigenvalue −1 of each component that is two-colourable, which
            otherwise leaves the popularity term π_uπ_v in every score across the sides (``UndirectedWalk``).
            No effect on other components, on the lazy, the directed and the signed walk; not looked for in a
            matrix that is mapped from files.
        continuous: ``exp(−τ(I − M))`` for ``M^τ``, τ any number above 0; None: where ``signed``.
        previous: (n, any) vectors of the same rows, such as yesterday's source: the solver starts from them. Rows of
            zeros or NaN are not known.
        precision: of products and basis; None: float64 on the CPU, float32 on a device.
        tolerance: residual of a pair as a share of the largest eigenvalue; None: 1e-9, or 1e-5 in float32.
        memory: bytes that may be used, on the device where there is one; None: most of what it, or this machine, has.

    Returns:
        Factors. Nodes without edges have zero rows (but see ``DirectedWalk``). The largest entry by size of
        each column of ``source`` is positive.

    Raises:
        InputError: wrong shape, weights or indices, no edge, dim or markov_time out of range, unknown device.
        GraphrepError: too little memory, or the solver did not converge.

    Warns:
        GraphrepWarning: columns are left zero because at so large a time they are rounding noise.

    >>> import scipy.sparse as sp
    >>> triangle_and_tail = sp.csr_array(([1.0] * 4, ([0, 1, 2, 2], [1, 2, 0, 3])), shape=(4, 4))
    >>> f = autocovariance(triangle_and_tail + triangle_and_tail.T, dim=2, markov_time=1)
    >>> f.source.shape, bool(f.values[0] > 0), f.values[1]
    ((4, 2), True, np.float64(0.0))
    """
    check_seed(seed)
    check_dim(dim)
    matrix = checked_matrix(adjacency, signed=signed)
    n, m = matrix.shape
    backend = Backend(device, precision_for(device) if precision is None else precision)
    planned = plan(min(n, m), matrix.nnz, min(dim, n, m), backend, mapped=is_mapped(matrix.data), memory=memory)
    _LOGGER.info("autocovariance: %s", planned)
    backend = replace(backend, stream=planned.stream and device is not None)
    options = {"directed": directed, "lazy": lazy, "signed": signed}
    operator, (rows, columns) = operator_of(matrix, markov_time, backend, bipartite_correction, continuous, **options)
    start = None if previous is None else _known(previous, n)[rows]
    # What dies away with many steps stays in a mean that holds few.
    steps = max(1, min(_times(markov_time, signed if continuous is None else continuous)))
    floor = _floor(operator, backend, steps)
    solve = Factorisation(dim, seed, backend, tolerance, planned.basis, floor)
    if directed or n != m:
        left, right, values = solve.singular(operator, start)
        source, target = scattered(left, rows, n), scattered(right, columns, m)
    else:
        left, values = solve.eigen(operator, start)
        source = target = scattered(left, rows, n)
    return scaled(source, target, values, floor, steps, solve.convergence)


def multiscale(adjacency: Any, markov_times: Sequence[int], dim: int = 128, **options: Any) -> dict[int, Factors]:
    """The factors of several Markov times, each solved from the basis of the one before.

    Larger times find other edges than small ones (the paper, section 5.3). Sums of their scores are one factorisation:
    pass the times to ``autocovariance`` at once.

    Args:
        options: of ``autocovariance``.

    >>> import scipy.sparse as sp
    >>> path = sp.csr_array(np.diag([1.0, 1, 1, 1], 1) + np.diag([1.0, 1, 1, 1], -1) + np.eye(5))
    >>> {time: f.source.shape for time, f in multiscale(path, [1, 3], dim=2).items()}
    {1: (5, 2), 3: (5, 2)}
    """
    found: dict[int, Factors] = {}
    before = None
    for time in sorted(markov_times):
        found[time] = autocovariance(adjacency, dim, time, previous=before, **options)
        before = found[time].source
    return found


def _times(markov_time: Any, continuous: bool) -> Times:
    several = isinstance(markov_time, Sequence) and not isinstance(markov_time, str)
    given = list(markov_time) if several else [markov_time]
    for time in given:
        whole = isinstance(time, int | np.integer) and not isinstance(time, bool) and time >= 1
        real = isinstance(time, float | np.floating) and np.isfinite(time) and time > 0
        if not (whole or (continuous and real)):
            expected = "a number above 0" if continuous else "an integer of at least 1"
            raise InputError(expected, found=repr(time), where="markov_time")
    if not given:
        raise InputError("at least one time", found="none", where="markov_time")
    total: dict[int, float] = {}
    for time in given:
        for steps, weight in (poisson_times(float(time)) if continuous else {int(time): 1.0}).items():
            total[steps] = total.get(steps, 0.0) + weight / len(given)
    return total


def operator_of(
    matrix: Any,
    markov_time: Any,
    backend: Backend,
    bipartite_correction: bool,
    continuous: bool | None,
    *,
    directed: bool,
    lazy: bool,
    signed: bool,
) -> tuple[Operator, tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """The walk of a checked matrix on the nodes that it can reach, and which rows and columns these are.

    Raises:
        InputError: a matrix of another shape than the walk needs, a time out of range.
    """
    times = _times(markov_time, signed if continuous is None else continuous)
    crosses = lazy or all(steps % 2 for steps in times)
    check_shape(matrix, crosses=crosses, directed=directed, signed=signed)
    n, m = matrix.shape
    whole = np.arange(n), np.arange(m)
    if directed:  # teleport gives every node a part in the walk
        return DirectedWalk(matrix, times, lazy=lazy, backend=backend), whole
    rows, columns = nodes_with_edges(matrix)
    core = matrix if len(rows) == n and len(columns) == m else matrix[rows][:, columns]
    if signed:
        return SignedWalk(core, times, lazy=lazy, backend=backend), (rows, columns)
    walk = CrossWalk if n != m else UndirectedWalk
    correct = bipartite_correction and not lazy and (n != m or not is_mapped(core.data))
    return walk(core, times, lazy=lazy, bipartite_correction=correct, backend=backend), (rows, columns)


def _known(previous: NDArray[Any], n: int) -> Dense:
    given = np.asarray(previous, dtype=np.float64)
    if given.ndim != 2 or len(given) != n:
        raise InputError(f"vectors of {n} rows", found=f"shape {given.shape}", where="previous")
    finite = np.asarray(np.isfinite(given).all(axis=1))
    return np.where(finite[:, None], given, 0.0)


def _floor(operator: Any, backend: Backend, steps: int) -> float:
    """Size of an eigenvalue of R that stands for an eigenvalue of M lost in rounding."""
    pi = operator.stationary
    return float(pi.max() * (10 * np.sqrt(len(pi)) * np.finfo(backend.precision).eps) ** steps)
