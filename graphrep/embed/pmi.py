"""Vectors of the logarithm of walk probabilities, the older similarity, to compare the autocovariance with.

The logarithm needs every entry of M^τ, so this is dense, for graphs of some ten thousand nodes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
import torch

from graphrep.embed.checks import check_dim, check_seed, check_shape, checked_matrix, nodes_with_edges
from graphrep.embed.factorise import Factors, padded, scaled, scattered
from graphrep.embed.plan import free_memory
from graphrep.embed.solver import BLOCK, basis_size, largest_eigenpairs
from graphrep.embed.walk import Dense, row_sums
from graphrep.errors import GraphrepError, InputError


def pmi(adjacency: Any, dim: int = 128, markov_time: int = 1, window: int | None = None, seed: int = 0) -> Factors:
    """Factorise ``log(vol · (D⁻¹A)^τ D⁻¹)``, entry by entry: pointwise mutual information of the ends of a walk.

    LINE is τ = 1; DeepWalk is the log of the mean over 1..``window`` of what the log is taken of (Levy, Goldberg, NIPS
    2014; Qiu et al., WSDM 2018; Huang, Silva, Singh, KDD 2021, section 3), both with one negative sample. A pair that
    no walk joins, of log −∞, takes the smallest finite entry; nothing is clipped at 0.

    Args:
        adjacency: (n, n) symmetric scipy.sparse, weights ≥ 0.
        dim: columns d ≥ 1; columns beyond the positive eigenvalues are zero.
        markov_time: steps τ ≥ 1.
        window: largest of the numbers of steps; None: ``markov_time`` alone.
        seed: chance of the solver; the same seed gives the same vectors.

    Returns:
        Factors; ``source`` and ``target`` are the same (n, d) array. Nodes without edges have zero rows.

    Raises:
        InputError: wrong shape, weights or indices, no edge, dim, markov_time or window out of range, or both given.
        GraphrepError: the n×n matrices do not fit into the memory that is free, or the solver did not converge.

    >>> triangle = sp.csr_array(np.ones((3, 3)) - np.eye(3))
    >>> f = pmi(triangle, dim=1)
    >>> print(f.source.shape, (f.source @ f.target.T).round(2)[0])
    (3, 1) [0.41 0.41 0.41]
    """
    check_seed(seed)
    check_dim(dim)
    times = _checked_times(markov_time, window)
    matrix = checked_matrix(adjacency)
    n, m = matrix.shape
    if n != m:
        raise InputError("a square matrix", found=f"{n} × {m}", where="pmi", fix="pass [[0, B], [B.T, 0]]")
    check_shape(matrix, crosses=True, directed=False, signed=False)
    rows, _ = nodes_with_edges(matrix)
    core = matrix if len(rows) == n else matrix[rows][:, rows]
    wanted = min(dim, len(rows))
    _check_memory(len(rows), wanted, len(times))
    similar = torch.as_tensor(_log_of_walk(core, times))
    block = min(BLOCK, len(rows))
    found = largest_eigenpairs(lambda x: similar @ x, len(rows), wanted, seed=seed, like=similar[:0, :0], block=block)
    source = scattered(padded(found.vectors.numpy(), dim), rows, n)
    return scaled(source, source, padded(found.values, dim), 0.0, 1, found.convergence)


def _log_of_walk(matrix: Any, times: range) -> Dense:
    """(n, n), of a matrix without empty rows."""
    degree = row_sums(matrix)
    walk = sp.csr_array(sp.diags_array(1.0 / degree) @ matrix)
    power = np.diag(degree.sum() / degree)
    mean = np.zeros((1, 1))
    for taken in range(1, times[-1] + 1):
        power = walk @ power
        if taken == times[0]:
            mean = power if len(times) == 1 else power / len(times)
        elif taken in times:
            mean += power / len(times)
    joined = mean > 0
    np.log(mean, out=mean, where=joined)
    mean[~joined] = mean.min(where=joined, initial=np.inf)
    return mean


def _checked_times(markov_time: Any, window: Any) -> range:
    for name, steps in (("markov_time", markov_time), ("window", 1 if window is None else window)):
        if isinstance(steps, bool) or not isinstance(steps, int | np.integer) or steps < 1:
            raise InputError("an integer of at least 1", found=repr(steps), where=name)
    if window is None:
        return range(markov_time, markov_time + 1)
    if markov_time != 1:
        raise InputError("markov_time or window", found="both", where="pmi", fix="leave one out")
    return range(1, window + 1)


def _check_memory(n: int, dim: int, times: int) -> None:
    """First two powers, and for several times their mean; then the logarithms with the solver's basis."""
    powers = 2 if times == 1 else 3
    needed = 8 * n * max(powers * n, n + basis_size(dim, n) + dim + 4 * BLOCK) + 2 * n * n
    free = free_memory(None)
    if needed > free:
        raise GraphrepError(
            f"{needed:,} bytes for {n:,} nodes and {dim} dimensions",
            found=f"{free:,} bytes free",
            where="pmi",
            fix="pass a smaller graph, or use autocovariance, which makes no n×n matrix",
        )
