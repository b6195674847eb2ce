"""Each knob of the generated panels does what its line says, and nothing where it is off."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from graphrep.datasets.golive import PRESETS, GoLiveSpec, simulate
from graphrep.errors import InputError

PLAIN = GoLiveSpec(hosts=2000, days=8)


def difference(seen: Any, arm: int = 1) -> float:
    return float(seen.live[seen.arm == arm].mean() - seen.live[seen.arm == 0].mean())


def test_the_same_seed_gives_the_same_panel_and_another_another() -> None:
    one, truth = simulate(PRESETS["dirty"])
    two, again = simulate(PRESETS["dirty"])
    for part, other in ((one, two), (truth, again)):
        for name, values in vars(part).items():
            assert values is None or values.tobytes() == vars(other)[name].tobytes(), name
    assert not np.array_equal(one.live, simulate(replace(PRESETS["dirty"], seed=1))[0].live[: len(one.live)])


def test_with_all_knobs_off_the_difference_in_means_is_the_effect() -> None:
    seen, truth = simulate(PLAIN)
    assert truth.effect == pytest.approx(0.06)
    assert difference(seen) == pytest.approx(0.06, abs=0.02)
    assert seen.randomised.all()
    assert np.array_equal(seen.propensity, truth.propensity)
    assert (seen.known_on == seen.day).all()
    assert len(np.unique(np.column_stack([seen.host, seen.day]), axis=0)) == len(seen.host) == 16_000


def test_traits_confound_and_only_the_graph_shows_them() -> None:
    seen, truth = simulate(replace(PLAIN, traits=1.0, assignment="logistic"))
    assert difference(seen) > 0.15
    assert np.isnan(seen.propensity).all()
    # What the policy went by is seen in the day-before embedding, hardly in the attributes of the profile.
    pull = np.log(truth.propensity[:, 1] / truth.propensity[:, 0])
    told = {}
    for name, X in (("embedding", seen.embedding()), ("profile", seen.attributes[:, :3])):
        centred = X - X.mean(axis=0)
        fitted = centred @ np.linalg.lstsq(centred, pull - pull.mean(), rcond=None)[0]
        told[name] = fitted.var() / pull.var()
    assert told["embedding"] > 0.9 > 0.3 > told["profile"]


def test_an_embedding_of_the_day_itself_knows_the_outcome() -> None:
    seen, _ = simulate(PLAIN)
    told = []
    for lag in (1, 0):
        X = seen.embedding(lag) - seen.embedding(lag).mean(axis=0)
        fitted = X @ np.linalg.lstsq(X, seen.live - seen.live.mean(), rcond=None)[0]
        told.append(fitted.var() / seen.live.var())
    assert told[1] > told[0] + 0.1


def test_something_of_the_unseen_confounder_stays_unseen() -> None:
    seen, truth = simulate(replace(PLAIN, unseen=1.0, assignment="logistic"))
    assert difference(seen) > 0.1
    pull = np.log(truth.propensity[:, 1] / truth.propensity[:, 0])
    # Days gone by show it in part; what they leave over still goes with the outcome.
    X = np.column_stack([seen.embedding(), seen.attributes, np.ones(len(pull))])
    chance = truth.chance[:, 0]
    left = [values - X @ np.linalg.lstsq(X, values, rcond=None)[0] for values in (pull, chance)]
    assert np.corrcoef(*left)[0, 1] > 0.5


@pytest.mark.parametrize(("word", "spread"), [("zero", 0), ("constant", 0), ("observed", 1), ("latent", 1)])
def test_effects_have_the_surface_that_they_are_named_for(word: str, spread: int) -> None:
    _, truth = simulate(replace(PLAIN, effects=(word,)))
    assert truth.effect.mean() == pytest.approx(0.0 if word == "zero" else 0.06, abs=0.01)
    assert (truth.effect.std() > 0.03) == bool(spread)


def test_fatigue_turns_the_effect_against_the_host() -> None:
    seen, truth = simulate(replace(PLAIN, effects=("fatigue",)))
    tired = seen.attributes[:, 4] > 2
    assert truth.effect[tired].max() < 0 < truth.effect[~tired].mean()


def test_a_rule_leaves_no_overlap_and_lots_do() -> None:
    _, rule = simulate(replace(PLAIN, traits=1.0, assignment="threshold"))
    assert rule.propensity.min() < 0.005
    seen, mixed = simulate(replace(PLAIN, traits=1.0, assignment="threshold", randomised=0.2))
    assert seen.randomised.mean() == pytest.approx(0.2, abs=0.03)
    assert (mixed.propensity[seen.randomised] == 0.5).all()
    assert np.array_equal(np.isfinite(seen.propensity[:, 0]), seen.randomised)
    assert np.isfinite(simulate(replace(PLAIN, assignment="logistic", logged=True))[0].propensity).all()


def test_a_policy_may_change_its_mind() -> None:
    _, truth = simulate(replace(PLAIN, traits=1.0, assignment="logistic", policy_change=4))
    pull = np.log(truth.propensity[:, 1] / truth.propensity[:, 0])
    early, late = pull[truth.day == 3], pull[truth.day == 5]
    assert np.corrcoef(early, late)[0, 1] < -0.8


def test_exposure_works_planning_only_seems_to() -> None:
    seen, truth = simulate(replace(PLAIN, exposure=0.05, boosted=0.5))
    assert truth.exposure_effect == pytest.approx(0.05)
    by_lot = seen.live[seen.boost].mean() - seen.live[~seen.boost].mean()
    assert by_lot == pytest.approx(
        0.05 * (seen.exposure[seen.boost].mean() - seen.exposure[~seen.boost].mean()), abs=0.02
    )
    seen, truth = simulate(replace(PLAIN, reverse_cause=1.0))
    assert (truth.exposure_effect == 0).all()
    assert seen.live[seen.exposure > 1].mean() > seen.live[seen.exposure == 0].mean() + 0.05


def test_minutes_are_zero_without_going_live_and_have_a_cap() -> None:
    seen, truth = simulate(PLAIN)
    assert np.array_equal(seen.minutes > 0, seen.live == 1)
    assert seen.minutes.max() <= 360
    measured = seen.minutes[seen.arm == 1].mean() - seen.minutes[seen.arm == 0].mean()
    assert truth.effect_minutes.mean() == pytest.approx(measured, abs=1.0)


def test_trend_drift_and_carry_over_change_later_days() -> None:
    _, truth = simulate(replace(PLAIN, trend=0.1, drift=1.0))
    last = truth.day == 7
    assert truth.chance[last, 0].mean() > truth.chance[truth.day == 0, 0].mean() + 0.08
    assert truth.effect[last] == pytest.approx(0.0)
    seen, truth = simulate(replace(PLAIN, carry_over=0.5))
    yesterday = seen.arm.reshape(8, -1)[:-1].ravel() == 1
    chance = truth.chance[:, 0].reshape(8, -1)[1:].ravel()
    assert chance[yesterday].mean() > chance[~yesterday].mean() + 0.02


def test_spillover_is_told_apart_from_the_effect() -> None:
    _, truth = simulate(replace(PLAIN, spillover=0.05))
    assert truth.spillover == pytest.approx(-0.05 * truth.neighbours)
    assert truth.effect == pytest.approx(0.06)
    assert 0 < truth.neighbours.mean() < 1


def test_the_log_is_as_dirty_as_was_asked_for() -> None:
    spec = replace(PLAIN, late=0.1, lost=0.2, repeated=0.05, undelivered=0.3, label_delay=2, new=0.2)
    seen, truth = simulate(spec)
    n = len(truth.host)
    waits = seen.known_on - seen.day
    assert waits.min() == 2
    assert (waits > 2).mean() == pytest.approx(0.1, abs=0.02)
    assert (~seen.delivered).mean() == pytest.approx(0.3, abs=0.02)
    assert len(seen.host) / n == pytest.approx(1.05, abs=0.01)
    assert (seen.arm == 1).mean() == pytest.approx(0.5 * 0.8, abs=0.02)
    assert n < 16_000
    newcomers = np.setdiff1d(truth.host, truth.host[truth.day == 0])
    assert len(newcomers) / 2000 == pytest.approx(0.2, abs=0.03)


def test_axes_turn_from_day_to_day_where_asked() -> None:
    still, turned = simulate(PLAIN)[0].embeddings, simulate(replace(PLAIN, rotation=True))[0].embeddings
    assert np.abs(still[1] - still[2]).mean() < 1.0 < np.abs(turned[1] - turned[2]).mean()
    assert np.linalg.norm(turned[1], axis=1) == pytest.approx(np.linalg.norm(still[1], axis=1))


def test_a_week_holds_what_later_days_make_of_it() -> None:
    spec = GoLiveSpec(hosts=300, days=8, base=0.05, week_draws=30)
    seen, truth = simulate(spec)
    assert truth.effect_week is not None
    # A chance of one day in seven is worth less in the week, as other days may bring it too.
    assert 0 < truth.effect_week.mean() < truth.effect.mean()
    assert np.isfinite(seen.live_week[seen.day <= 1]).all()
    assert np.isnan(seen.live_week[seen.day > 1]).all()
    assert simulate(replace(spec, week_draws=0))[1].effect_week is None


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"effects": ("big",)}, "effects among zero"),
        ({"effects": ()}, "an arm"),
        ({"assignment": "fair"}, "assignment among random"),
        ({"lost": 1.5}, "a share from 0 to 1, found 1.5"),
        ({"hosts": 0}, "hosts, days and dim of 1 or more"),
    ],
)
def test_knobs_that_mean_nothing_are_refused(knobs: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        GoLiveSpec(**knobs)
