"""Leading eigenpairs of a symmetric walk, leading singular triplets of any other."""

from __future__ import annotations

import logging
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from graphrep.embed.backend import Backend
from graphrep.embed.solver import TOLERANCE, Convergence, block_of, largest_eigenpairs
from graphrep.embed.walk import Dense, Operator
from graphrep.errors import GraphrepWarning

_LOGGER = logging.getLogger(__name__)
_DENSE_ROWS = 300
"""Rows up to which R is formed and decomposed whole."""
_ROWS_FOR_THREADS = 200_000
_NOISE = 0.01
"""Share that a direction of the walk must keep at each step, beyond which its loss in rounding is worth a word."""


@dataclass(frozen=True, eq=False)
class Factors:
    """``source @ target.T`` approximates R(τ).

    Attributes:
        source: (n, d) float32, rows u of the score u → v.
        target: (m, d) float32; the same array as ``source`` for an undirected graph.
        values: (d,) float64, descending: eigenvalues of R (undirected) or singular values. 0 where R has no
            further positive one; the columns there are zero.
        convergence: what the solver did; None where R was small enough to be decomposed whole.
    """

    source: NDArray[np.float32]
    target: NDArray[np.float32]
    values: Dense
    convergence: Convergence | None = None


@dataclass
class Factorisation:
    """Leading pairs or triplets of an operator, padded with zeros to ``dim``."""

    dim: int
    seed: int
    backend: Backend
    tolerance: float | None
    room: int
    floor: float = 0.0
    convergence: Convergence | None = None

    def eigen(self, operator: Operator, previous: Dense | None) -> tuple[Dense, Dense]:
        values, vectors = self._largest(operator.matmat, operator.shape[0], previous)
        return padded(self.backend.fetch(vectors), self.dim), padded(values, self.dim)

    def singular(self, operator: Operator, previous: Dense | None) -> tuple[Dense, Dense, Dense]:
        """From the eigenpairs of the Gram matrix of the smaller side.

        Squaring loses the directions below the root of the precision, not the accuracy of the values: these are
        taken from R restricted to the space found.
        """
        n, m = operator.shape
        forward, backward = operator.matmat, operator.rmatmat
        if n < m:
            forward, backward = backward, forward
        known = None if previous is None or n >= m else previous
        _, basis = self._largest(lambda x: backward(forward(x)), min(n, m), known, squared=True)
        image = forward(basis).double()
        left, values, right = torch.linalg.svd(image, full_matrices=False)
        sides = left[:, : self.dim], (basis.double() @ right.T)[:, : self.dim]
        first, second = (padded(self.backend.fetch(side), self.dim) for side in (sides if n >= m else sides[::-1]))
        return first, second, padded(self.backend.fetch(values)[: self.dim], self.dim)

    def _largest(
        self, product: Any, n: int, previous: Dense | None, *, squared: bool = False
    ) -> tuple[Dense, torch.Tensor]:
        like = self.backend.like
        if n <= max(self.dim + 2, _DENSE_ROWS):
            dense = self.backend.fetch(product(torch.eye(n, dtype=like.dtype, device=like.device)))
            values, vectors = np.linalg.eigh(0.5 * (dense + dense.T))
            count = min(self.dim, n)
            return values[::-1][:count].copy(), self.backend.dense(vectors[:, ::-1][:, :count].copy())
        start = None if previous is None else self.backend.dense(previous)
        # On a busy machine threads that wait for each other cost more than blocks so small gain by them.
        with threadpool_limits(limits=1 if n < _ROWS_FOR_THREADS else None):
            found = largest_eigenpairs(
                product,
                n,
                self.dim,
                seed=self.seed,
                like=like,
                start=start,
                tolerance=self.tolerance,
                block=block_of(self.backend.device),
                room=self.room,
                floor=(self.floor**2 if squared else self.floor) / TOLERANCE[like.dtype],
            )
        self.convergence = found.convergence
        _LOGGER.info("%s", found.convergence)
        return found.values, found.vectors


def padded(array: Dense, dim: int) -> Dense:
    missing = dim - array.shape[-1]
    return np.pad(array, [(0, 0)] * (array.ndim - 1) + [(0, missing)])


def scaled(
    source: Dense, target: Dense, values: Dense, floor: float, steps: int, convergence: Convergence | None
) -> Factors:
    eps = float(np.finfo(np.float64).eps) * max(len(source), len(target))
    bound: float = max(floor, eps * float(values[0]))
    real: NDArray[np.bool_] = np.array(values > bound, dtype=bool)
    # At one step such a value is no direction at all; after many it may be one that has died away.
    alive = eps ** (1.0 / steps)
    lost = int(((values > 0) & ~real).sum())
    if lost and values[0] > 0 and alive > _NOISE:
        warnings.warn(
            f"markov_time {steps}: {lost} of {len(values)} columns are left zero; where the walk keeps"
            f" less than {alive:.2f} of its slowest direction at each step, R is rounding noise: pass a smaller time",
            GraphrepWarning,
            stacklevel=3,
        )
    values = np.where(real, values, 0.0)
    size = np.abs(source)
    # Entries equal but for rounding count as equal, so that two machines choose the same one.
    first = np.argmax(size >= (1.0 - 1e-6) * size.max(axis=0), axis=0)
    sign = np.where(source[first, np.arange(source.shape[1])] < 0, -1.0, 1.0)
    left = (source * (sign * np.sqrt(values))).astype(np.float32)
    if target is source:
        return Factors(left, left, values, convergence)
    return Factors(left, (target * (sign * np.sqrt(values))).astype(np.float32), values, convergence)


def scattered(vectors: Dense, rows: NDArray[np.int64], n: int) -> Dense:
    out = np.zeros((n, vectors.shape[1]))
    out[rows] = vectors
    return out
