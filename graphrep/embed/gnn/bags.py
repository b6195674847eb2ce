"""Users as the sum of all they met, whatever the order: where the order says little, all of a history counts.

Kabbur, Ning, Karypis: FISM, KDD 2013 (a user is the sum of vectors of his items, each predicted from the others).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import nn
from torch.nn.functional import normalize

from graphrep.embed.gnn.hybrid import Vectors, Walk
from graphrep.embed.histories import Histories

_AT_ONCE = 1 << 18
_LEAST_LENGTH = 1e-3  # a shorter vector is not made one of length 1: its direction would be noise


@dataclass(frozen=True, eq=False)
class Events:
    """Histories of actors on a device.

    Attributes:
        begin: (actors + 1,) int64, first event of each actor.
        thing: (e,) int64, numbered over their types.
        weight: (e,) float32 above 0.
    """

    begin: torch.Tensor
    thing: torch.Tensor
    weight: torch.Tensor

    @classmethod
    def of(cls, events: Histories, recency: float, device: str) -> Events:
        """Each event by its weight, and by ``age^−recency`` as in the walk."""
        weighed = events.start(recency)
        return cls(
            torch.as_tensor(weighed.indptr.astype(np.int64), device=device),
            torch.as_tensor(weighed.indices.astype(np.int64), device=device),
            torch.as_tensor(weighed.data.astype(np.float32), device=device),
        )

    def of_actors(self, actors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(k,) all events of some actors, and (k,) the position of each one's actor among these.

        >>> Events(torch.tensor([0, 2, 2, 3]), torch.arange(3), torch.ones(3)).of_actors(torch.tensor([2, 0]))
        (tensor([2, 0, 1]), tensor([0, 1, 1]))
        """
        count = self.begin[actors + 1] - self.begin[actors]
        row = torch.repeat_interleave(torch.arange(len(actors), device=actors.device), count)
        before = torch.cumsum(count, 0) - count
        return torch.arange(len(row), device=row.device) + (self.begin[actors] - before)[row], row


class Bags(nn.Module):  # type: ignore[misc]  # torch is looked at without its types
    """Cosines of the sum of what a user met with what he may meet next.

    There is no table of users. What is learnt of things is added to the walk's vectors, which are data.

    Args:
        things: of the graph.
        dim: d.
    """

    def __init__(self, things: int, dim: int) -> None:
        super().__init__()
        self.source, self.target = (nn.Parameter(torch.zeros(things, dim)) for _ in range(2))

    def parts(self, thing: torch.Tensor, weight: torch.Tensor, walk: Walk) -> torch.Tensor:
        """(…, d) what events of some weight add to their user."""
        return (walk.source[thing] + self.source[thing]) * weight[..., None]

    def users(
        self, row: torch.Tensor, count: int, thing: torch.Tensor, weight: torch.Tensor, walk: Walk
    ) -> torch.Tensor:
        """(count, d) sums, not of length 1, of events whose user is ``row``."""
        total = torch.zeros((count, self.source.shape[1]), device=self.source.device)
        return total.index_add(0, row, self.parts(thing, weight, walk))

    def things(self, index: torch.Tensor, walk: Walk) -> torch.Tensor:
        """(…, d) of length 1, of some things as what is met."""
        return unit(walk.target[index] + self.target[index])

    def vectors(self, events: Events, walk: Walk) -> tuple[Vectors, Vectors]:
        """(actors, d) and (things, d), both of length 1, or zeros where there is nothing."""
        begin = events.begin.cpu().numpy()
        ends = np.searchsorted(begin, np.arange(0, begin[-1], _AT_ONCE)[1:]).tolist()
        bounds = sorted({0, *ends, len(begin) - 1})
        parts = [np.zeros((0, self.source.shape[1]), np.float32)]
        with torch.no_grad():
            for first, end in pairwise(bounds):
                at, row = events.of_actors(torch.arange(first, end, device=events.begin.device))
                found = self.users(row, end - first, events.thing[at], events.weight[at], walk)
                parts.append(unit(found).cpu().numpy())
            target = unit(walk.target + self.target).cpu().numpy()
        return np.concatenate(parts), target


def unit(x: torch.Tensor) -> torch.Tensor:
    """Rows of length 1; those that are all but zero stay so."""
    return normalize(x, dim=-1, eps=_LEAST_LENGTH)
