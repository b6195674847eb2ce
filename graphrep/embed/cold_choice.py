"""Gates for nodes with few edges, chosen on the newest edges of the graph, which are hidden from the vectors.

What was cold before the newest edges stands for what is cold today. Mature nodes whose edges are thinned would hardly
do: they are met more often than nodes that are new.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphrep.embed.cold_estimates import Estimates, Vectors
from graphrep.embed.cold_start import ColdStart, Gate, estimate, filled
from graphrep.embed.histories import actor_types
from graphrep.graph.hetero import EdgeList, HeteroGraph

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Pairs = tuple[Ints, Ints]
Hidden = dict[tuple[str, str], Pairs]  # (type that acts, type that is met) → rows of both, each pair once

GATES = (1.0, 0.8, 0.6, 0.4, 0.2, 0.0)
SCALES = (1.0, 0.5, 0.25, 0.125, 0.0625)
LEAST_PAIRS = 20
"""Hidden edges below which a bucket is not judged by itself."""
_ERRORS_OF_ACTORS, _ERRORS_OF_THINGS = 2.0, 1.0
"""Standard errors by which a bucket must be ranked better to be changed; of things, what it may cost is bounded too."""
_SCORES = 20_000_000
_PAIRS = 4000
_CANDIDATES = 20_000


def choose_gates(
    g: HeteroGraph,
    refit: Callable[[HeteroGraph], Vectors],
    content: Vectors | None = None,
    settings: ColdStart | None = None,
    *,
    seed: int = 0,
    lasting: Collection[str] = (),
) -> list[Gate]:
    """Hide the newest edges, fit again without them, and take the gates that rank them best.

    Those that act: of each bucket the gate that ranks its hidden edges best, by the mean of 1 / log2(1 + rank). What is
    met: the gate and scale that rank the bucket's hidden edges best in lists of ``k``, among those that cost the hidden
    edges of all no more than the bucket's part of ``max_loss``, since what is raised takes places from others. From the
    warmest bucket to the coldest, no gate is above the one before it.

    Args:
        g: the graph; types that only act are told from types that are met (``graphrep.embed.histories.actor_types``).
        refit: a graph of the same nodes → vectors by type, as today's were made.
        content: (n, f) by type, rows of zeros where there is none.
        settings: buckets, neighbours and what may be lost.
        seed: of which edges are hidden where there are no times, and which hidden ones are ranked.
        lasting: relations that are neither hidden nor counted.

    Returns:
        A gate for each bucket and estimate that has nodes, warmest first by type; none where nothing can be hidden.

    >>> g = HeteroGraph.from_edges({"user": 1, "host": 1}, {("user", "watches", "host"): EdgeList([0], [0])})
    >>> choose_gates(g, lambda g: {})
    []
    """
    settings = settings or ColdStart()
    acting = actor_types(g)
    if not acting or len(settings.buckets) < 2:
        return []
    before, hidden = hide_newest(g, settings.hidden, seed, lasting)
    known = _pairs(before, acting, lasting)
    if not all(any(len(rows) for rows, _ in pairs.values()) for pairs in (hidden, known)):
        return []
    estimates = estimate(before, refit(before), content, settings, lasting)
    now = {kind: x.copy() for kind, x in estimates.own.items()}
    gates: list[Gate] = []
    for kind in [*acting, *(k for k in g.node_types if k not in acting)]:
        about = {pair: rows for pair, rows in hidden.items() if kind in pair}
        chooser = _of_actors if kind in acting else _of_things
        for gate in chooser(estimates, now, kind, about, known, settings, seed):
            rows = gate.rows(estimates)
            now[kind][rows] = estimates.blend(kind, rows, gate.gate, gate.scale)
            gates.append(gate)
    return gates


def hide_newest(
    g: HeteroGraph, share: float, seed: int = 0, lasting: Collection[str] = ()
) -> tuple[HeteroGraph, Hidden]:
    """A graph without its newest edges, and which pairs it has lost that way.

    One moment cuts all relations, so that about a share of the edges of those that act lie behind it; edges without a
    time, or all of one time, are hidden at random. A pair that another edge still joins is not hidden.

    >>> watched = EdgeList([0, 1, 2, 3, 4], [0, 0, 0, 0, 0], time=[10, 20, 30, 40, 50])
    >>> before, hidden = hide_newest(HeteroGraph.from_edges({"u": 5, "h": 1}, {("u", "w", "h"): watched}), 0.2)
    >>> before.edges["u", "w", "h"].src.tolist(), [x.tolist() for x in hidden["u", "h"]]
    ([0, 1, 2, 3], [[4], [0]])
    """
    acting = actor_types(g)
    chance = np.random.default_rng(seed)
    cut = _moment(g, acting, share, lasting)
    kept: dict[tuple[str, str, str], EdgeList] = {}
    for kind, edges in g.edges.items():
        if kind[1] in lasting:
            kept[kind] = edges
            continue
        drawn = chance.random(len(edges)) >= share
        stays = drawn if edges.time is None or cut is None else np.asarray(edges.time < cut)
        time = None if edges.time is None else edges.time[stays]
        kept[kind] = EdgeList(edges.src[stays], edges.dst[stays], edges.weight[stays], time)
    before = HeteroGraph.from_edges(g.num_nodes, kept)
    left = _pairs(before, acting, lasting)
    hidden = {}
    for pair, (rows, columns) in _pairs(g, acting, lasting).items():
        gone = ~np.isin(_flat(rows, columns, g.num_nodes[pair[1]]), _flat(*left[pair], g.num_nodes[pair[1]]))
        hidden[pair] = rows[gone], columns[gone]
    return before, hidden


def _moment(g: HeteroGraph, acting: Collection[str], share: float, lasting: Collection[str]) -> int | None:
    timed = [e.time for k, e in g.edges.items() if k[0] in acting and k[1] not in lasting and e.time is not None]
    times = np.concatenate(timed) if timed else np.zeros(0, np.int64)
    if not len(times) or times.min() == times.max():
        return None
    cut = int(np.partition(times, at := int(len(times) * (1 - share)))[min(at, len(times) - 1)])
    return cut if cut > times.min() else cut + 1


def _pairs(g: HeteroGraph, acting: Collection[str], lasting: Collection[str]) -> Hidden:
    found: dict[tuple[str, str], list[Ints]] = {}
    for (source, relation, destination), edges in g.edges.items():
        if source in acting and relation not in lasting:
            liked = np.asarray(edges.weight > 0)
            flat = _flat(edges.src[liked], edges.dst[liked], g.num_nodes[destination])
            found.setdefault((source, destination), []).append(flat)
    return {pair: _unflat(np.unique(np.concatenate(parts)), g.num_nodes[pair[1]]) for pair, parts in found.items()}


def _flat(rows: Ints, columns: Ints, width: int) -> Ints:
    return np.asarray(rows, np.int64) * np.int64(max(width, 1)) + columns


def _unflat(flat: Ints, width: int) -> Pairs:
    return flat // max(width, 1), flat % max(width, 1)


@dataclass(frozen=True, eq=False)
class _Asked:
    """Some hidden pairs, the candidates they are ranked among, and which of those the actor knows already."""

    actors: Ints
    targets: Ints
    place: Ints
    candidates: Ints
    known: Bools

    @classmethod
    def of(cls, pairs: Pairs, known: Pairs, width: int, seed: int) -> _Asked:
        chance = np.random.default_rng(seed)
        rows, columns = pairs
        most = min(_PAIRS, max(_SCORES // max(min(width, _CANDIDATES), 1), 1))
        if len(rows) > most:
            at = np.sort(chance.choice(len(rows), most, replace=False))
            rows, columns = rows[at], columns[at]
        drawn = np.sort(chance.choice(width, min(width, _CANDIDATES), replace=False))
        candidates = np.union1d(drawn, columns)
        order = np.argsort(known[0], kind="stable")
        sorted_rows, sorted_columns = known[0][order], known[1][order]
        seen = np.zeros((len(rows), len(candidates)), bool)
        for i, actor in enumerate(rows):
            begin, end = np.searchsorted(sorted_rows, [actor, actor + 1])
            seen[i] = np.isin(candidates, sorted_columns[begin:end])
        return cls(rows, columns, np.searchsorted(candidates, columns), candidates, seen)

    def quality(self, scores: NDArray[np.floating]) -> Floats:
        """(pairs,) 1 / log2(1 + rank) of each target among what its actor does not know; ties share their middle."""
        own = scores[np.arange(len(scores)), self.place]
        return _quality(_above(np.where(self.known, -np.inf, scores), own), np.inf)


def _above(scores: NDArray[np.floating], own: NDArray[np.floating]) -> Floats:
    """(b,) how many of each row are above a score, equal ones by half."""
    return np.asarray((scores > own[:, None]).sum(axis=1) + 0.5 * (scores == own[:, None]).sum(axis=1))


def _quality(above: Floats, k: float) -> Floats:
    rank = above + 0.5  # the target itself was counted as an equal one
    return np.where(rank <= k, 1.0 / np.log2(1.0 + rank), 0.0)


def _of_actors(
    estimates: Estimates, now: Any, kind: str, hidden: Hidden, known: Hidden, settings: ColdStart, seed: int
) -> Iterator[Gate]:
    warmer: dict[str, Gate] = {}
    for gate in reversed(filled([], kind, settings)):
        rows = gate.rows(estimates)
        if not len(rows):
            continue
        tried = _tried_by_actors(estimates, now, kind, rows, hidden, known, seed)
        count = len(next(iter(tried.values())))
        limit = warmer[gate.estimate].gate if gate.estimate in warmer else 1.0
        chosen = replace(gate, gate=limit, nodes=len(rows), pairs=count)
        if count >= LEAST_PAIRS:
            means = {share: float(found.mean()) for share, found in tried.items()}
            best = max((share for share in GATES if share <= limit), key=lambda share: (means[share], share))
            start = best if _surely_better(tried[best], tried[limit], _ERRORS_OF_ACTORS) else limit
            chosen = replace(chosen, gate=start, own=means[1.0], estimated=means[0.0], blended=means[start])
        warmer[gate.estimate] = chosen
        yield chosen


def _tried_by_actors(
    estimates: Estimates, now: Any, kind: str, rows: Ints, hidden: Hidden, known: Hidden, seed: int
) -> dict[float, Floats]:
    """Gate → quality of each hidden pair of some actors."""
    found: dict[float, list[Floats]] = {share: [np.zeros(0)] for share in GATES}
    for (_, to), (actors, things) in hidden.items():
        inside = np.isin(actors, rows)
        if not inside.any():
            continue
        width = len(now[to])
        asked = _Asked.of((actors[inside], things[inside]), known[kind, to], width, seed)
        candidates = now[to][asked.candidates].astype(np.float32).T
        own = estimates.own[kind][asked.actors].astype(np.float32) @ candidates
        aims = estimates.aim(kind, asked.actors).astype(np.float32) @ candidates
        bare = ~estimates.own[kind][asked.actors].any(axis=1)
        for share in GATES:
            part = np.where(bare & (share < 1), 0.0, share).astype(np.float32)[:, None]
            found[share].append(asked.quality(part * own + (1 - part) * aims))
    return {share: np.concatenate(parts) for share, parts in found.items()}


def _surely_better(new: Floats, old: Floats, errors: float) -> bool:
    """By so many standard errors of the difference of each pair."""
    gain = new - old
    return bool(gain.mean() > errors * gain.std() / np.sqrt(len(gain)))


def _of_things(
    estimates: Estimates, now: Any, kind: str, hidden: Hidden, known: Hidden, settings: ColdStart, seed: int
) -> Iterator[Gate]:
    actor = next((pair[0] for pair, rows in hidden.items() if len(rows[0])), None)
    if actor is None:
        return
    asked = _Asked.of(hidden[actor, kind], known[actor, kind], len(now[kind]), seed)
    x = now[actor][asked.actors].astype(np.float32)
    warmer: dict[str, Gate] = {}
    cells = [gate for gate in reversed(filled([], kind, settings)) if len(gate.rows(estimates))]
    spare = settings.max_loss
    for i, gate in enumerate(cells):
        rows = gate.rows(estimates)
        chosen = replace(warmer.get(gate.estimate, gate), least=gate.least, most=gate.most, nodes=len(rows))
        count = int(np.isin(asked.targets, rows).sum())
        chosen = replace(chosen, pairs=count, own=None, estimated=None, blended=None)
        if count >= LEAST_PAIRS:
            cell = _Cell(estimates, now[kind], kind, rows, asked, x, settings.k)
            chosen, cost = _best_for_things(cell, chosen, spare / (len(cells) - i))
            spare -= max(cost, 0.0)
        warmer[gate.estimate] = chosen
        yield chosen


@dataclass(eq=False)
class _Cell:
    """One bucket's things among all candidates: what changes when their vectors do."""

    estimates: Estimates
    now: Floats
    kind: str
    rows: Ints
    asked: _Asked
    x: NDArray[np.float32]
    k: int

    def __post_init__(self) -> None:
        self.inside = np.isin(self.asked.candidates, self.rows)
        self.mine = np.isin(self.asked.targets, self.rows)
        others = self.x @ self.now[self.asked.candidates].astype(np.float32).T
        own = others[np.arange(len(others)), self.asked.place]
        self.scores = np.where(self.asked.known, -np.inf, others)[:, ~self.inside]
        self.own = own
        self.above_others = _above(self.scores, own)
        self.hidden = self.asked.known[:, self.inside]

    def quality(self, gate: float | None, scale: float = 1.0) -> Floats:
        """Of each hidden pair, with the bucket's vectors by a gate and a scale; None: as they are."""
        at = self.asked.candidates[self.inside]
        made = self.now[at] if gate is None else self.estimates.blend(self.kind, at, gate, scale)
        scores = self.x @ made.astype(np.float32).T
        own = self.own.copy()
        own[self.mine] = scores[self.mine, np.searchsorted(at, self.asked.targets[self.mine])]
        above = self.above_others.copy()
        above[self.mine] = _above(self.scores[self.mine], own[self.mine])
        return _quality(above + _above(np.where(self.hidden, -np.inf, scores), own), self.k)


