"""A generated panel as the raw logs of a platform, day by day, and its truth as a table of its own.

Viewers, and hosts as viewers, watch, search for and follow hosts whose traits are like theirs, so that a graph of these
events shows the traits; no log has them. What a host does and is given is in table ``hosting``, what it is served as a
viewer in ``serving``. Impressions and nudges come before noon, sessions after it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from graphrep import vocab
from graphrep.contracts.events import Event
from graphrep.contracts.uplift import CONTROL
from graphrep.datasets.golive import world
from graphrep.datasets.golive.panel import Observed, Truth, simulate
from graphrep.datasets.golive.spec import PRESETS, GoLiveSpec
from graphrep.errors import InputError

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

HOSTING: Final = "hosting"
SERVING: Final = "serving"
ARMS: Final = ("push", "banner", "incentive")
"""Names of the arms of a spec, in its order; ``configs/golive.yaml`` has the same."""

SIZES: Final = {"tiny": (300, 12), "ci": (3_000, 28), "bench": (10_000, 42)}
"""Hosts and days."""

VIEWERS = 2
"""Viewers for each host."""
FAVOURITES = 12
"""Hosts that a viewer meets again and again."""
ALIKE = 1.5
"""How much a viewer prefers hosts with traits like his own, in logits of a product of traits."""
IMPRESSIONS = np.array([0, 1, 3, 7, 12])
"""Least impressions of each step of exposure, and beyond the last."""
HOUR_MS = vocab.DAY_MS // 24
_DELIVERED = "_delivered"


def spec_of(preset: str, size: str, seed: int) -> GoLiveSpec:
    """A named setting at a size.

    Raises:
        InputError: no such preset or size, or one with more arms than have names.
    """
    if preset not in PRESETS:
        raise InputError(f"a preset, one of {', '.join(PRESETS)}", found=repr(preset), where="--preset")
    if size not in SIZES:
        raise InputError(f"a size, one of {', '.join(SIZES)}", found=repr(size), where="--size")
    hosts, days = SIZES[size]
    return replace(PRESETS[preset], hosts=hosts, days=days, seed=seed)


def golive_logs(spec: GoLiveSpec, start: dt.date) -> tuple[pa.Table, Iterator[tuple[str, str, pa.Table]]]:
    """The truth of a spec, and (raw log table, data day, rows) of its days.

    Args:
        start: the first day.

    >>> truth, days = golive_logs(GoLiveSpec(hosts=20, days=2), dt.date(2026, 3, 1))
    >>> sorted({table for table, _, _ in days}), truth.column_names[:4]
    (['hosting', 'live', 'search', 'serving', 'short_video'], ['host_id', 'ds', 'arm', 'p0'])
    """
    if len(spec.effects) > len(ARMS):
        raise InputError(f"at most {len(ARMS)} arms", found=f"{len(spec.effects)}", where="effects")
    seen, truth = simulate(spec)
    return _truth(spec, truth, start), _days(spec, seen, len(truth.host), start)


def host_keys(count: int) -> pa.Array:
    """Keys of hosts, as hosts and as viewers."""
    return pa.array([f"h{number:06d}" for number in range(count)], pa.string())


def _truth(spec: GoLiveSpec, truth: Truth, start: dt.date) -> pa.Table:
    """One row for each host-day and arm; ``exposure`` is one step of it."""
    parts = []
    names = [*ARMS[: len(spec.effects)], "exposure"]
    for place, name in enumerate(names):
        step = name == "exposure"
        p0 = truth.chance[:, 0]
        tau = truth.exposure_effect if step else truth.effect[:, place]
        unknown = pa.nulls(len(tau), pa.float64())
        parts.append(
            pa.table(
                {
                    Event.HOST_ID: host_keys(spec.hosts).take(pa.array(truth.host)),
                    "ds": _days_of(truth.day, start),
                    "arm": pa.array([name] * len(tau), pa.string()),
                    "p0": p0,
                    "p_a": p0 + tau,
                    "tau": tau,
                    "tau_minutes": unknown if step else truth.effect_minutes[:, place],
                    "propensity": unknown if step else truth.propensity[:, place + 1],
                    "spillover": truth.spillover,
                }
            )
        )
    return pa.concat_tables(parts)


def _days_of(day: Ints, start: dt.date) -> pa.Array:
    own = np.datetime64(start) + day.astype("timedelta64[D]")
    return pa.array(np.datetime_as_string(own, unit="D").tolist(), pa.string())


def _days(spec: GoLiveSpec, seen: Observed, count: int, start: dt.date) -> Iterator[tuple[str, str, pa.Table]]:
    draws = np.random.default_rng([spec.seed, 2])
    hosts = world.hosts_of(spec, np.random.default_rng(spec.seed))
    known = {
        HOSTING: _hosting(spec, seen, hosts, count, start, draws),
        SERVING: _serving(spec, seen, count, start, draws),
    }
    favourites = _favourites(spec, hosts, draws)
    for day in range(spec.days):
        ds = (start + dt.timedelta(days=day)).isoformat()
        for table, rows in known.items():
            own = rows.filter(pc.equal(rows[_DELIVERED], day)).drop_columns([_DELIVERED])
            yield table, ds, own.sort_by([(Event.TS, "ascending"), (Event.EVENT_ID, "ascending")])
        live = np.zeros(spec.hosts, np.bool_)
        today = seen.day[:count] == day
        live[seen.host[:count][today]] = seen.live[:count][today] == 1
        yield from _viewing(spec, favourites, live, hosts.first_day <= day, day, ds, start, draws)


def _hosting(
    spec: GoLiveSpec, seen: Observed, hosts: world.Hosts, count: int, start: dt.date, draws: np.random.Generator
) -> pa.Table:
    """Authorisations, chances, nudges and sessions; sessions come late as the spec says, some rows come twice."""
    host, day = seen.host[:count], seen.day[:count]
    arm, told = seen.arm[:count], []
    first = np.maximum(hosts.first_day, 0)
    told.append(_rows(start, "authorise", np.arange(spec.hosts), first, np.full(spec.hosts, 0.5)))
    logged = ~np.isnan(seen.propensity[:count, 1])
    for place, name in enumerate(ARMS[: len(spec.effects)]):
        for action, chosen in (("draw", seen.randomised[:count]), ("chance", ~seen.randomised[:count])):
            at = np.flatnonzero(logged & chosen)
            value = seen.propensity[at, place + 1]
            told.append(_rows(start, action, host[at], day[at], np.ones(len(at)), name=name, value=value))
        at = np.flatnonzero(arm == place + 1)
        hour = 8 + 2 * draws.random(len(at))
        told.append(_rows(start, "nudge", host[at], day[at], hour, name=name))
        got = seen.delivered[at]
        told.append(_rows(start, "delivered", host[at][got], day[at][got], hour[got] + 0.1, name=name))
    at = np.flatnonzero(seen.live[:count] == 1)
    hour, lasts = 12 + 5.5 * draws.random(len(at)), seen.minutes[at] / 60
    known = seen.known_on[at]
    told.append(_rows(start, "go_live", host[at], day[at], hour, delivered=known, room=True))
    told.append(_rows(start, "end", host[at], day[at], hour + lasts, delivered=known, room=True, seconds=lasts * 3600))
    rows = pa.concat_tables(told)
    again = pc.is_in(_host_day(rows, start), pa.array(seen.host[count:] * 1_000 + seen.day[count:]))
    return pa.concat_tables([rows, rows.filter(again)])


def _host_day(rows: pa.Table, start: dt.date) -> pa.Array:
    """A number for each host and day of the rows."""
    host = pc.cast(pc.utf8_slice_codeunits(rows[Event.HOST_ID], 1), pa.int64())
    day = pc.subtract(pc.divide(rows[Event.TS], vocab.DAY_MS), (start - dt.date(1970, 1, 1)).days)
    return pc.add(pc.multiply(host, 1_000), day)


def _serving(spec: GoLiveSpec, seen: Observed, count: int, start: dt.date, draws: np.random.Generator) -> pa.Table:
    """Live impressions served before noon, of some other host, and the draws of boosts."""
    host, day, step = seen.host[:count], seen.day[:count], seen.exposure[:count]
    served = draws.integers(IMPRESSIONS[step], np.maximum(IMPRESSIONS[step + 1], IMPRESSIONS[step] + 1))
    row = np.repeat(np.arange(count), served)
    number = np.arange(len(row)) - np.repeat(np.cumsum(served) - served, served)
    shown = host_keys(spec.hosts).take(pa.array(draws.integers(0, spec.hosts, len(row))))
    hour = 2 + 9.9 * draws.random(len(row))
    told = [_rows(start, "impression", host[row], day[row], hour, shown=shown, number=number)]
    if spec.boosted:
        for name, won in (("boost", True), (CONTROL, False)):
            at = np.flatnonzero(seen.boost[:count] == won)
            value = np.full(len(at), spec.boosted)
            self_key = host_keys(spec.hosts).take(pa.array(host[at]))
            told.append(
                _rows(start, "lot", host[at], day[at], np.ones(len(at)), name=name, value=value, shown=self_key)
            )
    return pa.concat_tables(told)


def _rows(
    start: dt.date,
    action: str,
    host: Ints,
    day: Ints,
    hour: Floats,
    *,
    name: str | None = None,
    value: Floats | None = None,
    seconds: Floats | None = None,
    delivered: Ints | None = None,
    room: bool = False,
    shown: pa.Array | None = None,
    number: Ints | None = None,
) -> pa.Table:
    """Raw rows of one action. ``shown``: the host that the host as a viewer met; else the row is about itself."""
    n = len(host)
    key = host_keys(int(host.max()) + 1).take(pa.array(host)) if n else pa.array([], pa.string())
    own_day = pa.array(day.astype(str).tolist(), pa.string())
    parts = [pa.array([action] * n, pa.string()), own_day, key]
    parts += [pa.array([name] * n, pa.string())] if name else []
    parts += [pa.array(number.astype(str).tolist(), pa.string())] if number is not None else []

    def numbers(given: Floats | None) -> pa.Array:
        return pa.nulls(n, pa.float64()) if given is None else pa.array(given, pa.float64())

    return pa.table(
        {
            _DELIVERED: pa.array(day if delivered is None else delivered, pa.int64()),
            Event.EVENT_ID: pc.binary_join_element_wise(*parts, "-"),
            Event.TS: pa.array(_ms(day, hour, start)),
            Event.USER_ID: key,
            Event.ACTION: parts[0],
            Event.ITEM_ID: pa.array([name] * n, pa.string()),
            Event.HOST_ID: key if shown is None else shown,
            Event.ROOM_ID: pc.binary_join_element_wise(key, own_day, "-") if room else pa.nulls(n, pa.string()),
            Event.VALUE: numbers(value),
            Event.DURATION: numbers(seconds),
        }
    )


def _ms(day: Ints, hour: Floats, start: dt.date) -> Ints:
    midnight = ((start - dt.date(1970, 1, 1)).days + day) * vocab.DAY_MS
    return midnight + np.minimum((hour * HOUR_MS).astype(np.int64), vocab.DAY_MS - 1)


def _favourites(spec: GoLiveSpec, hosts: world.Hosts, draws: np.random.Generator) -> Ints:
    """(hosts + viewers, FAVOURITES) hosts that each meets; hosts come first, with their own traits as taste."""
    tastes = np.concatenate([hosts.traits, draws.normal(size=(VIEWERS * spec.hosts, world.TRAITS))])
    found = []
    for first in range(0, len(tastes), 512):
        liking = ALIKE * tastes[first : first + 512] @ hosts.traits.T
        liking += draws.gumbel(size=liking.shape)
        own = np.arange(first, min(first + 512, len(tastes)))
        inside = own < spec.hosts
        liking[np.flatnonzero(inside), own[inside]] = -np.inf
        found.append(np.argsort(-liking, axis=1)[:, : min(FAVOURITES, spec.hosts - 1)])
    return np.concatenate(found)


def _viewing(
    spec: GoLiveSpec,
    favourites: Ints,
    live: NDArray[np.bool_],
    here: NDArray[np.bool_],
    day: int,
    ds: str,
    start: dt.date,
    draws: np.random.Generator,
) -> Iterator[tuple[str, str, pa.Table]]:
    """What everybody watches and searches for on a day: hosts that are there, and live rooms of those that are live."""
    everybody = pa.concat_arrays(
        [host_keys(spec.hosts), pa.array([f"u{n:06d}" for n in range(VIEWERS * spec.hosts)], pa.string())]
    )
    there = np.concatenate([here, np.ones(VIEWERS * spec.hosts, np.bool_)])
    for table, share, action in (
        (vocab.SHORT_VIDEO, 0.2, "watch"),
        (vocab.LIVE, 0.4, "watch"),
        (vocab.SEARCH, 0.04, "click"),
    ):
        meets = (draws.random(favourites.shape) < share) & there[:, None]
        meets &= live[favourites] if table == vocab.LIVE else here[favourites]
        who, place = np.nonzero(meets)
        n, met = len(who), pa.array(favourites[who, place])
        hour = 18 + 6 * draws.random(n) if table == vocab.LIVE else 24 * draws.random(n)
        shown = host_keys(spec.hosts).take(met)
        columns = {
            Event.EVENT_ID: pa.array(np.arange(n) + day * (1 << 32)),
            Event.TS: pa.array(_ms(np.full(n, day), hour, start)),
            Event.USER_ID: everybody.take(pa.array(who)),
            Event.ACTION: pa.array([action] * n, pa.string()),
            Event.HOST_ID: shown,
            Event.DURATION: pa.array(60 * draws.exponential(5, n)),
        }
        if table == vocab.SHORT_VIDEO:
            columns[Event.ITEM_ID] = pc.binary_join_element_wise("v", shown, "")
        yield table, ds, pa.table(columns)
