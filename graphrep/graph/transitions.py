"""Directed transition edges: which items users met after which, over the timed events of one or several relations."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from graphrep.errors import InputError
from graphrep.graph.hetero import EdgeList, HeteroGraph
from graphrep.vocab import EdgeType

MILLIONTHS = 1_000_000
# Pairs are some twenty times the events: so many events at once keep them within a tenth of a gigabyte.
_EVENTS_AT_ONCE = 1 << 16

Whole = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Rule:
    """What a pair of events is worth.

    Attributes:
        horizon: largest distance of a pair, in events; 1: neighbours only.
        decay: (0, 1]; an event before another at distance k weighs ``decay^(k-1)``.
        reverse: [0, 1]; the way back, from the later to the earlier, weighs this share of it.
        max_tied: a user's events of one same time beyond so many yield no pairs.

    Raises:
        InputError: a number outside its range.
    """

    horizon: int
    decay: float
    reverse: float
    max_tied: int

    def __post_init__(self) -> None:
        for name in ("horizon", "max_tied"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
                raise InputError(f"{name} of 1 or more events", found=repr(value), where="transitions")
        if not (_is_real(self.decay) and 0 < self.decay <= 1):
            raise InputError("decay above 0, up to 1", found=repr(self.decay), where="transitions")
        if not (_is_real(self.reverse) and 0 <= self.reverse <= 1):
            raise InputError("reverse from 0 to 1", found=repr(self.reverse), where="transitions")


class Pairs(NamedTuple):
    """Directed pairs of items, one for each pair of events: (e,) int64 each; ``ts`` is that of the later event."""

    src: Whole
    dst: Whole
    millionths: Whole
    ts: Whole


class Sums(NamedTuple):
    """Directed pairs of items, each once, sorted by (src, dst): summed weight, number of pairs, newest time."""

    src: Whole
    dst: Whole
    millionths: Whole
    pairs: Whole
    ts: Whole


def transitions(
    edges: Mapping[EdgeType, EdgeList],
    horizon: int = 8,
    decay: float = 0.7,
    reverse: float = 0.3,
    *,
    max_tied: int = 64,
    name: str = "then",
) -> dict[EdgeType, EdgeList]:
    """Directed item→item edges from timed user→item edges: an item to those that its users met next.

    The events of a user, over all given relations, are one path in the order of their times. Each pair of events,
    i before j at distance k up to ``horizon``, adds ``decay^(k-1)`` to the weight of i → j and ``reverse`` times that
    to j → i. Equal times are no order: the events of one time are taken to stand in every order equally likely, and
    the weight is the expectation over these orders, so it does not depend on the order of the edges.

    Every edge is one event: the same user, item and time twice are two, and its weight plays no part. Two events of
    one item make no pair, and neither does any event among more than ``max_tied`` of one user and time; both keep
    their place in the path. A pair's weight is rounded to whole millionths, so that sums are exact.

    Args:
        edges: timed edges by (source type, relation, item type), all from one source type.
        horizon, decay, reverse, max_tied: see :class:`Rule`.
        name: the relation's name in the result.

    Returns:
        (item type, name, item type) → its edges, sorted by (src, dst), for each pair of types that has any; ``time``
        is that of the newest later event behind an edge, in seconds.

    Raises:
        InputError: edges without times, of several source types or not well-formed; an argument out of range.

    >>> found = transitions({("user", "buys", "product"): EdgeList([0, 0, 0], [7, 5, 6], time=[10, 20, 30])})
    >>> then = found["product", "then", "product"]
    >>> [(int(i), int(j), round(float(w), 2)) for i, j, w in zip(then.src, then.dst, then.weight)]
    [(5, 6, 1.0), (5, 7, 0.3), (6, 5, 0.3), (6, 7, 0.21), (7, 5, 1.0), (7, 6, 0.7)]
    """
    rule = Rule(horizon, decay, reverse, max_tied)
    if not isinstance(name, str) or not name:
        raise InputError("a name for the relation", found=repr(name), where="transitions")
    path = _path(_checked(edges))
    parts = [
        sum_pairs(pair_weights(path.user[part], path.time[part], path.item[part], rule)) for part in _by_user(path.user)
    ]
    total = _summed(*(np.concatenate(column) for column in zip(*parts, strict=True))) if parts else None
    return {} if total is None else _by_types(total, path, name)


def pair_weights(user: Whole, ts: Whole, item: Whole, rule: Rule, fresh: NDArray[np.bool_] | None = None) -> Pairs:
    """Every directed pair of items that follow each other in some user's path, once for each pair of events.

    Between tied groups of p and q events with g events between them, the expected weight is
    ``1/(p q) · Σ_{x<p, y<q} decay^(g+x+y) [g+x+y < horizon]``. Inside a group of m, either way weighs
    ``(1 + reverse)/2 · Σ_k 2(m-k)/(m(m-1)) · decay^(k-1) [k ≤ horizon]``: each order is as likely as the other.

    Args:
        user, ts, item: (n,) sorted by user, then time; ``item`` counts from 0, the unit of ``ts`` is the caller's.
        fresh: (n,) only pairs whose later event is fresh are wanted; None: all. Events of one user and time are all
            fresh or all not.

    Returns:
        Pairs of at least half a millionth, in no order that means anything.
    """
    changes = np.flatnonzero((np.diff(user) != 0) | (np.diff(ts) != 0)) + 1
    start = np.concatenate([[0], changes]) if len(user) else changes
    size = np.diff(start, append=len(user))
    # Places are taken before the crowded groups are left out, and so the lags below stay few however long those are.
    kept = np.flatnonzero(np.repeat(size <= rule.max_tied, size))
    first, after = np.repeat(start, size)[kept], np.repeat(start + size, size)[kept]
    user, ts, item = user[kept], ts[kept], item[kept]
    wanted = np.ones(len(kept), bool) if fresh is None else fresh[kept]
    sizes, group = np.unique(after - first, return_inverse=True)
    forth, back = _worth(sizes, rule)
    found: list[Pairs] = []
    i = np.arange(len(kept))
    for lag in count(1):
        # What is too far from i at this lag is too far at every larger one.
        i = i[: np.searchsorted(i, len(kept) - lag)]
        gap = first[i + lag] - after[i]
        near = (user[i + lag] == user[i]) & (gap < rule.horizon)
        i, gap = i[near], gap[near]
        if not len(i):
            break
        chosen = (item[i] != item[i + lag]) & wanted[i + lag]
        a, b = i[chosen], i[chosen] + lag
        worth = np.maximum(gap[chosen], -1) + 1, group[a], group[b]
        found.append(Pairs(item[a], item[b], forth[worth], ts[b]))
        found.append(Pairs(item[b], item[a], back[worth], ts[b]))
    return _positive(found)


def _positive(found: list[Pairs]) -> Pairs:
    if not found:
        return Pairs(*(np.zeros(0, np.int64) for _ in Pairs._fields))
    pairs = Pairs(*(np.concatenate(column) for column in zip(*found, strict=True)))
    weighty = pairs.millionths > 0
    return pairs if weighty.all() else Pairs(*(column[weighty] for column in pairs))


def _worth(sizes: Whole, rule: Rule) -> tuple[Whole, Whole]:
    """Millionths of (earlier, later) and of (later, earlier): (1 + horizon, sizes, sizes) each, by the gap + 1.

    Gap -1 is that of two events of one group. All sums run one term after the other, so that a number does not
    depend on which other sizes are asked for.
    """
    power = np.power(float(rule.decay), np.arange(rule.horizon))[:, None, None]
    p, q, s = sizes[:, None], sizes[None, :], np.arange(rule.horizon)[:, None, None]
    ways = np.maximum(np.minimum(np.minimum(s + 1, p + q - 1 - s), np.minimum(p, q)), 0)  # x + y = s
    apart = power * np.cumsum(ways * power, axis=0)[::-1] / (p * q)
    m = np.broadcast_to(p, (len(sizes), len(sizes)))
    nearer = np.maximum(m - 1 - s, 0) * 2 / np.maximum(m * (m - 1), 1)  # P(distance = s + 1)
    tied = (1 + rule.reverse) / 2 * np.cumsum(nearer * power, axis=0)[-1:]
    forth, back = np.concatenate([tied, apart]), np.concatenate([tied, rule.reverse * apart])
    return np.rint(forth * MILLIONTHS).astype(np.int64), np.rint(back * MILLIONTHS).astype(np.int64)


def sum_pairs(pairs: Pairs) -> Sums:
    """Each directed pair of items once."""
    return _summed(pairs.src, pairs.dst, pairs.millionths, np.ones(len(pairs.src), np.int64), pairs.ts)


def _summed(src: Whole, dst: Whole, millionths: Whole, pairs: Whole, ts: Whole) -> Sums:
    if not len(src):
        return Sums(src, dst, millionths, pairs, ts)
    key = src * (dst.max() + 1) + dst
    order = np.argsort(key, kind="stable")  # merges the runs that the lags leave
    start = np.concatenate([[0], np.flatnonzero(np.diff(key[order])) + 1])
    return Sums(
        src[order[start]],
        dst[order[start]],
        np.add.reduceat(millionths[order], start),
        np.add.reduceat(pairs[order], start),
        np.maximum.reduceat(ts[order], start),
    )


@dataclass(frozen=True, slots=True)
class _Path:
    """All users' events sorted by user and time; an item's number leads to its type and its index there."""

    user: Whole
    time: Whole
    item: Whole
    types: list[str]
    type_of: Whole
    index_of: Whole


def _is_real(value: Any) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def _checked(edges: Any) -> Mapping[EdgeType, EdgeList]:
    if not isinstance(edges, Mapping):
        raise InputError("a mapping of edge types to EdgeLists", found=type(edges).__name__, where="transitions")
    kinds = [kind for edge_type in edges if isinstance(edge_type, tuple) for kind in edge_type[::2]]
    checked = HeteroGraph.from_edges(dict.fromkeys(kinds, sys.maxsize), edges).edges
    sources = sorted({edge_type[0] for edge_type in checked})
    if len(sources) > 1:
        fix = "call it once for each"
        raise InputError("edges from one source type", found=", ".join(sources), where="transitions", fix=fix)
    for edge_type, edge_list in checked.items():
        if edge_list.time is None:
            fix = "give EdgeList a time, or leave the relation out"
            raise InputError("timed edges", found="no times", where=f"edges{edge_type!r}", fix=fix)
    return checked


def _path(edges: Mapping[EdgeType, EdgeList]) -> _Path:
    types = list(dict.fromkeys(edge_type[2] for edge_type in edges))
    lists = [(e, types.index(edge_type[2])) for edge_type, e in edges.items()]
    empty = np.zeros(0, np.int64)
    user = np.concatenate([empty, *(e.src for e, _ in lists)])
    time = np.concatenate([empty, *(e.time for e, _ in lists if e.time is not None)])
    kind = np.concatenate([empty, *(np.full(len(e), number) for e, number in lists)])
    index = np.concatenate([empty, *(e.dst for e, _ in lists)])
    indices, place = np.unique(index, return_inverse=True)
    items, item = np.unique(kind * len(indices) + place, return_inverse=True)
    type_of, place_of = np.divmod(items, max(len(indices), 1))
    order = np.lexsort((time, user))
    return _Path(user[order], time[order], item[order], types, type_of, indices[place_of])


def _by_user(user: Whole) -> Iterator[slice]:
    """Slices of whole users, of about so many events as fit into memory with their pairs."""
    begin = 0
    while begin < len(user):
        last = user[min(begin + _EVENTS_AT_ONCE, len(user)) - 1]
        end = int(np.searchsorted(user, last, side="right"))
        yield slice(begin, end)
        begin = end


def _by_types(total: Sums, path: _Path, name: str) -> dict[EdgeType, EdgeList]:
    result: dict[EdgeType, EdgeList] = {}
    src_type, dst_type = path.type_of[total.src], path.type_of[total.dst]
    for a, src_name in enumerate(path.types):
        for b, dst_name in enumerate(path.types):
            chosen = (src_type == a) & (dst_type == b)
            if chosen.any():
                weight = (total.millionths[chosen] / MILLIONTHS).astype(np.float32)
                src, dst = path.index_of[total.src[chosen]], path.index_of[total.dst[chosen]]
                result[src_name, name, dst_name] = EdgeList(src, dst, weight, total.ts[chosen])
    return result
