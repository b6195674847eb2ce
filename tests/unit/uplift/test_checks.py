"""What a fit refuses, each in one line that says what to do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from graphrep.errors import InputError
from graphrep.uplift import UpliftLearner, forward_folds, host_days, host_folds

N = 300
X = np.random.default_rng(0).normal(size=(N, 2))
ARM = np.arange(N) % 3
OUTCOME = np.random.default_rng(1).normal(size=N)
KNOWN = np.tile([0.4, 0.3, 0.3], (N, 1))


def changed(table: Any, place: Any, value: float) -> Any:
    table = np.array(table, dtype=float)
    table[place] = value
    return table


REFUSED = {
    "one arm only": ({"treatment": np.ones(N)}, "found one arm only, 1"),
    "no control": ({"treatment": ARM % 2 + 1}, "rows of the control, label 0"),
    "a gap in the labels": ({"treatment": np.where(ARM == 2, 5, ARM)}, "labels 0..K without gaps"),
    "labels below 0": ({"treatment": ARM - 1}, "labels 0..K without gaps"),
    "labels that are words": ({"treatment": np.array(["a", "b"])[ARM % 2]}, "whole numbers"),
    "labels between": ({"treatment": ARM / 2}, "whole numbers"),
    "an arm with ten rows": (
        {"treatment": np.where(np.arange(N) < 10, 1, 0)},
        r"at least 50 rows an arm, found 10 \[arm 1\]",
    ),
    "a constant outcome": ({"outcome": np.full(N, 0.5)}, "found 0.5 in every row"),
    "an outcome not mature": ({"outcome": changed(OUTCOME, 7, np.nan)}, "mature, finite outcomes, found 1 rows"),
    "NaN covariates": ({"X": changed(X, (3, 1), np.nan)}, r"no NaN covariates, found 1 \[X, column 1\]"),
    "infinite covariates": ({"X": changed(X, (3, 0), np.inf)}, r"no infinite covariates, found 1 \[X, column 0\]"),
    "words as covariates": ({"X": np.full((N, 1), "a")}, "covariates that are numbers"),
    "one column without its axis": ({"X": X[:, 0]}, "rows, columns"),
    "a propensity of 0": ({"propensity": np.tile([0.5, 0.5, 0.0], (N, 1))}, "above 0 and below 1, found 300 rows"),
    "a propensity of 1": ({"propensity": np.tile([1.0, 0.0, 0.0], (N, 1))}, "above 0 and below 1"),
    "propensities that do not add up": ({"propensity": KNOWN / 2}, "add up to 1"),
    "propensities known in part": ({"propensity": changed(KNOWN, (0, 0), np.nan)}, "1 rows in part"),
    "propensities of other arms": ({"propensity": KNOWN[:, :2]}, "propensities of shape"),
    "a weight of 0": ({"sample_weight": np.zeros(N)}, "weights above 0"),
    "one group": ({"groups": np.zeros(N)}, "at least two groups"),
    "outcomes of another length": ({"outcome": OUTCOME[1:]}, r"300 values, one for each row"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_fit_refuses_in_one_line(name: str) -> None:
    given, message = REFUSED[name]
    rows = {"X": X, "treatment": ARM, "outcome": OUTCOME, **given}
    with pytest.raises(InputError, match=message) as refused:
        UpliftLearner().fit(**rows)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"candidates": ("forest",)}, "candidates among constant, linear, dr, ra, found forest"),
        ({"floor": 0.6}, "a floor from 0 to below 0.5"),
        ({"halves": 1}, "2 halves or more"),
        ({"folds": 1}, "2 folds or more"),
        ({"folds": [([0, 1], [1, 2])]}, "rows on one side only"),
        ({"folds": [([0], [1]), ([0], [1])]}, "each row tested once"),
        ({"folds": [([0], [N])]}, "rows 0 to 299"),
        ({"folds": [([0, 1, 2], [3, 4])]}, "rows of every arm, found none of arm 2 .test part of fold 0"),
    ],
)
def test_settings_that_mean_nothing_are_refused(parameters: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        UpliftLearner(**parameters).fit(X, ARM, OUTCOME)


def test_rows_of_which_none_has_overlap_are_refused() -> None:
    with pytest.raises(InputError, match="found 0 rows with overlap"):
        UpliftLearner(floor=0.4).fit(X, ARM % 2, OUTCOME, np.full(N, 0.01))


def test_a_host_day_that_comes_twice_is_refused() -> None:
    with pytest.raises(InputError, match="each host-day once, found 1 repeated"):
        host_days(["a", "b", "a"], [1, 1, 1], horizon=1, as_of=5)


def test_outcomes_mature_after_their_horizon_and_delay() -> None:
    host_days(["a"], [4], horizon=7, as_of=11, delay=1)
    with pytest.raises(InputError, match="1 rows after day 3"):
        host_days(["a"], [4], horizon=7, as_of=10, delay=1)


def test_folds_keep_a_host_together_and_are_of_equal_size() -> None:
    hosts = np.random.default_rng(2).integers(0, 90, 1000)
    found = host_folds(hosts, 3, seed=4)
    assert np.array_equal(np.sort(np.concatenate([test for _, test in found])), np.arange(1000))
    for train, test in found:
        assert not np.intersect1d(hosts[train], hosts[test]).size
        assert abs(len(np.unique(hosts[test])) - 30) <= 1


def test_forward_blocks_leave_a_gap_and_never_look_back() -> None:
    days = np.repeat(np.arange(20), 3)
    found = forward_folds(days, blocks=2, block_days=4, gap=7)
    for train, test in found:
        assert days[train].max() + 7 < days[test].min()
    assert [days[test].min() for _, test in found] == [12, 16]
    with pytest.raises(InputError, match="rows to train and to test"):
        forward_folds(days, blocks=4, block_days=4, gap=7)
