"""One day's vectors beside another's: what each number sees, and what it must not see."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from graphrep.evaluate import drift

Floats = NDArray[np.float32]


@pytest.fixture
def before() -> Floats:
    return np.random.default_rng(0).normal(size=(200, 6)).astype(np.float32)


@pytest.fixture
def turn() -> Floats:
    return np.linalg.qr(np.random.default_rng(1).normal(size=(6, 6)))[0].astype(np.float32)


def test_rows_with_a_nan_or_an_infinity_are_counted_once() -> None:
    vectors = np.array([[1, 2], [np.nan, np.inf], [-np.inf, 0], [0, 0]], dtype=np.float32)
    assert drift.non_finite_rows(vectors) == 2
    assert drift.non_finite_rows(np.zeros((0, 2), np.float32)) == 0


def test_the_share_of_zero_rows_counts_rows_that_are_all_zero() -> None:
    assert drift.zero_row_share(np.array([[0, 0], [0, 1], [1, 0], [-0.0, 0]], dtype=np.float32)) == 0.5
    assert drift.zero_row_share(np.zeros((0, 2), np.float32)) == 0


def test_the_median_norm_leaves_zero_rows_and_what_is_not_finite_out() -> None:
    vectors = np.array([[3, 4], [0, 0], [0, 1], [0, 2], [np.nan, 1]], dtype=np.float32)
    assert drift.median_norm(vectors) == 2
    assert math.isnan(drift.median_norm(np.zeros((3, 2), np.float32)))
    assert math.isnan(drift.median_norm(np.zeros((0, 2), np.float32)))


def test_a_cosine_is_of_each_key_to_itself_and_0_without_a_direction(before: Floats) -> None:
    assert drift.cosines(3 * before, before) == pytest.approx(np.ones(200))
    spoilt = before.copy()
    spoilt[0], spoilt[1, 2] = 0, np.nan
    assert drift.cosines(spoilt, before)[:3] == pytest.approx([0, 0, 1])
    assert drift.cosines(-before, before) == pytest.approx(-np.ones(200))


def test_a_step_of_int8_is_no_change_and_learning_is_one(before: Floats) -> None:
    moved = before.copy()
    moved[:50] *= 1.02
    assert drift.unchanged_share(before * np.float32(1.005), before) == 1
    assert drift.unchanged_share(moved, before) == 0.75
    assert drift.unchanged_share(np.full_like(before, np.nan), before) == 0
    assert drift.unchanged_share(before[:0], before[:0]) == 0


def test_the_overlap_is_blind_to_a_turn_and_sees_rows_under_other_keys(before: Floats, turn: Floats) -> None:
    everyone = np.arange(200)
    assert drift.neighbor_overlap(5 * before @ turn, before, everyone) == pytest.approx(1)
    permuted = before[np.random.default_rng(2).permutation(200)]
    assert drift.neighbor_overlap(permuted, before, everyone) < 0.15
    assert math.isnan(drift.neighbor_overlap(before, before, everyone[:0]))


def test_the_overlap_equals_sets_of_neighbours_counted_one_by_one(before: Floats) -> None:
    now = before + np.random.default_rng(3).normal(size=before.shape).astype(np.float32) / 2

    def near(vectors: Floats, row: int) -> set[int]:
        ways = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        order = np.argsort(-(ways @ ways[row]), kind="stable").tolist()
        return set([i for i in order if i != row][:10])

    asked = np.array([3, 50, 199])
    expected = np.mean([len(near(now, i) & near(before, i)) / 10 for i in asked.tolist()])
    assert drift.neighbor_overlap(now, before, asked, 10) == pytest.approx(expected)


def test_strata_are_the_fifth_with_most_and_the_half_with_fewest_edges() -> None:
    degree = np.random.default_rng(4).permutation(100)
    parts = drift.strata(degree, most=1000)
    assert sorted(degree[parts["head"]]) == list(range(80, 100))
    assert sorted(degree[parts["tail"]]) == list(range(50))
    assert len(drift.strata(degree, most=7)["tail"]) == 7


def test_a_bootstrap_interval_is_seeded_holds_the_mean_and_shrinks_with_rows() -> None:
    x = np.random.default_rng(5).normal(loc=3, size=4000)

    def width(n: int) -> float:
        low, high = drift.bootstrap(lambda rows: float(x[rows].mean()), n, seed=0)
        assert low < x[:n].mean() < high
        assert (low, high) == drift.bootstrap(lambda rows: float(x[rows].mean()), n, seed=0)
        return high - low

    assert width(40) > 5 * width(4000)
    assert width(4000) == pytest.approx(2 * 1.96 / math.sqrt(4000), rel=0.2)
