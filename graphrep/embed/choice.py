"""Powers and shares of the walks from histories, chosen on events that are hidden from them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphrep.embed.backend import Backend
from graphrep.embed.histories import UNKNOWN_AGE, Histories, histories
from graphrep.embed.history_walk import Choice, HistoryWalk, VectorPowers
from graphrep.graph.hetero import EdgeList, HeteroGraph

_SAMPLED = 800
_LEAST = 3
_HIDDEN = 0.2
_OF = 1000
_RECENCY = (0.0, 0.3, 0.6, 1.0)
_SHARES = (1.0, 0.7, 0.4, 0.2, 0.0)
_FACTORED = 3000
LEAST_GAIN = 0.001
"""Share by which a figure must be better to be believed."""
_AT_ONCE = 100

Hidden = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Actor and thing of each pair, sorted by actor."""


def choose(
    g: HeteroGraph, events: Histories, dim: int, seed: int, backend: Backend, **options: Any
) -> tuple[Choice, dict[str, float]]:
    """Find the powers and the shares that rank hidden events best; seeded, on the given edges alone.

    Of up to 800 actors with three things or more the newest fifth is hidden, one thing at least (random ones where
    there are no times), and the walks and their transitions are made of the rest. The NDCG of the hidden decides, one
    setting after the other: half of it among all things of its type that the actor has not met, half as if among a
    thousand of them. Then the vectors' kind and powers are chosen in the same way. Transitions that were given as edges
    hold what is hidden, so there both walks have an even share and vectors are those of rows.

    Args:
        events: of the whole graph, by :func:`graphrep.embed.histories.histories` with the same ``options``.

    Returns:
        the choice, and the score of each that was tried.
    """
    base = Choice(share=0.5 if events.then is not None else 1.0)
    hidden = hidden_events(events, np.random.default_rng(seed))
    if hidden is None:
        return base, {}
    given = any(kind[0] in events.things for kind in g.edge_types)
    seen = histories(without(g, events, *hidden), **options)
    tried: dict[str, float] = {}

    def score(choice: Choice) -> float:
        key = repr(choice)
        if key not in tried:
            tried[key] = quality(HistoryWalk(seen, choice).rows, seen, *hidden)
        return tried[key]

    best = replace(base, share=1.0)
    if (seen.age > 1).any():
        best = max((replace(best, recency=h) for h in _RECENCY), key=score)
    for place, step in enumerate((0.1, 0.2, 0.05)):
        best = _climbed(best, partial(_moved, place, step), score)
    if given:
        return replace(best, share=base.share), tried
    if seen.then is not None:
        best = max((replace(best, share=share) for share in _SHARES), key=score)
    return _of_vectors(best, seen, hidden, dim, seed, backend, tried), tried


def _of_vectors(
    best: Choice, seen: Histories, hidden: Hidden, dim: int, seed: int, backend: Backend, tried: dict[str, float]
) -> Choice:
    """The kind and the powers with which vectors of this many columns rank what is hidden best."""
    walk = HistoryWalk(seen, best)
    actors = np.unique(hidden[0])

    def judged(choice: Choice) -> float:
        key = f"vectors of {choice!r}"
        if key not in tried:
            if choice.vectors is None:
                user, item = walk.row_vectors(dim, seed, backend, _FACTORED, actors)
            else:
                user, item = walk.company_vectors(dim, seed, backend, choice.vectors, actors)
            user, item = user.astype(np.float32), item.astype(np.float32)
            tried[key] = quality(lambda rows: user[np.searchsorted(actors, rows)] @ item.T, seen, *hidden)
        return tried[key]

    company = replace(best, vectors=VectorPowers(met=best.company[0], recency=best.recency))
    for name, step in (("flattened", 0.15), ("recency", 0.2), ("met", 0.1), ("end", 0.1)):
        company = _climbed(company, partial(_turned, name, step), judged)
    return max(company, replace(best, vectors=None), key=judged)


