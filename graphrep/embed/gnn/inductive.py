"""Vectors of nodes from their inputs, neighbours and events, beside a walk's: nothing in it belongs to one node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from graphrep.embed.gnn.encoder import NeighbourEncoder, message_weights
from graphrep.embed.gnn.timelines import Recent
from graphrep.embed.gnn.tower import UserTower
from graphrep.embed.sampler import TemporalSampler
from graphrep.graph.hetero import HeteroGraph
from graphrep.vocab import EdgeType

Tensors = Mapping[str, torch.Tensor]


class Inductive(nn.Module):  # type: ignore[misc]  # torch is looked at without its types
    """What is added to the walk: of every node by its neighbourhood, of one that acts by his last events.

    Untrained, it adds nothing, and who acts is the mean of what he met.

    Args:
        widths: input columns by type.
        edge_types: relations that messages go along.
        dim: d.
        recency: of the walk; None: nobody acts, there is no tower.
        layers: steps along edges.
        heads, dropout: of the tower.
    """

    def __init__(
        self,
        widths: Mapping[str, int],
        edge_types: Sequence[EdgeType],
        dim: int,
        recency: float | None,
        *,
        layers: int = 2,
        heads: int = 4,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.encoder = NeighbourEncoder(widths, edge_types, dim, layers=layers)
        self.tower = None if recency is None else UserTower(dim, recency, heads=heads, dropout=dropout)
        self.scale = nn.Parameter(torch.zeros(()))

    def of_events(self, recent: Recent, source: torch.Tensor) -> torch.Tensor:
        """(b, d) of the events of some that act, from (things, d) vectors of what they met."""
        if self.tower is None:
            raise ValueError("nobody acts")
        out: torch.Tensor = self.tower(source[recent.thing], recent)
        return out


@dataclass(frozen=True, eq=False)
class Around:
    """A drawn neighbourhood.

    Attributes:
        nodes: of each type, those it was drawn around first.
        edges: (2, e) places among the nodes, by relation.
        shares: (e,) of each edge in its destination's mean.
    """

    nodes: Tensors
    edges: Mapping[EdgeType, torch.Tensor]
    shares: Mapping[EdgeType, torch.Tensor]

    def without(self, chosen: Tensors) -> Around:
        """Less the edges into some of the nodes: (n,) bool by type."""
        edges, shares = {}, {}
        for kind, index in self.edges.items():
            kept = ~chosen[kind[2]][index[1]]
            edges[kind], shares[kind] = index[:, kept], self.shares[kind][kept]
        return Around(self.nodes, edges, shares)


class Neighbourhoods:
    """Draws them from a graph, both ways along its edges.

    Args:
        g: without reverses.
        neighbours: of a node over all relations; half as many at each further step.
        layers: steps.
        seed: of the draws.
        device: where.
    """

    def __init__(self, g: HeteroGraph, neighbours: int, layers: int, seed: int, device: str) -> None:
        both = g.with_reverses()
        budget = [max(1, neighbours >> step) for step in range(layers)]
        self._sampler = TemporalSampler(both, [-1] * layers, budget=budget, seed=seed, device=device)
        self._weight, self._degree = {}, {}
        for kind, edges in both.edges.items():
            self._weight[kind] = torch.tensor(edges.weight, device=device)
            degree = torch.tensor(edges.dst[edges.weight != 0], device=device)
            self._degree[kind] = torch.bincount(degree, minlength=g.num_nodes[kind[2]])

    def around(self, seeds: Tensors) -> Around:
        """Of nodes by type, each once."""
        found = self._sampler.sample_from_types(seeds)
        edges, shares = {}, {}
        for kind, row in found.row.items():
            edges[kind] = torch.stack([row, found.col[kind]])
            into = found.node[kind[2]]
            weight = self._weight[kind][found.edge[kind]]
            shares[kind] = message_weights(edges[kind], weight, self._degree[kind][into], len(into))
        return Around(found.node, edges, shares)
