"""What a typed graph knows of each pair beside its weight, as columns that weights of edges can be learnt from."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from graphrep.embed.joint import joint_adjacency
from graphrep.errors import InputError
from graphrep.graph.hetero import EdgeList, HeteroGraph

COLUMNS = ("present", "count", "weight", "percentile", "recency")
"""Of each relation, in this order."""


def relation_features(g: HeteroGraph, pairs: Any) -> NDArray[np.float64]:
    """Five columns for each relation: whether the pair has it, how often, how strong, and how new it is.

    Of a pair's edges in the relation, either way: *present* 1, *count* log(1 + edges), *weight* the sum with the sign
    kept and its size as log(1 + size), *percentile* the share of the relation's pairs whose sum is not above this
    one's, *recency* the share of its pairs whose newest edge is not newer (0 without times). All are 0 where the pair
    has no such edge. Ranks instead of seconds and strengths: relations are then on one scale.

    Args:
        g: the graph; nodes are numbered as in ``joint_adjacency(g)``.
        pairs: (n, n) symmetric scipy.sparse; the pairs u < v with an entry are asked for.

    Returns:
        (e, 5 · relations), rows by u, then v: the ``edge_features`` of ``learn_weights``.

    Raises:
        InputError: a matrix of another shape than the graph's nodes have.

    >>> from graphrep.graph import EdgeList
    >>> g = HeteroGraph.from_edges({"user": 1, "host": 2}, {("user", "watches", "host"): EdgeList([0, 0], [0, 1])})
    >>> relation_features(g, joint_adjacency(g).matrix)[:, [0, 3]].tolist()
    [[1.0, 1.0], [1.0, 1.0]]
    """
    offsets = joint_adjacency(g).offsets
    n = sum(g.num_nodes.values())
    if not sp.issparse(pairs) or pairs.shape != (n, n):
        other = f"{type(pairs).__name__} of shape {np.shape(pairs)}"
        raise InputError(f"a scipy.sparse matrix of shape {(n, n)}", found=other, where="pairs")
    upper = sp.csr_array(sp.triu(pairs, k=1)).tocoo()
    asked = np.sort(upper.row.astype(np.int64) * n + upper.col)
    found = np.zeros((len(asked), len(g.edges) * len(COLUMNS)))
    for number, ((source, _, destination), edges) in enumerate(g.edges.items()):
        keys, columns = _columns(edges, offsets[source], offsets[destination], n)
        at = np.minimum(np.searchsorted(asked, keys), len(asked) - 1)
        there = asked[at] == keys if len(asked) else np.zeros(len(keys), bool)
        first = number * len(COLUMNS)
        found[at[there], first : first + len(COLUMNS)] = columns[there]
    return found


def _columns(edges: EdgeList, source: int, destination: int, n: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The pairs of one relation, and their features."""
    one, other = edges.src + source, edges.dst + destination
    keys, pair = np.unique(np.minimum(one, other) * np.int64(n) + np.maximum(one, other), return_inverse=True)
    weight = np.bincount(pair, weights=edges.weight, minlength=len(keys))
    recency = np.zeros(len(keys))
    if edges.time is not None and len(keys):
        newest = np.full(len(keys), np.iinfo(np.int64).min)
        np.maximum.at(newest, pair, edges.time)
        recency = _share_not_above(newest)
    columns = (
        np.ones(len(keys)),
        np.log1p(np.bincount(pair, minlength=len(keys))),
        np.sign(weight) * np.log1p(np.abs(weight)),
        _share_not_above(weight),
        recency,
    )
    return keys, np.stack(columns, axis=1)


def _share_not_above(value: NDArray[Any]) -> NDArray[np.float64]:
    return np.searchsorted(np.sort(value), value, side="right") / max(len(value), 1)
