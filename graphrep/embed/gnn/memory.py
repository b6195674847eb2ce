"""What a training will take, said before it begins; and one line where the memory ends all the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch

from graphrep.embed.gnn.settings import BagTraining, NeighbourTraining, Training
from graphrep.embed.histories import actor_types
from graphrep.errors import GraphrepError
from graphrep.graph.hetero import HeteroGraph

_TABLES = 16
"""At once of what is learnt of things: parameter, gradient, two moments, before and after; and the state, three of
these, while it is packed and written."""
_OF_A_MOMENT = 10
"""Float32 blocks (anchors, history, d) of one step, there and back."""
_OF_THE_RIVALS = 7
"""Float32 blocks (anchors, negatives) of one type in one step, there and back."""
_ENCODED_AT_ONCE = 4096
_OF_A_NODE, _OF_A_LAYER = 6, 8
"""Float32 blocks (nodes, d) of a neighbourhood: inputs and outputs; and states of each layer, there and back."""
_OF_PAIRS = 12
"""Float32 blocks (anchors, negatives) of one step of the inductive model, which looks twice at the hardest."""
_ENCODED = 6
"""Float32 blocks (nodes, d) while all nodes are encoded: inputs, states of two layers, vectors before and after."""
_VIEWED = 400
"""Bytes of an event in a view: its edges both ways, as the sampler sorts them, histories and timelines."""
_EVENT = 200
"""Bytes of an event in the histories, their folds and the timelines."""
_FOLLOWED = 1500
"""Bytes of an event while what follows it is counted, where no edges between things are given."""
_OUT_OF_MEMORY = ("can't allocate memory", "out of memory", "not enough memory")


@dataclass(frozen=True)
class Size:
    """Of a graph, as training sees it.

    Attributes:
        things: nodes of each type that is met.
        actors: nodes that act.
        events: edges of theirs; of a graph in which nobody only acts, all.
        followed: those of them whose transitions are counted: all that have a time, where none are given as edges.
    """

    things: Sequence[int]
    actors: int
    events: int
    followed: int

    @classmethod
    def of(cls, g: HeteroGraph) -> Size:
        """Of a graph."""
        acting = actor_types(g)
        given = any(kind[0] not in acting for kind in g.edge_types)
        timed = sum(len(edges) for edges in g.edges.values() if edges.time is not None)
        return cls(
            [count for kind, count in g.num_nodes.items() if kind not in acting],
            sum(g.num_nodes[kind] for kind in acting),
            sum(len(edges) for kind, edges in g.edges.items() if kind[0] in acting or not acting),
            0 if given else timed,
        )

    def __str__(self) -> str:
        return f"{self.actors:,} that act, {sum(self.things):,} that are met, {self.events:,} events"


def training_bytes(size: Size, dim: int, training: Training | BagTraining | NeighbourTraining) -> int:
    """Most bytes at once while a model is trained, beside the graph's arrays; within a factor of two.

    >>> f"{training_bytes(Size([1_000_000], 5_000_000, 200_000_000, 0), 64, Training()) / 1e9:.0f} GB"
    '54 GB'
    """
    if isinstance(training, NeighbourTraining):
        return _of_neighbours(size, dim, training)
    table = 2 * sum(size.things) * dim * 4
    moment = training.history * dim * 4
    rivals = sum(min(training.negatives, count) for count in size.things) * 4
    step = training.batch * (_OF_A_MOMENT * moment + _OF_THE_RIVALS * rivals) + 3 * dim * rivals
    # Bags have one walk, and encode users without blocks of their histories.
    folds, encoded = (training.folds, 3 * _ENCODED_AT_ONCE * moment) if isinstance(training, Training) else (0, 0)
    vectors = 2 * size.actors * dim * 4
    return (
        (_TABLES + folds + 1) * table + max(step, encoded) + vectors + _EVENT * size.events + _FOLLOWED * size.followed
    )


def _of_neighbours(size: Size, dim: int, training: NeighbourTraining) -> int:
    nodes, table = sum(size.things) + size.actors, 2 * sum(size.things) * dim * 4
    rivals = sum(min(training.negatives, count) for count in size.things)
    seeds = training.batch * (1 + training.horizon) + rivals
    around, reach = seeds, seeds
    for step in range(training.layers):
        reach *= max(1, training.neighbours >> step)
        around += reach
    state = dim * 4
    step = min(around, nodes) * (_OF_A_NODE + training.layers * _OF_A_LAYER) * state + 2 * around * state
    step += training.batch * (_OF_A_MOMENT * training.history * state + _OF_PAIRS * rivals * 4)
    encoded = nodes * _ENCODED * state
    # What follows is counted for one view after the other.
    kept = (training.folds + 1) * table + (training.views + 1) * _VIEWED * size.events + _FOLLOWED * size.followed
    return kept + max(step, encoded)


def check_training(size: Size, dim: int, training: Training | BagTraining | NeighbourTraining, memory: int) -> int:
    """:func:`training_bytes`, where there are so many.

    Args:
        memory: bytes that may be used.

    Raises:
        GraphrepError: there are fewer; the message names the largest ``dim`` and the largest batch that would fit.
    """
    needed = training_bytes(size, dim, training)
    if needed <= memory:
        return needed
    fits_dim = _largest(dim, lambda one: training_bytes(size, one, training) <= memory)
    fits_batch = _largest(training.batch, lambda one: training_bytes(size, dim, replace(training, batch=one)) <= memory)
    instead = [f"dim={fits_dim}"] if fits_dim >= 8 else []
    instead += [f"training.batch={fits_batch}"] if fits_batch else []
    raise GraphrepError(
        f"{needed / 1e9:.1f} GB to train {sum(size.things):,} things and {dim} dimensions",
        found=f"{memory / 1e9:.1f} GB",
        where="embed",
        fix=" or ".join([*instead, "a machine with more memory"]),
    )


def _largest(most: int, fits: Callable[[int], bool]) -> int:
    """Largest whole number up to ``most`` that fits, of which all smaller ones do; 0: none."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low


@contextmanager
def enough(training: Training | BagTraining | NeighbourTraining, dim: int) -> Iterator[None]:
    """Turn the end of the memory, torch's or Python's, into one line.

    Raises:
        GraphrepError: it ended inside; the message names settings with which less is taken.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        known = isinstance(error, MemoryError | torch.OutOfMemoryError)
        if not known and not any(words in str(error) for words in _OUT_OF_MEMORY):
            raise
        told = " ".join(str(error).split())[:120] or "none left"
        instead = [f"training.batch={training.batch // 2}"] if training.batch > 1 else []
        instead += [f"dim={dim // 2}"] if dim >= 16 else []
        fix = " or ".join([*instead, "a machine with more memory"])
        raise GraphrepError("memory for the training", found=told, where="embed", fix=fix) from error
