"""``fit(model="gnn")``: the walk's vectors and what neighbourhoods, content and events add to them; no table of ids."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from graphrep.embed.align import rotation
from graphrep.embed.backend import Backend
from graphrep.embed.choice import Hidden, hidden_events, quality, without
from graphrep.embed.gnn.checkpoint import Stamp
from graphrep.embed.gnn.encoder_state import EncoderState, check_encoder, parameters_from
from graphrep.embed.gnn.fitting import SHARES, Checkpoints, best_share, graph_digest, train
from graphrep.embed.gnn.folds import crossed, walk_of
from graphrep.embed.gnn.groups import Group, Nodes, connected
from graphrep.embed.gnn.hybrid import Walk
from graphrep.embed.gnn.inductive import Inductive
from graphrep.embed.gnn.inductive_training import InductiveTrainer
from graphrep.embed.gnn.inputs import content_columns, node_inputs
from graphrep.embed.gnn.layerwise import encode
from graphrep.embed.gnn.memory import Size, check_training, enough
from graphrep.embed.gnn.settings import NeighbourTraining
from graphrep.embed.gnn.state import by_type, turned_onto
from graphrep.embed.gnn.training import Step
from graphrep.embed.gnn.views import Reader, View
from graphrep.embed.histories import Histories
from graphrep.embed.history_walk import Choice
from graphrep.embed.plan import usable_memory
from graphrep.embed.ranks import Ranks
from graphrep.graph.hetero import HeteroGraph
from graphrep.vocab import EdgeType

Array = NDArray[np.float32]
Vectors = Mapping[str, Array]
WalkOf = Callable[[HeteroGraph], Vectors]
_AT_ONCE = 4096


@dataclass(frozen=True, eq=False)
class Found:
    """Vectors by type, and how they came to be.

    Attributes:
        vectors: (n, d) by type.
        share: of what was learnt, between the walk, 0, and all of it, 1.
        tried: quality of hidden events by share; empty where the share was given, or too little could be hidden.
        state: what the next training may begin from; None where nothing was, and of the joint walk.
    """

    vectors: Vectors
    share: float
    tried: dict[float, float]
    state: EncoderState | None = None


@dataclass(frozen=True, eq=False)
class Trained:
    """Vectors by type before and after a training, and the model's parameters."""

    begun: Vectors
    done: Vectors
    parameters: Vectors
    walk: Walk
    edge_types: Sequence[EdgeType]

    def vectors(self, share: float) -> Vectors:
        """With a share of what was learnt."""
        return {kind: x + np.float32(share) * (self.done[kind] - x) for kind, x in self.begun.items()}