def _climbed(best: Choice, step: Callable[[Choice, int], Choice], score: Callable[[Choice], float]) -> Choice:
    """Step either way for as long as that helps by more than chance would."""
    for sign in (1, -1):
        while score(further := step(best, sign)) > score(best) * (1 + LEAST_GAIN):
            best = further
    return best


def _moved(place: int, step: float, choice: Choice, sign: int) -> Choice:
    powers = list(choice.company)
    powers[place] = round(powers[place] + sign * step, 3)
    return replace(choice, company=(powers[0], powers[1], powers[2]))


def _turned(name: str, step: float, choice: Choice, sign: int) -> Choice:
    powers = choice.vectors or VectorPowers()
    return replace(choice, vectors=replace(powers, **{name: round(getattr(powers, name) + sign * step, 3)}))


def hidden_events(events: Histories, chance: np.random.Generator) -> Hidden | None:
    """Actors and the newest fifth of the things of each; None where too few have three."""
    b = events.events
    able = np.flatnonzero(np.diff(b.indptr) >= _LEAST)
    if len(able) < _SAMPLED // 50:
        return None
    actors, drawn = np.sort(chance.choice(able, min(_SAMPLED, len(able)), replace=False)), []
    for actor in actors:
        place = chance.permutation(np.arange(b.indptr[actor], b.indptr[actor + 1]))
        age = events.age[place]
        newest = np.argsort(np.where(age == UNKNOWN_AGE, len(place) + 1, age), kind="stable")
        drawn.append(place[newest[: max(1, int(_HIDDEN * len(place)))]])
    return np.repeat(actors, [len(part) for part in drawn]), b.indices[np.concatenate(drawn)].astype(np.int64)


def without(g: HeteroGraph, events: Histories, actors: NDArray[np.int64], things: NDArray[np.int64]) -> HeteroGraph:
    """The graph less every edge between these pairs."""
    width = np.int64(events.events.shape[1])
    pairs = np.sort(actors * width + things)
    edges = dict(g.edges)
    for (src, relation, dst), listed in g.edges.items():
        if src in events.actors:
            key = (listed.src + events.actors[src]) * width + listed.dst + events.things[dst]
            at = np.minimum(np.searchsorted(pairs, key), len(pairs) - 1)
            kept = pairs[at] != key
            time = None if listed.time is None else listed.time[kept]
            edges[src, relation, dst] = EdgeList(listed.src[kept], listed.dst[kept], listed.weight[kept], time)
    return HeteroGraph.from_edges(g.num_nodes, edges)


def quality(rows_of: Any, seen: Histories, actors: NDArray[np.int64], things: NDArray[np.int64]) -> float:
    """Mean over the actors of the mean gain of their hidden things, each ranked as if it alone were hidden."""
    asked, first, count = np.unique(actors, return_index=True, return_counts=True)
    gain = np.zeros(len(actors))
    for begin in range(0, len(asked), _AT_ONCE):
        part = asked[begin : begin + _AT_ONCE]
        scores = rows_of(part)
        met = seen.events[part]
        scores[np.repeat(np.arange(len(part)), np.diff(met.indptr)), met.indices] = -np.inf
        pair = slice(first[begin], first[begin] + int(count[begin : begin + _AT_ONCE].sum()))
        row, wanted = np.searchsorted(part, actors[pair]), things[pair]
        own = scores[row, wanted]
        scores[row, wanted] = -np.inf
        for place, (line, score, kind) in enumerate(zip(row, own, seen.kind[wanted], strict=True), pair.start):
            rivals = scores[line][seen.kind == kind] if seen.kind[-1] else scores[line]
            # Equal scores count as better: a list of zeros finds nothing.
            above, others = int((rivals >= score).sum()), 1 + int((rivals > -np.inf).sum())
            gain[place] = (1.0 / np.log2(2.0 + above) + 1.0 / np.log2(2.0 + above * _OF / others)) / 2
    return float((np.add.reduceat(gain, first) / count).mean())
