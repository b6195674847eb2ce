"""A budget of nudges: against brute force, within its caps, and worth more than the best arm for all."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from graphrep.errors import InputError
from graphrep.evaluate import metrics
from graphrep.uplift import allocate

DRAWS = np.random.default_rng(0)


def best(lower: np.ndarray, cost: np.ndarray, cap: np.ndarray, budget: float) -> float:
    """The highest sum of lower bounds of all allocations."""
    n, arms = lower.shape
    value, price = np.column_stack([np.zeros(n), lower]), np.append(0.0, cost)
    found = 0.0
    for tried in product(range(arms + 1), repeat=n):
        counts = np.bincount(tried, minlength=arms + 1)[1:]
        if price[list(tried)].sum() <= budget + 1e-9 and (counts <= np.floor(cap * n + 1e-9)).all():
            found = max(found, float(value[np.arange(n), list(tried)].sum()))
    return found


@pytest.mark.parametrize("seed", range(8))
def test_it_comes_close_to_the_best_of_all_allocations_and_keeps_its_limits(seed: int) -> None:
    draws = np.random.default_rng(seed)
    lower = draws.normal(0.1, 0.2, size=(6, 2))
    cost, cap, budget = np.array([1.0, 2.5]), np.array([0.5, 0.34]), 5.0
    found = allocate(lower, lower, cost, cap, budget)
    assert found.sure >= 0.75 * best(lower, cost, cap, budget)
    assert found.cost <= budget
    counts = np.bincount(found.arm, minlength=3)[1:]
    assert (counts <= [3, 2]).all()
    assert found.cost == pytest.approx(counts @ cost)


def test_with_money_for_all_each_host_gets_its_best_arm() -> None:
    lower = DRAWS.normal(size=(200, 3))
    found = allocate(lower, lower, [1, 2, 3], [1, 1, 1], budget=1e6)
    assert np.array_equal(found.arm, np.where(lower.max(axis=1) > 0, lower.argmax(axis=1) + 1, 0))


def test_bounds_decide_and_not_effects() -> None:
    effects = np.array([[0.5], [0.2], [0.4]])
    lower = np.array([[-0.1], [0.15], [0.1]])
    found = allocate(effects, lower, [1], [1], budget=1)
    assert found.arm.tolist() == [0, 1, 0]
    assert (found.gain, found.sure, found.cost) == (0.2, 0.15, 1.0)


def test_hosts_without_overlap_or_effects_are_never_nudged() -> None:
    lower = np.array([[0.9], [np.nan], [0.1]])
    found = allocate(lower, lower, [1], [1], budget=9, overlap=[False, True, True])
    assert found.arm.tolist() == [0, 0, 1]


def test_equal_steps_go_by_effect_then_host_and_twice_the_same() -> None:
    lower = np.full((4, 1), 0.1)
    effects = np.array([[0.2], [0.3], [0.3], [0.2]])
    assert allocate(effects, lower, [1], [1], budget=1).arm.tolist() == [0, 1, 0, 0]
    assert allocate(effects, lower, [1], [0.75], budget=9).arm.tolist() == [1, 1, 1, 0]


def test_a_full_arm_leaves_the_next_best() -> None:
    lower = np.array([[0.1, 0.5], [0.1, 0.4], [0.1, 0.3]])
    found = allocate(lower, lower, [1, 1], [1, 0.34], budget=9)
    assert found.arm.tolist() == [2, 1, 1]


def test_a_host_that_moves_to_a_dearer_arm_leaves_its_place() -> None:
    lower = np.array([[0.5, 0.8], [0.1, -1.0], [-1.0, -1.0]])
    found = allocate(lower, lower, [1, 3], [0.34, 0.34], budget=9)
    assert found.arm.tolist() == [2, 1, 0]


def test_it_is_worth_more_than_the_best_arm_for_all_that_the_budget_pays() -> None:
    n = 4000
    x = DRAWS.normal(size=n)
    effects = np.column_stack([0.1 * x, -0.1 * x])
    arm = DRAWS.integers(0, 3, n)
    outcome = 0.5 + np.column_stack([np.zeros(n), effects])[np.arange(n), arm] + 0.1 * DRAWS.normal(size=n)
    chance = np.full((n, 3), 1 / 3)
    potential = np.full((n, 3), 0.5)
    potential[np.arange(n), arm] += (outcome - 0.5) / chance[np.arange(n), arm]
    decision = allocate(effects, effects - 0.02, [1, 1], [1, 1], budget=n).arm
    against = metrics.best_constant_arm(potential)
    found = metrics.policy_value(decision, potential, against=against)
    assert found.interval()[0] > 0
    assert found.value == pytest.approx(0.1 * np.abs(x).mean(), abs=4 * found.error)


REFUSED = {
    "shapes": ({"lower": [[0.1]]}, "effects and lower bounds"),
    "a cost of 0": ({"cost": [0.0]}, "costs above 0"),
    "a cap above 1": ({"cap": [2.0]}, "caps from 0 to 1"),
    "two caps": ({"cap": [0.5, 0.5]}, "1 values, one for each arm"),
    "a negative budget": ({"budget": -1.0}, "a budget of 0 or more"),
    "a budget that is none": ({"budget": float("nan")}, "a budget of 0 or more"),
    "flags that are numbers": ({"overlap": [1, 0]}, "2 flags"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_input_is_refused(name: str) -> None:
    changes, message = REFUSED[name]
    good = {"effects": [[0.1], [0.2]], "lower": [[0.1], [0.2]], "cost": [1.0], "cap": [1.0], "budget": 1.0}
    with pytest.raises(InputError, match=message):
        allocate(**{**good, **changes})
