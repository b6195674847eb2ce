"""Refutations, overlap, sensitivity and the checks of a lot, each on rows whose answer is known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from benchmarks.uplift_gates import CLEAN, light
from benchmarks.uplift_gates import frame_of as made
from graphrep.errors import InputError
from graphrep.uplift import Frame, Plan, Refutations, UpliftLearner, overlap, refute
from graphrep.uplift.lot import false_rejections, mismatch
from graphrep.uplift.refute import dose, fitted, future, placebo
from graphrep.uplift.sensitivity import Noise, marginal_bounds, noise, robustness, strength

SPEC = replace(CLEAN, hosts=120, days=6, effects=("constant", "zero"), traits=1.5, seed=3)
N = 4000
DRAWS = np.random.default_rng(0)


@pytest.fixture(scope="module")
def frame() -> Frame:
    return made(SPEC)


@pytest.fixture(scope="module")
def found(frame: Frame) -> Refutations:
    return refute(frame, light, Plan(placebos=2, subsets=1, intensity=("arm2", "arm1")))


def test_every_refutation_is_tried_and_the_reasons_are_empty(frame: Frame, found: Refutations) -> None:
    assert found.reasons == {}
    assert set(found.without) == {"profile", "history", "embedding"}
    assert found.placebo is not None
    assert found.placebo.values.shape == (2, 2)
    assert found.subset is not None
    assert found.subset.shape == (1, 2)
    assert found.subset_error == pytest.approx(found.effects.error / 2)
    assert found.cause is not None
    moved = np.abs(found.cause.value - found.effects.value)
    assert (moved > 0).all()  # everything was fitted anew
    assert (moved < found.subset_error).all()
    assert found.sensitivity.bounds[1.5][:, 0] == pytest.approx(found.sensitivity.bounds[1.5].min(axis=1))
    assert found.a_a is not None
    assert 0.01 < found.a_a < 0.12


def test_what_cannot_be_tried_says_why(frame: Frame) -> None:
    quiet = replace(
        frame,
        negative_control=np.zeros(len(frame)),
        randomised=np.zeros(len(frame), bool),
        propensity=np.full_like(frame.propensity, np.nan),
    )
    plan = Plan(placebos=0, subsets=0, families=False, future=False, cause=False)
    found = refute(quiet, light, plan)
    assert found.negative_control is None
    assert "an outcome that varies" in found.reasons["negative_control"]
    lot = ("mismatch", "predictability", "a_a", "by_lot", "by_policy")
    for name in ("placebo", "future", "cause", "subset", "dose", *lot):
        assert getattr(found, name) is None, name
        assert found.reasons[name], name
    assert np.isnan(found.sensitivity.strongest).all()


def test_a_family_that_confounds_moves_the_effect_when_it_is_left_out(frame: Frame) -> None:
    bare = frame.without_family("history")
    with_graph = fitted(bare, light(0)).average_effects_
    without = fitted(bare.without_family("embedding"), light(0)).average_effects_
    assert without.value[0] - with_graph.value[0] > 2 * with_graph.error[0]


def test_placebo_arms_follow_the_chances_and_logged_chances_stay(frame: Frame) -> None:
    seen = []

    class Watched(UpliftLearner):
        def fit(self, X: Any, treatment: Any, outcome: Any, propensity: Any = None, **rest: Any) -> UpliftLearner:
            seen.append((np.array(treatment), propensity))
            return super().fit(X, treatment, outcome, propensity, **rest)

    chance = np.where(frame.X[:, :1] > 0, [[0.8, 0.1, 0.1]], [[0.2, 0.4, 0.4]])
    tried = placebo(frame, chance, lambda seed: Watched(folds=2, candidates=(), seed=seed), Plan(placebos=2))
    assert tried.values.shape == (2, 2)
    assert all(np.array_equal(logged, frame.propensity, equal_nan=True) for _, logged in seen)
    for arm, _ in seen:
        shares = [(arm[frame.X[:, 0] > 0] == 0).mean(), (arm[frame.X[:, 0] <= 0] == 0).mean()]
        assert shares == pytest.approx([0.8, 0.2], abs=0.08)
        assert not np.array_equal(arm, frame.arm)
    assert not np.array_equal(seen[0][0], seen[1][0])


def test_tomorrows_arm_is_tried_on_todays_outcome(frame: Frame) -> None:
    given = {}

    class Watched(UpliftLearner):
        def fit(self, X: Any, treatment: Any, outcome: Any, propensity: Any = None, **rest: Any) -> UpliftLearner:
            given.update(X=X, arm=treatment, outcome=outcome)
            return super().fit(X, treatment, outcome, propensity, **rest)

    future(frame, lambda seed: Watched(folds=2, candidates=(), seed=seed), Plan())
    last = frame.day == frame.day.max()
    assert len(given["arm"]) == int((~last).sum())
    by_key = {key: row for row, key in enumerate(zip(frame.host, frame.day, strict=True))}
    order = np.lexsort((frame.day, frame.codes))
    now = [row for row in order if not last[row]]
    following = [by_key[frame.host[row], frame.day[row] + 1] for row in now]
    assert np.array_equal(given["outcome"], frame.outcome[now])
    assert np.array_equal(given["arm"], frame.arm[following])
    assert np.array_equal(given["X"][:, -2:], np.column_stack([frame.arm[now] == 1, frame.arm[now] == 2]))


def test_a_weaker_dose_with_the_larger_effect_is_seen(frame: Frame) -> None:
    model = fitted(frame, light(0))
    falling = dose(frame, model, Plan(intensity=("arm1", "arm2")))
    rising = dose(frame, model, Plan(intensity=("arm2", "arm1")))
    assert falling[0] == pytest.approx(-rising[0])
    assert falling[0] < -1.5  # arm1 has an effect, arm2 has none
    with pytest.raises(InputError, match="two arms or more in the order"):
        dose(frame, model, Plan(intensity=("arm1",)))


def test_a_lot_drawn_once_for_each_host_is_no_mismatch(frame: Frame) -> None:
    codes = frame.codes
    arm = np.random.default_rng(1).integers(0, 3, codes.max() + 1)[codes]
    third = np.full_like(frame.propensity, 1 / 3)
    even = replace(frame, arm=arm, propensity=third, randomised=np.ones(len(frame), bool))
    assert mismatch(even).p > 0.001
    expected = ((np.bincount(arm) - len(arm) / 3) ** 2 / (len(arm) / 3)).sum()
    assert mismatch(even).statistic < expected / 3  # which takes each day for a draw of its own


def test_errors_by_host_are_asked_for_by_the_a_a_test() -> None:
    hosts = np.arange(N) // 20
    together = DRAWS.normal(size=N // 20)[hosts] + 0.1 * DRAWS.normal(size=N)
    assert 0.02 < false_rejections(together, hosts, 400) < 0.09


def test_bounds_widen_with_gamma_and_hold_the_effect() -> None:
    arm = DRAWS.integers(0, 2, N)
    y = arm + DRAWS.normal(size=N)
    even, nothing = np.full((N, 2), 0.5), np.zeros((N, 2))
    plain = y[arm == 1].mean() - y[arm == 0].mean()
    sizes = []
    for gamma in (1.0, 1.1, 1.5):
        low, high = marginal_bounds(y, arm, nothing, even, gamma)[0]
        assert low - 1e-9 <= plain <= high + 1e-9
        sizes.append(high - low)
    assert sizes[0] == pytest.approx(0.0, abs=1e-9)
    assert sizes[1] < sizes[2]
    # Brute force over which residuals weigh most, for one arm.
    values, weight = np.sort(y[arm == 1])[::-1], np.array([1 + 1 / 1.5, 1 + 1.5])
    tried = [np.average(values, weights=np.where(np.arange(len(values)) < k, weight[1], weight[0])) for k in range(N)]
    low, high = marginal_bounds(y, arm, nothing, even, 1.5)[0]
    lowest_control = -max(
        np.average(-np.sort(y[arm == 0]), weights=np.where(np.arange((arm == 0).sum()) < k, weight[1], weight[0]))
        for k in range(0, int((arm == 0).sum()), 1)
    )
    assert high == pytest.approx(max(tried) - lowest_control, abs=1e-9)


def test_robustness_is_the_strength_that_explains_the_effect_away() -> None:
    of = Noise(np.array([0.2]), np.array([4.0]))
    share = robustness(np.array([0.1]), of)
    assert share**2 / (1 - share) * 0.2 * 4.0 == pytest.approx(0.1**2)
    full, without = of, Noise(np.array([0.25]), np.array([3.0]))
    r = strength(full, without)
    assert r**2 / (1 - r) == pytest.approx(0.2 * (4.0 / 3.0 - 1.0))
    assert strength(full, full) == pytest.approx(0.0)


def test_noise_is_of_the_arm_and_the_control() -> None:
    arm = np.array([0, 1, 2, 2])
    expected, e = np.zeros((4, 3)), np.tile([0.5, 0.25, 0.25], (4, 1))
    found = noise(np.array([1.0, 2.0, 3.0, 3.0]), arm, expected, e)
    assert found.outcome == pytest.approx([2.5, 19 / 3])
    assert found.weights == pytest.approx([(4 + 16) / 4, (4 + 32) / 4])


def test_overlap_says_what_weighs_and_what_is_out_of_balance() -> None:
    X = DRAWS.normal(size=(N, 2))
    chance = 1 / (1 + np.exp(-1.5 * X[:, 0]))
    arm = (DRAWS.random(N) < chance).astype(np.int64)
    true, even = np.column_stack([1 - chance, chance]), np.full((N, 2), 0.5)
    families = {"profile": np.array([0]), "history": np.array([1])}
    kept, codes = np.ones(N, bool), np.arange(N)
    right = overlap(X, families, arm, true, kept, codes)[1]
    wrong = overlap(X, families, arm, even, kept, codes)[1]
    assert right.balance["profile"].beyond < 0.1 < wrong.balance["profile"].beyond
    assert wrong.balance["history"].beyond < 0.1
    assert wrong.effective == pytest.approx(1.0)
    assert right.effective < 0.8
    weight = 1 / chance[arm == 1]
    assert right.largest == pytest.approx(weight.max() / weight.sum())
    assert right.slope == pytest.approx(1.0, abs=4 * right.slope_error)
    assert np.isnan(wrong.slope)
    assert right.gap - right.gap_noise < 4 * right.gap_error
    half = overlap(X, families, arm, true, X[:, 0] > 0, codes)[1]
    assert half.trimmed == pytest.approx(((X[:, 0] <= 0) & (arm == 1)).sum() / (arm == 1).sum())
