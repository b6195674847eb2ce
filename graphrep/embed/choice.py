"""Powers and shares of the walks from histories, chosen on events that are hidden from them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphrep.embed.backend import Backend
from graphrep.embed.histories import Histories, histories
from graphrep.embed.history_walk import Choice, HistoryWalk
from graphrep.graph.hetero import EdgeList, HeteroGraph

_SAMPLED = 1000
_LEAST = 3
_OF = 1000
_SHARES = (1.0, 0.5, 0.2, 0.0)
_FLATTENED = (1.0, 0.6, 0.3)


def choose(
    g: HeteroGraph, events: Histories, dim: int, seed: int, backend: Backend, **options: Any
) -> tuple[Choice, dict[str, float]]:
    """Find the powers and the shares that rank hidden events best; exact scores, seeded, on the given edges alone.

    Of up to a thousand actors with three things or more the newest thing is hidden (a random one where there are no
    times), and the walks and their transitions are made of the rest. The NDCG of the hidden decides, one setting after
    the other: half of it among all things of its type that the actor has not met, half as if among a thousand of them.
    Transitions that were given as edges hold what is hidden, so there both walks have an even share.

    Args:
        events: of the whole graph, by :func:`graphrep.embed.histories.histories` with the same ``options``.

    Returns:
        the choice, and the score of each that was tried.
    """
    base = Choice(share=0.5 if events.then is not None else 1.0)
    hidden = _hidden(events, np.random.default_rng(seed))
    if hidden is None:
        return base, {}
    given = any(kind[0] in events.things for kind in g.edge_types)
    seen = histories(_without(g, events, *hidden), **options)
    tried: dict[str, float] = {}

    def score(choice: Choice) -> float:
        key = repr(choice)
        if key not in tried:
            tried[key] = _quality(HistoryWalk(seen, choice).rows, seen, *hidden)
        return tried[key]

    best = replace(base, share=1.0)
    if (seen.age > 1).any():
        best = max((replace(best, recency=h) for h in (0.0, 0.3, 0.6, 1.0)), key=score)
    for place, step in enumerate((0.1, 0.2, 0.05)):
        best = _climbed(best, place, step, score)
    if given or seen.then is None:
        best = replace(best, share=base.share)
    else:
        best = max((replace(best, share=share) for share in _SHARES), key=score)
    shares = (best.share,) if given or seen.then is None else tuple(dict.fromkeys((best.share, 1.0, 0.0)))
    return _of_vectors(best, shares, seen, hidden, dim, seed, backend, tried), tried


def _of_vectors(
    best: Choice,
    shares: tuple[float, ...],
    seen: Histories,
    hidden: Any,
    dim: int,
    seed: int,
    backend: Backend,
    tried: dict[str, float],
) -> Choice:
    """The share and the power of the eigenvalues with which vectors of this many columns rank what is hidden best."""
    walk = HistoryWalk(seen, best)
    found = []
    for share in shares:
        for power in _FLATTENED if share > 0 else _FLATTENED[:1]:
            choice = replace(best, vector_share=share, flattened=power)
            user, item = walk.vectors(dim, seed, backend, choice)
            quality = _quality(lambda rows, x=user, y=item: (x[rows] @ y.T).astype(np.float32), seen, *hidden)
            tried[f"vectors of {choice!r}"] = quality
            found.append((quality, choice))
    return max(found, key=lambda pair: pair[0])[1]


def _climbed(best: Choice, place: int, step: float, score: Any) -> Choice:
    """Step along one power for as long as that helps, either way."""
    for sign in (1, -1):
        while True:
            powers = list(best.company)
            powers[place] = round(powers[place] + sign * step, 3)
            further = replace(best, company=(powers[0], powers[1], powers[2]))
            if score(further) <= score(best):
                break
            best = further
    return best


def _hidden(events: Histories, chance: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """Actors and one thing of each; None where too few have three."""
    b = events.events
    able = np.flatnonzero(np.diff(b.indptr) >= _LEAST)
    if len(able) < _SAMPLED // 50:
        return None
    actors = np.sort(chance.choice(able, min(_SAMPLED, len(able)), replace=False))
    drawn = np.zeros(len(actors), np.int64)
    for row, actor in enumerate(actors):
        place = np.arange(b.indptr[actor], b.indptr[actor + 1])
        newest = place[events.age[place] == 1]
        drawn[row] = chance.choice(newest if len(newest) else place)
    return actors, b.indices[drawn].astype(np.int64)


def _without(g: HeteroGraph, events: Histories, actors: NDArray[np.int64], things: NDArray[np.int64]) -> HeteroGraph:
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


def _quality(rows_of: Any, seen: Histories, actors: NDArray[np.int64], things: NDArray[np.int64]) -> float:
    total = 0.0
    for begin in range(0, len(actors), 500):
        part, wanted = actors[begin : begin + 500], things[begin : begin + 500]
        scores = rows_of(part)
        met = seen.events[part]
        scores[np.repeat(np.arange(len(part)), np.diff(met.indptr)), met.indices] = -np.inf
        scores[seen.kind[None, :] != seen.kind[wanted][:, None]] = -np.inf
        own = scores[np.arange(len(part)), wanted]
        # Equal scores count as better: a list of zeros finds nothing.
        above = (scores >= own[:, None]).sum(axis=1) - 1
        others = np.isfinite(scores).sum(axis=1)
        total += float((1.0 / np.log2(2.0 + above) + 1.0 / np.log2(2.0 + above * _OF / others)).sum())
    return total / (2 * len(actors))