@dataclass(frozen=True)
class InductiveFit:
    """Trains beside a walk.

    Args:
        choice: of the history walk; None: the walk is the joint one.
        walk: vectors of the walk of a graph, by type.
        features: content by type.
        dim, seed: as in ``fit``.
        backend: where.
        training: how.
        read: options of ``histories``.
        walk_options: of the joint walk, for the stamp of a training state.
        report: called after each step.
        checkpoints: where the state is kept after each epoch, and taken up from.
        begin: what an earlier graph's training left, of the history walk.
    """

    choice: Choice | None
    walk: WalkOf
    features: Mapping[str, NDArray[Any]]
    dim: int
    seed: int
    backend: Backend
    training: NeighbourTraining
    read: dict[str, Any]
    walk_options: Mapping[str, Any] = field(default_factory=dict)
    report: Callable[[Step], None] | None = None
    checkpoints: Checkpoints | None = None
    begin: EncoderState | None = None

    def fit(self, g: HeteroGraph, share: float | None = None) -> Found:
        """Choose the share of what is learnt on hidden edges, as the hybrid does, then learn from all of them.

        Vectors of a share lie on the straight line from the walk's to those of the trained model. A node without an
        edge and without content has zeros, as in the walk.

        What an earlier training left has seen most of what could be hidden: there the share stays that of the state.

        Args:
            share: taken as it is, with nothing hidden; None: chosen, or that of the state.

        Raises:
            InputError: a state of another dim, of other nodes, layers or content.
            GraphrepError: training would take, or took, more memory than there is, or its loss is no number.
        """
        if self.begin is not None:
            events, contents = self._reader.histories(g), self._contents
            check_encoder(self.begin, events, self.dim, self.training.layers, contents)
            share = self.begin.share if share is None else share
        if share != 0.0:
            check_training(Size.of(g), self.dim, self.training, usable_memory(self.backend.device))
        with enough(self.training, self.dim):
            return self._fitted(g, share)

    def _fitted(self, g: HeteroGraph, share: float | None) -> Found:
        tried: dict[float, float] = {}
        if share is None:
            events = self._reader.histories(g)
            hidden = hidden_events(events, np.random.default_rng(self.seed))
            tried = self._tried(g, events, hidden) if hidden else {}
            share = best_share(tried)
        if not share:
            return Found(self.walk(g), share, tried)
        trained = self._learnt(g, "published")
        state = None
        if self.choice is not None:
            walk = by_type(trained.walk, self._reader.histories(g))
            state = EncoderState(walk, trained.parameters, trained.edge_types, self._contents, self.choice, share)
        return Found(self._agreed(trained, share), share, tried, state)

    @property
    def _contents(self) -> dict[str, int]:
        return {kind: x.shape[1] for kind, x in self.features.items()}

    @property
    def _ranks(self) -> Ranks:
        return Ranks.here(self.backend.like.device)

    def _agreed(self, trained: Trained, share: float) -> Vectors:
        """The vectors of a share, as the first process has them."""
        found = self._ranks.shared(lambda: list(trained.vectors(share).values()))
        return dict(zip(trained.begun, found, strict=True))

    def _tried(self, g: HeteroGraph, events: Histories, hidden: Hidden) -> dict[float, float]:
        actors, things = hidden
        # Of a graph in which every node acts the way back leaves it too.
        pairs = (np.append(actors, things), np.append(things, actors)) if self.choice is None else hidden
        less = without(g, events, *pairs)
        seen = self._reader.histories(less)
        learnt, tried = self._learnt(less, "choice"), {}
        for share in (0.0, *SHARES):
            vectors = self._agreed(learnt, share) if share else self.walk(less)
            user, thing = (_numbered(vectors, first) for first in (seen.actors, seen.things))
            tried[share] = quality(partial(_scores, user, thing), seen, *hidden)
        return tried

    @property
    def _recency(self) -> float | None:
        if self.choice is None:
            return None
        return self.choice.vectors.recency if self.choice.vectors else self.choice.sequence_recency

    @property
    def _reader(self) -> Reader:
        device = str(self.backend.like.device)
        joint = self.choice is None
        return Reader(joint, **self.read, recency=self._recency or 0.0, seed=self.seed, device=device)

    def _learnt(self, g: HeteroGraph, name: str) -> Trained:
        """Train on a graph."""
        reader, training = self._reader, self.training
        whole = reader.whole(g)
        views = reader.parts(whole, g, training.views, training.horizon, training.decay)
        content = {kind: content_columns(x, kind) for kind, x in self.features.items()}
        nodes = Nodes(whole.events, {kind: torch.as_tensor(x, device=reader.device) for kind, x in content.items()})
        walk, walks, groups = self._joint(g, nodes, views) if reader.joint else self._crossed(g, nodes, views)
        trainer = InductiveTrainer(nodes, views, walks, groups, training, self.seed, self._recency)
        begun = self._vectors(trainer.model, nodes, whole, walk)
        if self.begin is not None:
            made = trainer.model.state_dict()
            trainer.begin(parameters_from(self.begin, made, whole.g.edge_types, self._contents))
        train(trainer, f"gnn-{name}", Stamp(self._config(name), self._data(g), 0), self.report, self.checkpoints)
        inputs = node_inputs(whole.g, self._walked(nodes, whole, walk), self.features)
        added = encode(trainer.model.encoder, inputs, whole.g.with_reverses(), device=reader.device)
        done = self._vectors(trainer.model, nodes, whole, walk)
        for kind, x in done.items():
            known = connected(g, kind) | (content[kind][:, -1] == 0 if kind in content else False)
            x[known] += added[kind][known]
        parameters = {key: x.cpu().numpy().copy() for key, x in trainer.model.state_dict().items()}
        return Trained(begun, done, parameters, walk, whole.g.edge_types)

    def _crossed(self, g: HeteroGraph, nodes: Nodes, views: list[View]) -> tuple[Walk, list[Walk], list[Group]]:
        """The history walk of all, those of folds of actors, and who learns from which."""
        choice = self.choice or Choice()
        walk = walk_of(nodes.events, choice, self.dim, self.seed, self.backend)
        if self.begin is not None:
            walk = turned_onto(walk, self.begin.walk, nodes.events)
        folds = self.training.folds
        walks, fold = crossed(g, nodes.events, walk, choice, self.seed, self.backend, folds, **self.read)
        groups = []
        for place, view in enumerate(views):
            rows, actors = nodes.told_from(view)
            groups += [Group(place, number, rows[fold[actors] == number]) for number in range(folds)]
        return walk, walks, groups

    def _joint(self, g: HeteroGraph, nodes: Nodes, views: list[View]) -> tuple[Walk, list[Walk], list[Group]]:
        """The joint walk of all edges, and those of what each view knows, turned onto it."""
        device = self.backend.like.device

        def walk_of_known(known: HeteroGraph) -> Array:
            given = HeteroGraph.from_edges(g.num_nodes, {kind: known.edges[kind] for kind in g.edges})
            return _numbered(self.walk(given), nodes.events.things)

        whole = walk_of_known(g)
        walks = []
        for view in views:
            own = walk_of_known(view.g)
            turned = torch.as_tensor((own @ rotation(own, whole)).astype(np.float32), device=device)
            walks.append(Walk(turned, turned))
        placed = torch.as_tensor(whole, device=device)
        groups = [Group(place, place, nodes.told_from(view)[0]) for place, view in enumerate(views)]
        return Walk(placed, placed), walks, groups

    def _vectors(self, model: Inductive, nodes: Nodes, view: View, walk: Walk) -> dict[str, Array]:
        """(n, d) by type, of the walk and the model's tower."""
        events, found = nodes.events, {}
        was = model.training
        model.eval()
        for kind, n in events.num_nodes.items():
            if kind in events.things:
                first = events.things[kind]
                found[kind] = walk.target[first : first + n].cpu().numpy().copy()
            else:
                found[kind] = np.concatenate(
                    [np.zeros((0, self.dim), np.float32), *self._acted(model, view, walk, kind)]
                )
        model.train(was)
        return found

    def _acted(self, model: Inductive, view: View, walk: Walk, kind: str) -> Iterator[Array]:
        lines, first, n = view.lines, view.events.actors[kind], view.events.num_nodes[kind]
        for begin in range(first, first + n, _AT_ONCE):
            some = torch.arange(begin, min(begin + _AT_ONCE, first + n), device=walk.source.device)
            recent = lines.recent(some, lines.begin[some + 1], lines.newest(), self.training.history)
            with torch.no_grad():
                yield model.of_events(recent, walk.source).cpu().numpy()

    def _walked(self, nodes: Nodes, view: View, walk: Walk) -> dict[str, Array]:
        """(n, d) by type, what the encoder is told of the walk."""
        device = walk.target.device
        return {
            kind: nodes.walked(view, walk, kind, torch.arange(n, device=device)).cpu().numpy()
            for kind, n in nodes.events.num_nodes.items()
        }

    def _config(self, name: str) -> dict[str, Any]:
        read = {option: None if value is None else dict(value) for option, value in self.read.items()}
        choice = None if self.choice is None else asdict(self.choice)
        of = {"of": name, "dim": self.dim, "seed": self.seed, "choice": choice, "walk": dict(self.walk_options)}
        of["begin"] = None if self.begin is None else self.begin.digest()
        return {**of, **read, **asdict(self.training)}

    def _data(self, g: HeteroGraph) -> str:
        digest = hashlib.blake2b(graph_digest(g).encode(), digest_size=16)
        for kind, x in self.features.items():
            digest.update(repr((kind, str(x.dtype), x.shape)).encode() + np.ascontiguousarray(x).tobytes())
        return digest.hexdigest()


def _numbered(vectors: Vectors, first: Mapping[str, int]) -> Array:
    """Of types that are numbered through."""
    return np.concatenate([vectors[kind] for kind in first])


def _scores(user: Array, thing: Array, rows: NDArray[np.int64]) -> Array:
    return np.asarray(user[rows] @ thing.T)
