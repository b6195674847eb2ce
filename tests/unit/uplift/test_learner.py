"""The learner on rows whose effects are known, and in the company of scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from graphrep.errors import InputError
from graphrep.uplift import UpliftLearner, forward_folds

FAST = {"halves": 6}


def confounded(n: int, seed: int, spread: float) -> tuple[Any, Any, Any, Any]:
    """Two arms beside the control, drawn by what drives the outcome; true effects (n, 2): 1 + spread x₁ and 0.5."""
    draws = np.random.default_rng(seed)
    X = draws.normal(size=(n, 4))
    odds = np.exp(np.column_stack([np.zeros(n), 0.8 * X[:, 0], -0.5 * X[:, 0]]))
    arm = (draws.random(n)[:, None] > (odds / odds.sum(axis=1, keepdims=True)).cumsum(axis=1)[:, :2]).sum(axis=1)
    effect = np.column_stack([1.0 + spread * X[:, 1], np.full(n, 0.5)])
    outcome = 2 * X[:, 0] + np.column_stack([np.zeros(n), effect])[np.arange(n), arm] + draws.normal(size=n)
    return X, arm, outcome, effect


@pytest.fixture(scope="module")
def fitted() -> tuple[UpliftLearner, Any]:
    X, arm, outcome, effect = confounded(3000, 0, spread=1.0)
    return UpliftLearner(**FAST).fit(X, arm, outcome), (X, arm, outcome, effect)


def test_confounding_that_is_seen_is_taken_out(fitted: Any) -> None:
    model, (_, arm, outcome, _) = fitted
    naive = outcome[arm == 1].mean() - outcome[arm == 0].mean()
    assert naive > 1.8
    off = (model.average_effects_.value - [1.0, 0.5]) / model.average_effects_.error
    assert np.abs(off).max() < 3
    assert model.average_effects_.interval().shape == (2, 2)


def test_effects_that_differ_are_found_and_constant_ones_are_left_alone(fitted: Any) -> None:
    model, (X, _, _, effect) = fitted
    found = model.predict(X)
    constant = np.sqrt(((model.average_effects_.value - effect) ** 2).mean(axis=0))
    error = np.sqrt(((found - effect) ** 2).mean(axis=0))
    assert error[0] < 0.35 * constant[0]
    assert error[1] < 1.02 * constant[1]
    assert [chosen.judged.name for chosen in model.choices_] == ["mean", "constant"]
    first, second = model.choices_
    assert first.own is not None
    assert max(first.own.parts, key=lambda part: part.share).name == "linear"  # the effect is a line
    assert second.own is None


def test_a_day_without_signal_returns_the_average_effect() -> None:
    draws = np.random.default_rng(1)
    X, arm = draws.normal(size=(1000, 3)), draws.integers(0, 2, 1000)
    model = UpliftLearner(**FAST).fit(X, arm, draws.normal(size=1000), propensity=np.full(1000, 0.5))
    assert np.array_equal(model.predict(X)[:, 0], np.full(1000, model.average_effects_.value[0]))


def test_intervals_hold_the_prediction_and_grow_with_the_level(fitted: Any) -> None:
    model, (X, _, _, effect) = fitted
    found, wide, narrow = model.predict(X), model.predict_interval(X), model.predict_interval(X, level=0.5)
    assert wide.shape == (len(X), 2, 2)
    assert (wide[..., 0] < narrow[..., 0]).all()
    assert (narrow[..., 0] < found).all()
    assert (found < narrow[..., 1]).all()
    covered = (wide[..., 0] <= effect) & (effect <= wide[..., 1])
    assert covered.mean() > 0.8
    assert np.array_equal(model.predict_interval(X, arm=2), wide[:, 1])


def test_equal_inputs_give_equal_bytes_and_another_seed_others(fitted: Any) -> None:
    X, arm, outcome, _ = fitted[1]
    chosen = (arm != 2).nonzero()[0]
    model = UpliftLearner(halves=2, candidates=("dr", "ra"))
    one, two = (clone(model).fit(X[chosen], arm[chosen], outcome[chosen]) for _ in range(2))
    assert one.choices_[0].judged.name in ("dr", "ra")
    assert one.predict_interval(X).tobytes() == two.predict_interval(X).tobytes()
    other = clone(model).set_params(seed=1).fit(X[chosen], arm[chosen], outcome[chosen])
    assert not np.array_equal(other.predict(X), one.predict(X))


def test_it_has_scikit_learns_manners() -> None:
    X, arm, outcome, _ = confounded(600, 2, spread=1.0)
    model = UpliftLearner(halves=2, seed=5)
    assert clone(model).get_params() == model.get_params()
    weight, hosts = np.linspace(0.5, 1.5, 600), np.arange(600) // 3
    line = make_pipeline(StandardScaler(), model)
    line.fit(
        X,
        arm,
        upliftlearner__outcome=outcome,
        upliftlearner__sample_weight=weight,
        upliftlearner__groups=hosts,
    )
    assert line.predict(X).shape == (600, 2)
    assert model.n_features_in_ == 4
    with pytest.raises(Exception, match="not fitted yet"):
        UpliftLearner().predict(X)


def test_rows_of_a_host_make_the_errors_larger() -> None:
    draws = np.random.default_rng(3)
    hosts = np.repeat(np.arange(200), 8)
    X = draws.normal(size=(1600, 2))
    arm = draws.integers(0, 2, 200)[hosts]
    outcome = draws.normal(size=200)[hosts] + 0.3 * draws.normal(size=1600)
    known = np.full(1600, 0.5)
    alone = UpliftLearner(candidates=()).fit(X, arm, outcome, known)
    together = UpliftLearner(candidates=()).fit(X, arm, outcome, known, groups=hosts)
    assert together.average_effects_.error[0] > 2 * alone.average_effects_.error[0]


def test_weights_stand_for_rows_that_were_left_out() -> None:
    draws = np.random.default_rng(4)
    X = draws.integers(0, 2, (4000, 1)).astype(float)
    arm = draws.integers(0, 2, 4000)
    outcome = arm * (1.0 + 2.0 * X[:, 0]) + 0.1 * draws.normal(size=4000)
    weight = np.where(X[:, 0] == 1, 3.0, 1.0)
    model = UpliftLearner(candidates=()).fit(X, arm, outcome, np.full(4000, 0.5), sample_weight=weight)
    share = weight[X[:, 0] == 1].sum() / weight.sum()
    assert model.average_effects_.value[0] == pytest.approx(1.0 + 2.0 * share, abs=0.02)


def test_logged_propensities_are_used_and_unknown_ones_estimated() -> None:
    X, arm, outcome, _ = confounded(1500, 5, spread=0.0)
    logged = np.full((1500, 3), np.nan)
    logged[:700] = [0.5, 0.25, 0.25]
    model = UpliftLearner(candidates=()).fit(X, arm, outcome, logged)
    assert np.array_equal(model.propensity_[:700], logged[:700])
    assert np.isfinite(model.propensity_).all()
    assert model.predict_propensity(X).sum(axis=1) == pytest.approx(1.0)
    assert model.predict_outcome(X).shape == (1500, 3)


def test_rows_without_overlap_are_left_out_with_a_reason() -> None:
    draws = np.random.default_rng(6)
    X = draws.normal(size=(2000, 2))
    chance = np.where(X[:, 0] > 1, 0.005, 0.5)
    arm = (draws.random(2000) < chance) * 1
    model = UpliftLearner(candidates=()).fit(X, arm, draws.normal(size=2000), chance)
    assert np.array_equal(model.trim_reason_ == "no_overlap", X[:, 0] > 1)
    assert np.isnan(model.scores_[X[:, 0] > 1]).all()
    assert np.isfinite(model.scores_[X[:, 0] <= 1]).all()


def test_forward_folds_judge_later_days_only() -> None:
    X, arm, outcome, _ = confounded(1200, 7, spread=0.0)
    days = np.arange(1200) // 100
    model = UpliftLearner(folds=forward_folds(days, 2, 3, gap=1), halves=2).fit(X, arm, outcome)
    assert np.array_equal(model.trim_reason_ == "not_tested", days < 6)
    assert np.array_equal(np.isfinite(model.scores_).all(axis=1), model.trim_reason_ == "")
    assert np.isfinite(model.scores_[days >= 6]).mean() > 0.9


def test_binary_outcomes_are_expected_between_nothing_and_one() -> None:
    draws = np.random.default_rng(8)
    X, arm = draws.normal(size=(1500, 3)), draws.integers(0, 2, 1500)
    outcome = draws.random(1500) < 0.3 + 0.2 * arm
    model = UpliftLearner(candidates=()).fit(X, arm, outcome, np.full(1500, 0.5))
    expected = model.predict_outcome(X)
    assert expected.min() > 0
    assert expected.max() < 1
    assert model.average_effects_.value[0] == pytest.approx(0.2, abs=4 * model.average_effects_.error[0])


def test_an_arm_that_was_never_given_has_no_effect_to_ask_for(fitted: Any) -> None:
    model, (X, *_) = fitted
    for arm in (0, 3):
        with pytest.raises(InputError, match="an arm of the fit, 1 to 2"):
            model.predict(X, arm=arm)
    with pytest.raises(InputError, match="4 covariates as in the fit"):
        model.predict(X[:, :2])
