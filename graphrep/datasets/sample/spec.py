"""What to generate: sizes, period, seed; and the one place from which chance comes."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np

from graphrep import vocab
from graphrep.errors import InputError

HOUR_MS: Final = 3_600_000
MAX_DAYS: Final = 3_650
_EPOCH: Final = dt.date(1970, 1, 1)


class Stream(IntEnum):
    """Independent sources of chance. Numbers are never reused: a new stream leaves the others as they are."""

    TOPICS = 1
    HOSTS = 2
    USERS = 3
    VIDEOS = 4
    PRODUCTS = 5
    PRESENCE = 6
    GO_LIVE = 7
    SHORT_VIDEO = 8
    LIVE = 9
    ECOMMERCE = 10
    SEARCH = 11
    EFFECTS = 12
    HISTORY = 13


@dataclass(frozen=True, slots=True)
class Growth:
    """A population: ``first`` members on day 0 and ``daily`` newcomers on every later day."""

    first: int
    daily: int

    def newcomers(self, day: int) -> int:
        """How many members have their first day on ``day`` (0-based)."""
        return self.daily if day else self.first

    def until(self, day: int) -> int:
        """How many members there are on ``day``, its newcomers included."""
        return self.first + day * self.daily


@dataclass(frozen=True, slots=True)
class SampleSpec:
    """Size, length and seed of a sample; says at once what is wrong with them (``InputError``).

    ``users``, ``hosts``, ``videos`` and ``products`` count day 0; a later day brings 1.5 %, 1 %, 2.5 % and
    1 % more. ``hosts``, ``videos`` and ``products`` of None follow from ``users``.

    >>> SampleSpec(users=2000, days=14, seed=1).host_growth
    Growth(first=240, daily=2)
    """

    users: int
    days: int
    seed: int
    start: dt.date = dt.date(2026, 3, 1)
    topics: int = 18
    hosts: int | None = None
    videos: int | None = None
    products: int | None = None

    def __post_init__(self) -> None:
        _whole("users", self.users, 20, 10_000_000)
        _whole("days", self.days, 1, MAX_DAYS)
        _whole("seed", self.seed, 0, 2**63 - 1)
        _whole("topics", self.topics, 6, 99)
        for name in ("hosts", "videos", "products"):
            count = getattr(self, name)
            if count is not None:
                _whole(name, count, 12, 10_000_000)
        if not isinstance(self.start, dt.date) or isinstance(self.start, dt.datetime):
            raise InputError("start to be a date", found=repr(self.start), where="SampleSpec.start")
        if not 1970 <= self.start.year <= 2999:
            raise InputError("start between 1970 and 2999", found=str(self.start), where="SampleSpec.start")

    @property
    def user_growth(self) -> Growth:
        """Users on day 0 and newcomers a day."""
        return _growth(self.users, 0.015)

    @property
    def host_growth(self) -> Growth:
        """Hosts on day 0 (12 % of the users) and newcomers a day."""
        return _growth(self.hosts or max(12, round(0.12 * self.users)), 0.01)

    @property
    def video_growth(self) -> Growth:
        """Short videos on day 0 (one per user) and new ones a day."""
        return _growth(self.videos or max(60, self.users), 0.025)

    @property
    def product_growth(self) -> Growth:
        """Products on day 0 (30 % of the users) and new ones a day."""
        return _growth(self.products or max(40, round(0.3 * self.users)), 0.01)

    def ds(self, day: int) -> str:
        """Data day number ``day`` (0-based) as YYYY-MM-DD."""
        return (self.start + dt.timedelta(days=day)).isoformat()

    def day_start(self, day: int) -> int:
        """Midnight UTC at the start of day number ``day``, in ms since 1970-01-01."""
        return ((self.start - _EPOCH).days + day) * vocab.DAY_MS

    def chance(self, stream: Stream, day: int) -> np.random.Generator:
        """The generator of one stream on one day; blind to ``days``: a longer run starts the same."""
        return np.random.default_rng([self.seed, int(stream), day])


def _growth(first: int, rate: float) -> Growth:
    return Growth(first, max(1, round(rate * first)))


def _whole(name: str, value: object, low: int, high: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise InputError(f"{name} to be a whole number from {low} to {high}", found=repr(value), where="SampleSpec")
