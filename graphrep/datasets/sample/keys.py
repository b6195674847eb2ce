"""The strings that stand for members in the logs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from graphrep.datasets.sample.spec import SampleSpec

_PATTERNS: Final = {"users": "u%06d", "hosts": "h%05d", "videos": "v%07d", "products": "p%05d"}
_INTENTS: Final = ("live", "new", "best", "review", "price", "tutorial", "sale", "star")
INTENTS: Final = len(_INTENTS)


@dataclass(frozen=True, slots=True)
class Keys:
    """Key strings by index. A day's tables see only the keys that exist on that day."""

    users: pa.Array
    hosts: pa.Array
    videos: pa.Array
    products: pa.Array
    queries: pa.Array  # topic * INTENTS + intent

    @classmethod
    def of(cls, spec: SampleSpec, day: int) -> Keys:
        """Keys of all members of ``spec`` that are known on ``day``."""
        counts = {
            "users": spec.user_growth.until(day),
            "hosts": spec.host_growth.until(day),
            "videos": spec.video_growth.until(day),
            "products": spec.product_growth.until(day),
        }
        members = {name: pa.array([_PATTERNS[name] % i for i in range(n)]) for name, n in counts.items()}
        queries = pa.array([f"topic{topic:02d} {intent}" for topic in range(spec.topics) for intent in _INTENTS])
        return cls(**members, queries=queries)

    def on(self, spec: SampleSpec, day: int) -> Keys:
        """The part of these keys that exists on ``day``."""
        return Keys(
            users=self.users[: spec.user_growth.until(day)],
            hosts=self.hosts[: spec.host_growth.until(day)],
            videos=self.videos[: spec.video_growth.until(day)],
            products=self.products[: spec.product_growth.until(day)],
            queries=self.queries,
        )
