"""What is published for nodes with few edges: their own vector, an estimate, or some of both.

A gate for each bucket of degrees grows with maturity, after GateSID (arXiv 2603.22916), which mixes a semantic and a
collaborative vector by one that is trained. Here gates are chosen on hidden edges: ``graphrep.embed.cold_choice``.
What stands beside a node's own vector: ``graphrep.embed.cold_estimates``.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from graphrep import vocab
from graphrep.embed.cold_estimates import Estimates, Ints, Vectors
from graphrep.errors import InputError
from graphrep.graph.hetero import HeteroGraph

Estimate = Literal["content", "prior"]

_CODES = {source: np.uint8(code) for code, source in enumerate(vocab.SOURCES)}


@dataclass(frozen=True)
class ColdStart:
    """Settings.

    Attributes:
        buckets: least edges of each bucket, rising from 0; from the last one on a node is mature and stays as it is.
        neighbours: mature nodes, nearest by content, that an estimate is the mean of.
        temperature: of the softmax over their cosines.
        max_loss: share of the quality of all hidden edges that raising what is cold may cost, over all buckets.
        k: length of the list in which what is cold takes places from others.
        hidden: share of the edges, the newest, that gates are chosen by.

    >>> ColdStart().mature
    16
    """

    buckets: tuple[int, ...] = (0, 1, 2, 4, 8, 16)
    neighbours: int = 20
    temperature: float = 0.1
    max_loss: float = 0.01
    k: int = 50
    hidden: float = 0.2

    def __post_init__(self) -> None:
        rising = all(a < b for a, b in zip(self.buckets, self.buckets[1:], strict=False))
        if not self.buckets or self.buckets[0] != 0 or not rising:
            raise InputError("buckets that rise from 0", found=str(list(self.buckets)), where="buckets")
        limits: dict[str, tuple[float, float]] = {
            "neighbours": (1, np.inf),
            "temperature": (1e-6, np.inf),
            "max_loss": (0, 1),
            "k": (1, np.inf),
            "hidden": (0.01, 0.9),
        }
        for name, (low, high) in limits.items():
            if not low <= getattr(self, name) <= high:
                raise InputError(f"a number from {low:g} to {high:g}", found=repr(getattr(self, name)), where=name)

    @property
    def mature(self) -> int:
        """Edges from which on a node is its own vector."""
        return self.buckets[-1]


@dataclass(frozen=True)
class Gate:
    """What was chosen for the nodes of one type and bucket that have one kind of estimate.

    Attributes:
        node_type, least, most: the bucket: from so many edges to so many.
        estimate: "content" or "prior".
        gate: share of the own vector. scale: what the estimate is multiplied with; 1 of those that act.
        nodes: how many there are in the graph that it was chosen on.
        pairs: hidden edges that it was chosen by; with too few, it is that of the next bucket.
        own, estimated, blended: mean of 1 / log2(1 + rank) of those edges by own vectors, by the estimate alone at its
            best scale whatever that costs, and as chosen; of what is met in lists of k.
    """

    node_type: str
    least: int
    most: int
    estimate: Estimate
    gate: float = 1.0
    scale: float = 1.0
    nodes: int = 0
    pairs: int = 0
    own: float | None = None
    estimated: float | None = None
    blended: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """As plain data, to be recorded."""
        return asdict(self)

    def rows(self, estimates: Estimates) -> Ints:
        """The rows of its type that it is about."""
        return estimates.cell(self.node_type, self.least, self.most, self.estimate == "content")


@dataclass(frozen=True, eq=False)
class Published:
    """Vectors by type, what each row is (its place in ``vocab.SOURCES``), and what an unknown key is given.

    Attributes:
        vectors: (n, d) float32 by type.
        sources: (n,) uint8 by type.
        priors: (d,) float32 by type.
    """

    vectors: dict[str, NDArray[np.float32]]
    sources: dict[str, NDArray[np.uint8]]
    priors: dict[str, NDArray[np.float32]]


def publish(
    g: HeteroGraph,
    vectors: Vectors,
    gates: Sequence[Gate],
    content: Vectors | None = None,
    settings: ColdStart | None = None,
    lasting: Collection[str] = (),
) -> Published:
    """Give every node its published vector.

    A row of a bucket is ``gate · own + (1 − gate) · scale · estimate``. A row without a vector of its own, all zero, is
    ``scale · estimate``. For those that act the estimate has the length of the row's own vector, since a ranking by a
    vector does not depend on its length. A gate of 1 leaves a row's bytes as they are.

    Args:
        g: the graph whose edges are counted.
        vectors: (n, d) by type.
        gates: as chosen; a bucket without one has a gate of 1.
        content: (n, f) by type, rows of zeros where there is none.
        settings: those that the gates were chosen with.
        lasting: relations that are not counted as edges.

    Raises:
        InputError: vectors or content with other rows than the graph, or numbers that are not finite.

    >>> from graphrep.graph import EdgeList
    >>> g = HeteroGraph.from_edges({"user": 1, "host": 3}, {("user", "watches", "host"): EdgeList([0], [0])})
    >>> own = {"user": np.ones((1, 2), np.float32), "host": np.array([[2, 0], [0, 4], [0, 0]], np.float32)}
    >>> out = publish(g, own, [])
    >>> out.vectors["host"].tolist(), [vocab.SOURCES[i] for i in out.sources["host"]]
    ([[2.0, 0.0], [0.0, 4.0], [1.0, 2.0]], ['graph', 'graph', 'prior'])
    """
    settings = settings or ColdStart()
    known = estimate(g, vectors, content, settings, lasting)
    out: dict[str, NDArray[np.float32]] = {}
    sources: dict[str, NDArray[np.uint8]] = {}
    for kind, own in vectors.items():
        mixed, source = np.array(own, np.float32), np.full(len(own), _CODES[vocab.OWN])
        bare = np.logical_not(known.own[kind].any(axis=1))
        for gate in filled(gates, kind, settings):
            rows = gate.rows(known)
            if len(rows):
                made = known.blend(kind, rows, gate.gate, gate.scale)
                none = bare[rows]
                changed = none if gate.gate == 1 else np.ones(len(rows), bool)
                mixed[rows[changed]] = made[changed]
                alone = _CODES[gate.estimate]
                source[rows[changed]] = np.where(none[changed] | (gate.gate == 0), alone, _CODES[vocab.BLEND])
        out[kind], sources[kind] = mixed, source
    return Published(out, sources, {kind: known.unknown(kind, _first_scale(gates, kind, settings)) for kind in vectors})


def filled(gates: Sequence[Gate], kind: str, settings: ColdStart) -> list[Gate]:
    """The gates of a type, one for each bucket and estimate, with one that changes nothing where none was chosen."""
    chosen = {(gate.least, gate.estimate): gate for gate in gates if gate.node_type == kind}
    bounds = [*zip(settings.buckets, [start - 1 for start in settings.buckets[1:]], strict=False)]
    both: tuple[Estimate, ...] = ("content", "prior")
    cells = [Gate(kind, least, most, estimate) for least, most in bounds for estimate in both]
    if not cells:
        cells = [Gate(kind, 0, -1, estimate) for estimate in both]
    return [chosen.get((cell.least, cell.estimate), cell) for cell in cells]


def estimate(
    g: HeteroGraph, vectors: Vectors, content: Vectors | None, settings: ColdStart, lasting: Collection[str] = ()
) -> Estimates:
    """What stands beside the vectors of a graph's nodes, by some settings."""
    near, temperature = settings.neighbours, settings.temperature
    return Estimates.of(
        g, vectors, content, mature=settings.mature, neighbours=near, temperature=temperature, lasting=lasting
    )


def _first_scale(gates: Sequence[Gate], kind: str, settings: ColdStart) -> float:
    return next(gate.scale for gate in filled(gates, kind, settings) if gate.estimate == "prior")
