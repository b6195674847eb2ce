"""Attempts to refute an effect: what must be zero is estimated by the same learner, everything fitted anew.

A factory makes the learner of a seed; for average effects alone ``UpliftLearner(candidates=(), halves=2)`` is enough,
so that a refit costs its nuisances. What cannot be computed (an outcome that does not vary, an arm that is too small)
is None, and ``Refutations.reasons`` says why: a gate that needs it does not pass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphrep.errors import InputError
from graphrep.uplift.frame import Frame
from graphrep.uplift.learner import UpliftLearner
from graphrep.uplift.lot import Statistic, false_rejections, mismatch, predictability
from graphrep.uplift.scores import KEPT, AverageEffects, mean_error
from graphrep.uplift.sensitivity import Noise, marginal_bounds, noise, robustness, strength

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Factory = Callable[[int], UpliftLearner]

GAMMAS = (1.1, 1.25, 1.5)


@dataclass(frozen=True)
class Plan:
    """How much is tried.

    Attributes:
        placebos: refits with arms drawn anew; 0 leaves them out.
        placebo_rows: about how many rows of whole hosts a placebo is fitted to.
        subsets: refits without a share of the hosts.
        left_out: that share.
        families: whether each family of columns is left out once, which the robustness values are compared with.
        future: whether tomorrow's arm is tried on today's outcome.
        cause: whether a column of noise is added, the same for all days of a host.
        blind: columns that the negative control is fitted without, because they hold that outcome itself.
        intensity: arms in the order of their dose, the weakest first; empty where they have none.
        seed: of everything that is drawn.
    """

    placebos: int = 20
    placebo_rows: int = 20_000
    subsets: int = 2
    left_out: float = 0.2
    families: bool = True
    future: bool = True
    cause: bool = True
    blind: Sequence[str] = ()
    intensity: Sequence[str] = ()
    seed: int = 0


@dataclass(frozen=True)
class Placebo:
    """Effects of arms that were drawn anew, and their reported errors, (R, K) each."""

    values: Floats
    errors: Floats


@dataclass(frozen=True)
class Sensitivity:
    """What hidden confounding would have to be.

    Attributes:
        robustness: (K,) share of outcome and weights that a confounder must explain to bring the effect to 0.
        strongest: (K,) that of the strongest family of columns, NaN where families were not left out.
        family: (K,) its name.
        bounds: Γ → (K, 2) average effects where odds of the arms may be off by Γ.
    """

    robustness: Floats
    strongest: Floats
    family: tuple[str, ...]
    bounds: Mapping[float, Floats]


@dataclass(frozen=True)
class Refutations:
    """What was tried; None where it could not be, and ``reasons`` says why.

    Attributes:
        effects: average effects of the frame as it is, by the learners of the factory.
        negative_control: effects on the outcome of the day before; of nothing but noise where nothing is hidden.
        placebo: effects of arms that were drawn anew.
        future: effects of tomorrow's arm on today's outcome; a policy that reacts to today's outcome shows here too.
        cause: effects with a column of noise among the covariates, which must move nothing; ``subset_error`` is more.
        subset: (R, K) effects without a share of the hosts; ``subset_error`` (K,) is how far they should move.
        without: family → effects without its columns.
        dose: for each pair of neighbours in the order of intensity, z of the stronger minus the weaker.
        mismatch: counts of the arms against logged chances, on the randomised rows.
        predictability: whether a classifier tells the arms there.
        a_a: share of random splits of the hosts there that a nominal 5 % test rejects.
        by_policy, by_lot: effects of the rows that the policy assigned and of those that were drawn by lot.
        sensitivity: to hidden confounding.
        reasons: name of what is None → why.
    """

    effects: AverageEffects
    negative_control: AverageEffects | None
    placebo: Placebo | None
    future: AverageEffects | None
    cause: AverageEffects | None
    subset: Floats | None
    subset_error: Floats
    without: Mapping[str, AverageEffects]
    dose: tuple[float, ...] | None
    mismatch: Statistic | None
    predictability: Statistic | None
    a_a: float | None
    by_policy: AverageEffects | None
    by_lot: AverageEffects | None
    sensitivity: Sensitivity
    reasons: Mapping[str, str]


def refute(frame: Frame, factory: Factory, plan: Plan | None = None) -> Refutations:
    """Every refutation of the plan.

    Raises:
        InputError: the frame itself cannot be fitted.
    """
    plan = plan or Plan()
    reasons: dict[str, str] = {}

    def tried(name: str, attempt: Callable[[], Any]) -> Any:
        try:
            return attempt()
        except InputError as error:
            reasons[name] = str(error)
            return None

    model = fitted(frame, factory(plan.seed))
    lot = np.flatnonzero(frame.randomised)
    without = {}
    for family in frame.families if plan.families and len(frame.families) > 1 else ():
        kept = tried(f"without {family}", partial(_without, frame, family, factory(plan.seed)))
        without.update({family: kept} if kept is not None else {})
    found = {
        "negative_control": tried("negative_control", lambda: negative_control(frame, factory, plan)),
        "placebo": tried("placebo", lambda: placebo(frame, model.propensity_, factory, plan)),
        "future": tried("future", lambda: future(frame, factory, plan)),
        "cause": tried("cause", lambda: random_cause(frame, factory, plan)),
        "subset": tried("subset", lambda: subsets(frame, factory, plan)),
        "dose": tried("dose", lambda: dose(frame, model, plan)),
        "mismatch": tried("mismatch", lambda: mismatch(_some(frame, lot))),
        "predictability": tried("predictability", lambda: predictability(_some(frame, lot), plan.seed)),
        "a_a": tried("a_a", lambda: _a_a(frame, model, lot, plan)),
        "by_lot": tried("by_lot", lambda: fitted(_some(frame, lot), factory(plan.seed)).average_effects_),
        "by_policy": tried("by_policy", lambda: _by_policy(frame, factory, plan)),
    }
    error = model.average_effects_.error * np.sqrt(plan.left_out / (1 - plan.left_out))
    effects = {family: other.average_effects_ for family, other in without.items()}
    sensitivity = _sensitivity(frame, model, without)
    return Refutations(
        effects=model.average_effects_,
        subset_error=error,
        without=effects,
        sensitivity=sensitivity,
        reasons=reasons,
        **found,
    )


def fitted(frame: Frame, learner: UpliftLearner, outcome: Floats | None = None) -> UpliftLearner:
    """The learner, fitted to a frame, or to another outcome (n,) of its rows; unlogged chances are estimated."""
    logged = None if np.isnan(frame.propensity).all() else frame.propensity
    y = frame.outcome if outcome is None else outcome
    if len(np.unique(frame.arm)) < frame.n_arms:
        raise InputError("rows of every arm", found=f"{len(np.unique(frame.arm))} of {frame.n_arms}", where="frame")
    return learner.fit(frame.X, frame.arm, y, logged, groups=frame.host)


def negative_control(frame: Frame, factory: Factory, plan: Plan) -> AverageEffects:
    """Effects on the outcome of the day before, with chances and expectations fitted for it."""
    left = [place for place, name in enumerate(frame.names) if name not in plan.blind]
    other = replace(frame, X=frame.X[:, left], names=[frame.names[place] for place in left])
    return fitted(other, factory(plan.seed), frame.negative_control).average_effects_


def placebo(frame: Frame, propensity: Floats, factory: Factory, plan: Plan) -> Placebo:
    """Effects of arms that are drawn anew by the chances of each row; whatever is estimated is fitted anew to them.

    Given its covariates and whether its chances were logged, such an arm says nothing of a row. Arms permuted within
    day and decile of the chance would keep the chance shares of small cells, and with them a part of the true effect:
    one over the rows of a cell. Logged chances are those that the new arms are drawn by, so they stay; forgotten, the
    lot would be a hidden cause of both the new arms and, by the old ones, of the outcome.

    Args:
        frame: of n rows.
        propensity: (n, K+1) by which arms are drawn; rows of NaN are left out.
        factory: of learners.
        plan: see there.
    """
    if plan.placebos < 2:
        raise InputError("2 placebos or more", found=str(plan.placebos), where="plan")
    rows = np.flatnonzero(~np.isnan(propensity[:, 0]))
    small, reached = frame.take(rows), propensity[rows].cumsum(axis=1)
    values, errors = [], []
    for number in range(plan.placebos):
        draws = np.random.default_rng([plan.seed, number])
        arm = np.minimum((draws.random(len(rows))[:, None] > reached).sum(axis=1), frame.n_arms - 1)
        chosen = _hosts(small.codes, plan.placebo_rows / len(small), draws)
        other = replace(small, arm=arm).take(chosen)
        effects = fitted(other, factory(plan.seed + number)).average_effects_
        values.append(effects.value)
        errors.append(effects.error)
    return Placebo(np.array(values), np.array(errors))


def future(frame: Frame, factory: Factory, plan: Plan) -> AverageEffects:
    """Effects of the next day's arm on the day's outcome, the day's own arm among the covariates."""
    if not plan.future:
        raise InputError("a plan with the future arm", found="none", where="plan")
    order = np.lexsort((frame.day, frame.codes))
    now, then = order[:-1], order[1:]
    follows = (frame.codes[now] == frame.codes[then]) & (frame.day[then] - frame.day[now] == np.timedelta64(1, "D"))
    now, then = now[follows], then[follows]
    if not len(now):
        raise InputError("hosts with two days in a row", found="none", where="frame")
    given = (frame.arm[now][:, None] == np.arange(1, frame.n_arms)).astype(np.float64)
    names = [*frame.names, *(f"history.given_{arm}" for arm in frame.arms[1:])]
    other = replace(
        frame.take(now),
        X=np.column_stack([frame.X[now], given]),
        names=names,
        arm=frame.arm[then],
        propensity=frame.propensity[then],
        randomised=frame.randomised[then],
    )
    return fitted(other, factory(plan.seed)).average_effects_


