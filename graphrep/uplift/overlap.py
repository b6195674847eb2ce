"""Could each host-day have had each arm, and do the weighted arms look alike: figures of each arm.

All are of rows with known or estimated propensities ``e`` and weights ``w = 1{A = a}/e_a``. Calibration is that of
propensities of held-out hosts, as ``UpliftLearner.propensity_`` holds them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from graphrep.uplift.scores import mean_error

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

BINS = 10
# Further out, a probability says the same.
LEAST = 1e-6
STEPS = 30


@dataclass(frozen=True)
class Balance:
    """The largest standardised difference of a family's columns between the weighted arm and all rows.

    ``difference = |mean_w(x | A = a) − mean(x)| / sd(x)``; ``beyond`` is the largest over the columns of
    ``difference − z error`` with the error by hosts and z for all columns together: above a limit, the limit is
    broken by more than noise.
    """

    difference: float
    beyond: float


@dataclass(frozen=True)
class ArmOverlap:
    """Overlap of one arm, the control among them.

    Attributes:
        rows: of the arm that were kept.
        trimmed: share of the arm's rows that were left out.
        effective: effective sample size over rows, ``(Σw)² / (n Σw²)``, of the arm's kept rows.
        largest: largest share of a single row in the arm's weights.
        lowest: 1st percentile of the arm's propensity over all kept rows.
        balance: family → ``Balance``.
        slope, slope_error: of a logistic regression of ``1{A = a}`` on ``logit e_a``, error by hosts; NaN where the
            propensities do not vary.
        gap: expected calibration error over ten bins of equal size.
        gap_noise: what it would be expected to be if nothing were wrong.
        gap_error: its standard deviation in that case.
    """

    rows: int
    trimmed: float
    effective: float
    largest: float
    lowest: float
    balance: Mapping[str, Balance]
    slope: float
    slope_error: float
    gap: float
    gap_noise: float
    gap_error: float


def overlap(
    X: Floats, families: Mapping[str, Ints], arm: Ints, propensity: Floats, kept: NDArray[np.bool_], codes: Ints
) -> list[ArmOverlap]:
    """Overlap of the arms 0..K.

    Args:
        X: (n, p) covariates.
        families: family → places of its columns, for example ``Frame.families``.
        arm: (n,).
        propensity: (n, K+1); NaN in rows that no fold tested.
        kept: (n,) rows that were not trimmed.
        codes: (n,) hosts.

    >>> draws = np.random.default_rng(0)
    >>> X, arm = draws.normal(size=(1000, 1)), draws.integers(0, 2, 1000)
    >>> kept, e = np.ones(1000, bool), np.full((1000, 2), 0.5)
    >>> found = overlap(X, {"profile": np.array([0])}, arm, e, kept, np.arange(1000))
    >>> found[1].effective, found[1].balance["profile"].difference < 0.1
    (1.0, True)
    """
    found = []
    for number in range(propensity.shape[1]):
        own = kept & (arm == number)
        rows = max(int((arm == number).sum()), 1)
        weight = np.where(own[kept], 1.0 / np.maximum(propensity[kept, number], LEAST), 0.0)
        total = float(weight.sum())
        e, hit = propensity[kept, number], (arm[kept] == number).astype(np.float64)
        slope, slope_error = calibration_slope(e, hit, codes[kept])
        found.append(
            ArmOverlap(
                rows=int(own.sum()),
                trimmed=1.0 - float(own.sum()) / rows,
                effective=total**2 / (float(own.sum()) * float(weight @ weight)) if total else 0.0,
                largest=float(weight.max()) / total if total else 1.0,
                lowest=float(np.quantile(e, 0.01)) if len(e) else 0.0,
                balance=_balances(X[kept], families, weight, codes[kept]) if total else {},
                slope=slope,
                slope_error=slope_error,
                **_calibration_gap(e, hit, codes[kept]),
            )
        )
    return found


def calibration_slope(propensity: Floats, hit: Floats, codes: Ints) -> tuple[float, float]:
    """Slope of a logistic regression of ``hit`` (n,) on the logit of ``propensity`` (n,), and its error by hosts.

    1 for calibrated propensities, below 1 for ones that are too far apart.

    >>> draws = np.random.default_rng(0)
    >>> z = draws.normal(size=20_000)
    >>> hit = (draws.random(20_000) < 1 / (1 + np.exp(-z))) * 1.0
    >>> slope, error = calibration_slope(1 / (1 + np.exp(-2 * z)), hit, np.arange(20_000))
    >>> round(slope, 1), round(error, 2)
    (0.5, 0.01)
    """
    logit = _logit(propensity)
    if not len(logit) or logit.std() < 1e-6 or hit.min() == hit.max():
        return float("nan"), float("nan")
    Z = np.column_stack([np.ones(len(logit)), logit])
    beta = np.array([0.0, 1.0])
    for _ in range(STEPS):
        mean = 1.0 / (1.0 + np.exp(-np.clip(Z @ beta, -30, 30)))
        inverse = np.linalg.pinv((Z.T * (mean * (1 - mean))) @ Z)
        step = inverse @ (Z.T @ (hit - mean))
        beta = beta + np.clip(step, -2.0, 2.0)
        if np.abs(step).max() < 1e-9:
            break
    pulls = Z * (hit - mean)[:, None]
    sums = np.column_stack([np.bincount(codes, column) for column in pulls.T])
    return float(beta[1]), float(np.sqrt((inverse @ (sums.T @ sums) @ inverse)[1, 1]))


def calibration(held: Floats, arm: Ints, weight: Floats) -> Floats:
    """Shifts of the arms 1..K and one slope, (K+1,): ``e_a → ∝ exp(shift_a + slope log e_a)`` fits the arms best.

    K + 1 numbers that all rows choose together, by Newton's method on the log loss.

    Args:
        held: (n, K+1) propensities by models that did not see the rows' hosts.
        arm: (n,).
        weight: (n,) above 0.

    >>> draws = np.random.default_rng(0)
    >>> true = 1 / (1 + np.exp(-draws.normal(size=20_000)))
    >>> arm = (draws.random(20_000) < true) * 1
    >>> far = true**2 / (true**2 + (1 - true) ** 2)
    >>> calibration(np.column_stack([1 - far, far]), arm, np.ones(20_000))[1].round(1)
    np.float64(0.5)
    """
    logs, count = np.log(np.maximum(held, LEAST)), held.shape[1]
    hits = arm[:, None] == np.arange(count)
    theta = np.concatenate([np.zeros(count - 1), [1.0]])
    for _ in range(STEPS):
        p = _softmax(logs, theta)
        off = (p - hits) * weight[:, None]
        apart = logs - (p * logs).sum(axis=1, keepdims=True)
        gradient = np.append(off[:, 1:].sum(axis=0), (off * logs).sum())
        # Derivative of p_b by the shift of arm a: p_b (1{a = b} − p_a), by the slope: p_b (log e_b − mean).
        curve = np.empty((count, count))
        inner = p[:, 1:] * weight[:, None]
        curve[:-1, :-1] = np.diag(inner.sum(axis=0)) - inner.T @ p[:, 1:]
        curve[:-1, -1] = curve[-1, :-1] = (inner * apart[:, 1:]).sum(axis=0)
        curve[-1, -1] = float((weight[:, None] * p * apart**2).sum())
        step = np.clip(np.linalg.pinv(curve) @ gradient, -1.0, 1.0)
        theta = theta - step
        if np.abs(step).max() < 1e-9:
            break
    return np.asarray(theta)


def recalibrated(propensity: Floats, theta: Floats) -> Floats:
    """Propensities (n, K+1) after the shifts and the slope of ``calibration``.

    >>> recalibrated(np.array([[0.2, 0.8]]), np.array([0.0, 0.5])).round(3)
    array([[0.333, 0.667]])
    """
    return _softmax(np.log(np.maximum(propensity, LEAST)), theta)


def _softmax(logs: Floats, theta: Floats) -> Floats:
    raw = theta[-1] * logs + np.append(0.0, theta[:-1])
    odds = np.exp(raw - raw.max(axis=1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=1, keepdims=True))


def _logit(propensity: Floats) -> Floats:
    bounded = np.clip(propensity, LEAST, 1 - LEAST)
    return np.asarray(np.log(bounded / (1 - bounded)))


def _balances(X: Floats, families: Mapping[str, Ints], weight: Floats, codes: Ints) -> dict[str, Balance]:
    spread = X.std(axis=0)
    varied = np.flatnonzero(spread > 0)
    z = NormalDist().inv_cdf(1 - 0.01 / (2 * max(len(varied), 1)))
    Z = (X - X.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    mean = weight @ Z / weight.sum()
    # Influence of a row on the weighted mean: its weight's share times how far it is off.
    pull = (weight[:, None] / weight.mean()) * (Z - mean)
    error = mean_error(pull, np.ones(len(Z)), codes)
    found = {}
    for family, columns in families.items():
        own = np.intersect1d(columns, varied)
        if len(own):
            off = np.abs(mean[own])
            found[family] = Balance(float(off.max()), float((off - z * error[own]).max()))
    return found


def _calibration_gap(propensity: Floats, hit: Floats, codes: Ints) -> dict[str, float]:
    """The expected calibration error, what noise makes of it, and how far that varies."""
    if not len(propensity):
        return {"gap": 1.0, "gap_noise": 0.0, "gap_error": 0.0}
    # Rows of equal propensity fall into one bin, whatever their order.
    edges = np.unique(np.quantile(propensity, np.arange(1, BINS) / BINS))
    number = np.searchsorted(edges, propensity, side="right")
    inside = number[:, None] == np.unique(number)
    off = inside * (hit - propensity)[:, None]
    gaps = np.abs(off.mean(axis=0))
    errors = mean_error(off, np.ones(len(off)), codes)
    noise = float(errors.sum() * np.sqrt(2 / np.pi))
    error = float(np.sqrt((errors**2).sum() * (1 - 2 / np.pi)))
    return {"gap": float(gaps.sum()), "gap_noise": noise, "gap_error": error}
