"""What a factorisation will take, said before it begins, and fitted to the memory that is there."""

from __future__ import annotations

import os
import resource
from dataclasses import dataclass

import torch

from graphrep.embed.backend import Backend, Precision
from graphrep.embed.solver import basis_size, block_of, smallest_basis
from graphrep.errors import GraphrepError

_SHARE = 0.8
"""Of the memory that there is when the work begins."""
_ROUNDS_PER_PAIR = 7
_STEPS = 3
_FLOPS = {"cpu": 1e10, "cuda": 1e13}
"""Dense products of thin blocks, a second: what a core or two, and a data-centre GPU, reach and surpass."""
_ENTRIES = {"cpu": 4e8, "cuda": 4e10}
"""Entries times columns of sparse products, a second, of graphs that no cache holds."""


@dataclass(frozen=True)
class Plan:
    """How a factorisation will be done.

    Attributes:
        nodes: rows of the operator whose eigenvectors are sought.
        entries: stored entries of the sparse matrices.
        dim: pairs.
        basis: vectors that the solver's basis may hold.
        stream: whether the matrix is read, or sent to the device, block by block at every product.
        bytes: most memory at once while it is solved, on the device where there is one. Before that, to look a graph
            in memory through takes some 64 bytes an entry for a moment.
        seconds: a rough estimate; a factor of three off is usual.

    >>> print(Plan(10_000, 500_000, 64, 512, False, 90_000_000, 1.5))
    10,000 nodes, 500,000 entries, 64 dimensions: about 0.1 GB and 2 s
    """

    nodes: int
    entries: int
    dim: int
    basis: int
    stream: bool
    bytes: int
    seconds: float

    def __str__(self) -> str:
        how = ", the graph read in blocks" if self.stream else ""
        size = f"{self.nodes:,} nodes, {self.entries:,} entries, {self.dim} dimensions"
        return f"{size}: about {self.bytes / 1e9:.1f} GB and {max(self.seconds, 1):.0f} s{how}"


def plan(
    nodes: int, entries: int, dim: int, backend: Backend, *, mapped: bool = False, memory: int | None = None
) -> Plan:
    """Choose the largest basis, and the graph in memory or in blocks, so that the work fits.

    Args:
        nodes, entries, dim: of the operator.
        mapped: the matrix lies in files that are mapped: it is read in blocks and takes no memory of its own.
        memory: bytes that may be used; None: most of what there is.

    Raises:
        GraphrepError: not even the smallest basis fits, with the graph in blocks where it can be; the message names the
            largest ``dim`` that would.
    """
    limit = usable_memory(backend.device) if memory is None else memory
    size = 4 if backend.precision == "float32" else 8
    # On the CPU an entry is held as it was checked, weight and column, and its weight once more in the products.
    graph = entries * (size + (12 if backend.device is None else 8))
    block = block_of(backend.device)
    working = 8 * block * nodes * size + 2 * dim * nodes * size
    read = min(graph, 1 << 29)
    whole, in_blocks = (False, graph), (True, read)
    # On the CPU a graph that is in memory stays there.
    for stream, held in [in_blocks] if mapped else [whole] if backend.device is None else [whole, in_blocks]:
        basis = min(basis_size(dim, nodes, block), (limit - held - working) // max(nodes * size, 1))
        if basis >= smallest_basis(dim, nodes, block):
            total = held + working + basis * nodes * size
            return Plan(
                nodes, entries, dim, basis, stream, total, _seconds(nodes, entries * _STEPS, dim, basis, backend)
            )
    fits = (limit - held - 8 * block * nodes * size) // max(nodes * size, 1) // 4 - block
    least = held + working + smallest_basis(dim, nodes, block) * nodes * size
    instead = [f"dim={fits}"] if fits >= 8 else []
    instead += ["precision='float32'"] if backend.precision == "float64" else []
    raise GraphrepError(
        f"{least / 1e9:.1f} GB for {nodes:,} nodes and {dim} dimensions",
        found=f"{limit / 1e9:.1f} GB",
        where="autocovariance",
        fix=" or ".join([*instead, "a machine with more memory"]),
    )


def _seconds(nodes: int, products: int, dim: int, basis: int, backend: Backend) -> float:
    kind = torch.device(backend.device or "cpu").type
    columns = _ROUNDS_PER_PAIR * dim
    dense = 4 * nodes * basis * columns
    return columns * products / _ENTRIES.get(kind, 4e8) + dense / _FLOPS.get(kind, 1e10)


def precision_for(device: str | None) -> Precision:
    """float64 on the CPU; float32 on a device, most of which are slow in float64 and short of memory."""
    return "float64" if device is None or device.startswith("cpu") else "float32"


def usable_memory(device: str | None) -> int:
    """Bytes of :func:`free_memory` that a plan may use."""
    return int(_SHARE * free_memory(device))


def free_memory(device: str | None) -> int:
    """Bytes free on the device; else what main memory there is, or this process may have."""
    if device is not None and torch.device(device).type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    here = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limits = [resource.getrlimit(kind)[0] for kind in (resource.RLIMIT_AS, resource.RLIMIT_DATA)]
    return min([here, *(limit for limit in limits if limit != resource.RLIM_INFINITY)])