def random_cause(frame: Frame, factory: Factory, plan: Plan) -> AverageEffects:
    """Effects with a column of noise among the covariates, one draw for each host, which cannot be a cause."""
    if not plan.cause:
        raise InputError("a plan with a random cause", found="none", where="plan")
    noise = np.random.default_rng([plan.seed, 2]).normal(size=int(frame.codes.max()) + 1)[frame.codes]
    other = replace(frame, X=np.column_stack([frame.X, noise]), names=[*frame.names, "profile.noise"])
    return fitted(other, factory(plan.seed)).average_effects_


def subsets(frame: Frame, factory: Factory, plan: Plan) -> Floats:
    """(R, K) effects without a random share of the hosts."""
    if not plan.subsets:
        raise InputError("a subset or more", found="0", where="plan")
    found = []
    for number in range(plan.subsets):
        rows = _hosts(frame.codes, 1 - plan.left_out, np.random.default_rng([plan.seed, number, 1]))
        found.append(fitted(frame.take(rows), factory(plan.seed)).average_effects_.value)
    return np.array(found)


def dose(frame: Frame, model: UpliftLearner, plan: Plan) -> tuple[float, ...]:
    """z of the stronger arm's average effect minus that of its weaker neighbour, paired by rows, errors by host."""
    places = [frame.arms.index(name) - 1 for name in plan.intensity if name in frame.arms[1:]]
    if len(places) < 2:
        raise InputError("two arms or more in the order of their dose", found=str(list(plan.intensity)), where="plan")
    kept = model.trim_reason_ == KEPT
    steps = np.diff(model.scores_[kept][:, places], axis=1)
    errors = mean_error(steps, np.ones(len(steps)), frame.codes[kept])
    return tuple(float(step) for step in steps.mean(axis=0) / errors)


