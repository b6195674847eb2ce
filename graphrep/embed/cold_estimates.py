"""What stands beside or in place of a cold node's own vector: what it resembles, or what its type is told in general.

By content: the mean of the vectors of the nearest mature nodes. Without content, the prior: of what is met, the mean
vector; of those that act, the vector that ranks by what newcomers meet.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from graphrep.embed.histories import actor_types
from graphrep.errors import InputError
from graphrep.graph.hetero import HeteroGraph
from graphrep.graph.similarity import similar_pairs

Vectors = Mapping[str, NDArray[np.float32]]
Doubles = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
_RIDGE = 0.1


def degrees(g: HeteroGraph, lasting: Collection[str] = ()) -> dict[str, Ints]:
    """(n,) edges of positive weight that touch each node, by type.

    Args:
        lasting: relations that are not counted: what joins nodes before anybody has met them, such as likeness.

    >>> from graphrep.graph import EdgeList
    >>> g = HeteroGraph.from_edges({"user": 2, "host": 1}, {("user", "watches", "host"): EdgeList([0, 0], [0, 0])})
    >>> {kind: n.tolist() for kind, n in degrees(g).items()}
    {'user': [2, 0], 'host': [2]}
    """
    found = {kind: np.zeros(n, np.int64) for kind, n in g.num_nodes.items()}
    for (source, relation, destination), edges in g.edges.items():
        if relation not in lasting:
            liked = np.asarray(edges.weight > 0)
            found[source] += np.bincount(edges.src[liked], minlength=g.num_nodes[source])
            found[destination] += np.bincount(edges.dst[liked], minlength=g.num_nodes[destination])
    return found


@dataclass(frozen=True, eq=False)
class Estimates:
    """Of every node what may stand beside its own vector or in its place.

    Attributes:
        own: (n, d) float64 by type.
        degree: (n,) edges by type; 0 of a row without a vector.
        aims: (n, d) float64 by type: what content tells, else the prior; of those that act, of length one.
        told: (n,) by type, content tells something.
        prior: (d,) float64 by type.
        acting: types that only act.
        length: typical length of their vectors of few edges, by type.
    """

    own: Mapping[str, Doubles]
    degree: Mapping[str, Ints]
    aims: Mapping[str, Doubles]
    told: Mapping[str, Bools]
    prior: Mapping[str, Doubles]
    acting: Collection[str]
    length: Mapping[str, float]

    @classmethod
    def of(
        cls,
        g: HeteroGraph,
        vectors: Vectors,
        content: Vectors | None,
        *,
        mature: int,
        neighbours: int,
        temperature: float,
        lasting: Collection[str] = (),
    ) -> Estimates:
        """Estimates for the nodes below maturity, and for all without a vector."""
        _check(g, vectors, content or {})
        own = {kind: np.asarray(x, np.float64) for kind, x in vectors.items()}
        counted = degrees(g, lasting)
        degree = {kind: np.where(x.any(axis=1), counted[kind], 0) for kind, x in own.items()}
        acting = actor_types(g)
        prior = {
            kind: _met_by_newcomers(g, kind, own, lasting) if kind in acting else _mean(x) for kind, x in own.items()
        }
        aims, told = {}, {}
        for kind, x in own.items():
            cold = np.flatnonzero((degree[kind] < mature) | ~x.any(axis=1))
            aims[kind] = np.tile(prior[kind], (len(x), 1))
            told[kind] = np.zeros(len(x), bool)
            if content and kind in content:
                grown = degree[kind] >= mature
                found, at = _alike(x, content[kind], cold, grown, neighbours, temperature)
                aims[kind][at], told[kind][at] = found, True
            if kind in acting:
                norms = np.linalg.norm(aims[kind], axis=1, keepdims=True)
                aims[kind] = np.divide(aims[kind], norms, out=np.zeros_like(aims[kind]), where=norms > 0)
        length = {kind: _typical_length(x, degree[kind]) for kind, x in own.items()}
        return cls(own, degree, aims, told, prior, acting, length)

    def cell(self, kind: str, least: int, most: int, told: bool) -> Ints:
        """The rows of a bucket that content tells something of, or nothing; rows without a vector are in the first."""
        inside = (self.degree[kind] >= least) & (self.degree[kind] <= most)
        if least == 0:
            inside |= ~self.own[kind].any(axis=1)
        return np.flatnonzero(inside & (self.told[kind] == told))

    def aim(self, kind: str, rows: Ints) -> Doubles:
        """(b, d) the estimates as they are mixed: of those that act, as long as the row's own vector."""
        aims = self.aims[kind][rows]
        if kind not in self.acting:
            return aims
        norms = np.linalg.norm(self.own[kind][rows], axis=1, keepdims=True)
        return aims * np.where(norms > 0, norms, self.length[kind])

    def blend(self, kind: str, rows: Ints, gate: float, scale: float) -> Doubles:
        """(b, d) rows by a gate and a scale; one without an estimate stays its own."""
        own, aims = self.own[kind][rows], self.aim(kind, rows) * scale
        share = np.where(own.any(axis=1), gate, 0.0)
        share = np.where(aims.any(axis=1), share, 1.0)[:, None]
        return share * own + (1 - share) * aims

    def unknown(self, kind: str, scale: float) -> NDArray[np.float32]:
        """(d,) the prior, as a row without a vector and without content has it."""
        norm = float(np.linalg.norm(self.prior[kind]))
        factor = self.length[kind] / norm if kind in self.acting and norm else scale
        return (self.prior[kind] * factor).astype(np.float32)


