"""All node types and relations of a graph in one symmetric matrix, the one that the walk runs on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import scipy.sparse as sp

from graphrep.errors import InputError
from graphrep.graph.hetero import HeteroGraph


@dataclass(frozen=True, eq=False)
class JointAdjacency:
    """One block of rows for each node type, in the order of ``num_nodes``.

    Attributes:
        matrix: (n, n) float64 scipy CSR array, symmetric, entries > 0.
        offsets: first row of each node type.
    """

    matrix: Any
    offsets: Mapping[str, int]


def joint_adjacency(
    g: HeteroGraph, relation_weights: Mapping[str, float] | None = None, balance: float = 0.0
) -> JointAdjacency:
    """Undirected sum of all relations.

    The entry of a pair is the sum of ``weight · relation_weights[relation]`` over every edge between the
    two, in either direction and of any relation, and never below 0: dislikes (negative weights) take from
    what the same pair has, and a pair disliked on balance has no edge. A walk knows no negative probability,
    so dislike does not spread beyond its pair. A self-loop counts once.

    Args:
        g: the graph.
        relation_weights: factor of each relation by its name (the middle of the edge type); 1 where absent.
        balance: 0 … 1; a relation of k times the mean total weight is divided by ``k^balance`` first, so that a huge
            one does not drown a small one: 0 as given, 1 all alike.

    Raises:
        InputError: a name that is no relation of the graph, a factor that is not finite, a balance out of range.

    >>> from graphrep.graph import EdgeList
    >>> g = HeteroGraph.from_edges({"user": 1, "host": 2}, {
    ...     ("user", "watches", "host"): EdgeList([0, 0], [0, 1], [2.0, 1.0]),
    ...     ("user", "reports", "host"): EdgeList([0], [1], [-3.0])})
    >>> joint_adjacency(g, {"watches": 0.5}).matrix.toarray().tolist()
    [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    """
    factors = _balanced(g, checked_factors(g, relation_weights or {}), balance)
    starts = np.concatenate([[0], np.cumsum(list(g.num_nodes.values()), dtype=np.int64)])
    offsets = dict(zip(g.num_nodes, starts[:-1].tolist(), strict=True))
    n = int(starts[-1])
    rows, columns, weights = [], [], []
    for (source, relation, destination), edges in g.edges.items():
        rows.append(edges.src + offsets[source])
        columns.append(edges.dst + offsets[destination])
        weights.append(edges.weight.astype(np.float64) * factors[relation])
    if not rows:
        return JointAdjacency(sp.csr_array((n, n), dtype=np.float64), MappingProxyType(offsets))
    row, column, weight = np.concatenate(rows), np.concatenate(columns), np.concatenate(weights)
    # Each pair is summed once, in one order, and mirrored after: the two halves are equal to the last bit.
    low, high = np.minimum(row, column), np.maximum(row, column)
    half = sp.csr_array(sp.coo_array((weight, (low, high)), shape=(n, n)))
    half.data = np.maximum(half.data, 0.0)
    half.eliminate_zeros()
    matrix = sp.csr_array(half + sp.triu(half, k=1).T)
    return JointAdjacency(matrix, MappingProxyType(offsets))


def _balanced(g: HeteroGraph, given: Mapping[str, float], balance: float) -> dict[str, float]:
    if not 0 <= balance <= 1:
        raise InputError("a number from 0 to 1", found=repr(balance), where="balance")
    factors = {relation: given.get(relation, 1.0) for _, relation, _ in g.edge_types}
    totals = dict.fromkeys(factors, 0.0)
    for (_, relation, _), edges in g.edges.items():
        totals[relation] += float(np.abs(edges.weight).sum(dtype=np.float64))
    present = [total for total in totals.values() if total > 0]
    mean = float(np.mean(present)) if present else 1.0
    return {
        name: factor * (mean / totals[name]) ** balance if totals[name] else factor for name, factor in factors.items()
    }


def checked_factors(g: HeteroGraph, relation_weights: Mapping[str, float]) -> Mapping[str, float]:
    known = sorted({relation for _, relation, _ in g.edge_types})
    for relation, factor in relation_weights.items():
        if relation not in known:
            raise InputError(
                f"a relation of the graph ({', '.join(known)})",
                found=repr(relation),
                where="relation_weights",
            )
        if not np.isfinite(factor):
            raise InputError(
                "a finite factor",
                found=repr(factor),
                where=f"relation_weights[{relation!r}]",
                fix="0 drops it",
            )
    return relation_weights
