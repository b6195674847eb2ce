"""What a fit refuses: each rule has a name and a message of one line."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from graphrep.errors import InputError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SUM_TOLERANCE = 1e-6


def covariates(X: Any, columns: int | None = None) -> Floats:
    """``X`` as a finite (n, p) float64 table, p ``columns`` where that is given.

    >>> covariates([[1, 2], [3, 4]]).shape
    (2, 2)
    """
    try:
        table = np.asarray(X, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(
            "covariates that are numbers", found=str(error), where="X", fix="encode categories before"
        ) from error
    if table.ndim != 2 or 0 in table.shape:
        raise InputError("covariates (rows, columns), neither of them 0", found=f"shape {table.shape}", where="X")
    if columns is not None and table.shape[1] != columns:
        raise InputError(f"{columns} covariates as in the fit", found=str(table.shape[1]), where="X")
    for name, bad in (("NaN", np.isnan(table)), ("infinite", np.isinf(table))):
        if bad.any():
            where = f"X, column {int(np.flatnonzero(bad.any(axis=0))[0])}"
            fix = "fill it and add a column that says so" if name == "NaN" else "clip it"
            raise InputError(f"no {name} covariates", found=f"{int(bad.sum())}", where=where, fix=fix)
    return table


def arms(treatment: ArrayLike, rows: int, min_rows: int) -> Ints:
    """Arms as (n,) int64 0..K with at least ``min_rows`` rows each, 0 among them.

    >>> arms([0, 1, 1, 0], 4, min_rows=2)
    array([0, 1, 1, 0])
    """
    given = _column(treatment, rows, "treatment")
    if given.dtype.kind not in "biuf" or not np.array_equal(given, np.floor(given)):
        raise InputError("treatment labels 0..K as whole numbers", found=f"{given.dtype} labels", where="treatment")
    labels, counts = np.unique(given.astype(np.int64), return_counts=True)
    if len(labels) == 1:
        raise InputError("a control and at least one arm", found=f"one arm only, {labels[0]}", where="treatment")
    if 0 not in labels:
        raise InputError("rows of the control, label 0", found=f"labels {labels.tolist()[:10]}", where="treatment")
    if labels[0] < 0 or labels[-1] != len(labels) - 1:
        raise InputError("treatment labels 0..K without gaps", found=f"{labels.tolist()[:10]}", where="treatment")
    small = int(np.argmin(counts))
    if counts[small] < min_rows:
        fix = "merge the arm into another, leave its rows out or lower min_arm_rows"
        raise InputError(f"at least {min_rows} rows an arm", found=f"{counts[small]}", where=f"arm {small}", fix=fix)
    return given.astype(np.int64)


def outcomes(outcome: ArrayLike, rows: int, vary: bool = True) -> Floats:
    """Mature outcomes as (n,) float64; with ``vary`` not all equal.

    >>> outcomes([0, 1, 1], 3)
    array([0., 1., 1.])
    """
    given = _column(outcome, rows, "outcome")
    if given.dtype.kind not in "biuf":
        raise InputError("outcomes that are numbers", found=str(given.dtype), where="outcome")
    given = given.astype(np.float64)
    missing = int((~np.isfinite(given)).sum())
    if missing:
        fix = "leave out the days whose horizon has not passed"
        raise InputError("mature, finite outcomes", found=f"{missing} rows without", where="outcome", fix=fix)
    if vary and given.min() == given.max():
        raise InputError("an outcome that varies", found=f"{given[0]:g} in every row", where="outcome")
    return given


def propensities(propensity: ArrayLike, rows: int, n_arms: int) -> Floats:
    """Logged probabilities as (n, K+1) float64, rows of NaN where none was logged.

    A single column is the probability of arm 1 where there are two arms.

    >>> propensities([0.25, 0.5], 2, 2)
    array([[0.75, 0.25],
           [0.5 , 0.5 ]])
    """
    given = np.asarray(propensity, dtype=np.float64)
    if given.ndim == 1 and n_arms == 2:
        given = np.column_stack([1.0 - given, given])
    if given.shape != (rows, n_arms):
        raise InputError(f"propensities of shape {(rows, n_arms)}", found=str(given.shape), where="propensity")
    unknown = np.isnan(given)
    partly = int((unknown.any(axis=1) & ~unknown.all(axis=1)).sum())
    if partly:
        raise InputError("rows known for all arms or for none", found=f"{partly} rows in part", where="propensity")
    known = given[~unknown.any(axis=1)]
    outside = int(((known <= 0) | (known >= 1)).any(axis=1).sum())
    if outside:
        fix = "leave out rows whose arm was certain: they say nothing of an effect"
        raise InputError("propensities above 0 and below 1", found=f"{outside} rows", where="propensity", fix=fix)
    if len(known) and np.abs(known.sum(axis=1) - 1).max() > SUM_TOLERANCE:
        off = float(known.sum(axis=1)[np.argmax(np.abs(known.sum(axis=1) - 1))])
        raise InputError("propensities that add up to 1 in each row", found=f"{off:g}", where="propensity")
    return given


def weights(sample_weight: ArrayLike | None, rows: int) -> Floats:
    """Weights as (n,) float64 of mean 1; ones where none are given.

    >>> weights([1, 3], 2)
    array([0.5, 1.5])
    """
    if sample_weight is None:
        return np.ones(rows)
    given = _column(sample_weight, rows, "sample_weight").astype(np.float64)
    if not np.isfinite(given).all() or given.min() <= 0:
        raise InputError("finite weights above 0", found=f"minimum {given.min():g}", where="sample_weight")
    return np.asarray(given / given.mean(), dtype=np.float64)


def cluster_codes(groups: ArrayLike | None, rows: int) -> Ints:
    """Groups (hosts) as (n,) int64 codes from 0; each row its own group where none are given.

    >>> cluster_codes(["b", "a", "b"], 3)
    array([1, 0, 1])
    """
    if groups is None:
        return np.arange(rows)
    codes = np.unique(_column(groups, rows, "groups"), return_inverse=True)[1].astype(np.int64)
    if codes.max() < 1:
        raise InputError("at least two groups", found="one", where="groups")
    return codes


def host_days(hosts: ArrayLike, days: ArrayLike, horizon: int, as_of: int, delay: int = 0) -> None:
    """Refuse host-days that come twice and days whose outcome is not known by the end of day ``as_of``.

    Args:
        hosts: (n,) keys.
        days: (n,) int, days since any fixed day.
        horizon: days that the outcome takes, the decision's day among them.
        as_of: last day whose events are known.
        delay: days by which labels arrive late.

    Raises:
        InputError: a host-day that is repeated, or an outcome that is not mature.

    >>> host_days(["a", "a"], [3, 4], horizon=7, as_of=10)
    """
    keys = np.asarray(hosts)
    numbers = _column(days, len(keys), "days").astype(np.int64)
    codes = np.unique(keys, return_inverse=True)[1]
    pairs = np.column_stack([codes, numbers])
    repeated = len(pairs) - len(np.unique(pairs, axis=0))
    if repeated:
        raise InputError("each host-day once", found=f"{repeated} repeated", where="hosts, days", fix="merge them")
    early = int((numbers + horizon - 1 + delay > as_of).sum())
    if early:
        last = as_of - delay - horizon + 1
        raise InputError("mature outcomes", found=f"{early} rows after day {last}", where="days", fix="wait for them")


def _column(values: ArrayLike, rows: int, name: str) -> NDArray[Any]:
    given = np.asarray(values)
    if given.shape != (rows,):
        raise InputError(f"{rows} values, one for each row", found=f"shape {given.shape}", where=name)
    return given
