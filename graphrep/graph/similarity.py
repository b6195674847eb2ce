"""Pairs of items that are alike: cosine neighbours, exact, without an n × n matrix."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from graphrep.errors import InputError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_STEP = 2.0**-26
"""Components of unit vectors are rounded to this. Products are then whole multiples of 2^-52, and a cosine's sum of
them needs at most 53 bits: a matrix product in float64 is exact, whatever the order, the blocks and the threads."""
_MILLIONTHS = 1_000_000
_BLOCK = 1 << 22
"""Cosines held at once: 32 MiB of float64."""


def similar_pairs(
    x: ArrayLike, y: ArrayLike | None = None, *, k: int, min_cosine: float, limit: int | None = None
) -> tuple[Ints, Ints, Floats]:
    """The most alike pairs of rows: for each row of ``x`` its ``k`` nearest of ``y``, then the strongest of all.

    Gelato's augmentation (Mattos et al., KDD 2025, arXiv 2412.00261) adds the pairs of largest cosine as edges; the
    bound of k per row keeps one dense cluster from taking them all.

    Args:
        x: (n, d) vectors, rows in the order of their keys.
        y: (m, d) vectors of the same space. None: pairs inside ``x``, no row with itself, each unordered pair once.
        k: pairs of each row of ``x``, at most. Inside ``x`` a pair counts if either end has chosen the other.
        min_cosine: least cosine of a pair.
        limit: pairs in all; None: all of them.

    Returns:
        Rows i of ``x`` and j of ``y`` (inside ``x``: i < j) and their cosine, the strongest first. Cosines are in steps
        of 1e-6, exact to one of them, and on that everything is decided; equal ones are ordered by row. A row that is
        zero or not finite has no pair. Neither threads nor blocks change the result.

    Raises:
        InputError: not two matrices of the same number of columns, k or limit below 0.

    >>> i, j, cosine = similar_pairs([[1, 0], [1, 1], [0, 2]], k=1, min_cosine=0.5)
    >>> i.tolist(), j.tolist(), cosine.tolist()
    ([0, 1], [1, 2], [0.707107, 0.707107])
    """
    if k < 1 or (limit is not None and limit < 0):
        raise InputError("k of at least 1 and a limit of at least 0", found=f"k {k}, limit {limit}")
    left, left_rows = _unit_rows(x, "x")
    right, right_rows = (left, left_rows) if y is None else _unit_rows(y, "y")
    if left.shape[1] != right.shape[1]:
        raise InputError("vectors of one space", found=f"{left.shape[1]} and {right.shape[1]} columns")
    i, j, millionths = _nearest(left, right, k, min_cosine, inside=y is None)
    if y is None:
        low, high = np.minimum(i, j), np.maximum(i, j)
        _, first = np.unique(low * len(left) + high, return_index=True)
        i, j, millionths = low[first], high[first], millionths[first]
    strongest = np.lexsort((j, i, -millionths))[:limit]
    return left_rows[i[strongest]], right_rows[j[strongest]], millionths[strongest] / _MILLIONTHS


def _unit_rows(vectors: ArrayLike, name: str) -> tuple[Floats, Ints]:
    """The rows that have a direction, of length 1 in steps of 2^-26, and which they are."""
    given = np.asarray(vectors)
    if given.ndim != 2 or given.dtype.kind not in "fiu":
        raise InputError("a matrix of real numbers", found=f"{given.dtype} of shape {given.shape}", where=name)
    exact = given.astype(np.float64)
    # By its largest component first, so that the squares of huge and of tiny numbers stay within range.
    scale = np.abs(exact).max(axis=1, initial=0)
    rows = np.flatnonzero(np.isfinite(scale) & (scale > 0))
    units = exact[rows] / scale[rows, None]
    units /= np.sqrt(np.square(units).sum(axis=1, keepdims=True))
    return np.rint(units / _STEP) * _STEP, rows


def _nearest(left: Floats, right: Floats, k: int, min_cosine: float, *, inside: bool) -> tuple[Ints, Ints, Ints]:
    n, m = len(left), len(right)
    k = min(k, m - 1 if inside else m)
    if n == 0 or k < 1:
        none = np.zeros(0, np.int64)
        return none, none, none
    found = []
    step = max(1, _BLOCK // m)
    least = np.rint(min_cosine * _MILLIONTHS)
    for start in range(0, n, step):
        cosines = left[start : start + step] @ right.T
        if inside:
            own = np.arange(len(cosines))
            cosines[own, start + own] = -2.0
        found.append(_best(cosines, k, least, start))
    i, j, millionths = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return i, j, millionths


def _best(cosines: Floats, k: int, least: float, start: int) -> tuple[Ints, Ints, Ints]:
    """Of each row the k largest, the earlier column among equals."""
    m = cosines.shape[1]
    # One whole number, exact in float64, that orders by rounded cosine first and by column then.
    ranks = np.rint(cosines * _MILLIONTHS) * m - np.arange(m)
    columns = np.argpartition(ranks, m - k, axis=1)[:, m - k :]
    best = np.take_along_axis(ranks, columns, axis=1)
    millionths = (best + columns) / m
    row, place = np.nonzero(millionths >= least)
    return start + row, columns[row, place], millionths[row, place].astype(np.int64)
