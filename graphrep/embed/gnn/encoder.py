"""An encoder of nodes by their neighbours, of several types and relations, for nodes that training never saw.

Hamilton, Ying, Leskovec: Inductive Representation Learning on Large Graphs, NeurIPS 2017, section 3 (a node's state
from its own and its neighbours' mean); Schlichtkrull et al.: Modeling Relational Data with Graph Convolutional
Networks, ESWC 2018, section 2 (a weight matrix for each relation).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import torch
from torch.nn.functional import gelu
from torch_geometric.nn import MessagePassing
from torch_geometric.nn.module_dict import ModuleDict

from graphrep.errors import InputError
from graphrep.vocab import EdgeType

States: TypeAlias = Mapping[str, torch.Tensor]
Edges: TypeAlias = Mapping[EdgeType, torch.Tensor]


def message_weights(
    edge_index: torch.Tensor, weight: torch.Tensor, degree: torch.Tensor | None, num_destinations: int
) -> torch.Tensor:
    """Share of each edge in the mean that its destination takes over one relation.

    Where all edges of a node are there it is ``w / Σ|w|``: the weighted mean, in which a negative weight (a skip) takes
    the neighbour's state with a minus, and counts by its size below. Where k were drawn by the size of their weights,
    as ``TemporalSampler`` draws, the weights have had their say and it is ``sign(w) / k``. Its expectation is the
    weighted mean where k = 1 or where the sizes are alike. Elsewhere it lies between that and the mean that ignores
    sizes: an edge cannot be drawn twice, so that the heaviest are in the draw less than k times as often as in a draw
    of one.

    Args:
        edge_index: (2, e) source and destination of the edges that are there; only the second row is looked at.
        weight: (e,) weights, any sign; edges of weight 0 are no edges.
        degree: (num_destinations,) edges of weight other than 0 that each node has, by its time if it has one
            (``Neighbours.ranges``: the second less the first); None: all of them are there.
        num_destinations: rows of the destination type.

    Returns:
        (e,) in the dtype of the weights.

    Raises:
        InputError: another shape.

    >>> edges, weight = torch.tensor([[0, 1, 2], [0, 0, 1]]), torch.tensor([3.0, -1.0, 2.0])
    >>> message_weights(edges, weight, None, 2)
    tensor([ 0.7500, -0.2500,  1.0000])
    >>> message_weights(edges, weight, torch.tensor([9, 1]), 2)
    tensor([ 0.5000, -0.5000,  1.0000])
    """
    _check("edge_index", edge_index, (2, len(weight)))
    destination, size = edge_index[1], weight.abs().double()
    total = size.new_zeros(num_destinations).index_add_(0, destination, size)
    whole = weight / total[destination].clamp(min=torch.finfo(torch.float64).tiny)
    if degree is None:
        return whole.to(weight.dtype)
    _check("degree", degree, (num_destinations,))
    count = torch.zeros_like(total).index_add_(0, destination, (size > 0).double())
    drawn = weight.sign() / count[destination].clamp(min=1)
    return torch.where((count < degree)[destination], drawn, whole).to(weight.dtype)


def feature_dropout(
    x: States, parts: Mapping[str, Sequence[slice]], share: float, generator: torch.Generator
) -> dict[str, torch.Tensor]:
    """Inputs in which random nodes lack a part, as new nodes do: its columns 0 and its flag, the next column, 1.

    Zhu et al.: AdaF²M², 2025 (arXiv 2501.15816), mask features in training so that the strongest do not stand in for
    the others; AsymDiffRec, CIKM 2025 (arXiv 2508.12706), drop them as they are missing in production.

    Args:
        x: (n, columns) of each type.
        parts: of ``inputs.input_parts``; a type without an entry is left as it is.
        share: of the nodes that lose a part, 0 to 1; for each part by itself.
        generator: of the draws, on the device of the inputs.

    Returns:
        New tensors; those given stay.

    Raises:
        InputError: a share outside 0 to 1.

    >>> x = {"user": torch.tensor([[0.3, 0.4, 0.0, 1.1]])}
    >>> feature_dropout(x, {"user": [slice(0, 2)]}, 1.0, torch.Generator())["user"]
    tensor([[0.0000, 0.0000, 1.0000, 1.1000]])
    """
    if not 0 <= share <= 1:
        raise InputError("a number from 0 to 1", found=repr(share), where="share")
    masked = {}
    for kind, given in x.items():
        masked[kind] = given.clone()
        for part in parts.get(kind, ()):
            lost = torch.rand(len(given), generator=generator, device=given.device) < share
            masked[kind][lost, part] = 0.0
            masked[kind][lost, part.stop] = 1.0
    return masked


class NeighbourEncoder(torch.nn.Module):  # type: ignore[misc]  # torch is looked at without its types
    """Vectors from a node's inputs and its neighbours', to be added to its walk vectors.

    A Linear of the inputs of each type, then in each layer ``h ← GELU(LayerNorm(h + S h + Σ_r σ(γ_r) W_r m_r))``: ``S``
    of the node's type, ``m_r`` the mean of its neighbours' states by relation r in shares of :func:`message_weights`,
    ``W_r`` without a constant, so that a relation without edges adds nothing, and ``γ_r`` a gate, 0 at the start, so
    that relations begin alike. At last a Linear that is 0 at the start: an untrained encoder changes nothing.

    Relations go from source to destination; pass those of ``g.with_reverses()`` for both ways. The weights are drawn
    from torch's own generator: ``torch.manual_seed`` before.

    Args:
        widths: input columns of each node type.
        edge_types: relations between these types.
        dim: columns of the vectors.
        layers: steps along edges, at least 1.
        hidden: columns of the states; None: ``dim``.
        dropout: share of each layer's states that is dropped in training, from 0 to below 1.

    Raises:
        InputError: a number outside these bounds, a relation twice or of a type that has no width.

    >>> encoder = NeighbourEncoder({"user": 3, "host": 2}, [("user", "watches", "host")], dim=4)
    >>> x = {"user": torch.ones(5, 3), "host": torch.ones(2, 2)}
    >>> edges = {("user", "watches", "host"): torch.tensor([[0, 4], [1, 1]])}
    >>> share = {kind: message_weights(index, torch.ones(2), None, 2) for kind, index in edges.items()}
    >>> encoder(x, edges, share)["host"].tolist()
    [[0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]]
    """

    def __init__(
        self,
        widths: Mapping[str, int],
        edge_types: Sequence[EdgeType],
        dim: int,
        *,
        layers: int = 2,
        hidden: int | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        hidden = dim if hidden is None else hidden
        _check_options(widths, edge_types, {"dim": dim, "layers": layers, "hidden": hidden}, dropout)
        self.widths, self.edge_types = dict(widths), list(edge_types)
        self.dim, self.hidden = dim, hidden
        self.first = ModuleDict({kind: torch.nn.Linear(width, hidden) for kind, width in widths.items()})
        self.layers = torch.nn.ModuleList(_Layer(list(widths), edge_types, hidden, dropout) for _ in range(layers))
        self.last = ModuleDict({kind: torch.nn.Linear(hidden, dim) for kind in widths})
        for linear in self.last.values():
            torch.nn.init.zeros_(linear.weight)
            torch.nn.init.zeros_(linear.bias)

    def forward(self, x_dict: States, edge_index_dict: Edges, edge_weight_dict: Edges) -> dict[str, torch.Tensor]:
        """(n, dim) vectors of each type.

        Args:
            x_dict: (n, width) inputs of every type; n may be 0.
            edge_index_dict: (2, e) rows of source and destination by relation; one that is not there has no edges.
            edge_weight_dict: (e,) shares of :func:`message_weights`, by the same relations.

        Raises:
            InputError: other types, relations or shapes.
        """
        self._check_batch(x_dict, edge_index_dict, edge_weight_dict)
        states = {kind: self.first[kind](x) for kind, x in x_dict.items()}
        for layer in self.layers:
            states = layer(states, edge_index_dict, edge_weight_dict)
        return {kind: self.last[kind](h) for kind, h in states.items()}

    def check_relations(self, found: Sequence[EdgeType], where: str) -> None:
        """Raise an :class:`InputError` if a relation is none of the encoder's."""
        unknown = [edge_type for edge_type in found if edge_type not in self.edge_types]
        if unknown:
            raise InputError(f"relations of {self.edge_types}", found=repr(unknown[0]), where=where)

    def check_types(self, found: Sequence[str], where: str) -> None:
        """Raise an :class:`InputError` if the node types are not the encoder's."""
        if set(found) != set(self.widths):
            raise InputError(f"the types {', '.join(self.widths)}", found=", ".join(found) or "none", where=where)

    def _check_batch(self, x: States, edges: Edges, shares: Edges) -> None:
        self.check_types(list(x), "x_dict")
        for kind, given in x.items():
            _check(f"x_dict[{kind!r}]", given, (len(given), self.widths[kind]))
        self.check_relations(list(edges), "edge_index_dict")
        if set(edges) != set(shares):
            raise InputError(f"shares of {list(edges)}", found=str(list(shares)), where="edge_weight_dict")
        for edge_type, index in edges.items():
            _check(f"edge_index_dict[{edge_type!r}]", index, (2, index.shape[-1]))
            _check(f"edge_weight_dict[{edge_type!r}]", shares[edge_type], (index.shape[1],))


