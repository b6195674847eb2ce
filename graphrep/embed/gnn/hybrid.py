"""Vectors that start as the walk's and learn what it cannot know: of things as tables, of users from their events."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from graphrep.embed.gnn.timelines import Recent, Timelines
from graphrep.embed.gnn.tower import UserTower

_AT_ONCE = 4096

Vectors = NDArray[np.float32]


class Walk(NamedTuple):
    """(things, d) float32 vectors of the walk: of things as parts of histories, and as what is met next."""

    source: torch.Tensor
    target: torch.Tensor


class Hybrid(nn.Module):  # type: ignore[misc]  # torch is looked at without its types
    """Users by a tower over the things they met, things by a walk's vectors and what was learnt beside them.

    Untrained, a user ranks things as the walk's vectors do from his last events, or nearly, where these are vectors of
    rows. There is no table of users: one who came today
    is encoded from his first events. What is learnt of things is added to the walk's vectors, which are data: training
    may take those of another graph than is published.

    Args:
        things: of the graph.
        dim: d.
        recency: of the walk.
        heads, dropout: of the tower.
    """

    def __init__(self, things: int, dim: int, recency: float, *, heads: int = 4, dropout: float = 0.5) -> None:
        super().__init__()
        self.source, self.target = (nn.Parameter(torch.zeros(things, dim)) for _ in range(2))
        self.tower = UserTower(dim, recency, heads=heads, dropout=dropout)
        self.scale = nn.Parameter(torch.zeros(()))

    def users(self, recent: Recent, walk: Walk) -> torch.Tensor:
        """(b, d) of the events of some users."""
        return self.tower(walk.source[recent.thing] + self.source[recent.thing], recent)

    def things(self, index: torch.Tensor, walk: Walk) -> torch.Tensor:
        """(…, d) of some things as what is met; dot products with users are scores."""
        return walk.target[index] + self.target[index]

    def vectors(self, lines: Timelines, walk: Walk, count: int) -> tuple[Vectors, Vectors]:
        """(actors, d) from the last ``count`` events of each, and (things, d); nothing is drawn."""
        was, actors = self.training, len(lines.begin) - 1
        self.eval()
        parts = [np.zeros((0, self.target.shape[1]), np.float32)]
        with torch.no_grad():
            for begin in range(0, actors, _AT_ONCE):
                some = torch.arange(begin, min(begin + _AT_ONCE, actors), device=self.target.device)
                recent = lines.recent(some, lines.begin[some + 1], lines.newest(), count)
                parts.append(self.users(recent, walk).cpu().numpy())
            target = (walk.target + self.target).cpu().numpy()
        self.train(was)
        return np.concatenate(parts), target
