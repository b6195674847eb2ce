"""Minutes that are mostly none: chance times size where that is closer, and the whole where it is not."""

from __future__ import annotations

import numpy as np
import pytest

from graphrep.uplift import UpliftLearner
from graphrep.uplift.boosting import Boosting
from graphrep.uplift.nuisance import Rows, response
from graphrep.uplift.splits import host_folds
from graphrep.uplift.two_part import expected

N = 3000
DRAWS = np.random.default_rng(0)
X = DRAWS.normal(size=(N, 2))
ARM = DRAWS.integers(0, 2, N)
CHANCE = 1 / (1 + np.exp(-2 * X[:, 0])) * (0.5 + 0.3 * ARM)
MINUTES = np.where(DRAWS.random(N) < CHANCE, np.exp(3 + X[:, 1] + 0.3 * DRAWS.normal(size=N)), 0.0)
SETTINGS = Boosting(100, rate=0.1, leaves=8, min_leaf=20, patience=10)


def rows(outcome: np.ndarray) -> Rows:
    return Rows.of(X, ARM, outcome, np.ones(N), host_folds(np.arange(N), 2), seed=0, threads=1)


def test_minutes_are_expected_in_two_parts_where_that_is_closer() -> None:
    found, whole = expected(rows(MINUTES), SETTINGS), response(rows(MINUTES), SETTINGS)
    assert "two parts" in found.chosen
    true = 1 / (1 + np.exp(-2 * X[:, 0])) * 0.8 * np.exp(3 + X[:, 1] + 0.3**2 / 2)
    errors = [np.sqrt(((values[:, 1] - true) ** 2).mean()) for values in (found.held, whole.held)]
    assert errors[0] < 0.95 * errors[1]
    place = np.flatnonzero(~np.isnan(found.held[:, 0]))[:50]
    fold = next(number for number, (_, test) in enumerate(rows(MINUTES).folds) if place[0] in test)
    own = np.intersect1d(place, rows(MINUTES).folds[fold][1])
    assert found.models[fold](X[own]) == pytest.approx(found.held[own])


def test_other_outcomes_are_left_whole() -> None:
    for outcome in ((MINUTES > 0).astype(float), MINUTES - 1.0, MINUTES + 1.0):
        found, whole = expected(rows(outcome), SETTINGS), response(rows(outcome), SETTINGS)
        assert found.chosen == whole.chosen
        assert np.array_equal(found.held, whole.held)


def test_an_arm_without_a_live_row_is_left_whole() -> None:
    outcome = np.where(ARM == 1, 0.0, MINUTES)
    assert "two parts" not in expected(rows(outcome), SETTINGS).chosen


def test_the_effect_is_on_all_minutes_and_not_on_those_of_the_live() -> None:
    model = UpliftLearner(folds=2, candidates=()).fit(X, ARM, MINUTES, np.full(N, 0.5))
    true = (1 / (1 + np.exp(-2 * X[:, 0])) * 0.3 * np.exp(3 + X[:, 1] + 0.3**2 / 2)).mean()
    effect = model.average_effects_
    assert effect.value[0] == pytest.approx(true, abs=3 * effect.error[0])
    naive = MINUTES[ARM == 1].mean() - MINUTES[ARM == 0].mean()
    assert abs(effect.value[0] - naive) < 3 * effect.error[0]
