"""Sample logs with a planted truth: four surfaces, live sessions and nudges of one made-up platform.

Users, hosts, videos and products share latent topics on every surface, so what a user watches, buys and
searches foretells which hosts he will like, also before his first live room. Popularity pulls too, but less.
Every day brings new users, hosts, videos, products and first live watches. Nudges change whether a host goes
live by a known amount.

The same seed gives the same tables, and day k is the same in a run of any length.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import pyarrow as pa

from graphrep.contracts.events import Event
from graphrep.datasets.sample.crowd import Taste, gather
from graphrep.datasets.sample.golive import ARMS, Nudges, Sessions, go_live, opening_memory, planted_effects
from graphrep.datasets.sample.keys import Keys
from graphrep.datasets.sample.live import live
from graphrep.datasets.sample.population import populate
from graphrep.datasets.sample.rows import (
    ARM,
    ELIGIBLE,
    END_TS,
    PROPENSITY,
    RANDOMISED,
    START_TS,
    coded,
)
from graphrep.datasets.sample.spec import SampleSpec
from graphrep.datasets.sample.surfaces import ecommerce, search, short_video
from graphrep.datasets.sample.truth import truth_tables
from graphrep.vocab import ECOMMERCE, LIVE, SEARCH, SHORT_VIDEO

HOST_SESSIONS: Final = "host_sessions"
HOST_NUDGES: Final = "host_nudges"

__all__ = ["HOST_NUDGES", "HOST_SESSIONS", "SampleSpec", "sample_logs"]


def sample_logs(spec: SampleSpec) -> Iterator[tuple[str, str | None, pa.Table]]:
    """Yield (table, ds, rows): the truth tables first, with ds None, then six log tables for each day.

    Writes nothing. Truth tables are named ``truth/…``: keep them beside the logs, where no stage reads them.

    >>> made = list(sample_logs(SampleSpec(users=50, days=1, seed=7)))
    >>> [table for table, ds, _ in made if ds == "2026-03-01"]
    ['host_nudges', 'host_sessions', 'short_video', 'live', 'ecommerce', 'search']
    """
    people = populate(spec)
    effects = planted_effects(spec, people.hosts)
    every_key = Keys.of(spec, spec.days - 1)
    for name, table in truth_tables(people, effects, every_key).items():
        yield name, None, table
    taste, memory = Taste.of(people.users, spec.topics), opening_memory(spec, people.hosts)
    for day in range(spec.days):
        ds, keys = spec.ds(day), every_key.on(spec, day)
        nudges, sessions, memory = go_live(spec, people.hosts, effects, memory, day)
        crowd = gather(spec, people, taste, sessions, day)
        rooms = pa.array([f"r{ds.replace('-', '')}{i:05d}" for i in range(len(sessions))], pa.string())
        yield HOST_NUDGES, ds, _nudge_table(spec, keys, nudges, day)
        yield HOST_SESSIONS, ds, _session_table(spec, keys, sessions, rooms, day)
        yield SHORT_VIDEO, ds, short_video(crowd, keys)
        yield LIVE, ds, live(crowd, keys, rooms)
        yield ECOMMERCE, ds, ecommerce(crowd, keys)
        yield SEARCH, ds, search(crowd, keys)


def _session_table(spec: SampleSpec, keys: Keys, sessions: Sessions, rooms: pa.Array, day: int) -> pa.Table:
    midnight = spec.day_start(day)
    return pa.table(
        {
            Event.ROOM_ID: coded(np.arange(len(sessions), dtype=np.int32), rooms),
            Event.HOST_ID: coded(sessions.host, keys.hosts),
            START_TS: pa.array(midnight + sessions.start),
            END_TS: pa.array(midnight + sessions.end),
        }
    )


def _nudge_table(spec: SampleSpec, keys: Keys, nudges: Nudges, day: int) -> pa.Table:
    """One row per host and day; ``propensity``: known chance of the row's arm, randomised slice only."""
    order = np.argsort(nudges.ts, kind="stable")
    return pa.table(
        {
            Event.TS: pa.array(spec.day_start(day) + nudges.ts[order]),
            Event.HOST_ID: coded(order.astype(np.int32), keys.hosts),
            ARM: pa.array(nudges.arm[order]),
            ELIGIBLE: pa.array(nudges.eligible[order]),
            RANDOMISED: pa.array(nudges.randomised[order]),
            PROPENSITY: pa.array(np.full(len(order), 1 / ARMS), mask=~nudges.randomised[order]),
        }
    )
