"""A graph and its attributes as one weighted graph, on which the walk is then taken.

Gelato: Mattos, Huang, Kosan, Singh, Silva: Attribute-Enhanced Similarity Ranking for Sparse Link Prediction, KDD 2025
(arXiv 2412.00261). Pairs of alike nodes become edges, every edge is weighted by the likeness of its ends, and the
autocovariance R(3) of that graph ranks the pairs. Nothing here is trained, and most of
what the method gains comes from this part; the weights W of ``enhance`` may be learnt.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from graphrep.errors import InputError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Loops = Literal["all", "isolated", "none"]

_STEP = 2.0**-26
"""Components of unit vectors are whole multiples of this: a cosine is then an exact sum, whatever the blocks."""
_MILLIONTHS = 1_000_000
_BLOCK = 1 << 22
"""Numbers of a block held at once: 32 MiB of float64."""


def attribute_edges(adjacency: Any, attributes: Any, eta: float = 0.5) -> Any:
    """The most alike pairs that are not edges yet, by the cosine of their attributes (section 4.1).

    The threshold is the K-th largest cosine over all ordered pairs of two nodes, ``K = floor(eta · nnz(A))``, and a
    pair must lie above it. Ties: cosines count in steps of 1e-6, and pairs equal to the threshold all stay out; so
    blocks and the order of the nodes change nothing. Edges take places among the K too. Only a positive cosine
    counts, also where fewer than K are positive. A node without attributes (a zero row) has cosine 0 with all.

    Args:
        adjacency: (n, n) symmetric scipy.sparse, weights ≥ 0; its diagonal is ignored.
        attributes: (n, r) scipy.sparse or numpy, finite.
        eta: pairs for each entry of A, at least 0.

    Returns:
        (n, n) symmetric CSR of the cosines of the added pairs. Memory: one block of rows and K/2 pairs.

    Raises:
        InputError: one of the rules above is broken, or there is no edge or no attribute at all.

    >>> path = sp.csr_array(([1.0, 1.0], ([0, 1], [1, 2])), shape=(3, 3))
    >>> attribute_edges(path + path.T, np.array([[1, 1], [0, 1], [1, 0.9]]), eta=1.0).toarray().round(3).tolist()
    [[0.0, 0.0, 0.999], [0.0, 0.0, 0.0], [0.999, 0.0, 0.0]]
    """
    pairs = pairs_of(checked_graph(adjacency), attributes, eta)
    return pairs.matrix(np.where(pairs.weight == 0, pairs.cosine, 0.0))


def enhance(
    adjacency: Any,
    attributes: Any,
    eta: float = 0.5,
    alpha: float = 0.5,
    beta: float = 0.0,
    weights: Any = None,
    self_loops: Loops = "all",
) -> Any:
    """``Ã = αA + (1−α)·1[A ∪ Ẽ]∘(βW + (1−β)·max(S, 0))``, S the cosines, Ẽ the added pairs (section 4.1).

    Args:
        adjacency, attributes, eta: as for ``attribute_edges``.
        alpha: share of the given weights, in [0, 1].
        beta: share of the learnt weights in the rest, in [0, 1]; above 0 it needs ``weights``.
        weights: (n, n) symmetric scipy.sparse, W; positive on every pair of A ∪ Ẽ, not read elsewhere.
        self_loops: weight 1 on the diagonal of "all" nodes, of those "isolated" in Ã, or of "none".

    Returns:
        (n, n) symmetric CSR, ready for ``autocovariance``.

    Raises:
        InputError: as ``attribute_edges``; a share outside [0, 1], another word for self_loops, unfit weights.

    >>> edge = sp.csr_array(([1.0, 1.0], ([0, 1], [1, 0])), shape=(3, 3))
    >>> enhance(edge, np.array([[1.0, 0], [3, 4], [0, 0]]), eta=0.0, self_loops="isolated").toarray().tolist()
    [[0.0, 0.8, 0.0], [0.8, 0.0, 0.0], [0.0, 0.0, 1.0]]
    """
    check_shares(alpha, beta, self_loops)
    pairs = pairs_of(checked_graph(adjacency), attributes, eta)
    learnt = _learnt(pairs, weights) if beta > 0 else np.zeros(len(pairs.cosine))
    value = blend(pairs.weight, pairs.similar | (pairs.weight > 0), pairs.cosine, learnt, alpha, beta)
    enhanced = pairs.matrix(value)
    if self_loops == "none":
        return enhanced
    alone = np.diff(enhanced.indptr) == 0
    return sp.csr_array(enhanced + sp.diags_array(np.where(alone | (self_loops == "all"), 1.0, 0.0))).sorted_indices()


def blend(weight: Any, present: Any, cosine: Any, learnt: Any, alpha: float, beta: float) -> Any:
    """Step 4 of the method for the values of pairs, numpy's or torch's alike."""
    return alpha * weight + (1.0 - alpha) * present * (beta * learnt + (1.0 - beta) * cosine)


@dataclass(frozen=True)
class Pairs:
    """The pairs u < v of A ∪ Ẽ by row, then column: weight in A (0 if added), max(cosine, 0), above the threshold."""

    n: int
    u: Ints
    v: Ints
    weight: Floats
    cosine: Floats
    similar: NDArray[np.bool_]

    def matrix(self, value: Floats) -> Any:
        half = sp.coo_array((value, (self.u, self.v)), shape=(self.n, self.n))
        return sp.csr_array(half + half.T).sorted_indices()  # a sum stores no zeros


def pairs_of(graph: Any, attributes: Any, eta: float) -> Pairs:
    """The pairs of A ∪ Ẽ of a checked graph; InputError: unfit attributes, eta out of range."""
    n = graph.shape[0]
    units = _units(attributes, n)
    if not (isinstance(eta, int | float | np.number) and 0 <= eta * graph.nnz <= n * (n - 1)):
        raise InputError(
            f"an eta of at least 0 that asks for no more than the {n * (n - 1)} ordered pairs there are",
            found=repr(eta),
            where=f"eta, {graph.nnz} entries of adjacency",
        )
    # 0.29 · 100 is below 29
    similar = _most_alike(units, math.ceil(math.floor(round(eta * graph.nnz, 6)) / 2))
    upper = sp.triu(graph, k=1).tocoo()
    edges = upper.row.astype(np.int64) * n + upper.col
    keys = np.union1d(edges, similar)
    u, v = keys // n, keys % n
    weight = np.zeros(len(keys))
    weight[np.searchsorted(keys, edges)] = upper.data
    return Pairs(n, u, v, weight, _cosines(units, u, v), np.isin(keys, similar))


def _most_alike(units: Any, k: int) -> Ints:
    """Pairs u < v as u·n + v, ascending, whose cosine is above the k-th largest of all such pairs and above 0."""
    n = units.shape[0]
    best, keys, floor = np.zeros(0, np.int64), np.zeros(0, np.int64), 0
    step = max(1, _BLOCK // n)
    for start in range(0, n if k else 0, step):
        product = units[start : start + step] @ units[start:].T
        sparse = sp.coo_array(product)
        row, column = (place.astype(np.int64) for place in sparse.coords)
        millionths = np.rint(sparse.data * _MILLIONTHS).astype(np.int64)
        # Pairs equal to the floor stay out in the end, but while fewer than k are known they hold a place.
        new = (column > row) & (millionths > floor)
        best = np.concatenate([best, millionths[new]])
        keys = np.concatenate([keys, (row[new] + start) * n + column[new] + start])
        if len(best) > k:
            kept = np.argpartition(-best, k - 1)[:k]
            best, keys = best[kept], keys[kept]
        floor = int(best.min()) if len(best) == k else 0
    return np.sort(keys[best > floor])


def _cosines(units: Any, u: Ints, v: Ints) -> Floats:
    """(m,) cosines of pairs, negative ones as 0, in steps of 1e-6."""
    out = np.zeros(len(u))
    step = max(1, _BLOCK // units.shape[1])
    for start in range(0, len(u), step):
        part = slice(start, start + step)
        out[part] = (units[u[part]] * units[v[part]]).sum(axis=1)
    return np.asarray(np.maximum(np.rint(out * _MILLIONTHS), 0.0) / _MILLIONTHS)


def _units(attributes: Any, n: int) -> Any:
    """Rows of length 1 (zero rows stay zero), sparse as given, in steps of 2^-26."""
    given = attributes if sp.issparse(attributes) else np.asarray(attributes)
    if given.ndim != 2 or given.shape[0] != n or given.shape[1] == 0 or given.dtype.kind not in "biuf":
        raise InputError(
            f"a matrix of real numbers with {n} rows, one for each node, and at least one column",
            found=f"{given.dtype} of shape {given.shape}",
            where="attributes",
        )
    units: Any = sp.csr_array(given, dtype=np.float64, copy=True) if sp.issparse(given) else given.astype(np.float64)
    if sp.issparse(units):
        units.sum_duplicates()
    values = units.data if sp.issparse(units) else units
    if not np.isfinite(values).all():
        raise InputError(
            "finite attributes", found=f"{int((~np.isfinite(values)).sum())} not finite", where="attributes"
        )
    # By the largest entry first, so that the squares of huge and of tiny numbers stay within range.
    units = _divided(units, abs(units).max(axis=1))
    units = _divided(units, np.sqrt((units * units).sum(axis=1)))
    if not abs(units).max() > 0:
        raise InputError("at least one attribute that is not zero", found="none", where="attributes")
    rounded = units.data if sp.issparse(units) else units
    rounded[...] = np.rint(rounded / _STEP) * _STEP
    return units


def _divided(rows: Any, size: Any) -> Any:
    size = np.asarray(size.toarray() if sp.issparse(size) else size).ravel()
    size = np.where(size > 0, size, 1.0)
    if not sp.issparse(rows):
        return rows / size[:, None]
    divided = rows.copy()
    divided.data /= np.repeat(size, np.diff(rows.indptr))
    return divided


def checked_graph(adjacency: Any) -> Any:
    """The graph without its diagonal, as CSR of float64."""
    if not sp.issparse(adjacency) or adjacency.ndim != 2 or adjacency.shape[0] != adjacency.shape[1]:
        found = f"{type(adjacency).__name__} of shape {np.shape(adjacency)}"
        raise InputError("a square scipy.sparse matrix", found=found, where="adjacency")
    if adjacency.shape[0] < 2:
        raise InputError("a graph of at least two nodes", found=f"{adjacency.shape[0]}", where="adjacency")
    if adjacency.dtype.kind not in "biuf" or not (np.isfinite(adjacency.data) & (adjacency.data >= 0)).all():
        raise InputError("finite real weights of at least 0", found="others", where="adjacency", fix="drop them")
    graph = sp.csr_array(adjacency, dtype=np.float64)
    graph = sp.csr_array(graph - sp.diags_array(graph.diagonal()))
    graph.eliminate_zeros()
    if graph.nnz == 0:
        raise InputError("at least one edge between two nodes", found="none", where="adjacency")
    # Sums taken in another order differ in the last digits: that is not asymmetry.
    if abs(graph - graph.T).max() > 1e-6 * graph.max():
        raise InputError(
            "a symmetric matrix", found="A[u, v] other than A[v, u]", where="adjacency", fix="pass A + A.T"
        )
    return graph


def check_shares(alpha: float, beta: float, self_loops: str) -> None:
    """InputError unless both are in [0, 1] and the word is one of the three."""
    for name, share in (("alpha", alpha), ("beta", beta)):
        if not 0 <= share <= 1:
            raise InputError("a share from 0 to 1", found=repr(share), where=name)
    if self_loops not in ("all", "isolated", "none"):
        raise InputError("'all', 'isolated' or 'none'", found=repr(self_loops), where="self_loops")


def _learnt(pairs: Pairs, weights: Any) -> Floats:
    if not sp.issparse(weights) or weights.shape != (pairs.n, pairs.n):
        found = f"{type(weights).__name__} of shape {np.shape(weights)}"
        raise InputError(
            f"a scipy.sparse matrix of shape {(pairs.n, pairs.n)}", found=found, where="weights, beta above 0"
        )
    matrix = sp.csr_array(weights, dtype=np.float64)
    one, other = (np.asarray(matrix[i, j]).ravel() for i, j in ((pairs.u, pairs.v), (pairs.v, pairs.u)))
    bad = ~(np.isfinite(one) & (one > 0) & np.isclose(other, one, rtol=1e-6, atol=0.0))
    if bad.any():
        raise InputError(
            "a finite weight above 0, the same both ways, for every pair of A and of the added pairs",
            found=f"{int(bad.sum())} others",
            where=f"weights, first at row {pairs.u[bad][0]}, column {pairs.v[bad][0]}",
            fix="learn them with the same adjacency, attributes and eta",
        )
    return one
