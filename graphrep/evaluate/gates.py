"""The gate: measurements and their limits → ``Passed`` or ``Refused`` with every reason. Decides; does not act."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Check:
    """One measurement and the range in which it is good; a NaN is never good."""

    name: str
    scope: str
    value: float
    low: float = -math.inf
    high: float = math.inf

    @property
    def good(self) -> bool:
        return self.low <= self.value <= self.high

    def __str__(self) -> str:
        limits = [f"≥ {self.low:g}"] * math.isfinite(self.low) + [f"≤ {self.high:g}"] * math.isfinite(self.high)
        return f"{self.name} of {self.scope} is {self.value:.4g}, expected {' and '.join(limits) or 'a number'}"


@dataclass(frozen=True, slots=True)
class Passed:
    checks: tuple[Check, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    checks: tuple[Check, ...]
    reasons: tuple[str, ...]


Verdict = Passed | Refused


def judge(checks: Sequence[Check]) -> Verdict:
    """Pass only if every check is good; a refusal gives all the reasons.

    >>> judge([Check("zero row share", "user", 0.5, high=0.02)]).reasons
    ('zero row share of user is 0.5, expected ≤ 0.02',)
    """
    bad = tuple(str(check) for check in checks if not check.good)
    return Refused(tuple(checks), bad) if bad else Passed(tuple(checks))


def non_finite_rows(vectors: Floats) -> int:
    """Rows of (n, d) vectors with a NaN or an infinity."""
    return int((~np.isfinite(vectors).all(axis=1)).sum())


def zero_row_share(vectors: Floats) -> float:
    """Share of rows that are all zero; 0 for no rows."""
    return float((~vectors.any(axis=1)).mean()) if len(vectors) else 0.0


def median_norm(vectors: Floats) -> float:
    """Median Euclidean length of the rows that are not all zero; NaN if there is none."""
    norms = np.linalg.norm(vectors.astype(np.float64), axis=1)
    return float(np.median(norms[norms > 0])) if (norms > 0).any() else math.nan


def as_record(verdict: Verdict) -> dict[str, Any]:
    """The verdict as plain data, for manifests: infinite limits become null."""
    checks = [
        {
            "name": c.name,
            "scope": c.scope,
            "value": c.value if math.isfinite(c.value) else str(c.value),
            "low": c.low if math.isfinite(c.low) else None,
            "high": c.high if math.isfinite(c.high) else None,
            "good": c.good,
        }
        for c in verdict.checks
    ]
    reasons = list(verdict.reasons) if isinstance(verdict, Refused) else []
    return {"passed": not reasons, "reasons": reasons, "checks": checks}
