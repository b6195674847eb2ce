"""What the encoder is given of each node: its walk vector, its content, and how much and how recently it acts.

There is no table of ids: a new node is encoded from its first edges and its content.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphrep.errors import InputError
from graphrep.graph.hetero import EdgeList, HeteroGraph
from graphrep.vocab import DAY_MS, EdgeType

Matrices = Mapping[str, NDArray[Any]]
"""(n, columns) of each node type; an array may be mapped from a file."""

_NEVER = np.iinfo(np.int64).min
_ROWS = 1 << 16
"""Rows that are looked through at once."""


def node_inputs(
    g: HeteroGraph, vectors: Matrices, features: Matrices | None = None, *, as_of: int | None = None
) -> dict[str, NDArray[np.float32]]:
    """Input columns of every node type, from the edges that were there by a moment.

    ======================== ==================================================================================
    columns                  what they hold
    ======================== ==================================================================================
    d                        walk vector as given
    1                        flag: it is a row of zeros, the node has none
    f, where features given  content, each column less its mean, over its standard deviation, both over the rows
                             that are not all zeros; those stay zeros, and so does a column that never varies
    1, where features given  flag: a row of zeros, the node has no content
    1 a relation and side    ``log(1 + edges)`` of each relation that begins at the type, and of each that ends
                             there, in the graph's order; one between nodes of the type has two columns
    1                        ``log(1 + days)`` since the newest timed edge of any relation, 0 where there is none
    1                        flag: no timed edge
    ======================== ==================================================================================

    Edges of weight 0 are no edges, as for the sampler; several of one pair count as several. Pass the graph without its
    reverses: they would repeat columns.

    Args:
        g: the graph.
        vectors: (n, d) walk vectors of every type, d by type.
        features: (n, f) content of some types.
        as_of: seconds since 1970-01-01 UTC; later edges are not seen. None: the newest time in the graph. An edge
            without a time was always there.

    Returns:
        (n, columns) float32 of every type.

    Raises:
        InputError: a type without vectors or that is not in the graph, another number of rows, a number that is not
            finite in float32 (it names type, column and first row), a moment that is no integer.

    >>> g = HeteroGraph.from_edges(
    ...     {"user": 2, "host": 1}, {("user", "watches", "host"): EdgeList([0, 0], [0, 0], time=[0, 86_400])}
    ... )
    >>> vectors = {"user": np.array([[0.5], [0.0]]), "host": np.array([[2.0]])}
    >>> node_inputs(g, vectors, as_of=2 * 86_400)["user"].round(2)
    array([[0.5 , 0.  , 1.1 , 0.69, 0.  ],
           [0.  , 1.  , 0.  , 0.  , 1.  ]], dtype=float32)
    """
    features = {} if features is None else features
    _check_rows("vectors", vectors, g, required=True)
    check_features(g, features)
    if as_of is not None and (isinstance(as_of, bool) or not isinstance(as_of, int | np.integer)):
        raise InputError("integer seconds since 1970-01-01 UTC", found=repr(as_of), where="as_of")
    moment = _newest(g) if as_of is None else int(as_of)
    found = {}
    for kind, n in g.num_nodes.items():
        walk = _finite("vectors", kind, vectors[kind])
        columns = [walk, _is_zero(walk)]
        if kind in features:
            columns.append(content_columns(features[kind], kind))
        columns.append(_activity(g, kind, n, moment))
        found[kind] = np.concatenate(columns, axis=1, dtype=np.float32, casting="same_kind")
    return found


def input_parts(vectors: Matrices, features: Matrices | None = None) -> dict[str, list[slice]]:
    """Columns of :func:`node_inputs` that a node may lack as a whole, walk vector and content; the next is their flag.

    Args:
        vectors, features: as given there.

    >>> input_parts({"user": np.zeros((5, 4))}, {"user": np.zeros((5, 3))})
    {'user': [slice(0, 4, None), slice(5, 8, None)]}
    """
    parts = {}
    for kind, walk in vectors.items():
        parts[kind] = [slice(0, walk.shape[1])]
        if features is not None and kind in features:
            first = walk.shape[1] + 1
            parts[kind].append(slice(first, first + features[kind].shape[1]))
    return parts


def content_columns(content: NDArray[Any], kind: str) -> NDArray[np.float32]:
    """(n, f + 1) the content's part of :func:`node_inputs` with its flag."""
    whole = _finite("features", kind, content)
    return np.concatenate([_standardised(whole), _is_zero(whole)], axis=1)


