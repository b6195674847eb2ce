"""Several processes that fit one embedding together, by torch.distributed: gloo on CPUs, nccl on GPUs.

All run the same program on the same graph. Work that cannot be cut in pieces is dealt out, each job to one process, and
its result sent to the others; a batch of training is cut in parts. Every process ends with the same arrays.
"""

from __future__ import annotations

import datetime as dt
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray

from graphrep.errors import InputError

Arrays = Sequence[NDArray[Any]]

_HEAD = 1024
"""Bytes that say what arrays follow."""
_PATIENCE = dt.timedelta(hours=12)
"""How long a process waits for another one's job. torchrun ends all when one fails, so nobody waits for the dead."""


@dataclass(frozen=True)
class Ranks:
    """This process among those that work together.

    Attributes:
        rank: number of this one, 0 … size − 1; the first alone writes and reports.
        size: how many there are.
        device: where tensors lie that are sent.

    >>> Ranks().dealt([lambda: [np.arange(2)]])
    [[array([0, 1])]]
    """

    rank: int = 0
    size: int = 1
    device: str = "cpu"

    @classmethod
    def here(cls, device: torch.device | str = "cpu") -> Ranks:
        """Of the initialised process group; alone where there is none."""
        if not (dist.is_available() and dist.is_initialized()):
            return cls(device=str(device))
        return cls(dist.get_rank(), dist.get_world_size(), str(device))

    @property
    def first(self) -> bool:
        return self.rank == 0

    def part(self, count: int) -> slice:
        """Which rows of a batch are this process's: every ``size``-th."""
        return slice(self.rank, count, self.size)

    def dealt(self, jobs: Sequence[Callable[[], Arrays]]) -> list[list[NDArray[Any]]]:
        """Do job n in process n modulo ``size``, all at once, and give every process the arrays of all jobs.

        Args:
            jobs: the same in every process; each makes a few arrays of plain numbers.
        """
        made = [list(job()) if place % self.size == self.rank else [] for place, job in enumerate(jobs)]
        if self.size == 1:
            return made
        return [self._sent(arrays, place % self.size) for place, arrays in enumerate(made)]

    def shared(self, job: Callable[[], Arrays]) -> list[NDArray[Any]]:
        """What the first process makes."""
        return self.dealt([job])[0]

    def _sent(self, arrays: Arrays, source: int) -> list[NDArray[Any]]:
        own = [np.asarray(array, order="C") for array in arrays] if self.rank == source else []
        told = json.dumps([[array.dtype.str, array.shape] for array in own]).encode()
        head = self._broadcast(np.frombuffer(told.ljust(_HEAD), np.uint8), source, _HEAD)
        found = []
        for place, (dtype, shape) in enumerate(json.loads(head.tobytes())):
            count = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
            content = own[place].reshape(-1).view(np.uint8) if own else None
            found.append(self._broadcast(content, source, count).view(dtype).reshape(shape))
        return found

    def _broadcast(self, content: NDArray[np.uint8] | None, source: int, count: int) -> NDArray[np.uint8]:
        if self.rank == source:
            sent = torch.as_tensor(np.require(content, requirements="W"), device=self.device)
        else:
            sent = torch.empty(count, dtype=torch.uint8, device=self.device)
        dist.broadcast(sent, source)
        return np.asarray(sent.cpu().numpy())

    def summed(self, tensors: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Sums over all processes of float32 tensors, in one exchange; the same bytes in every one."""
        if self.size == 1:
            return list(tensors)
        whole = torch.cat([tensor.reshape(-1) for tensor in tensors])
        dist.all_reduce(whole)
        parts = whole.split([tensor.numel() for tensor in tensors])
        return [part.view(tensor.shape) for part, tensor in zip(parts, tensors, strict=True)]


def place_in(environment: Mapping[str, str]) -> tuple[int, int]:
    """Rank and number of processes, as torchrun and TorchDistributor tell them; (0, 1) where nobody does.

    >>> place_in({"RANK": "1", "WORLD_SIZE": "2"}), place_in({})
    ((1, 2), (0, 1))
    """
    if "RANK" not in environment or "WORLD_SIZE" not in environment:
        return 0, 1
    return int(environment["RANK"]), int(environment["WORLD_SIZE"])


@contextmanager
def joined(device: str | None = None) -> Iterator[None]:
    """Join the processes that the environment tells of, and leave them in the end; nothing where there are none.

    Args:
        device: None: GPUs where torch sees some, one for each process of a machine, else CPUs; "cpu"; "cuda".

    Raises:
        InputError: a device with a number, which all would share.
    """
    if place_in(os.environ)[1] == 1 or dist.is_initialized():
        yield
        return
    if device is not None and torch.device(device).index is not None:
        fix = "pass 'cuda': each takes its own"
        raise InputError(
            "a device without a number, for several processes", found=repr(device), where="device", fix=fix
        )
    gpu = torch.cuda.is_available() if device is None else torch.device(device).type == "cuda"
    if gpu:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", 0)))
    store, rank, size = next(dist.rendezvous("env://", timeout=_PATIENCE))
    # Processes that are started again may find the store of the first try, with addresses where nobody is any more.
    store = dist.PrefixStore(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"), store)
    backend = "cpu:gloo,cuda:nccl" if gpu else "gloo"
    dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=_PATIENCE)
    try:
        yield
        dist.barrier()  # what the first has written is there when the others leave
    finally:
        dist.destroy_process_group()
