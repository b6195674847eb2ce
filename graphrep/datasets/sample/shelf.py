"""Weighted draws from a catalogue laid out by group (a topic, an author): one binary search per event."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int32]
Longs = NDArray[np.int64]
Reals = NDArray[np.float32]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Shelf:
    """Members by group; ``cumulative`` (entries,) sums their weights, ``edge`` (groups + 1,) its borders."""

    member: Ints
    cumulative: NDArray[np.float64]
    edge: NDArray[np.float64]

    @classmethod
    def of(cls, member: Ints, group: Ints, weight: NDArray[np.floating], groups: int) -> Self:
        """A member may stand in several groups; entries of no weight are left out.

        >>> member, group = np.array([7, 8], np.int32), np.array([1, 0], np.int32)
        >>> shelf = Shelf.of(member, group, np.array([1.0, 3.0]), groups=3)
        >>> shelf.draw(np.array([0, 1]), np.array([0.5, 0.5])).tolist()
        [8, 7]
        """
        kept = np.flatnonzero(weight > 0)
        order = kept[np.argsort(group[kept], kind="stable")]
        cumulative = np.cumsum(weight[order], dtype=np.float64)
        last = np.searchsorted(group[order], np.arange(groups), side="right")
        edge = np.concatenate([[0.0], np.concatenate([[0.0], cumulative])[last]])
        return cls(member[order].astype(np.int32), cumulative, edge)

    def __len__(self) -> int:
        return len(self.member)

    def has(self, group: NDArray[np.integer]) -> Flags:
        """Which of the groups hold anything."""
        filled: Flags = self.edge[1:] > self.edge[:-1]
        of_group: Flags = filled[group]
        return of_group

    def draw(self, group: NDArray[np.integer], u: NDArray[np.floating], anywhere: Flags | None = None) -> Ints:
        """One member per row by weight: of its group, or of the whole shelf (``anywhere``, empty group).

        ``group`` (n,), ``u`` (n,) uniform in [0, 1). Raises IndexError on an empty shelf.
        """
        low, high = self.edge[group], self.edge[group + 1]
        whole = high <= low
        if anywhere is not None:
            whole |= anywhere
        low[whole], high[whole] = 0.0, self.edge[-1]
        place = np.searchsorted(self.cumulative, low + u * (high - low), side="right")
        chosen: Ints = self.member[np.minimum(place, len(self.member) - 1)]
        return chosen