def _without(frame: Frame, family: str, learner: UpliftLearner) -> UpliftLearner:
    return fitted(frame.without_family(family), learner)


def _hosts(codes: Ints, share: float, draws: np.random.Generator) -> Ints:
    """Ascending rows of a random share of the hosts, of all where the share is 1 or more."""
    if share >= 1:
        return np.arange(len(codes))
    chosen = draws.permutation(int(codes.max()) + 1) < share * (int(codes.max()) + 1)
    return np.flatnonzero(chosen[codes])


def _some(frame: Frame, lot: Ints) -> Frame:
    if not len(lot):
        raise InputError("rows drawn by lot", found="none", where="frame")
    return frame.take(lot)


def _by_policy(frame: Frame, factory: Factory, plan: Plan) -> AverageEffects:
    if frame.randomised.all() or not frame.randomised.any():
        raise InputError("rows by policy and rows by lot", found="one kind alone", where="frame")
    rows = np.flatnonzero(~frame.randomised)
    return fitted(frame.take(rows), factory(plan.seed)).average_effects_


def _a_a(frame: Frame, model: UpliftLearner, lot: Ints, plan: Plan) -> float:
    small = _some(frame, lot)
    left = small.outcome - model.expected_[lot, small.arm]
    return false_rejections(np.nan_to_num(left), small.codes, seed=plan.seed)


def _noise(frame: Frame, model: UpliftLearner) -> Noise:
    kept = model.trim_reason_ == KEPT
    return noise(frame.outcome[kept], frame.arm[kept], model.expected_[kept], model.propensity_[kept])


def _sensitivity(frame: Frame, model: UpliftLearner, without: Mapping[str, UpliftLearner]) -> Sensitivity:
    full = _noise(frame, model)
    count = frame.n_arms - 1
    strengths = {family: strength(full, _noise(frame, other)) for family, other in without.items()}
    strongest, names = np.full(count, np.nan), [""] * count
    for arm in range(count if strengths else 0):
        names[arm] = max(strengths, key=lambda family: strengths[family][arm])
        strongest[arm] = strengths[names[arm]][arm]
    kept = model.trim_reason_ == KEPT
    rows = (frame.outcome[kept], frame.arm[kept], model.expected_[kept], model.propensity_[kept])
    bounds = {gamma: marginal_bounds(*rows, gamma) for gamma in GAMMAS}
    return Sensitivity(robustness(model.average_effects_.value, full), strongest, tuple(names), bounds)
