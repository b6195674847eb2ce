"""A small ranker on published vectors, to be frozen: does one that was trained on a day's vectors read another day's?

The model is a logistic regression on the product of a pair's vectors, entry by entry (the Hadamard operator of
node2vec, Grover and Leskovec, KDD 2016). A turn of the basis leaves all dot products as they were and ruins it, which
is what makes it a stand-in for whoever has learnt weights for single numbers of the vectors.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from scipy.special import expit
from scipy.stats import rankdata

from graphrep.errors import InputError

Floats = NDArray[np.float32]
Wide = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Probe:
    """What was learnt; it stays as it is while vectors change.

    Attributes:
        weights: (d,) float64, of the products of entries.
        bias: added to each score; the probability is the logistic function of the score.

    >>> probe = Probe(np.array([1.0, -1.0]), 0.5)
    >>> probe.scores(np.array([[2, 1]], np.float32), np.array([[3, 4]], np.float32)).tolist()
    [2.5]
    """

    weights: Wide
    bias: float

    def scores(self, left: Floats, right: Floats) -> Wide:
        """Log-odds of pairs.

        Args:
            left: (n, d), row i is the first of pair i.
            right: (n, d), the second.

        Returns:
            (n,) float64.

        Raises:
            InputError: other shapes than (n, d).
        """
        return np.asarray(_products(left, right, len(self.weights)) @ self.weights + self.bias)


def fit_probe(left: Floats, right: Floats, labels: ArrayLike, *, penalty: float = 1.0) -> Probe:
    """Fit a ranker of pairs; the same input gives the same probe.

    Minimises ``Σ log(1 + exp(−y·z)) + penalty/2 · ‖w‖²`` over products of mean 0 and deviation 1 (those of the fit
    itself; a product that never changes counts nothing), from zero, by L-BFGS; the bias is not held back.

    Args:
        left: (n, d) float32, row i is the first of pair i.
        right: (n, d) float32, the second.
        labels: (n,) of 0 or 1.
        penalty: of the squared weights, 0 or more.

    Raises:
        InputError: shapes that differ, a number that is not finite, labels of one kind or other than 0 and 1, a
            negative penalty.

    >>> rng = np.random.default_rng(0)
    >>> a, b = rng.normal(size=(2, 400, 3)).astype(np.float32)
    >>> kept = fit_probe(a, b, a[:, 0] * b[:, 0] > 0)
    >>> auc(a[:, 0] * b[:, 0] > 0, kept.scores(a, b)) > 0.95
    True
    """
    found = _labels(labels)
    products = _products(left, right)
    if len(found) != len(products):
        raise InputError(f"a label for each of {len(products)} pairs", found=str(len(found)), where="fit_probe")
    if not np.isfinite(products).all():
        raise InputError("finite vectors", found="NaN or infinity", where="fit_probe")
    if not (math.isfinite(penalty) and penalty >= 0):
        raise InputError("a penalty of 0 or more", found=str(penalty), where="fit_probe")
    mean, scale = products.mean(axis=0), products.std(axis=0)
    scale = np.where(scale > 1e-12 * np.abs(products).max(), scale, np.inf)  # the rest is rounding
    x, y = (products - mean) / scale, np.where(found, 1.0, -1.0)

    def loss(at: Wide) -> tuple[float, Wide]:
        against = -y * (x @ at[:-1] + at[-1])
        slope = -y * expit(against)
        value = np.logaddexp(0.0, against).sum() + penalty / 2 * (at[:-1] @ at[:-1])
        return float(value), np.append(slope @ x + penalty * at[:-1], slope.sum())

    best = minimize(loss, np.zeros(x.shape[1] + 1), jac=True, method="L-BFGS-B", options={"maxiter": 500}).x
    weights = best[:-1] / scale
    return Probe(weights, float(best[-1] - mean @ weights))


def auc(labels: ArrayLike, scores: ArrayLike) -> float:
    """Area under the ROC curve: the share of (positive, negative) pairs that are in order, ties counting one half.

    Mann and Whitney's U over the number of such pairs (Hanley and McNeil, Radiology 143, 1982).

    Args:
        labels: (n,) of 0 or 1, both of them there.
        scores: (n,) finite.

    Raises:
        InputError: lengths that differ, scores that are not finite, labels of one kind or other than 0 and 1.

    >>> auc([0, 1, 0, 1], [0.1, 0.9, 0.5, 0.5])
    0.875
    """
    found, given = _labels(labels), np.asarray(scores, dtype=np.float64)
    if given.shape != found.shape:
        raise InputError(f"scores of shape {found.shape}", found=str(given.shape), where="auc")
    if not np.isfinite(given).all():
        raise InputError("finite scores", found="NaN or infinity", where="auc")
    positive = int(found.sum())
    above = rankdata(given)[found].sum() - positive * (positive + 1) / 2
    return float(above / (positive * (len(found) - positive)))


def _labels(labels: ArrayLike) -> NDArray[np.bool_]:
    found = np.asarray(labels)
    if found.ndim != 1 or set(np.unique(found).tolist()) != {0, 1}:
        kinds = str(np.unique(found).tolist()[:5]) if found.size else "none"
        raise InputError("labels 0 and 1, both of them", found=kinds, where="labels")
    return found.astype(bool)


def _products(left: Floats, right: Floats, dim: int | None = None) -> Wide:
    left, right = np.asarray(left), np.asarray(right)
    wanted = left.shape[1] if dim is None and left.ndim == 2 else dim
    if left.ndim != 2 or left.shape != right.shape or left.shape[1] != wanted:
        expected = "pairs of vectors, both (n, d)" if dim is None else f"pairs of vectors, both (n, {dim})"
        raise InputError(expected, found=f"{left.shape} and {right.shape}", where="probe")
    return left.astype(np.float64) * right.astype(np.float64)
