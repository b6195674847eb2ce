"""Autocovariance of a random walk as a matrix-free operator, on scipy or on a torch device.

``R(τ) = Π M^τ − π πᵀ`` (Huang, Silva, Singh: A Broader Picture of Random-walk Based Graph Embedding,
KDD 2021, section 3) is dense. Here it is only ever multiplied by a thin block: τ sparse products and
one rank-one correction a step, never an n×n matrix.

The rank-one parts are taken out of *every step*, not once at the end: ``(M − 1πᵀ)^τ = M^τ − 1πᵀ``, and the
same holds for the eigenvalue −1 of a bipartite component. The two are equal on paper; at large τ only the
first is not rounding noise, because what is left shrinks by the walk's second eigenvalue at each step.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from graphrep.errors import InputError

TELEPORT = 0.15
"""Share of jumps to a uniformly random node in the PageRank walk (the paper's μ, section 3)."""

Dense = NDArray[np.float64]


class Operator(Protocol):
    """What the factorisation needs to know of a matrix: its shape and its products with thin blocks."""

    shape: tuple[int, int]
    stationary: Dense

    def matmat(self, x: Dense) -> Dense:
        """``(n, m) @ (m, b) -> (n, b)``."""

    def rmatmat(self, x: Dense) -> Dense:
        """``(n, m).T @ (n, b) -> (m, b)``."""


@dataclass(frozen=True)
class Backend:
    """Where the products run: scipy (``device=None``) or torch on the named device, both in float64.

    >>> Backend(None).fetch(Backend(None).dense(np.ones(2)))
    array([1., 1.])
    """

    device: str | None

    def __post_init__(self) -> None:
        if self.device is None:
            return
        import torch  # a machine that only multiplies on the CPU need not load it

        try:
            torch.empty(0, device=self.device)
        except (RuntimeError, AssertionError) as error:
            raise InputError(
                "a torch device that this machine has",
                found=f"{self.device!r} ({str(error).splitlines()[0]})",
                where="device",
                fix="pass None for scipy on the CPU, or 'cpu', 'cuda', 'cuda:0'",
            ) from error

    def dense(self, array: Dense) -> Any:
        if self.device is None:
            return array
        import torch

        return torch.as_tensor(np.ascontiguousarray(array), device=self.device)

    def sparse(self, matrix: Any) -> Any:
        csr = sp.csr_array(matrix, dtype=np.float64)
        if self.device is None:
            return csr
        import torch

        csr = csr.sorted_indices()  # torch reads any other order wrongly
        with warnings.catch_warnings():  # torch calls the layout beta; only products of it are used
            warnings.filterwarnings("ignore", message="Sparse CSR tensor support", category=UserWarning)
            placed = torch.sparse_csr_tensor(
                torch.as_tensor(csr.indptr.astype(np.int64)),
                torch.as_tensor(csr.indices.astype(np.int64)),
                torch.as_tensor(csr.data),
                size=csr.shape,
                check_invariants=True,
            )
        return placed.to(self.device)

    def fetch(self, array: Any) -> Dense:
        return np.asarray(array if self.device is None else array.cpu().numpy(), dtype=np.float64)


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
        markov_time: steps τ ≥ 1.
    """

    def __init__(
        self, adjacency: Any, markov_time: int, *, lazy: bool, bipartite_correction: bool, backend: Backend
    ) -> None:
        degree = np.asarray(adjacency.sum(axis=1), dtype=np.float64).ravel()
        self.shape: tuple[int, int] = adjacency.shape
        self.stationary: Dense = degree / degree.sum()
        self._steps, self._lazy, self._backend = markov_time, lazy, backend
        self._adjacency = backend.sparse(adjacency)
        self._inverse_degree = backend.dense((1.0 / degree)[:, None])
        self._pi = backend.dense(self.stationary[:, None])
        self._sides = self._side_means = None
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
        self._sides = self._backend.sparse(sp.coo_array((signs, (nodes, column)), shape=shape))
        self._side_means = self._backend.sparse(sp.coo_array((means, (column, nodes)), shape=shape[::-1]))

    def _step(self, x: Any) -> Any:
        y = self._inverse_degree * (self._adjacency @ x)
        if self._lazy:
            y = 0.5 * (x + y)
        # A sum, not a BLAS product: threads cost more than so thin a product gains.
        y = y - (self._pi * x).sum(0)
        if self._sides is not None:
            y = y + self._sides @ (self._side_means @ x)
        return y

    def matmat(self, x: Dense) -> Dense:
        y = self._backend.dense(x)
        for _ in range(self._steps):
            y = self._step(y)
        return self._backend.fetch(self._pi * y)

    rmatmat = matmat  # an undirected walk is reversible, so R is symmetric


class CrossWalk:
    """The users × items block of ``R(τ)`` of the bipartite graph ``[[0, B], [Bᵀ, 0]]``, (n, m).

    Args:
        biadjacency: (n, m) non-negative, without empty rows or columns.
    """

    def __init__(
        self, biadjacency: Any, markov_time: int, *, lazy: bool, bipartite_correction: bool, backend: Backend
    ) -> None:
        self.shape: tuple[int, int] = biadjacency.shape
        self._walk = UndirectedWalk(
            sp.block_array([[None, biadjacency], [biadjacency.T, None]], format="csr"),
            markov_time,
            lazy=lazy,
            bipartite_correction=bipartite_correction,
            backend=backend,
        )
        self.stationary = self._walk.stationary

    def matmat(self, x: Dense) -> Dense:
        users, _ = self.shape
        padded = np.vstack([np.zeros((users, x.shape[1])), x])
        return self._walk.matmat(padded)[:users]

    def rmatmat(self, x: Dense) -> Dense:
        users, items = self.shape
        padded = np.vstack([x, np.zeros((items, x.shape[1]))])
        return self._walk.matmat(padded)[users:]


class DirectedWalk:
    """``R(τ)`` of the PageRank walk, (n, n), not symmetric.

    ``M = (1−μ)D⁻¹A + μJ/n + (1−μ)·diag(dangling)J/n`` with teleport μ = 0.15, J all ones, and dangling
    marking the rows without edges; π solves ``Mᵀπ = π``, ``Σπ = 1``. J enters as a mean, never as a matrix.
    Every node is reached by teleport, so here a node without edges has a (small) row that is not zero.

    Args:
        adjacency: (n, n) non-negative; ``A[u, v]`` is the weight of u → v.
        markov_time: steps τ ≥ 1.
    """

    def __init__(self, adjacency: Any, markov_time: int, *, lazy: bool, backend: Backend) -> None:
        degree = np.asarray(adjacency.sum(axis=1), dtype=np.float64).ravel()
        dangling = degree == 0
        follow = (1.0 - TELEPORT) / np.where(dangling, np.inf, degree)
        walk = sp.csr_array(sp.diags_array(follow) @ adjacency)
        jump = (TELEPORT + (1.0 - TELEPORT) * dangling) / len(degree)
        self.shape: tuple[int, int] = adjacency.shape
        self.stationary = _pagerank(sp.csr_array(walk.T), jump)
        self._steps, self._lazy, self._backend = markov_time, lazy, backend
        self._walk, self._walk_t = backend.sparse(walk), backend.sparse(walk.T)
        self._jump = backend.dense(jump[:, None])
        self._pi = backend.dense(self.stationary[:, None])

    def matmat(self, x: Dense) -> Dense:
        y = self._backend.dense(x)
        for _ in range(self._steps):
            z = self._walk @ y + self._jump * y.sum(0)
            y = (0.5 * (y + z) if self._lazy else z) - (self._pi * y).sum(0)
        return self._backend.fetch(self._pi * y)

    def rmatmat(self, x: Dense) -> Dense:
        y = self._pi * self._backend.dense(x)
        for _ in range(self._steps):
            z = self._walk_t @ y + (self._jump * y).sum(0)
            y = (0.5 * (y + z) if self._lazy else z) - self._pi * y.sum(0)
        return self._backend.fetch(y)


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
