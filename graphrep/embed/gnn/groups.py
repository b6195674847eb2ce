"""Which anchors of which view a step learns from, and what is known of nodes beside their edges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from graphrep.embed.gnn.hybrid import Walk
from graphrep.embed.gnn.views import View
from graphrep.embed.histories import Histories
from graphrep.errors import InputError
from graphrep.graph.hetero import HeteroGraph

Tensors = Mapping[str, torch.Tensor]


@dataclass(frozen=True)
class Group:
    """Anchors that are learnt from together: rows of a view's targets, and the walk that has not seen them."""

    view: int
    walk: int
    rows: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)


class Groups:
    """Batches of all steps, by their number: every anchor once in an epoch, a batch of one group.

    Args:
        groups: of all anchors.
        batch: anchors of a step.
        seed: of the draws.

    Raises:
        InputError: nobody met anything after something else.
    """

    def __init__(self, groups: Sequence[Group], batch: int, seed: int) -> None:
        self._groups, self._batch, self._seed = [group for group in groups if len(group)], batch, seed
        if not self._groups:
            expected, fix = "edges at two moments or more, or without times", "pass model='autocovariance'"
            raise InputError(expected, found="nothing to predict from anything else", where="graph", fix=fix)
        self._known = 0, self._epoch(0)
        self.in_an_epoch = len(self._known[1])

    def __getitem__(self, number: int) -> Group:
        epoch, place = divmod(number, self.in_an_epoch)
        if self._known[0] != epoch:
            self._known = epoch, self._epoch(epoch)
        return self._known[1][place]

    def _epoch(self, epoch: int) -> list[Group]:
        chance, batches = np.random.default_rng([self._seed, epoch]), []
        for group in self._groups:
            parts = np.array_split(chance.permutation(group.rows), -(-len(group) // self._batch))
            batches += [Group(group.view, group.walk, part) for part in parts]
        return [batches[place] for place in chance.permutation(len(batches))]


@dataclass(frozen=True, eq=False)
class Nodes:
    """What a model knows of nodes beside edges, on one device.

    Attributes:
        events: of the whole graph: how actors and things are numbered, and whom each must not be told from.
        content: (n, f + 1) of the types that have any, of ``inputs.content_columns``.
    """

    events: Histories
    content: Tensors

    @property
    def joint(self) -> bool:
        """Whether every node acts and is met."""
        return self.events.actors == self.events.things

    def walked(self, view: View, walk: Walk, kind: str, nodes: torch.Tensor) -> torch.Tensor:
        """(b, d) of the walk, for inputs; of who acts, the mean of what he met."""
        if kind in self.events.things:
            return walk.target[nodes + self.events.things[kind]]
        return view.pooled(nodes + self.events.actors[kind], walk.source)

    def told_from(self, view: View) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows of a view's targets whose anchor has an edge there, or content; and the anchors."""
        if view.targets is None:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        actor = view.targets.actor.cpu().numpy()
        known = np.zeros(view.events.events.shape[0], bool)
        for kind, first in self.events.actors.items():
            own = slice(first, first + self.events.num_nodes[kind])
            known[own] = connected(view.g, kind)
            if kind in self.content:
                known[own] |= (self.content[kind][:, -1] == 0).cpu().numpy()
        rows = np.flatnonzero(known[actor])
        return rows, actor[rows]

    def inputs(self, view: View, walk: Walk, kind: str, nodes: torch.Tensor) -> torch.Tensor:
        """(b, columns) of ``inputs.node_inputs`` as of a view."""
        own = self.walked(view, walk, kind, nodes)
        columns = [own, (own == 0).all(1, keepdim=True).to(own.dtype)]
        if kind in self.content:
            columns.append(self.content[kind][nodes])
        return torch.cat([*columns, view.activity[kind][nodes]], 1)

    def parts(self, dim: int) -> dict[str, list[slice]]:
        """Columns of the inputs that a node may lack as a whole; the next one is the flag."""
        parts = {kind: [slice(0, dim)] for kind in self.events.num_nodes}
        for kind, content in self.content.items():
            parts[kind].append(slice(dim + 1, dim + content.shape[1]))
        return parts


def connected(g: HeteroGraph, kind: str) -> NDArray[np.bool_]:
    """(n,) whether a node has an edge.

    >>> from graphrep.graph import EdgeList
    >>> g = HeteroGraph.from_edges({"user": 3}, {("user", "follows", "user"): EdgeList([0], [2])})
    >>> connected(g, "user")
    array([ True, False,  True])
    """
    known = np.zeros(g.num_nodes[kind], bool)
    for (source, _, destination), edges in g.edges.items():
        for own, nodes in ((source, edges.src), (destination, edges.dst)):
            if own == kind:
                known[nodes[edges.weight != 0]] = True
    return known
