"""The gate: inclusive limits, NaN never good, every reason given."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from graphrep.evaluate import gates
from graphrep.evaluate.gates import Check, Passed, Refused, judge


@pytest.mark.parametrize(
    ("value", "good"),
    [(1.0, True), (2.0, True), (1.5, True), (0.999, False), (2.001, False), (math.inf, False), (-math.inf, False)],
)
def test_limits_are_inclusive(value: float, good: bool) -> None:
    assert Check("ratio", "user", value, low=1, high=2).good is good


@pytest.mark.parametrize("limits", [{}, {"low": 0.0}, {"high": 0.0}, {"low": -1.0, "high": 1.0}])
def test_a_nan_is_never_good_whatever_the_limits(limits: dict[str, float]) -> None:
    verdict = judge([Check("ratio", "user", math.nan, **limits)])
    assert isinstance(verdict, Refused)
    assert verdict.reasons[0].startswith("ratio of user is nan, expected ")
    assert not verdict.reasons[0].endswith(" ")


def test_a_day_passes_when_every_check_is_good() -> None:
    checks = [Check("a", "user", 0, high=0), Check("b", "host", 1, low=1)]
    assert judge(checks) == Passed(tuple(checks))


def test_a_refusal_gives_all_the_reasons_in_order_and_keeps_all_the_checks() -> None:
    checks = [
        Check("rows not finite", "user", 3, high=0),
        Check("drop of keys", "host", 0.1, high=0.3),
        Check("ratio of median norms", "host", 2, low=0.67, high=1.5),
        Check("recall above popularity", "live", -0.01, low=0),
    ]
    verdict = judge(checks)
    assert isinstance(verdict, Refused)
    assert verdict.checks == tuple(checks)
    assert verdict.reasons == (
        "rows not finite of user is 3, expected ≤ 0",
        "ratio of median norms of host is 2, expected ≥ 0.67 and ≤ 1.5",
        "recall above popularity of live is -0.01, expected ≥ 0",
    )


def test_rows_with_a_nan_or_an_infinity_are_counted_once() -> None:
    vectors = np.array([[1, 2], [np.nan, np.inf], [-np.inf, 0], [0, 0]], dtype=np.float32)
    assert gates.non_finite_rows(vectors) == 2
    assert gates.non_finite_rows(np.zeros((0, 2), np.float32)) == 0


def test_the_share_of_zero_rows_counts_rows_that_are_all_zero() -> None:
    assert gates.zero_row_share(np.array([[0, 0], [0, 1], [1, 0], [-0.0, 0]], dtype=np.float32)) == 0.5
    assert gates.zero_row_share(np.zeros((0, 2), np.float32)) == 0


def test_the_median_norm_leaves_zero_rows_out() -> None:
    vectors = np.array([[3, 4], [0, 0], [0, 1], [0, 2]], dtype=np.float32)
    assert gates.median_norm(vectors) == 2
    assert math.isnan(gates.median_norm(np.zeros((3, 2), np.float32)))
    assert math.isnan(gates.median_norm(np.zeros((0, 2), np.float32)))


def test_the_record_is_plain_json_without_nan_or_infinity() -> None:
    verdict = judge([Check("a", "user", math.nan, high=1), Check("b", "user", math.inf, low=0, high=9)])
    record = json.loads(json.dumps(gates.as_record(verdict), allow_nan=False))
    assert record["passed"] is False
    assert len(record["reasons"]) == 2
    assert record["checks"][0] == {
        "name": "a",
        "scope": "user",
        "value": "nan",
        "low": None,
        "high": 1,
        "good": False,
    }
    assert record["checks"][1]["value"] == "inf"
    assert gates.as_record(judge([Check("a", "user", 0.5)]))["passed"] is True
