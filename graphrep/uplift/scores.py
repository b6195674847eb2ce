"""Doubly robust scores of every row and arm, and average effects with errors by cluster.

Score (augmented inverse probability weighting): ``Γ_a = μ_a(x) + 1{A = a} (Y − μ_a(x)) / e_a(x)``; the effect
score of arm a is ``φ_a = Γ_a − Γ_0``, whose mean given x is the effect when either μ or e is right. Source: Robins,
Rotnitzky, Zhao, JASA 89 (1994); cross-fitted as in Chernozhukov et al., Econometrics Journal 21 (2018).
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

KEPT = ""
NO_OVERLAP = "no_overlap"
NOT_TESTED = "not_tested"


@dataclass(frozen=True)
class AverageEffects:
    """Average effects of the arms against the control: values and standard errors, (K,) each."""

    value: Floats
    error: Floats

    def interval(self, level: float = 0.95) -> Floats:
        """(K, 2) normal interval.

        >>> AverageEffects(np.array([1.0]), np.array([0.5])).interval(0.95).round(2)
        array([[0.02, 1.98]])
        """
        half = quantile(level) * self.error
        return np.stack([self.value - half, self.value + half], axis=-1)


def potential_outcomes(outcome: Floats, arms: Ints, expected: Floats, propensity: Floats) -> Floats:
    """``Γ``, (n, K+1), of outcomes (n,), arms (n,), expected outcomes and propensities (n, K+1).

    >>> potential_outcomes(np.array([1.0]), np.array([1]), np.array([[0.2, 0.5]]), np.array([[0.5, 0.5]]))
    array([[0.2, 1.5]])
    """
    found = expected.copy()
    rows = np.arange(len(arms))
    found[rows, arms] += (outcome - expected[rows, arms]) / propensity[rows, arms]
    return found


def trimmed(propensity: Floats, arms: Ints, floor: float) -> NDArray[np.str_]:
    """Why a row is left out, (n,): "" for a kept one.

    ``no_overlap``: some arm has a propensity below ``min(floor, a tenth of the arm's share)``, so that a small arm
    does not take all rows with it. ``not_tested``: no fold tests the row. Rows are left out rather than their
    propensities clipped, which would change what is estimated without telling.

    >>> trimmed(np.array([[0.5, 0.5], [0.99, 0.01]]), np.array([0, 1]), 0.02).tolist()
    ['', 'no_overlap']
    """
    shares = np.bincount(arms, minlength=propensity.shape[1]) / len(arms)
    low = (propensity < np.minimum(floor, shares / 10)).any(axis=1)
    reason = np.where(low, NO_OVERLAP, KEPT)
    return np.where(np.isnan(propensity).any(axis=1), NOT_TESTED, reason)


def average_effects(effects: Floats, weight: Floats, groups: Ints) -> AverageEffects:
    """Weighted means of ``effects`` (n, K) with sandwich errors in which the rows of a group go together.

    ``se² = G/(G−1) Σ_g (Σ_{i∈g} w_i (φ_i − mean))² / (Σ w)²``.

    >>> average_effects(np.array([[1.0], [3.0]]), np.ones(2), np.array([0, 1])).error
    array([1.])
    """
    value = weight @ effects / weight.sum()
    return AverageEffects(value, mean_error(effects, weight, groups))


def mean_error(values: Floats, weight: Floats, groups: Ints) -> Floats:
    """Standard errors (K,) of the weighted means of ``values`` (n, K), by groups."""
    off = (values - weight @ values / weight.sum()) * weight[:, None]
    codes = np.unique(groups, return_inverse=True)[1]
    sums = np.column_stack([np.bincount(codes, column) for column in off.T])
    count = len(sums)
    return np.asarray(np.sqrt((sums**2).sum(axis=0) * count / max(count - 1, 1)) / weight.sum())


def quantile(level: float) -> float:
    """How many standard errors a normal interval of ``level`` has to each side.

    >>> round(quantile(0.95), 3)
    1.96
    """
    return NormalDist().inv_cdf(0.5 + level / 2)