def _mean(x: Doubles) -> Doubles:
    own = x[x.any(axis=1)]
    return np.asarray(own.mean(axis=0)) if len(own) else np.zeros(x.shape[1])


def _typical_length(x: Doubles, degree: Ints) -> float:
    """Median length of the vectors of the fewest edges that a vector has."""
    norms = np.linalg.norm(x, axis=1)
    present = norms > 0
    if not present.any():
        return 0.0
    fewest = degree[present].min()
    return float(np.median(norms[present & (degree == fewest)]))


def _met_by_newcomers(g: HeteroGraph, kind: str, own: Mapping[str, Doubles], lasting: Collection[str]) -> Doubles:
    """The vector whose scores are nearest to how often things are met, each of those that meet telling once.

    So those with few edges count as much as those with many. Ridge regression; every type of things weighs the same.
    """
    degree = degrees(g, lasting)[kind]
    left: Any = 0.0
    right: Any = 0.0
    for to in dict.fromkeys(e[2] for e in g.edge_types if e[0] == kind and e[1] not in lasting):
        met = np.zeros(g.num_nodes[to])
        for (source, relation, destination), edges in g.edges.items():
            if (source, destination) == (kind, to) and relation not in lasting:
                liked = np.asarray(edges.weight > 0)
                met += np.bincount(edges.dst[liked], 1.0 / degree[edges.src[liked]], minlength=len(met))
        size, total = np.linalg.norm(own[to]), np.linalg.norm(met)
        if size > 0 and total > 0:
            left = left + own[to].T @ own[to] / size**2
            right = right + own[to].T @ met / (size * total)
    dim = own[kind].shape[1]
    if np.ndim(left) == 0:
        return np.zeros(dim)
    return np.asarray(np.linalg.solve(left + _RIDGE * np.trace(left) / dim * np.eye(dim), right))


def _alike(
    x: Doubles, content: NDArray[np.float32], cold: Ints, mature: Bools, neighbours: int, temperature: float
) -> tuple[Doubles, Ints]:
    """Means of the vectors of the nearest mature nodes by content, and for which rows there are any."""
    known = np.flatnonzero(mature & x.any(axis=1) & content.any(axis=1))
    if not len(known) or not len(cold):
        return np.zeros((0, x.shape[1])), np.zeros(0, np.int64)
    i, j, cosine = similar_pairs(content[cold], content[known], k=neighbours, min_cosine=-1.0)
    nearest = np.full(len(cold), -np.inf)
    np.maximum.at(nearest, i, cosine)
    weight = np.exp((cosine - nearest[i]) / temperature)
    shares = sp.csr_array(sp.coo_array((weight, (i, j)), shape=(len(cold), len(known))))
    total = np.asarray(shares.sum(axis=1)).ravel()
    at = np.flatnonzero(total > 0)
    return np.asarray(shares[at] @ x[known]) / total[at, None], cold[at]


def _check(g: HeteroGraph, vectors: Vectors, content: Vectors) -> None:
    for name, given in (("vectors", vectors), ("content", content)):
        for kind, x in given.items():
            if kind not in g.num_nodes:
                raise InputError(f"a node type of {', '.join(g.node_types)}", found=repr(kind), where=name)
            if np.ndim(x) != 2 or len(x) != g.num_nodes[kind]:
                found = f"shape {np.shape(x)}"
                raise InputError(f"{g.num_nodes[kind]} rows", found=found, where=f"{name}[{kind!r}]")
            bad = int((~np.isfinite(x).all(axis=1)).sum())
            if bad:
                raise InputError("finite numbers", found=f"{bad} rows with others", where=f"{name}[{kind!r}]")
    missing = [kind for kind in g.node_types if kind not in vectors]
    if missing:
        raise InputError("vectors of every node type", found=f"none of {', '.join(missing)}", where="vectors")
