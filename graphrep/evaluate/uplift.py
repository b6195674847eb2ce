"""How well a score ranks by effect, and what following it is worth, on doubly robust scores.

``effects`` (n,) are doubly robust scores φ of one arm against the control, whose mean given x is the effect there
(``graphrep.uplift``); with them the metrics hold on policy traffic too. Rows are ordered by ``score``, highest
first; rows of equal score share their mean φ, so that the order of the rows never matters and a constant score ranks
nothing. With k = 1 … n, q = k/n, ``T(k) = mean φ of the first k`` and ``TOC(k) = T(k) − T(n)``; under weights k
counts weight and means are weighted. Source: Yadlowsky, Fleming, Shah, Brunskill, Wager, Evaluating Treatment
Prioritization Rules via Rank-Weighted Average Treatment Effects, JASA 120 (2025).

Errors are from a half-sample bootstrap of the groups (hosts, households): the standard deviation of the metric over
random halves.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from graphrep.errors import InputError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Estimate:
    """A value and its standard error, NaN where none was asked for."""

    value: float
    error: float

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Normal interval.

        >>> Estimate(1.0, 0.0).interval()
        (1.0, 1.0)
        """
        half = NormalDist().inv_cdf(0.5 + level / 2) * self.error
        return self.value - half, self.value + half


@dataclass(frozen=True)
class Sorted:
    """Rows by score, highest first: mean-tied φ of each, weight, group code, and which share a score."""

    effects: Floats
    weight: Floats
    groups: Ints
    ties: Ints


def autoc(
    score: ArrayLike,
    effects: ArrayLike,
    groups: ArrayLike | None = None,
    weight: ArrayLike | None = None,
    halves: int = 200,
    seed: int = 0,
) -> Estimate:
    """``AUTOC = Σ_k TOC(k) / n``: the mean gain of treating the first k over treating at random. Ties: see the module.

    Args:
        score: (n,) what rows are ranked by.
        effects: (n,) φ.
        groups: (n,) keys that errors keep together; each row by itself where none are given.
        weight: (n,) above 0.
        halves: of the bootstrap; 0 for no error.
        seed: of the bootstrap.

    Raises:
        InputError: lengths that differ, NaN, or no rows.

    >>> autoc([2, 1, 0], [3.0, 0.0, 0.0], halves=0).value
    0.8333333333333334
    """
    return _bootstrapped(_rank(score, effects, groups, weight), _autoc, halves, seed)


def qini(
    score: ArrayLike,
    effects: ArrayLike,
    groups: ArrayLike | None = None,
    weight: ArrayLike | None = None,
    halves: int = 200,
    seed: int = 0,
) -> Estimate:
    """``QINI = Σ_k q TOC(k) / n``: the area between the gain curve and a random order. Arguments: see ``autoc``.

    >>> qini([2, 1, 0], [3.0, 0.0, 0.0], halves=0).value
    0.3333333333333333
    """
    return _bootstrapped(_rank(score, effects, groups, weight), _qini, halves, seed)


def auuc(
    score: ArrayLike,
    effects: ArrayLike,
    groups: ArrayLike | None = None,
    weight: ArrayLike | None = None,
    halves: int = 200,
    seed: int = 0,
) -> Estimate:
    """``AUUC = Σ_k q T(k) / n``: the area under the gain curve, about QINI + T(n)/2. Arguments: see ``autoc``.

    >>> auuc([2, 1, 0], [3.0, 0.0, 0.0], halves=0).value
    1.0
    """
    return _bootstrapped(_rank(score, effects, groups, weight), _auuc, halves, seed)


