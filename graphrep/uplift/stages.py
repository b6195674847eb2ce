"""Final stages: an effect as a function of the covariates, fitted to many halves of the hosts.

The spread of the fits around their mean is the error of a prediction (the half-sample bootstrap: the variance of a
half around the whole is that of the whole around the truth). Halves come in pairs that share no host.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import lightgbm
import numpy as np
from numpy.typing import NDArray

from graphrep.uplift import linear
from graphrep.uplift.boosting import Boosting, part, read, train

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

CONSTANT, LINEAR, DR, RA = "constant", "linear", "dr", "ra"
# What can be asked for; several of the last three are published as their mean by weights.
CANDIDATES = (CONSTANT, LINEAR, DR, RA)
MEAN = "mean"

# Trees of a level, at the rate at which each adds its own.
TREES = (8, 15, 30, 60)
RATE = 0.08
PENALTIES = np.array([0.01, 0.1, 1.0])


class Fits(Protocol):
    """One candidate fitted to many halves, at several levels of how closely it follows the data."""

    def levels(self, X: Floats) -> Floats:
        """(L, m) means over the halves, one row for each level."""
        ...

    def each(self, X: Floats, level: int) -> Iterator[Floats]:
        """Predictions (m,) of each half at one level."""
        ...


@dataclass(frozen=True)
class Part:
    """One candidate in a published mean.

    Attributes:
        name: of the candidate.
        share: of it in the mean; those of all parts add up to 1.
        level: at which it is read.
        centre: mean of its predictions on the rows of the fit.
        fits: to halves that all parts share.
    """

    name: str
    share: float
    level: int
    centre: float
    fits: Fits


def read_parts(parts: Sequence[Part], X: Floats) -> tuple[Floats, Floats, Floats]:
    """Deviations from the centres: their mean (m,), its standard deviation over the halves, and that over the parts."""
    total, squares, count = np.zeros(len(X)), np.zeros(len(X)), 0
    sums = np.zeros((len(parts), len(X)))
    for half in zip(*(one.fits.each(X, one.level) for one in parts), strict=True):
        value = np.zeros(len(X))
        for place, (one, own) in enumerate(zip(parts, half, strict=True)):
            sums[place] += own - one.centre
            value += one.share * (own - one.centre)
        total += value
        squares += value**2
        count += 1
    mean = total / count
    spread = np.sqrt(np.maximum(squares / count - mean**2, 0.0) * count / max(count - 1, 1))
    shares = np.array([one.share for one in parts])
    return mean, spread, np.sqrt(shares @ (sums / count - mean) ** 2)


def halves_of(groups: Ints, count: int, seed: int) -> list[Ints]:
    """``count`` halves, rounded up to pairs that share no group, as ascending rows.

    >>> [half.tolist() for half in halves_of(np.array([0, 0, 1, 1]), 2, seed=0)]
    [[0, 1], [2, 3]]
    """
    codes = np.unique(groups, return_inverse=True)[1]
    size = int(codes.max()) + 1
    draws = np.random.default_rng(seed)
    found = []
    for _ in range((count + 1) // 2):
        first = np.zeros(size, dtype=bool)
        first[draws.permutation(size)[: size // 2]] = True
        found += [np.flatnonzero(first[codes]), np.flatnonzero(~first[codes])]
    return found


@dataclass(frozen=True)
class Lines:
    """Ridge lines (H, p + 1, L), one for each half and penalty."""

    scale: linear.Scale
    table: Floats

    @classmethod
    def fit(cls, X: Floats, label: Floats, weight: Floats, halves: Sequence[Ints]) -> Lines:
        """Lines of X (n, p) to labels (n,)."""
        scale = linear.Scale.of(X)
        Z = scale(X)
        return cls(scale, np.stack([linear.ridge(Z[half], label[half], weight[half], PENALTIES) for half in halves]))

    def levels(self, X: Floats) -> Floats:
        return linear.at(self.scale(X), self.table.mean(axis=0)).T

    def each(self, X: Floats, level: int) -> Iterator[Floats]:
        yield from linear.at(self.scale(X), self.table[:, :, level].T).T


@dataclass(frozen=True)
class Trees:
    """Small, slow trees, one sequence for each half, up to the last of the ``levels`` that were asked for."""

    boosters: Sequence[lightgbm.Booster]
    threads: int

    @classmethod
    def fit(
        cls,
        source: Source,
        rows: Ints,
        label: Floats,
        weight: Floats,
        halves: Sequence[Ints],
        seed: int,
        level: int = len(TREES) - 1,
    ) -> Trees:
        """Trees on the ``rows`` (n,) of ``source`` with labels (n,), as many as ``level`` reads."""
        leaf = leaf_rows(len(rows) // 2)
        settings = Boosting(TREES[level], rate=RATE, leaves=6, min_leaf=leaf, columns=0.7)
        boosters = []
        for number, half in enumerate(halves):
            parameters = settings.parameters("regression", seed + number, source.threads)
            chosen = part(source.bins, rows[half], label[half], weight[half])
            boosters.append(train(settings, parameters, chosen)[0])
        return cls(boosters, source.threads)

    def levels(self, X: Floats) -> Floats:
        total = np.zeros((len(TREES), len(X)))
        for booster in self.boosters:
            start = 0
            for level, end in enumerate(TREES):
                total[level] += read(booster, X, self.threads, end - start, start)
                start = end
        return np.asarray(np.cumsum(total, axis=0) / len(self.boosters))

    def each(self, X: Floats, level: int) -> Iterator[Floats]:
        for booster in self.boosters:
            yield read(booster, X, self.threads, TREES[level])


@dataclass(frozen=True)
class Source:
    """Where trees take their rows from: all rows in bins, and the threads."""

    bins: lightgbm.Dataset
    threads: int


def leaf_rows(rows: int) -> int:
    """Rows of a leaf of a final tree: a fiftieth of the rows, at least 500 where there are 10,000 or more.

    >>> leaf_rows(1_000), leaf_rows(20_000), leaf_rows(100_000)
    (50, 500, 2000)
    """
    return max(rows // 50, min(500, rows // 20), 5)


def regression_adjusted(outcome: Floats, arms: Ints, expected: Floats, arm: int) -> Floats:
    """Regression-adjusted effects (n,): ``Y − μ_0`` in the arm, ``μ_a − Y`` in the control, else ``μ_a − μ_0``.

    Source: Curth, van der Schaar, Nonparametric Estimation of Heterogeneous Treatment Effects, AISTATS 2021.

    >>> regression_adjusted(np.array([1.0, 0.0]), np.array([1, 0]), np.array([[0.25, 0.5], [0.25, 0.5]]), 1)
    array([0.75, 0.5 ])
    """
    found = expected[:, arm] - expected[:, 0]
    found = np.where(arms == arm, outcome - expected[:, 0], found)
    return np.where(arms == 0, expected[:, arm] - outcome, found)


def best_level(held: Floats, judge: Floats, weight: Floats) -> int:
    """Which row of ``held`` (L, n) has the lowest loss against ``judge`` (n,), centred and at its best slope."""
    losses = []
    for values in held:
        off = values - weight @ values / weight.sum()
        moment, size = weight @ (off * judge), weight @ off**2
        slope = float(np.clip(moment / size, 0, 1)) if size > 0 else 0.0
        losses.append(slope**2 * size - 2 * slope * moment)
    return int(np.argmin(losses))
