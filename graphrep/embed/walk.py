"""The walks behind the vectors, as operators that are only ever multiplied by thin blocks.

``R(τ) = Π M^τ − π πᵀ`` (Huang, Silva, Singh: A Broader Picture of Random-walk Based Graph Embedding, KDD 2021, section
3) is dense. Here it is τ sparse products and one rank-one correction a step, never an n×n matrix. A walk may be of
several numbers of steps at once, each with its weight: a mean over times, or a time that runs on evenly, when the
number of steps is Poisson: ``exp(−t(I − M)) = Σ_k e^{−t} t^k / k! · M^k``.

The rank-one parts are taken out of *every step*, not once at the end: ``(M − 1πᵀ)^τ = M^τ − 1πᵀ``, and the same holds
for the eigenvalue −1 of a bipartite component. The two are equal on paper; at large τ only the first is not rounding
noise, because what is left shrinks by the walk's second eigenvalue at each step.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from graphrep.embed.backend import Backend, SparseMatrix

TELEPORT = 0.15
"""Share of jumps to a uniformly random node in the PageRank walk (the paper's μ, section 3)."""

Dense = NDArray[np.float64]
Times = Mapping[int, float]
"""Weight of each number of steps."""


class Operator(Protocol):
    """What the factorisation needs to know of a matrix: its shape and its products with thin blocks."""

    shape: tuple[int, int]

    def matmat(self, x: torch.Tensor) -> torch.Tensor:
        """``(n, m) @ (m, b) -> (n, b)``."""

    def rmatmat(self, x: torch.Tensor) -> torch.Tensor:
        """``(n, m).T @ (n, b) -> (m, b)``."""


def poisson_times(time: float) -> Times:
    """The numbers of steps of a walk in continuous time, up to what float64 can tell.

    >>> round(sum(poisson_times(2.5).values()), 12), len(poisson_times(2.5)) < 40
    (1.0, True)
    """
    weights: dict[int, float] = {}
    steps = 0
    while steps <= time or weights[steps - 1] > 1e-17:
        weights[steps] = math.exp(steps * math.log(time) - time - math.lgamma(steps + 1))
        steps += 1
    return weights


def two_colouring(adjacency: Any) -> tuple[NDArray[np.int64], NDArray[np.int8]]:
    """Component of each node, and its side (+1, −1) where the component is bipartite, else 0.

    Two components of the double cover ``[[0, A], [A, 0]]`` lie over a bipartite component and one over any
    other, so a single run of connected components answers both questions without a loop over components.

    Args:
        adjacency: (n, n) symmetric sparse matrix; a self-loop makes its component non-bipartite.

    Returns:
        (n,) component labels (arbitrary numbers, equal inside a component) and (n,) sides; the lowest
        index of a bipartite component has side +1.

    >>> path_and_triangle = sp.csr_array(([1.0] * 4, ([0, 2, 3, 2], [1, 3, 4, 4])), shape=(5, 5))
    >>> two_colouring(path_and_triangle + path_and_triangle.T)[1].tolist()
    [1, -1, 0, 0, 0]
    """
    n = adjacency.shape[0]
    cover = sp.block_array([[None, adjacency], [adjacency, None]], format="csr")
    _, labels = connected_components(cover, directed=False)
    here, across = labels[:n].astype(np.int64), labels[n:].astype(np.int64)
    component = np.minimum(here, across)
    side = np.where(here == across, 0, np.where(here == component, 1, -1)).astype(np.int8)
    return component, side


class UndirectedWalk:
    """``R(τ)`` of the standard walk ``M = D⁻¹A`` (lazy: ``(I + M)/2``), symmetric (n, n).

    With ``bipartite_correction`` the eigenvalue −1 of each bipartite component c goes as well. Its
    eigenvector is the side ``s_c`` (±1 inside c, 0 outside), so that
    ``R(τ) = ΠM^τ − ππᵀ − (−1)^τ Σ_c (πs_c)(πs_c)ᵀ / π(c)`` with ``π(c) = Σ_{u in c} π_u``. For a connected
    bipartite graph and odd τ that is ``ΠM^τ − 2ππᵀ`` across the sides and 0 inside them; for even τ the
    reverse. The lazy walk has no eigenvalue −1, nor has a component with an odd cycle: nothing changes there.

    Args:
        adjacency: (n, n) symmetric, non-negative, without empty rows.
        times: weight of each number of steps.
    """

    def __init__(
        self, adjacency: Any, times: Times, *, lazy: bool, bipartite_correction: bool, backend: Backend
    ) -> None:
        degree = row_sums(adjacency)
        self.shape: tuple[int, int] = adjacency.shape
        self.stationary: Dense = degree / degree.sum()
        self._times, self._lazy, self._backend = times, lazy, backend
        self._adjacency = backend.sparse(adjacency)
        self._inverse_degree = backend.dense(1.0 / degree)[:, None]
        self._pi = backend.dense(self.stationary)[:, None]
        self._sides: tuple[SparseMatrix, SparseMatrix] | None = None
        if bipartite_correction and not lazy:
            self._remember_sides(adjacency)

    def _remember_sides(self, adjacency: Any) -> None:
        component, side = two_colouring(adjacency)
        nodes = np.flatnonzero(side)
        if not len(nodes):
            return
        _, column = np.unique(component[nodes], return_inverse=True)
        share = np.bincount(column, weights=self.stationary[nodes])
        shape = (self.shape[0], len(share))
        signs = side[nodes].astype(np.float64)
        means = signs * self.stationary[nodes] / share[column]
        self._sides = (
            self._backend.sparse(sp.csr_array(sp.coo_array((signs, (nodes, column)), shape=shape))),
            self._backend.sparse(sp.csr_array(sp.coo_array((means, (column, nodes)), shape=shape[::-1]))),
        )

    def _step(self, x: torch.Tensor) -> torch.Tensor:
        y = (self._adjacency @ x).mul_(self._inverse_degree)
        if self._lazy:
            y = y.add_(x).mul_(0.5)
        y -= (self._pi * x).sum(0)
        if self._sides is not None:
            y += self._sides[0] @ (self._sides[1] @ x)
        return y

    def _centred(self, x: torch.Tensor) -> torch.Tensor:
        """No step at all, and the same parts taken out."""
        y = x - (self._pi * x).sum(0)
        if self._sides is not None:
            y -= self._sides[0] @ (self._sides[1] @ x)
        return y

    def matmat(self, x: torch.Tensor) -> torch.Tensor:
        return _over_times(self._step, x, self._times, self._centred).mul_(self._pi)

    rmatmat = matmat  # an undirected walk is reversible, so R is symmetric


class CrossWalk:
    """The users × items block of ``R(τ)`` of the bipartite graph ``[[0, B], [Bᵀ, 0]]``, (n, m).

    Args:
        biadjacency: (n, m) non-negative, without empty rows or columns.
    """

    def __init__(
        self, biadjacency: Any, times: Times, *, lazy: bool, bipartite_correction: bool, backend: Backend
    ) -> None:
        self.shape: tuple[int, int] = biadjacency.shape
        self._walk = UndirectedWalk(
            sp.block_array([[None, biadjacency], [biadjacency.T, None]], format="csr"),
            times,
            lazy=lazy,
            bipartite_correction=bipartite_correction,
            backend=backend,
        )
        self.stationary = self._walk.stationary

    def matmat(self, x: torch.Tensor) -> torch.Tensor:
        users, _ = self.shape
        return self._walk.matmat(torch.cat([x.new_zeros((users, x.shape[1])), x]))[:users]

    def rmatmat(self, x: torch.Tensor) -> torch.Tensor:
        users, items = self.shape
        return self._walk.matmat(torch.cat([x, x.new_zeros((items, x.shape[1]))]))[users:]


class DirectedWalk:
    """``R(τ)`` of the PageRank walk, (n, n), not symmetric.

    ``M = (1−μ)D⁻¹A + μJ/n + (1−μ)·diag(dangling)J/n`` with teleport μ = 0.15, J all ones, and dangling
    marking the rows without edges; π solves ``Mᵀπ = π``, ``Σπ = 1``. J enters as a mean, never as a matrix.
    Every node is reached by teleport, so here a node without edges has a (small) row that is not zero.

    Args:
        adjacency: (n, n) non-negative; ``A[u, v]`` is the weight of u → v.
        times: weight of each number of steps.
    """

    def __init__(self, adjacency: Any, times: Times, *, lazy: bool, backend: Backend) -> None:
        degree = row_sums(adjacency)
        dangling = degree == 0
        follow = (1.0 - TELEPORT) / np.where(dangling, np.inf, degree)
        walk = sp.csr_array(sp.diags_array(follow) @ adjacency)
        jump = (TELEPORT + (1.0 - TELEPORT) * dangling) / len(degree)
        self.shape: tuple[int, int] = adjacency.shape
        self.stationary = _pagerank(sp.csr_array(walk.T), jump)
        self._times, self._lazy = times, lazy
        self._walk, self._walk_t = backend.sparse(walk), backend.sparse(sp.csr_array(walk.T))
        self._jump = backend.dense(jump)[:, None]
        self._pi = backend.dense(self.stationary)[:, None]

    def _step(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.addmm(self._walk @ x, self._jump, x.sum(0, keepdim=True))
        return (0.5 * (x + y) if self._lazy else y) - self._pi.T @ x

    def _step_back(self, x: torch.Tensor) -> torch.Tensor:
        y = self._walk_t @ x + self._jump.T @ x
        return torch.addmm(0.5 * (x + y) if self._lazy else y, self._pi, x.sum(0, keepdim=True), alpha=-1)

    def matmat(self, x: torch.Tensor) -> torch.Tensor:
        y = _over_times(self._step, x, self._times, lambda x: x - (self._pi * x).sum(0))
        return self._pi * y

    def rmatmat(self, x: torch.Tensor) -> torch.Tensor:
        return _over_times(self._step_back, self._pi * x, self._times, lambda x: x - self._pi * x.sum(0))


class SignedWalk:
    """``R(t) = M(t)ᵀ W M(t)`` of the walk whose paths count with the product of their signs, symmetric (n, n).

    ``M(t) = Σ_k w_k (D⁻¹A)^k`` with D the sums of absolute weights, ``W = D/vol − ddᵀ/vol²`` (Huang, Silva, Singh:
    POLE: Polarized Embedding for Signed Networks, WSDM 2022, section 3). Without negative weights that is ``R(2t)``
    of the undirected walk: t is counted from both ends.

    Args:
        adjacency: (n, n) symmetric, any signs, without empty rows.
        times: weight of each number of steps.
    """

    def __init__(self, adjacency: Any, times: Times, *, lazy: bool, backend: Backend) -> None:
        degree = row_sums(abs(adjacency))
        self.shape: tuple[int, int] = adjacency.shape
        self.stationary: Dense = degree / degree.sum()
        self._times, self._lazy = times, lazy
        self._adjacency = backend.sparse(adjacency)
        self._inverse_degree = backend.dense(1.0 / degree)[:, None]
        self._pi = backend.dense(self.stationary)[:, None]

    def _step(self, x: torch.Tensor) -> torch.Tensor:
        y = self._inverse_degree * (self._adjacency @ x)
        return 0.5 * (x + y) if self._lazy else y

    def _step_back(self, x: torch.Tensor) -> torch.Tensor:
        y = self._adjacency @ (self._inverse_degree * x)
        return 0.5 * (x + y) if self._lazy else y

    def matmat(self, x: torch.Tensor) -> torch.Tensor:
        y = _over_times(self._step, x, self._times, torch.clone)
        y = self._pi * (y - (self._pi * y).sum(0))
        return _over_times(self._step_back, y, self._times, torch.clone)

    rmatmat = matmat


def _over_times(step: Any, x: torch.Tensor, times: Times, none: Any) -> torch.Tensor:
    """``Σ_k times[k] · step^k(x)``; ``none`` is what no step at all gives."""
    last = max(times)
    if len(times) == 1 and last > 0 and times[last] == 1.0:
        for _ in range(last):
            x = step(x)
        return x
    total = none(x) * times[0] if 0 in times else torch.zeros_like(x)
    for taken in range(1, last + 1):
        x = step(x)
        if taken in times:
            total += times[taken] * x
    return total


def row_sums(matrix: Any) -> Dense:
    """Sums of the rows of a CSR matrix, in float64."""
    return np.asarray(matrix.sum(axis=1, dtype=np.float64)).ravel()


def _pagerank(walk_t: Any, jump: Dense) -> Dense:
    """Stationary distribution by power iteration; each round shrinks the error by 1 − μ."""
    pi = np.full(len(jump), 1.0 / len(jump))
    for _ in range(500):  # 0.85^500 is far below rounding
        new = walk_t @ pi + jump @ pi
        new /= new.sum()
        if np.abs(new - pi).sum() < 1e-15:
            return np.asarray(new)
        pi = new
    return pi
