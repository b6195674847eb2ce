"""The rows whose arm was drawn by lot: was it the lot that was logged, and do its errors hold."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from graphrep.uplift import linear
from graphrep.uplift.boosting import Boosting, binned, part, read, train
from graphrep.uplift.frame import Frame
from graphrep.uplift.scores import mean_error, quantile
from graphrep.uplift.splits import host_folds

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FOLDS = 3


@dataclass(frozen=True)
class Statistic:
    """A statistic and the chance of one as far out where nothing is wrong."""

    statistic: float
    p: float


def mismatch(frame: Frame) -> Statistic:
    """Do the counts of the arms agree with the logged chances (sample-ratio mismatch)?

    Wald's chi-square of ``Σ (1{A = a} − e_a)``, a = 1..K, with covariances by hosts, so that a lot drawn once for a
    host is judged rightly too.

    Args:
        frame: rows drawn by lot.
    """
    off = (frame.arm[:, None] == np.arange(frame.n_arms)) - frame.propensity
    sums = np.column_stack([np.bincount(frame.codes, column) for column in off[:, 1:].T])
    total = sums.sum(axis=0)
    statistic = float(total @ np.linalg.pinv(sums.T @ sums) @ total)
    # The sum itself is in its covariance: without it, a large mismatch would be its own excuse.
    statistic = statistic / max(1.0 - statistic / len(sums), 1e-9)
    return Statistic(statistic, chi_square_tail(statistic, frame.n_arms - 1))


def predictability(frame: Frame, seed: int = 0) -> Statistic:
    """Can a classifier tell the arms beyond their logged chances (classifier two-sample test)?

    ``p̂`` is the mean of a multinomial logistic regression and of boosted trees, of other hosts. Where the lot is as
    logged, ``Σ_i Σ_a (1{A = a} − e_a)(p̂_a − e_a)`` has mean 0 whatever p̂ is; the statistic is that sum over its error
    by hosts, the test one-sided.

    Args:
        frame: rows drawn by lot.
        seed: of the folds and the trees.
    """
    count, value = frame.n_arms, np.zeros(len(frame))
    settings = Boosting(40, rate=0.1, leaves=6, min_leaf=max(len(frame) // 50, 5))
    parameters = settings.parameters("multiclass", seed, 1, count) | {"num_class": count}
    bins = binned(frame.X, 1)
    for training, test in host_folds(frame.codes, FOLDS, seed):
        arms = frame.arm[training]
        if len(np.unique(arms)) < count:
            return Statistic(0.0, 1.0)
        scale = linear.Scale.of(frame.X[training])
        line = linear.logistic(scale(frame.X[training]), arms, np.ones(len(arms)), seed)
        rows = part(bins, training, arms.astype(np.float64), np.ones(len(arms)))
        grown = read(train(settings, parameters, rows)[0], frame.X[test], 1, settings.trees)
        guess = (line.predict_proba(scale(frame.X[test])) + grown) / 2
        e = frame.propensity[test]
        value[test] = (((frame.arm[test][:, None] == np.arange(count)) - e) * (guess - e)).sum(axis=1)
    error = float(mean_error(value[:, None], np.ones(len(value)), frame.codes)[0])
    statistic = float(value.mean()) / error if error > 0 else 0.0
    return Statistic(statistic, 1.0 - NormalDist().cdf(statistic))


def false_rejections(residual: Floats, codes: Ints, replications: int = 500, seed: int = 0) -> float:
    """A/A: how often a nominal 5 % test with errors by hosts rejects where hosts are split at random.

    Args:
        residual: (n,) outcomes minus what was expected of them, of rows drawn by lot.
        codes: (n,) hosts.
        replications: random splits.
        seed: of the splits.

    >>> draws = np.random.default_rng(0)
    >>> 0.02 < false_rejections(draws.normal(size=2000), np.arange(2000) // 5) < 0.09
    True
    """
    count = int(codes.max()) + 1
    sums, rows = np.bincount(codes, residual), np.bincount(codes).astype(np.float64)
    draws = np.random.default_rng(seed)
    rejected = 0
    for _ in range(replications):
        own = np.where(draws.permutation(count) < count // 2, 2.0, -2.0) * sums
        mean = own.sum() / rows.sum()
        error = math.sqrt(float(((own - rows * mean) ** 2).sum()) * count / max(count - 1, 1)) / rows.sum()
        rejected += bool(abs(mean) > quantile(0.95) * error)
    return rejected / replications


def chi_square_tail(value: float, degrees: int) -> float:
    """The chance that a chi-square variable of whole ``degrees`` is above ``value``.

    >>> round(chi_square_tail(3.841, 1), 3), round(chi_square_tail(18.307, 10), 3)
    (0.05, 0.05)
    """
    half = max(value, 0.0) / 2
    if degrees % 2:
        tail, term, start = math.erfc(math.sqrt(half)), math.exp(-half) * math.sqrt(half) * 2 / math.sqrt(math.pi), 1
    else:
        tail, term, start = math.exp(-half), math.exp(-half) * half, 2
    for step in range(start, degrees, 2):
        tail += term
        term *= half / (step / 2 + 1)
    return tail
