"""What one fold's nuisance models are once they are fitted: trees, lines and a few numbers that can be written down."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import lightgbm
import numpy as np
from numpy.typing import NDArray

from graphrep.uplift import linear
from graphrep.uplift.boosting import read
from graphrep.uplift.overlap import recalibrated

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Assigned:
    """Who is treated, by the models of one fold.

    Attributes:
        shares: (K+1,) of the arms.
        scale, line: logistic regression on standardised columns.
        booster, length: trees, and how many of them are read, by ``threads``.
        trees: weight of the trees in their mean with the logistic; None where the shares alone are read.
        theta: (K+1,) of ``graphrep.uplift.overlap.calibration``; None where nothing is changed.
    """

    shares: Floats
    scale: linear.Scale
    line: linear.Logistic
    booster: lightgbm.Booster
    length: int
    threads: int
    trees: float | None = None
    theta: Floats | None = None

    def __call__(self, X: Floats) -> Floats:
        """(n, K+1) propensities."""
        if self.trees is None:
            return np.broadcast_to(self.shares, (len(X), len(self.shares)))
        return self.mixed(*self.both(X))

    def both(self, X: Floats) -> tuple[Floats, Floats]:
        """(n, K+1) propensities by the line and by the trees."""
        grown = read(self.booster, X, self.threads, self.length)
        if grown.ndim == 1:
            grown = np.column_stack([1.0 - grown, grown])
        return self.line.predict_proba(self.scale(X)), grown

    def mixed(self, line: Floats, grown: Floats) -> Floats:
        """The published mean of both, (n, K+1), NaN where they are."""
        if self.trees is None:
            return np.where(np.isnan(line), np.nan, self.shares)
        e = self.trees * grown + (1 - self.trees) * line
        return e if self.theta is None else recalibrated(e, self.theta)


@dataclass(frozen=True)
class ArmOutcome:
    """What happens under one arm, by the models of one fold.

    Attributes:
        booster, trees: trees that go on from the pooled ones, and how many of them are read, by ``threads``.
        line: (p + 1, 1) ridge line.
        blend: weight of the trees in their mean with the line.
        binary: whether outcomes are 0 and 1.
    """

    booster: lightgbm.Booster
    threads: int
    line: Floats
    trees: int
    blend: float
    binary: bool

    def both(self, X: Floats, Z: Floats, start: Floats) -> tuple[Floats, Floats]:
        """Expected outcomes (n,) by the trees and by the line."""
        raw = start
        if self.trees:
            raw = raw + read(self.booster, X, self.threads, self.trees, raw=True)
        line = linear.at(Z, self.line)[:, 0]
        if not self.binary:
            return raw, line
        return 1.0 / (1.0 + np.exp(-raw)), np.clip(line, 0.001, 0.999)

    def expected(self, X: Floats, Z: Floats, start: Floats) -> Floats:
        """Expected outcomes (n,)."""
        grown, line = self.both(X, Z, start)
        return np.asarray(self.blend * grown + (1 - self.blend) * line)


@dataclass(frozen=True)
class Responded:
    """What happens under each arm, by the models of one fold: trees for all arms together, and those of each arm."""

    pooled: lightgbm.Booster
    length: int
    threads: int
    scale: linear.Scale
    arms: Sequence[ArmOutcome]

    def __call__(self, X: Floats) -> Floats:
        """(n, K+1) expected outcomes."""
        start = read(self.pooled, X, self.threads, self.length, raw=True)
        Z = self.scale(X)
        return np.column_stack([arm.expected(X, Z, start) for arm in self.arms])


@dataclass(frozen=True)
class TwoParts:
    """Expected outcomes that are mostly 0, by the models of one fold: see ``graphrep.uplift.two_part``.

    Attributes:
        whole: of the outcome as it is.
        chance, size: of being above 0, and of the outcome where it is.
        share: (K+1,) weight of their product in each arm.
    """

    whole: Callable[[Floats], Floats]
    chance: Callable[[Floats], Floats]
    size: Callable[[Floats], Floats]
    share: Floats

    def __call__(self, X: Floats) -> Floats:
        """(n, K+1) expected outcomes."""
        product = self.chance(X) * self.size(X)
        return np.asarray(self.share * product + (1 - self.share) * self.whole(X))
