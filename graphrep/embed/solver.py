"""Largest eigenpairs of a symmetric operator that is known only by its products with blocks of vectors.

Block Lanczos with full orthogonalisation, cut back to its best Ritz vectors when the basis is full (thick restart: Wu,
Simon, SIAM J. Matrix Anal. Appl. 22, 2000). Each round is one product with a block and dense products of the block
with the basis, so a machine spends its time in the two things that it does fast. The basis is in the operator's
precision; the small projected problem, which decides what has converged, is in float64.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from graphrep.errors import GraphrepError

Product = Callable[[torch.Tensor], torch.Tensor]
Small = NDArray[np.float64]

BLOCK = 8
"""Columns of one product: enough for dense algebra to run by blocks, few enough for the space to gain degree."""

TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-5}
"""Residual of a converged pair as a share of the largest eigenvalue, by precision."""

_LOOSE = 3e-2
_STRANGE = 1e-2
_ROWS_AT_ONCE = 1 << 16


@dataclass(frozen=True)
class Convergence:
    """How a solution came about.

    Attributes:
        products: columns that the operator was multiplied with.
        rounds: blocks of them.
        residual: largest ``‖Ax − λx‖`` of the pairs returned, as a share of the largest ``|λ|``, as the iteration
            estimates it; rounding in float32 adds some 1e-6 that it does not see, with many nodes 1e-5.
        tolerance: what it had to be below.
    """

    products: int
    rounds: int
    residual: float
    tolerance: float


@dataclass(frozen=True, eq=False)
class Eigenpairs:
    """values (k,) float64, descending; vectors (n, k), orthonormal, in the operator's precision and place."""

    values: Small
    vectors: torch.Tensor
    convergence: Convergence


def block_of(device: str | None) -> int:
    """Columns of one product: a device is not busy with as few as suit a core."""
    return BLOCK if device is None or device.startswith("cpu") else 4 * BLOCK


def basis_size(dim: int, n: int, block: int = BLOCK) -> int:
    """Vectors of the largest basis that pays: what more would save in products it takes to keep it orthogonal."""
    return min(n, 3 * dim + 4 * block)


def smallest_basis(dim: int, n: int, block: int = BLOCK) -> int:
    """Vectors of the smallest basis that can converge: the pairs, as many again to grow in, and two blocks."""
    return min(n, 2 * dim + 2 * block)


def largest_eigenpairs(
    product: Product,
    n: int,
    dim: int,
    *,
    seed: int,
    like: torch.Tensor,
    start: torch.Tensor | None = None,
    tolerance: float | None = None,
    block: int = BLOCK,
    room: int | None = None,
    floor: float = 0.0,
    max_products: int | None = None,
) -> Eigenpairs:
    """The ``dim`` algebraically largest eigenpairs.

    Args:
        product: (n, b) → (n, b), symmetric.
        n: rows; ``dim`` of at most so many.
        seed: of the first block and of those that look for what it cannot see.
        like: a tensor of the precision and the device to work in.
        start: (n, s) vectors near the wanted ones, in any basis, such as yesterday's.
        tolerance: share of the largest eigenvalue that a residual must fall to; None: that of the precision.
        room: vectors that the basis may hold, at least :func:`smallest_basis`; None: :func:`basis_size`.
        floor: size of what is rounding: the tolerance counts from no smaller eigenvalue.
        max_products: columns beyond which it gives up; None: 100 a pair.

    Raises:
        GraphrepError: not converged within ``max_products``; the message gives the residual reached.
    """
    wanted = TOLERANCE[like.dtype] if tolerance is None else tolerance
    limit = 100 * dim + 100 * block if max_products is None else max_products
    space = _Space(product, n, dim, wanted, seed, like, block, basis_size(dim, n, block) if room is None else room)
    space.floor = max(floor, space.floor)
    space.begin(start)
    while True:
        space.converge(limit)
        # A vector of an eigenspace of higher multiplicity than the block is wide cannot be reached from it.
        if not space.found_beside(limit):
            break
    values, vectors = space.best()
    return Eigenpairs(values, vectors, Convergence(space.products, space.rounds, space.worst(), wanted))


