"""A user's next item by an untrained walk on directed transition edges, beside what ``fit`` finds by itself.

T is what :func:`graphrep.graph.transitions` makes of all histories of a graph at once, rows divided by their sums. A
user is his history, each event with weight 1/2 to the power of the number of his events at later times; his scores
after n steps are history · Tⁿ · D^(-n/10), D the sums of T's columns. Nothing is trained or chosen on these data, and
no order among equal times is used.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from benchmarks.suite.rankings import Problem
from benchmarks.suite.report import Row, reset_peak
from benchmarks.suite.topn import ScoreRows
from graphrep.graph import EdgeList, HeteroGraph, transitions

METHODS = {1: "transition walk T", 2: "transition walk T²", 3: "transition walk T³"}
DEGREE_EXPONENT = -0.1


def rows_of(problem: Problem) -> Iterator[Row]:
    """One row for each number of steps, on the graph of a problem as it is."""
    for steps, method in METHODS.items():
        reset_peak()
        start = time.perf_counter()
        score = scorer(problem.graphs[""], steps)
        yield problem.row(method, score, fitted=time.perf_counter() - start)


def scorer(graph: HeteroGraph, steps: int) -> ScoreRows:
    """So many steps from the histories of users, on a graph of one timed relation from users to items."""
    ((kind, events),) = graph.edges.items()
    (then,) = transitions({kind: events}).values()
    items = graph.num_nodes[kind[2]]
    counts = sp.csr_array((then.weight.astype(np.float64), (then.src, then.dst)), shape=(items, items))
    sums, columns = counts.sum(axis=1), counts.sum(axis=0)
    step = sp.csr_array(sp.diags_array(1 / np.where(sums > 0, sums, 1)) @ counts, dtype=np.float32)
    damping = np.where(columns > 0, columns, 1) ** (DEGREE_EXPONENT * steps)
    histories = interests(events, (graph.num_nodes[kind[0]], items))

    def score_rows(users: NDArray[np.int64]) -> NDArray[Any]:
        at = histories[users].toarray()
        for _ in range(steps):
            at = at @ step
        return np.asarray(at * damping)

    return score_rows


def interests(events: EdgeList, shape: tuple[int, int]) -> Any:
    """(users, items) each user's history by recency: 2^-(his events at later times)."""
    order = np.lexsort((events.time, events.src))
    user, item, moment = events.src[order], events.dst[order], np.asarray(events.time)[order]
    changes = np.append(True, (np.diff(user) != 0) | (np.diff(moment) != 0))
    group = np.cumsum(changes)
    later = np.searchsorted(user, user, side="right") - np.searchsorted(group, group, side="right")
    return sp.csr_array((0.5**later, (user, item)), shape=shape, dtype=np.float32)
