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
    found = torch.zeros((anchors, len(order)), dtype=torch.bool, device=low.device)
    row = torch.arange(anchors, device=low.device)[:, None].expand_as(low)
    each = count.ravel()
    start = low.ravel() - (torch.cumsum(each, 0) - each)
    at = torch.repeat_interleave(start, each, output_size=total) + torch.arange(total, device=low.device)
    found[torch.repeat_interleave(row.ravel(), each, output_size=total), order[at]] = True
    return found
