"""Live rooms: who watches which session of the day, for how long, and what follows."""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa

from graphrep.contracts.events import Event
from graphrep.datasets.sample.crowd import Crowd
from graphrep.datasets.sample.golive import one_session_per_host
from graphrep.datasets.sample.keys import Keys
from graphrep.datasets.sample.population import two_topic_shelf
from graphrep.datasets.sample.rows import Follow, Timeline, coded, event_table, timeline, words
from graphrep.datasets.sample.shelf import Flags, Ints, Longs, Reals
from graphrep.datasets.sample.spec import HOUR_MS, Stream
from graphrep.datasets.sample.surfaces import favourite
from graphrep.vocab import LIVE

LIVE_RATE: Final = 1.7  # visits a day of a present live watcher of intensity 1
LOYAL: Final = 0.30  # share of visits to a favourite host, where one is live
STRAY: Final = 0.15  # share of visits that follow popularity, not interest
LOOKS: Final = 3  # sessions looked at before the one at the handiest hour is taken

_ACTIONS: Final = words("watch", "skip", "like", "gift", "follow")
_WATCH, _SKIP, _LIKE, _GIFT, _FOLLOW = range(5)


def live(crowd: Crowd, keys: Keys, rooms: pa.Array) -> pa.Table:
    """watch | skip, with the seconds; like, gift (with value) and follow inside a watch. No host: no row."""
    rng = crowd.spec.chance(Stream.LIVE, crowd.day)
    who, debut = _viewers(rng, crowd)
    n = len(who)
    session = _pick(rng, crowd, who, debut) if n else np.empty(0, dtype=np.int32)
    sessions, hosts = crowd.sessions, crowd.people.hosts
    host = sessions.host[session]
    liked = crowd.likes(who, hosts.topic[host]) | (
        crowd.likes(who, hosts.second[host]) & (hosts.second_share[host] > 0)
    )
    skip = (rng.random(n) < np.where(liked, 0.06, 0.55)) & ~debut
    room_for = sessions.end[session] - sessions.start[session] - 1
    ts = sessions.start[session] + (rng.random(n) * room_for).astype(np.int64)
    wish = np.exp(np.where(liked, 5.2, 3.6) + 0.9 * rng.standard_normal(n)) + 5.0
    wish[skip] = 1.0 + 3.0 * rng.random(int(skip.sum()))
    seconds = np.minimum(wish, (sessions.end[session] - ts) / 1000.0).astype(np.float32)

    line = timeline(skip.astype(np.int8), ts, _follows(rng, liked & ~skip, ts, seconds))
    source, session = line.source, session[line.source]
    columns = {
        Event.USER_ID: coded(who[source], keys.users),
        Event.ACTION: coded(line.action, _ACTIONS),
        Event.HOST_ID: coded(sessions.host[session], keys.hosts),
        Event.ROOM_ID: coded(session, rooms),
        Event.DURATION: pa.array(seconds[source], mask=~line.main),
        Event.VALUE: _gifts(rng, line),
    }
    return event_table(crowd.spec, LIVE, crowd.day, line, columns)


def _viewers(rng: np.random.Generator, crowd: Crowd) -> tuple[Ints, Flags]:
    """Who makes each visit, and whether it is the visit that a user's first live day must have."""
    users, here = crowd.people.users, crowd.present
    since = users.live_from[here]
    rate = LIVE_RATE * users.intensity[here] ** 0.8 * users.live_rate[here] * (since <= crowd.day)
    if not len(crowd.sessions):
        return np.empty(0, dtype=np.int32), np.empty(0, dtype=np.bool_)
    who, _ = crowd.visits(rng, rate)
    first = here[since == crowd.day].astype(np.int32)
    debut = np.zeros(len(who) + len(first), dtype=np.bool_)
    debut[len(who) :] = True
    return np.concatenate([who, first]), debut


def _pick(rng: np.random.Generator, crowd: Crowd, who: Ints, debut: Flags) -> Ints:
    """A session of the day per visit: a favourite host's, or of a few by interest one at a handy hour."""
    n, sessions = len(who), crowd.sessions
    shelf = two_topic_shelf(
        crowd.people.hosts, np.arange(len(sessions), dtype=np.int32), sessions.host, crowd.spec.topics
    )
    kind = rng.random(n)
    topic, stray = crowd.topic(rng, who), (kind < STRAY) & ~debut
    looks = np.stack([shelf.draw(topic, rng.random(n), stray) for _ in range(LOOKS)])
    middle = (sessions.start + sessions.end) / (2.0 * HOUR_MS)
    away = np.abs((middle[looks] - crowd.people.users.peak_hour[who] + 12) % 24 - 12)
    # One hour further away costs as much as one unit of exponential noise over 1.5.
    best = np.argmin(away + 1.5 * rng.standard_exponential((LOOKS, n)), axis=0)
    session: Ints = looks[best, np.arange(n)]
    loyal = np.flatnonzero(kind > 1 - LOYAL)
    theirs = one_session_per_host(sessions, len(crowd.people.hosts.topic))[favourite(rng, crowd, who[loyal])]
    session[loyal[theirs >= 0]] = theirs[theirs >= 0]
    return session


def _follows(rng: np.random.Generator, engaged: Flags, ts: Longs, seconds: Reals) -> list[Follow]:
    """Likes, gifts and follows, at some moment of a watch of a room that the user cares for."""
    chosen = []
    for action, chance in ((_LIKE, 0.12), (_GIFT, 0.04), (_FOLLOW, 0.05)):
        rows = np.flatnonzero(engaged & (rng.random(len(ts)) < chance))
        chosen.append(Follow(rows, action, ts[rows] + (1000 * seconds[rows] * rng.random(len(rows))).astype(np.int64)))
    return chosen


def _gifts(rng: np.random.Generator, line: Timeline) -> pa.Array:
    value = np.zeros(len(line.ts))
    gift = line.action == _GIFT
    value[gift] = np.round(np.exp(rng.normal(1.5, 1.2, int(gift.sum()))) + 0.1, 2)
    return pa.array(value, mask=~gift)
