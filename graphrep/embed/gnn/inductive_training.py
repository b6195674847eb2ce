"""Training of the model of neighbourhoods: links to what is hidden from a view, from walks that have not seen it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch

from graphrep.embed.gnn.batches import drawn
from graphrep.embed.gnn.encoder import feature_dropout
from graphrep.embed.gnn.groups import Group, Groups, Nodes
from graphrep.embed.gnn.hybrid import Walk
from graphrep.embed.gnn.inductive import Inductive, Neighbourhoods
from graphrep.embed.gnn.losses import balanced, easy_and_hard
from graphrep.embed.gnn.settings import NeighbourTraining
from graphrep.embed.gnn.training import Trainer
from graphrep.embed.gnn.views import Targets, View
from graphrep.embed.neighbours import expanded
from graphrep.embed.ranks import Ranks

Tensors = Mapping[str, torch.Tensor]


class Candidates(NamedTuple):
    """Things of one type beside a batch of anchors.

    Attributes:
        scores: (b, k) of each anchor with all of them.
        known: (b, k) those that are no negatives of the anchor.
        log_q: (k,) log of how likely each was to be drawn.
        hardest: (b, hard) of each anchor, the places of its negatives with the highest scores.
    """

    scores: torch.Tensor
    known: torch.Tensor
    log_q: torch.Tensor
    hardest: torch.Tensor


class InductiveTrainer(Trainer):
    """Takes steps as the hybrid's does: every draw is a function of the seed and the step.

    Several processes draw the negatives alike and encode a neighbourhood each, that of their part of the anchors, in
    which nodes lose inputs apart; gradients of all parameters are added up.

    Args:
        nodes: content, and how they are numbered.
        views: with targets, all of the same relations.
        walks: in one space.
        groups: which anchors of which view learn from which walk.
        training: how.
        seed: of draws and of parameters.
        recency: of the walk; None: nobody acts.
    """

    training: NeighbourTraining  # type: ignore[assignment]  # the loop reads what both kinds of settings have
    model: Inductive

    def __init__(
        self,
        nodes: Nodes,
        views: Sequence[View],
        walks: Sequence[Walk],
        groups: Sequence[Group],
        training: NeighbourTraining,
        seed: int,
        recency: float | None,
    ) -> None:
        self.nodes, self.views, self.walks, self.training, self.seed = nodes, views, walks, training, seed
        batches = Groups(groups, training.batch, seed)
        self._device = walks[0].target.device
        self.ranks = Ranks.here(self._device)
        self._dim = walks[0].target.shape[1]
        self._parts = nodes.parts(self._dim)
        widths = {
            kind: self._parts[kind][-1].stop + 1 + activity.shape[1] for kind, activity in views[0].activity.items()
        }
        relations = views[0].g.with_reverses().edge_types
        with drawn(torch.device("cpu"), seed, 0):
            made = Inductive(widths, relations, self._dim, recency, layers=training.layers, dropout=training.dropout)
            self.model = made.to(self._device)
        place = str(self._device)
        self._around = [Neighbourhoods(v.g, training.neighbours, training.layers, seed, place) for v in views]
        events = nodes.events
        bounds = pairwise([*events.things.values(), events.events.shape[1]])
        self._types = [span for span in bounds if span[0] < span[1]]
        self._starts = torch.tensor([first for first, _ in self._types], device=self._device)
        self._relations = [(n, kind) for n, kind in enumerate(views[0].g.edge_types) if kind[0] in events.actors]
        met = events.events
        self._met = [torch.as_tensor(x.astype(np.int64), device=self._device) for x in (met.indptr, met.indices)]
        self._place = torch.full((met.shape[1],), -1, device=self._device)
        self._ready(batches)

    def _made(self) -> torch.optim.Optimizer:
        rate = self.training.rate
        return torch.optim.AdamW([{"params": list(self.model.parameters()), "lr": rate, "most": rate}], fused=True)

    def _calibrate(self, anchors: Group) -> None:
        """As the hybrid's, of one neighbourhood."""
        self.model.eval()
        ranked, powers = self._ranked(anchors), np.arange(-3.0, 6.5, 0.5)
        found = []
        for power in powers:
            self.model.scale.fill_(power)
            found.append(self._judged(*ranked))
        best = int(self.ranks.summed([torch.stack(found)])[0].argmin())
        self.model.scale.fill_(powers[best])
        self.model.train()

    def _scored(self, anchors: Group) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
        return self._judged(*self._ranked(anchors)), ()

    def _summed(self, loss: torch.Tensor, touched: Sequence[torch.Tensor]) -> torch.Tensor:
        if self.ranks.size == 1:
            return loss
        # A parameter that no process's part reached stays without a gradient, as it would in one process.
        every = list(self.model.parameters())
        reached = torch.tensor([p.grad is not None for p in every], dtype=torch.float32, device=self._device)
        parts = [torch.zeros_like(p) if p.grad is None else p.grad for p in every]
        *parts, reached, loss = self.ranks.summed([*parts, reached, loss])
        for parameter, part, some in zip(every, parts, reached.tolist(), strict=True):
            parameter.grad = part.clone() if some else None
        return loss

    def _ranked(self, group: Group) -> tuple[Targets, Targets, torch.Tensor, dict[int, Candidates]]:
        """Targets of the batch; of this process's part of it targets, their scores (b, horizon), and the candidates of
        each type by its first thing."""
        targets = self.views[group.view].targets
        assert targets is not None  # a whole graph has no groups
        every = targets.rows(torch.as_tensor(group.rows, device=self._device))
        asked = targets.rows(torch.as_tensor(group.rows[self.ranks.part(len(group))], device=self._device))
        drawn = {span[0]: self._negatives(*span) for span in self._types}
        wanted = torch.cat([asked.thing[asked.share > 0], *(negative for negative, _ in drawn.values())]).unique()
        with self._apart():
            user, thing = self._vectors(group, asked.actor, wanted)
        place = torch.searchsorted(wanted, asked.thing).clamp(max=len(wanted) - 1)
        positive = torch.einsum("bd,bhd->bh", user, thing[place])
        found = {}
        for first, (negative, log_q) in drawn.items():
            scores = user @ thing[torch.searchsorted(wanted, negative)].T
            known = self._known(asked.actor, negative)
            hard = min(self.training.hard, len(negative))
            hardest = scores.detach().masked_fill(known, -torch.inf).topk(hard).indices
            found[first] = Candidates(scores, known, log_q, hardest)
        return every, asked, positive, found

    def _judged(
        self, every: Targets, asked: Targets, positive: torch.Tensor, found: Mapping[int, Candidates]
    ) -> torch.Tensor:
        scale, training, losses = self.model.scale.exp(), self.training, {}
        for number, kind in self._relations:
            own, whole = (targets.share * (targets.relation == number) for targets in (asked, every))
            count = int((whole > 0).sum())
            if count:
                scores, known, log_q, hardest = found[self.nodes.events.things[kind[2]]]
                loss = easy_and_hard(
                    positive * scale,
                    scores * scale,
                    scores.gather(1, hardest) * scale,
                    share=training.hard_share,
                    weight=own,
                    log_q=log_q,
                    accidental=known,
                    accidental_hard=known.gather(1, hardest),
                )
                anchors, here = (int((x > 0).any(1).sum()) for x in (whole, own))
                losses[kind] = loss * (here / anchors), count
        return balanced(losses, training.balance)

    def _negatives(self, first: int, end: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Different things of a type, in order, and the log of how likely each was to be drawn."""
        count = self.training.negatives
        if end - first <= count:
            found = torch.arange(first, end, device=self._device)
        else:
            found = torch.randint(first, end, (count,), device=self._device).unique()
        return found, torch.full((len(found),), math.log(len(found) / (end - first)), device=self._device)

    def _known(self, actors: torch.Tensor, candidates: torch.Tensor) -> torch.Tensor:
        """(b, k) whether a candidate is the anchor, or one that he ever meets: no negative of his."""
        (first, thing), b = self._met, len(actors)
        every = torch.arange(b, device=self._device)
        row, place = expanded(every, first[actors], first[actors + 1] - first[actors])
        met = thing[place]
        if self.nodes.joint:
            row, met = torch.cat([row, every]), torch.cat([met, actors])
        self._place[candidates] = torch.arange(len(candidates), device=self._device)
        column = self._place[met]
        self._place[candidates] = -1
        found = torch.zeros((b, len(candidates)), dtype=torch.bool, device=self._device)
        found[row[column >= 0], column[column >= 0]] = True
        return found

    def _vectors(self, group: Group, actors: torch.Tensor, things: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(b, d) of actors and (k, d) of things, numbered over their types."""
        view, walk, events = self.views[group.view], self.walks[group.walk], self.nodes.events
        places = {"actor": (events.actors, actors), "thing": (events.things, things)}
        every: dict[str, list[torch.Tensor]] = {}
        for first, ids in places.values():
            for kind, inside in within(first, events.num_nodes, ids).items():
                every.setdefault(kind, []).append(ids[inside] - first[kind])
        seeds = {kind: torch.cat(parts).unique() for kind, parts in every.items()}
        residual, bare, new = self._encoded(group, seeds)
        of_actor, of_thing = (_found(*place, events.num_nodes, seeds) for place in places.values())
        thing = residual[of_thing] + walk.target[things] * ~bare[of_thing, None]
        if self.nodes.joint:
            return residual[of_actor] + walk.target[actors] * ~bare[of_actor, None], thing
        lines = view.lines
        recent = lines.recent(actors, lines.begin[actors + 1], lines.newest(), self.training.history)
        acted = self.model.of_events(self._masked(recent), walk.source)
        return residual[of_actor] + acted * ~new[of_actor, None], thing

    def _encoded(self, group: Group, seeds: Tensors) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Of different nodes, type after type: what is added, whether the walk has no vector, whether one is new."""
        view, walk = self.views[group.view], self.walks[group.walk]
        around = self._around[group.view].around(seeds)
        x = {kind: self.nodes.inputs(view, walk, kind, nodes) for kind, nodes in around.nodes.items()}
        new = {kind: torch.zeros(len(nodes), dtype=torch.bool, device=self._device) for kind, nodes in x.items()}
        if self.model.training:
            chance = torch.Generator(self._device).manual_seed(int(torch.randint(1 << 62, ())))
            x = feature_dropout(x, self._parts, self.training.missing, chance)
            for kind in [kind for kind in self.nodes.content if kind in seeds]:
                lots = torch.rand(len(seeds[kind]), generator=chance, device=self._device)
                new[kind][: len(lots)] = lots < self.training.new
                self._forget(x[kind], kind, new[kind])
            around = around.without(new)
        out = self.model.encoder(x, around.edges, around.shares)
        first = {kind: slice(len(nodes)) for kind, nodes in seeds.items()}
        residual = torch.cat([out[kind][place] for kind, place in first.items()])
        bare = torch.cat([x[kind][place, self._dim] > 0 for kind, place in first.items()])
        return residual, bare, torch.cat([new[kind][place] for kind, place in first.items()])

    def _forget(self, x: torch.Tensor, kind: str, chosen: torch.Tensor) -> None:
        """Leave nothing but its content of some nodes' inputs."""
        content = self._parts[kind][-1]
        keep = torch.zeros(x.shape[1], dtype=torch.bool, device=x.device)
        keep[content.start : content.stop + 1] = True
        unknown = torch.zeros(x.shape[1], device=x.device)
        unknown[[self._dim, -1]] = 1.0
        x[chosen] = torch.where(keep, x[chosen], unknown)


def within(first: Mapping[str, int], sizes: Mapping[str, int], ids: torch.Tensor) -> dict[str, torch.Tensor]:
    """Places, by type, of nodes that are numbered over types; of the types that any is of."""
    found = {kind: ((ids >= begin) & (ids < begin + sizes[kind])).nonzero().ravel() for kind, begin in first.items()}
    return {kind: inside for kind, inside in found.items() if len(inside)}


def _found(first: Mapping[str, int], ids: torch.Tensor, sizes: Mapping[str, int], seeds: Tensors) -> torch.Tensor:
    """Rows of such nodes among the seeds, type after type."""
    begin = dict(zip(seeds, np.cumsum([0, *map(len, seeds.values())]).tolist(), strict=False))
    rows = torch.zeros_like(ids)
    for kind, inside in within(first, sizes, ids).items():
        rows[inside] = begin[kind] + torch.searchsorted(seeds[kind], ids[inside] - first[kind])
    return rows
