"""Who points at a node by a moment, and weighted draws of them: one relation, vectorised over the nodes that ask.

A draw is without replacement: one neighbour after the other, each with a probability in proportion to its weight among
those that are left. The next one is found by bisection in the running sum of the weights with what was drawn before cut
out of it, so that a hub costs what anybody costs, and no draw is made in vain however uneven the weights are.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from graphrep.graph.hetero import EdgeList

Drawn = tuple[torch.Tensor, torch.Tensor]
"""(place of the node that asked, place of the edge)."""

_NONE = torch.iinfo(torch.int64).max


class Neighbours:
    """The edges of one relation by destination, inside it by time, on one device. Edges of weight 0 are no edges.

    Attributes:
        source: (e,) source node of each edge, in this order.
        edge: (e,) its place in the list that was given.

    Args:
        edges: the relation; the size of a weight counts, its sign does not.
        num_destinations: nodes of the destination type.
        device: torch device.
    """

    def __init__(self, edges: EdgeList, num_destinations: int, device: str) -> None:
        kept = np.flatnonzero(edges.weight)
        time = None if edges.time is None else edges.time[kept]
        order = kept[np.lexsort((edges.dst[kept],) if time is None else (time, edges.dst[kept]))]
        dst, weight = edges.dst[order], np.abs(edges.weight[order]).astype(np.float64)

        def placed(array: Any) -> torch.Tensor:
            return torch.as_tensor(np.ascontiguousarray(array), device=device)

        self.source, self.edge = placed(edges.src[order]), placed(order)
        self._begin = placed(np.concatenate([[0], np.cumsum(np.bincount(dst, minlength=num_destinations))]))
        alike = bool(len(weight) == 0 or weight.min() == weight.max())
        self._reached = None if alike else placed(np.concatenate([[0.0], np.cumsum(weight)]))
        self._moments = self._stamps = None
        if edges.time is not None:
            moments, rank = np.unique(edges.time[order], return_inverse=True)
            # One sorted column for both: the destination, then the rank of the time.
            self._moments, self._stamps = placed(moments), placed(dst * (len(moments) + 1) + rank)

    def ranges(
        self, nodes: torch.Tensor, times: torch.Tensor | None = None, *, strictly: bool = False
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """(b,) first edge and the one after the last, of the edges into each node that were there by its time.

        Args:
            nodes: (b,) destinations.
            times: (b,) seconds; None: all edges. An edge without a time was always there.
            strictly: only edges before the time, not those at it.
        """
        begin, end = at(self._begin, nodes), at(self._begin, nodes + 1)
        if times is None or self._moments is None or self._stamps is None:
            return begin, end
        known = torch.searchsorted(self._moments, times, right=not strictly)
        return begin, torch.searchsorted(self._stamps, nodes * (len(self._moments) + 1) + known)

    def draw(self, begin: torch.Tensor, end: torch.Tensor, wanted: torch.Tensor, generator: torch.Generator) -> Drawn:
        """Draw up to so many edges of each range; all of it where it has no more.

        Args:
            begin, end: of :meth:`ranges`.
            wanted: (b,) edges to draw. Time and memory grow with b and the square of the largest.
        """
        count = end - begin
        whole = torch.nonzero(count <= wanted).ravel()
        some = torch.nonzero((count > wanted) & (wanted > 0)).ravel()
        row, place = expanded(whole, at(begin, whole), at(count, whole))
        if len(some):
            found = torch.stack(self._successive(at(begin, some), at(end, some), at(wanted, some), generator), 1)
            drawn = found < _NONE
            row = torch.cat([row, some[:, None].expand_as(found).masked_select(drawn)])
            place = torch.cat([place, found.masked_select(drawn)])
        return row, place

    def _successive(
        self, begin: torch.Tensor, end: torch.Tensor, wanted: torch.Tensor, generator: torch.Generator
    ) -> list[torch.Tensor]:
        """Columns of (b,) places that ascend along each row; after as many as are wanted come none."""
        found: list[torch.Tensor] = []
        most = int(wanted.max())
        share = torch.rand((most, len(begin)), generator=generator, device=begin.device, dtype=torch.float64)
        for step in range(most):
            if self._reached is None:
                place = _alike(begin, end, found, share[step])
            else:
                place = self._uneven(self._reached, begin, end, found, share[step])
            place = torch.where(wanted > step, place, _NONE)
            for column, before in enumerate(found):
                found[column], place = torch.minimum(before, place), torch.maximum(before, place)
            found.append(place)
        return found

    def _uneven(
        self,
        reached: torch.Tensor,
        begin: torch.Tensor,
        end: torch.Tensor,
        found: list[torch.Tensor],
        share: torch.Tensor,
    ) -> torch.Tensor:
        """One more of each range, by weight."""
        low, cut = at(reached, begin), []
        left = at(reached, end) - low
        for before in found:
            there = before.clamp(max=len(self.source) - 1)
            first = at(reached, there)
            weight = torch.where(before < _NONE, at(reached, there + 1) - first, 0.0)
            left = left - weight
            cut.append((first, weight))
        mark = low + share * left
        for first, weight in cut:
            mark = torch.where(mark >= first, mark + weight, mark)
        place = torch.minimum(torch.maximum(torch.searchsorted(reached, mark, right=True) - 1, begin), end - 1)
        again = torch.zeros_like(place, dtype=torch.bool)
        for before in found:
            again |= before == place
        if bool(again.any()):  # what is left weighs as little as rounding: the first that is free
            first = begin[again]
            for before in found:
                first = first + (first == before[again])
            place[again] = first
        return place


def at(column: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """``column[places]``, which on a CPU takes five times as long as this."""
    return torch.index_select(column, 0, places)


def _alike(begin: torch.Tensor, end: torch.Tensor, found: list[torch.Tensor], share: torch.Tensor) -> torch.Tensor:
    """One more of each range, all weights being equal."""
    place = begin + (share * (end - begin - len(found))).long()
    for before in found:
        place = place + (place >= before)
    return place


def expanded(rows: torch.Tensor, begin: torch.Tensor, count: torch.Tensor) -> Drawn:
    """Each row as often as it has edges, and their places.

    Args:
        rows: (b,) of any numbers.
        begin, count: (b,) first edge of each, and how many from there on.
    """
    row = torch.repeat_interleave(rows, count)
    first = torch.repeat_interleave(begin - (torch.cumsum(count, 0) - count), count)
    return row, first + torch.arange(len(row), device=row.device)
