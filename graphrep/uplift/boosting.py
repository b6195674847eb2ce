"""LightGBM as this room uses it: bins made once, rows chosen by index, one thread's order of sums."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import lightgbm
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

BINS = 63


@dataclass(frozen=True)
class Boosting:
    """Settings of one family of trees.

    Attributes:
        trees: most trees.
        rate: learning rate.
        leaves: leaves of a tree.
        min_leaf: rows that a leaf has at least.
        columns: share of the columns that a tree sees.
        patience: trees without gain on the held-out rows after which a fold stops; 0 never stops.
    """

    trees: int
    rate: float
    leaves: int
    min_leaf: int
    columns: float = 1.0
    patience: int = 0

    def parameters(self, objective: str, seed: int, threads: int, arms: int = 1) -> dict[str, Any]:
        """Parameters of ``lightgbm.train``: the same input gives the same bytes."""
        found = {
            "objective": objective,
            "learning_rate": self.rate,
            "num_leaves": self.leaves,
            "min_data_in_leaf": self.min_leaf,
            "min_sum_hessian_in_leaf": 0.0,
            "feature_fraction": self.columns,
            "max_bin": BINS,
            "seed": seed,
            "num_threads": threads,
            "deterministic": True,
            "force_col_wise": True,
            "feature_pre_filter": False,
            "verbosity": -1,
        }
        return {**found, "num_class": arms} if arms > 1 else found


def binned(X: Floats, threads: int) -> lightgbm.Dataset:
    """The columns of ``X`` in bins, from which ``part`` takes rows without binning them again."""
    parameters = {"max_bin": BINS, "feature_pre_filter": False, "verbosity": -1, "num_threads": threads}
    return lightgbm.Dataset(X, label=np.zeros(len(X)), params=parameters, free_raw_data=False).construct()


def part(
    bins: lightgbm.Dataset, rows: Ints, label: Floats, weight: Floats, start: Floats | None = None
) -> lightgbm.Dataset:
    """The ascending ``rows`` of ``bins``, with (len(rows),) labels, weights and raw scores to start from."""
    chosen = bins.subset(rows.tolist()).construct()
    chosen.set_label(label)
    chosen.set_weight(weight)
    if start is not None:
        chosen.set_init_score(start)
    return chosen


def train(
    settings: Boosting, parameters: dict[str, Any], rows: lightgbm.Dataset, held: lightgbm.Dataset | None = None
) -> tuple[lightgbm.Booster, Floats]:
    """Trees on ``rows``; the loss on ``held`` after each of them, empty without."""
    if held is None:
        return lightgbm.train(parameters, rows, settings.trees), np.zeros(0)
    seen: dict[str, dict[str, list[float]]] = {}
    calls = [lightgbm.record_evaluation(seen)]
    if settings.patience:
        calls.append(lightgbm.early_stopping(settings.patience, verbose=False))
    booster = lightgbm.train(parameters, rows, settings.trees, valid_sets=[held], valid_names=["held"], callbacks=calls)
    (curve,) = seen["held"].values()
    return booster, np.asarray(curve)


def read(
    booster: lightgbm.Booster, X: Floats, threads: int, trees: int, start: int = 0, raw: bool = False
) -> NDArray[Any]:
    """Predictions of ``trees`` trees from number ``start`` on; left alone, all cores would spin for few rows."""
    given = {"start_iteration": start, "num_iteration": trees, "raw_score": raw, "num_threads": threads}
    return np.asarray(booster.predict(X, **given))


def common_length(curves: list[Floats]) -> int:
    """The number of trees, at least 1, at which the mean of the folds' curves is lowest.

    >>> common_length([np.array([3.0, 1.0, 2.0]), np.array([3.0, 2.0])])
    2
    """
    shortest = min(len(curve) for curve in curves)
    return int(np.argmin(np.mean([curve[:shortest] for curve in curves], axis=0))) + 1
