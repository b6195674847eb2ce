"""Each gate is tripped by its fault, none by a panel without one, and what is missing never passes."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest

from benchmarks.uplift_gates import CLEAN, PLAN, collected, frame_of, light
from graphrep.errors import ConfigError
from graphrep.evaluate import metrics
from graphrep.uplift import (
    AverageEffects,
    Decision,
    Evidence,
    Frame,
    UpliftLearner,
    clock,
    decide,
    evidence,
    held_out,
    judge,
    overlap,
    stability,
    with_overrides,
)
from graphrep.uplift.gates import CONSEQUENCES, LIMITS, Row
from graphrep.uplift.lot import Statistic, mismatch, predictability
from graphrep.uplift.refute import _by_policy, _noise, fitted, negative_control, placebo
from graphrep.uplift.sensitivity import robustness, strength

SPEC = replace(CLEAN, seed=1)
PLAIN = replace(SPEC, effects=("constant",), randomised=0.0, hosts=150)


@pytest.fixture(scope="module")
def frame() -> Frame:
    return frame_of(SPEC)


@pytest.fixture(scope="module")
def clean(frame: Frame) -> tuple[Evidence, UpliftLearner]:
    return collected(frame, PLAN)


@pytest.fixture(scope="module")
def model(clean: Any) -> UpliftLearner:
    return clean[1]


def refuted(found: Evidence, **changes: Any) -> Evidence:
    assert found.refutations is not None
    return replace(found, refutations=replace(found.refutations, **changes))


def outcomes(found: Evidence, gate: str, limits: Any = LIMITS) -> dict[tuple[str, str], str]:
    return {(row.check, row.arm): row.outcome for row in judge(found, limits) if row.gate == gate}


def late(found: Evidence, frame: Frame, model: UpliftLearner) -> Evidence:
    known = frame.as_of.copy()
    known[5] = frame.day[5]
    return replace(found, clock=clock(frame.host, frame.day, known, np.ones(len(frame), bool)))


def lost_nudges(found: Evidence, frame: Frame, model: UpliftLearner) -> Evidence:
    lot = frame.take(frame.randomised)
    kept = (lot.arm == 0) | (np.arange(len(lot)) % 5 > 1)
    return refuted(found, mismatch=mismatch(lot.take(kept)))


def lot_by_profile(found: Evidence, frame: Frame, model: UpliftLearner) -> Evidence:
    lot = frame.take(frame.randomised)
    chance = 1 / (1 + np.exp(-1.5 * lot.X[:, 0]))
    arm = (np.random.default_rng(0).random(len(lot)) < chance).astype(np.int64)
    return refuted(found, predictability=predictability(replace(lot, arm=arm)))


def by_rule(found: Evidence, frame: Frame, model: UpliftLearner) -> Evidence:
    other = frame_of(replace(PLAIN, assignment="threshold", traits=1.0))
    return with_overlap(found, other, fitted(other, light(0)))


def bold_log(found: Evidence, frame: Frame, model: UpliftLearner) -> Evidence:
    other = frame_of(replace(PLAIN, logged=True))
    square = other.propensity**2
    other = replace(other, propensity=square / square.sum(axis=1, keepdims=True))
    return with_overlap(found, other, fitted(other, light(0)))


def with_overlap(found: Evidence, other: Frame, model: UpliftLearner) -> Evidence:
    kept = model.trim_reason_ == ""
    return replace(found, overlap=overlap(other.X, other.families, other.arm, model.propensity_, kept, other.codes))


def hidden_traits(found: Evidence, frame: Frame, model: UpliftLearner) -> Evidence:
    other = frame_of(replace(PLAIN, traits=1.5)).without_family("embedding").without_family("history")
    return refuted(found, negative_control=negative_control(other, light, PLAN))


class Boastful(UpliftLearner):
    """Reports a third of its error."""

    def fit(self, *args: Any, **kwargs: Any) -> UpliftLearner:
        super().fit(*args, **kwargs)
        effects = self.average_effects_
        self.average_effects_ = AverageEffects(effects.value, effects.error / 3)
        return self


def boastful(found: Evidence, frame: Frame, model: UpliftLearner) -> Evidence:
    other = frame_of(replace(PLAIN, hosts=80))
    even = np.full((len(other), 2), 0.5)
    tried = placebo(other, even, lambda seed: Boastful(folds=2, candidates=(), seed=seed), replace(PLAN, placebos=10))
    return refuted(found, placebo=tried)


def with_held(found: Evidence, frame: Frame, model: UpliftLearner, change: Callable[[Any], Any]) -> Evidence:
    days = np.unique(frame.day)
    today = frame.take(frame.day > days[0])
    other = copy.copy(model)
    kept = model.trim_reason_ == ""
    other.held_ = model.held_.copy()
    other.held_[kept] = change(model.held_[kept])
    score = metrics.qini(other.held_[kept, 0], model.scores_[kept, 0], today.host[kept])
    return replace(found, held=held_out(today, other), ranking={"arm1": score})


def overdone(held: Any) -> Any:
    return held.mean(axis=0) + 4.0 * (held - held.mean(axis=0))


def shuffled(held: Any) -> Any:
    return np.random.default_rng(0).permutation(held)


def hidden_cause(found: Evidence, frame: Frame, model: UpliftLearner) -> Evidence:
    other = frame_of(replace(SPEC, traits=1.5)).without_family("embedding").without_family("history")
    lot = fitted(other.take(other.randomised), light(0)).average_effects_
    return refuted(found, by_policy=_by_policy(other, light, PLAN), by_lot=lot)


def turned(found: Evidence, frame: Frame, model: UpliftLearner) -> Evidence:
    effect = np.linspace(0, 1, 50)
    return replace(found, stability={"arm1": stability(effect, range(50), effect[::-1], range(50))})


def leaning(found: Evidence, frame: Frame, model: UpliftLearner) -> Evidence:
    other = frame_of(replace(PLAIN, traits=2.0, size=0.08, hosts=300)).without_family("history")
    full, less = fitted(other, light(0)), fitted(other.without_family("embedding"), light(0))
    noise = _noise(other, full)
    value = robustness(full.average_effects_.value, noise)
    strongest = strength(noise, _noise(other.without_family("embedding"), less))
    assert found.refutations is not None
    of = replace(found.refutations.sensitivity, robustness=value, strongest=strongest)
    return refuted(found, sensitivity=of, effects=full.average_effects_)


def harmful(found: Evidence, frame: Frame, model: UpliftLearner) -> Evidence:
    other = frame_of(replace(PLAIN, size=-0.2, base=0.4))
    return replace(found, held=held_out(other, fitted(other, light(0))))


FAULTS: dict[str, tuple[Callable[..., Evidence], tuple[str, str]]] = {
    "G1": (late, ("blocked", "none")),
    "G2": (lost_nudges, ("degraded", "previous")),
    "G3": (lot_by_profile, ("degraded", "chosen")),
    "G4": (by_rule, ("blocked", "none")),
    "G5": (bold_log, ("blocked", "none")),
    "G6": (hidden_traits, ("degraded", "constant")),
    "G7": (boastful, ("blocked", "none")),
    "G8": (partial(with_held, change=overdone), ("degraded", "constant")),
    "G9": (partial(with_held, change=shuffled), ("degraded", "constant")),
    "G10": (partial(with_held, change=shuffled), ("degraded", "constant")),
    "G11": (hidden_cause, ("degraded", "constant")),
    "G12": (turned, ("degraded", "previous")),
    "G13": (leaning, ("pass", "chosen")),
    "G14": (harmful, ("pass", "chosen")),
}


def test_a_panel_without_a_fault_fails_at_no_gate(clean: Any) -> None:
    rows = judge(clean[0])
    assert [row for row in rows if row.outcome in ("failed", "absent")] == []
    assert {row.gate for row in rows} == set(CONSEQUENCES)
    assert decide(rows, clean[0])["arm1"].source == "chosen"
    assert decide(rows, clean[0])["arm1"].mode in ("pass", "undecided")


@pytest.mark.parametrize("gate", FAULTS)
def test_each_gate_is_tripped_by_its_fault(clean: Any, frame: Frame, gate: str) -> None:
    fault, (mode, source) = FAULTS[gate]
    found = fault(clean[0], frame, clean[1])
    rows = judge(found)
    failed = {row.gate for row in rows if row.outcome == "failed"}
    assert gate in failed
    decision = decide([row for row in rows if row.gate == gate or row.outcome == "passed"] + passed(gate), found)[
        "arm1"
    ]
    assert (decision.mode, decision.source) == (mode, source)
    assert any(f"failed: {gate} " in reason for reason in decision.reasons)
    assert bool(decision.flags) == (CONSEQUENCES[gate] == "flag")


def passed(but: str) -> list[Row]:
    """A passed row of every other gate, so that one gate alone decides."""
    return [Row(gate, "", "", 0.0, "", "passed", CONSEQUENCES[gate]) for gate in CONSEQUENCES if gate != but]


def test_what_is_missing_never_passes() -> None:
    nothing = Evidence(arms=("none", "push"), lot=0.5)
    assert {row.outcome for row in judge(nothing)} == {"absent"}
    assert decide(judge(nothing), nothing)["push"].mode == "blocked"
    for gate, consequence in CONSEQUENCES.items():
        decision = decide(passed(gate), nothing)["push"]  # no row of the gate at all
        assert decision.mode != "pass", gate
        assert (decision.source == "chosen") == (consequence in ("flag", "policy_only")), gate


def test_a_gate_of_one_arm_leaves_the_others_alone() -> None:
    found = Evidence(arms=("none", "push", "banner"), lot=0.0)
    one = Row("G9", "skill", "push", -1.0, "> 0", "failed", "constant")
    decided = decide([*passed("G9"), one, replace(one, arm="banner", outcome="passed")], found)
    assert [decided[arm].source for arm in ("push", "banner")] == ["constant", "chosen"]
    of_control = decide([*passed("G4"), Row("G4", "trimmed", "none", 1.0, "", "failed", "drop_arm")], found)
    assert {decision.mode for decision in of_control.values()} == {"blocked"}


def test_without_rows_by_lot_an_arm_is_undecided_and_without_trust_in_them_it_is_blocked(clean: Any) -> None:
    found = replace(refuted(clean[0], mismatch=None, predictability=None, by_lot=None, by_policy=None), lot=0.0)
    for gate in ("G2", "G3", "G11"):
        assert set(outcomes(found, gate).values()) == {"undecided"}
    assert decide(judge(found), found)["arm1"].mode == "undecided"
    six = Row("G6", "negative control", "arm1", 1.0, "", "failed", "randomised_only")
    three = Row("G3", "predictability", "", 0.0, "", "failed", "policy_only")
    alone = decide([*passed("G6"), six], clean[0])["arm1"]
    both = decide([*passed("G6"), six, three], clean[0])["arm1"]
    assert (alone.mode, alone.source, alone.identified_by) == ("degraded", "constant", "randomised")
    assert (both.mode, both.source, both.trust_lot) == ("blocked", "none", False)


def test_limits_come_from_a_configuration(clean: Any) -> None:
    strict = with_overrides({"effective": 0.999})
    assert "failed" in outcomes(clean[0], "G4", strict).values()
    with pytest.raises(ConfigError, match="limits among"):
        with_overrides({"efective": 0.5})
    with pytest.raises(ConfigError, match="a finite limit"):
        with_overrides({"effective": float("nan")})


def test_what_errors_explain_is_no_fault_and_what_is_beyond_them_is_one(clean: Any) -> None:
    (own,) = clean[0].held
    for slope_error, index in ((0.0, "failed"), (0.2, "passed")):  # a slope 1.4 times as large has an index of 0.23
        held = [replace(own, slope_error=slope_error)]
        steady = {"arm1": replace(stability([0.1, 0.2, 0.4], range(3), [0.1, 0.2, 0.3], range(3)), index=0.4, chance=0)}
        found = replace(clean[0], held=held, stability=steady)
        assert outcomes(found, "G12")["stability index", "arm1"] == index
    for missed, deciles in ((0.4, "passed"), (0.6, "failed")):
        held = [replace(own, deciles=Statistic(60.0, 1e-9), missed=missed)]
        assert outcomes(replace(clean[0], held=held), "G8")["deciles p", "arm1"] == deciles


def test_a_first_day_and_equal_effects_on_two_days_are_no_fault(clean: Any) -> None:
    first = replace(clean[0], stability={"arm1": stability([0.1], ["a"], None, None)})
    assert set(outcomes(first, "G12").values()) == {"passed", "undecided"}
    same = np.full(30, 0.1)
    steady = {"arm1": stability(same, range(30), same + 0.01, range(30))}
    held = [replace(one, constant=True) for one in clean[0].held]
    assert set(outcomes(replace(clean[0], stability=steady, held=held), "G12").values()) == {"passed"}
    fewer = {"arm1": stability(np.arange(20.0), range(20), np.arange(30.0), range(30))}
    assert outcomes(replace(clean[0], stability=fewer), "G12")["change of the rows", "arm1"] == "failed"
    lacking = {"arm1": stability([0.1, np.nan], [0, 1], [0.1, 0.2], [0, 1])}
    assert outcomes(replace(clean[0], stability=lacking), "G12")["rows without an effect", "arm1"] == "failed"


def test_rows_are_plain_data(clean: Any) -> None:
    records = [row.as_record() for row in judge(clean[0])]
    assert all(type(record["value"]) in (float, type(None)) for record in records)
    assert isinstance(decide(judge(clean[0]), clean[0])["arm1"], Decision)


def test_evidence_is_gathered_from_a_model_alone(frame: Frame, model: UpliftLearner) -> None:
    days = np.unique(frame.day)
    found = evidence(frame.take(frame.day > days[0]), model)
    assert found.refutations is None
    assert len(found.overlap or ()) == 2
    assert set(outcomes(found, "G7").values()) == {"absent"}