class _Layer(torch.nn.Module):  # type: ignore[misc]  # torch is looked at without its types
    """One step along the edges of all relations."""

    def __init__(self, kinds: Sequence[str], edge_types: Sequence[EdgeType], width: int, dropout: float) -> None:
        super().__init__()
        self.relations = ModuleDict({edge_type: _Relation(width) for edge_type in edge_types})
        self.own = ModuleDict({kind: torch.nn.Linear(width, width) for kind in kinds})
        self.norm = ModuleDict({kind: torch.nn.LayerNorm(width) for kind in kinds})
        self.dropout = torch.nn.Dropout(dropout)

    def forward(self, states: States, edges: Edges, shares: Edges) -> dict[str, torch.Tensor]:
        means: dict[str, dict[EdgeType, torch.Tensor]] = {kind: {} for kind in states}
        for edge_type, relation in self.relations.items():
            if edge_type in edges:
                source, _, destination = edge_type
                size = (len(states[source]), len(states[destination]))
                means[destination][edge_type] = relation(states[source], edges[edge_type], shares[edge_type], size)
        return {kind: self.updated(kind, h, means[kind]) for kind, h in states.items()}

    def updated(self, kind: str, h: torch.Tensor, means: Edges) -> torch.Tensor:
        """New states of nodes of a type, from their own and the means of those relations into it that are there."""
        total = h + self.own[kind](h)
        for edge_type, mean in means.items():
            total = total + self.relations[edge_type].message_of(mean)
        out: torch.Tensor = self.dropout(gelu(self.norm[kind](total)))
        return out


