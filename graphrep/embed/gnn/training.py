"""Training of the hybrid: what users met next, by sampled softmax, from walks that have not seen them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from graphrep.embed.gnn.batches import Batches, chance_of, drawn
from graphrep.embed.gnn.checkpoint import optimiser_tensors, restore_optimiser
from graphrep.embed.gnn.hybrid import Hybrid, Vectors, Walk
from graphrep.embed.gnn.losses import balanced, sampled_softmax
from graphrep.embed.gnn.negatives import Asked, Place, among
from graphrep.embed.gnn.settings import Training
from graphrep.embed.gnn.timelines import Recent, Timelines
from graphrep.embed.ranks import Ranks
from graphrep.errors import GraphrepError

Tensors = dict[str, torch.Tensor]
_WARM = 50
_LEAST_RATE = 0.02


@dataclass(frozen=True)
class Step:
    """What a step came to: its number of all, the loss in nats, anchors a second so far, seconds to the last step."""

    number: int
    of: int
    loss: float
    anchors_per_second: float
    seconds_left: float


class Trainer:
    """Takes steps. Every draw is a function of the seed and the step: a run that is taken up again goes on the same.

    Several processes take each step together: all know the whole batch, encode and score their part of its anchors,
    and add up the gradients, of the tables those rows alone that the batch touches. Histories and negatives are drawn
    alike in all, what the tower drops apart in each: the loss is that of one process up to that and the order of sums.

    Args:
        lines: events of the graph, on the device of the model.
        walks: one for each fold, in one space, each without the events of its fold.
        fold: (actors,) of each actor.
        types: (first, one after the last) thing of each type.
        training: how.
        seed: of draws and of the tower's parameters.
        recency: of the walk.
        ranks: processes that train together.
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
        ranks: Ranks | None = None,
    ) -> None:
        self.lines, self.walks, self.training, self.seed, self.ranks = lines, walks, training, seed, ranks or Ranks()
        self._device = device = lines.begin.device
        things, dim = walks[0].target.shape
        with drawn(torch.device("cpu"), seed, 0):
            self.model = Hybrid(things, dim, recency, dropout=training.dropout).to(device)
        self._types = [span for span in types if span[0] < span[1]]
        self._starts = torch.tensor([first for first, _ in self._types], device=device)
        self._fold = torch.as_tensor(fold)[lines.actor.cpu()]
        self._ready(Batches(lines, fold, training, seed))

    def _ready(self, batches: Any) -> None:
        """Before the first step; the batches are had by the number of the step, and have a length."""
        self._batches, self.optimiser, self.done, self._scaled = batches, self._made(), 0, False
        self.steps = self.training.epochs * batches.in_an_epoch

    def vectors(self, walk: Walk) -> tuple[Vectors, Vectors]:
        """(actors, d) and (things, d), beside the walk of all."""
        found: tuple[Vectors, Vectors] = self.model.vectors(self.lines, walk, self.training.history)
        return found

    @property
    def _others(self) -> list[torch.nn.Parameter]:
        """All parameters but the tables."""
        return [p for p in self.model.parameters() if p is not self.model.source and p is not self.model.target]

    def _made(self) -> torch.optim.Optimizer:
        training, d = self.training, self.model.target.shape[1]
        tables, others = [self.model.source, self.model.target], self._others
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
            report: called with each step, in the first process.
            keep: called after each epoch but the last, in the first process, to save the state.

        Raises:
            GraphrepError: the loss is no number any more.
        """
        began, begin, seen = time.perf_counter(), self.done, 0
        loss: torch.Tensor | None = None

        def tell(number: int, loss: torch.Tensor) -> None:
            found, took = _finite(loss, number), time.perf_counter() - began
            if report and self.ranks.first:
                left = took / (number - begin) * (self.steps - number)
                report(Step(number, self.steps, found, seen / took, left))

        for number in range(self.done, self.steps):
            anchors = self._batches[number]
            before, loss = loss, self._step(number, anchors)
            if before is not None:
                tell(number, before)  # only now: to read it is to wait for the device
            seen += len(anchors)
            self.done = number + 1
            if self.done % self._batches.in_an_epoch == 0:
                tell(self.done, loss)
                loss = None
                if keep and self.ranks.first and self.done < self.steps:
                    keep(self)

    def _step(self, number: int, anchors: torch.Tensor) -> torch.Tensor:
        for group in self.optimiser.param_groups:
            left = 1 - number / self.steps
            group["lr"] = group["most"] * min(1.0, (number + 1) / _WARM) * max(_LEAST_RATE, left)
        with drawn(self._device, self.seed, number + 1):
            if number == 0 and not self._scaled:
                with torch.no_grad():
                    self._calibrate(anchors)
            loss, touched = self._scored(anchors)
            self.optimiser.zero_grad()
            loss.backward()
        loss = self._summed(loss.detach(), touched)
        self.optimiser.step()
        return loss

    def _calibrate(self, anchors: torch.Tensor) -> None:
        """Begin at the scale of scores at which the walk predicts best."""
        self.model.eval()
        chance, powers, found = chance_of(self._device), np.arange(-3.0, 6.5, 0.5), []
        state = chance.get_state()
        for power in powers:
            chance.set_state(state)
            self.model.scale.fill_(power)
            found.append(self.loss(anchors))
        best = int(self.ranks.summed([torch.stack(found)])[0].argmin())
        self.model.scale.fill_(powers[best])
        self.model.train()

    def loss(self, anchors: torch.Tensor) -> torch.Tensor:
        """Of a batch of anchors of one fold, over the types met, in nats; with several processes of this one's part of
        them, so that the sum over the processes is the loss.

        Args:
            anchors: (b,) events, on the CPU.
        """
        return self._scored(anchors)[0]

    def _scored(self, anchors: torch.Tensor) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
        """The loss, and the rows of both tables that the whole batch touches, some more than once."""
        lines, training = self.lines, self.training
        walk, own = self.walks[int(self._fold[anchors[0]])], self.ranks.part(len(anchors))
        if self._device.type == "cuda":
            anchors = anchors.pin_memory().to(self._device, non_blocking=True)
        recent = self._masked(lines.recent(lines.actor[anchors], anchors, lines.time[anchors], training.history))
        user = self._users(_rows(recent, own), walk) * self.model.scale.exp()
        thing, share = lines.following(anchors, training.horizon, training.decay)
        mine = thing[own].contiguous()
        positive = torch.einsum("bd,bhd->bh", user, self.model.things(mine, walk))
        asked = [self._asked(first, end, thing, share, own) for first, end in self._types]
        # All that the host must know of the batch, in one go: each answer of a device is waited for.
        sizes = torch.stack([size for one in asked for size in one.sizes]).view(-1, 4).tolist()
        losses = {}
        for place, (one, (targets, every, here, found)) in enumerate(zip(asked, sizes, strict=True)):
            scores = product(user, self.model.things(one.negative, walk))
            met = among(one.place, found, len(mine))
            loss = sampled_softmax(positive, scores, weight=one.share[own], log_q=one.log_q, accidental=met)
            losses[place] = loss * (here / max(every, 1)), targets
        touched = recent.thing.ravel(), torch.cat([thing.ravel(), *(one.negative for one in asked)])
        return balanced(losses, training.balance), touched

    def _users(self, recent: Recent, walk: Walk) -> torch.Tensor:
        with self._apart():
            return self.model.users(recent, walk)

    def _apart(self) -> AbstractContextManager[None]:
        """Whatever a process draws for its own anchors inside, the draws for all go on alike in every process."""
        if self.ranks.size == 1:
            return nullcontext()
        return drawn(self._device, self.seed, self.done + 1, self.ranks.rank + 1)

    def _summed(self, loss: torch.Tensor, touched: Sequence[torch.Tensor]) -> torch.Tensor:
        """The loss over all processes; gradients of the parameters become those of all."""
        if self.ranks.size == 1:
            return loss
        tables = [self.model.source.grad, self.model.target.grad]
        rows = [_different(index, len(table)) for index, table in zip(touched, tables, strict=True)]
        others = [p.grad for p in self._others]
        parts = [table[row] for table, row in zip(tables, rows, strict=True)]
        found = self.ranks.summed([*parts, *others, loss])
        for table, row, part in zip(tables, rows, found, strict=False):
            table[row] = part
        for grad, part in zip(others, found[2:], strict=False):
            grad.copy_(part)
        return found[-1]

    def _asked(self, first: int, end: int, thing: torch.Tensor, share: torch.Tensor, own: slice) -> Asked:
        """What the anchors met of one type, against which others."""
        inside = (thing >= first) & (thing < end)
        negative, log_q = self._negatives(first, end)
        share = share * inside
        order = torch.argsort(negative, stable=True)
        place = Place.of(thing[own].contiguous(), inside[own], negative[order], order)
        there = share > 0
        any_there = there.any(1)
        sizes = [there.sum(), any_there.sum(), any_there[own].sum(), place.count.sum()]
        return Asked(negative, log_q, share, place, sizes)

    def _negatives(self, first: int, end: int) -> tuple[torch.Tensor, torch.Tensor]:
        count, device = self.training.negatives, self._device
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
            kind = torch.searchsorted(self._starts, recent.thing, right=True) - 1
            lost = torch.randint(len(self._types), (len(weight), 1), device=weight.device)
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


def _different(index: torch.Tensor, count: int) -> torch.Tensor:
    """Each number once, in order."""
    met = torch.zeros(count, dtype=torch.bool, device=index.device)
    met[index] = True
    return met.nonzero()[:, 0]


def _rows(recent: Recent, own: slice) -> Recent:
    return Recent(*(getattr(recent, field.name)[own].contiguous() for field in fields(recent)))


def _finite(loss: torch.Tensor, number: int) -> float:
    found = float(loss)
    if not math.isfinite(found):
        fix = "lower training.rate and training.table_rate"
        raise GraphrepError("a finite loss", found=repr(found), where=f"step {number}", fix=fix)
    return found
