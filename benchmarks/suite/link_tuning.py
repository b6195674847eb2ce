"""The degree-corrected walk, its exponents and its centring chosen on edges that are hidden once more.

Score: ``(d_u d_v)^p · [(A D^q A D^q A)_uv − c · λ³ z_u z_v]``, that is ``D^p A D^q A D^q A D^p`` less a share c of what
its leading eigenvector says: with S = D^{q/2} A D^{q/2}, S x = λ x, it is z = D^{−q/2} x. For q = −1 that vector is
``d^½ / vol^½`` and λ = 1, so (p, q, c) = (0, −1, 1) is vol · R(3) of a connected graph; c = 0 is the walk of
``graphrep.embed.scores.DegreeWalk`` with exponents (p, q, q, p).

Choice: a tenth of the given edges is hidden, at random by the seed, without more conditions; the walk is taken on the
rest. Of up to 1,500 nodes drawn by the same seed all pairs that are not edges of the rest are ranked in one list.
The figure to raise is the mean precision at 10, 20, …, 100 % of DEPTH times the number of hidden edges among these
pairs: the question hides a fifth of all edges, a quarter of those given, so its list is 2.5 times as long as one for
the tenth. From a start, one of the numbers at a time goes up or down by a tenth while that helps, until none helps.
Where c falls p must fall too, so with c some moves change both, or p and q against each other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse.linalg import eigsh

from benchmarks.suite.splits import ScoreRows
from graphrep.embed.scores import degree_power, walk_scores

SHARE = 0.1
SAMPLED = 1500
DEPTH = 2.5
TENTHS = np.arange(1, 11) / 10
Tenths = tuple[int, int, int]
UNCENTRED: Tenths = (0, -10, 0)
EXACT: Tenths = (0, -10, 10)
EXPONENTS: tuple[Tenths, ...] = ((1, 0, 0), (0, 1, 0))
ALL_MOVES: tuple[Tenths, ...] = ((0, 0, 1), (1, 0, 1), (2, 0, 1), (1, 0, 0), (0, 1, 0), (1, -1, 0))


@dataclass(frozen=True)
class Chosen:
    """p, q, c; mean precision on the validation part at the start and here; the number of settings tried."""

    p: float
    q: float
    c: float
    start: float
    precision: float
    tried: int


def degrees(matrix: Any) -> NDArray[np.float64]:
    return np.asarray(matrix.sum(axis=1), np.float64).ravel()


def leading(matrix: Any, q: float) -> tuple[float, NDArray[np.float64]]:
    """λ³ and z of the module's text; the same at every call."""
    root = sp.diags_array(degree_power(degrees(matrix), q / 2))
    within = sp.csr_array(root @ matrix @ root).astype(np.float64)
    value, vector = eigsh(within, k=1, which="LA", v0=np.ones(matrix.shape[0]))
    return float(value[0]) ** 3, np.asarray(degree_power(degrees(matrix), -q / 2) * np.abs(vector[:, 0]))


def centred_walk(matrix: Any, p: float, q: float, c: float, device: str | None = None) -> ScoreRows:
    """The score of the module's text, for rows of pairs."""
    ends = degree_power(degrees(matrix), p)
    cube, z = leading(matrix, q) if c else (0.0, np.zeros(matrix.shape[0]))

    def scored(rows: NDArray[np.int64]) -> NDArray[Any]:
        inner = walk_scores(matrix, rows, exponents=(0, q, q, 0), device=device).astype(np.float64)
        return ends[rows, None] * (inner - c * cube * z[rows, None] * z) * ends

    return scored


def hide_a_tenth(matrix: Any, seed: int) -> tuple[Any, Any]:
    """(n, n) symmetric rest and hidden part of the given edges; self-loops stay in the rest."""
    upper = sp.triu(matrix, k=1).tocoo()
    chosen = np.random.default_rng(seed).permutation(upper.nnz) < round(SHARE * upper.nnz)
    half = sp.csr_array((upper.data[chosen], (upper.row[chosen], upper.col[chosen])), shape=matrix.shape)
    hidden = sp.csr_array(half + half.T)
    rest = sp.csr_array(matrix - hidden)
    rest.eliminate_zeros()
    return rest, hidden


