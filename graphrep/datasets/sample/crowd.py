"""One day's setting: who is there, in what mood, what can be met; and the draws that all surfaces share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from graphrep import vocab
from graphrep.datasets.sample.golive import Sessions
from graphrep.datasets.sample.population import NO_TOPIC, Items, Population, Users, host_shelf
from graphrep.datasets.sample.shelf import Flags, Ints, Longs, Reals, Shelf
from graphrep.datasets.sample.spec import HOUR_MS, SampleSpec, Stream

MOOD: Final = 0.35  # share of a user's choices that follow the topic of the day
FRESH_DAYS: Final = 8.0  # a new video's pull falls to 1/e in this time
EVERGREEN: Final = 0.12  # what is left of it for good


@dataclass(frozen=True, slots=True)
class Taste:
    """The users' interests laid out for fast look-up; made once per sample."""

    topics: Ints  # (users * 3,)
    upto_first: Reals  # (users,) cumulative weight of the first topic
    upto_second: Reals  # (users,) of the first two
    likes: Flags  # (users * topics,)

    @classmethod
    def of(cls, users: Users, topics: int) -> Taste:
        """Lay out the topics and weights of all users."""
        likes = np.zeros((len(users.topics), topics + 1), dtype=np.bool_)
        for slot in range(users.topics.shape[1]):
            likes[np.arange(len(likes)), users.topics[:, slot]] = True  # NO_TOPIC, -1, lands in the spare column
        upto = np.cumsum(users.weights, axis=1, dtype=np.float32)
        # A user of one topic must never fall into the empty slots through rounding.
        upto[:, 0][users.topics[:, 1] == NO_TOPIC] = 2.0
        upto[:, 1][users.topics[:, 2] == NO_TOPIC] = 2.0
        return cls(
            topics=users.topics.ravel(),
            upto_first=np.ascontiguousarray(upto[:, 0]),
            upto_second=np.ascontiguousarray(upto[:, 1]),
            likes=np.ascontiguousarray(likes[:, :topics]).ravel(),
        )

    def draw(self, who: NDArray[np.integer], u: Reals) -> Ints:
        """One topic per row by the weights of user ``who``; ``u`` uniform in [0, 1)."""
        slot = (u >= self.upto_first[who]).astype(np.int64) + (u >= self.upto_second[who])
        topic: Ints = self.topics[3 * who.astype(np.int64) + slot]
        return topic


@dataclass(frozen=True, slots=True)
class Crowd:
    """The setting of one day. ``present`` lists who is there; ``mood`` (users,) is a topic each."""

    spec: SampleSpec
    day: int
    people: Population
    taste: Taste
    present: Longs
    mood: Ints
    hosts: Shelf
    videos: Shelf
    videos_by_host: Shelf
    products: Shelf
    sessions: Sessions

    def visits(self, rng: np.random.Generator, rate: NDArray[np.floating]) -> tuple[Ints, Longs]:
        """Poisson visits of those present: (who made each visit, how many each of ``present`` made)."""
        counts = rng.poisson(rate)
        return np.repeat(self.present, counts).astype(np.int32), counts

    def topic(self, rng: np.random.Generator, who: Ints) -> Ints:
        """What each visit is about: the mood of the day or a draw from the user's own mixture."""
        u = rng.random(len(who), dtype=np.float32)
        own = self.taste.draw(who, (u - np.float32(MOOD)) / np.float32(1 - MOOD))
        return np.where(u < MOOD, self.mood[who], own)

    def likes(self, who: Ints, topic: Ints) -> Flags:
        """Whether the topic is one of the user's own."""
        liked: Flags = self.taste.likes[who.astype(np.int64) * self.spec.topics + topic]
        return liked

    def clock(self, rng: np.random.Generator, who: Ints) -> Longs:
        """When, in ms since midnight UTC: around the personal peak hour, one visit in eight at any hour."""
        hour = self.people.users.peak_hour[who] + np.float32(2.2) * rng.standard_normal(len(who), dtype=np.float32)
        odd = rng.random(len(who), dtype=np.float32)
        hour = np.where(odd < 0.125, 192 * odd, hour) % np.float32(24)
        # float32 hours step by about 7 ms; the noise keeps the last digits from being multiples of it.
        fine = rng.integers(0, 8, len(who), dtype=np.int64)
        ts = (hour * np.float64(HOUR_MS)).astype(np.int64) + fine
        return ts.clip(max=vocab.DAY_MS - 1)


def gather(spec: SampleSpec, people: Population, taste: Taste, sessions: Sessions, day: int) -> Crowd:
    """Who is present on ``day``, in what mood, and what there is to meet."""
    rng, users = spec.chance(Stream.PRESENCE, day), people.users
    known = spec.user_growth.until(day)
    chance = 1 - np.exp(-1.1 * users.intensity[:known] ** 0.8)
    here = rng.random(known) < chance
    here |= ((users.first_day[:known] == day) & (day > 0)) | ((users.live_from[:known] == day) & (day > 0))
    mood = taste.draw(np.arange(known), rng.random(known, dtype=np.float32))
    hosts_known, videos_known = spec.host_growth.until(day), spec.video_growth.until(day)
    pull = _pull(people.videos, videos_known, day)
    every = np.arange(videos_known, dtype=np.int32)
    return Crowd(
        spec=spec,
        day=day,
        people=people,
        taste=taste,
        present=np.flatnonzero(here),
        mood=mood,
        hosts=host_shelf(people.hosts, hosts_known, spec.topics),
        videos=Shelf.of(every, people.videos.topic[every], pull, spec.topics),
        videos_by_host=Shelf.of(every, people.videos.host[every], pull, hosts_known),
        products=_product_shelf(people.products, spec.product_growth.until(day), spec.topics),
        sessions=sessions,
    )


def _pull(videos: Items, known: int, day: int) -> NDArray[np.float64]:
    age = day - videos.first_day[:known]
    pull: NDArray[np.float64] = videos.popularity[:known] * (EVERGREEN + np.exp(-age / FRESH_DAYS))
    return pull


def _product_shelf(products: Items, known: int, topics: int) -> Shelf:
    every = np.arange(known, dtype=np.int32)
    return Shelf.of(every, products.topic[every], products.popularity[every], topics)
