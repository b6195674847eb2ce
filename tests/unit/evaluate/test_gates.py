"""The judge: colours at and beyond the limits, what is absent, intervals, every reason, plain records."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphrep.evaluate.gates import Limits, Measurement, judge

BOTH = Limits(green_min=1, green_max=2, amber_min=0.5, amber_max=4, min_rows=10)


@pytest.mark.parametrize(
    ("value", "colour"),
    [
        *((value, "green") for value in (1, 2)),
        *((value, "amber") for value in (0.999, 2.001, 0.5, 4)),
        *((value, "red") for value in (0.499, 4.001, math.inf, -math.inf, math.nan)),
        (None, "absent"),
    ],
)
def test_limits_are_inclusive_and_beyond_amber_is_red(value: float | None, colour: str) -> None:
    assert BOTH.colour(Measurement("ratio", "user", value)) == colour


def test_without_an_amber_limit_nothing_but_a_nan_is_red() -> None:
    limits = Limits(green_max=0)
    assert limits.colour(Measurement("new_space", "all", 1e9)) == "amber"
    assert limits.colour(Measurement("new_space", "all", math.nan)) == "red"
    assert Limits().colour(Measurement("told", "all", 1e9)) == "green"


def test_too_few_rows_are_absent_and_say_so() -> None:
    found = Measurement("ratio", "user", 99, rows=9)
    verdict = judge([found], lambda name, scope: BOTH)
    assert verdict.colour == "green"
    assert verdict.checks[0].colour == "absent"
    assert verdict.checks[0].note == "9 rows, judged from 10 on"
    assert BOTH.colour(Measurement("ratio", "user", 99, rows=10)) == "red"


@pytest.mark.parametrize(
    ("interval", "colour"),
    [((1.5, 9), "green"), ((2.5, 9), "amber"), ((4.5, 9), "red"), ((-9, 0.4), "red"), ((-9, 0.9), "amber")],
)
def test_a_limit_is_broken_only_where_the_whole_interval_is_beyond(interval: tuple[float, float], colour: str) -> None:
    assert BOTH.colour(Measurement("drop", "user", 5, interval=interval)) == colour


@given(st.lists(st.floats(-1, 6), max_size=6))
def test_the_day_has_the_worst_colour_and_a_reason_for_each_that_is_not_green(values: list[float]) -> None:
    verdict = judge([Measurement("ratio", str(i), v) for i, v in enumerate(values)], lambda name, scope: BOTH)
    colours = [check.colour for check in verdict.checks]
    assert verdict.colour == max(colours, key=["green", "amber", "red"].index, default="green")
    assert len(verdict.reasons) == len([c for c in colours if c != "green"])
    assert list(verdict.reasons) == sorted(verdict.reasons, key=lambda reason: reason.startswith("amber"))


def test_limits_are_asked_for_by_name_and_scope_and_a_gate_without_a_measurement_is_absent() -> None:
    def limits(name: str, scope: str) -> Limits:
        return Limits(green_max={"user/low": 1, "all": 0}[scope])

    verdict = judge([Measurement("drop", "user/low", 1)], limits, ["drop", "code_churn"])
    assert [(c.found.name, c.found.scope, c.colour) for c in verdict.checks] == [
        ("drop", "user/low", "green"),
        ("code_churn", "all", "absent"),
    ]


def test_the_record_is_plain_json_without_nan_or_infinity() -> None:
    told = [
        Measurement("a", "user", math.nan, rows=20),
        Measurement("b", "host", 3.0, interval=(2.5, math.inf), note="why"),
        Measurement("c", "all", None, note="nothing before"),
    ]
    record = json.loads(json.dumps(judge(told, lambda name, scope: BOTH).as_record(), allow_nan=False))
    assert record["colour"] == "red"
    assert record["reasons"] == [
        "red: a of user is nan, expected ≥ 1 and ≤ 2",
        "amber: b of host is 3, expected ≥ 1 and ≤ 2 (why)",
    ]
    limits = {"green_min": 1, "green_max": 2, "amber_min": 0.5, "amber_max": 4}
    assert record["checks"][1] == {
        "name": "b",
        "scope": "host",
        "value": 3.0,
        "interval": [2.5, "inf"],
        "rows": None,
        "limits": limits,
        "colour": "amber",
        "note": "why",
    }
    assert record["checks"][0]["value"] == "nan"
    assert record["checks"][2]["value"] is None
