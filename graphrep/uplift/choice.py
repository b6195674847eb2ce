"""Which candidate is published, and how far it is drawn to the average effect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from graphrep.uplift.scores import mean_error, quantile
from graphrep.uplift.stages import COMPLEXITY, CONSTANT, Fits, best_level, mean_and_spread

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# Standard errors by which a gain must be above 0 before the constant effect is left.
LEAVE = quantile(0.80)


@dataclass(frozen=True)
class Judged:
    """One candidate of one arm, judged on hosts that neither it nor its nuisances were fitted to.

    Attributes:
        name: of the candidate.
        slope: calibration slope, clipped to 0 … 1: what its deviations from the mean are multiplied by.
        slope_error: standard error of the slope before clipping, by groups.
        gain: doubly robust loss of the constant effect minus its own, after the slope.
        gain_error: standard error of the gain, by groups.
        level: penalty or number of trees, as a place in ``stages.PENALTIES`` or ``stages.TREES``.
    """

    name: str
    slope: float = 0.0
    slope_error: float = 0.0
    gain: float = 0.0
    gain_error: float = 0.0
    level: int = 0


def judge_all(held: Mapping[str, Floats], scores: Floats, weight: Floats, groups: Ints) -> tuple[Judged, list[Judged]]:
    """The simplest candidate that is not clearly worse than the lowest loss, and all, the lowest loss first.

    A candidate is not clearly worse within one standard error of the difference; the constant effect within
    ``LEAVE``, so that it is left only where the one-sided 90 % bound of the gain is above 0. A gain of one error is a
    slope of two, which the best of three candidates reaches on one arm in some twenty without any heterogeneity; a
    gain of 1.28 errors is a slope of 2.56.

    The loss is the doubly robust one, ``mean w (φ − τ(x))²``, of ``τ = mean φ + b (held − mean held)`` with the
    slope b of a regression of φ on the held predictions (the best linear predictor of Chernozhukov, Demirer, Duflo,
    Fernández-Val, NBER 24678), clipped to 0 … 1. Differences are taken row by row and their errors by groups. Where
    no candidate tells rows apart, the slope is 0 and the constant effect stands.

    Args:
        held: candidate → (L, n) predictions of each level; the constant one is always there too.
        scores: (n,) φ.
        weight: (n,).
        groups: (n,) codes.
    """
    off = scores - weight @ scores / weight.sum()
    gains = {CONSTANT: np.zeros(len(off))}
    judged = {CONSTANT: Judged(CONSTANT)}
    for name, levels in held.items():
        judged[name], gains[name] = _judge(name, levels, off, weight, groups)
    best = max(judged.values(), key=lambda one: one.gain)
    within = []
    for one in judged.values():
        behind = gains[best.name] - gains[one.name]
        allowed = LEAVE if one.name == CONSTANT else 1.0
        if best.gain - one.gain <= allowed * mean_error(behind[:, None], weight, groups)[0]:
            within.append(one)
    ordered = sorted(judged.values(), key=lambda one: -one.gain)
    return min(within, key=lambda one: (COMPLEXITY[one.name], -one.gain)), ordered


@dataclass(frozen=True)
class Published:
    """A candidate fitted to all kept rows; ``centre`` is the mean of its predictions there."""

    judged: Judged
    fits: Fits
    centre: float

    def deviation(self, X: Floats) -> tuple[Floats, Floats]:
        """Deviations (n,) from the average effect after the slope, and their standard errors (n,)."""
        mean, spread = mean_and_spread(self.fits, X, self.judged.level)
        off = mean - self.centre
        return self.judged.slope * off, np.hypot(self.judged.slope * spread, self.judged.slope_error * off)


@dataclass(frozen=True)
class Chosen:
    """The published final stage of one arm.

    Attributes:
        judged: figures of the chosen candidate.
        all_judged: figures of every candidate, the lowest loss first.
        own: the chosen candidate; None for the constant effect.
        rival: the candidate with the lowest loss, where the chosen one is simpler than it.
    """

    judged: Judged
    all_judged: list[Judged]
    own: Published | None
    rival: Published | None

    def deviation(self, X: Floats, errors: bool) -> tuple[Floats, Floats]:
        """Deviations (n,) from the average effect and, where asked for, their standard errors (n,), else zeros.

        What separates the chosen candidate from the one with the lowest loss counts as an error: the simpler one was
        taken because the data could not tell them apart.
        """
        off, error = np.zeros(len(X)), np.zeros(len(X))
        if self.own is not None:
            off, error = self.own.deviation(X)
        if errors and self.rival is not None:
            error = np.hypot(error, self.rival.deviation(X)[0] - off)
        return off, error


def _judge(name: str, levels: Floats, off: Floats, weight: Floats, groups: Ints) -> tuple[Judged, Floats]:
    """The candidate's figures, and its gain over the constant effect row by row (n,)."""
    total = float(weight.sum())
    level = best_level(levels, off, weight)
    moved = levels[level] - weight @ levels[level] / total
    size = float(weight @ moved**2)
    if size <= 1e-18 * total:
        return Judged(name), np.zeros(len(off))
    raw = float(weight @ (moved * off)) / size
    slope = float(np.clip(raw, 0.0, 1.0))
    pull = moved * (off - raw * moved)
    slope_error = float(mean_error(pull[:, None], weight, groups)[0]) * total / size
    gains = off**2 - (off - slope * moved) ** 2
    error = float(mean_error(gains[:, None], weight, groups)[0])
    return Judged(name, slope, slope_error, float(weight @ gains) / total, error, level), gains
