"""Does it pay to learn from several domains at once? The same ``fit`` on each domain's events alone.

Each domain is a graph of the same users and items that holds this domain's events alone, with its own search of a
choice; a candidate is ranked by the vectors of its domain's graph. What ``fit`` makes of all events at once stands in
the rows of :mod:`benchmarks.suite.rankings`. A user without an event in the domain has no vector there: all candidates
are equal to him, and the wanted one stands last among equals. What one domain can still tell him is the row of the
most popular.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.suite.rankings import Problem, graph_of
from benchmarks.suite.report import Row, reset_peak
from graphrep.embed import Embedding, fit
from graphrep.graph import EdgeList, HeteroGraph

METHOD = "each domain alone, vectors"


def rows_of(problem: Problem, dims: Sequence[int], seed: int, device: str | None) -> Iterator[Row]:
    """A row for each dimension, the largest first."""
    for dim in sorted(set(dims), reverse=True):
        reset_peak()
        start = time.perf_counter()
        alone = [fit(graph, dim=dim, seed=seed, device=device) for graph in graphs_of(problem)]
        seconds = time.perf_counter() - start

        def score(users: NDArray[np.int64], alone: Sequence[Embedding] = alone) -> NDArray[np.float32]:
            first, second = (emb.score("user", users, "item") for emb in alone)
            return np.where(problem.domains == 1, second, first)

        yield problem.row(f"{METHOD} of {dim}", score, fitted=seconds)


def graphs_of(problem: Problem) -> list[HeteroGraph]:
    """One graph for each of the two domains, its events alone."""
    whole = problem.graphs[""]
    ((kind, events),) = whole.edges.items()
    found = []
    for domain in (0, 1):
        own = problem.domains[events.dst] == domain
        edges = EdgeList(events.src[own], events.dst[own], time=np.asarray(events.time)[own])
        found.append(graph_of(whole.num_nodes[kind[0]], whole.num_nodes[kind[2]], {kind[1]: edges}))
    return found