def _best_for_things(cell: _Cell, gate: Gate, max_loss: float) -> tuple[Gate, float]:
    """What ranks the bucket best, and the share of the quality of all hidden edges that it costs."""
    own = cell.quality(None)
    tried = {(share, scale): cell.quality(share, scale) for share, scale in product(GATES[1:], SCALES)}
    estimated = max(float(found[cell.mine].mean()) for (share, _), found in tried.items() if share == 0)
    allowed = {key: found for key, found in tried.items() if key[0] <= gate.gate}
    chosen, best = (1.0, SCALES[-1]), own
    if gate.gate < 1.0:
        chosen, best = max(allowed.items(), key=lambda item: item[1].mean())
    for key, found in allowed.items():
        mine = found[cell.mine]
        affordable = found.mean() >= own.mean() * (1 - max_loss)
        better = mine.mean() > best[cell.mine].mean() and _surely_better(mine, own[cell.mine], _ERRORS_OF_THINGS)
        if affordable and better:
            chosen, best = key, found
    before, after = (float(quality[cell.mine].mean()) for quality in (own, best))
    cost = 1 - float(best.mean() / own.mean()) if own.any() else 0.0
    share, scale = chosen
    return replace(gate, gate=share, scale=scale, own=before, estimated=estimated, blended=after), cost
