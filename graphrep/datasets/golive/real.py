"""Nudges planted on real go-lives: hosts, sessions and what is known of them are real, treatment and effect are not.

A host-day that was live without a nudge stays live with one; of the others a nudge turns a share into live days, with a
session as long as one of the host's own. So both outcomes of every host-day are known:
``p0`` is what happened, ``p_a = p0 + (1 − p0) · g(x)``.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from graphrep import vocab
from graphrep.contracts.events import Event
from graphrep.contracts.uplift import CONTROL
from graphrep.datasets.twitch_golive import BROADCAST, GO_LIVE, GOLIVE
from graphrep.errors import InputError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NUDGES: Final = "nudges"
ARM: Final = "push"
RECENT = 7


@dataclass(frozen=True)
class Plan:
    """How nudges are planted.

    Attributes:
        seed: of every draw.
        gain: mean share of the days without a session that a nudge turns into days with one.
        spread: by which the gain differs between small and large audiences, at most ``gain``.
        activity: how much hosts who went live lately are nudged rather than others, in logits.
        audience: likewise, of hosts with a large audience, which no log of the hosts' own shows but their games do.
        lot: share of hosts whose nudges are drawn with a chance of one half, which is logged.
    """

    seed: int = 0
    gain: float = 0.15
    spread: float = 0.1
    activity: float = 0.8
    audience: float = 0.8
    lot: float = 0.1

    def __post_init__(self) -> None:
        if not 0 <= self.spread <= self.gain <= 1 - self.spread or not 0 <= self.lot <= 1:
            found = f"gain {self.gain}, spread {self.spread}, lot {self.lot}"
            raise InputError("shares, and a gain that stays one with its spread", found=found, where="plan")


def plant(golive: pa.Table, plan: Plan) -> tuple[pa.Table, pa.Table, pa.Table]:
    """Plant nudges on the raw rows of ``golive``.

    Args:
        golive: rows of all days as :mod:`graphrep.datasets.twitch_golive` makes them.

    Returns:
        ``golive`` with the sessions that nudges caused; raw rows of ``nudges``: authorisations, chances drawn by lot,
        nudges; the truth, one row for each host and day: host_id, ds, arm, p0, p_a, tau, propensity, live.
    """
    draws = np.random.default_rng(plan.seed)
    named = golive.filter(pc.and_(pc.is_valid(golive[Event.USER_ID]), pc.equal(golive[Event.ACTION], GO_LIVE)))
    coded = named[Event.USER_ID].combine_chunks().dictionary_encode()
    hosts, host = coded.dictionary, coded.indices.to_numpy().astype(np.int64)
    day = named[Event.TS].to_numpy() // vocab.DAY_MS
    first, count = int(day.min()), int(day.max() - day.min()) + 1
    live = np.zeros((len(hosts), count), np.bool_)
    live[host, day - first] = True
    audience = _audience(golive, hosts)
    lately = np.zeros(live.shape)
    for back in range(1, RECENT + 1):
        lately[:, back:] += live[:, :-back]
    pull = plan.activity * _standard(lately) + plan.audience * audience[:, None]
    by_lot = draws.random(len(hosts)) < plan.lot
    chance = np.where(by_lot[:, None], 0.5, 1 / (1 + np.exp(1.0 - pull)))
    nudged = draws.random(live.shape) < chance
    nudged[:, 0] = False  # of the first day nothing was known
    gain = plan.gain + plan.spread * np.tanh(audience)[:, None] * np.ones(count)
    caused = nudged & ~live & (draws.random(live.shape) < gain)
    truth = _truth(hosts, first, live, caused, nudged, chance, gain)
    added = _sessions(golive, hosts, first, caused, draws)
    return pa.concat_tables([golive, added], promote_options="default"), _nudges(hosts, first, nudged, by_lot), truth


def _standard(values: Floats) -> Floats:
    return np.asarray((values - values.mean()) / max(values.std(), 1e-9))


def _audience(golive: pa.Table, hosts: pa.Array) -> Floats:
    """(hosts,) minutes watched for each minute of session, in logs, standardised."""
    ended = golive.filter(pc.equal(golive[Event.ACTION], BROADCAST)).group_by(Event.USER_ID)
    sums = ended.aggregate([(Event.VALUE, "sum"), (Event.DURATION, "sum")])
    place = pc.index_in(hosts, sums[Event.USER_ID].combine_chunks()).fill_null(0).to_numpy()
    watched = sums[f"{Event.VALUE}_sum"].fill_null(0).to_numpy()[place]
    seconds = sums[f"{Event.DURATION}_sum"].fill_null(0).to_numpy()[place]
    return _standard(np.log1p(np.maximum(watched, 0) / np.maximum(seconds / 60, 1)))


def _ds(first: int, day: Ints) -> pa.Array:
    own = np.datetime64(dt.date(1970, 1, 1)) + (first + day).astype("timedelta64[D]")
    return pa.array(np.datetime_as_string(own, unit="D").tolist(), pa.string())


def _truth(
    hosts: pa.Array,
    first: int,
    live: NDArray[np.bool_],
    caused: NDArray[np.bool_],
    nudged: NDArray[np.bool_],
    chance: Floats,
    gain: Floats,
) -> pa.Table:
    host, day = (axis.ravel() for axis in np.indices(live.shape))
    p0 = live.ravel().astype(np.float64)
    tau = (1 - p0) * gain.ravel()
    return pa.table(
        {
            Event.HOST_ID: hosts.take(pa.array(host)),
            "ds": _ds(first, day),
            "arm": pa.array(np.where(nudged.ravel(), ARM, CONTROL).tolist(), pa.string()),
            "p0": p0,
            "p_a": p0 + tau,
            "tau": tau,
            "propensity": chance.ravel(),
            "live": (live | caused).ravel().astype(np.float64),
        }
    )


def _sessions(
    golive: pa.Table, hosts: pa.Array, first: int, caused: NDArray[np.bool_], draws: np.random.Generator
) -> pa.Table:
    """Rows of the sessions that nudges caused: from noon on, as long as one of the same host's, or of anybody's."""
    ended = golive.filter(pc.and_(pc.equal(golive[Event.ACTION], BROADCAST), pc.is_valid(golive[Event.USER_ID])))
    own = pc.index_in(ended[Event.USER_ID].combine_chunks(), hosts).to_numpy()
    order = np.argsort(own, kind="stable")
    start = np.searchsorted(own[order], np.arange(len(hosts) + 1))
    host, day = np.nonzero(caused)
    count = start[host + 1] - start[host]
    any_row = draws.integers(0, len(order), len(host))
    row = np.where(count > 0, order[(start[host] + draws.integers(0, np.maximum(count, 1))) % len(order)], any_row)
    like = ended.take(pa.array(row))
    seconds = np.clip(like[Event.DURATION].to_numpy(), 60, 6 * 3600)
    begin = (first + day) * vocab.DAY_MS + draws.integers(12 * 60, 17 * 60, len(host)) * 60_000
    who = hosts.take(pa.array(host))
    room = pc.binary_join_element_wise(who, pa.array(day.astype(str).tolist(), pa.string()), "-nudged-")
    shared = {Event.USER_ID: who, Event.HOST_ID: who, Event.ROOM_ID: room}
    began = pa.table({Event.TS: begin, **shared, Event.ACTION: pa.array([GO_LIVE] * len(host), pa.string())})
    over = pa.table(
        {
            Event.TS: begin + (seconds * 1000).astype(np.int64),
            **shared,
            Event.ACTION: pa.array([BROADCAST] * len(host), pa.string()),
            Event.ITEM_ID: like[Event.ITEM_ID],
            Event.DURATION: pa.array(seconds),
            Event.VALUE: like[Event.VALUE],
        }
    )
    return pa.concat_tables([over, began], promote_options="default")


def _nudges(hosts: pa.Array, first: int, nudged: NDArray[np.bool_], by_lot: NDArray[np.bool_]) -> pa.Table:
    def rows(action: str, host: Ints, day: Ints, hour: int, **more: pa.Array) -> pa.Table:
        who = hosts.take(pa.array(host))
        ts = (first + day) * vocab.DAY_MS + hour * vocab.DAY_MS // 24
        told = {Event.TS: pa.array(ts), Event.USER_ID: who, Event.HOST_ID: who}
        return pa.table({**told, Event.ACTION: pa.array([action] * len(host), pa.string()), **more})

    every = np.arange(len(hosts))
    drawn, day = (axis.ravel() for axis in np.indices((int(by_lot.sum()), nudged.shape[1] - 1)))
    at, on = np.nonzero(nudged)
    return pa.concat_tables(
        [
            rows("authorise", every, np.zeros(len(hosts), np.int64), 0),
            rows(
                "draw",
                np.flatnonzero(by_lot)[drawn],
                day + 1,
                1,
                **{Event.ITEM_ID: pa.array([ARM] * len(day), pa.string()), Event.VALUE: pa.array([0.5] * len(day))},
            ),
            rows("nudge", at, on, 9, **{Event.ITEM_ID: pa.array([ARM] * len(at), pa.string())}),
        ],
        promote_options="default",
    )


def tables_of_days(golive: pa.Table, nudges: pa.Table) -> list[tuple[str, str, pa.Table]]:
    """Raw rows of both tables, one table for each day, in the order of days."""
    found = []
    for name, rows in ((GOLIVE, golive), (NUDGES, nudges)):
        day = pc.floor(pc.divide(pc.cast(rows[Event.TS], pa.float64()), vocab.DAY_MS))
        for own in sorted(day.unique().to_pylist()):
            ds = (dt.date(1970, 1, 1) + dt.timedelta(days=int(own))).isoformat()
            found.append((name, ds, rows.filter(pc.equal(day, own)).sort_by(Event.TS)))
    return sorted(found, key=lambda part: (part[1], part[0]))
