"""What any embedding must beat: scores from degrees and short paths alone.

Each takes an ``adjacency`` (scipy.sparse; a non-zero entry is an edge, its weight is not read), the ``rows``
to score and, optionally, ``cols``: (len(rows), m) dense scores without it, (len(rows),) scores of the pairs
(rows[i], cols[i]) with it. An adjacency that cannot be used raises InputError.

A square matrix is one graph, symmetric, whose self-loops are ignored: N(u) are the neighbours of u. A
rectangular one is users × items: a user and an item share no neighbour there, so the shared ones are counted
between the item and each item j that the user has, N(j) ∩ N(i) being users, and added up: the weighted paths
u – j – w – i. For a square users × items matrix say ``bipartite=True``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

from graphrep.errors import InputError

Scores = NDArray[np.float64]


def popularity(adjacency: Any, rows: ArrayLike, cols: ArrayLike | None = None, bipartite: bool | None = None) -> Scores:
    """``s(u, i) = deg(i)``: the same for every row.

    >>> popularity(sp.csr_array([[1, 1, 0], [0, 1, 0]]), [0]).tolist()
    [[1.0, 2.0, 0.0]]
    """
    edges, _ = _edges(adjacency, bipartite)
    degree = edges.sum(axis=0)
    index = np.asarray(rows, dtype=np.int64)
    if cols is not None:
        return np.asarray(degree[np.asarray(cols)], dtype=np.float64)
    return np.tile(degree, (len(index), 1))


def degree_product(
    adjacency: Any, rows: ArrayLike, cols: ArrayLike | None = None, bipartite: bool | None = None
) -> Scores:
    """``s(u, v) = deg(u)·deg(v)`` (preferential attachment; Liben-Nowell, Kleinberg, CIKM 2003, section 3).

    >>> degree_product(sp.csr_array([[1, 1, 0], [0, 1, 0]]), [0]).tolist()
    [[2.0, 4.0, 0.0]]
    """
    edges, _ = _edges(adjacency, bipartite)
    own = edges.sum(axis=1)[np.asarray(rows, dtype=np.int64)]
    other = popularity(adjacency, rows, cols, bipartite)
    return np.asarray(own * other if cols is not None else own[:, None] * other)


def common_neighbors(
    adjacency: Any, rows: ArrayLike, cols: ArrayLike | None = None, bipartite: bool | None = None
) -> Scores:
    """``s(u, v) = |N(u) ∩ N(v)|``; users × items ``Σ_{j∈N(u)} |N(j) ∩ N(i)|``.

    Source: Liben-Nowell, Kleinberg, The Link Prediction Problem for Social Networks, CIKM 2003, section 3.

    >>> common_neighbors(sp.csr_array([[0, 1, 1, 0], [1, 0, 0, 1], [1, 0, 0, 1], [0, 1, 1, 0]]), [0], [3])
    array([2.])
    """
    return _shared(adjacency, rows, cols, bipartite, np.ones_like)


def resource_allocation(
    adjacency: Any, rows: ArrayLike, cols: ArrayLike | None = None, bipartite: bool | None = None
) -> Scores:
    """``s(u, v) = Σ_{w∈N(u)∩N(v)} 1/deg(w)``; users × items ``Σ_{j∈N(u)} Σ_{w∈N(j)∩N(i)} 1/deg(w)``.

    Source: Zhou, Lü, Zhang, Predicting Missing Links via Local Information, Eur. Phys. J. B 71 (2009).

    >>> resource_allocation(sp.csr_array([[0, 1, 0], [1, 0, 1], [0, 1, 0]]), [0], [2])
    array([0.5])
    """
    return _shared(adjacency, rows, cols, bipartite, np.reciprocal)


def adamic_adar(
    adjacency: Any, rows: ArrayLike, cols: ArrayLike | None = None, bipartite: bool | None = None
) -> Scores:
    """``s(u, v) = Σ_{w∈N(u)∩N(v)} 1/ln deg(w)``; users × items as in ``resource_allocation``.

    A neighbour of degree 1 joins no two nodes and counts 0. Source: Adamic, Adar, Friends and Neighbors on
    the Web, Social Networks 25 (2003), in the form of Liben-Nowell, Kleinberg, CIKM 2003, section 3.

    >>> adamic_adar(sp.csr_array([[0, 1, 0], [1, 0, 1], [0, 1, 0]]), [0], [2]).round(4)
    array([1.4427])
    """
    return _shared(adjacency, rows, cols, bipartite, _inverse_log)


def _inverse_log(degree: Scores) -> Scores:
    return np.divide(1.0, np.log(degree), out=np.zeros_like(degree), where=degree > 1)


def _shared(adjacency: Any, rows: ArrayLike, cols: ArrayLike | None, bipartite: bool | None, value: Any) -> Scores:
    edges, is_bipartite = _edges(adjacency, bipartite)
    degree = edges.sum(axis=1)
    weight = np.where(degree > 0, value(np.maximum(degree, 1.0)), 0.0)
    to_columns = sp.csr_array(edges.multiply(weight[:, None]))
    start = edges[np.asarray(rows, dtype=np.int64)]
    if is_bipartite:
        start = sp.csr_array(start @ edges.T)
    if cols is None:
        return np.asarray((start @ to_columns).toarray())
    ends = sp.csr_array(to_columns.T)[np.asarray(cols, dtype=np.int64)]
    return np.asarray(start.multiply(ends).sum(axis=1)).ravel()


def _edges(adjacency: Any, bipartite: bool | None) -> tuple[Any, bool]:
    if not sp.issparse(adjacency) or adjacency.ndim != 2:
        raise InputError("a two-dimensional scipy.sparse matrix", found=type(adjacency).__name__, where="adjacency")
    n, m = adjacency.shape
    is_bipartite = n != m if bipartite is None else bipartite
    edges = sp.csr_array((adjacency != 0).astype(np.float64))
    if is_bipartite:
        return edges, True
    if n != m:
        raise InputError("a square matrix", found=f"{n} × {m}", where="adjacency with bipartite=False")
    edges = sp.csr_array(edges - sp.diags_array(edges.diagonal()))
    edges.eliminate_zeros()
    if (edges != edges.T).nnz:
        raise InputError(
            "a symmetric matrix",
            found="one-way edges",
            where="adjacency",
            fix="pass A + A.T, or bipartite=True for users × items",
        )
    return edges, False