@dataclass
class Validation:
    """The validation part of a symmetric matrix, and the mean precision of any scores on it."""

    matrix: Any
    seed: int = 0
    device: str | None = None
    rest: Any = field(init=False)
    rows: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        n = self.matrix.shape[0]
        self.rest, hidden = hide_a_tenth(self.matrix, self.seed)
        drawn = np.random.default_rng([self.seed, 1]).choice(n, min(SAMPLED, n), replace=False)
        self.rows = np.sort(drawn)
        self._free = np.arange(n) != self.rows[:, None]
        self._free[self.rest[self.rows].nonzero()] = False
        self._hit = (hidden[self.rows].toarray() != 0)[self._free]
        degree = degrees(self.rest)
        degree = np.log(np.where(degree > 0, degree, 1.0))  # a node without edges has no paths to weigh
        self._log_ends = (degree[self.rows, None] + degree)[self._free].astype(np.float32)
        self._walk = lru_cache(maxsize=4)(self._parts)

    def precision(self, scores: NDArray[Any]) -> float:
        """Of scores of the pairs that are free, in one row."""
        length = min(int(DEPTH * self._hit.sum()), len(scores))
        best = np.argpartition(-scores, length - 1)[:length]
        found = np.cumsum(self._hit[best[np.argsort(-scores[best], kind="stable")]])
        sizes = np.ceil(TENTHS * length).astype(np.int64)
        return float((found[sizes - 1] / sizes).mean())

    def _parts(self, q: int) -> tuple[NDArray[Any], NDArray[Any]]:
        inner = walk_scores(self.rest, self.rows, exponents=(0, q / 10, q / 10, 0), device=self.device)
        cube, z = leading(self.rest, q / 10)
        return inner[self._free], (cube * z[self.rows, None] * z)[self._free].astype(np.float32)

    def of(self, setting: Tenths) -> float:
        p, q, c = setting
        inner, told = self._walk(q)
        left = inner - np.float32(c / 10) * told if c else inner
        return self.precision(left * np.exp(np.float32(p / 10) * self._log_ends))


def choose(matrix: Any, seed: int = 0, device: str | None = None) -> tuple[Chosen, Chosen]:
    """The best setting with c = 0, and with any c, for the edges of ``matrix``; nothing else is read.

    p and q climb from (0, −1, 0); then all three climb from where they came, and from (0, −1, 1), which is R(3).
    """
    value = Validation(matrix, seed, device).of
    first = climb(value, UNCENTRED, EXPONENTS)
    found = first | climb(value, max(first, key=lambda s: first[s]), ALL_MOVES) | climb(value, EXACT, ALL_MOVES)
    return _chosen(first, UNCENTRED), _chosen(found, EXACT)


def _chosen(found: dict[Tenths, float], start: Tenths) -> Chosen:
    best = max(found, key=lambda setting: found[setting])
    p, q, c = (number / 10 for number in best)
    return Chosen(p, q, c, found[start], found[best], len(found))


def climb(value: Callable[[Tenths], float], start: Tenths, moves: tuple[Tenths, ...]) -> dict[Tenths, float]:
    """All settings that were tried, with their values: one move after the other, either way, while the value rises."""
    tried = {start: value(start)}
    best, before = start, None
    while best != before:
        before = best
        for move in moves:
            for way in (-1, 1):
                while True:
                    candidate = (best[0] + way * move[0], best[1] + way * move[1], best[2] + way * move[2])
                    if candidate not in tried:
                        tried[candidate] = value(candidate)
                    if tried[candidate] <= tried[best]:
                        break
                    best = candidate
    return tried