def toc_curve(
    score: ArrayLike, effects: ArrayLike, weight: ArrayLike | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """q (n,) and TOC(q) (n,). Ties: see the module.

    >>> [values.tolist() for values in toc_curve([1, 0], [1.0, 0.0])]
    [[0.5, 1.0], [0.5, 0.0]]
    """
    rows = _rank(score, effects, None, weight)
    reached = np.cumsum(rows.weight)
    return reached / reached[-1], _toc(rows, reached)


def policy_value(
    decision: ArrayLike,
    potential: ArrayLike,
    groups: ArrayLike | None = None,
    weight: ArrayLike | None = None,
    against: ArrayLike | None = None,
) -> Estimate:
    """``V(π) = mean Γ_{π(x)}``: the outcome when each row gets the arm that π gives it; errors by group.

    Args:
        decision: (n,) arm of each row, 0..K.
        potential: (n, K+1) doubly robust potential outcomes Γ.
        groups: (n,) keys that errors keep together.
        weight: (n,) above 0.
        against: (n,) decisions of another policy, or one arm for all: the difference V(π) − V(against), paired.

    Raises:
        InputError: an arm that ``potential`` lacks, lengths that differ, or NaN.

    >>> policy_value([1, 0], [[0.0, 1.0], [0.0, -1.0]], against=1).value
    0.5
    """
    table = np.asarray(potential, dtype=np.float64)
    if table.ndim != 2 or np.isnan(table).any():
        raise InputError("potential outcomes (n, K+1) without NaN", found=f"shape {table.shape}", where="policy_value")
    value = _followed(decision, table, "decision")
    if against is not None:
        value = value - _followed(against, table, "against")
    shares = _weights(weight, len(table))
    mean = float(shares @ value / shares.sum())
    sums = np.bincount(_codes(groups, len(table)), shares * (value - mean))
    count = len(sums)
    error = math.sqrt(float((sums**2).sum()) * count / max(count - 1, 1)) / float(shares.sum())
    return Estimate(mean, error)


def best_constant_arm(potential: ArrayLike, weight: ArrayLike | None = None) -> int:
    """The arm with the highest mean Γ: the policy that a score has to beat.

    >>> best_constant_arm([[0.0, 1.0], [0.0, -3.0]])
    0
    """
    table = np.asarray(potential, dtype=np.float64)
    return int(np.argmax(_weights(weight, len(table)) @ table))


def _autoc(rows: Sorted) -> float:
    reached = np.cumsum(rows.weight)
    return float(rows.weight @ _toc(rows, reached) / reached[-1])


def _qini(rows: Sorted) -> float:
    reached = np.cumsum(rows.weight)
    return float(rows.weight @ (reached / reached[-1] * _toc(rows, reached)) / reached[-1])


def _auuc(rows: Sorted) -> float:
    reached = np.cumsum(rows.weight)
    return float(rows.weight @ np.cumsum(rows.weight * rows.effects) / reached[-1] ** 2)


def _toc(rows: Sorted, reached: Floats) -> Floats:
    mean = rows.weight @ rows.effects / reached[-1]
    found = np.cumsum(rows.weight * (rows.effects - mean)) / reached
    found[-1] = 0.0  # by definition; the sum leaves a rounding
    return np.asarray(np.zeros(len(found)) if rows.ties[-1] == 0 else found)


def _rank(score: ArrayLike, effects: ArrayLike, groups: ArrayLike | None, weight: ArrayLike | None) -> Sorted:
    by, values = np.asarray(score, dtype=np.float64), np.asarray(effects, dtype=np.float64)
    if by.ndim != 1 or by.shape != values.shape or not len(by):
        raise InputError("scores and effects (n,)", found=f"shapes {by.shape}, {values.shape}", where="score, effects")
    if np.isnan(by).any() or not np.isfinite(values).all():
        fix = "leave out trimmed rows"
        raise InputError("scores without NaN and finite effects", found="others", where="score, effects", fix=fix)
    order = np.argsort(-by, kind="stable")
    ties = np.concatenate([[0], np.cumsum(np.diff(by[order]) != 0)])
    shares = _weights(weight, len(by))[order]
    return _tied(Sorted(values[order], shares, _codes(groups, len(by))[order], ties))


def _tied(rows: Sorted) -> Sorted:
    """Rows of equal score with their weighted mean φ."""
    sums = np.bincount(rows.ties, rows.weight * rows.effects)
    mean = sums / np.maximum(np.bincount(rows.ties, rows.weight), np.finfo(float).tiny)
    return Sorted(mean[rows.ties], rows.weight, rows.groups, rows.ties)


def _bootstrapped(rows: Sorted, metric: Callable[[Sorted], float], halves: int, seed: int) -> Estimate:
    value = metric(rows)
    if halves < 2:
        return Estimate(value, math.nan)
    draws = np.random.default_rng(seed)
    count = int(rows.groups.max()) + 1
    found = []
    for _ in range(halves):
        inside = np.zeros(count, dtype=bool)
        inside[draws.permutation(count)[: (count + 1) // 2]] = True
        chosen = np.flatnonzero(inside[rows.groups])
        ties = np.unique(rows.ties[chosen], return_inverse=True)[1]
        half = Sorted(rows.effects[chosen], rows.weight[chosen], rows.groups[chosen], ties)
        found.append(metric(half))
    return Estimate(value, float(np.std(found, ddof=1)))


def _followed(decision: ArrayLike, table: Floats, name: str) -> Floats:
    arms = np.broadcast_to(np.asarray(decision), (len(table),)) if np.ndim(decision) == 0 else np.asarray(decision)
    if arms.shape != (len(table),) or arms.dtype.kind not in "iub":
        raise InputError(f"{len(table)} arms as ints", found=f"{arms.dtype} of shape {arms.shape}", where=name)
    if arms.min() < 0 or arms.max() >= table.shape[1]:
        raise InputError(f"arms 0 to {table.shape[1] - 1}", found=f"{arms.min()} to {arms.max()}", where=name)
    return np.asarray(table[np.arange(len(table)), arms.astype(np.int64)])


def _weights(weight: ArrayLike | None, rows: int) -> Floats:
    if weight is None:
        return np.ones(rows)
    given = np.asarray(weight, dtype=np.float64)
    if given.shape != (rows,) or not (np.isfinite(given) & (given > 0)).all():
        raise InputError(f"{rows} finite weights above 0", found=f"shape {given.shape}", where="weight")
    return given


def _codes(groups: ArrayLike | None, rows: int) -> Ints:
    if groups is None:
        return np.arange(rows)
    given = np.asarray(groups)
    if given.shape != (rows,):
        raise InputError(f"{rows} groups", found=f"shape {given.shape}", where="groups")
    return np.unique(given, return_inverse=True)[1].astype(np.int64)
