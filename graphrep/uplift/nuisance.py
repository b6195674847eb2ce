"""What must be known beside the effect: who is treated, and what happens under each arm. Cross-fitted.

Each model is fitted on the training rows of a fold and read on its test rows. How many trees, and whether trees,
lines or their mean are read, is chosen by the loss on all test rows together: a handful of numbers that many
thousand rows choose.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import lightgbm
import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from graphrep.errors import InputError
from graphrep.uplift import boosting, linear
from graphrep.uplift.boosting import Boosting, binned, common_length, part, train
from graphrep.uplift.overlap import calibration, recalibrated
from graphrep.uplift.splits import Fold

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

# Least probability that a loss is computed with.
LEAST = 1e-6
# Calibration slopes of propensities that are left as they are.
SLOPES = (0.9, 1.1)
# Shares of the trees in the mean of trees and lines that are tried, the line alone first.
BLENDS = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class Rows:
    """Checked rows of a fit: columns (n, p), arms (n,), outcomes (n,), weights (n,), and the folds."""

    X: Floats
    arms: Ints
    outcome: Floats
    weight: Floats
    folds: Sequence[Fold]
    bins: lightgbm.Dataset
    seed: int
    threads: int

    @property
    def n_arms(self) -> int:
        return int(self.arms.max()) + 1

    @property
    def binary(self) -> bool:
        return bool(np.isin(self.outcome, (0.0, 1.0)).all())

    @classmethod
    def of(
        cls, X: Floats, arms: Ints, outcome: Floats, weight: Floats, folds: Sequence[Fold], seed: int, threads: int
    ) -> Rows:
        """Rows whose every fold trains and tests on every arm."""
        ordered = [(np.sort(train), np.sort(test)) for train, test in folds]
        for number, sides in enumerate(ordered):
            for side, name in zip(sides, ("training", "test"), strict=True):
                missing = np.setdiff1d(np.unique(arms), arms[side])
                if len(missing):
                    where = f"{name} part of fold {number}"
                    raise InputError("rows of every arm", found=f"none of arm {missing[0]}", where=where)
        return cls(X, arms, outcome, weight, ordered, binned(X, threads), seed, threads)


@dataclass(frozen=True)
class Nuisance:
    """Values of the test rows, (n, K+1), NaN where no fold tests a row, and the mean of the folds' models."""

    held: Floats
    models: Sequence[Callable[[Floats], Floats]]
    chosen: str

    def __call__(self, X: Floats) -> Floats:
        """(n, K+1) values of new rows."""
        return np.asarray(np.mean([model(X) for model in self.models], axis=0))


