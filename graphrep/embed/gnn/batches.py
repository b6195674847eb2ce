"""Which moments of which users a step learns from; and chance that is a function of the seed and the step alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray

from graphrep.embed.gnn.settings import Training
from graphrep.embed.gnn.timelines import Timelines
from graphrep.errors import InputError


class Batches:
    """Anchors of all steps, by their number: an epoch has some of every user, a batch those of one fold.

    Args:
        lines: events.
        fold: (actors,) of each actor.
        training: its batch and its anchors.
        seed: of the draws.

    Raises:
        InputError: nobody met anything after something else.
    """

    def __init__(self, lines: Timelines, fold: NDArray[np.int64], training: Training, seed: int) -> None:
        self._anchors, self._actor = lines.anchors().cpu().numpy(), lines.actor.cpu().numpy()
        self._fold, self._training, self._seed = fold, training, seed
        if not len(self._anchors):
            fix = "pass model='autocovariance'"
            raise InputError("users with events at two moments or more", found="none", where="graph", fix=fix)
        self._known: tuple[int, list[NDArray[np.int64]]] = 0, self._epoch(0)
        self.in_an_epoch = len(self._known[1])

    def __getitem__(self, number: int) -> torch.Tensor:
        """On the CPU, whatever the device of the events."""
        epoch, place = divmod(number, self.in_an_epoch)
        if self._known[0] != epoch:
            self._known = epoch, self._epoch(epoch)
        return torch.as_tensor(self._known[1][place])

    def _epoch(self, epoch: int) -> list[NDArray[np.int64]]:
        """As many in every epoch: how many anchors a user has does not change, only which."""
        chance = np.random.default_rng([self._seed, epoch])
        drawn = chance.permutation(self._anchors)
        drawn = drawn[np.argsort(self._actor[drawn], kind="stable")]
        actor = self._actor[drawn]
        drawn = chance.permutation(
            drawn[np.arange(len(drawn)) - np.searchsorted(actor, actor) < self._training.anchors]
        )
        fold, batches = self._fold[self._actor[drawn]], []
        for number in np.unique(fold):
            own = drawn[fold == number]
            batches += np.array_split(own, -(-len(own) // self._training.batch))
        return [batches[place] for place in chance.permutation(len(batches))]


def chance_of(device: torch.device) -> torch.Generator:
    """What torch draws from on a device."""
    if device.type != "cuda":
        return torch.default_generator
    return torch.cuda.default_generators[torch.cuda.current_device() if device.index is None else device.index]


@contextmanager
def drawn(device: torch.device, *place: int) -> Iterator[None]:
    """torch's own draws on a device inside are of this seed, step, …; outside they go on as before."""
    chance = chance_of(device)
    before = chance.get_state()
    chance.manual_seed(int(np.random.SeedSequence(place).generate_state(1, np.uint64)[0] >> 1))
    try:
        yield
    finally:
        chance.set_state(before)
