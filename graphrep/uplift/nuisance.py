"""What must be known beside the effect: who is treated, and what happens under each arm. Cross-fitted.

Each model is fitted on the training rows of a fold and read on its test rows. How many trees, and whether trees,
lines or their mean are read, is chosen by the loss on all test rows together: a handful of numbers that many
thousand rows choose.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import lightgbm
import numpy as np
from numpy.typing import NDArray

from graphrep.errors import InputError
from graphrep.uplift import boosting, linear
from graphrep.uplift.boosting import Boosting, binned, common_length, part, train
from graphrep.uplift.overlap import calibration, recalibrated
from graphrep.uplift.readers import ArmOutcome, Assigned, Responded
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
    ends = _chances(rows, settings, policy)
    held = np.full((2, len(rows.X), rows.n_arms), np.nan)
    for end, (_, test) in zip(ends, rows.folds, strict=True):
        held[:, test] = end.both(rows.X[test])
    tested = np.flatnonzero(policy & ~np.isnan(held[0, :, 0]))
    own, weight = rows.arms[tested], rows.weight[tested]
    found: list[tuple[float, str, float | None, Floats | None]] = []
    for word, share in (("logistic", 0.0), ("mean", 0.5), ("trees", 1.0)):
        e = share * held[1, tested] + (1 - share) * held[0, tested]
        fits = calibration(e, own, weight)
        changed = not SLOPES[0] <= fits[-1] <= SLOPES[1]
        e = recalibrated(e, fits) if changed else e
        found.append((_log_loss(e, own, weight), word, share, fits if changed else None))
    loss, name, trees, theta = min(found, key=lambda one: one[0])
    shares = np.bincount(own, weights=weight) / weight.sum()
    if _log_loss(np.broadcast_to(shares, (len(own), len(shares))), own, weight) <= loss:
        name, trees, theta = "shares", None, None
    models = [replace(end, shares=shares, trees=trees, theta=theta) for end in ends]
    return Nuisance(models[0].mixed(*held), models, name if theta is None else f"{name}, recalibrated")


def _chances(rows: Rows, settings: Boosting, policy: Bools) -> list[Assigned]:
    """A logistic regression and boosted trees of the arms for each fold; which of them is read is not chosen yet."""
    objective, arms = ("multiclass", rows.n_arms) if rows.n_arms > 2 else ("binary", 1)
    parameters = settings.parameters(objective, rows.seed, rows.threads, arms)
    fitted, curves = [], []
    for sides in rows.folds:
        training, test = (side[policy[side]] for side in sides)
        scale, own, weight = linear.Scale.of(rows.X[training]), rows.arms[training], rows.weight[training]
        line = linear.logistic(scale(rows.X[training]), own, weight, rows.seed)
        label = rows.arms.astype(np.float64)
        parts = [part(rows.bins, side, label[side], rows.weight[side]) for side in (training, test)]
        booster, curve = train(settings, parameters, *parts)
        fitted.append((scale, line, booster))
        curves.append(curve)
    length, none = common_length(curves), np.zeros(rows.n_arms)
    return [Assigned(none, *one, length, rows.threads) for one in fitted]


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

    models = [
        Responded(booster, length, rows.threads, scale, [arm[fold] for arm, _ in found])
        for fold, (booster, scale) in enumerate(zip(pooled, scales, strict=True))
    ]
    return Nuisance(_held(rows, models), models, ",".join(f"{blend:g}" for _, blend in found))


def _of_arm(
    rows: Rows, settings: Boosting, objective: str, arm: int, raw: Sequence[Floats], scales: Sequence[linear.Scale]
) -> tuple[list[ArmOutcome], float]:
    """The outcome models of one arm, one for each fold, and the weight of the trees in them."""
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

    def folds(count: int, blend: float) -> list[ArmOutcome]:
        return [
            ArmOutcome(b, rows.threads, line, count, blend, rows.binary)
            for b, line in zip(boosters, lines, strict=True)
        ]

    tried: list[tuple[float, list[ArmOutcome], float]] = []
    for count in (0, trees):
        pairs = [
            one.both(rows.X[side], scales[fold](rows.X[side]), raw[fold][side])
            for fold, (one, side) in enumerate(zip(folds(count, 1.0), sides, strict=True))
        ]
        grown, line = (np.concatenate(values) for values in zip(*pairs, strict=True))
        for blend in BLENDS:
            loss = _loss(label, blend * grown + (1 - blend) * line, weight, rows.binary)
            tried.append((loss, folds(count, blend), blend))
    return min(tried, key=lambda one: one[0])[1:]


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
