"""Which host gets which arm, under a budget: what its effect is sure to be, for what it costs."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from graphrep.errors import InputError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Allocation:
    """Arms of the hosts and what they come to.

    Attributes:
        arm: (n,) int64, 0 for none.
        cost: of all nudges.
        gain: sum of their effects; ``sure`` is that of their lower bounds.
    """

    arm: Ints
    cost: float
    gain: float
    sure: float


def allocate(
    effects: ArrayLike,
    lower: ArrayLike,
    cost: ArrayLike,
    cap: ArrayLike,
    budget: float,
    overlap: ArrayLike | None = None,
) -> Allocation:
    """At most one arm for each host, greedily by lower bound gained for each unit of cost (multiple-choice knapsack).

    A host begins without a nudge and climbs the convex hull of its arms (cost, lower bound): of all steps of all
    hosts the steepest is taken first, until the budget is spent. An arm that has reached its cap, or a step that the
    rest of the budget does not pay, is passed over. An arm whose lower bound is 0 or less, and a host without overlap,
    is never nudged. Equal steps: the larger effect first, then the earlier host, then the earlier arm.

    Args:
        effects: (n, K) of arms 1..K; rows of NaN are never nudged.
        lower: (n, K) lower confidence bounds.
        cost: (K,) of one nudge, above 0.
        cap: (K,) largest share of the n hosts that an arm may be given to.
        budget: of all nudges.
        overlap: (n,) whether the host's effects may be used; all of them without.

    Raises:
        InputError: shapes that do not agree, a cost of 0 or less, a cap outside 0 … 1, a negative budget.

    >>> allocate([[0.2, 0.3], [0.1, 0.5]], [[0.1, 0.2], [-0.1, 0.4]], cost=[1, 2], cap=[1, 1], budget=3).arm
    array([1, 2])
    """
    value, bound = np.array(effects, dtype=np.float64), np.array(lower, dtype=np.float64)
    price, most = np.asarray(cost, dtype=np.float64), np.asarray(cap, dtype=np.float64)
    _check(value, bound, price, most, budget)
    usable = np.isfinite(value) & np.isfinite(bound)
    if overlap is not None:
        given = np.asarray(overlap)
        if given.shape != (len(value),) or given.dtype.kind != "b":
            raise InputError(f"{len(value)} flags", found=f"{given.dtype} of shape {given.shape}", where="overlap")
        usable &= given[:, None]
    left = np.floor(most * len(value) + 1e-9).astype(np.int64)
    # The control stands in front: its bound and cost are 0, and it has no cap.
    bound = np.column_stack([np.zeros(len(value)), np.where(usable, bound, -np.inf)])
    value = np.column_stack([np.zeros(len(value)), np.where(usable, value, 0.0)])
    arm = _climb(value, bound, np.append(0.0, price), np.append(len(bound), left), float(budget))
    rows = np.arange(len(arm))
    spent = float(np.append(0.0, price)[arm].sum())
    return Allocation(arm, spent, float(value[rows, arm].sum()), float(bound[rows, arm].sum()))


def _climb(value: Floats, bound: Floats, price: Floats, left: Ints, budget: float) -> Ints:
    arm = np.zeros(len(value), dtype=np.int64)

    def step(host: int) -> tuple[float, float, int, int] | None:
        """The host's steepest step that cap and budget allow, as (−slope, −effect gained, host, arm)."""
        now = arm[host]
        gained, paid = bound[host] - bound[host, now], price - price[now]
        open_ = (gained > 0) & (paid >= 0) & (paid <= budget + 1e-12) & (left > 0)
        best = None
        for other in np.flatnonzero(open_):
            slope = gained[other] / paid[other] if paid[other] > 0 else np.inf
            key = (-float(slope), float(value[host, now] - value[host, other]), host, int(other))
            best = key if best is None or key < best else best
        return best

    heap = [found for host in np.flatnonzero((bound[:, 1:] > 0).any(axis=1)) if (found := step(int(host)))]
    heapq.heapify(heap)
    while heap:
        taken = heapq.heappop(heap)
        host = taken[2]
        now = step(host)
        if now is None:
            continue
        if now == taken:
            other = taken[3]
            budget -= price[other] - price[arm[host]]
            left[other] -= 1
            left[arm[host]] += 1
            arm[host] = other
            now = step(host)
        if now is not None:
            heapq.heappush(heap, now)
    return arm


def _check(value: Floats, bound: Floats, price: Floats, most: Floats, budget: float) -> None:
    if value.ndim != 2 or bound.shape != value.shape:
        found = f"shapes {value.shape}, {bound.shape}"
        raise InputError("effects and lower bounds (n, K)", found=found, where="allocate")
    for name, given in (("cost", price), ("cap", most)):
        if given.shape != (value.shape[1],):
            raise InputError(f"{value.shape[1]} values, one for each arm", found=f"shape {given.shape}", where=name)
    if not (np.isfinite(price) & (price > 0)).all():
        raise InputError("costs above 0", found=f"{price.min():g}", where="cost")
    if not ((most >= 0) & (most <= 1)).all():
        raise InputError("caps from 0 to 1", found=f"{most.min():g} to {most.max():g}", where="cap")
    if not budget >= 0:
        raise InputError("a budget of 0 or more", found=f"{budget:g}", where="budget")
