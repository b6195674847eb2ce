"""What published effects are worth on hosts that they were not fitted to, and how they changed since yesterday."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from graphrep.errors import InputError
from graphrep.uplift.frame import Frame
from graphrep.uplift.learner import UpliftLearner
from graphrep.uplift.lot import Statistic, chi_square_tail
from graphrep.uplift.scores import KEPT, mean_error
from graphrep.uplift.stages import CONSTANT

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

DECILES = 10
# Share that an empty bin counts as in the stability index.
LEAST = 1e-4


@dataclass(frozen=True)
class HeldOut:
    """One arm's effects, judged by φ of hosts that they were not fitted to.

    Attributes:
        constant: every row is given the average effect; then there is nothing more to be judged.
        slope, slope_error: of φ on the effects (1: calibrated), error by hosts.
        deciles: chi-square of the deciles' mean φ against their mean effects.
        missed: what the deciles miss beside how far they are apart, both mean squares, that of their noise taken off.
        skill, skill_error: doubly robust loss of the constant effect minus that of the effects.
        harmed: share of rows whose 90 % interval is below 0.
    """

    constant: bool
    slope: float
    slope_error: float
    deciles: Statistic
    missed: float
    skill: float
    skill_error: float
    harmed: float


def held_out(frame: Frame, model: UpliftLearner) -> list[HeldOut]:
    """Figures of the arms 1..K of a model that was fitted to the frame."""
    kept = np.flatnonzero(model.trim_reason_ == KEPT)
    codes = np.unique(frame.codes[kept], return_inverse=True)[1]
    found = []
    for number in range(frame.n_arms - 1):
        high = model.predict_interval(frame.X[kept], arm=number + 1, level=0.90)[:, 1]
        effect, score = model.held_[kept, number], model.scores_[kept, number]
        constant = model.choices_[number].judged.name == CONSTANT
        found.append(_judged(effect, score, codes, constant, float((high < 0).mean())))
    return found


@dataclass(frozen=True)
class Stability:
    """Today's effects of an arm against yesterday's.

    Attributes:
        first: there was no yesterday; nothing else counts then.
        spearman: rank correlation on common hosts; NaN where one of the days gives everybody the same.
        index: population stability index of deviations from the day's mean over yesterday's deciles.
        rows: change of the number of rows, as a share of yesterday's.
        missing: rows without an effect.
        chance: index that two samples of so many rows have by chance, on average.
    """

    first: bool
    spearman: float = 1.0
    index: float = 0.0
    rows: float = 0.0
    missing: int = 0
    chance: float = 0.0

    def bearable(self, index: float, slope_error: float) -> float:
        """What an index may be: ``index``, chance, and a slope that is two of its errors from yesterday's.

        Stretched by r, a normal distribution has an index of ``(r² + r⁻² − 2)/2`` against itself.

        >>> Stability(first=False, chance=0.25).bearable(0.25, 0.0)
        0.5
        """
        r = 1.0 + 2.0 * slope_error
        return index + self.chance + (r**2 + r**-2 - 2.0) / 2.0


def stability(today: ArrayLike, hosts: ArrayLike, yesterday: ArrayLike | None, before: ArrayLike | None) -> Stability:
    """Compare effects (n,) of ``hosts`` (n,) with yesterday's (m,) of the hosts ``before`` (m,); None: a first day.

    >>> stability([0.1, 0.2, 0.3], ["a", "b", "c"], [0.0, 0.1, 0.2], ["a", "b", "c"]).spearman
    1.0
    >>> stability([0.1], ["a"], None, None).first
    True
    """
    now = np.asarray(today, dtype=np.float64)
    missing = int((~np.isfinite(now)).sum())
    if yesterday is None or before is None:
        return Stability(first=True, missing=missing)
    then = np.asarray(yesterday, dtype=np.float64)
    if now.shape != np.shape(hosts) or then.shape != np.shape(before) or not len(now) or not len(then):
        raise InputError("an effect for each host of both days", found=f"{len(now)}, {len(then)}", where="stability")
    _, left, right = np.intersect1d(np.asarray(hosts), np.asarray(before), return_indices=True)
    pairs = np.column_stack([now[left], then[right]])
    pairs = pairs[np.isfinite(pairs).all(axis=1)]
    change = len(now) / len(then) - 1.0
    index = _index(now[np.isfinite(now)], then[np.isfinite(then)])
    return Stability(False, _spearman(pairs), index, change, missing, (DECILES - 1) * (1 / len(now) + 1 / len(then)))


@dataclass(frozen=True)
class Clock:
    """Rows to be scored that break the clock: counts, all of them 0 on a good day.

    Attributes:
        late: rows with an input that knows the decision's day or a later one.
        repeated: host-days beyond the first.
        ineligible: hosts that were not eligible at the decision.
    """

    late: int
    repeated: int
    ineligible: int


def clock(host: ArrayLike, day: ArrayLike, as_of: ArrayLike, eligible: ArrayLike) -> Clock:
    """Count what is wrong with rows to be scored, (n,) each.

    >>> clock(["a", "a"], ["2026-01-02"] * 2, ["2026-01-01", "2026-01-02"], [True, True])
    Clock(late=1, repeated=1, ineligible=0)
    """
    decided, known = (np.asarray(days).astype("datetime64[D]") for days in (day, as_of))
    codes = np.unique(np.asarray(host), return_inverse=True)[1]
    pairs = np.column_stack([codes, decided.astype(np.int64)])
    repeated = len(pairs) - len(np.unique(pairs, axis=0))
    # A day that is missing proves nothing: it counts as late.
    late = int((~(known < decided)).sum())
    return Clock(late, repeated, int((~np.asarray(eligible, dtype=bool)).sum()))


def _judged(effect: Floats, score: Floats, codes: Ints, constant: bool, harmed: float) -> HeldOut:
    ones = np.ones(len(score))
    off, moved = score - score.mean(), effect - effect.mean()
    size = float(moved @ moved)
    if constant or size <= 1e-18 * len(score):
        return HeldOut(True, 1.0, 0.0, Statistic(0.0, 1.0), 0.0, 0.0, 0.0, harmed)
    slope = float(moved @ off) / size
    pull = (moved * (off - slope * moved))[:, None]
    slope_error = float(mean_error(pull, ones, codes)[0]) * len(score) / size
    gain = (off**2 - (off - moved) ** 2)[:, None]
    skill_error = float(mean_error(gain, ones, codes)[0])
    deciles, missed = _deciles(effect, score, codes)
    return HeldOut(False, slope, slope_error, deciles, missed, float(gain.mean()), skill_error, harmed)


def _deciles(effect: Floats, score: Floats, codes: Ints) -> tuple[Statistic, float]:
    """Whether the deciles miss, and by how much."""
    edges = np.unique(np.quantile(effect, np.arange(1, DECILES) / DECILES))
    number = np.searchsorted(edges, effect, side="right")
    inside = number[:, None] == np.unique(number)
    sums = np.column_stack([np.bincount(codes, column) for column in (inside * (score - effect)[:, None]).T])
    total, count, bins = sums.sum(axis=0), len(sums), inside.shape[1]
    centred = sums - sums.mean(axis=0)
    statistic = float(total @ np.linalg.pinv(centred.T @ centred) @ total) * max(count - bins, 1) / count
    rows = inside.sum(axis=0)
    noise = (centred**2).sum(axis=0) * count / max(count - 1, 1)
    off = float(((total**2 - noise) / rows).sum())
    apart = float((((inside * effect[:, None]).sum(axis=0) / rows - effect.mean()) ** 2 * rows).sum())
    return Statistic(statistic, chi_square_tail(statistic, bins)), max(off, 0.0) / apart


def _spearman(pairs: Floats) -> float:
    if len(pairs) < 2 or (np.ptp(pairs, axis=0) < 1e-12).any():
        return float("nan")
    ranks = np.column_stack([_ranks(column) for column in pairs.T])
    return float(np.asarray(np.corrcoef(ranks.T))[0, 1])


def _ranks(values: Floats) -> Floats:
    """Ranks (n,), ties at their mean."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[place])


def _index(now: Floats, then: Floats) -> float:
    left, right = now - now.mean(), then - then.mean()
    if max(np.ptp(left), np.ptp(right)) < 1e-12:
        return 0.0
    edges = np.unique(np.quantile(right, np.arange(1, DECILES) / DECILES))
    shares = [_shares(values, edges) for values in (left, right)]
    return float(((shares[0] - shares[1]) * np.log(shares[0] / shares[1])).sum())


def _shares(values: Floats, edges: NDArray[Any]) -> Floats:
    counts = np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1)
    return np.maximum(counts / len(values), LEAST)
