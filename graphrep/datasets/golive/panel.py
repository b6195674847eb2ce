"""Days of a panel one after the other: what a log would show, and apart from it the truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from graphrep.datasets.golive import world
from graphrep.datasets.golive.spec import GoLiveSpec

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

WARM_UP = 14
WEEK = 7


@dataclass(frozen=True)
class Observed:
    """What a log shows of n host-days, in the order of days and hosts; repeated host-days stand at the end.

    Attributes:
        host, day: (n,).
        attributes: (n, 5), known before the day: three of the profile, faded live days, faded nudges.
        arm: (n,) nudge as logged, 0 for none; a nudge that was lost is 0.
        delivered: (n,) whether the nudge reached the host.
        randomised: (n,) whether the arm was drawn by lot.
        propensity: (n, K+1) logged chances, NaN where none was logged.
        boost: (n,) whether exposure was boosted by lot.
        exposure: (n,) steps of served live exposure, 0 to 3.
        watch: (n,) minutes watched after the exposure: a consequence, never a covariate.
        live, minutes: (n,) outcomes of the day; ``live_week`` whether within 7 days, NaN where the panel ends before.
        known_on: (n,) day on whose end the day's outcome is in the log.
        embeddings: (days + 1, hosts, dim): row d + 1 holds what the graph showed at the end of day d.
    """

    host: Ints
    day: Ints
    attributes: Floats
    arm: Ints
    delivered: Bools
    randomised: Bools
    propensity: Floats
    boost: Bools
    exposure: Ints
    watch: Floats
    live: Floats
    minutes: Floats
    live_week: Floats
    known_on: Ints
    embeddings: Floats

    def embedding(self, lag: int = 1) -> Floats:
        """(n, dim) embeddings as of ``lag`` days before each row's day; 0 is the slip that must be refused.

        >>> seen, _ = simulate(GoLiveSpec(hosts=4, days=2, dim=3))
        >>> seen.embedding().shape
        (8, 3)
        """
        return self.embeddings[np.maximum(self.day + 1 - lag, 0), self.host]


@dataclass(frozen=True)
class Truth:
    """Of the host-days of ``Observed`` without the repeated ones, (n,), (n, K) or (n, K+1).

    Attributes:
        host, day: (n,).
        chance: (n, K+1) of going live on the day under each arm, other hosts' arms as they were.
        effect: (n, K) differences to the control.
        effect_minutes: (n, K) in minutes.
        propensity: (n, K+1) that arms were drawn with.
        neighbours: (n,) share of the agency's other hosts that were nudged.
        spillover: (n,) what their nudges changed in the chance.
        exposure_effect: (n,) of one step of exposure from none.
        effect_week: (n, K) on going live within 7 days, later days as usual; None without ``week_draws``.
    """

    host: Ints
    day: Ints
    chance: Floats
    effect: Floats
    effect_minutes: Floats
    propensity: Floats
    neighbours: Floats
    spillover: Floats
    exposure_effect: Floats
    effect_week: Floats | None


def simulate(spec: GoLiveSpec) -> tuple[Observed, Truth]:
    """A panel, and apart from it what nobody could log.

    An arm that is assigned and not delivered has no effect; ``chance`` is that of delivered arms. Chances are
    additive in probability before they are bounded, so that truth is the difference of two chances, exactly.

    >>> seen, truth = simulate(GoLiveSpec(hosts=50, days=3, seed=1))
    >>> seen.arm.shape, truth.effect.shape, bool(np.allclose(truth.effect, 0.06))
    ((150,), (150, 1), True)
    """
    draws = np.random.default_rng(spec.seed)
    hosts = world.hosts_of(spec, draws)
    state = world.start(spec)
    days = []
    shown = [_embedding(spec, hosts, state, -1)]
    for day in range(-WARM_UP, spec.days):
        state, one = _one_day(spec, hosts, state, day, draws)
        if day >= 0:
            days.append(one)
            shown.append(_embedding(spec, hosts, state, day))
        elif day == -1:
            shown = [_embedding(spec, hosts, state, day)]
    return _collect(spec, hosts, days, np.stack(shown), draws)


def _one_day(
    spec: GoLiveSpec, hosts: world.Hosts, state: world.State, day: int, draws: np.random.Generator
) -> tuple[world.State, dict[str, NDArray[np.generic]]]:
    h = spec.hosts
    plan = draws.random(h) < 0.2
    boost = draws.random(h) < spec.boosted
    urge = 0.5 * hosts.traits[:, 2] + spec.reverse_cause * plan + draws.normal(size=h)
    exposure = np.clip(np.floor(urge) + 1 + boost, 0, 3).astype(np.int64)
    chances = world.chances(spec, hosts, state, day, plan.astype(np.float64), exposure.astype(np.float64))
    arm = world.pick(chances.propensity, draws.random(h))
    arm = arm if day >= 0 else np.zeros(h, np.int64)  # nudging begins with the panel
    share = world.neighbours(hosts, arm)
    lost_to_others = np.minimum(spec.spillover * share, chances.arms.min(axis=1) - world.LEAST)
    chance = chances.arms - lost_to_others[:, None]
    delivered = draws.random(h) >= spec.undelivered
    given = np.where(delivered, arm, 0)
    own = chance[np.arange(h), given]
    here = day >= hosts.first_day
    live = (draws.random(h) < own) & here
    length = world.minutes(hosts, draws.normal(size=h))
    mean = np.mean([world.minutes(hosts, np.full(h, z)) for z in _NORMAL], axis=0)
    one = {
        "here": here,
        "host": np.arange(h),
        "day": np.full(h, day),
        "attributes": np.column_stack([hosts.attributes, state.habit, state.nudges]),
        "arm": arm,
        "delivered": delivered,
        "boost": boost,
        "exposure": exposure,
        "watch": 10.0 * exposure * np.exp(0.5 * draws.normal(size=h) + spec.reverse_cause * plan),
        "live": live.astype(np.float64),
        "minutes": np.where(live, length, 0.0),
        "chance": chance,
        "effect_minutes": (chance[:, 1:] - chance[:, :1]) * mean[:, None],
        "propensity": chances.propensity,
        "neighbours": share,
        "spillover": -lost_to_others,
        "exposure_effect": chances.with_step - chances.without,
    }
    if spec.week_draws and day >= 0:
        one["effect_week"] = _week(spec, hosts, state, day)
    gain = own - chance[:, 0]
    return world.after(spec, state, live, given, gain), one


# Middles of 20 equally likely parts of a normal, for means without draws.
_NORMAL = np.quantile(np.random.default_rng(0).normal(size=100_000), (np.arange(20) + 0.5) / 20)


def _week(spec: GoLiveSpec, hosts: world.Hosts, state: world.State, day: int) -> Floats:
    """(h, K) effects on going live within 7 days; all arms see the same draws, later arms are the policy's.

    Exposure, plans and other hosts' nudges are left out of the days to come.
    """
    still = np.zeros(spec.hosts)
    total = np.zeros((spec.hosts, len(spec.effects) + 1))
    for number in range(spec.week_draws):
        noise = np.random.default_rng([spec.seed, day, number]).random((WEEK, 2, spec.hosts))
        for first in range(total.shape[1]):
            now, ever = state, np.zeros(spec.hosts, dtype=bool)
            for later in range(WEEK):
                chances = world.chances(spec, hosts, now, day + later, still, still)
                arm = np.full(spec.hosts, first) if later == 0 else world.pick(chances.propensity, noise[later, 0])
                own = chances.arms[np.arange(spec.hosts), arm]
                live = noise[later, 1] < own
                ever |= live
                now = world.after(spec, now, live, arm, own - chances.arms[:, 0])
            total[:, first] += ever
    return (total[:, 1:] - total[:, :1]) / spec.week_draws


def _embedding(spec: GoLiveSpec, hosts: world.Hosts, state: world.State, day: int) -> Floats:
    """(h, dim): traits and faded live days along the axes of the day, with noise."""
    draws = np.random.default_rng([spec.seed, day + WARM_UP, 1])
    shown = np.column_stack([hosts.traits, state.habit]) @ hosts.axes
    shown += 0.3 * draws.normal(size=shown.shape)
    if not spec.rotation:
        return shown
    turn, _ = np.linalg.qr(draws.normal(size=(spec.dim, spec.dim)))
    return np.asarray(shown @ turn)


def _collect(
    spec: GoLiveSpec,
    hosts: world.Hosts,
    days: list[dict[str, NDArray[np.generic]]],
    shown: Floats,
    draws: np.random.Generator,
) -> tuple[Observed, Truth]:
    ahead = np.stack([np.asarray(day["live"], dtype=np.float64) for day in days])
    for number, day in enumerate(days):
        window = ahead[number : number + WEEK]
        day["live_week"] = window.max(axis=0) if len(window) == WEEK else np.full(spec.hosts, np.nan)
    every = {name: np.concatenate([day[name][day["here"]] for day in days]) for name in days[0]}
    n = len(every["host"])
    lot = hosts.randomised[every["host"]] | (spec.assignment == "random")
    logged = np.where((lot | spec.logged)[:, None], every["propensity"], np.nan)
    arm = np.where(draws.random(n) < spec.lost, 0, every["arm"])
    late = np.where(draws.random(n) < spec.late, draws.integers(1, 4, n), 0)
    again = np.flatnonzero(draws.random(n) < spec.repeated)
    rows = np.concatenate([np.arange(n), again])
    columns = ("host", "day", "attributes", "delivered", "boost", "exposure", "watch", "live", "minutes", "live_week")
    seen = Observed(
        **{name: every[name][rows] for name in columns},
        arm=arm[rows],
        randomised=lot[rows],
        propensity=logged[rows],
        known_on=(every["day"] + spec.label_delay + late)[rows],
        embeddings=shown,
    )
    kept = ("host", "day", "chance", "effect_minutes", "propensity", "neighbours", "spillover", "exposure_effect")
    effect = every["chance"][:, 1:] - every["chance"][:, :1]
    truth = Truth(**{name: every[name] for name in kept}, effect=effect, effect_week=every.get("effect_week"))
    return seen, truth
