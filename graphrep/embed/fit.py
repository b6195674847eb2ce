"""``fit``: a heterogeneous graph in, one vector for each node out, all types in one space."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from graphrep.embed.align import Alignment, Vectors, align
from graphrep.embed.autocovariance import autocovariance
from graphrep.embed.backend import Backend, device_for
from graphrep.embed.checks import check_dim, check_seed
from graphrep.embed.choice import choose
from graphrep.embed.gnn.encoder_state import EncoderState
from graphrep.embed.gnn.fitting import HybridFit, training_for
from graphrep.embed.gnn.settings import NeighbourTraining
from graphrep.embed.gnn.state import State
from graphrep.embed.histories import Histories, histories
from graphrep.embed.history_walk import Choice, HistoryWalk, VectorPowers
from graphrep.embed.joint import JointAdjacency, joint_adjacency
from graphrep.embed.options import checked_options
from graphrep.embed.plan import precision_for
from graphrep.embed.ranks import Arrays, Ranks
from graphrep.embed.scores import walk_scores
from graphrep.errors import InputError
from graphrep.graph.hetero import HeteroGraph
from graphrep.vocab import AUTOCOVARIANCE

if TYPE_CHECKING:
    from graphrep.embed.gnn.inductive_fit import Found, WalkOf

ExactWalk = Callable[[str, NDArray[np.int64], str], NDArray[np.float32]]
"""(type, indices, type of the columns) → rows of the walk."""


@dataclass(frozen=True, eq=False)
class Embedding(Mapping[str, NDArray[np.float32]]):
    """Vectors by node type. The dot product is the score; nodes without edges have zero vectors.

    Attributes:
        vectors: (n, d) float32, read-only, by node type.
        alignment: how they were turned onto the previous ones; None in a new space.
        walk: what the vectors approximate; None where only vectors were kept.
        choice: powers, shares and recency that the walk was chosen to have; None where nothing was chosen.
        learnt: share of what the hybrid learnt that the vectors hold; 0: they are the walk's, None: nothing was learnt.
        tried: how well hidden events were ranked with each share; empty where none was chosen.
        state: what the next day's training may begin from, in the basis of the vectors; None where they hold nothing
            learnt.

    >>> emb = Embedding({"user": np.ones((2, 3), np.float32), "host": np.ones((1, 3), np.float32)})
    >>> emb.types, emb["user"].shape, emb.score("user", [1], "host").tolist()
    (['user', 'host'], (2, 3), [[3.0]])
    """

    vectors: Mapping[str, NDArray[np.float32]]
    alignment: Alignment | None = None
    walk: ExactWalk | None = None
    choice: Choice | None = None
    learnt: float | None = None
    tried: Mapping[float, float] = field(default_factory=dict)
    state: State | EncoderState | None = None

    def __post_init__(self) -> None:
        frozen = {kind: np.array(x, dtype=np.float32) for kind, x in self.vectors.items()}
        for x in frozen.values():
            x.flags.writeable = False
        object.__setattr__(self, "vectors", MappingProxyType(frozen))

    def __getitem__(self, kind: str) -> NDArray[np.float32]:
        return self.vectors[kind]

    def __iter__(self) -> Iterator[str]:
        return iter(self.vectors)

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def types(self) -> list[str]:
        """Node types in the order of the graph.

        >>> Embedding({"user": np.zeros((1, 2), np.float32)}).types
        ['user']
        """
        return list(self.vectors)

    def score(self, kind: str, index: ArrayLike, to: str, *, exact: bool = False) -> NDArray[np.float32]:
        """Dot products of some nodes with all nodes of a type, or the walk's own rows.

        Args:
            kind: node type of the rows.
            index: (b,) indices inside it.
            to: node type of the columns, with m nodes.
            exact: the rows of the walk that the vectors approximate, by a few sparse products. Their scale is the
                walk's own.

        Returns:
            (b, m) float32.

        Raises:
            InputError: an unknown node type, an index out of range; exact scores where there is no walk, or to a type
                that it does not lead to.

        >>> Embedding({"user": np.eye(2, dtype=np.float32)}).score("user", [0], "user").tolist()
        [[1.0, 0.0]]
        """
        for name in (kind, to):
            if name not in self.vectors:
                raise InputError(f"a node type of {', '.join(self.types)}", found=repr(name), where="score")
        rows = np.atleast_1d(np.asarray(index, dtype=np.int64))
        if rows.size and (rows.min() < 0 or rows.max() >= len(self[kind])):
            raise InputError(
                f"indices in 0..{len(self[kind]) - 1}",
                found=f"{rows.min()}..{rows.max()}",
                where=f"score({kind!r})",
            )
        if not exact:
            return np.asarray(self[kind][rows] @ self[to].T)
        if self.walk is None:
            fix = "score with the embedding that fit returned"
            raise InputError("an embedding with its walk", found="vectors alone", where="score(exact=True)", fix=fix)
        return self.walk(kind, rows, to)


def fit(
    g: HeteroGraph,
    model: str = "autocovariance",
    dim: int = 64,
    seed: int = 0,
    device: str | None = None,
    previous: Vectors | None = None,
    **options: Any,
) -> Embedding:
    """Embed all node types of a graph in one space, of which dot products are scores.

    Two walks, by the shape of the graph. *joint*: R(τ) of the undirected sum of all relations (``graphrep.embed.joint``
    and ``autocovariance``), between all types. *history*, where some types only act (users): a user is where his events
    put him, the newest most, and goes on to what those met who met the same, and to what is met next
    (``graphrep.embed.history_walk``). Its powers, shares and kind of vectors are chosen on hidden events of the graph
    itself.

    Where a process group of torch.distributed is initialised (``graphrep.embed.ranks.joined``), its processes all call
    ``fit`` with the same arguments, share the work and return the same vectors; the same seed and the same number of
    processes are the same bytes.

    The hybrid begins at the history walk's vectors and learns what users met next (``graphrep.embed.gnn``); where that
    does not rank hidden events better, its vectors are the walk's. The gnn adds to either walk what it learns of
    neighbourhoods and content, for new nodes too (``graphrep.embed.gnn.inductive_fit``). The exact rows are the walk's
    in each case.

    Args:
        g: the graph.
        model: one of ``graphrep.vocab.MODELS``: "autocovariance", "hybrid" or "gnn".
        dim: columns d.
        seed: chance; the same seed gives the same vectors.
        device: None: for what is learnt a GPU where torch sees one, else the CPU; for "autocovariance" the CPU, whose
            walks are of float64. "cpu": the CPU. Else a torch device.
        previous: vectors by node type, rows by the same index, all-zero or NaN rows absent: the result is
            turned onto them (``graphrep.embed.align``). Of *history*, pass their ``choice`` as well: a new search may
            choose vectors of another kind, which no turn makes comparable.
        **options: ``walk``: "joint" or "history", None = history where a type only acts; ``relation_weights`` by
            name. Of *joint*: ``markov_time=3`` steps, ``lazy=False``, ``balance=0`` of relations
            (``joint_adjacency``). Of *history*: ``choice``, a ``Choice`` instead of the search; ``transitions``,
            options of ``graphrep.graph.transitions``. Of the hybrid, those of *history* and: ``training``, a
            ``graphrep.embed.Training`` (users by what they met last) or ``BagTraining`` (by all they met), None: the
            first, or the second where no event has a time; ``share`` of what is learnt, in place of the choice on
            hidden events; ``report``, called with every ``Step``; ``checkpoints``, where states of the training are
            kept and taken up from (``graphrep.embed.gnn.fitting.Checkpoints``); ``begin``, the ``state`` of an earlier
            day's embedding with its rows by index of this graph (``State.rows``): training goes on from there, with its
            powers of the walk and its share, so that a fraction of the epochs does. Of the gnn, those of its walk and
            of the hybrid, ``training`` a ``graphrep.embed.NeighbourTraining``, ``begin`` of the history walk alone, and
            ``features``, (n, f) finite content by type.

    Returns:
        Embedding. Of *joint*: one factor for all vectors makes the mean squared norm of the nodes with edges 1; of
        *history*: one factor each for those that act and those that are met.

    Raises:
        InputError: an unknown model or option, a graph without edges, a previous space of another dim, a state of
            another dim or other nodes.
        GraphrepError: training took more memory than there is; the message names a setting that takes less.

    >>> from graphrep.graph import EdgeList
    >>> g = HeteroGraph.from_edges(
    ...     {"user": 4, "host": 2}, {("user", "watches", "host"): EdgeList([0, 1, 2, 3], [0, 0, 1, 1])}
    ... )
    >>> fit(g, dim=2, walk="joint").score("user", [0, 3], "host").argmax(axis=1)
    array([0, 1])
    """
    check_dim(dim)
    check_seed(seed)
    chosen = checked_options(g, model, options)
    device = device_for(device, learnt=model != AUTOCOVARIANCE)
    fitted = (_history if chosen["walk"] == "history" else _joint)(g, dim, seed, device, chosen)
    if previous is None:
        return fitted
    vectors, alignment = align(fitted.vectors, previous)
    state = fitted.state and fitted.state.turned(alignment.rotation)
    return replace(fitted, vectors=vectors, alignment=alignment, state=state)


def _joint(g: HeteroGraph, dim: int, seed: int, device: str | None, chosen: Mapping[str, Any]) -> Embedding:
    walk = {"markov_time": chosen["markov_time"], "lazy": chosen["lazy"]}

    def joint_of(part: HeteroGraph) -> JointAdjacency:
        return joint_adjacency(part, chosen["relation_weights"], chosen["balance"])

    def vectors_of(joint: JointAdjacency) -> dict[str, NDArray[np.float32]]:
        job = lambda: [autocovariance(joint.matrix, dim=dim, seed=seed, device=device, **walk).source]  # noqa: E731
        x = _unit_mean_square(Ranks.here(backend.like.device).shared(job)[0], np.diff(joint.matrix.indptr) > 0)
        return {kind: x[start : start + g.num_nodes[kind]] for kind, start in joint.offsets.items()}

    backend = Backend(device, precision_for(device))
    joint = joint_of(g)
    rows = partial(_joint_rows, joint, g.num_nodes, device, walk)
    if "features" not in chosen:
        return Embedding(vectors_of(joint), walk=rows)
    told = {"dim": dim, "seed": seed, "backend": backend}
    told["walk_options"] = {**walk, "balance": chosen["balance"]}
    found = _inductive(g, None, lambda part: vectors_of(joint_of(part)), chosen, **told)
    return Embedding(found.vectors, walk=rows, learnt=found.share, tried=found.tried)


def _inductive(g: HeteroGraph, choice: Choice | None, walk: WalkOf, chosen: Mapping[str, Any], **told: Any) -> Found:
    # Not at the top: torch_geometric takes seconds to load, and no other model needs it.
    from graphrep.embed.gnn.inductive_fit import InductiveFit

    read = {"relation_weights": chosen["relation_weights"], "transition_options": chosen.get("transitions")}
    told |= {name: chosen[name] for name in ("features", "report", "checkpoints", "begin")}
    told["training"] = chosen["training"] or NeighbourTraining()
    return InductiveFit(choice, walk, read=read, **told).fit(g, chosen["share"])


def _joint_rows(
    joint: JointAdjacency, num_nodes: Any, device: str | None, walk: Any, kind: str, rows: NDArray[np.int64], to: str
) -> NDArray[np.float32]:
    columns = joint.offsets[to] + np.arange(num_nodes[to])
    return walk_scores(joint.matrix, rows + joint.offsets[kind], columns, device=device, **walk)


def _history(g: HeteroGraph, dim: int, seed: int, device: str | None, chosen: Mapping[str, Any]) -> Embedding:
    read = {"relation_weights": chosen["relation_weights"], "transition_options": chosen["transitions"]}
    events = histories(g, **read)
    backend = Backend(device, precision_for(device))
    begin, ranks = chosen.get("begin"), Ranks.here(backend.like.device)
    known = begin.choice if begin else chosen["choice"]
    choice = known or _agreed(ranks, lambda: choose(g, events, dim, seed, backend, **read)[0])
    walk = HistoryWalk(events, choice)
    rows = partial(_history_rows, events, walk)
    if "training" not in chosen:
        user, thing = ranks.shared(lambda: list(walk.vectors(dim, seed, backend)))
        return Embedding(_by_type(g, events, user, thing), walk=rows, choice=choice)
    if "features" in chosen:
        of_part = partial(_history_vectors, choice, dim, seed, backend, read)
        found = _inductive(g, choice, of_part, chosen, dim=dim, seed=seed, backend=backend)
        made = partial(Embedding, found.vectors, walk=rows, choice=choice)
        return made(learnt=found.share, tried=found.tried, state=found.state)
    told = {name: chosen[name] for name in ("report", "checkpoints", "begin")}
    told["training"] = chosen["training"] or training_for(events)
    learnt = HybridFit(choice, dim, seed, backend, read=read, **told).fit(g, events, chosen["share"])
    vectors = _by_type(g, events, learnt.user, learnt.thing)
    return Embedding(vectors, walk=rows, choice=choice, learnt=learnt.share, tried=learnt.tried, state=learnt.state)


def _agreed(ranks: Ranks, search: Callable[[], Choice]) -> Choice:
    """What the first process finds."""

    def job() -> Arrays:
        return [np.frombuffer(json.dumps(asdict(search())).encode(), np.uint8)]

    found = json.loads(ranks.shared(job)[0].tobytes())
    vectors = None if found["vectors"] is None else VectorPowers(**found["vectors"])
    return Choice(**{**found, "company": tuple(found["company"]), "vectors": vectors})


def _history_vectors(
    choice: Choice, dim: int, seed: int, backend: Backend, read: Mapping[str, Any], g: HeteroGraph
) -> dict[str, NDArray[np.float32]]:
    events = histories(g, **read)
    return _by_type(g, events, *HistoryWalk(events, choice).vectors(dim, seed, backend))


def _by_type(g: HeteroGraph, events: Histories, user: Any, thing: Any) -> dict[str, NDArray[np.float32]]:
    vectors = {}
    for kind in g.node_types:
        side, starts = (user, events.actors) if kind in events.actors else (thing, events.things)
        vectors[kind] = side[starts[kind] : starts[kind] + g.num_nodes[kind]].astype(np.float32)
    return vectors


def _history_rows(
    events: Histories, walk: HistoryWalk, kind: str, rows: NDArray[np.int64], to: str
) -> NDArray[np.float32]:
    if to not in events.things:
        raise InputError(f"a type that is met ({', '.join(events.things)})", found=repr(to), where="score(exact=True)")
    begin, width = events.things[to], events.num_nodes[to]
    if kind in events.actors:
        return walk.rows(rows + events.actors[kind])[:, begin : begin + width]
    return walk.rows_of_things(rows + events.things[kind])[:, begin : begin + width]


def _unit_mean_square(x: NDArray[np.float32], connected: NDArray[np.bool_]) -> NDArray[np.float32]:
    mean = float((x[connected].astype(np.float64) ** 2).sum(axis=1).mean())
    return x if mean == 0.0 else (x / np.sqrt(mean)).astype(np.float32)