def activity_columns(g: HeteroGraph) -> dict[str, NDArray[np.float32]]:
    """(n, columns) the part of :func:`node_inputs` that edges make, as of the newest time in the graph.

    >>> activity_columns(HeteroGraph.from_edges({"user": 1}, {}))["user"].tolist()
    [[0.0, 1.0]]
    """
    moment = _newest(g)
    return {kind: _activity(g, kind, n, moment).astype(np.float32) for kind, n in g.num_nodes.items()}


def check_features(g: HeteroGraph, features: Matrices) -> None:
    """Raise an :class:`InputError` if content is not (n, f) finite numbers of types of the graph."""
    _check_rows("features", features, g, required=False)
    for kind, content in features.items():
        _finite("features", kind, content)


def _check_rows(name: str, given: Matrices, g: HeteroGraph, *, required: bool) -> None:
    others = [kind for kind in given if kind not in g.num_nodes]
    missing = [kind for kind in g.num_nodes if required and kind not in given]
    if others or missing:
        expected = f"{'all' if required else 'some'} of the types {', '.join(g.num_nodes)}"
        raise InputError(expected, found=", ".join(given) or "none", where=name)
    for kind, x in given.items():
        if x.ndim != 2 or len(x) != g.num_nodes[kind] or x.dtype.kind not in "fiub":
            expected = f"numbers of shape ({g.num_nodes[kind]}, ·)"
            raise InputError(expected, found=f"{x.dtype} {x.shape}", where=f"{name}[{kind!r}]")


def _finite(name: str, kind: str, x: NDArray[Any]) -> NDArray[Any]:
    """The matrix, if every number is one in float32."""
    for begin in range(0, len(x), _ROWS):
        with np.errstate(over="ignore"):  # an overflow is an infinity, which is looked for
            bad = ~np.isfinite(x[begin : begin + _ROWS].astype(np.float32))
        if bad.any():
            row, column = np.argwhere(bad)[0]
            raise InputError(
                "numbers that are finite in float32",
                found=str(x[begin + row, column]),
                where=f"{name}[{kind!r}], column {column}, first in row {begin + row}",
                fix="give zeros to a node that has none",
            )
    return x


def _is_zero(x: NDArray[Any]) -> NDArray[np.float32]:
    found: NDArray[np.float32] = (np.count_nonzero(x, axis=1, keepdims=True) == 0).astype(np.float32)
    return found


def _standardised(x: NDArray[Any]) -> NDArray[np.float32]:
    has = np.flatnonzero(x.any(axis=1))
    made = np.zeros(x.shape, np.float32)
    for column in range(x.shape[1]):
        own = x[has, column].astype(np.float64)
        # Of a constant column rounding may leave a deviation that is not 0.
        if len(own) and own.min() < own.max():
            made[has, column] = (own - own.mean()) / own.std()
    return made


def _newest(g: HeteroGraph) -> int:
    """0 in a graph without times, where it is not used."""
    return max(
        (int(edges.time.max()) for edges in g.edges.values() if edges.time is not None and len(edges)), default=0
    )


def _activity(g: HeteroGraph, kind: str, n: int, moment: int) -> NDArray[np.float64]:
    newest = np.full(n, _NEVER)
    columns = []
    for edge_type, edges in g.edges.items():
        there = _there(edges, moment)
        for nodes in _ends(edge_type, edges, kind):
            columns.append(np.log1p(np.bincount(nodes[there], minlength=n))[:, None])
            if edges.time is not None:
                np.maximum.at(newest, nodes[there], edges.time[there])
    never = newest == _NEVER
    days = (moment - np.where(never, moment, newest)) / (DAY_MS // 1000)
    return np.concatenate([*columns, np.log1p(days)[:, None], never[:, None]], axis=1, dtype=np.float64)


def _there(edges: EdgeList, moment: int) -> NDArray[np.bool_]:
    real: NDArray[np.bool_] = edges.weight != 0
    return real if edges.time is None else real & (edges.time <= moment)


def _ends(edge_type: EdgeType, edges: EdgeList, kind: str) -> list[NDArray[np.int64]]:
    """Nodes of a type at the sides of a relation that are of it."""
    return [nodes for own, nodes in ((edge_type[0], edges.src), (edge_type[2], edges.dst)) if own == kind]
