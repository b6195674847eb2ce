"""Who acts on what: users' histories as a matrix, how old each event is, and the walk between what they met.

Most graphs of recommenders have types that act (users) and types that are met (hosts, videos, products). There a user
is where his history puts him, and the walk goes on from what he met.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from graphrep.embed.joint import checked_factors
from graphrep.errors import InputError
from graphrep.graph.hetero import EdgeList, HeteroGraph
from graphrep.graph.transitions import transitions
from graphrep.vocab import EdgeType

UNKNOWN_AGE = 0


@dataclass(frozen=True, eq=False)
class Histories:
    """Actors and things of a graph, each numbered through over their types.

    Attributes:
        actors, things: first number of each type.
        num_nodes: nodes of each type.
        events: (actors, things) CSR, weights > 0: what each met, over all relations.
        age: (nnz,) for each entry 1 + the number of the actor's entries at later times; 0 where it has no time.
        kind: (things,) position of the thing's type in ``things``.
        then: (things, things) CSR of directed transitions, or None without times.
    """

    actors: Mapping[str, int]
    things: Mapping[str, int]
    num_nodes: Mapping[str, int]
    events: Any
    age: NDArray[np.int64]
    kind: NDArray[np.int64]
    then: Any

    def start(self, recency: float) -> Any:
        """The events, each weighed by ``age^−recency``; one without a time by the mean of its actor's others."""
        weighed = self.events.copy()
        known = self.age > 0
        factor = np.where(known, np.maximum(self.age, 1.0) ** -recency, 0.0)
        actor = np.repeat(np.arange(weighed.shape[0]), np.diff(weighed.indptr))
        size = weighed.shape[0]
        count = np.bincount(actor[known], minlength=size)
        total = np.bincount(actor, weights=factor, minlength=size)
        mean = np.where(count > 0, total / np.maximum(count, 1), 1.0)
        weighed.data = weighed.data * np.where(known, factor, mean[actor])
        return weighed


def actor_types(g: HeteroGraph) -> list[str]:
    """Types that edges come from and none goes to, if every other edge joins types that are met; else none.

    >>> g = HeteroGraph.from_edges({"user": 1, "host": 1}, {("user", "watches", "host"): EdgeList([0], [0])})
    >>> actor_types(g)
    ['user']
    """
    met = {destination for _, _, destination in g.edge_types}
    return [kind for kind in g.node_types if kind not in met and any(kind == e[0] for e in g.edge_types)]


def histories(
    g: HeteroGraph, relation_weights: Mapping[str, float] | None = None, transition_options: Any = None
) -> Histories:
    """Read a graph with actors.

    Edges between things are taken as transitions, with their weights. Where there are none, timed edges of actors yield
    them (``graphrep.graph.transitions``).

    Args:
        relation_weights: factor of each relation by its name; 1 where absent.
        transition_options: of ``graphrep.graph.transitions``.

    Raises:
        InputError: a graph without actors, or without an edge of theirs.
    """
    acting = actor_types(g)
    if not acting:
        expected = "a type that acts and is never acted upon"
        raise InputError(expected, found="none", where="fit with walk='history'", fix="pass walk='joint'")
    factors = checked_factors(g, relation_weights or {})
    others = [kind for kind in g.node_types if kind not in acting]
    actors, things = _numbered(g, acting), _numbered(g, others)
    shape = sum(g.num_nodes[kind] for kind in acting), sum(g.num_nodes[kind] for kind in others)
    own = {kind: edges for kind, edges in g.edges.items() if kind[0] in acting and factors.get(kind[1], 1.0) != 0}
    events, age = _events(own, factors, actors, things, shape)
    if events.nnz == 0:
        raise InputError("at least one edge of positive weight", found="none", where="graph")
    between = {kind: edges for kind, edges in g.edges.items() if kind[0] not in acting}
    if not between:
        between = followed(HeteroGraph.from_edges(g.num_nodes, own), transition_options)
        factors = {}
    kind = np.repeat(np.arange(len(others)), [g.num_nodes[name] for name in others])
    return Histories(
        MappingProxyType(actors),
        MappingProxyType(things),
        g.num_nodes,
        events,
        age,
        kind,
        _matrix(between, factors, things, things, (shape[1], shape[1])) if between else None,
    )


def every_type(g: HeteroGraph, relation_weights: Mapping[str, float] | None = None) -> Histories:
    """Every node as an actor and as a thing, of the same number: where an edge begins is who met where it ends.

    >>> both = {("user", "follows", "user"): EdgeList([0], [1]), ("user", "likes", "song"): EdgeList([1], [0])}
    >>> every_type(HeteroGraph.from_edges({"user": 2, "song": 1}, both)).events.toarray().tolist()
    [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]
    """
    factors = checked_factors(g, relation_weights or {})
    starts = _numbered(g, g.node_types)
    n = sum(g.num_nodes.values())
    events, age = _events(g.edges, factors, starts, starts, (n, n))
    kind = np.repeat(np.arange(len(starts)), list(g.num_nodes.values()))
    numbers = MappingProxyType(starts)
    return Histories(numbers, numbers, g.num_nodes, events, age, kind, None)


