"""How one day's vectors stand to those of the release that is served: numbers for gates, from arrays alone.

What each number sees and what it cannot see: ``docs/publishing.md``, "Gates". The average vector's cosine, popular as
it is, is not here: it stays at 1 under most faults.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Ints = NDArray[np.int64]

_SAME = 0.01
"""Difference of two vectors, as a share of their length, up to which they count as one: steps of int8, not learning."""

_BATCH = 256


def non_finite_rows(vectors: Floats) -> int:
    """Rows of (n, d) vectors with a NaN or an infinity."""
    return int((~np.isfinite(vectors).all(axis=1)).sum())


def zero_row_share(vectors: Floats) -> float:
    """Share of rows that are all zero; 0 for no rows."""
    return float(np.mean(~vectors.any(axis=1))) if len(vectors) else 0.0


def median_norm(vectors: Floats) -> float:
    """Median Euclidean length of the finite rows that are not all zero; NaN if there is none."""
    norms = np.linalg.norm(vectors.astype(np.float64), axis=1)
    norms = norms[np.isfinite(norms) & (norms > 0)]
    return float(np.median(norms)) if len(norms) else math.nan


def cosines(now: Floats, before: Floats) -> Doubles:
    """(n,) cosine of each row to the same key's row before; 0 where one of them is zero or not finite."""
    a, b = _directions(now), _directions(before)
    return np.asarray(np.einsum("ij,ij->i", a, b))


def unchanged_share(now: Floats, before: Floats) -> float:
    """Share of rows that are what they were, but for steps of what they are kept in; 0 for no rows.

    >>> unchanged_share(np.array([[1, 0], [0, 2]], np.float32), np.array([[1, 0], [0, 1]], np.float32))
    0.5
    """
    if not len(now):
        return 0.0
    a, b = now.astype(np.float64), before.astype(np.float64)
    return float(np.mean(np.linalg.norm(a - b, axis=1) <= _SAME * np.linalg.norm(b, axis=1)))


def neighbor_overlap(now: Floats, before: Floats, asked: Ints, k: int = 10) -> float:
    """Mean share of the k nearest rows by cosine, of those that were asked, that are the same on both sides.

    Blind to a turn of the whole space; sees single rows under other keys, and vectors learnt anew.

    Args:
        now, before: (n, d), row i is the same key in both; k below n.
        asked: rows whose neighbours are compared.
    """
    a, b = _directions(now), _directions(before)
    shares = []
    for start in range(0, len(asked), _BATCH):
        rows = asked[start : start + _BATCH]
        near, was = _nearest(a, rows, k), _nearest(b, rows, k)
        shares += [len(np.intersect1d(x, y)) / k for x, y in zip(near, was, strict=True)]
    return float(np.mean(shares)) if shares else math.nan


def strata(degree: Ints, most: int) -> dict[str, Ints]:
    """Rows of the fifth with most edges ("head") and of the half with fewest ("tail"), at most so many of each.

    >>> {name: rows.tolist() for name, rows in strata(np.array([5, 1, 9, 2, 3]), most=9).items()}
    {'head': [2], 'tail': [1, 3]}
    """
    order = np.argsort(-degree, kind="stable")
    n = len(order)
    parts = {"head": order[: n // 5], "tail": order[n - n // 2 :]}
    return {name: np.sort(evenly(rows, most)) for name, rows in parts.items()}


def evenly(rows: Ints, most: int) -> Ints:
    """At most so many of the rows, evenly spread over their order.

    >>> evenly(np.arange(10), most=4).tolist()
    [0, 3, 6, 9]
    """
    if len(rows) <= most:
        return rows
    return rows[np.linspace(0, len(rows) - 1, most).astype(np.int64)]


def bootstrap(statistic: Callable[[Ints], float], n: int, *, seed: int, times: int = 200) -> tuple[float, float]:
    """The middle 95 % of a statistic over n rows drawn with replacement (Efron, Annals of Statistics 7, 1979).

    Args:
        statistic: (n,) rows, some of them repeated → a number.
    """
    chance = np.random.default_rng(seed)
    found = [statistic(chance.integers(0, n, n)) for _ in range(times)]
    low, high = np.quantile(found, [0.025, 0.975])
    return float(low), float(high)


def _directions(vectors: Floats) -> Doubles:
    """Rows of length 1; zeros where there is no direction."""
    finite = np.isfinite(vectors).all(axis=1, keepdims=True)
    wide = np.where(finite, vectors, 0).astype(np.float64)
    norms = np.linalg.norm(wide, axis=1, keepdims=True)
    return np.asarray(wide / np.where(norms > 0, norms, 1))


def _nearest(directions: Doubles, rows: Ints, k: int) -> Ints:
    scores = directions[rows] @ directions.T
    scores[np.arange(len(rows)), rows] = -np.inf
    return np.argpartition(-scores, k - 1, axis=1)[:, :k]