class _Space:
    """An orthonormal basis V with ``AV = VH + next·link``, where only the vectors of the last round have a link."""

    def __init__(
        self,
        product: Product,
        n: int,
        dim: int,
        tolerance: float,
        seed: int,
        like: torch.Tensor,
        block: int,
        room: int,
    ) -> None:
        self.products = self.rounds = 0
        self.floor = float(np.finfo(np.float64).tiny)
        self._product, self._n, self._dim, self._tolerance, self._block = product, n, dim, tolerance, block
        self._chance, self._like = np.random.default_rng(seed), like
        self._rows = torch.empty((room, n), dtype=like.dtype, device=like.device)  # a row is a vector of the basis
        self._size, self._h = 0, np.zeros((0, 0))
        self._next = self._rows[:0]
        self._link = np.zeros((0, 0))
        self._values, self._ritz, self._residuals = np.zeros(0), np.zeros((0, 0)), np.zeros(0)
        self._known = np.zeros(0)  # residuals of the pairs that were set aside
        self._coupled = 0  # first vector that the image of the next block can have a part in

    def begin(self, start: torch.Tensor | None) -> None:
        first = self._random(self._block)
        if start is not None:
            # Mixtures of the known vectors: a block as wide as they are many would leave no room for degree.
            known = torch.linalg.qr(start.to(self._like))[0].T
            mixed = torch.as_tensor(self._chance.standard_normal((self._block, len(known)))).to(self._like) @ known
            first = mixed + _STRANGE * first * torch.linalg.vector_norm(mixed) / torch.linalg.vector_norm(first)
        self._next = self._orthogonal(first)

    def converge(self, limit: int) -> None:
        """Rounds until the wanted pairs have converged, or the basis is the whole space."""
        self._project()
        while self._size < self._n and (self._size < self._dim or self.worst() > self._tolerance):
            if self.products >= limit:
                raise GraphrepError(
                    f"{self._dim} eigenpairs within {limit:,} products",
                    found=f"a residual of {self.worst():.1e} of the largest eigenvalue, not {self._tolerance:.1e}",
                    where="eigensolver",
                    fix="lower dim, or pass lazy=True",
                )
            # The projected problem grows with the basis: it is solved anew when that has grown by a tenth.
            self._grow(1.1)

    def found_beside(self, limit: int) -> bool:
        """Set the wanted pairs aside and follow the largest pair of the rest until it is known.

        Returns:
            whether it belongs among the wanted ones.
        """
        if self._size >= self._n:
            return False
        least = self._values[: self._dim].min()
        self._keep(self._dim)
        self._known = self._residuals[: self._dim].copy()
        self._next = self._orthogonal(self._random(self._block))
        while self._size < self._n:
            self._grow(1.0)
            beside = self._values[self._dim] if len(self._values) > self._dim else -np.inf
            if self._values[: self._dim].min() > least + self._tolerance * self.scale:
                return True
            rest = self._residuals[self._dim] if len(self._residuals) > self._dim else np.inf
            if rest <= max(_LOOSE * abs(beside), self._tolerance * self.scale) or self.products >= limit:
                return False
        return bool(self._values[: self._dim].min() > least + self._tolerance * self.scale)

    @property
    def scale(self) -> float:
        return max(float(np.abs(self._values).max(initial=0.0)), self.floor)

    def worst(self) -> float:
        return float(self._residuals[: self._dim].max(initial=0.0) / self.scale)

    def best(self) -> tuple[Small, torch.Tensor]:
        count = min(self._dim, self._size)
        return self._values[:count].copy(), self._rows[: self._size].T @ self._small(self._ritz[:, :count])

    def _grow(self, factor: float) -> None:
        """A round, and more until there are so many times the vectors; a full basis is cut back to its best first."""
        if self._is_full():
            self._keep(self._best_part())
        enough = min(self._n, max(self._dim, int(factor * self._size), self._size + 1))
        while self._size < enough and not self._is_full():
            self._round()
        self._project()

    def _best_part(self) -> int:
        """Vectors that a restart keeps: the wanted pairs, and what is on its way behind them."""
        return min(self._size, self._dim + (len(self._rows) - self._dim) // 3)

    def _is_full(self) -> bool:
        return self._size + (len(self._next) or min(self._block, self._n - self._size)) > len(self._rows)

    def _round(self) -> None:
        fresh = self._next if len(self._next) else self._orthogonal(self._random(self._block))
        before, after = self._size, self._size + len(fresh)
        self._rows[before:after] = fresh
        image = self._product(fresh.T.contiguous()).T.contiguous()
        self.products, self.rounds, self._size = self.products + len(fresh), self.rounds + 1, after
        self._next, coefficients, self._link = self._beyond(image)
        h = np.zeros((after, after))
        h[:before, :before] = self._h
        h[self._coupled :, before:] = coefficients
        h[before:] = h[:, before:].T
        h[before:, before:] = 0.5 * (h[before:, before:] + h[before:, before:].T)
        self._h, self._coupled = h, before

    def _project(self) -> None:
        """The Ritz pairs, and the residual of each: what it has in the last block, times the link to the next."""
        values, ritz = np.linalg.eigh(self._h)
        self._values, self._ritz = values[::-1], ritz[:, ::-1]
        last = self._ritz[self._size - self._link.shape[1] :]
        self._residuals = np.linalg.norm(self._link @ last, axis=0)
        self._residuals = np.hypot(self._residuals, self._remembered())

    def _remembered(self) -> Small:
        """The part of each pair's residual that comes from vectors that were set aside with one."""
        return np.asarray(np.linalg.norm(self._ritz[: len(self._known)] * self._known[:, None], axis=0))

    def _keep(self, count: int) -> None:
        """Restart from the best Ritz vectors; the next block goes on from where it was."""
        turn = self._small(self._ritz[:, :count])
        for begin in range(0, self._n, _ROWS_AT_ONCE):
            part = slice(begin, begin + _ROWS_AT_ONCE)
            self._rows[:count, part] = turn.T @ self._rows[: self._size, part]
        self._known, self._coupled = self._remembered()[:count], 0
        self._size, self._h = count, np.diag(self._values[:count])
        self._values, self._ritz = self._values[:count], np.eye(count)
        self._residuals = self._residuals[:count]

    def _beyond(self, image: torch.Tensor) -> tuple[torch.Tensor, Small, Small]:
        """``image = Vᵀc + next·link``: the next block, the coefficients, the link.

        But for rounding the image has a part in the last two blocks alone, or in all that a restart kept: with that
        taken out, one sweep over the whole basis, inside ``_orthonormal``, is the second orthogonalisation.
        """
        near = self._rows[self._coupled : self._size]
        coefficients = _dots(image, near)
        rest = torch.addmm(image, coefficients, near, alpha=-1)
        fresh, link = self._orthonormal(rest, self._tolerance * self.scale * 0.1)
        return fresh, _numpy(coefficients).T, link

    def _orthogonal(self, vectors: torch.Tensor) -> torch.Tensor:
        basis = self._rows[: self._size]
        return self._orthonormal(torch.addmm(vectors, _dots(vectors, basis), basis, alpha=-1), 0.0)[0]

    def _orthonormal(self, vectors: torch.Tensor, negligible: float) -> tuple[torch.Tensor, Small]:
        """``vectors = linkᵀ·rows``, but for V: orthonormal rows for the directions that are not negligible."""
        basis = self._rows[: self._size]
        vectors, link = self._whitened(vectors, negligible)
        vectors, again = self._whitened(torch.addmm(vectors, _dots(vectors, basis), basis, alpha=-1), 0.0)
        return vectors, again @ link

    def _whitened(self, vectors: torch.Tensor, negligible: float) -> tuple[torch.Tensor, Small]:
        """Orthonormal rows that span the vectors, largest direction first, and the way back."""
        turned, triangle = _qr(vectors.T)
        left, size, right = np.linalg.svd(_numpy(triangle), full_matrices=False)
        least = max(negligible, 10 * torch.finfo(self._like.dtype).eps * size.max(initial=0.0))
        # No more directions than are left: one too many would be rounding that was scaled up.
        count = min(int((size > max(least, float(np.finfo(float).tiny))).sum()), self._n - self._size)
        return (turned @ self._small(left[:, :count])).T, size[:count, None] * right[:count]

    def _random(self, rows: int) -> torch.Tensor:
        drawn = self._chance.standard_normal((min(rows, self._n - self._size), self._n))
        return torch.as_tensor(drawn, dtype=self._like.dtype, device=self._like.device)

    def _small(self, matrix: Small) -> torch.Tensor:
        return torch.as_tensor(np.array(matrix, order="C"), dtype=self._like.dtype, device=self._like.device)


def _dots(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """(b, m) products of rows with rows, long ones in pieces: a sum of millions in float32 would lose four digits."""
    if one.shape[1] <= _ROWS_AT_ONCE:
        return one @ other.T
    total = torch.zeros((len(one), len(other)), dtype=torch.float64, device=one.device)
    for begin in range(0, one.shape[1], _ROWS_AT_ONCE):
        part = slice(begin, begin + _ROWS_AT_ONCE)
        total += one[:, part] @ other[:, part].T
    return total.to(one.dtype)


def _qr(columns: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """QR of a thin block by pieces of rows and then of their triangles: in one go float32 would lose two digits."""
    pieces = [torch.linalg.qr(piece) for piece in columns.split(_ROWS_AT_ONCE)]
    if len(pieces) == 1:
        q, r = pieces[0]
        return q, r
    again, triangle = torch.linalg.qr(torch.cat([r for _, r in pieces]).double())
    parts = again.to(columns.dtype).split([len(r) for _, r in pieces])
    return torch.cat([q @ part for (q, _), part in zip(pieces, parts, strict=True)]), triangle


def _numpy(tensor: torch.Tensor) -> Small:
    return np.asarray(tensor.cpu().numpy(), dtype=np.float64)
