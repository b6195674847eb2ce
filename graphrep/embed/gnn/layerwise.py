"""Vectors of all nodes without sampling, one layer for all before the next: equal graphs give equal bytes.

Layer-wise inference costs each edge once a layer, where a neighbourhood of each node would cost it again and again.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray

from graphrep.embed.backend import Backend
from graphrep.embed.gnn.encoder import NeighbourEncoder
from graphrep.errors import InputError
from graphrep.graph.hetero import HeteroGraph
from graphrep.vocab import EdgeType

Array = NDArray[np.float32]
Allocate = Callable[[str, tuple[int, int]], Array]

_TILE = 1024
"""Rows that are multiplied by a weight matrix at once, always the same ones: another cut would be other last digits."""
_PIECE = 4096
"""Edges of a node that are summed in one go. Longer sums of float32 would lose digits."""


def encode(
    encoder: NeighbourEncoder,
    x: Mapping[str, NDArray[Any]],
    g: HeteroGraph,
    *,
    block: int = 65536,
    device: str = "cpu",
    allocate: Allocate | None = None,
) -> dict[str, Array]:
    """Vectors of every node from all its edges: those of ``encoder.eval()`` on the whole graph, up to rounding.

    The bytes depend on the graph, the encoder, the inputs and the machine's libraries, not on ``block`` or the number
    of threads: a row is summed by one thread, in the graph's order of its edges, a hub's in pieces of 4096 whose sums
    are summed; matrices are multiplied by tiles of 1024 rows that begin at multiples of 1024.

    Time O(layers · hidden · (edges + nodes · hidden)), on ``torch.get_num_threads()`` threads. Memory: 8 bytes an edge,
    12 where a relation has 2³¹ edges or more, and as much again for a relation while it is turned; the states of two
    layers, 4 · hidden bytes a node each; for each thread some matrices of ``block`` rows. Messages are not held.

    Args:
        encoder: left as it is, in its mode and on its device.
        x: (n, width) inputs of every type; arrays may be mapped from files.
        g: the graph with the relations that the encoder knows, ``g.with_reverses()`` if it was trained so; one that is
            missing has no edges. Times are not looked at.
        block: destination rows that a thread works on at once, rounded up to a multiple of 1024.
        device: torch device of the dense products; those with the edges are made by the CPU.
        allocate: makes the float32 array, to be written, of a name and a shape: for states and results that shall lie
            in files. States of one type are named ``<type>.0`` and ``<type>.1`` by turns, the vectors ``<type>``. None:
            in memory.

    Returns:
        (n, dim) float32 of every type.

    Raises:
        InputError: other types, relations, shapes; a block below 1; a device that this machine has not.

    >>> encoder = NeighbourEncoder({"user": 3}, [("user", "follows", "user")], dim=2)
    >>> from graphrep.graph import EdgeList
    >>> g = HeteroGraph.from_edges({"user": 4}, {("user", "follows", "user"): EdgeList([0, 1], [1, 2])})
    >>> encode(encoder, {"user": np.ones((4, 3))}, g)["user"].shape
    (4, 2)
    """
    _check(encoder, x, g, block)
    Backend(device)
    placed = copy.deepcopy(encoder).to(device).eval()
    allocate = _in_memory if allocate is None else allocate
    relations = {edge_type: _Means(g, edge_type) for edge_type in encoder.edge_types if edge_type in g.edges}
    rows = -(-block // _TILE) * _TILE
    with _single_threads() as pool:

        def filled(name: str, width: int, of_rows: Callable[[str, int, int], Array]) -> dict[str, Array]:
            made = {kind: allocate(f"{kind}{name}", (n, width)) for kind, n in g.num_nodes.items()}

            def fill(place: tuple[str, int, int]) -> None:
                kind, begin, end = place
                made[kind][begin:end] = of_rows(kind, begin, end)

            list(pool.map(fill, _blocks(g, rows)))
            return made

        states = filled(".0", placed.hidden, lambda kind, a, b: _by_tiles(placed.first[kind], device, x[kind][a:b]))
        for number, layer in enumerate(placed.layers, 1):
            states = filled(f".{number % 2}", placed.hidden, _step(layer, relations, states, device))
        return filled("", placed.dim, lambda kind, a, b: _by_tiles(placed.last[kind], device, states[kind][a:b]))


class _Means:
    """Weighted means over one relation, of destination rows: no message of an edge is held."""

    def __init__(self, g: HeteroGraph, edge_type: EdgeType) -> None:
        edges, n, m = g.edges[edge_type], g.num_nodes[edge_type[0]], g.num_nodes[edge_type[2]]
        total = np.bincount(edges.dst, np.abs(edges.weight), m)
        total[total == 0] = 1.0
        index = np.int32 if max(n, m, len(edges)) < 1 << 31 else np.int64
        begin = np.searchsorted(edges.src, np.arange(n + 1)).astype(index)
        # The edges are sorted by source: they are a CSR matrix already, and turning it is one pass over them.
        turned = sp.csr_array((edges.weight, edges.dst.astype(index), begin), shape=(n, m)).tocsc()
        self.sources, self._source, self._share = n, turned.indices, turned.data
        self._begin = turned.indptr.astype(np.int64)
        for node in range(0, m, _TILE):
            first, last = self._begin[node], self._begin[min(node + _TILE, m)]
            count = np.diff(self._begin[node : node + _TILE + 1])
            self._share[first:last] /= np.repeat(total[node : node + _TILE], count)

    def of_rows(self, states: Array, begin: int, end: int) -> Array:
        """(end − begin, hidden)."""
        limits = self._begin[begin : end + 1]
        count = np.diff(limits)
        pieces = np.maximum(-(-count // _PIECE), 1)
        last = np.cumsum(pieces)
        within = np.arange(last[-1]) - np.repeat(last - pieces, pieces)
        cuts = np.append(np.repeat(limits[:-1], pieces) + within * _PIECE, limits[-1])
        sums = self._product(cuts, states)
        if len(sums) == len(count):
            return sums
        shape = (len(count), len(sums))
        joined = sp.csr_array((np.ones(len(sums), np.float32), np.arange(len(sums)), np.append(0, last)), shape=shape)
        out: Array = joined @ sums
        return out

    def _product(self, cuts: NDArray[np.int64], states: Array) -> Array:
        """Sums of the states of edges from each cut to the next."""
        edges = slice(cuts[0], cuts[-1])
        begin = (cuts - cuts[0]).astype(self._source.dtype)
        block = sp.csr_array((self._share[edges], self._source[edges], begin), shape=(len(begin) - 1, self.sources))
        out: Array = block @ np.asarray(states)
        return out


def _step(
    layer: Any, relations: Mapping[EdgeType, _Means], states: Mapping[str, Array], device: str
) -> Callable[[str, int, int], Array]:
    """New states of the rows of a type by one layer."""

    def of_rows(kind: str, begin: int, end: int) -> Array:
        into = [edge_type for edge_type in relations if edge_type[2] == kind]
        means = [relations[edge_type].of_rows(states[edge_type[0]], begin, end) for edge_type in into]

        def updated(h: torch.Tensor, *means: torch.Tensor) -> torch.Tensor:
            new: torch.Tensor = layer.updated(kind, h, dict(zip(into, means, strict=True)))
            return new

        return _by_tiles(updated, device, states[kind][begin:end], *means)

    return of_rows


def _by_tiles(apply: Callable[..., torch.Tensor], device: str, *arrays: NDArray[Any]) -> Array:
    """A function of rows, tile by tile."""
    made = []
    with torch.inference_mode():  # of this thread
        for row in range(0, len(arrays[0]), _TILE):
            tiles = [torch.from_numpy(np.array(x[row : row + _TILE], np.float32)).to(device) for x in arrays]
            made.append(apply(*tiles).cpu().numpy())
    return np.concatenate(made)


def _blocks(g: HeteroGraph, rows: int) -> Iterator[tuple[str, int, int]]:
    for kind, n in g.num_nodes.items():
        for begin in range(0, n, rows):
            yield kind, begin, min(begin + rows, n)


@contextmanager
def _single_threads() -> Iterator[ThreadPoolExecutor]:
    """As many threads as torch has, each of which multiplies by itself: a product shared out may round otherwise."""
    threads = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(threads, "graphrep-encode", torch.set_num_threads, (1,)) as pool:
            yield pool
    finally:
        torch.set_num_threads(threads)


def _in_memory(name: str, shape: tuple[int, int]) -> Array:
    return np.empty(shape, np.float32)


def _check(encoder: NeighbourEncoder, x: Mapping[str, NDArray[Any]], g: HeteroGraph, block: int) -> None:
    if isinstance(block, bool) or not isinstance(block, int) or block < 1:
        raise InputError("an integer of at least 1", found=repr(block), where="block")
    encoder.check_types(g.node_types, "g")
    encoder.check_types(list(x), "x")
    encoder.check_relations(g.edge_types, "g")
    for kind, n in g.num_nodes.items():
        shape = (n, encoder.widths[kind])
        if x[kind].shape != shape:
            raise InputError(f"shape {shape}", found=str(x[kind].shape), where=f"x[{kind!r}]")
