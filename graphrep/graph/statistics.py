"""What a person asks of a graph, counted exactly: quantiles, new and vanished nodes, nodes by number of surfaces."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

PERCENTILES = {"p0": 0, "p50": 50, "p90": 90, "p99": 99, "max": 100}


def quantiles(values: NDArray[Any]) -> dict[str, float] | None:
    """The percentiles 0, 50, 90, 99 and 100: values that occur, never a mean of two of them.

    The p-th percentile of n values has the rank ⌈n·p/100⌉ in ascending order, and the first has rank 1 (Hyndman and
    Fan, Sample quantiles in statistical packages, 1996, definition 1).

    Args:
        values: (n,) finite numbers in any order.

    Returns:
        name → a value as the plain number that it is; None where there are none.

    >>> quantiles(np.array([7, 1, 3]))
    {'p0': 1, 'p50': 3, 'p90': 7, 'p99': 7, 'max': 7}
    """
    if not values.size:
        return None
    # In whole numbers: n · 0.9 is a hair above or below what it should be for some n.
    ranks = {name: max((values.size * percent + 99) // 100, 1) - 1 for name, percent in PERCENTILES.items()}
    placed = np.partition(values, sorted(set(ranks.values())))
    return {name: placed[rank].item() for name, rank in ranks.items()}


def new_and_vanished(now: Ints, before: Ints) -> tuple[int, int]:
    """How many ids only today has, and how many only the day before had.

    Args:
        now, before: (n,) and (m,) ids, none twice.

    >>> new_and_vanished(np.array([0, 2, 3]), np.array([0, 1]))
    (2, 1)
    """
    stayed = len(np.intersect1d(now, before, assume_unique=True))
    return len(now) - stayed, len(before) - stayed


def nodes_by_surfaces(index: Ints, ends: Mapping[str, Iterable[Ints]]) -> list[int]:
    """How many nodes have edges of no surface, of one, of two, …

    Args:
        index: (n,) ids of the nodes, none twice.
        ends: surface → the ids that its edges end at, in batches and as often as they come; all of them in ``index``.

    Returns:
        one count for each number from 0 to ``len(ends)``; they add up to n.

    >>> nodes_by_surfaces(np.array([0, 2, 5]), {"live": [np.array([2, 2])], "search": [np.array([5]), np.array([2])]})
    [1, 1, 1]
    """
    above = int(index.max(initial=-1)) + 1
    surfaces = np.zeros(above, np.uint16)
    for batches in ends.values():
        met = np.zeros(above, np.bool_)
        for batch in batches:
            met[batch] = True
        surfaces += met
    return [int(count) for count in np.bincount(surfaces[index], minlength=len(ends) + 1)]