def followed(g: HeteroGraph, transition_options: Any = None) -> dict[EdgeType, EdgeList]:
    """Transitions that the timed edges of actors yield; none where edges between things are given.

    >>> seen = EdgeList([0, 0], [0, 1], time=[5, 9])
    >>> list(followed(HeteroGraph.from_edges({"user": 1, "host": 2}, {("user", "watches", "host"): seen})))
    [('host', 'then_user', 'host')]
    """
    acting = actor_types(g)
    timed = {kind: edges for kind, edges in g.edges.items() if edges.time is not None and len(edges)}
    if any(kind[0] not in acting for kind in g.edge_types) or not timed:
        return {}
    return _followed(timed, acting, transition_options or {})


def _numbered(g: HeteroGraph, kinds: list[str]) -> dict[str, int]:
    starts = np.cumsum([0, *(g.num_nodes[kind] for kind in kinds)])
    return dict(zip(kinds, starts.tolist(), strict=False))


def _followed(timed: Mapping[EdgeType, EdgeList], acting: list[str], options: Any) -> dict[EdgeType, EdgeList]:
    positive = {
        kind: EdgeList(e.src[e.weight > 0], e.dst[e.weight > 0], time=None if e.time is None else e.time[e.weight > 0])
        for kind, e in timed.items()
    }
    found: dict[EdgeType, EdgeList] = {}
    for actor in acting:
        chosen = {kind: edges for kind, edges in positive.items() if kind[0] == actor and len(edges)}
        for kind, edges in transitions(chosen, name=f"then_{actor}", **options).items() if chosen else ():
            found[kind] = edges
    return found


def _events(own: Any, factors: Any, actors: Any, things: Any, shape: tuple[int, int]) -> tuple[Any, Any]:
    matrix = _matrix(own, factors, actors, things, shape)
    newest = _newest(own, actors, things, shape)
    # Entries are looked up by row and column in the same order: both are canonical.
    flat = np.repeat(np.arange(shape[0]), np.diff(matrix.indptr)) * np.int64(shape[1]) + matrix.indices
    times = np.full(len(flat), np.iinfo(np.int64).min)
    if len(newest[0]):
        at = np.minimum(np.searchsorted(newest[0], flat), len(newest[0]) - 1)
        same = newest[0][at] == flat
        times[same] = newest[1][at[same]]
    return matrix, _ages(flat // shape[1], times)


def _newest(own: Any, actors: Any, things: Any, shape: tuple[int, int]) -> tuple[NDArray[Any], NDArray[Any]]:
    keys, times = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for (src, _, dst), edges in own.items():
        if edges.time is not None:
            keys.append((edges.src + actors[src]) * np.int64(shape[1]) + edges.dst + things[dst])
            times.append(edges.time)
    key, time = np.concatenate(keys), np.concatenate(times)
    order = np.lexsort((time, key))
    key, time = key[order], time[order]
    last = np.flatnonzero(np.diff(key, append=-1))
    return key[last], time[last]


def _ages(actor: NDArray[np.int64], time: NDArray[np.int64]) -> NDArray[np.int64]:
    known = time != np.iinfo(np.int64).min
    order = np.lexsort((-time, actor))
    order = order[known[order]]
    a, t = actor[order], time[order]
    first = np.concatenate([[True], a[1:] != a[:-1]]) if len(a) else np.zeros(0, bool)
    tied = ~first & np.concatenate([[False], t[1:] == t[:-1]]) if len(a) else first
    place = np.arange(len(a))
    begin = np.maximum.accumulate(np.where(first, place, 0)) if len(a) else place
    group = np.maximum.accumulate(np.where(tied, 0, place)) if len(a) else place
    age = np.full(len(actor), UNKNOWN_AGE, np.int64)
    age[order] = 1 + group - begin
    return age


def _matrix(edges: Any, factors: Any, rows: Any, columns: Any, shape: tuple[int, int]) -> Any:
    src, dst, weight = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [np.zeros(0)]
    for (source, relation, destination), listed in edges.items():
        src.append(listed.src + rows[source])
        dst.append(listed.dst + columns[destination])
        weight.append(listed.weight.astype(np.float64) * factors.get(relation, 1.0))
    place = (np.concatenate(src), np.concatenate(dst))
    matrix = sp.csr_array(sp.coo_array((np.concatenate(weight), place), shape=shape))
    matrix.data = np.maximum(matrix.data, 0.0)
    matrix.eliminate_zeros()
    matrix.sort_indices()
    return matrix
