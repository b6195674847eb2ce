"""What stands against what was met: drawn things, and which of them are targets all the same.

Nothing here waits for a device: numbers of things that are found stay tensors until all are read at once.
"""

from __future__ import annotations

from typing import NamedTuple

import torch


class Place(NamedTuple):
    """Where the targets of anchors are among negatives in their order: (b, h) first places, and how many there are."""

    low: torch.Tensor
    count: torch.Tensor
    order: torch.Tensor

    @classmethod
    def of(cls, thing: torch.Tensor, inside: torch.Tensor, ordered: torch.Tensor, order: torch.Tensor) -> Place:
        low, high = torch.searchsorted(ordered, thing), torch.searchsorted(ordered, thing, right=True)
        return cls(low, torch.where(inside, high - low, 0), order)


class Asked(NamedTuple):
    """What the anchors of a batch met of one type, and against which others.

    Attributes:
        negative, log_q: (k,) things, and the log of how often each was to be expected.
        share: (b, h) of the targets.
        place: where this process's targets are among the negatives.
        sizes: numbers of targets, of anchors with one, of those that are this process's, of negatives that are targets.
    """

    negative: torch.Tensor
    log_q: torch.Tensor
    share: torch.Tensor
    place: Place
    sizes: list[torch.Tensor]


def among(place: Place, total: int, anchors: int) -> torch.Tensor:
    """(b, k) whether a negative is a target of the anchor."""
    low, count, order = place
    row = torch.arange(anchors, device=low.device)[:, None].expand_as(low)
    return _marked(row.ravel(), low.ravel(), count.ravel(), order, total, anchors)


def known_among(row: torch.Tensor, thing: torch.Tensor, negative: torch.Tensor, rows: int) -> torch.Tensor:
    """(rows, k) bool, whether a negative is one of the things of a row.

    Args:
        row: (e,) of each thing.
        thing: (e,).
        negative: (k,), some maybe twice.

    >>> known_among(torch.tensor([0, 1]), torch.tensor([7, 8]), torch.tensor([8, 7, 8]), 2).int().tolist()
    [[0, 1, 0], [1, 0, 1]]
    """
    order = torch.argsort(negative, stable=True)
    low, count, _ = Place.of(thing, torch.ones_like(thing, dtype=torch.bool), negative[order], order)
    return _marked(row, low, count, order, int(count.sum()), rows)


def _marked(
    row: torch.Tensor, low: torch.Tensor, count: torch.Tensor, order: torch.Tensor, total: int, rows: int
) -> torch.Tensor:
    """(rows, k) true in a row at the places ``low … low + count`` of the order, of each of its things."""
    found = torch.zeros((rows, len(order)), dtype=torch.bool, device=low.device)
    start = low - (torch.cumsum(count, 0) - count)
    at = torch.repeat_interleave(start, count, output_size=total) + torch.arange(total, device=low.device)
    found[torch.repeat_interleave(row, count, output_size=total), order[at]] = True
    return found
