"""Ways to score all pairs of a graph, each as a function of rows, and candidates that are put in another order.

Scores are asked for a block of rows at a time: (b,) nodes → (b, n). No method sees more than the edges it is given.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from benchmarks.suite.splits import ScoreRows
from graphrep.embed import autocovariance
from graphrep.embed.backend import Backend
from graphrep.embed.plan import precision_for
from graphrep.embed.scores import walk_scores
from graphrep.embed.walk import DirectedWalk
from graphrep.evaluate import baselines

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]
BLOCK = 512


def embedded(
    matrix: Any, dim: int = 128, markov_time: float = 3, post_process: bool = False, **options: Any
) -> ScoreRows:
    """Dot products of the vectors of ``graphrep.embed.autocovariance``."""
    factors = autocovariance(matrix, dim, markov_time, **options)
    source, target = factors.source, factors.target
    if post_process:
        source = target = post_processed(source)
    return lambda rows: source[rows] @ target.T


def post_processed(vectors: Floats) -> Floats:
    """What the authors of KDD 2021 and POLE do to vectors before they rank by them.

    Each column's sign is turned so that its entry of node 0 is not negative; then all entries together are shifted to
    mean 0 and scaled to standard deviation 1. The shift adds a term for each node to every score, so signs matter.
    """
    table = vectors.astype(np.float64)
    table *= np.where(table[0] < 0, -1.0, 1.0)
    return np.asarray((table - table.mean()) / table.std(), np.float32)


def exact(matrix: Any, **options: Any) -> ScoreRows:
    """Rows of R(τ) itself, or of a degree-corrected walk: ``graphrep.embed.scores.walk_scores``."""
    return lambda rows: walk_scores(matrix, rows, **options)


def to_and_fro(matrix: Any, **options: Any) -> ScoreRows:
    """A directed graph's sources and targets as the two sides of a bipartite one: u → x ← w → v for three steps."""
    n = matrix.shape[0]
    sides = sp.csr_array(sp.block_array([[None, matrix], [matrix.T, None]]))
    return lambda rows: walk_scores(sides, rows, np.arange(n, 2 * n), **options)


def from_out_degrees(matrix: Any, centred: bool = True, device: str | None = None) -> ScoreRows:
    """Three steps of the PageRank walk from u, times u's out-degree where R(3) has π_u; less π_v if centred."""
    backend = Backend(device, precision_for(device))
    pi = DirectedWalk(matrix, {3: 1.0}, lazy=False, backend=backend).stationary
    degree = matrix.sum(axis=1)

    def scored(rows: Ints) -> NDArray[Any]:
        less = walk_scores(matrix, rows, directed=True, device=device) / pi[rows, None]
        return np.asarray(degree[rows, None] * (less if centred else less + pi))

    return scored


def by_signs(matrix: Any) -> dict[str, ScoreRows]:
    """The baselines of a signed graph, weights unread: the edges above 0 less those below, paths by their product."""
    signs = sp.csr_array(matrix - sp.diags_array(matrix.diagonal())).sign()
    degree = np.asarray(abs(signs).sum(axis=1), np.float64)
    above, below = (signs > 0).sum(axis=1).astype(np.float64), (signs < 0).sum(axis=1).astype(np.float64)
    logarithm = np.log(np.maximum(degree, 1))

    def through(worth: NDArray[np.float64]) -> ScoreRows:
        onward = sp.csr_array(sp.diags_array(worth) @ signs)
        return lambda rows: np.asarray((signs[rows] @ onward).toarray())

    def inverse(value: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.divide(1.0, value, out=np.zeros_like(value), where=value > 0)

    return {
        "degree product": lambda rows: np.outer(above[rows], above) - np.outer(below[rows], below),
        "common neighbours": through(np.ones_like(degree)),
        "Adamic–Adar": through(inverse(logarithm)),
        "resource allocation": through(inverse(degree)),
    }


def by_degree_and_paths(matrix: Any, directed: bool) -> dict[str, ScoreRows]:
    """The baselines. A directed graph: degrees of its own directions, shared neighbours of the edges either way."""
    either = sp.csr_array(matrix + matrix.T) if directed else matrix

    def of(score: Callable[..., Any], edges: Any, **options: Any) -> ScoreRows:
        return lambda rows: np.asarray(score(edges, rows, **options))

    known = {"degree product": of(baselines.degree_product, matrix, bipartite=directed)}
    if directed:
        known = {"popularity": of(baselines.popularity, matrix, bipartite=True), **known}
    return {
        **known,
        "common neighbours": of(baselines.common_neighbors, either),
        "Adamic–Adar": of(baselines.adamic_adar, either),
        "resource allocation": of(baselines.resource_allocation, either),
    }


def best_pairs(score_rows: ScoreRows, known: Any, count: int, directed: bool) -> tuple[Ints, Ints]:
    """The ``count`` best pairs that are not known, u < v (directed: u ≠ v), by u, then v; every pair if fewer.

    Memory: a block of rows and ``count`` pairs. Which of several pairs equal to the last one stay is not promised.
    """
    n = known.shape[0]
    taken = sp.csr_array(known if directed else known + known.T)
    keys, scores = np.zeros(0, np.int64), np.zeros(0, np.float32)
    for start in range(0, n, BLOCK):
        rows = np.arange(start, min(start + BLOCK, n))
        table = np.array(score_rows(rows), np.float32)
        table[taken[rows].nonzero()] = -np.inf
        table[(np.arange(n) == rows[:, None]) if directed else (np.arange(n) <= rows[:, None])] = -np.inf
        new = np.flatnonzero(table.ravel() > (scores.min() if len(scores) == count else -np.inf))
        keys = np.concatenate([keys, new + start * n])
        scores = np.concatenate([scores, table.ravel()[new]])
        if len(scores) > count:
            kept = np.argpartition(-scores, count - 1)[:count]
            keys, scores = keys[kept], scores[kept]
    keys.sort()
    return keys // n, keys % n


def either_of(first: tuple[Ints, Ints], second: tuple[Ints, Ints], n: int) -> tuple[Ints, Ints]:
    """The pairs of both, each once, by u, then v."""
    keys = np.union1d(first[0] * n + first[1], second[0] * n + second[1])
    return keys // n, keys % n


def reranked(pairs: tuple[Ints, Ints], score_rows: ScoreRows, n: int) -> ScoreRows:
    """The scores of these pairs (by u, as ``best_pairs`` gives them), −∞ for all others: they are never ranked.

    Only rows that have such a pair are asked for.
    """
    u, v = pairs

    def scored(rows: Ints) -> NDArray[Any]:
        begin, end = np.searchsorted(u, rows), np.searchsorted(u, rows, side="right")
        table = np.full((len(rows), n), -np.inf)
        asked = np.flatnonzero(end > begin)
        if len(asked):
            scores = np.asarray(score_rows(rows[asked]))
            for place, row in enumerate(asked.tolist()):
                columns = v[begin[row] : end[row]]
                table[row, columns] = scores[place, columns]
        return table

    return scored
