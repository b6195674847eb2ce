"""Graphs as they were before a moment, and what came next: what message passing is trained from and on.

An edge that is to be predicted must not be in the graph that predicts it, nor its way back, nor a count or a transition
that it went into. A view has all of these of the other edges alone. Timed edges are hidden from a moment on, as at the
end of a day, and every node is seen as of that moment; edges without a time are hidden by parts, all edges of a pair
of nodes in one, whatever their relation and direction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from graphrep.embed.gnn.inputs import activity_columns
from graphrep.embed.gnn.timelines import UNTIMED, Timelines
from graphrep.embed.histories import Histories, every_type, followed, histories
from graphrep.embed.neighbours import expanded
from graphrep.graph.hetero import EdgeList, HeteroGraph
from graphrep.vocab import EdgeType

_FIRST, _LAST = 0.3, 0.9
"""Shares of the timed events before the first moment and before the last."""

Hidden = Mapping[EdgeType, NDArray[np.bool_]]


@dataclass(frozen=True, eq=False)
class Targets:
    """What each anchor meets next; things are numbered over their types, as in ``Histories``.

    Attributes:
        actor: (a,) anchors, each once.
        thing: (a, horizon); any where the share is 0.
        share: (a, horizon) float32, of the anchor's own, with a sum of one.
        relation: (a, horizon) place of the relation in the graph; −1 where the share is 0.
    """

    actor: torch.Tensor
    thing: torch.Tensor
    share: torch.Tensor
    relation: torch.Tensor

    def rows(self, rows: torch.Tensor) -> Targets:
        """Those of some anchors."""
        return Targets(self.actor[rows], self.thing[rows], self.share[rows], self.relation[rows])


@dataclass(frozen=True, eq=False)
class View:
    """What is known, on one device.

    Attributes:
        g: the known edges and the transitions that they yield, without reverses.
        events: histories of it.
        lines: the same in the order of time.
        activity: (n, columns) of each type, of ``inputs.activity_columns``.
        start: first entry of each actor in the next two, (actors + 1,); the things he met; their shares, which sum to
            one, by weight and recency.
        targets: what is hidden; None: nothing is.
    """

    g: HeteroGraph
    events: Histories
    lines: Timelines
    activity: Mapping[str, torch.Tensor]
    start: tuple[torch.Tensor, torch.Tensor, torch.Tensor]
    targets: Targets | None

    def pooled(self, actors: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """(b, d) means of the vectors ``x`` of the things that actors met; zeros of one who met none."""
        first, thing, share = self.start
        begin, count = first[actors], first[actors + 1] - first[actors]
        _, place = expanded(actors, begin, count)
        offsets = torch.cumsum(count, 0) - count
        return torch.nn.functional.embedding_bag(
            thing[place], x, offsets, mode="sum", per_sample_weights=share[place].to(x.dtype)
        )


@dataclass(frozen=True)
class Reader:
    """Makes views of graphs.

    Args:
        joint: every node is an actor and a thing; else the types that act and those that are met.
        relation_weights, transition_options: as in ``histories``.
        recency: age^−recency is what an event is worth in an actor's mean.
        seed: of what is drawn.
        device: of the tensors.
    """

    joint: bool
    relation_weights: Mapping[str, float] | None
    transition_options: Any
    recency: float
    seed: int
    device: str

    def histories(self, g: HeteroGraph) -> Histories:
        """Of a graph, transitions included."""
        if self.joint:
            return every_type(g, self.relation_weights)
        return histories(g, self.relation_weights, self.transition_options)

    def whole(self, g: HeteroGraph) -> View:
        """All of a graph, with nothing hidden."""
        return self._view(with_transitions(g, self.transition_options), None)

    def parts(self, whole: View, g: HeteroGraph, count: int, horizon: int, decay: float) -> list[View]:
        """Up to so many views of a graph, each with what came next: fewer where the times differ too little.

        Args:
            whole: of the graph.
            g: the graph without transitions of ours.
        """
        asked = target_types(g, whole.events)
        views = []
        for hidden in hidden_parts(g, asked, count, self.seed):
            seen = _less(g, hidden)
            if not any(len(seen.edges[kind]) and (seen.edges[kind].weight > 0).any() for kind in asked):
                continue
            known = with_transitions(seen, self.transition_options, like=whole.g)
            targets = targets_of(g, whole.events, hidden, horizon, decay, self.seed)
            views.append(self._view(known, Targets(*(torch.as_tensor(x, device=self.device) for x in targets))))
        return views

    def _view(self, known: HeteroGraph, targets: Targets | None) -> View:
        events = self.histories(known)
        own = events.start(self.recency)
        total = np.asarray(own.sum(axis=1)).ravel()
        share = own.data / np.repeat(np.where(total > 0, total, 1.0), np.diff(own.indptr))
        columns = own.indptr.astype(np.int64), own.indices.astype(np.int64), share.astype(np.float32)
        lines = Timelines.of(known, events, self.relation_weights, self.device, self.seed)
        activity = {kind: torch.as_tensor(x, device=self.device) for kind, x in activity_columns(known).items()}
        start = tuple(torch.as_tensor(x, device=self.device) for x in columns)
        return View(known, events, lines, activity, (start[0], start[1], start[2]), targets)


def target_types(g: HeteroGraph, events: Histories) -> list[EdgeType]:
    """Relations that are learnt to predict: those of actors that have an edge of positive weight."""
    return [kind for kind, edges in g.edges.items() if kind[0] in events.actors and (edges.weight > 0).any()]


def with_transitions(g: HeteroGraph, options: Any, like: HeteroGraph | None = None) -> HeteroGraph:
    """The graph and its transitions; with the relations of another one, whether they have edges or not."""
    found = {**g.edges, **followed(g, options)}
    if like is not None:
        nothing = np.zeros(0, np.int64)
        empty = EdgeList(nothing, nothing, time=nothing)
        found = {kind: found.get(kind, empty) for kind in like.edges}
    return HeteroGraph.from_edges(g.num_nodes, found)


def hidden_parts(g: HeteroGraph, asked: Sequence[EdgeType], count: int, seed: int) -> list[Hidden]:
    """Which edges each view hides.

    Moments have equal numbers of the timed events between them. All timed edges of the graph are hidden from a moment
    on; of those without a time, pairs of nodes are in one part each.
    """
    times = [g.edges[kind].time for kind in asked]
    known = [time for time in times if time is not None]
    moments = _moments(np.sort(np.concatenate(known)), count) if known else np.zeros(0, np.int64)
    number = len(moments) if known else count
    part = _parts(g, [kind for kind in asked if g.edges[kind].time is None], max(number, 2), seed)
    parts: list[Hidden] = []
    for place in range(number):
        hidden = {kind: part[kind] == place if kind in part else np.zeros(len(e), bool) for kind, e in g.edges.items()}
        for kind, edges in g.edges.items():
            if edges.time is not None and len(moments):
                hidden[kind] = edges.time >= moments[place]
        parts.append(hidden)
    return parts


def _moments(time: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    places = (np.linspace(_FIRST, _LAST, count) * (len(time) - 1)).astype(np.int64)
    found = np.unique(time[places])
    return np.asarray(found[found > time[0]])


def _parts(g: HeteroGraph, kinds: Sequence[EdgeType], count: int, seed: int) -> dict[EdgeType, NDArray[np.int64]]:
    """(e,) part of each edge of some relations; the same for all edges of a pair of nodes."""
    if not kinds:
        return {}
    first = dict(zip(g.num_nodes, np.cumsum([0, *g.num_nodes.values()]).tolist(), strict=False))
    n = np.int64(sum(g.num_nodes.values()))
    keys = []
    for kind in kinds:
        source, destination = g.edges[kind].src + first[kind[0]], g.edges[kind].dst + first[kind[2]]
        keys.append(np.minimum(source, destination) * n + np.maximum(source, destination))
    pairs, own = np.unique(np.concatenate(keys), return_inverse=True)
    drawn = np.random.default_rng([seed, 1]).integers(0, count, len(pairs))[own]
    return dict(zip(kinds, np.split(drawn, np.cumsum([len(key) for key in keys])[:-1]), strict=True))


def _less(g: HeteroGraph, hidden: Hidden) -> HeteroGraph:
    edges = {}
    for kind, listed in g.edges.items():
        kept = ~hidden[kind]
        time = None if listed.time is None else listed.time[kept]
        edges[kind] = EdgeList(listed.src[kept], listed.dst[kept], listed.weight[kept], time)
    return HeteroGraph.from_edges(g.num_nodes, edges)


def targets_of(
    g: HeteroGraph, events: Histories, hidden: Hidden, horizon: int, decay: float, seed: int
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
    """The first hidden events of each actor, as in :class:`Targets`: of equal times all count alike.

    Those without a time stand first, in random order.
    """
    actor, thing, time, relation = _hidden_events(g, events, hidden)
    chance = np.random.default_rng([seed, 2]).permutation(len(actor))
    order = np.lexsort((chance, time, actor))
    actor, thing, time, relation = actor[order], thing[order], time[order], relation[order]
    place = np.arange(len(actor))
    begin = np.searchsorted(actor, actor)
    moment = (time != np.append(UNTIMED, time[:-1])) | (time == UNTIMED) | (place == begin)
    since = np.maximum.accumulate(np.where(moment, place, 0)) if len(place) else place
    kept = place - begin < horizon
    anchors, row = np.unique(actor[kept], return_inverse=True)
    column = (place - begin)[kept]
    shape = (len(anchors), horizon)
    things, shares, relations = np.zeros(shape, np.int64), np.zeros(shape), np.full(shape, -1)
    things[row, column], relations[row, column] = thing[kept], relation[kept]
    shares[row, column] = decay ** (since - begin)[kept].astype(np.float64)
    shares /= shares.sum(axis=1, keepdims=True)
    return anchors, things, shares.astype(np.float32), relations


def _hidden_events(g: HeteroGraph, events: Histories, hidden: Hidden) -> list[NDArray[np.int64]]:
    parts: list[list[NDArray[np.int64]]] = [[np.zeros(0, np.int64)] for _ in range(4)]
    for number, (kind, listed) in enumerate(g.edges.items()):
        if kind[0] in events.actors:
            at = np.flatnonzero(hidden[kind] & (listed.weight > 0))
            time = np.full(len(at), UNTIMED) if listed.time is None else listed.time[at]
            columns = listed.src[at] + events.actors[kind[0]], listed.dst[at] + events.things[kind[2]]
            for part, column in zip(parts, (*columns, time, np.full(len(at), number)), strict=True):
                part.append(column)
    return [np.concatenate(part) for part in parts]
