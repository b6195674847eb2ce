"""Walks that have not seen the users they are trained with.

Whoever's events are in a walk finds them in its scores: a model trained on top of it learns to trust what it will not
meet again. Cross-fitting, as in Chernozhukov et al. (The Econometrics Journal 21, 2018), keeps the two apart: users
fall into folds, and those of a fold are trained from the walk of all the others. Transitions that were given as edges
of the graph are an exception: whose they are is not known, so they stay in every walk.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from graphrep.embed.align import rotation
from graphrep.embed.backend import Backend
from graphrep.embed.gnn.hybrid import Walk
from graphrep.embed.histories import Histories, histories
from graphrep.embed.history_walk import Choice, HistoryWalk
from graphrep.embed.ranks import Arrays, Ranks
from graphrep.graph.hetero import EdgeList, HeteroGraph


def walk_of(events: Histories, choice: Choice, dim: int, seed: int, backend: Backend) -> Walk:
    """The walk of all users, on the device of the backend; made by the first process alone."""
    job = partial(_vectors, events, choice, dim, seed, backend)
    return _placed(Ranks.here(backend.like.device).shared(job), backend)


def crossed(
    g: HeteroGraph,
    events: Histories,
    whole: Walk,
    choice: Choice,
    seed: int,
    backend: Backend,
    folds: int,
    **read: Any,
) -> tuple[list[Walk], NDArray[np.int64]]:
    """A walk for each fold of users without their events, turned onto the walk of all.

    A thing that nobody outside a fold has met has no vector there: it keeps the one of all users, since what is learnt
    beside it must fit that one. Several processes share the folds out among them.

    Args:
        events: of the graph, by ``histories`` with the options ``read``.
        whole: :func:`walk_of` these events.

    Returns:
        the walks, and (actors,) the fold of each actor.
    """
    fold = np.random.default_rng(seed).integers(0, folds, events.events.shape[0])

    def without(number: int) -> Arrays:
        others = histories(_of_actors(g, events, fold != number), **read)
        return _vectors(others, choice, whole.target.shape[1], seed, backend)

    found = Ranks.here(backend.like.device).dealt([partial(without, number) for number in range(folds)])
    return [_turned(_placed(vectors, backend), whole) for vectors in found], fold


def _vectors(events: Histories, choice: Choice, dim: int, seed: int, backend: Backend) -> Arrays:
    source, target = HistoryWalk(events, choice).thing_vectors(dim, seed, backend)
    return [source.astype(np.float32), target.astype(np.float32)]


def _of_actors(g: HeteroGraph, events: Histories, kept: NDArray[np.bool_]) -> HeteroGraph:
    """The graph less all edges of the actors that are not kept."""
    edges = dict(g.edges)
    for (source, relation, destination), listed in g.edges.items():
        if source in events.actors:
            own = kept[listed.src + events.actors[source]]
            time = None if listed.time is None else listed.time[own]
            edges[source, relation, destination] = EdgeList(listed.src[own], listed.dst[own], listed.weight[own], time)
    return HeteroGraph.from_edges(g.num_nodes, edges)


def _placed(vectors: Any, backend: Backend) -> Walk:
    return Walk(*(torch.as_tensor(x, device=backend.like.device) for x in vectors))


def _turned(walk: Walk, whole: Walk) -> Walk:
    """One rotation of both sides leaves their dot products as they are."""
    here, there = torch.cat(walk).cpu().numpy(), torch.cat(whole).cpu().numpy()
    turn = torch.as_tensor(rotation(here, there).astype(np.float32), device=whole.target.device)
    there_is = (walk.target != 0).any(1, keepdim=True) & (walk.source != 0).any(1, keepdim=True)
    return Walk(*(torch.where(there_is, x @ turn, y) for x, y in zip(walk, whole, strict=True)))
