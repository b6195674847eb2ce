"""Where products run, and in which precision: the CPU's cores, or a torch device.

A sparse matrix is multiplied in blocks of rows, by torch: for thin blocks of columns twice as fast on a core as scipy.
On the CPU arrays that are mapped from a file are read block by block, by threads side by side, and multiplied by scipy
as they lie there; on a device whose memory they would fill they are sent one by one.
"""

from __future__ import annotations

import mmap
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray

from graphrep.errors import InputError

Precision = Literal["float32", "float64"]

_BLOCK_BYTES = 1 << 28
"""Entries that are sent at once."""
_READ_BYTES = 1 << 22
"""Entries of a mapped matrix that one thread reads at once: scipy copies them."""


@dataclass(frozen=True)
class Backend:
    """A place and a precision.

    Attributes:
        device: None: the CPU; else a torch device.
        precision: of products and vectors.
        stream: send a matrix to the device block by block at every product instead of keeping it there.

    Raises:
        InputError: a device that this machine has not.

    >>> Backend(None).sparse(sp.csr_array([[0.0, 2.0]])) @ torch.ones(2, 1, dtype=torch.float64)
    tensor([[2.]], dtype=torch.float64)
    """

    device: str | None = None
    precision: Precision = "float64"
    stream: bool = False

    def __post_init__(self) -> None:
        if self.precision not in ("float32", "float64"):
            raise InputError("float32 or float64", found=repr(self.precision), where="precision")
        if self.device is None:
            return
        try:
            torch.empty(0, device=self.device)
        except (RuntimeError, AssertionError) as error:
            raise InputError(
                "a torch device that this machine has",
                found=f"{self.device!r} ({str(error).splitlines()[0]})",
                where="device",
                fix="pass None for the CPU, or 'cuda', 'cuda:0'",
            ) from error

    @property
    def like(self) -> torch.Tensor:
        """An empty tensor of this place and precision."""
        return torch.empty(0, dtype=getattr(torch, self.precision), device=self.device or "cpu")

    def dense(self, array: Any) -> torch.Tensor:
        """An array, or a tensor of any place, as a tensor of this place and precision."""
        if isinstance(array, torch.Tensor):
            return array.to(self.like)
        return torch.as_tensor(np.ascontiguousarray(array)).to(self.like)

    def sparse(self, matrix: Any) -> SparseMatrix:
        """A scipy CSR matrix, ready to be multiplied with (m, b) tensors of this place."""
        return SparseMatrix(matrix, self)

    def fetch(self, tensor: torch.Tensor) -> NDArray[np.float64]:
        return np.asarray(tensor.cpu().numpy(), dtype=np.float64)


class SparseMatrix:
    """``self @ x`` for an (n, m) CSR matrix and an (m, b) tensor, by blocks of rows."""

    def __init__(self, matrix: Any, backend: Backend) -> None:
        self.shape: tuple[int, int] = matrix.shape
        self._matrix, self._backend = matrix, backend
        self._mapped = is_mapped(matrix.data) or is_mapped(matrix.indices)
        self._reads = self._mapped and backend.device is None
        threads = torch.get_num_threads() if self._reads else 1
        self._cuts = _cuts(matrix.indptr, threads, _READ_BYTES if self._mapped else _BLOCK_BYTES)
        self._kept: list[Any] | None = None
        if not (self._mapped or backend.stream):
            self._kept = [self._block(a, b) for a, b in self._parts()]

    def __matmul__(self, x: torch.Tensor) -> torch.Tensor:
        out = torch.empty((self.shape[0], x.shape[1]), dtype=x.dtype, device=x.device)
        if not self._reads:
            for number, (begin, end) in enumerate(self._parts()):
                out[begin:end] = self._made(number) @ x
            return out
        given, result = np.ascontiguousarray(x.numpy()), out.numpy()

        def multiply(number: int) -> None:
            # A block that is read is made here: as many are in memory as there are threads.
            result[self._cuts[number] : self._cuts[number + 1]] = self._made(number) @ given

        numbers = range(len(self._cuts) - 1)
        if len(numbers) == 1 or given.size < 1 << 12:
            for number in numbers:
                multiply(number)
        else:  # scipy lets go of the interpreter while it multiplies
            list(_pool(torch.get_num_threads()).map(multiply, numbers))
        return out

    def _made(self, number: int) -> Any:
        return self._kept[number] if self._kept is not None else self._block(*self._cuts[number : number + 2])

    def _parts(self) -> Iterator[tuple[int, int]]:
        return zip(self._cuts[:-1], self._cuts[1:], strict=True)

    def _block(self, begin: int, end: int) -> Any:
        dtype = np.dtype(self._backend.precision)
        first, last = int(self._matrix.indptr[begin]), int(self._matrix.indptr[end])
        data, indices = self._matrix.data[first:last], self._matrix.indices[first:last]
        indptr = (self._matrix.indptr[begin : end + 1] - first).astype(indices.dtype)
        shape = (end - begin, self.shape[1])
        block = sp.csr_array((data.astype(dtype, copy=False), indices, indptr), shape=shape)
        if self._reads:
            return block
        if not block.has_sorted_indices:  # torch needs it
            block = block.sorted_indices()
        # The CPU's library takes narrow indices and would convert others at every product.
        index = np.int32 if self._backend.like.device.type == "cpu" and shape[1] < 1 << 31 else np.int64
        with warnings.catch_warnings():  # torch calls the layout beta; only products of it are used
            warnings.filterwarnings("ignore", message="Sparse CSR tensor support", category=UserWarning)
            placed = torch.sparse_csr_tensor(
                torch.as_tensor(np.require(block.indptr, index, "W")),
                torch.as_tensor(np.require(block.indices, index, "W")),
                torch.as_tensor(np.require(block.data, dtype, "W")),
                size=shape,
                check_invariants=False,
            )
        return placed.to(self._backend.like.device)


def device_for(device: str | None, *, learnt: bool) -> str | None:
    """The device of a :class:`Backend`: the CPU is None there, whichever way it was asked for.

    Args:
        device: as it was asked for; None: for what is learnt a GPU where torch sees one, else the CPU.

    >>> device_for("cpu", learnt=True), device_for(None, learnt=False), device_for("cuda:1", learnt=True)
    (None, None, 'cuda:1')
    """
    if device is None and learnt and torch.cuda.is_available():
        return "cuda"
    return None if device == "cpu" else device


def is_mapped(array: Any) -> bool:
    """Whether an array lies in a file that is mapped into memory.

    >>> is_mapped(np.zeros(3))
    False
    """
    while array is not None:
        if isinstance(array, np.memmap | mmap.mmap):
            return True
        array = getattr(array, "base", None)
    return False


def _cuts(indptr: Any, threads: int, block_bytes: int) -> list[int]:
    """Row numbers between which about equally many entries lie: a block for each thread, or smaller ones."""
    entries, rows = int(indptr[-1]), len(indptr) - 1
    blocks = max(threads if entries > 1 << 14 else 1, -(-entries * 12 // block_bytes))
    inner = np.searchsorted(indptr, np.linspace(0, entries, blocks + 1)[1:-1])
    return [0, *np.unique(inner[(inner > 0) & (inner < rows)]).tolist(), rows]


_POOLS: dict[int, ThreadPoolExecutor] = {}


def _pool(threads: int) -> ThreadPoolExecutor:
    if threads not in _POOLS:
        _POOLS[threads] = ThreadPoolExecutor(threads, thread_name_prefix="graphrep-product")
    return _POOLS[threads]
