"""Linear models on bounded, standardised columns: the plain candidates beside the trees."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# A value further out counts as this many standard deviations: one wild row must not steer a line.
BOUND = 4.0


@dataclass(frozen=True)
class Scale:
    """Centre and standard deviation of each column, (p,) each."""

    centre: Floats
    spread: Floats

    @classmethod
    def of(cls, X: Floats) -> Scale:
        spread = X.std(axis=0)
        return cls(X.mean(axis=0), np.where(spread > 0, spread, 1.0))

    def __call__(self, X: Floats) -> Floats:
        return np.asarray(np.clip((X - self.centre) / self.spread, -BOUND, BOUND))


def ridge(Z: Floats, label: Floats, weight: Floats, penalties: Floats) -> Floats:
    """Ridge lines ``argmin Σ w (y − b₀ − Z b)² + λ Σw |b|²`` for each λ, the intercept free.

    Args:
        Z: (n, p) standardised columns.
        label: (n,).
        weight: (n,) above 0.
        penalties: (L,) values of λ.

    Returns:
        (p + 1, L) coefficients, the intercept first.

    >>> ridge(np.array([[-1.0], [1.0]]), np.array([1.0, 3.0]), np.ones(2), np.array([0.0, 1.0]))
    array([[2. , 2. ],
           [1. , 0.5]])
    """
    total = weight.sum()
    middle, level = weight @ Z / total, float(weight @ label / total)
    centred = Z - middle
    gram = (centred.T * weight) @ centred / total
    moment = (centred.T * weight) @ (label - level) / total
    values, vectors = np.linalg.eigh(gram)
    safe = np.maximum(values, 0.0)[:, None] + np.maximum(penalties, 1e-9)
    slopes = vectors @ ((vectors.T @ moment)[:, None] / safe)
    return np.vstack([level - middle @ slopes, slopes])


def at(Z: Floats, coefficients: Floats) -> Floats:
    """(n, L) values of the lines of ``ridge``."""
    return np.asarray(coefficients[0] + Z @ coefficients[1:])


@dataclass(frozen=True)
class Logistic:
    """A multinomial logistic regression: coefficients (K+1, p), intercepts (K+1,)."""

    slopes: Floats
    intercepts: Floats

    def predict_proba(self, Z: Floats) -> Floats:
        """(n, K+1) probabilities.

        >>> Logistic(np.zeros((2, 1)), np.zeros(2)).predict_proba(np.ones((1, 1)))
        array([[0.5, 0.5]])
        """
        raw = Z @ self.slopes.T + self.intercepts
        grown = np.exp(raw - raw.max(axis=1, keepdims=True))
        return np.asarray(grown / grown.sum(axis=1, keepdims=True))


def logistic(Z: Floats, arms: Ints, weight: Floats, seed: int) -> Logistic:
    """A multinomial logistic regression, lightly penalised; not converging fully is no failure here."""
    model = LogisticRegression(C=0.1, max_iter=100, tol=1e-3, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(Z, arms, sample_weight=weight)
    slopes, intercepts = np.asarray(model.coef_, np.float64), np.asarray(model.intercept_, np.float64)
    if len(slopes) == 1:  # two arms: scikit-learn keeps the second's alone
        slopes, intercepts = np.vstack([np.zeros_like(slopes), slopes]), np.array([0.0, intercepts[0]])
    return Logistic(slopes, intercepts)