def min_leaf(rows: int) -> int:
    """Rows of a leaf of a nuisance tree.

    >>> min_leaf(500), min_leaf(60_000)
    (5, 100)
    """
    return int(np.clip(rows // 100, 5, 100))


def assignment(rows: Rows, settings: Boosting, policy: Bools) -> Nuisance:
    """Propensities of all arms: their shares, a multinomial logistic, boosted trees, or the mean of the last two.

    Fitted to the rows under ``policy`` (n,), those whose chances were not logged: a lot among them would draw the
    policy's chances together. A candidate whose calibration slope is outside ``SLOPES`` is recalibrated once; the
    lowest log loss on held-out hosts is taken after that.
    """
    policy = _with_every_arm(rows, policy)
    chances = _Chances.fit(rows, settings, policy)
    held = np.full((2, len(rows.X), rows.n_arms), np.nan)
    for fold, (_, test) in enumerate(rows.folds):
        held[:, test] = chances.both(fold, rows.X[test])
    tested = np.flatnonzero(policy & ~np.isnan(held[0, :, 0]))
    own, weight = rows.arms[tested], rows.weight[tested]
    found: list[tuple[float, str, float, Floats | None]] = []
    for word, share in (("logistic", 0.0), ("mean", 0.5), ("trees", 1.0)):
        e = share * held[1, tested] + (1 - share) * held[0, tested]
        fits = calibration(e, own, weight)
        changed = not SLOPES[0] <= fits[-1] <= SLOPES[1]
        e = recalibrated(e, fits) if changed else e
        found.append((_log_loss(e, own, weight), word, share, fits if changed else None))
    loss, name, trees, theta = min(found, key=lambda one: one[0])
    shares = np.bincount(own, weights=weight) / weight.sum()
    if _log_loss(np.broadcast_to(shares, (len(own), len(shares))), own, weight) <= loss:
        models = [lambda X: np.broadcast_to(shares, (len(X), len(shares)))] * len(rows.folds)
        return Nuisance(np.where(np.isnan(held[0]), np.nan, shares), models, "shares")

    def mixed(line: Floats, grown: Floats) -> Floats:
        e = trees * grown + (1 - trees) * line
        return e if theta is None else recalibrated(e, theta)

    def reader(fold: int) -> Callable[[Floats], Floats]:
        return lambda X: mixed(*chances.both(fold, X))

    models = [reader(fold) for fold in range(len(rows.folds))]
    return Nuisance(mixed(*held), models, name if theta is None else f"{name}, recalibrated")


@dataclass(frozen=True)
class _Chances:
    """A logistic regression and boosted trees of the arms, one of each for each fold."""

    scales: Sequence[linear.Scale]
    lines: Sequence[LogisticRegression]
    boosters: Sequence[lightgbm.Booster]
    trees: int
    threads: int

    @classmethod
    def fit(cls, rows: Rows, settings: Boosting, policy: Bools) -> _Chances:
        objective, arms = ("multiclass", rows.n_arms) if rows.n_arms > 2 else ("binary", 1)
        parameters = settings.parameters(objective, rows.seed, rows.threads, arms)
        scales, lines, boosters, curves = [], [], [], []
        for sides in rows.folds:
            training, test = (side[policy[side]] for side in sides)
            scale, own, weight = linear.Scale.of(rows.X[training]), rows.arms[training], rows.weight[training]
            lines.append(linear.logistic(scale(rows.X[training]), own, weight, rows.seed))
            scales.append(scale)
            label = rows.arms.astype(np.float64)
            parts = [part(rows.bins, side, label[side], rows.weight[side]) for side in (training, test)]
            booster, curve = train(settings, parameters, *parts)
            boosters.append(booster)
            curves.append(curve)
        return cls(scales, lines, boosters, common_length(curves), rows.threads)

    def both(self, fold: int, X: Floats) -> tuple[Floats, Floats]:
        """(n, K+1) each, by the line and by the trees of a fold."""
        grown = boosting.read(self.boosters[fold], X, self.threads, self.trees)
        line = self.lines[fold].predict_proba(self.scales[fold](X))
        return np.asarray(line), grown if grown.ndim == 2 else np.column_stack([1.0 - grown, grown])


def _with_every_arm(rows: Rows, policy: Bools) -> Bools:
    """``policy``, or every row where some side of a fold has an arm in none of those rows."""
    for sides in rows.folds:
        for side in sides:
            if len(np.unique(rows.arms[side[policy[side]]])) < rows.n_arms:
                return np.ones(len(policy), dtype=bool)
    return policy


def _log_loss(propensity: Floats, arms: Ints, weight: Floats) -> float:
    own = propensity[np.arange(len(arms)), arms]
    return float(weight @ -np.log(np.maximum(own, LEAST)))


def response(rows: Rows, settings: Boosting) -> Nuisance:
    """Expected outcomes under each arm: trees for all arms together, continued on each arm's own rows, and a line."""
    objective = "binary" if rows.binary else "regression"
    parameters = settings.parameters(objective, rows.seed, rows.threads)
    pooled, curves = [], []
    for training, test in rows.folds:
        sides = [part(rows.bins, side, rows.outcome[side], rows.weight[side]) for side in (training, test)]
        booster, curve = train(settings, parameters, *sides)
        pooled.append(booster)
        curves.append(curve)
    length = common_length(curves)
    raw = [boosting.read(booster, rows.X, rows.threads, length, raw=True) for booster in pooled]
    scales = [linear.Scale.of(rows.X[training]) for training, _ in rows.folds]
    found = [_of_arm(rows, settings, objective, arm, raw, scales) for arm in range(rows.n_arms)]

    def reader(fold: int) -> Callable[[Floats], Floats]:
        def read(X: Floats) -> Floats:
            start = boosting.read(pooled[fold], X, rows.threads, length, raw=True)
            Z = scales[fold](X)
            return np.column_stack([arm.read(fold, X, Z, start) for arm in found])

        return read

    models = [reader(fold) for fold in range(len(rows.folds))]
    return Nuisance(_held(rows, models), models, ",".join(f"{arm.blend:g}" for arm in found))


@dataclass(frozen=True)
class _Arm:
    """The outcome models of one arm, one of each kind for each fold."""

    boosters: Sequence[lightgbm.Booster]
    lines: Sequence[Floats]
    trees: int
    blend: float
    binary: bool
    threads: int

    def both(self, fold: int, X: Floats, Z: Floats, start: Floats) -> tuple[Floats, Floats]:
        raw = start
        if self.trees:
            raw = raw + boosting.read(self.boosters[fold], X, self.threads, self.trees, raw=True)
        line = linear.at(Z, self.lines[fold])[:, 0]
        if not self.binary:
            return raw, line
        return 1.0 / (1.0 + np.exp(-raw)), np.clip(line, 0.001, 0.999)

    def read(self, fold: int, X: Floats, Z: Floats, start: Floats) -> Floats:
        grown, line = self.both(fold, X, Z, start)
        return np.asarray(self.blend * grown + (1 - self.blend) * line)


def _of_arm(
    rows: Rows, settings: Boosting, objective: str, arm: int, raw: Sequence[Floats], scales: Sequence[linear.Scale]
) -> _Arm:
    own = rows.arms == arm
    leaf = min_leaf(int(own.sum()))
    settings = Boosting(settings.trees, settings.rate, settings.leaves, leaf, settings.columns, settings.patience)
    parameters = settings.parameters(objective, rows.seed, rows.threads)
    parameters["boost_from_average"] = False
    boosters, lines, curves, sides = [], [], [], []
    for fold, (training, test) in enumerate(rows.folds):
        fit, read = training[own[training]], test[own[test]]
        parts = [part(rows.bins, side, rows.outcome[side], rows.weight[side], raw[fold][side]) for side in (fit, read)]
        booster, curve = train(settings, parameters, *parts)
        boosters.append(booster)
        curves.append(curve)
        label, weight = rows.outcome[fit], rows.weight[fit]
        lines.append(linear.ridge(scales[fold](rows.X[fit]), label, weight, np.array([0.01])))
        sides.append(read)
    trees = common_length(curves)
    held = np.concatenate(sides)
    label, weight = rows.outcome[held], rows.weight[held]

    def values(arm: _Arm) -> tuple[Floats, Floats]:
        pairs = [
            arm.both(fold, rows.X[side], scales[fold](rows.X[side]), raw[fold][side]) for fold, side in enumerate(sides)
        ]
        return np.concatenate([grown for grown, _ in pairs]), np.concatenate([line for _, line in pairs])

    tried: list[tuple[float, _Arm]] = []
    for count in (0, trees):
        grown, line = values(_Arm(boosters, lines, count, 1.0, rows.binary, rows.threads))
        for blend in BLENDS:
            loss = _loss(label, blend * grown + (1 - blend) * line, weight, rows.binary)
            tried.append((loss, _Arm(boosters, lines, count, blend, rows.binary, rows.threads)))
    return min(tried, key=lambda pair: pair[0])[1]


def _held(rows: Rows, models: Sequence[Callable[[Floats], Floats]]) -> Floats:
    held = np.full((len(rows.X), rows.n_arms), np.nan)
    for model, (_, test) in zip(models, rows.folds, strict=True):
        held[test] = model(rows.X[test])
    return held


def _loss(label: Floats, value: Floats, weight: Floats, binary: bool) -> float:
    if not binary:
        return float(weight @ (label - value) ** 2)
    value = np.clip(value, LEAST, 1 - LEAST)
    return float(-weight @ (label * np.log(value) + (1 - label) * np.log1p(-value)))
