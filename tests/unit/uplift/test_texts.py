"""A fitted learner as plain data predicts what it predicted before, to the last bit."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from graphrep.errors import InputError
from graphrep.uplift import UpliftLearner, texts
from graphrep.uplift.frame import Frame
from graphrep.uplift.scoring import Scorer

N = 1500
DRAWS = np.random.default_rng(0)
X = DRAWS.normal(size=(N, 3))
ARM = DRAWS.integers(0, 3, N)
CHANCE = 0.6 / (1 + np.exp(-2 * X[:, 0])) + 0.15 * (ARM == 2) * (1 + np.tanh(2 * X[:, 0]))
LIVE = (DRAWS.random(N) < CHANCE).astype(float)


def fitted(binary: bool, logged: bool, candidates: tuple[str, ...]) -> UpliftLearner:
    outcome = LIVE if binary else LIVE * np.exp(3 + X[:, 1] + 0.3 * X[:, 2])
    chances = np.full((N, 3), 1 / 3) if logged else None
    learner = UpliftLearner(folds=2, halves=4, candidates=candidates)
    return learner.fit(X, ARM, outcome, chances, groups=np.arange(N) // 5)


@pytest.mark.parametrize(
    ("binary", "logged", "candidates"),
    [(True, False, ("linear", "dr", "ra")), (False, True, ("dr",)), (True, True, ())],
)
def test_plain_data_predicts_as_the_learner_did(binary: bool, logged: bool, candidates: tuple[str, ...]) -> None:
    model = fitted(binary, logged, candidates)
    plain = texts.to_plain(model)
    assert ("share" in plain["response"]["folds"][0]) == (not binary), "minutes are chance times size"
    again = texts.from_plain(json.loads(json.dumps(plain)))
    asks: list[Any] = [UpliftLearner.predict, UpliftLearner.predict_interval, UpliftLearner.predict_outcome]
    for ask in [*asks, *([] if logged else [UpliftLearner.predict_propensity])]:
        assert np.array_equal(ask(model, X), ask(again, X)), ask.__name__
    assert texts.to_plain(again) == plain
    if logged:
        with pytest.raises(InputError, match="found all logged"):
            again.predict_propensity(X)


def test_another_object_is_no_model() -> None:
    with pytest.raises(InputError, match="a model of the format graphrep_uplift_model_v2, found 'other'"):
        texts.from_plain({"format": "other"})
    for text in ("no JSON", "{}", "[1]"):
        with pytest.raises(InputError, match="a scorer of the uplift"):
            Scorer.from_text(text)


def test_a_scorer_knows_overlap_segments_and_the_arms_that_get_the_average() -> None:
    day = np.full(N, np.datetime64("2026-03-02"))
    frame = Frame(
        X=X,
        names=[f"profile.{i}" for i in range(3)],
        host=[f"h{i}" for i in range(N)],
        day=day,
        arm=ARM,
        arms=["none", "a", "b"],
        outcome=LIVE,
        propensity=np.tile([0.6, 0.39, 0.01], (N, 1)),
        randomised=np.ones(N, bool),
        negative_control=LIVE,
        as_of=day - 1,
        in_graph=np.zeros(N, bool),
    )
    model = UpliftLearner(folds=2, halves=4, floor=0.005).fit(X, ARM, LIVE, frame.propensity)
    scorer = Scorer.of(model, frame, frozenset({"b"}))
    scored = Scorer.from_text(scorer.to_text()).score(X)
    assert np.array_equal(scored.effect[:, 1], np.full(N, model.average_effects_.value[1]))
    assert scored.effect[:, 0] == pytest.approx(model.predict(X, arm=1), abs=1e-15)
    assert scored.lower + scored.upper == pytest.approx(2 * scored.effect)
    assert scored.propensity[0] == pytest.approx([0.6, 0.39, 0.01])
    assert scored.overlap.all()
    assert not replace(scorer, floors=np.full(3, 0.05)).score(X).overlap.any()
    assert (scored.segment > 0).all()
    assert (scored.segment <= N).all()
    assert (scorer.source("b"), scorer.slope("b")) == ("constant", 0.0)
