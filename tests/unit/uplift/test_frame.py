"""The frame that judges are handed: what it refuses, and what is left when parts are taken."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from benchmarks.uplift_gates import frame_of
from graphrep.datasets.golive import GoLiveSpec
from graphrep.errors import InputError
from graphrep.uplift import Frame, small_arms

SPEC = GoLiveSpec(hosts=40, days=5, dim=3, effects=("constant", "zero"), randomised=0.5, assignment="logistic")


@pytest.fixture(scope="module")
def frame() -> Frame:
    return frame_of(SPEC)


def changed(values: Any, place: Any, value: Any) -> Any:
    copy = np.array(values)
    copy[place] = value
    return copy


def test_a_slip_of_one_day_is_refused_by_the_name_of_the_input(frame: Frame) -> None:
    with pytest.raises(InputError, match=r"knows?.* own day or later \[as_of\]"):
        frame_of(SPEC, lag=0)
    late = changed(frame.as_of, 7, frame.day[7])
    with pytest.raises(InputError, match=r"1 rows .* \[embeddings\]; join it as of the day before"):
        replace(frame, inputs={"history": frame.as_of, "embeddings": late})


REFUSED = {
    "a host-day twice": (lambda f: {"host": changed(f.host, 1, f.host[0])}, "each host-day once, found 1 repeated"),
    "NaN covariates": (lambda f: {"X": changed(f.X, (3, 2), np.nan)}, "no NaN covariates"),
    "a column without a family": (lambda f: {"names": ["age", *f.names[1:]]}, "a family among history, profile"),
    "a name twice": (lambda f: {"names": [f.names[1], *f.names[1:]]}, "each once"),
    "a label without a name": (lambda f: {"arm": changed(f.arm, 0, 3)}, "arms 0 to 2"),
    "an outcome that is not mature": (lambda f: {"outcome": changed(f.outcome, 0, np.nan)}, "mature, finite outcomes"),
    "a chance of 0": (lambda f: {"propensity": changed(f.propensity, 0, [0.0, 0.5, 0.5])}, "above 0 and below 1"),
    "a lot that was not logged": (lambda f: {"randomised": np.ones(len(f), bool)}, "logged chances of rows drawn"),
    "embeddings of hosts outside the graph": (lambda f: {"in_graph": np.zeros(len(f), bool)}, "expected zeros"),
    "a day that is none": (lambda f: {"day": changed(f.day, 2, np.datetime64("NaT"))}, "a day in every row"),
    "lengths that differ": (lambda f: {"as_of": f.as_of[1:]}, "200 values, one for each row"),
    "flags that are numbers": (lambda f: {"in_graph": np.ones(len(f))}, "true or false"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_input_is_refused_in_one_line(frame: Frame, name: str) -> None:
    change, message = REFUSED[name]
    with pytest.raises(InputError, match=message) as caught:
        replace(frame, **change(frame))
    assert "\n" not in str(caught.value)


def test_hosts_outside_the_graph_have_zeros_and_say_so(frame: Frame) -> None:
    inside = np.arange(len(frame)) % 2 == 0
    X = frame.X.copy()
    X[np.ix_(~inside, frame.families["embedding"])] = 0.0
    assert not replace(frame, X=X, in_graph=inside).in_graph[1]


def test_a_family_goes_and_the_rest_stays(frame: Frame) -> None:
    left = frame.without_family("embedding")
    assert left.names == frame.names[:5]
    assert np.array_equal(left.X, frame.X[:, :5])
    with pytest.raises(InputError, match="families history, profile, embedding"):
        frame.without_family("calendar")


def test_an_arm_goes_with_its_rows_and_its_share_of_the_chances(frame: Frame) -> None:
    left = frame.without_arms(["arm1"])
    assert left.arms == ("none", "arm2")
    assert len(left) == int((frame.arm != 1).sum())
    assert left.propensity[left.randomised] == pytest.approx(0.5)
    assert np.array_equal(left.outcome, frame.outcome[frame.arm != 1])
    assert set(left.arm) == {0, 1}
    with pytest.raises(InputError, match="arms among arm1, arm2"):
        frame.without_arms(["none"])


def test_arms_that_are_too_small_are_named_with_a_reason(frame: Frame) -> None:
    few = int((frame.arm == 1).sum())
    assert small_arms(frame, rows=few + 1, positive=0)["arm1"] == f"{few} rows, {few + 1} needed"
    assert not small_arms(frame, rows=1, positive=0)
    assert "above 0" in small_arms(frame, rows=1, positive=200)["arm2"]
