"""Hosts, and how one of their days goes: chances of every arm, assignment, and what is left for tomorrow."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from graphrep.datasets.golive.spec import GoLiveSpec

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

TRAITS = 3
AGENCY = 20
# Logits by weekday, their mean 0.
WEEKDAY = np.array([-0.15, -0.1, -0.1, 0.0, 0.1, 0.2, 0.05])
# A chance stays within these, whatever is added to it.
LEAST, MOST = 0.01, 0.99


@dataclass(frozen=True)
class Hosts:
    """What does not change: traits (h, 3), attributes (h, 3), the unseen confounder, agency, first day, lot."""

    traits: Floats
    attributes: Floats
    unseen: Floats
    agency: Ints
    first_day: Ints
    randomised: NDArray[np.bool_]
    axes: Floats


@dataclass(frozen=True)
class State:
    """What a day leaves behind, (h,) each: faded sums of live days and of nudges, and effects that are not yet gone."""

    habit: Floats
    nudges: Floats
    memory: Floats


@dataclass(frozen=True)
class Chances:
    """Of one day, with the exposure that was served: under each nudge arm (h, K+1), and propensities (h, K+1).

    ``without`` and ``with_step`` are the chances without a nudge at no exposure and at one step of it.
    """

    arms: Floats
    propensity: Floats
    without: Floats
    with_step: Floats


def hosts_of(spec: GoLiveSpec, draws: np.random.Generator) -> Hosts:
    """Hosts of a panel; the graph shows their traits along random axes."""
    traits = draws.normal(size=(spec.hosts, TRAITS))
    # Attributes show a little of the first trait, as profiles do.
    attributes = draws.normal(size=(spec.hosts, TRAITS))
    attributes[:, 0] = 0.4 * traits[:, 0] + np.sqrt(1 - 0.4**2) * attributes[:, 0]
    joins = draws.random(spec.hosts) < spec.new
    first = np.where(joins, draws.integers(1, max(spec.days, 2), spec.hosts), -14)
    agencies = max(spec.hosts // AGENCY, 1)
    return Hosts(
        traits,
        attributes,
        draws.normal(size=spec.hosts),
        draws.integers(0, agencies, spec.hosts),
        first.astype(np.int64),
        draws.random(spec.hosts) < spec.randomised,
        draws.normal(size=(TRAITS + 1, spec.dim)),
    )


def start(spec: GoLiveSpec) -> State:
    return State(*(np.zeros(spec.hosts) for _ in range(3)))


def chances(spec: GoLiveSpec, hosts: Hosts, state: State, day: int, plan: Floats, exposure: Floats) -> Chances:
    """Chances of a day, given plans to host (h,) and steps of exposure (h,)."""
    drive = spec.traits * (0.7 * hosts.traits[:, 0] + 0.5 * hosts.traits[:, 1])
    logit = np.log(spec.base / (1 - spec.base)) + drive + spec.unseen * hosts.unseen + 0.3 * (state.habit - 1)
    logit = logit + WEEKDAY[day % 7] + spec.trend * day + spec.reverse_cause * plan
    without = np.clip(_sigmoid(logit) + state.memory, LEAST, MOST)
    step = np.clip(without + spec.exposure, LEAST, MOST)
    served = np.clip(without + spec.exposure * exposure, LEAST, MOST)
    effects = [np.zeros(spec.hosts), *(effect(spec, word, hosts, state, day) for word in spec.effects)]
    arms = np.clip(served[:, None] + np.column_stack(effects), LEAST, MOST)
    return Chances(arms, propensity(spec, hosts, state, day), without, step)


def effect(spec: GoLiveSpec, word: str, hosts: Hosts, state: State, day: int) -> Floats:
    """Effect (h,) of an arm before chances are bounded."""
    size = spec.size * (1 - spec.drift * day / max(spec.days - 1, 1))
    if word == "observed":
        return size + spec.spread * np.tanh(1.5 * hosts.attributes[:, 1])
    if word == "latent":
        return size + spec.spread * np.tanh(1.5 * hosts.traits[:, 2])
    if word == "fatigue":
        return size * (1.5 - np.minimum(state.nudges, 3.0))
    return np.full(spec.hosts, 0.0 if word == "zero" else size)


def propensity(spec: GoLiveSpec, hosts: Hosts, state: State, day: int) -> Floats:
    """Chances (h, K+1) of the arms; those of the randomised hosts are equal."""
    count = len(spec.effects) + 1
    even = np.full((spec.hosts, count), 1.0 / count)
    if spec.assignment == "random":
        return even
    sign = -1.0 if 0 <= spec.policy_change <= day else 1.0
    known = spec.traits * (hosts.traits[:, 0] + 0.5 * hosts.traits[:, 1]) + 0.3 * (state.habit - 1)
    pull = sign * known + spec.unseen * hosts.unseen
    if spec.assignment == "threshold":
        pull = np.where(pull > 0.5, 6.0, np.where(pull < -0.5, -6.0, pull))
    logits = np.column_stack([np.zeros(spec.hosts), *(pull * 0.8**arm - 0.3 for arm in range(count - 1))])
    odds = np.exp(logits)
    return np.where(hosts.randomised[:, None], even, odds / odds.sum(axis=1, keepdims=True))


def neighbours(hosts: Hosts, arm: Ints) -> Floats:
    """Share (h,) of the other hosts of the agency that get a nudge."""
    nudged = (arm > 0).astype(np.float64)
    size = np.bincount(hosts.agency, minlength=hosts.agency.max() + 1)[hosts.agency]
    return (np.bincount(hosts.agency, nudged)[hosts.agency] - nudged) / np.maximum(size - 1, 1)


def after(spec: GoLiveSpec, state: State, live: NDArray[np.bool_], arm: Ints, gain: Floats) -> State:
    """The state of the next day; ``gain`` (h,) is the effect of the arm that was given."""
    faded = replace(state, habit=0.8 * state.habit + live, nudges=0.7 * state.nudges + (arm > 0))
    return replace(faded, memory=spec.carry_over * (state.memory + gain))


def pick(propensity: Floats, draw: Floats) -> Ints:
    """Arms (h,) by uniform draws (h,)."""
    arms = (draw[:, None] > propensity.cumsum(axis=1)).sum(axis=1)
    return np.asarray(np.minimum(arms, propensity.shape[1] - 1), dtype=np.int64)


def minutes(hosts: Hosts, draw: Floats) -> Floats:
    """Minutes (h,) of a live day, lognormal around the host's audience, at most 6 hours, from normal draws (h,)."""
    return np.minimum(np.exp(3.5 + 0.3 * hosts.traits[:, 1] + 0.6 * draw), 360.0)


def _sigmoid(values: Floats) -> Floats:
    return np.asarray(1.0 / (1.0 + np.exp(-values)))
