"""How strong a confounder that nothing shows would have to be to explain an effect away."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Noise:
    """What confounding works on, (K,) each: unexplained outcome ``σ² = mean (Y − μ_A)²`` and size of the weights
    ``ν² = mean α²``, ``α = 1{A = a}/e_a − 1{A = 0}/e_0``; means over kept rows, by arm against the control.
    """

    outcome: Floats
    weights: Floats


def noise(outcome: Floats, arm: Ints, expected: Floats, propensity: Floats) -> Noise:
    """``Noise`` of n kept rows: outcomes, arms (n,), expected outcomes and propensities (n, K+1)."""
    rows = np.arange(len(arm))
    off = (outcome - expected[rows, arm]) ** 2
    found = []
    for number in range(1, expected.shape[1]):
        inside = np.isin(arm, (0, number))
        alpha = inside / propensity[rows, arm]
        found.append((off[inside].mean(), float((alpha**2).mean())))
    left, right = np.array(found).T
    return Noise(left, right)


def robustness(value: Floats, of: Noise) -> Floats:
    """Robustness values (K,): the share r of both the unexplained outcome and the weights that a confounder must
    explain to bring an effect to 0, ``r²/(1 − r) = value² / (σ² ν²)``.

    Source: Chernozhukov, Cinelli, Newey, Sharma, Syrgkanis, Long Story Short: Omitted Variable Bias in Causal Machine
    Learning, NBER 30302 (2022).

    >>> robustness(np.array([0.5]), Noise(np.array([1.0]), np.array([0.5]))).round(3)
    array([0.5])
    """
    return _share(value**2 / (of.outcome * of.weights))


def strength(full: Noise, without: Noise) -> Floats:
    """How strong a family of columns is, (K,), in the unit of ``robustness``: what it alone explains of both.

    Args:
        full: with all columns.
        without: with that family left out.
    """
    explained = np.maximum(1.0 - full.outcome / without.outcome, 0.0)
    moved = np.maximum(full.weights / without.weights - 1.0, 0.0)
    return _share(explained * moved)


def marginal_bounds(outcome: Floats, arm: Ints, expected: Floats, propensity: Floats, gamma: float) -> Floats:
    """(K, 2) lowest and highest average effects where odds of an arm may be off by a factor ``gamma`` either way.

    Each arm's mean is ``mean μ_a`` plus the weighted mean of its residuals, with weights free within
    ``1 + (1/e − 1)/Γ … 1 + (1/e − 1) Γ``. Source: Zhao, Small, Bhattacharya, JRSS B 81 (2019).

    Args:
        outcome, arm: (n,) of kept rows.
        expected, propensity: (n, K+1).
        gamma: Γ, 1 or more.

    >>> y, arm = np.array([0.0, 1.0, 1.0, 2.0]), np.array([0, 0, 1, 1])
    >>> marginal_bounds(y, arm, np.zeros((4, 2)), np.full((4, 2), 0.5), 1.0)
    array([[1., 1.]])
    """
    ends = []
    for number in range(expected.shape[1]):
        own = arm == number
        left = outcome[own] - expected[own, number]
        odds = 1.0 / propensity[own, number] - 1.0
        high = _extreme(left, 1 + odds / gamma, 1 + odds * gamma)
        low = -_extreme(-left, 1 + odds / gamma, 1 + odds * gamma)
        middle = float(expected[:, number].mean())
        ends.append((middle + low, middle + high))
    control = ends[0]
    return np.array([[low - control[1], high - control[0]] for low, high in ends[1:]])


def _extreme(values: Floats, least: Floats, most: Floats) -> float:
    """The highest weighted mean of ``values``: the largest get their most, the others their least."""
    order = np.argsort(-values, kind="stable")
    y, low, high = values[order], least[order], most[order]
    above = np.concatenate([[0.0], np.cumsum(high * y)]) + np.concatenate([np.cumsum((low * y)[::-1])[::-1], [0.0]])
    total = np.concatenate([[0.0], np.cumsum(high)]) + np.concatenate([np.cumsum(low[::-1])[::-1], [0.0]])
    return float((above / total).max())


def _share(ratio: Floats) -> Floats:
    return np.asarray((np.sqrt(ratio**2 + 4 * ratio) - ratio) / 2)
