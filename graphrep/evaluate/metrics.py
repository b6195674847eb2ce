"""Ranking metrics, each with its formula.

All of ``*_at_k``, ``average_precision`` and ``mrr`` take ``ranked``, (n, K) int, the candidates of each row
best first with −1 as padding that never hits, and ``relevant``, one collection of ints for each row; or a
single row of both. Rule for ties: the order in ``ranked`` is final, ``top_k`` makes it with the lower index
first. A candidate that is repeated hits at its first place only. A row without relevant candidates says
nothing: it is left out of the mean, and is NaN with ``per_row=True``, which returns (n,) float64. The mean
over no row is NaN. Wrong shapes and k below 1 raise InputError.

Notation: ``h_i`` is 1 if the candidate at place i = 1, 2, … is relevant and else 0; ``R`` is the number of
distinct relevant candidates. Source, where none is named: Manning, Raghavan, Schütze, Introduction to
Information Retrieval (2008), sections 8.3 and 8.4. Metrics of effects stand in ``uplift`` and ``uplift_naive``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from itertools import chain
from typing import Any, Literal, overload

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

from graphrep.errors import InputError
from graphrep.evaluate.uplift import autoc as autoc
from graphrep.evaluate.uplift import auuc as auuc
from graphrep.evaluate.uplift import best_constant_arm as best_constant_arm
from graphrep.evaluate.uplift import policy_value as policy_value
from graphrep.evaluate.uplift import qini as qini
from graphrep.evaluate.uplift import toc_curve as toc_curve
from graphrep.evaluate.uplift_naive import causalml_auuc as causalml_auuc
from graphrep.evaluate.uplift_naive import causalml_qini as causalml_qini
from graphrep.evaluate.uplift_naive import sklift_auuc as sklift_auuc
from graphrep.evaluate.uplift_naive import sklift_qini as sklift_qini
from graphrep.evaluate.uplift_naive import uplift_at_k as uplift_at_k

Relevant = Sequence[Collection[int]] | Collection[int]
Rows = NDArray[np.float64]
Indices = NDArray[np.int64]
Yes = Literal[True]
No = Literal[False]


def top_k(scores: ArrayLike, k: int, exclude: Any = None) -> Indices:
    """Indices of the k best candidates of each row, best first; among equal scores the lower index first.

    Args:
        scores: (n, m), or (m,) for a single row. A score of −inf is never ranked.
        k: places.
        exclude: candidates that are never ranked: one collection of ints for each row (for a single row just
            that), or an (n, m) scipy.sparse matrix, of which the non-zero entries count.

    Returns:
        (n, min(k, m)) int64, or (min(k, m),) for a single row; −1 where a row has no more candidates.

    Raises:
        InputError: k below 1, NaN scores, or an exclude of another size.

    >>> top_k([[1.0, 3.0, 3.0, 2.0]], 3, exclude=[[3]])
    array([[1, 2, 0]])
    """
    _check_k(k)
    given = np.asarray(scores)
    table = np.array(np.atleast_2d(given), dtype=np.result_type(given, np.float32))
    if table.ndim != 2:
        raise InputError("scores of one or two dimensions", found=f"shape {given.shape}", where="top_k")
    if np.isnan(table).any():
        raise InputError("scores without NaN", found=f"{int(np.isnan(table).sum())} NaN", where="top_k")
    if exclude is not None:
        table[_excluded(exclude, table.shape, given.ndim == 1)] = -np.inf
    best = _best(table, min(k, table.shape[1]))
    return best[0] if given.ndim == 1 else best


def _best(table: NDArray[Any], k: int) -> Indices:
    if k == 0:
        return np.zeros((len(table), 0), np.int64)
    # All above the k-th value, and of those equal to it the leftmost, as many as are still missing: a sort of
    # whole rows would give the same, at several times the cost.
    kth = np.partition(table, table.shape[1] - k, axis=1)[:, -k, None]
    above, equal = table > kth, table == kth
    missing = k - above.sum(axis=1, keepdims=True)
    chosen = np.nonzero(above | (equal & (np.cumsum(equal, axis=1) <= missing)))[1].reshape(len(table), k)
    values = np.take_along_axis(table, chosen, axis=1)
    order = np.argsort(-values, axis=1, kind="stable")
    return np.take_along_axis(np.where(np.isneginf(values), -1, chosen), order, axis=1)


def _excluded(exclude: Any, shape: tuple[int, ...], single: bool) -> tuple[Indices, Indices]:
    if sp.issparse(exclude):
        if exclude.shape != shape:
            raise InputError(f"shape {shape}", found=f"shape {exclude.shape}", where="top_k exclude")
        rows, columns = exclude.nonzero()
        return rows, columns
    collections = [exclude] if single else exclude
    if len(collections) != shape[0]:
        raise InputError(f"{shape[0]} collections", found=str(len(collections)), where="top_k exclude")
    rows, columns = _flat(collections)
    inside = (columns >= 0) & (columns < shape[1])
    return rows[inside], columns[inside]


@overload
def precision_at_k(ranked: ArrayLike, relevant: Relevant, k: int, per_row: No = ...) -> float: ...
@overload
def precision_at_k(ranked: ArrayLike, relevant: Relevant, k: int, per_row: Yes) -> Rows: ...
def precision_at_k(ranked: ArrayLike, relevant: Relevant, k: int, per_row: bool = False) -> float | Rows:
    """``P@k = (Σ_{i≤k} h_i) / k``; the divisor stays k where fewer are ranked. Ties: see the module.

    >>> precision_at_k([[7, 3, 5]], [{3, 9}], k=2)
    0.5
    """
    hits, total = _hits(ranked, relevant, k)
    return _result(hits.sum(axis=1) / k, total, per_row)


@overload
def recall_at_k(ranked: ArrayLike, relevant: Relevant, k: int, per_row: No = ...) -> float: ...
@overload
def recall_at_k(ranked: ArrayLike, relevant: Relevant, k: int, per_row: Yes) -> Rows: ...
def recall_at_k(ranked: ArrayLike, relevant: Relevant, k: int, per_row: bool = False) -> float | Rows:
    """``Recall@k = (Σ_{i≤k} h_i) / R``; below 1 whatever the order where R > k. Ties: see the module.

    >>> recall_at_k([[7, 3, 5]], [{3, 9}], k=3)
    0.5
    """
    hits, total = _hits(ranked, relevant, k)
    return _result(hits.sum(axis=1) / np.maximum(total, 1), total, per_row)


@overload
def hit_rate_at_k(ranked: ArrayLike, relevant: Relevant, k: int, per_row: No = ...) -> float: ...
@overload
def hit_rate_at_k(ranked: ArrayLike, relevant: Relevant, k: int, per_row: Yes) -> Rows: ...
def hit_rate_at_k(ranked: ArrayLike, relevant: Relevant, k: int, per_row: bool = False) -> float | Rows:
    """``HR@k = max_{i≤k} h_i``: 1 for a row with any hit. Ties: see the module.

    Source: Deshpande, Karypis, Item-based Top-N Recommendation Algorithms, ACM TOIS 22 (2004), section 6.

    >>> hit_rate_at_k([[7, 3, 5], [1, 2, 4]], [{3, 5}, {6}], k=3)
    0.5
    """
    hits, total = _hits(ranked, relevant, k)
    return _result(np.asarray(hits.any(axis=1), dtype=np.float64), total, per_row)


@overload
def ndcg_at_k(ranked: ArrayLike, relevant: Relevant, k: int, per_row: No = ...) -> float: ...
@overload
def ndcg_at_k(ranked: ArrayLike, relevant: Relevant, k: int, per_row: Yes) -> Rows: ...
def ndcg_at_k(ranked: ArrayLike, relevant: Relevant, k: int, per_row: bool = False) -> float | Rows:
    """``NDCG@k = Σ_{i≤k} h_i/log2(i+1) / Σ_{i≤min(R,k)} 1/log2(i+1)``. Ties: see the module.

    Source: Järvelin, Kekäläinen, Cumulated Gain-based Evaluation of IR Techniques, ACM TOIS 20 (2002), with
    gain 0 or 1 and the discount log2(i+1) from the first place on.

    >>> ndcg_at_k([[3, 7, 5]], [{3}], k=3), round(ndcg_at_k([[7, 3, 5]], [{3}], k=3), 4)
    (1.0, 0.6309)
    """
    hits, total = _hits(ranked, relevant, k)
    discount = 1.0 / np.log2(np.arange(2, k + 2))
    ideal = np.concatenate([[np.nan], np.cumsum(discount)])[np.minimum(total, k)]
    gain = (hits * discount[: hits.shape[1]]).sum(axis=1)
    return _result(gain / ideal, total, per_row)


@overload
def average_precision(ranked: ArrayLike, relevant: Relevant, k: int | None = ..., per_row: No = ...) -> float: ...
@overload
def average_precision(ranked: ArrayLike, relevant: Relevant, k: int | None = ..., *, per_row: Yes) -> Rows: ...
def average_precision(
    ranked: ArrayLike, relevant: Relevant, k: int | None = None, per_row: bool = False
) -> float | Rows:
    """``AP = Σ_i h_i·P@i / R`` over all places; with k: over places ≤ k, divided by min(R, k).

    The mean over the rows is MAP. Ties: see the module.

    >>> average_precision([[3, 7, 5]], [{3, 5}])
    0.8333333333333333
    """
    hits, total = _hits(ranked, relevant, k)
    precision = np.cumsum(hits, axis=1) / np.arange(1, hits.shape[1] + 1)
    return _result((hits * precision).sum(axis=1) / np.clip(total, 1, k), total, per_row)


@overload
def mrr(ranked: ArrayLike, relevant: Relevant, k: int | None = ..., per_row: No = ...) -> float: ...
@overload
def mrr(ranked: ArrayLike, relevant: Relevant, k: int | None = ..., *, per_row: Yes) -> Rows: ...
def mrr(ranked: ArrayLike, relevant: Relevant, k: int | None = None, per_row: bool = False) -> float | Rows:
    """``RR = max_i h_i/i``: one over the place of the first hit, 0 without one (with k: within k).

    The mean over the rows is MRR. Source: Voorhees, The TREC-8 Question Answering Track Report (1999). Ties:
    see the module.

    >>> mrr([[7, 3, 5]], [{3, 5}])
    0.5
    """
    hits, total = _hits(ranked, relevant, k)
    places = np.arange(1, hits.shape[1] + 1)
    return _result((hits / places).max(axis=1, initial=0.0), total, per_row)


def link_precision_at(
    score_rows: Callable[[Indices], NDArray[Any]],
    known: Any,
    hidden: Any,
    fractions: Sequence[float] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
    block: int = 512,
) -> Rows:
    """``hits in the K best pairs / K`` for ``K = ceil(fraction · hidden pairs)``, over all pairs of one graph.

    Candidates are the unordered pairs u < v that are not in ``known``, ranked together; among equal scores
    the lower u, then the lower v comes first. Source: Huang, Silva, Singh, A Broader Picture of Random-walk
    Based Graph Embedding, KDD 2021, link prediction. Memory: ``block`` rows of scores and the best pairs so far.

    Args:
        score_rows: (b,) node indices → (b, n) scores of their pairs; only entries v > u are read.
        known: (n, n) scipy.sparse; a pair with a non-zero entry in either order is no candidate.
        hidden: (n, n) scipy.sparse; a pair with a non-zero entry in either order is a hit.
        fractions: of the number of hidden pairs, each > 0.
        block: rows scored at once.

    Returns:
        (len(fractions),) precision.

    Raises:
        InputError: no hidden pair, or NaN scores.

    >>> path = sp.csr_array(([1.0, 1.0], ([0, 1], [1, 2])), shape=(4, 4))
    >>> ends = sp.csr_array(([1.0], ([0], [2])), shape=(4, 4))
    >>> paths = ((path + path.T) @ (path + path.T)).toarray()
    >>> link_precision_at(lambda rows: paths[rows], path, ends, [1.0])
    array([1.])
    """
    n = known.shape[0]
    known, hidden = _upper(known), _upper(hidden)
    if hidden.nnz == 0:
        raise InputError("at least one hidden pair", found="none", where="link_precision_at")
    sizes = [math.ceil(round(fraction * hidden.nnz, 6)) for fraction in fractions]  # .7 · 10 is above 7
    pairs, scores = np.zeros(0, np.int64), np.zeros(0)
    for start in range(0, n, block):
        rows = np.arange(start, min(start + block, n))
        table = np.array(score_rows(rows))
        table[np.arange(n) <= rows[:, None]] = -np.inf
        table[known[rows].nonzero()] = -np.inf
        floor = scores.min() if len(scores) == max(sizes) else -np.inf
        new = np.flatnonzero(~(table.ravel() <= floor))  # an equal score comes after those found; NaN goes on
        pairs = np.concatenate([pairs, new + start * n])
        scores = np.concatenate([scores, table.ravel()[new]])
        best = top_k(scores, max(sizes))  # equal scores stay in the order of pairs, new ones behind them
        pairs, scores = pairs[best], scores[best]
    rows, columns = hidden.nonzero()
    hits = np.cumsum(np.isin(pairs, rows.astype(np.int64) * n + columns))
    return np.array([hits[min(size, len(hits)) - 1] / size if len(hits) else 0.0 for size in sizes])


def _upper(matrix: Any) -> Any:
    either = sp.csr_array(abs(matrix) + abs(matrix).T)
    return sp.csr_array(sp.triu(either, k=1))


def _hits(ranked: ArrayLike, relevant: Relevant, k: int | None) -> tuple[Rows, Indices]:
    """(n, min(k, K)) hits as 0.0 and 1.0, and (n,) R."""
    if k is not None:
        _check_k(k)
    given = np.asarray(ranked)
    if given.ndim not in (1, 2) or (given.size and given.dtype.kind not in "iu"):
        raise InputError(
            "ranked candidates as ints, (n, K) or (K,)",
            found=f"{given.dtype} of shape {given.shape}",
            where="ranked",
        )
    table = np.atleast_2d(given)[:, :k]
    collections = _collections(relevant, given.ndim == 1)
    if len(collections) != len(table):
        raise InputError(f"{len(table)} collections, one for each row", found=str(len(collections)), where="relevant")
    rows, items = _flat(collections)
    vocabulary = np.unique(np.append(items, -1))
    truth = np.unique(rows * len(vocabulary) + np.searchsorted(vocabulary, items))
    place = np.minimum(np.searchsorted(vocabulary, table), len(vocabulary) - 1)
    pair = np.arange(len(table))[:, None] * len(vocabulary) + place
    found = np.flatnonzero((vocabulary[place] == table) & (table >= 0) & np.isin(pair, truth))
    _, first = np.unique(pair.ravel()[found], return_index=True)
    hits = np.zeros(table.size)
    hits[found[first]] = 1.0
    return hits.reshape(table.shape), np.bincount(truth // len(vocabulary), minlength=len(table))


def _collections(relevant: Any, single: bool) -> Sequence[Collection[int]]:
    wrapped = not single or isinstance(next(iter(relevant), None), Collection)
    return relevant if wrapped else [relevant]


def _flat(collections: Sequence[Collection[int]]) -> tuple[Indices, Indices]:
    """Row number and value of every int."""
    sizes = [len(collection) for collection in collections]
    values = np.fromiter(chain.from_iterable(collections), dtype=np.int64, count=sum(sizes))
    return np.repeat(np.arange(len(sizes)), sizes), values


def _result(rows: Rows, total: Indices, per_row: bool) -> float | Rows:
    known = total > 0
    if per_row:
        return np.where(known, rows, np.nan)
    return float(rows[known].mean()) if known.any() else math.nan


def _check_k(k: int) -> None:
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1:
        raise InputError("an integer of at least 1", found=repr(k), where="k")
