"""What a report shows of a fit, as plain numbers: errors by host everywhere, on kept rows and held-out predictions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphrep.uplift import stages
from graphrep.uplift.choice import Chosen
from graphrep.uplift.frame import Frame
from graphrep.uplift.learner import UpliftLearner
from graphrep.uplift.scores import KEPT, AverageEffects, mean_error, quantile

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

POWER = 2.8
"""Standard errors of the smallest effect that a two-sided test of 5 % finds in four days of five: 1.96 + 0.84."""
DECILES = 10
STEPS = 20
DRIVERS = 12
SEGMENT_PARTS = 3
LEVEL = 0.90


def naive(frame: Frame, arm: int) -> tuple[float, float]:
    """Difference of the arm's mean outcome to the control's, as it is, and its error by host."""
    parts = []
    for number in (arm, 0):
        own = frame.arm == number
        error = mean_error(frame.outcome[own][:, None], np.ones(int(own.sum())), frame.codes[own])[0]
        parts.append((float(frame.outcome[own].mean()), float(error)))
    (treated, first), (control, second) = parts
    return treated - control, math.hypot(first, second)


def boosted(outcome: Floats, boost: Floats, chance: Floats, codes: Ints) -> dict[str, Any] | None:
    """Effect of having been drawn for a boost, whatever came of it (intention to treat), from the logged chances.

    ``mean of (z/p − (1 − z)/(1 − p)) (Y − mean Y)`` over rows with a draw, z whether boosted, p its chance; errors by
    host. None where fewer than two hosts were drawn, or all of them alike.

    Args:
        outcome: (n,).
        boost: (n,) 0 or 1, NaN where nothing was drawn.
        chance: (n,) of 1.
        codes: (n,) hosts.

    >>> boosted(np.array([1.0, 0.0]), np.array([1.0, 0.0]), np.array([0.5, 0.5]), np.arange(2))["value"]
    1.0
    """
    drawn = ~np.isnan(boost) & (chance > 0) & (chance < 1)
    z, p, y = boost[drawn], chance[drawn], outcome[drawn]
    if len(np.unique(codes[drawn])) < 2 or len(np.unique(z)) < 2:
        return None
    part = (z / p - (1 - z) / (1 - p)) * (y - y.mean())
    error = float(mean_error(part[:, None], np.ones(len(part)), codes[drawn])[0])
    return {"rows": len(part), **estimate(float(part.mean()), error)}


def arm_figures(frame: Frame, model: UpliftLearner, arm: int, by_lot: AverageEffects | None) -> dict[str, Any]:
    """All that is shown of one arm (1..K) but its gates and its overlap.

    Args:
        by_lot: average effects of the rows drawn by lot, where there are enough.
    """
    kept = model.trim_reason_ == KEPT
    score, held, codes = model.scores_[kept, arm - 1], model.held_[kept, arm - 1], frame.codes[kept]
    value, error = float(model.average_effects_.value[arm - 1]), float(model.average_effects_.error[arm - 1])
    chosen = model.choices_[arm - 1]
    lot = None if by_lot is None else estimate(float(by_lot.value[arm - 1]), float(by_lot.error[arm - 1]))
    return {
        "treatment": frame.arms[arm],
        "rows": int((frame.arm == arm).sum()),
        "effect": estimate(value, error),
        "naive": estimate(*naive(frame, arm)),
        "randomised": lot,
        "least_detectable": POWER * error,
        "candidates": [
            {"name": one.name, "gain": one.gain, "gain_error": one.gain_error, "slope": one.slope}
            for one in chosen.all_judged
        ],
        "chosen": chosen.judged.name,
        "shares": {part.name: part.share for part in chosen.own.parts} if chosen.own is not None else {},
        "calibration": calibration(held, score, codes),
        "qini": gain_curve(held, score, codes),
        "drivers": drivers(chosen, frame.names),
    }


def estimate(value: float, error: float, level: float = 0.95) -> dict[str, float]:
    """A value with its error and interval.

    >>> estimate(1.0, 0.0)
    {'value': 1.0, 'error': 0.0, 'lower': 1.0, 'upper': 1.0}
    """
    half = quantile(level) * error
    return {"value": value, "error": error, "lower": value - half, "upper": value + half}


def calibration(held: Floats, score: Floats, codes: Ints) -> list[dict[str, float]]:
    """Mean prediction beside mean φ of each tenth of the predictions; one part where they are all the same.

    >>> [part["rows"] for part in calibration(np.arange(20.0), np.zeros(20), np.arange(20))] == [2] * 10
    True
    """
    edges = np.unique(np.quantile(held, np.arange(1, DECILES) / DECILES)) if np.ptp(held) > 0 else np.zeros(0)
    bins = np.searchsorted(edges, held, side="right")
    found = []
    for part in np.unique(bins):
        own = bins == part
        error = float(mean_error(score[own][:, None], np.ones(int(own.sum())), codes[own])[0])
        shown = estimate(float(score[own].mean()), error, LEVEL)
        found.append({"predicted": float(held[own].mean()), "rows": int(own.sum()), **shown})
    return found


def gain_curve(held: Floats, score: Floats, codes: Ints) -> list[dict[str, float]]:
    """Gain of treating the share q with the highest predictions over as many at random, ``q (T(q) − T(1))``.

    ``= mean φ (s_q − q)`` with s_q the share of the row that is among the first q: rows of equal prediction go in
    together, each in part. Its area over q is QINI; the band is of each point by itself.

    >>> gain_curve(np.zeros(4), np.array([1.0, 2.0, 3.0, 4.0]), np.arange(4))[-1]["value"]
    0.0
    """
    ordered = np.sort(held)
    above = len(held) - np.searchsorted(ordered, held, side="right")
    ties = np.searchsorted(ordered, held, side="right") - np.searchsorted(ordered, held)
    found = []
    for step in range(STEPS + 1):
        q = step / STEPS
        inside = np.clip((q * len(held) - above) / ties, 0.0, 1.0)
        part = score * (inside - q)
        error = float(mean_error(part[:, None], np.ones(len(part)), codes)[0])
        found.append({"share": q, **estimate(float(part.mean()), error, LEVEL)})
    return found


def drivers(chosen: Chosen, names: Sequence[str]) -> list[dict[str, Any]]:
    """What the effects were told apart by: shares of the trees' gain, or of the lines' standardised slopes.

    Of several candidates, each counts by its share in their mean. Columns of the embedding count as one. Empty where
    the average effect is published.
    """
    total: dict[str, float] = {}
    for part in chosen.own.parts if chosen.own is not None else ():
        weight = _weights(part)
        for name, own in zip(names, (part.share * weight / (weight.sum() or 1.0)).tolist(), strict=True):
            family = name.partition(".")[0]
            shown = family if family == "embedding" else name
            total[shown] = total.get(shown, 0.0) + own
    ordered = sorted(total.items(), key=lambda one: (-one[1], one[0]))
    return [{"name": name, "share": own} for name, own in ordered[:DRIVERS] if own > 0]


def _weights(part: stages.Part) -> Floats:
    """(p,) of the columns in one candidate."""
    if isinstance(part.fits, stages.Trees):
        length = stages.TREES[part.level]
        each = [one.feature_importance("gain", iteration=length) for one in part.fits.boosters]
        return np.asarray(np.sum(each, axis=0), np.float64)
    assert isinstance(part.fits, stages.Lines)  # there are no others
    return np.asarray(np.abs(part.fits.table[:, 1:, part.level].mean(axis=0)))


def segments(frame: Frame, model: UpliftLearner, columns: Sequence[str]) -> list[dict[str, Any]]:
    """Who gains and who loses: mean φ of each arm in two or three parts of each column, 90 % intervals by host."""
    kept = model.trim_reason_ == KEPT
    codes, found = frame.codes[kept], []
    for name in columns:
        if name not in frame.names:
            continue
        column = frame.X[kept, list(frame.names).index(name)]
        cuts = np.unique(np.quantile(column, np.arange(1, SEGMENT_PARTS) / SEGMENT_PARTS))
        bins = np.searchsorted(cuts, column)
        if bins.min() == bins.max():
            continue
        for part in np.unique(bins):
            own = bins == part
            for arm in range(1, frame.n_arms):
                score = model.scores_[kept, arm - 1][own]
                error = float(mean_error(score[:, None], np.ones(len(score)), codes[own])[0])
                shown = estimate(float(score.mean()), error, LEVEL)
                low, high = float(column[own].min()), float(column[own].max())
                about = {"column": name, "from": low, "to": high, "rows": len(score), "treatment": frame.arms[arm]}
                found.append({**about, **shown, "verdict": _verdict(shown)})
    return found


def _verdict(shown: Mapping[str, float]) -> str:
    return "gains" if shown["lower"] > 0 else "loses" if shown["upper"] < 0 else "unclear"


def histogram(propensity: Floats, arm: Ints, number: int) -> dict[str, list[float]]:
    """Shares of the arm's rows and of all others by their chance of the arm, in twenty parts from 0 to 1."""
    edges = np.linspace(0, 1, STEPS + 1)
    found: dict[str, list[float]] = {}
    for name, own in (("given", arm == number), ("others", arm != number)):
        values = propensity[own, number]
        counts = np.histogram(values[~np.isnan(values)], edges)[0]
        found[name] = (counts / max(counts.sum(), 1)).tolist()
    return found
