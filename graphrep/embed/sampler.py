"""Neighbourhoods of a batch of nodes as of their own moments, for torch_geometric's loaders; plain torch.

Hamilton, Ying, Leskovec: Inductive Representation Learning on Large Graphs, NeurIPS 2017, section 3.1, for several
types and relations, by weight, and never a neighbour from after the node's time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch_geometric.sampler import BaseSampler, HeteroSamplerOutput
from torch_geometric.sampler.neighbor_sampler import edge_sample, node_sample

from graphrep.embed.backend import Backend
from graphrep.embed.neighbours import Neighbours, at
from graphrep.errors import InputError
from graphrep.graph.hetero import HeteroGraph
from graphrep.vocab import EdgeType

Hops = Sequence[int]


# torch_geometric is looked at without its types.
class TemporalSampler(BaseSampler):  # type: ignore[misc]
    """Draws neighbours by weight, without replacement, from what was there by the time of the seed.

    Messages go from source to destination: the neighbours of a node are the sources of the edges into it. Pass
    ``g.with_reverses()`` so that they go both ways. With seed times each seed has a neighbourhood of its own (``batch``
    says whose), and no edge in it is later than the seed; without them the seeds share one, and every edge counts. The
    draws are a function of the seeds, their times and ``seed`` alone: workers, and a run that is taken up again, draw
    the same.

    Args:
        g: the graph; ``g.to_pyg()`` is the data for the loader.
        num_neighbors: neighbours of a node by each relation, one number a hop, −1 for all; or such a list by relation.
        budget: neighbours of a node over all its relations, one number a hop: dealt out evenly, so that a large
            relation cannot crowd out a small one, and what a small one lacks goes to the others.
        seed: of the draws.
        device: torch device where the graph lies and draws are made.
        strictly_before: leave out edges at the very time of the seed, such as the one that is to be predicted.

    Raises:
        InputError: numbers below −1, lists of unequal length, a relation that is not in the graph.

    >>> from graphrep.graph import EdgeList
    >>> g = HeteroGraph.from_edges(
    ...     {"user": 2, "host": 3}, {("user", "watches", "host"): EdgeList([0, 0, 1], [0, 1, 1], time=[5, 9, 9])}
    ... )
    >>> from torch_geometric.sampler import NodeSamplerInput
    >>> asked = NodeSamplerInput(None, torch.tensor([0]), torch.tensor([7]), "user")
    >>> TemporalSampler(g.with_reverses(), [-1]).sample_from_nodes(asked).node["host"].tolist()
    [0]
    """

    def __init__(
        self,
        g: HeteroGraph,
        num_neighbors: Hops | Mapping[EdgeType, Hops],
        *,
        budget: Hops | None = None,
        seed: int = 0,
        device: str = "cpu",
        strictly_before: bool = False,
    ) -> None:
        Backend(device)
        self._hops = _hops(g, num_neighbors, budget)
        self._budget, self._seed, self._device, self._strictly = budget, seed, device, strictly_before
        self._sizes = dict(g.num_nodes)
        self._places = {kind: torch.full((n,), -1, device=device) for kind, n in self._sizes.items()}
        self._relations = {
            edge_type: Neighbours(edges, g.num_nodes[edge_type[2]], device) for edge_type, edges in g.edges.items()
        }

    def sample_from_nodes(self, index: Any, **_: Any) -> HeteroSamplerOutput:
        """Neighbourhoods of a ``NodeSamplerInput``."""
        return node_sample(index, self.sample_from_types)

    def sample_from_edges(self, index: Any, neg_sampling: Any = None) -> HeteroSamplerOutput:
        """Neighbourhoods of both ends of an ``EdgeSamplerInput``, and of negatives where they are asked for."""
        return edge_sample(index, self.sample_from_types, self._sizes, index.time is not None, None, neg_sampling)

    def sample_from_types(
        self, seeds: Mapping[str, torch.Tensor], times: Mapping[str, torch.Tensor] | None = None
    ) -> HeteroSamplerOutput:
        """Neighbourhoods of nodes of several types.

        Args:
            seeds: by type; they come first among the nodes of the type. Without times each once.
            times: by the same types; None: all edges count, and neighbourhoods are shared.
        """
        found = {
            kind: _Apart(n, self._device) if times else _Found(self._places[kind]) for kind, n in self._sizes.items()
        }
        try:
            return self._walked(seeds, times, found)
        finally:
            for x in found.values():
                x.forget()

    def _walked(
        self, seeds: Mapping[str, torch.Tensor], times: Mapping[str, torch.Tensor] | None, found: dict[str, _Found]
    ) -> HeteroSamplerOutput:
        generator = torch.Generator(self._device).manual_seed(self._draw_of(seeds, times))
        trees = 0
        for kind, nodes in seeds.items():
            found[kind].begin(nodes.to(self._device), torch.arange(trees, trees + len(nodes), device=self._device))
            trees += len(nodes)
        moments = torch.cat([times[kind] for kind in seeds]).to(self._device) if times else None
        rows: dict[EdgeType, list[tuple[torch.Tensor, ...]]] = {kind: [] for kind in self._relations}
        for hop in range(len(next(iter(self._hops.values()), ()))):
            self._hop(hop, found, rows, moments, generator)
        nothing = (torch.zeros(0, dtype=torch.int64, device=self._device),) * 3
        joined = {e: tuple(map(torch.cat, zip(*parts, strict=True))) if parts else nothing for e, parts in rows.items()}
        return HeteroSamplerOutput(
            node={kind: x.nodes for kind, x in found.items()},
            row={kind: parts[0] for kind, parts in joined.items()},
            col={kind: parts[1] for kind, parts in joined.items()},
            edge={kind: parts[2] for kind, parts in joined.items()},
            batch={kind: x.trees for kind, x in found.items()} if times else None,
            num_sampled_nodes={kind: x.sizes for kind, x in found.items()},
            num_sampled_edges={kind: [len(part[0]) for part in parts] for kind, parts in rows.items()},
        )

    def _draw_of(self, seeds: Mapping[str, torch.Tensor], times: Mapping[str, torch.Tensor] | None) -> int:
        digest = hashlib.blake2b(str(self._seed).encode(), digest_size=8)
        for columns in (seeds, times or {}):
            for kind, column in columns.items():
                digest.update(kind.encode() + column.cpu().numpy().tobytes())
        return int.from_bytes(digest.digest(), "little") >> 1

    def _hop(self, hop: int, found: Any, rows: Any, moments: torch.Tensor | None, generator: torch.Generator) -> None:
        drawn: dict[EdgeType, tuple[torch.Tensor, torch.Tensor]] = {}
        for kind, asking in found.items():
            into = [edge_type for edge_type in self._relations if edge_type[2] == kind]
            first, nodes, trees = asking.newest()
            when = None if moments is None else at(moments, trees)
            ranges = [self._relations[e].ranges(nodes, when, strictly=self._strictly) for e in into]
            wanted = self._wanted(hop, into, ranges)
            for edge_type, (begin, end), number in zip(into, ranges, wanted, strict=True):
                row, place = self._relations[edge_type].draw(begin, end, number, generator)
                drawn[edge_type] = row + first, place
        for edge_type, (col, place) in drawn.items():
            relation = self._relations[edge_type]
            row = found[edge_type[0]].met(at(relation.source, place), found[edge_type[2]], col)
            rows[edge_type].append((row, col, at(relation.edge, place)))
        for asked in found.values():
            asked.close()

    def _wanted(self, hop: int, into: Sequence[EdgeType], ranges: Any) -> list[torch.Tensor]:
        """For each relation, how many neighbours every node may have of it."""
        given = []
        for edge_type, (begin, end) in zip(into, ranges, strict=True):
            most = self._hops[edge_type][hop]
            given.append(end - begin if most < 0 else (end - begin).clamp(max=most))
        if self._budget is None or self._budget[hop] < 0 or not given:
            return given
        # The smallest takes its even share or all it has; what it leaves is shared by those after it.
        count, order = torch.sort(torch.stack(given), dim=0, stable=True)
        left = torch.full_like(count[0], self._budget[hop])
        for place in range(len(count)):
            count[place] = torch.minimum(count[place], left // (len(count) - place))
            left = left - count[place]
        return list(torch.empty_like(count).scatter_(0, order, count))


class _Found:
    """Nodes of one type that a batch has met, in the order of meeting; each once."""

    def __init__(self, places: torch.Tensor) -> None:
        self._places = places  # of every node of the type; −1: not met
        self.nodes = places[:0]
        self.trees = places[:0]
        self.sizes = [0]
        self._first = 0

    def begin(self, nodes: torch.Tensor, trees: torch.Tensor) -> None:
        self.nodes, self.sizes = nodes, [len(nodes)]
        self._places[nodes] = torch.arange(len(nodes), device=nodes.device)

    def newest(self) -> tuple[int, torch.Tensor, torch.Tensor]:
        """Of the nodes met last: the place of the first, the nodes, their seeds."""
        return self._first, self.nodes[self._first :], self.trees[self._first :]

    def met(self, nodes: torch.Tensor, asking: _Found, col: torch.Tensor) -> torch.Tensor:
        """Places of the neighbours of the asking nodes, new ones put at the end."""
        fresh = nodes.masked_select(at(self._places, nodes) < 0)
        # Of a node met several times at once the first counts: it has the largest of the numbers, all above −1.
        number = torch.arange(len(fresh), 0, -1, device=nodes.device)
        self._places.scatter_reduce_(0, fresh, number, "amax")
        fresh = fresh.masked_select(at(self._places, fresh) == number)
        first = len(self.nodes)
        self._places.scatter_(0, fresh, torch.arange(first, first + len(fresh), device=nodes.device))
        self.nodes = torch.cat([self.nodes, fresh])
        return at(self._places, nodes)

    def close(self) -> None:
        """End of a hop: what was met in it asks in the next."""
        self._first = sum(self.sizes)
        self.sizes.append(len(self.nodes) - self._first)

    def forget(self) -> None:
        """Leave the table as it was."""
        self._places.index_fill_(0, self.nodes, -1)


class _Apart(_Found):
    """The same for seeds that have a neighbourhood each: a node counts once for each seed."""

    def __init__(self, n: int, device: str) -> None:
        super().__init__(torch.zeros(0, dtype=torch.int64, device=device))
        self._n, self._nobody = n, self.nodes.new_full((1,), torch.iinfo(torch.int64).max)

    def begin(self, nodes: torch.Tensor, trees: torch.Tensor) -> None:
        self.nodes, self.trees, self.sizes = nodes, trees, [len(nodes)]

    def met(self, nodes: torch.Tensor, asking: _Found, col: torch.Tensor) -> torch.Tensor:
        different, back = torch.unique(at(asking.trees, col) * self._n + nodes, return_inverse=True)
        # The end of the sorted column is a key that nobody has.
        known, local = torch.sort(torch.cat([self.trees * self._n + self.nodes, self._nobody]))
        where = torch.searchsorted(known, different)
        old = at(known, where) == different
        fresh = different.masked_select(~old)
        place = torch.where(old, at(local, where), len(self.nodes) - 1 + torch.cumsum(~old, 0))
        self.nodes, self.trees = torch.cat([self.nodes, fresh % self._n]), torch.cat([self.trees, fresh // self._n])
        return at(place, back)

    def forget(self) -> None:
        """There is no table."""


def _hops(g: HeteroGraph, given: Hops | Mapping[EdgeType, Hops], budget: Hops | None) -> dict[EdgeType, list[int]]:
    lists = given if isinstance(given, Mapping) else dict.fromkeys(g.edge_types, given)
    unknown = [edge_type for edge_type in lists if edge_type not in g.edges]
    if unknown or len(lists) < len(g.edge_types):
        missing = [edge_type for edge_type in g.edge_types if edge_type not in lists]
        expected = "a list for every relation of the graph"
        raise InputError(expected, found=f"none for {missing}, one for {unknown}", where="num_neighbors")
    hops = {edge_type: list(numbers) for edge_type, numbers in lists.items()}
    every = [*hops.values(), *([] if budget is None else [list(budget)])]
    if len({len(numbers) for numbers in every}) > 1:
        raise InputError("as many hops everywhere", found=str(sorted(map(len, every))), where="num_neighbors, budget")
    for number in (number for numbers in every for number in numbers):
        if isinstance(number, bool) or not isinstance(number, int) or number < -1:
            raise InputError("integers of at least −1", found=repr(number), where="num_neighbors, budget")
    return hops
