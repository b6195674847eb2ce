"""What every actor met, in the order of time: what was known of him by a moment, and what he met from then on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from graphrep.embed.histories import Histories
from graphrep.graph.hetero import HeteroGraph

UNTIMED = np.iinfo(np.int64).min
"""Time of an event that has none: it was always there."""


@dataclass(frozen=True, eq=False)
class Recent:
    """The last events of some actors before a moment of each, the newest first.

    Attributes:
        thing: (b, k) things, numbered over their types; 0 where there is no event.
        weight: (b, k) float32 of the events, 0 where there is none.
        age: (b, k) 1 + the number of the actor's later events before the moment; events of one time have the same, one
            without a time has 0.
        elapsed: (b, k) s from the event to the moment, at least 0; 0 where either has no time.
        hours: (b, k) hours in [0, 12] between the hours of the day of both, around the clock; 0 without a time.
    """

    thing: torch.Tensor
    weight: torch.Tensor
    age: torch.Tensor
    elapsed: torch.Tensor
    hours: torch.Tensor


@dataclass(frozen=True, eq=False)
class Timelines:
    """Events of positive weight by actor, inside that by time, those without a time first; (e,) int64 tensors.

    Events without a time stand in random order, each at a moment of its own, so that some of them can be predicted from
    others: without any time in the graph, an anchor parts a history at random.

    Attributes:
        begin: (actors + 1,) first event of each actor.
        actor, thing: numbered over their types, as in ``Histories``.
        time: seconds, or ``UNTIMED``.
        weight: float32.
        since: first event of this one's moment: of the actor at this time.

    >>> from graphrep.embed.histories import histories
    >>> from graphrep.graph import EdgeList
    >>> seen = EdgeList([0, 0, 0], [2, 0, 1], time=[7200, 60, 60])
    >>> g = HeteroGraph.from_edges({"user": 1, "host": 3}, {("user", "watches", "host"): seen})
    >>> lines = Timelines.of(g, histories(g))
    >>> lines.thing.tolist(), lines.recent(torch.tensor([0]), torch.tensor([2]), torch.tensor([7200]), 3).age.tolist()
    ([0, 1, 2], [[1, 1, 0]])
    """

    begin: torch.Tensor
    actor: torch.Tensor
    thing: torch.Tensor
    time: torch.Tensor
    weight: torch.Tensor
    since: torch.Tensor

    @classmethod
    def of(
        cls,
        g: HeteroGraph,
        events: Histories,
        relation_weights: Mapping[str, float] | None = None,
        device: str = "cpu",
        seed: int = 0,
    ) -> Timelines:
        """The events of a graph with actors, of which ``events`` are the histories with these weights of relations."""
        columns = [np.concatenate(part) for part in zip(*_columns(g, events, relation_weights or {}), strict=True)]
        anyhow = np.random.default_rng(seed).permutation(len(columns[0]))
        order = np.lexsort((np.where(columns[2] == UNTIMED, anyhow, columns[1]), columns[2], columns[0]))
        actor, thing, time, weight = (column[order] for column in columns)
        begin = np.searchsorted(actor, np.arange(events.events.shape[0] + 1))
        place = np.arange(len(actor))
        first = time == UNTIMED
        first[1:] |= (actor[1:] != actor[:-1]) | (time[1:] != time[:-1])
        first[:1] = True
        since = np.maximum.accumulate(np.where(first, place, 0)) if len(place) else place
        arrays = (begin, actor, thing, time, weight.astype(np.float32), since)
        return cls(*(torch.as_tensor(array, device=device) for array in arrays))

    def anchors(self) -> torch.Tensor:
        """(c,) first events of the moments before which something of the actor was known: what can be predicted."""
        place = torch.arange(len(self.actor), device=self.actor.device)
        return place[(self.since == place) & (self.begin[self.actor] < place)]

    def recent(self, actors: torch.Tensor, end: torch.Tensor, moment: torch.Tensor | int, count: int) -> Recent:
        """The last events of each actor before event ``end``, as of a moment.

        Args:
            actors: (b,).
            end: (b,) the event after the last that is known.
            moment: (b,) seconds or ``UNTIMED``, or one for all.
            count: k.
        """
        place = end[:, None] - 1 - torch.arange(count, device=end.device)
        there = place >= self.begin[actors][:, None]
        place = torch.where(there, place, 0)
        time = self.time[place]
        timed = there & (time != UNTIMED)
        now = torch.as_tensor(moment, device=end.device).expand(len(end))[:, None]
        # Events after the moment of this one: all from the next moment on, which begins where no event shares ours.
        after = torch.minimum(self._until(place), end[:, None])
        both = timed & (now != UNTIMED)
        elapsed = torch.where(both, now - time, 0).clamp(min=0)
        apart = torch.where(both, (now // 3600 - time // 3600) % 24, 0)
        return Recent(
            torch.where(there, self.thing[place], 0),
            self.weight[place] * there,
            torch.where(timed, 1 + end[:, None] - after, 0),
            elapsed,
            torch.minimum(apart, 24 - apart),
        )

    def following(self, anchor: torch.Tensor, horizon: int, decay: float) -> tuple[torch.Tensor, torch.Tensor]:
        """What is to be predicted at each anchor: (b, horizon) things, and (b, horizon) shares that sum to one.

        A label counts ``decay`` to the power of the events between the anchor and its moment, so that events of one
        time count alike; the horizon cuts off the last of them.
        """
        place = anchor[:, None] + torch.arange(horizon, device=anchor.device)
        there = place < self.begin[self.actor[anchor] + 1][:, None]
        place = torch.where(there, place, anchor[:, None])
        share = torch.where(there, decay ** (self.since[place] - anchor[:, None]).float(), 0.0)
        return self.thing[place], share / share.sum(1, keepdim=True)

    def newest(self) -> int:
        """The time of the newest event; ``UNTIMED`` where none has a time."""
        return int(self.time.max()) if len(self.time) else UNTIMED

    def _until(self, place: torch.Tensor) -> torch.Tensor:
        """The event after the last of the same moment."""
        return torch.searchsorted(self.since, self.since[place], right=True)


def _columns(g: HeteroGraph, events: Histories, factors: Mapping[str, float]) -> Iterator[tuple[Any, ...]]:
    yield tuple(np.zeros(0, dtype) for dtype in (np.int64, np.int64, np.int64, np.float32))
    for (source, relation, destination), edges in g.edges.items():
        if source in events.actors:
            weight = edges.weight * np.float32(factors.get(relation, 1.0))
            kept = np.flatnonzero(weight > 0)
            time = np.full(len(kept), UNTIMED) if edges.time is None else edges.time[kept]
            actor = edges.src[kept].astype(np.int64) + events.actors[source]
            yield actor, edges.dst[kept].astype(np.int64) + events.things[destination], time, weight[kept]
