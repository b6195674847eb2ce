"""``fit(model="hybrid")``: the walk's vectors, what is learnt beside them, and how much of that is published."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from graphrep.embed.backend import Backend
from graphrep.embed.choice import LEAST_GAIN, Hidden, hidden_events, quality, without
from graphrep.embed.gnn.bag_training import BagTrainer
from graphrep.embed.gnn.bags import Events
from graphrep.embed.gnn.checkpoint import Stamp, packed, unpacked
from graphrep.embed.gnn.folds import crossed, walk_of
from graphrep.embed.gnn.hybrid import Vectors, Walk
from graphrep.embed.gnn.memory import Size, check_training, enough
from graphrep.embed.gnn.settings import BagTraining, Training
from graphrep.embed.gnn.state import State, check_things, parameters_of, state_of, turned_onto
from graphrep.embed.gnn.timelines import Timelines
from graphrep.embed.gnn.training import Step, Tensors, Trainer
from graphrep.embed.histories import Histories, histories
from graphrep.embed.history_walk import Choice, HistoryWalk
from graphrep.embed.plan import usable_memory
from graphrep.embed.ranks import Arrays, Ranks
from graphrep.graph.hetero import HeteroGraph

SHARES = (0.25, 0.5, 0.75, 1.0)


class Checkpoints(Protocol):
    """Where training states are kept; the bytes are :mod:`graphrep.embed.gnn.checkpoint`'s."""

    def latest(self, name: str) -> bytes | None:
        """What was saved last under a name; None: nothing."""

    def replace(self, name: str, content: bytes) -> None:
        """Replace it in one step."""


@dataclass(frozen=True, eq=False)
class Learnt:
    """Vectors of users and things, and how they came to be.

    Attributes:
        user: (actors, d), of those that act.
        thing: (things, d), of those that are met.
        share: of what was learnt, between the walk, 0, and all of it, 1.
        tried: quality of hidden events by share; empty where the share was given, or too little could be hidden.
        state: what the next training may begin from; None where the vectors are the walk's.
    """

    user: Vectors
    thing: Vectors
    share: float
    tried: dict[float, float]
    state: State | None = None


@dataclass(frozen=True, eq=False)
class Trained:
    """A model, and what it was before anything was learnt."""

    trainer: Trainer
    walk: Walk
    begun: Tensors
    done: Tensors

    def vectors(self, share: float) -> tuple[Vectors, Vectors]:
        """(actors, d) and (things, d) with a share of what was learnt."""
        between = {key: torch.lerp(self.begun[key], x, share) for key, x in self.done.items()}
        self.trainer.model.load_state_dict(between)
        return self.trainer.vectors(self.walk)


def training_for(events: Histories) -> Training | BagTraining:
    """What fits a graph: by what users met next, or by all they met where no event has a time."""
    return Training() if (events.age > 0).any() else BagTraining()


