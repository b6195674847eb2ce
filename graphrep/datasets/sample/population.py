"""Who and what there is: users, hosts, videos and products with latent interests that every surface shares.

Members are drawn in cohorts, one per day, each from its own chance: member i is the same in any run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from graphrep.datasets.sample.shelf import Flags, Ints, Reals, Shelf
from graphrep.datasets.sample.spec import MAX_DAYS, Growth, SampleSpec, Stream

FAVOURITES: Final = 4
USER_TOPICS: Final = 3
NO_TOPIC: Final = -1
NEVER: Final = 2 * MAX_DAYS
"""``live_from`` of a user who never watches live."""

VETERANS: Final = 0.12  # share of the day-0 users who watch live from day 0 on
REFUSERS: Final = 0.06  # share of all users who never will
FIRST_WATCHES: Final = 0.042  # first live watches a day, per day-0 user, while the pool of the cold lasts
FIRST_WATCH_CAP: Final = 0.10  # at most this share of the cold in one day
RARELY_LIVE: Final = 0.35  # share of hosts who mostly post videos


@dataclass(frozen=True, slots=True)
class Users:
    """One row per user. ``topics`` (n, 3) padded with NO_TOPIC, ``weights`` (n, 3) sum to 1; days from 0."""

    first_day: Ints
    topics: Ints
    weights: Reals
    intensity: Reals  # long-tailed appetite, mean 1
    peak_hour: Reals  # UTC
    live_from: Ints  # day of the first live watch
    live_rate: Reals  # appetite for live among those who watch it, mean 1
    shops: Flags
    searches: Flags
    favourites: Ints  # (n, 4) host indices


@dataclass(frozen=True, slots=True)
class Hosts:
    """One row per host. ``second_share`` is the part of the second topic in what the host does, often 0."""

    first_day: Ints
    topic: Ints
    second: Ints
    second_share: Reals
    popularity: Reals  # long-tailed, mean 1
    posting: Reals  # relative rate of posting short videos
    baseline: Reals  # probability of going live on a day without a nudge
    peak_hour: Reals  # UTC
    opted_out: Flags


@dataclass(frozen=True, slots=True)
class Items:
    """One row per video or product. ``host``: author or seller, -1 where nobody; ``price``: 0 for videos."""

    first_day: Ints
    topic: Ints
    popularity: Reals
    host: Ints
    price: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Population:
    """Everybody and everything of a sample."""

    users: Users
    hosts: Hosts
    videos: Items
    products: Items


_T = TypeVar("_T", Users, Hosts, Items)


def populate(spec: SampleSpec) -> Population:
    """Draw the whole population of ``spec.days`` days."""
    share = _topic_shares(spec)
    hosts = _cohorts(spec, Stream.HOSTS, spec.host_growth, lambda rng, n, day: _hosts(rng, n, day, share))
    threshold = _cumulative_hazard()

    def users(rng: np.random.Generator, n: int, day: int) -> Users:
        return _users(rng, n, day, share, threshold, host_shelf(hosts, spec.host_growth.until(day), spec.topics))

    def videos(rng: np.random.Generator, n: int, day: int) -> Items:
        return _videos(rng, n, day, hosts, spec.host_growth.until(day), spec.topics)

    def products(rng: np.random.Generator, n: int, day: int) -> Items:
        return _products(rng, n, day, share, host_shelf(hosts, spec.host_growth.until(day), spec.topics))

    return Population(
        users=_cohorts(spec, Stream.USERS, spec.user_growth, users),
        hosts=hosts,
        videos=_cohorts(spec, Stream.VIDEOS, spec.video_growth, videos),
        products=_cohorts(spec, Stream.PRODUCTS, spec.product_growth, products),
    )


def host_shelf(hosts: Hosts, known: int, topics: int) -> Shelf:
    """The first ``known`` hosts by topic, weighted by popularity."""
    return two_topic_shelf(hosts, np.arange(known, dtype=np.int32), np.arange(known, dtype=np.int32), topics)


def two_topic_shelf(hosts: Hosts, member: Ints, host: Ints, topics: int) -> Shelf:
    """``member[i]`` stands for ``host[i]``, under both topics of the host."""
    weight, second = hosts.popularity[host], hosts.second_share[host]
    return Shelf.of(
        np.concatenate([member, member]),
        np.concatenate([hosts.topic[host], hosts.second[host]]),
        np.concatenate([weight * (1 - second), weight * second]),
        topics,
    )


def _cohorts(
    spec: SampleSpec, stream: Stream, growth: Growth, draw: Callable[[np.random.Generator, int, int], _T]
) -> _T:
    parts = [draw(spec.chance(stream, day), growth.newcomers(day), day) for day in range(spec.days)]
    kind = type(parts[0])
    return kind(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(kind)))


def _topic_shares(spec: SampleSpec) -> NDArray[np.float64]:
    """How common each topic is: the most common about six times the rarest, in random order."""
    share = 1.0 / (np.arange(spec.topics) + 3.5)
    return spec.chance(Stream.TOPICS, 0).permutation(share / share.sum())


def _cumulative_hazard() -> NDArray[np.float64]:
    """Cumulative hazard of the first live watch (MAX_DAYS,): a steady number a day, then a capped share."""
    cold, hazard = 1.0 - VETERANS - REFUSERS, np.empty(MAX_DAYS)
    for day in range(MAX_DAYS):
        share = min(FIRST_WATCHES / cold, FIRST_WATCH_CAP)
        hazard[day] = -np.log1p(-share)
        cold = cold * (1 - share) + 0.015 * (1.0 - REFUSERS)
    return np.cumsum(hazard)


def _long_tail(rng: np.random.Generator, n: int, spread: float) -> Reals:
    """Log-normal of mean 1; the top 1 % hold Φ(spread − 2.33) of the sum."""
    return np.exp(spread * rng.standard_normal(n) - spread**2 / 2).astype(np.float32)


def _topic(rng: np.random.Generator, n: int, share: NDArray[np.float64]) -> Ints:
    return rng.choice(len(share), size=n, p=share).astype(np.int32)


def _mixture(rng: np.random.Generator, n: int, share: NDArray[np.float64]) -> tuple[Ints, Reals]:
    """One to three distinct topics a user, the first the strongest."""
    race = rng.gumbel(size=(n, len(share))) + np.log(share)
    topics = np.argsort(-race, axis=1)[:, :USER_TOPICS].astype(np.int32)
    count = rng.choice(USER_TOPICS, size=n, p=(0.35, 0.40, 0.25)) + 1
    weights = np.stack([np.ones(n), rng.uniform(0.3, 0.9, n), rng.uniform(0.15, 0.4, n)], axis=1)
    absent = np.arange(USER_TOPICS) >= count[:, None]
    topics[absent], weights[absent] = NO_TOPIC, 0.0
    return topics, (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def _users(
    rng: np.random.Generator,
    n: int,
    day: int,
    share: NDArray[np.float64],
    threshold: NDArray[np.float64],
    hosts: Shelf,
) -> Users:
    topics, weights = _mixture(rng, n, share)
    # A newcomer first watches live a day later at the earliest: there is then something to know him by.
    # Evenly spread quantiles in random order: the number of first watches a day hardly varies.
    quantile = (rng.permutation(n) + rng.random(n)) / n
    patience = -np.log1p(-quantile) + (threshold[day] if day else 0.0)
    live_from = np.searchsorted(threshold, patience).astype(np.int32)
    fate = rng.random(n)
    live_from[(fate < VETERANS) & (day == 0)] = 0
    live_from[fate >= 1.0 - REFUSERS] = NEVER
    slot = (rng.random((n, FAVOURITES)) > weights[:, :1]) & (topics[:, 1:2] != NO_TOPIC)
    liked = np.where(slot, topics[:, 1:2], topics[:, :1])
    return Users(
        first_day=np.full(n, day, dtype=np.int32),
        topics=topics,
        weights=weights,
        intensity=_long_tail(rng, n, 0.9),
        peak_hour=_peaks(rng, n),
        live_from=live_from,
        live_rate=_long_tail(rng, n, 0.5),
        shops=rng.random(n) < 0.70,
        searches=rng.random(n) < 0.60,
        favourites=hosts.draw(liked.ravel(), rng.random(n * FAVOURITES)).reshape(n, FAVOURITES),
    )


def _peaks(rng: np.random.Generator, n: int) -> Reals:
    """Personal peak hours: most in the evening, some at noon, some at any hour."""
    centre = rng.choice([20.5, 12.5], size=n, p=[0.7, 0.3]) + 2.0 * rng.standard_normal(n)
    return (np.where(rng.random(n) < 0.2, rng.uniform(0, 24, n), centre) % 24).astype(np.float32)


def _hosts(rng: np.random.Generator, n: int, day: int, share: NDArray[np.float64]) -> Hosts:
    second_share = np.where(rng.random(n) < 0.25, rng.uniform(0.15, 0.4, n), 0.0)
    rare = rng.random(n) < RARELY_LIVE
    return Hosts(
        first_day=np.full(n, day, dtype=np.int32),
        topic=_topic(rng, n, share),
        second=_topic(rng, n, share),
        second_share=second_share.astype(np.float32),
        popularity=_long_tail(rng, n, 1.0),
        posting=_long_tail(rng, n, 0.9),
        baseline=np.where(rare, rng.beta(1.5, 14.0, n), rng.beta(2.4, 2.8, n)).astype(np.float32),
        peak_hour=_peaks(rng, n),
        opted_out=rng.random(n) < 0.08,
    )


def _videos(rng: np.random.Generator, n: int, day: int, hosts: Hosts, known: int, topics: int) -> Items:
    total = np.cumsum(hosts.posting[:known], dtype=np.float64)
    author = np.searchsorted(total, rng.random(n) * total[-1], side="right").clip(max=known - 1).astype(np.int32)
    own = np.where(rng.random(n) < hosts.second_share[author], hosts.second[author], hosts.topic[author])
    return Items(
        first_day=np.full(n, day, dtype=np.int32),
        topic=np.where(rng.random(n) < 0.85, own, rng.integers(0, topics, n)).astype(np.int32),
        popularity=_long_tail(rng, n, 1.0) * hosts.popularity[author] ** 0.3,
        host=author,
        price=np.zeros(n),
    )


def _products(rng: np.random.Generator, n: int, day: int, share: NDArray[np.float64], sellers: Shelf) -> Items:
    topic = _topic(rng, n, share)
    seller = sellers.draw(topic, rng.random(n))
    return Items(
        first_day=np.full(n, day, dtype=np.int32),
        topic=topic,
        popularity=_long_tail(rng, n, 1.0),
        host=np.where(rng.random(n) < 0.7, seller, -1).astype(np.int32),
        price=np.round(np.exp(rng.normal(3.0, 0.9, n)) + 0.99, 2),
    )
