"""Uplift metrics of other libraries, from outcomes of treated and control rows alone, for tables that quote them.

They compare the treated with the controls of the first k rows as if the arms had been drawn by lot. On policy
traffic a score that has nothing to do with the effect, but with who is treated, comes out on top; so each of them
asks whether rows are ``randomised`` and refuses where one is not. On such rows use ``graphrep.evaluate.uplift``.

Notation: rows by score, highest first; k = 1 … n; ``n_t, n_c`` treated and control rows among the first k, ``Y_t,
Y_c`` their sums of outcomes. Rows of equal score enter together: a curve is read after each distinct score and is
straight between.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from graphrep.errors import InputError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class _Counts:
    """After each distinct score: rows so far, and of treated and controls their rows and sums of outcomes."""

    n: Floats
    n_t: Floats
    n_c: Floats
    y_t: Floats
    y_c: Floats


def sklift_qini(outcome: ArrayLike, score: ArrayLike, treatment: ArrayLike, randomised: ArrayLike) -> float:
    """scikit-uplift's ``qini_auc_score``: ``(area of Q − triangle) / (area of the perfect Q − triangle)``.

    ``Q = Y_t − Y_c n_t / n_c`` (0 / 0 as 0), areas by trapezoids, the triangle under the line from 0 to Q(n); the
    perfect order is treated responders first and control responders last.

    Args:
        outcome: (n,) 0 or 1.
        score: (n,).
        treatment: (n,) 0 or 1.
        randomised: (n,) or one bool: whether the arm of a row was drawn by lot.

    Raises:
        InputError: a row that is not randomised, outcomes or arms other than 0 and 1, one arm only, NaN scores.

    >>> round(sklift_qini([1, 1, 0, 0], [3, 2, 1, 0], [1, 0, 1, 0], randomised=True), 4)
    0.0
    """
    y, by, t = _checked(outcome, score, treatment, randomised, binary=True)
    return _ratio(_qini_curve, y, by, t, y * t - y * (1 - t))


def sklift_auuc(outcome: ArrayLike, score: ArrayLike, treatment: ArrayLike, randomised: ArrayLike) -> float:
    """scikit-uplift's ``uplift_auc_score``: as ``sklift_qini`` with ``U = (Y_t/n_t − Y_c/n_c) k``.

    The perfect order is by ``2 [y = t] + y``, or ``2 [y = t] + t`` where the control responders are not more than
    the treated that do not respond. Arguments and errors: see ``sklift_qini``.

    >>> round(sklift_auuc([1, 1, 0, 0], [3, 2, 1, 0], [1, 0, 1, 0], randomised=True), 4)
    -0.1111
    """
    y, by, t = _checked(outcome, score, treatment, randomised, binary=True)
    more_responders = ((y == 1) & (t == 0)).sum() > ((y == 0) & (t == 1)).sum()
    return _ratio(_uplift_curve, y, by, t, 2.0 * (y == t) + (y if more_responders else t))


def causalml_auuc(outcome: ArrayLike, score: ArrayLike, treatment: ArrayLike, randomised: ArrayLike) -> float:
    """causalml's ``auuc_score``: ``Σ_{k=0..n} U(k) / |U(n)| / (n + 1)``; a random order gives about 0.5.

    U as in ``sklift_auuc`` for any outcome; it is straight where a group is still empty. Equal to causalml where
    scores differ; where they do not, causalml's depends on the order of the rows. Unbounded where U(n) is near 0.

    Raises InputError also where U(n) is 0.

    >>> round(causalml_auuc([1, 0, 0, 0], [3, 2, 1, 0], [1, 0, 1, 0], randomised=True), 4)
    0.6
    """
    y, by, t = _checked(outcome, score, treatment, randomised, binary=False)
    counts = _counts(y, by, t)
    lift = _ratio_or_nan(counts.y_t, counts.n_t) - _ratio_or_nan(counts.y_c, counts.n_c)
    gain = counts.n * np.interp(counts.n, *_known(counts.n, lift))
    curve = np.interp(np.arange(len(y) + 1), np.append(0, counts.n), np.append(0, gain))
    return float(curve.mean() / _end(curve))


def causalml_qini(outcome: ArrayLike, score: ArrayLike, treatment: ArrayLike, randomised: ArrayLike) -> float:
    """causalml's ``qini_score``: mean over k = 0 … n of ``Q(k) / |Q(n)|`` less that of the line from 0 to its end.

    Arguments, errors and ties: see ``causalml_auuc``.

    >>> round(causalml_qini([1, 0, 0, 0], [3, 2, 1, 0], [1, 0, 1, 0], randomised=True), 4)
    0.2
    """
    y, by, t = _checked(outcome, score, treatment, randomised, binary=False)
    counts = _counts(y, by, t)
    values = counts.y_t - counts.n_t * _ratio_or_nan(counts.y_c, counts.n_c)
    curve = np.interp(np.arange(len(y) + 1), *_known(counts.n, values))
    return float((curve - np.linspace(0.0, curve[-1], len(curve))).mean() / _end(curve))


def uplift_at_k(
    outcome: ArrayLike, score: ArrayLike, treatment: ArrayLike, randomised: ArrayLike, share: float = 0.3
) -> float:
    """``Y_t/n_t − Y_c/n_c`` of the first ``share`` of the rows; rows of the last score enter in proportion.

    >>> uplift_at_k([1, 0, 0, 0], [3, 3, 1, 1], [1, 0, 1, 0], randomised=True, share=0.5)
    1.0
    """
    y, by, t = _checked(outcome, score, treatment, randomised, binary=False)
    if not 0 < share <= 1:
        raise InputError("a share above 0 and up to 1", found=f"{share:g}", where="share")
    counts = _counts(y, by, t)
    n_t, n_c, y_t, y_c = (
        float(np.interp(share * len(y), np.append(0, counts.n), np.append(0, column)))
        for column in (counts.n_t, counts.n_c, counts.y_t, counts.y_c)
    )
    if min(n_t, n_c) <= 0:
        raise InputError("treated and control rows in the share", found=f"{n_t:g} and {n_c:g}", where="share")
    return y_t / n_t - y_c / n_c


def _checked(
    outcome: ArrayLike, score: ArrayLike, treatment: ArrayLike, randomised: ArrayLike, binary: bool
) -> tuple[Floats, Floats, Floats]:
    y, by, t = (np.asarray(values, dtype=np.float64) for values in (outcome, score, treatment))
    if y.ndim != 1 or not y.shape == by.shape == t.shape:
        found = f"shapes {y.shape}, {by.shape}, {t.shape}"
        raise InputError("outcomes, scores and arms (n,)", found=found, where="outcome, score, treatment")
    lot = np.broadcast_to(np.asarray(randomised, dtype=bool), y.shape)
    if not lot.all():
        fix = "take the randomised rows, or qini of graphrep.evaluate.metrics on doubly robust scores"
        raise InputError("rows whose arm was drawn by lot", found=f"{int((~lot).sum())} of policy traffic", fix=fix)
    if not np.isfinite(y).all() or np.isnan(by).any():
        raise InputError("finite outcomes and scores without NaN", found="others", where="outcome, score")
    if set(np.unique(t)) != {0.0, 1.0}:
        found = f"labels {np.unique(t).tolist()[:5]}"
        raise InputError("arms 0 and 1, both of them", found=found, where="treatment", fix="take one arm at a time")
    if binary and not np.isin(y, (0.0, 1.0)).all():
        raise InputError("outcomes 0 and 1", found="others", where="outcome")
    return y, by, t


def _counts(y: Floats, by: Floats, t: Floats) -> _Counts:
    order = np.argsort(-by, kind="stable")
    y, by, t = y[order], by[order], t[order]
    ends = np.append(np.flatnonzero(np.diff(by)), len(by) - 1)
    n, n_t = ends + 1.0, np.cumsum(t)[ends]
    return _Counts(n, n_t, n - n_t, np.cumsum(y * t)[ends], np.cumsum(y * (1 - t))[ends])


def _qini_curve(counts: _Counts) -> Floats:
    return counts.y_t - counts.y_c * _ratio_or_zero(counts.n_t, counts.n_c)


def _uplift_curve(counts: _Counts) -> Floats:
    return (_ratio_or_zero(counts.y_t, counts.n_t) - _ratio_or_zero(counts.y_c, counts.n_c)) * counts.n


def _ratio(curve: Callable[[_Counts], Floats], y: Floats, by: Floats, t: Floats, perfect: Floats) -> float:
    """(area − triangle) / (perfect area − triangle)."""
    areas = []
    for order in (by, perfect):
        counts = _counts(y, order, t)
        values = curve(counts)
        x, height = np.append(0, counts.n), np.append(0, values)
        areas.append(float(np.trapezoid(height, x)) - float(counts.n[-1] * values[-1]) / 2)
    return areas[0] / areas[1]


def _known(n: Floats, values: Floats) -> tuple[Floats, Floats]:
    """Places and values of a curve from 0 on, without those at which a group is still empty."""
    known = np.isfinite(values)
    return np.append(0, n[known]), np.append(0, values[known])


def _end(curve: Floats) -> float:
    if curve[-1] == 0:
        raise InputError("a difference between the arms other than 0", found="0", where="outcome, treatment")
    return abs(float(curve[-1]))


def _ratio_or_zero(upper: Floats, lower: Floats) -> Floats:
    return np.divide(upper, lower, out=np.zeros_like(upper), where=lower != 0)


def _ratio_or_nan(upper: Floats, lower: Floats) -> Floats:
    return np.divide(upper, lower, out=np.full_like(upper, np.nan), where=lower != 0)
