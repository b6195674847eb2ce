"""Nudges to hosts, whether a host goes live, and the sessions of a day.

A nudge of arm a changes the probability of going live from the host's baseline p to p + effect[a], on that
day only. Who is nudged depends on how often the host was live in the last seven days and on the host's
audience (so plain comparisons mislead), except in a small slice where arms have known, equal probabilities.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from graphrep import vocab
from graphrep.datasets.sample.population import Hosts
from graphrep.datasets.sample.shelf import Flags, Ints, Longs
from graphrep.datasets.sample.spec import HOUR_MS, SampleSpec, Stream

ARMS: Final = 3  # 0 none, 1 push, 2 incentive
RANDOMISED_SHARE: Final = 0.10
GRACE_DAYS: Final = 3  # newcomers are not nudged in their first days
MEMORY_DAYS: Final = 7
MOST_SESSIONS: Final = 3
MINUTE_MS: Final = 60_000

Doubles = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Nudges:
    """One row per host known on the day. ``ts``: ms since midnight, before any session can start."""

    ts: Longs
    arm: Ints
    eligible: Flags
    randomised: Flags


@dataclass(frozen=True, slots=True)
class Sessions:
    """One row per live room of the day, by start; ``start`` and ``end`` in ms since midnight."""

    host: Ints
    start: Longs
    end: Longs

    def __len__(self) -> int:
        return len(self.host)


def planted_effects(spec: SampleSpec, hosts: Hosts) -> Doubles:
    """(hosts, ARMS): change of the probability of going live today under each arm, 0 for arm 0.

    A push wakes hosts who are rarely live and does little for the others; an incentive works on the hosts of
    every other topic and puts the most popular ones off. Both vary from host to host.
    """
    parts = []
    for day in range(spec.days):
        count = spec.host_growth.newcomers(day)
        parts.append(spec.chance(Stream.EFFECTS, day).standard_normal((count, 2)))
    noise = 0.2 * np.concatenate(parts)
    rare, popular = hosts.baseline < 0.25, hosts.popularity > 2.0
    push = np.where(rare, 1.6, 0.25) + noise[:, 0]
    incentive = np.where(hosts.topic % 2 == 0, 1.2, 0.0) - np.where(popular, 0.9, 0.0) + noise[:, 1]
    before = hosts.baseline.astype(np.float64).clip(1e-4, 1 - 1e-4)
    shift = np.stack([np.zeros(len(before)), push, incentive], axis=1)
    after = 1 / (1 + np.exp(-(np.log(before / (1 - before))[:, None] + shift)))
    effect: Doubles = after - after[:, :1]
    return effect


def opening_memory(spec: SampleSpec, hosts: Hosts) -> Flags:
    """(hosts, MEMORY_DAYS): on which days before the sample each host was live; newcomers have no past."""
    known = spec.host_growth.first
    memory = np.zeros((len(hosts.baseline), MEMORY_DAYS), dtype=np.bool_)
    drawn = spec.chance(Stream.HISTORY, 0).random((known, MEMORY_DAYS))
    memory[:known] = drawn < hosts.baseline[:known, None]
    return memory


def go_live(
    spec: SampleSpec, hosts: Hosts, effects: Doubles, memory: Flags, day: int
) -> tuple[Nudges, Sessions, Flags]:
    """The nudges and sessions of a day, and the memory (hosts, MEMORY_DAYS) that the next day starts from."""
    rng = spec.chance(Stream.GO_LIVE, day)
    known = spec.host_growth.until(day)
    nudges = _nudge(rng, hosts, memory[:known], day)
    chance = hosts.baseline[:known] + effects[np.arange(known), nudges.arm]
    live = rng.random(known) < chance
    # A newcomer opens with a session; he is not eligible on that day, so no effect is measured on it.
    live |= (hosts.first_day[:known] == day) & (day > 0)
    after = memory.copy()
    after[:known, day % MEMORY_DAYS] = live
    return nudges, _sessions(rng, hosts, np.flatnonzero(live)), after


def _nudge(rng: np.random.Generator, hosts: Hosts, memory: Flags, day: int) -> Nudges:
    known = len(memory)
    first = hosts.first_day[:known]
    eligible = ~hosts.opted_out[:known] & ((first == 0) | (day - first >= GRACE_DAYS))
    randomised = eligible & (rng.random(known) < RANDOMISED_SHARE)
    recent = memory.mean(axis=1)
    audience = np.log(hosts.popularity[:known])
    push = np.exp(-1.9 + 2.4 * recent + 0.3 * audience)
    incentive = np.exp(-2.3 + 1.8 * recent + 0.5 * audience)
    total = 1 + push + incentive
    u = rng.random(known)
    policy = (u < (push + incentive) / total).astype(np.int32) + (u < incentive / total)
    arm = np.where(randomised, rng.integers(0, ARMS, known), policy)
    return Nudges(
        ts=rng.integers(0, HOUR_MS // 2, known),
        arm=np.where(eligible, arm, 0).astype(np.int32),
        eligible=eligible,
        randomised=randomised,
    )


def _sessions(rng: np.random.Generator, hosts: Hosts, live: NDArray[np.int64]) -> Sessions:
    """One to three rooms per live host, one after the other, none before 01:00 and none past midnight."""
    n = len(live)
    minutes = np.exp(rng.normal(np.log(75.0), 0.6, (n, MOST_SESSIONS))).clip(15, 300)
    lasts = (minutes * MINUTE_MS).astype(np.int64)
    gap = (rng.uniform(15, 180, (n, MOST_SESSIONS)) * MINUTE_MS).astype(np.int64)
    wanted = rng.poisson(0.35, n) + 1
    hour = 1 + (hosts.peak_hour[live] - 2.0 + 1.5 * rng.standard_normal(n)) % 22.5
    start = np.empty((n, MOST_SESSIONS), dtype=np.int64)
    start[:, 0] = np.minimum((hour * HOUR_MS).astype(np.int64), vocab.DAY_MS - lasts[:, 0] - gap[:, 0])
    for turn in range(1, MOST_SESSIONS):
        start[:, turn] = start[:, turn - 1] + lasts[:, turn - 1] + gap[:, turn]
    kept = (np.arange(MOST_SESSIONS) < wanted[:, None]) & (start + lasts < vocab.DAY_MS)
    host = np.broadcast_to(live[:, None], kept.shape)[kept]
    begins, ends = start[kept], (start + lasts)[kept]
    order = np.argsort(begins, kind="stable")
    return Sessions(host[order].astype(np.int32), begins[order], ends[order])


def one_session_per_host(sessions: Sessions, known: int) -> Ints:
    """(known,): the index of a session of each host today, -1 for hosts who are not live."""
    place = np.full(known, -1, dtype=np.int32)
    place[sessions.host] = np.arange(len(sessions), dtype=np.int32)
    return place
