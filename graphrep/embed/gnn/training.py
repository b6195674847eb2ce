"""Training of the hybrid: what users met next, by sampled softmax, from walks that have not seen them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from graphrep.embed.gnn.batches import Batches, drawn
from graphrep.embed.gnn.checkpoint import optimiser_tensors, restore_optimiser
from graphrep.embed.gnn.hybrid import Hybrid, Vectors, Walk
from graphrep.embed.gnn.losses import balanced, sampled_softmax
from graphrep.embed.gnn.settings import Training
from graphrep.embed.gnn.timelines import Recent, Timelines
from graphrep.errors import GraphrepError

Tensors = dict[str, torch.Tensor]
_WARM = 50
_LEAST_RATE = 0.02


@dataclass(frozen=True)
class Step:
    """What a step came to: its number of all, the loss in nats, anchors a second so far."""

    number: int
    of: int
    loss: float
    anchors_per_second: float


class Trainer:
    """Takes steps. Every draw is a function of the seed and the step: a run that is taken up again goes on the same.

    Args:
        lines: events of the graph, on the device of the model.
        walks: one for each fold, in one space, each without the events of its fold.
        fold: (actors,) of each actor.
        types: (first, one after the last) thing of each type.
        training: how.
        seed: of draws and of the tower's parameters.
        recency: of the walk.
    """

    def __init__(
        self,
        lines: Timelines,
        walks: Sequence[Walk],
        fold: NDArray[np.int64],
        types: Sequence[tuple[int, int]],
        training: Training,
        seed: int,
        recency: float,
    ) -> None:
        self.lines, self.walks, self.training, self.seed = lines, walks, training, seed
        device = lines.begin.device
        things, dim = walks[0].target.shape
        with drawn(seed, 0):
            self.model = Hybrid(things, dim, recency, dropout=training.dropout).to(device)
        self._types = [span for span in types if span[0] < span[1]]
        self._fold = torch.as_tensor(fold, device=device)[lines.actor]
        self._ready(Batches(lines, fold, training, seed))

    def _ready(self, batches: Any) -> None:
        """Before the first step; the batches are had by the number of the step, and have a length."""
        self._batches, self.optimiser, self.done, self._scaled = batches, self._made(), 0, False
        self.steps = self.training.epochs * batches.in_an_epoch

    def vectors(self, walk: Walk) -> tuple[Vectors, Vectors]:
        """(actors, d) and (things, d), beside the walk of all."""
        found: tuple[Vectors, Vectors] = self.model.vectors(self.lines, walk, self.training.history)
        return found

    def _made(self) -> torch.optim.Optimizer:
        training, d = self.training, self.model.target.shape[1]
        tables = [self.model.source, self.model.target]
        others = [p for p in self.model.parameters() if all(p is not table for table in tables)]
        rate = training.table_rate / math.sqrt(d)
        groups = [{"params": tables, "lr": rate, "most": rate, "weight_decay": training.tether / rate}]
        if others:
            groups.append({"params": others, "lr": training.rate, "most": training.rate, "weight_decay": 0.01})
        return torch.optim.AdamW(groups, fused=True)

    def state(self) -> Tensors:
        """All that a later trainer of the same arguments needs to go on."""
        return {**_prefixed("model.", self.model.state_dict()), **optimiser_tensors(self.optimiser)}

    def restore(self, tensors: Mapping[str, torch.Tensor], done: int) -> None:
        """Go on after step ``done``."""
        self.model.load_state_dict({k[6:]: x for k, x in tensors.items() if k.startswith("model.")})
        restore_optimiser(self.optimiser, tensors)
        self.done = done

    def begin(self, parameters: Mapping[str, torch.Tensor]) -> None:
        """Take the first step from what was learnt before, its scale of scores included."""
        self.model.load_state_dict(dict(parameters))
        self._scaled = True

    def run(self, report: Callable[[Step], None] | None = None, keep: Callable[[Trainer], None] | None = None) -> None:
        """Take all steps that are left.

        Args:
            report: called after each step.
            keep: called after each epoch but the last, to save the state.

        Raises:
            GraphrepError: the loss is no number any more.
        """
        began, seen = time.perf_counter(), 0
        for number in range(self.done, self.steps):
            anchors = self._batches[number]
            loss = self._step(number, anchors)
            seen += len(anchors)
            self.done = number + 1
            if report:
                report(Step(self.done, self.steps, loss, seen / (time.perf_counter() - began)))
            if keep and self.done % self._batches.in_an_epoch == 0 and self.done < self.steps:
                keep(self)

    def _step(self, number: int, anchors: torch.Tensor) -> float:
        for group in self.optimiser.param_groups:
            left = 1 - number / self.steps
            group["lr"] = group["most"] * min(1.0, (number + 1) / _WARM) * max(_LEAST_RATE, left)
        with drawn(self.seed, number + 1):
            if number == 0 and not self._scaled:
                with torch.no_grad():
                    self._calibrate(anchors)
            loss = self.loss(anchors)
            self.optimiser.zero_grad()
            loss.backward()
        found = float(loss.detach())
        if not math.isfinite(found):
            fix = "lower training.rate and training.table_rate"
            raise GraphrepError("a finite loss", found=repr(found), where=f"step {number + 1}", fix=fix)
        self.optimiser.step()
        return found

    def _calibrate(self, anchors: torch.Tensor) -> None:
        """Begin at the scale of scores at which the walk predicts best."""
        self.model.eval()
        state, found = torch.get_rng_state(), []
        for power in np.arange(-3.0, 6.5, 0.5):
            torch.set_rng_state(state)
            self.model.scale.fill_(power)
            found.append((float(self.loss(anchors)), float(power)))
        self.model.scale.fill_(min(found)[1])
        self.model.train()

    def loss(self, anchors: torch.Tensor) -> torch.Tensor:
        """Of a batch of anchors of one fold, over the types met, in nats."""
        lines, training = self.lines, self.training
        walk = self.walks[int(self._fold[anchors[0]])]
        recent = lines.recent(lines.actor[anchors], anchors, lines.time[anchors], training.history)
        user = self.model.users(self._masked(recent), walk) * self.model.scale.exp()
        thing, share = lines.following(anchors, training.horizon, training.decay)
        positive = torch.einsum("bd,bhd->bh", user, self.model.things(thing, walk))
        row = torch.arange(len(thing), device=thing.device)[:, None].expand_as(thing)
        losses = {}
        for first, end in self._types:
            inside = (thing >= first) & (thing < end)
            negative, log_q = self._negatives(first, end)
            scores = product(user, self.model.things(negative, walk))
            own = share * inside
            met = known_among(row[inside], thing[inside], negative, len(thing))
            loss = sampled_softmax(positive, scores, weight=own, log_q=log_q, accidental=met)
            losses[first] = loss, int((own > 0).sum())
        return balanced(losses, training.balance)

    def _negatives(self, first: int, end: int) -> tuple[torch.Tensor, torch.Tensor]:
        count, device = self.training.negatives, self.lines.begin.device
        if end - first <= count:
            return torch.arange(first, end, device=device), torch.zeros(end - first, device=device)
        drawn = torch.randint(first, end, (count,), device=device)
        return drawn, torch.full((count,), math.log(count / (end - first)), device=device)

    def _masked(self, recent: Recent) -> Recent:
        """Histories with events and whole surfaces left out; none loses all it has."""
        if not self.model.training:
            return recent
        weight, training = recent.weight, self.training
        kept = torch.rand(weight.shape, device=weight.device) >= training.event_dropout
        if len(self._types) > 1:
            starts = torch.tensor([first for first, _ in self._types], device=weight.device)
            kind = torch.searchsorted(starts, recent.thing, right=True) - 1
            lost = torch.randint(len(starts), (len(weight), 1), device=weight.device)
            losing = torch.rand((len(weight), 1), device=weight.device) < training.surface_dropout
            kept &= ~(losing & (kind == lost))
        left = weight * kept
        return replace(recent, weight=torch.where(left.any(1, keepdim=True), left, weight))


def _prefixed(prefix: str, tensors: Mapping[str, torch.Tensor]) -> Tensors:
    return {prefix + name: x for name, x in tensors.items()}


def product(user: torch.Tensor, thing: torch.Tensor) -> torch.Tensor:
    """(b, k) float32 scores; in bfloat16 where the processor multiplies that faster."""
    if user.is_cuda or torch.cpu._is_avx512_bf16_supported():
        return (user.bfloat16() @ thing.bfloat16().T).float()
    return user @ thing.T


def known_among(row: torch.Tensor, thing: torch.Tensor, negative: torch.Tensor, rows: int) -> torch.Tensor:
    """(rows, k) bool, whether a negative is one of the things of a row.

    Args:
        row: (e,) of each thing.
        thing: (e,).
        negative: (k,), some maybe twice.

    >>> known_among(torch.tensor([0, 1]), torch.tensor([7, 8]), torch.tensor([8, 7, 8]), 2).int().tolist()
    [[0, 1, 0], [1, 0, 1]]
    """
    order = torch.argsort(negative, stable=True)
    ordered = negative[order]
    low, high = torch.searchsorted(ordered, thing), torch.searchsorted(ordered, thing, right=True)
    count = high - low
    at = torch.repeat_interleave(low - (torch.cumsum(count, 0) - count), count)
    place = order[at + torch.arange(len(at), device=at.device)]
    found = torch.zeros((rows, len(negative)), dtype=torch.bool, device=thing.device)
    found[torch.repeat_interleave(row, count), place] = True
    return found