@dataclass(frozen=True)
class HybridFit:
    """Trains beside a walk that was chosen, in all processes of the process group where there is one.

    Args:
        choice: of the walk.
        dim, seed: as in ``fit``.
        backend: where.
        training: how.
        read: options of ``histories``.
        report: called after each step, in the first process.
        checkpoints: where the state is kept after each epoch, and taken up from; the first process's alone are used.
        begin: what an earlier graph's training left.
    """

    choice: Choice
    dim: int
    seed: int
    backend: Backend
    training: Training | BagTraining
    read: dict[str, Any]
    report: Callable[[Step], None] | None = None
    checkpoints: Checkpoints | None = None
    begin: State | None = None

    def fit(self, g: HeteroGraph, events: Histories, share: float | None = None) -> Learnt:
        """Choose the share of what is learnt on hidden events, then learn from all of them.

        Between the walk and what was learnt lie the parameters in between (Wortsman et al.: Robust fine-tuning of
        zero-shot models, CVPR 2022, section 3). The newest events of some users are hidden from the walk and from
        training, and the share whose vectors rank them best is taken. Where none is better than the walk's own vectors
        by more than a thousandth, those are published.

        What an earlier training left has seen most of what could be hidden here, and would be found better than it is:
        there the share stays that of the state.

        Args:
            events: of the graph.
            share: taken as it is, with nothing hidden; None: chosen, or that of the state.

        Raises:
            InputError: a state of another dim, or of other nodes.
            GraphrepError: training would take, or took, more memory than there is, or its loss is no number.
        """
        if self.begin is not None:
            check_things(self.begin.walk, events, self.dim)
            share = self.begin.share if share is None else share
        if share != 0.0:
            check_training(Size.of(g), self.dim, self.training, usable_memory(self.backend.device))
        with enough(self.training, self.dim):
            return self._fitted(g, events, share)

    def _fitted(self, g: HeteroGraph, events: Histories, share: float | None) -> Learnt:
        tried: dict[float, float] = {}
        if share is None:
            hidden = hidden_events(events, np.random.default_rng(self.seed))
            tried = self._tried(g, events, hidden) if hidden else {}
            share = best_share(tried)
        if share == 0.0:
            user, thing = self._ranks.shared(partial(self._walked, events))
            return Learnt(user, thing, share, tried)
        trained = self._learnt(g, events, "published")
        state = state_of(events, trained.walk, trained.done, trained.begun, self.choice, share)
        user, thing = self._ranks.shared(partial(trained.vectors, share))
        return Learnt(user, thing, share, tried, state)

    def _tried(self, g: HeteroGraph, events: Histories, hidden: Hidden) -> dict[float, float]:
        less = without(g, events, *hidden)
        seen = histories(less, **self.read)
        learnt = self._learnt(less, seen, "choice")

        def judged(share: float) -> Arrays:
            user, thing = learnt.vectors(share) if share else self._walked(seen)
            return [np.array(quality(partial(_scores, user, thing), seen, *hidden))]

        shares = (0.0, *SHARES)
        found = self._ranks.dealt([partial(judged, share) for share in shares])
        return {share: float(one) for share, (one,) in zip(shares, found, strict=True)}

    @property
    def _ranks(self) -> Ranks:
        return Ranks.here(self.backend.like.device)

    def _walked(self, events: Histories) -> tuple[Vectors, Vectors]:
        user, thing = HistoryWalk(events, self.choice).vectors(self.dim, self.seed, self.backend)
        return np.asarray(user, np.float32), np.asarray(thing, np.float32)

    def _learnt(self, g: HeteroGraph, events: Histories, name: str) -> Trained:
        """Train on a graph."""
        whole = walk_of(events, self.choice, self.dim, self.seed, self.backend)
        if self.begin is not None:
            whole = turned_onto(whole, self.begin.walk, events)
        trainer = self._trainer(g, events, whole)
        begun = {key: x.clone() for key, x in trainer.model.state_dict().items()}
        if self.begin is not None:
            origin, learnt = (parameters_of(self.begin, events, which, begun) for which in ("origin", "tower"))
            begun.update({key: origin[key] for key in self.begin.origin})
            trainer.begin(learnt)
        stamp = Stamp(self._config(name), graph_digest(g), 0)
        train(trainer, f"hybrid-{name}", stamp, self.report, self.checkpoints)
        done = {key: x.clone() for key, x in trainer.model.state_dict().items()}
        return Trained(trainer, whole, begun, done)

    def _trainer(self, g: HeteroGraph, events: Histories, whole: Walk) -> Trainer:
        how, powers, device = self.training, self.choice.vectors, str(whole.target.device)
        types = list(pairwise([*events.things.values(), len(whole.target)]))
        if isinstance(how, BagTraining):
            recency = powers.recency if powers else self.choice.recency
            return BagTrainer(Events.of(events, recency, device), whole, types, how, self.seed, self._ranks)
        walks, fold = crossed(g, events, whole, self.choice, self.seed, self.backend, how.folds, **self.read)
        lines = Timelines.of(g, events, self.read["relation_weights"], device, self.seed)
        recency = powers.recency if powers else self.choice.sequence_recency
        return Trainer(lines, walks, fold, types, how, self.seed, recency, self._ranks)

    def _config(self, name: str) -> dict[str, Any]:
        begin = None if self.begin is None else self.begin.digest()
        of = {"of": name, "dim": self.dim, "seed": self.seed, "begin": begin, "how": type(self.training).__name__}
        return {**of, **asdict(self.training), "choice": asdict(self.choice)}


def best_share(tried: Mapping[float, float]) -> float:
    """The share that ranks what is hidden best, the smaller of equals; 0 where none beats the walk.

    >>> best_share({0.0: 0.5, 0.5: 0.6, 1.0: 0.6}), best_share({0.0: 0.5, 1.0: 0.5001})
    (0.5, 0.0)
    """
    best = max(tried, key=lambda one: (tried[one], -one), default=0.0)
    return best if tried and tried[best] > tried[0.0] * (1 + LEAST_GAIN) else 0.0


def train(
    trainer: Trainer,
    name: str,
    stamp: Stamp,
    report: Callable[[Step], None] | None = None,
    kept: Checkpoints | None = None,
) -> None:
    """Take all steps, from the state that is kept under a name on; the first of several processes reads it."""

    def latest() -> Arrays:
        content = None if kept is None else kept.latest(name)
        return [] if content is None else [np.frombuffer(content, np.uint8)]

    for content in trainer.ranks.shared(latest):
        trainer.restore(*_state(content.tobytes(), name, stamp))

    def keep(trainer: Trainer) -> None:
        if kept is not None:
            kept.replace(name, packed(trainer.state(), Stamp(stamp.config, stamp.data, trainer.done)))

    trainer.run(report, keep)


def _scores(user: Vectors, thing: Vectors, rows: NDArray[np.int64]) -> Vectors:
    return np.asarray(user[rows] @ thing.T)


def _state(content: bytes, where: str, stamp: Stamp) -> tuple[Tensors, int]:
    tensors, found = unpacked(content, where, config=stamp.config, data=stamp.data)
    return tensors, found.step


def graph_digest(g: HeteroGraph) -> str:
    """Of all nodes and edges of a graph."""
    digest = hashlib.blake2b(repr(dict(g.num_nodes)).encode(), digest_size=16)
    for edge_type, edges in g.edges.items():
        digest.update(repr(edge_type).encode())
        for column in (edges.src, edges.dst, edges.weight, edges.time):
            digest.update(b"" if column is None else np.ascontiguousarray(column).tobytes())
    return digest.hexdigest()
