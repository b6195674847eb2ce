"""A user from what he met last: events of all surfaces in the order of time, pooled by age and by attention.

Long-term Interest Clock (WWW 2025, arXiv 2501.15817) for the hours between two moments as ``s(Δ)``, a small network of
[Δ, √Δ, Δ², log(Δ + 1)] that is added to the attention's logits.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional

from graphrep.embed.gnn.timelines import Recent

_KNOTS = 9  # ages 1, 2, 4, … 256; older events count as the oldest
_HALF_DAY = 12.0
_DAY = 86_400.0


class Recency(nn.Module):  # type: ignore[misc]  # torch is looked at without its types
    """(b, k) log of what an event of an age is worth: linear in log(age) between ages 1, 2, 4, … 256; learnt.

    An event without a time is worth the mean of the curve.

    Args:
        recency: the curve starts as age^−recency, as the walk has it.
    """

    def __init__(self, recency: float) -> None:
        super().__init__()
        self.curve = nn.Parameter(-recency * math.log(2.0) * torch.arange(_KNOTS, dtype=torch.float32))

    def forward(self, age: torch.Tensor) -> torch.Tensor:
        at = age.clamp(min=1).float().log2().clamp(max=_KNOTS - 1)
        low = at.floor().clamp(max=_KNOTS - 2).long()
        worth = torch.lerp(self.curve[low], self.curve[low + 1], at - low)
        return torch.where(age > 0, worth, self.curve.mean())


class Clock(nn.Module):  # type: ignore[misc]  # torch is looked at without its types
    """(b, k, heads) what hours apart around the clock, and time gone by, add to the logits of attention; 0 at first."""

    def __init__(self, heads: int, width: int = 16) -> None:
        super().__init__()
        self.inner, self.outer = nn.Linear(7, width), nn.Linear(width, heads)
        nn.init.zeros_(self.outer.weight)
        nn.init.zeros_(self.outer.bias)

    def forward(self, recent: Recent) -> torch.Tensor:
        apart = recent.hours.float() / _HALF_DAY
        days = recent.elapsed.float() / _DAY
        timed = (recent.age > 0).float()
        parts = [apart, apart.sqrt(), apart**2, torch.log1p(apart), torch.log1p(days), torch.log1p(24 * days), timed]
        return self.outer(functional.gelu(self.inner(torch.stack(parts, -1))))


class UserTower(nn.Module):  # type: ignore[misc]  # torch is looked at without its types
    """(b, d) users as means of the vectors of their last events.

    What an event is worth is the product of its weight, of its age by a curve, and of attention: the hours between it
    and the moment, and how it goes with the others, asked by their mean. The values of the attention are the events'
    own vectors, so a user stays among the things he met, and there is little that few users could teach wrongly.
    Attention starts at nothing: an untrained tower ranks as the walk does.

    Args:
        dim: d.
        recency: of the walk.
        heads: of attention; a user is the mean of what they read.
        dropout: of what attention compares.
    """

    def __init__(self, dim: int, recency: float, *, heads: int = 4, dropout: float = 0.5) -> None:
        super().__init__()
        self.heads, self.width = heads, max(1, min(16, dim // heads))
        self.recency, self.clock, self.dropout = Recency(recency), Clock(heads), nn.Dropout(dropout)
        self.ask, self.key = (nn.Linear(dim, heads * self.width, bias=False) for _ in range(2))
        nn.init.zeros_(self.ask.weight)

    def forward(self, x: torch.Tensor, recent: Recent) -> torch.Tensor:
        """
        Args:
            x: (b, k, d) vectors of the things of the events.
            recent: the events; users without any get zeros.
        """
        known = (recent.weight > 0).any(1, keepdim=True)
        worth = torch.where(recent.weight > 0, self.recency(recent.age) + recent.weight.log(), -torch.inf)
        worth = torch.where(known, worth, 0.0)
        mean = (torch.softmax(worth, 1)[..., None] * x).sum(1)
        logits = worth[..., None] + self.clock(recent) + self._compared(mean, self.dropout(x))
        share = torch.softmax(logits, 1).mean(-1)
        return torch.where(known, (share[..., None] * x).sum(1), 0.0)

    def _compared(self, mean: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """(b, k, heads) how each event goes with the mean of all."""
        b, k, _ = x.shape
        asked = self.ask(mean).view(b, 1, self.heads, self.width)
        return (asked * self.key(x).view(b, k, self.heads, self.width)).sum(-1) / math.sqrt(self.width)