class _Relation(MessagePassing):  # type: ignore[misc]  # torch_geometric likewise
    """A gate times a Linear of the neighbours' mean."""

    def __init__(self, width: int) -> None:
        super().__init__(aggr="sum")
        self.linear = torch.nn.Linear(width, width, bias=False)
        self.gate = torch.nn.Parameter(torch.zeros(()))

    def forward(self, x: torch.Tensor, edge_index: Any, share: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        """Means; 0 where there is no edge."""
        mean: torch.Tensor = self.propagate(edge_index, x=(x, None), share=share, size=size)
        return mean

    def message(self, x_j: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
        return share[:, None] * x_j

    def message_of(self, mean: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.gate.sigmoid() * self.linear(mean)
        return out


def _check(name: str, x: torch.Tensor, shape: tuple[int, ...]) -> None:
    if tuple(x.shape) != shape:
        raise InputError(f"shape {shape}", found=str(tuple(x.shape)), where=name)


def _check_options(
    widths: Mapping[str, int], edge_types: Sequence[EdgeType], numbers: Mapping[str, int], dropout: float
) -> None:
    counts = {**{f"widths[{kind!r}]": width for kind, width in widths.items()}, **numbers}
    for name, number in counts.items():
        if isinstance(number, bool) or not isinstance(number, int) or number < 1:
            raise InputError("an integer of at least 1", found=repr(number), where=name)
    for place, edge_type in enumerate(edge_types):
        known = len(edge_type) == 3 and edge_type[0] in widths and edge_type[2] in widths
        if not known or edge_type in edge_types[:place]:
            expected = f"each relation once, between the types {', '.join(widths)}"
            raise InputError(expected, found=repr(edge_type), where="edge_types")
    if not 0 <= dropout < 1:
        raise InputError("a number from 0 to below 1", found=repr(dropout), where="dropout")
