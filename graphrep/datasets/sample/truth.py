"""What was planted, as tables to check results against. No log holds any of it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from graphrep.contracts.events import Event
from graphrep.datasets.sample.golive import ARMS, Doubles
from graphrep.datasets.sample.keys import Keys
from graphrep.datasets.sample.population import (
    FAVOURITES,
    NEVER,
    NO_TOPIC,
    USER_TOPICS,
    Hosts,
    Items,
    Population,
    Users,
)
from graphrep.datasets.sample.rows import ARM, coded


def truth_tables(people: Population, effects: Doubles, keys: Keys) -> dict[str, pa.Table]:
    """Truth by table name. Days count from 0, hours are UTC, topics are the numbers in the search queries."""
    return {
        "truth/users": _users(people.users, keys),
        "truth/hosts": _hosts(people.hosts, keys),
        "truth/videos": _items("video_id", people.videos, keys.videos, keys),
        "truth/products": _items("product_id", people.products, keys.products, keys),
        "truth/nudge_effects": _effects(people.hosts, effects, keys),
    }


def _users(users: Users, keys: Keys) -> pa.Table:
    columns = {Event.USER_ID: keys.users, "first_day": pa.array(users.first_day)}
    for slot in range(USER_TOPICS):
        topic = users.topics[:, slot]
        columns[f"topic_{slot + 1}"] = pa.array(topic, mask=topic == NO_TOPIC)
        columns[f"weight_{slot + 1}"] = pa.array(np.ascontiguousarray(users.weights[:, slot]))
    favourites = coded(users.favourites.ravel(), keys.hosts).cast(pa.string())
    return pa.table(
        {
            **columns,
            "activity": pa.array(users.intensity),
            "peak_hour": pa.array(users.peak_hour),
            "live_from_day": pa.array(users.live_from, mask=users.live_from >= NEVER),
            "live_rate": pa.array(users.live_rate),
            "in_ecommerce": pa.array(users.shops),
            "in_search": pa.array(users.searches),
            "favourite_hosts": pa.FixedSizeListArray.from_arrays(favourites, FAVOURITES),
        }
    )


def _hosts(hosts: Hosts, keys: Keys) -> pa.Table:
    return pa.table(
        {
            Event.HOST_ID: keys.hosts,
            "first_day": pa.array(hosts.first_day),
            "topic_1": pa.array(hosts.topic),
            "topic_2": pa.array(hosts.second, mask=hosts.second_share == 0),
            "weight_1": pa.array(1 - hosts.second_share),
            "weight_2": pa.array(hosts.second_share),
            "popularity": pa.array(hosts.popularity),
            "posting": pa.array(hosts.posting),
            "baseline": pa.array(hosts.baseline),
            "peak_hour": pa.array(hosts.peak_hour),
            "opted_out": pa.array(hosts.opted_out),
        }
    )


def _items(key: str, items: Items, own: pa.Array, keys: Keys) -> pa.Table:
    columns = {
        key: own,
        Event.HOST_ID: coded(items.host, keys.hosts, null=items.host < 0).cast(pa.string()),
        "first_day": pa.array(items.first_day),
        "topic_1": pa.array(items.topic),
        "popularity": pa.array(items.popularity),
    }
    if items.price.any():
        columns["price"] = pa.array(items.price)
    return pa.table(columns)


def _effects(hosts: Hosts, effects: Doubles, keys: Keys) -> pa.Table:
    """One row per host and arm above 0: the planted change of the probability of going live that day."""
    n = len(effects)
    host = np.repeat(np.arange(n, dtype=np.int32), ARMS - 1)
    return pa.table(
        {
            Event.HOST_ID: coded(host, keys.hosts).cast(pa.string()),
            ARM: pa.array(np.tile(np.arange(1, ARMS, dtype=np.int32), n)),
            "effect": pa.array(effects[:, 1:].ravel()),
            "baseline": pa.array(np.repeat(hosts.baseline, ARMS - 1).astype(np.float64)),
        }
    )
