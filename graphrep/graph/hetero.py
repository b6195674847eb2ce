"""A heterogeneous graph: node counts by type and one weighted, optionally timed edge list by relation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from graphrep.errors import InputError
from graphrep.vocab import EdgeType

# 1e11 s is the year 5138; the milliseconds of any day since March 1973 are larger.
_LATEST_SECOND = 10**11
# Columns are looked through in pieces of this many values, so that a check needs no second column.
_PIECE = 1 << 18


@dataclass(frozen=True, eq=False, init=False)
class EdgeList:
    """The edges of one relation. Plain columns: ``HeteroGraph`` checks them, where it can name the relation.

    Attributes:
        src: (e,) int64 index of the source node inside its type.
        dst: (e,) int64 index of the destination node inside its type.
        weight: (e,) float32 strength; ones if not given; below 0 means dislike.
        time: (e,) int64, seconds since 1970-01-01 UTC, or None for edges without a time.

    >>> EdgeList([0, 1], [2, 2]).weight
    array([1., 1.], dtype=float32)
    """

    src: NDArray[np.int64]
    dst: NDArray[np.int64]
    weight: NDArray[np.float32]
    time: NDArray[np.int64] | None

    def __init__(
        self, src: ArrayLike, dst: ArrayLike, weight: ArrayLike | None = None, time: ArrayLike | None = None
    ) -> None:
        sources = np.asarray(src)
        weights = np.ones(sources.shape, np.float32) if weight is None else np.asarray(weight)
        object.__setattr__(self, "src", sources)
        object.__setattr__(self, "dst", np.asarray(dst))
        object.__setattr__(self, "weight", weights)
        object.__setattr__(self, "time", None if time is None else np.asarray(time))

    def __len__(self) -> int:
        return len(self.src)


@dataclass(frozen=True, eq=False)
class HeteroGraph:
    """Node counts and edges, checked when made and read-only afterwards.

    Inside each relation the edges are sorted by (src, dst). Several edges of one pair stay several edges, in
    the order given: their weights are summed by whoever needs a matrix, their times stay apart.

    Attributes:
        num_nodes: nodes of each type; the order of the types is kept everywhere.
        edges: edge list of each (source type, relation, destination type).

    >>> g = HeteroGraph.from_edges(
    ...     num_nodes={"user": 3, "host": 2}, edges={("user", "watches", "host"): EdgeList([2, 0], [1, 0])}
    ... )
    >>> g.edges["user", "watches", "host"].src
    array([0, 2])
    """

    num_nodes: Mapping[str, int]
    edges: Mapping[EdgeType, EdgeList]

    def __post_init__(self) -> None:
        counts = {kind: _count(kind, number) for kind, number in self.num_nodes.items()}
        edges = {}
        for edge_type, edge_list in self.edges.items():
            _check_edge_type(edge_type, counts)
            edges[edge_type] = _checked(edge_list, edge_type, counts)
        object.__setattr__(self, "num_nodes", MappingProxyType(counts))
        object.__setattr__(self, "edges", MappingProxyType(edges))

    @classmethod
    def from_edges(cls, num_nodes: Mapping[str, int], edges: Mapping[EdgeType, EdgeList]) -> HeteroGraph:
        """Check, sort and freeze.

        Arrays that can be written to are copied, and so are those of another type or order. Read-only ones of the
        right type, in the order of (src, dst), are taken as they are, memory-mapped files among them: whoever made
        them leaves alone what lies beneath.

        Raises:
            InputError: an unknown node type, unequal lengths, an index out of range, a wrong dtype, a weight
                that is not finite, a time that is not in seconds. The message names the relation.
        """
        return cls(num_nodes, edges)

    @property
    def node_types(self) -> list[str]:
        """Types in the order given.

        >>> HeteroGraph.from_edges({"user": 1, "host": 1}, {}).node_types
        ['user', 'host']
        """
        return list(self.num_nodes)

    @property
    def edge_types(self) -> list[EdgeType]:
        """Relations in the order given.

        >>> HeteroGraph.from_edges({"user": 1}, {("user", "follows", "user"): EdgeList([0], [0])}).edge_types
        [('user', 'follows', 'user')]
        """
        return list(self.edges)

    def with_reverses(self) -> HeteroGraph:
        """The same graph and each relation backwards too, under ``rev_`` and its name.

        >>> g = HeteroGraph.from_edges({"user": 1, "host": 1}, {("user", "watches", "host"): EdgeList([0], [0])})
        >>> g.with_reverses().edge_types
        [('user', 'watches', 'host'), ('host', 'rev_watches', 'user')]
        """
        backwards = {
            (destination, f"rev_{relation}", source): EdgeList(edges.dst, edges.src, edges.weight, edges.time)
            for (source, relation, destination), edges in self.edges.items()
        }
        return HeteroGraph(self.num_nodes, {**self.edges, **backwards})

    def to_pyg(self) -> Any:
        """The same graph as ``torch_geometric.data.HeteroData`` with arrays of its own.

        ``num_nodes`` by type; ``edge_index`` (2, e) int64, ``edge_weight`` (e,) float32 and, for timed
        relations, ``edge_time`` (e,) int64 by relation.

        >>> g = HeteroGraph.from_edges({"user": 2}, {("user", "follows", "user"): EdgeList([0], [1])})
        >>> g.to_pyg()["user", "follows", "user"].edge_index.tolist()
        [[0], [1]]
        """
        import torch
        from torch_geometric.data import HeteroData

        data = HeteroData()
        for kind, number in self.num_nodes.items():
            data[kind].num_nodes = number
        for edge_type, edges in self.edges.items():
            data[edge_type].edge_index = torch.from_numpy(np.stack([edges.src, edges.dst]))
            data[edge_type].edge_weight = torch.from_numpy(edges.weight.copy())
            if edges.time is not None:
                data[edge_type].edge_time = torch.from_numpy(edges.time.copy())
        return data


def _count(kind: object, number: object) -> int:
    if not isinstance(kind, str) or not kind:
        raise InputError("a node type's name", found=repr(kind), where="num_nodes")
    if isinstance(number, bool) or not isinstance(number, int | np.integer) or number < 0:
        raise InputError("a number of nodes of at least 0", found=repr(number), where=f"num_nodes[{kind!r}]")
    return int(number)


def _check_edge_type(edge_type: Any, counts: Mapping[str, int]) -> None:
    is_triple = isinstance(edge_type, tuple) and len(edge_type) == 3
    if not is_triple or not all(isinstance(part, str) and part for part in edge_type):
        raise InputError("an edge type (source type, relation, destination type)", found=repr(edge_type), where="edges")
    for kind in (edge_type[0], edge_type[2]):
        if kind not in counts:
            raise InputError(
                f"a node type of num_nodes ({', '.join(counts)})",
                found=repr(kind),
                where=f"edges{edge_type!r}",
            )


def _checked(edges: EdgeList, edge_type: EdgeType, counts: Mapping[str, int]) -> EdgeList:
    where = f"edges{edge_type!r}"
    if not isinstance(edges, EdgeList):
        raise InputError("an EdgeList", found=type(edges).__name__, where=where)
    for name in ("src", "dst", "weight", "time"):
        column = getattr(edges, name)
        if column is not None and column.shape != (edges.src.size,):
            raise InputError(
                f"{edges.src.size} values, one for each edge",
                found=f"shape {column.shape}",
                where=f"{where}.{name}",
            )
    _check_index(edges.src, counts[edge_type[0]], f"{where}.src")
    _check_index(edges.dst, counts[edge_type[2]], f"{where}.dst")
    _check_weight(edges.weight, f"{where}.weight")
    if edges.time is not None:
        _check_time(edges.time, f"{where}.time")
    order = None if _in_order(edges.src, edges.dst) else np.lexsort((edges.dst, edges.src))
    return EdgeList(
        _own(edges.src, np.int64, order),
        _own(edges.dst, np.int64, order),
        _own(edges.weight, np.float32, order),
        None if edges.time is None else _own(edges.time, np.int64, order),
    )


def _pieces(column: NDArray[Any]) -> Iterator[NDArray[Any]]:
    for start in range(0, column.size, _PIECE):
        yield column[start : start + _PIECE]


def _check_index(column: NDArray[Any], nodes: int, where: str) -> None:
    if column.dtype.kind not in "iu" and column.size:
        raise InputError("integer indices", found=str(column.dtype), where=where, fix="cast to int64")
    if not column.size or (column.min() >= 0 and column.max() < nodes):
        return
    bad = (column < 0) | (column >= nodes)
    raise InputError(
        f"indices in 0..{nodes - 1}",
        found=f"{column[bad][0]} (and {int(bad.sum()) - 1} more out of range)",
        where=where,
        fix="raise num_nodes or drop the edges",
    )


def _check_weight(column: NDArray[Any], where: str) -> None:
    if column.dtype.kind not in "fiub":
        raise InputError("real weights", found=str(column.dtype), where=where, fix="cast to float32")
    found = [piece[~np.isfinite(_as_float32(piece))] for piece in _pieces(column)]
    bad = np.concatenate(found) if found else column
    if bad.size:
        raise InputError(
            "weights that are finite in float32",
            found=f"{bad[0]} ({bad.size} in all)",
            where=where,
            fix="drop or cap these edges",
        )


def _check_time(column: NDArray[Any], where: str) -> None:
    if column.dtype.kind not in "iu" and column.size:
        raise InputError(
            "integer seconds since 1970-01-01 UTC", found=str(column.dtype), where=where, fix="cast to int64"
        )
    if column.size and int(column.max()) > _LATEST_SECOND:
        raise InputError(
            "seconds since 1970-01-01 UTC",
            found=f"{column.max()}, after the year 5138",
            where=where,
            fix="divide milliseconds by 1000",
        )


def _in_order(src: NDArray[Any], dst: NDArray[Any]) -> bool:
    for start in range(0, src.size - 1, _PIECE):
        s, d = src[start : start + _PIECE + 1], dst[start : start + _PIECE + 1]
        if ((s[1:] < s[:-1]) | ((s[1:] == s[:-1]) & (d[1:] < d[:-1]))).any():
            return False
    return True


def _own(column: NDArray[Any], dtype: type[np.generic], order: NDArray[np.int64] | None) -> NDArray[Any]:
    """The column in an order (None: its own), of a type, and such that nobody changes it."""
    if order is None and column.dtype == dtype and not column.flags.writeable:
        return column
    made = np.array(column if order is None else column[order], dtype=dtype)
    made.flags.writeable = False
    return made


def _as_float32(column: NDArray[Any]) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):  # an overflow is an infinity, which the caller looks for
        return column.astype(np.float32, copy=False)
