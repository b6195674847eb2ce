"""``fit``: a heterogeneous graph in, one vector for each node out, all types in one space."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from graphrep.embed.align import Alignment, Vectors, align
from graphrep.embed.autocovariance import autocovariance
from graphrep.embed.joint import joint_adjacency
from graphrep.errors import InputError
from graphrep.graph.hetero import HeteroGraph


@dataclass(frozen=True, eq=False)
class Embedding(Mapping[str, NDArray[np.float32]]):
    """Vectors by node type. The dot product is the score; nodes without edges have zero vectors.

    Attributes:
        vectors: (n, d) float32, read-only, by node type.
        alignment: how they were turned onto the previous ones; None in a new space.

    >>> emb = Embedding({"user": np.ones((2, 3), np.float32), "host": np.ones((1, 3), np.float32)})
    >>> emb.types, emb["user"].shape, emb.score("user", [1], "host").tolist()
    (['user', 'host'], (2, 3), [[3.0]])
    """

    vectors: Mapping[str, NDArray[np.float32]]
    alignment: Alignment | None = None

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

    def score(self, kind: str, index: ArrayLike, to: str) -> NDArray[np.float32]:
        """Dot products of some nodes with all nodes of a type.

        Args:
            kind: node type of the rows.
            index: (b,) indices inside it.
            to: node type of the columns, with m nodes.

        Returns:
            (b, m) float32.

        Raises:
            InputError: an unknown node type, an index out of range.

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
        return np.asarray(self[kind][rows] @ self[to].T)


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

    Args:
        g: the graph.
        model: "autocovariance": the walk of ``graphrep.embed.autocovariance`` on the joint undirected graph
            (``graphrep.embed.joint``).
        dim: columns d.
        seed: chance; the same seed gives the same vectors.
        device: None = CPU; else a torch device.
        previous: vectors by node type, rows by the same index, all-zero or NaN rows absent: the result is
            turned onto them (``graphrep.embed.align``).
        **options: of "autocovariance": ``markov_time=3`` steps, ``lazy=False``, ``relation_weights=None``.

    Returns:
        Embedding; one factor for all vectors makes the mean squared norm of the nodes with edges 1.

    Raises:
        InputError: an unknown model or option, a graph without edges, a previous space of another dim.

    >>> from graphrep.graph import EdgeList
    >>> g = HeteroGraph.from_edges(
    ...     {"user": 4, "host": 2}, {("user", "watches", "host"): EdgeList([0, 1, 2, 3], [0, 0, 1, 1])}
    ... )
    >>> fit(g, dim=2).score("user", [0, 3], "host").argmax(axis=1)
    array([0, 1])
    """
    if model not in _MODELS:
        raise InputError(f"a model of {', '.join(_MODELS)}", found=repr(model), where="model")
    vectors = _MODELS[model](g, dim, seed, device, options)
    if previous is None:
        return Embedding(vectors)
    return Embedding(*align(vectors, previous))


def _fit_autocovariance(
    g: HeteroGraph, dim: int, seed: int, device: str | None, options: Mapping[str, Any]
) -> dict[str, NDArray[np.float32]]:
    known = {"markov_time": 3, "lazy": False, "relation_weights": None}
    for name in options:
        if name not in known:
            raise InputError(f"an option of autocovariance ({', '.join(known)})", found=repr(name), where="fit")
    chosen = {**known, **options}
    joint = joint_adjacency(g, chosen["relation_weights"])
    factors = autocovariance(
        joint.matrix,
        dim=dim,
        markov_time=chosen["markov_time"],
        lazy=chosen["lazy"],
        seed=seed,
        device=device,
    )
    x = _unit_mean_square(factors.source, np.diff(joint.matrix.indptr) > 0)
    return {kind: x[start : start + g.num_nodes[kind]] for kind, start in joint.offsets.items()}


def _unit_mean_square(x: NDArray[np.float32], connected: NDArray[np.bool_]) -> NDArray[np.float32]:
    mean = float((x[connected].astype(np.float64) ** 2).sum(axis=1).mean())
    return x if mean == 0.0 else (x / np.sqrt(mean)).astype(np.float32)


_MODELS = {"autocovariance": _fit_autocovariance}
