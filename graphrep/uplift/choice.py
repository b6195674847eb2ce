"""Which candidates are published, in what shares, and how far they are drawn to the average effect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LinearRegression

from graphrep.uplift.scores import mean_error, quantile
from graphrep.uplift.stages import CONSTANT, MEAN, Part, best_level, read_parts

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# Standard errors by which a gain must be above 0 before the constant effect is left.
LEAVE = quantile(0.80)
# A candidate with a smaller share in the mean is left out: it would cost its trees and change nothing.
LEAST = 0.05


@dataclass(frozen=True)
class Judged:
    """One candidate of one arm, judged on hosts that neither it nor its nuisances were fitted to.

    Attributes:
        name: of the candidate.
        slope: calibration slope, bounded: what its deviations from the mean are multiplied by.
        slope_error: standard error of the slope before it is bounded, by groups.
        gain: doubly robust loss of the constant effect minus its own, after the slope.
        gain_error: standard error of the gain, by groups.
        level: penalty or number of trees, as a place in ``stages.PENALTIES`` or ``stages.TREES``; 0 for a mean.
    """

    name: str
    slope: float = 0.0
    slope_error: float = 0.0
    gain: float = 0.0
    gain_error: float = 0.0
    level: int = 0


@dataclass(frozen=True)
class Choice:
    """What is to be published of one arm.

    Attributes:
        judged: the constant effect, a candidate, or the mean of several.
        every: all candidates, the lowest loss first.
        shares: candidate → its share in ``judged``; they add up to 1, and there are none of the constant effect.
        apart: (n,) deviations from the average effect on held-out hosts, after the slope.
    """

    judged: Judged
    every: list[Judged]
    shares: Mapping[str, float]
    apart: Floats


def choose(held: Mapping[str, Floats], scores: Floats, weight: Floats, groups: Ints) -> Choice:
    """The constant effect, unless a candidate is clearly better; else the mean of candidates with the lowest loss.

    The constant effect is left only where the one-sided 90 % bound of the best candidate's gain is above 0. A gain of
    one error is a slope of two, which the best of three candidates reaches on one arm in some twenty without any
    heterogeneity; a gain of 1.28 errors is a slope of 2.56.

    Candidates are then weighed against each other instead of picked: non-negative least squares of φ on their held-out
    predictions (stacking: Breiman, Machine Learning 24, 1996). A day too small to tell a line from trees gives both
    a part, where picking one would be right or wrong altogether.

    The loss is the doubly robust one, ``mean w (φ − τ(x))²``, of ``τ = mean φ + b (held − mean held)`` with the
    slope b of a regression of φ on the held predictions (the best linear predictor of Chernozhukov, Demirer, Duflo,
    Fernández-Val, NBER 24678), at least 0. It is above 1 only as far as the slope less its standard error is: halves
    and penalties leave predictions too close together, but no noise may stretch them. Differences are taken row by row
    and their errors by groups. Where no candidate tells rows apart, the slope is 0 and the constant effect stands.

    Args:
        held: candidate → (L, n) predictions of each level; the constant one is always there too.
        scores: (n,) φ.
        weight: (n,).
        groups: (n,) codes.
    """
    off = scores - weight @ scores / weight.sum()
    every = [Judged(CONSTANT), *(_judge(name, levels, off, weight, groups) for name, levels in held.items())]
    every.sort(key=lambda one: -one.gain)
    best = every[0]
    if best.gain <= LEAVE * best.gain_error:
        return Choice(Judged(CONSTANT), every, {}, np.zeros(len(off)))
    moved = {one.name: _centred(held[one.name][one.level], weight) for one in every if one.slope > 0}
    shares = _shares(moved, off, weight) or {best.name: 1.0}
    mixed = np.asarray(sum(share * moved[name] for name, share in shares.items()))
    if len(shares) == 1:
        judged = next(one for one in every if one.name in shares)
    else:
        judged = _judge(MEAN, mixed[None], off, weight, groups)
    return Choice(judged, every, shares, judged.slope * mixed)


@dataclass(frozen=True)
class Published:
    """Candidates fitted to all kept rows, and the figures of their mean by shares."""

    judged: Judged
    parts: Sequence[Part]

    def deviation(self, X: Floats) -> tuple[Floats, Floats]:
        """Deviations (n,) from the average effect after the slope, and their standard errors (n,).

        What separates the parts counts as an error: the data could not tell which of them is right.
        """
        off, spread, apart = read_parts(self.parts, X)
        error = np.sqrt(spread**2 + apart**2) * self.judged.slope
        return self.judged.slope * off, np.hypot(error, self.judged.slope_error * off)


@dataclass(frozen=True)
class Chosen:
    """The published final stage of one arm.

    Attributes:
        judged: figures of what is published.
        all_judged: figures of every candidate, the lowest loss first.
        own: what is published; None for the constant effect.
        rival: beside the constant effect, the candidate with the lowest loss, if one has a lower one.
    """

    judged: Judged
    all_judged: list[Judged]
    own: Published | None
    rival: Published | None

    def deviation(self, X: Floats, errors: bool) -> tuple[Floats, Floats]:
        """Deviations (n,) from the average effect and, where asked for, their standard errors (n,), else zeros.

        What separates the constant effect from a candidate with a lower loss counts as an error: it was kept because
        the data could not tell them apart.
        """
        off, error = np.zeros(len(X)), np.zeros(len(X))
        if self.own is not None:
            off, error = self.own.deviation(X)
        if errors and self.rival is not None:
            error = np.abs(self.rival.deviation(X)[0])
        return off, error


def _shares(moved: Mapping[str, Floats], off: Floats, weight: Floats) -> dict[str, float]:
    """Shares of the candidates whose sum has the lowest loss; those under ``LEAST`` are left out."""
    columns = np.column_stack(list(moved.values()))
    found = LinearRegression(positive=True, fit_intercept=False).fit(columns, off, weight).coef_
    found = np.where(found >= LEAST * found.sum(), found, 0.0)
    return {name: float(own / found.sum()) for name, own in zip(moved, found, strict=True) if own > 0}


def _centred(values: Floats, weight: Floats) -> Floats:
    return np.asarray(values - weight @ values / weight.sum())


def _judge(name: str, levels: Floats, off: Floats, weight: Floats, groups: Ints) -> Judged:
    """The candidate's figures."""
    total = float(weight.sum())
    level = best_level(levels, off, weight)
    moved = _centred(levels[level], weight)
    size = float(weight @ moved**2)
    if size <= 1e-18 * total:
        return Judged(name)
    raw = float(weight @ (moved * off)) / size
    pull = moved * (off - raw * moved)
    slope_error = float(mean_error(pull[:, None], weight, groups)[0]) * total / size
    slope = float(np.clip(raw, 0.0, max(1.0, raw - slope_error)))
    gains = off**2 - (off - slope * moved) ** 2
    error = float(mean_error(gains[:, None], weight, groups)[0])
    return Judged(name, slope, slope_error, float(weight @ gains) / total, error, level)
