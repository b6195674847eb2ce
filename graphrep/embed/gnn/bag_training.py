"""Training of bags: each thing that a user met, predicted from all the others, by sampled softmax on cosines.

Wu et al.: On the Effectiveness of Sampled Softmax Loss for Item Recommendation, ACM TOIS 42(4), 2024 (cosines over a
temperature keep popular things from growing long). The thing that is to be predicted is taken out of its user's sum
exactly, so that nothing is learnt from a thing about itself: what a walk or a table knows of a pair does not leak.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from graphrep.embed.gnn.bags import Bags, Events, unit
from graphrep.embed.gnn.hybrid import Vectors, Walk
from graphrep.embed.gnn.losses import balanced, sampled_softmax
from graphrep.embed.gnn.negatives import known_among
from graphrep.embed.gnn.settings import BagTraining
from graphrep.embed.gnn.training import Trainer, product
from graphrep.embed.ranks import Ranks
from graphrep.errors import InputError


class BagTrainer(Trainer):
    """Takes steps over batches of users, as ``Trainer`` does over anchors.

    Args:
        events: of the graph, on the device of the model.
        walk: of all users.
        types: (first, one after the last) thing of each type.
        training: how.
        seed: of draws.
        ranks: processes that train together: all is drawn alike, and each sums up and scores its part of the users.
    """

    training: BagTraining  # type: ignore[assignment]  # the loop reads what both kinds of settings have

    def __init__(
        self,
        events: Events,
        walk: Walk,
        types: Sequence[tuple[int, int]],
        training: BagTraining,
        seed: int,
        ranks: Ranks | None = None,
    ) -> None:
        self.ranks, self._device = ranks or Ranks(), walk.target.device
        self.events, self.walks, self.seed, self.training = events, [walk], seed, training
        self.model = Bags(*walk.target.shape).to(walk.target.device)
        met = torch.unique(events.thing)
        kinds = [(first, end, met[(met >= first) & (met < end)]) for first, end in types]
        self._kinds = [(first, end, own) for first, end, own in kinds if len(own)]
        self._ready(Users(events, training, seed))

    def vectors(self, walk: Walk) -> tuple[Vectors, Vectors]:
        """(actors, d) and (things, d)."""
        found: tuple[Vectors, Vectors] = self.model.vectors(self.events, walk)
        return found

    def _calibrate(self, anchors: torch.Tensor) -> None:
        """The scale of cosines is a setting."""

    def _scored(self, anchors: torch.Tensor) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
        """Of a batch of users, over the types met, in nats, each user alike; and the rows that the batch touches."""
        training, walk, model, own = self.training, self.walks[0], self.model, self.ranks.part(len(anchors))
        at, row = self.events.of_actors(anchors)
        kept = self._kept(anchors, row)
        thing, weight = self.events.thing[at], self.events.weight[at]
        place, there = self._targets(anchors)
        target, inside = thing[place], kept[place]
        others = torch.zeros(len(anchors), device=row.device).index_add_(0, row, kept.float())[:, None] - inside.float()
        share = (there & (others > 0)).float()
        mine = (row - own.start) % own.step == 0
        summed, count = kept & mine, len(target[own])
        user = model.users(row[summed] // own.step, count, thing[summed], weight[summed], walk)
        rest = user[:, None] - model.parts(target[own], weight[place[own]] * inside[own], walk)
        positive = (unit(rest) * model.things(target[own], walk)).sum(-1)
        losses, drawn = {}, []
        for first, end, met in self._kinds:
            negative, log_q = self._of_type(met)
            drawn.append(negative)
            scores = product(unit(user), model.things(negative, walk))
            asked = share * ((target >= first) & (target < end))
            known = known_among(row[mine] // own.step, thing[mine], negative, count)
            options = {"log_q": log_q, "accidental": known, "temperature": training.temperature}
            every, here = (int((x > 0).any(1).sum()) for x in (asked, asked[own]))
            loss = sampled_softmax(positive, scores, weight=asked[own], **options) * (here / max(every, 1))
            losses[first] = loss, int((asked > 0).sum())
        return balanced(losses, training.balance), (thing, torch.cat([target.ravel(), *drawn]))

    def _kept(self, anchors: torch.Tensor, row: torch.Tensor) -> torch.Tensor:
        """(k,) bool, which events a step sums up."""
        count = (self.events.begin[anchors + 1] - self.events.begin[anchors]).float()
        share = (self.training.history / count.clamp(min=1)).clamp(max=1 - self.training.event_dropout)
        return torch.rand(len(row), device=row.device) < share[row]

    def _targets(self, anchors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(b, targets) events among those of the batch: all of a user, or as many drawn; and whether there is one."""
        count = self.events.begin[anchors + 1] - self.events.begin[anchors]
        first = torch.cumsum(count, 0) - count
        place = torch.arange(self.training.targets, device=anchors.device)[None]
        draws = torch.rand((len(anchors), self.training.targets), dtype=torch.float64, device=anchors.device)
        many = count[:, None] > self.training.targets
        inside = torch.where(many, (draws * count[:, None]).long(), torch.minimum(place, count[:, None] - 1))
        return first[:, None] + inside, many | (place < count[:, None])

    def _of_type(self, met: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        count = self.training.negatives
        if len(met) <= count:
            return met, torch.zeros(len(met), device=met.device)
        place = torch.randint(len(met), (count,), device=met.device)
        return met[place], torch.full((count,), math.log(count / len(met)), device=met.device)


class Users:
    """Users of all steps, by their number: an epoch has everyone who met two things.

    Raises:
        InputError: nobody did.
    """

    def __init__(self, events: Events, training: BagTraining, seed: int) -> None:
        self._able = np.flatnonzero(np.diff(events.begin.cpu().numpy()) > 1)
        self._seed, self._device = seed, events.begin.device
        if not len(self._able):
            fix = "pass model='autocovariance'"
            raise InputError("users who met two things or more", found="none", where="graph", fix=fix)
        self.in_an_epoch = -(-len(self._able) // training.batch)
        self._known: tuple[int, list[NDArray[np.int64]]] = -1, []

    def __getitem__(self, number: int) -> torch.Tensor:
        epoch, place = divmod(number, self.in_an_epoch)
        if self._known[0] != epoch:
            order = np.random.default_rng([self._seed, epoch]).permutation(self._able)
            self._known = epoch, np.array_split(order, self.in_an_epoch)
        return torch.as_tensor(self._known[1][place], device=self._device)
