"""Walks that start at a user's history: exact scores, their choice on hidden events, and vectors for them.

Two walks between things, each one a kernel of sparse products that a history is multiplied with. *Company*:
``D_i^a Bᵀ D_u^b B D_i^c``, to what those met who met the same (Fu et al.: Revisiting Neighborhood-based Link Prediction
for Collaborative Filtering, WWW 2022 companion, for the powers of degrees). *Sequence*: ``Tⁿ D^−e``, to what is met
next, T being the directed transitions with rows that sum to one. A user starts at his events, each worth
``age^−recency``, and the scores of both, rows divided by their sums, are mixed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray

from graphrep.embed.backend import Backend
from graphrep.embed.histories import Histories
from graphrep.embed.scores import degree_power
from graphrep.embed.solver import block_of, largest_eigenpairs
from graphrep.embed.walk import Dense, row_sums

STEPS = 3
"""Of the sequence walk."""
_TOLERANCE = 1e-4
_DENSE_FROM = 0.02
_COLUMN_POWER = 0.25


@dataclass(frozen=True)
class Choice:
    """What the walk depends on.

    Attributes:
        company: powers (a, b, c) of the degrees of the thing met, of who else met it, and of where the walk ends.
        sequence: power of the column sums of T at the end, −e.
        recency: age^−recency is what an event is worth in the company walk.
        sequence_recency: the same in the sequence walk.
        share: [0, 1] of the company walk; the rest is the sequence walk's.
        vector_share: the same in vectors, where half of the columns may be worth less than all of them are to one
            walk; None: as ``share``. Exact rows do not know it.
        flattened: power of the eigenvalues in the company walk's vectors. Exact rows do not know it.

    >>> Choice().company
    (-0.7, -0.9, -0.2)
    """

    company: tuple[float, float, float] = (-0.7, -0.9, -0.2)
    sequence: float = -0.3
    recency: float = 0.0
    sequence_recency: float = 1.5
    share: float = 1.0
    vector_share: float | None = None
    flattened: float = 1.0


class HistoryWalk:
    """Exact rows, by sparse products alone.

    Args:
        events: histories, and transitions where there are any.
        choice: powers and shares.
    """

    def __init__(self, events: Histories, choice: Choice) -> None:
        b = events.events
        self.choice, self._histories = choice, events
        self._there, self._back = b, sp.csr_array(b.T)
        self._users, self._things = row_sums(b), row_sums(self._back)
        a, mid, end = choice.company
        self._company = (
            degree_power(self._things, a),
            degree_power(self._users, mid),
            degree_power(self._things, end),
        )
        self.start = events.start(choice.recency)
        self._uses = (choice.share > 0, choice.share < 1 and events.then is not None)
        self._pairs: dict[int, tuple[Dense, Dense]] = {}
        if events.then is not None:
            sums = row_sums(events.then)
            self._then = sp.csr_array(
                sp.diags_array(np.divide(1.0, sums, where=sums > 0, out=sums.copy())) @ events.then
            )
            self._then_t = sp.csr_array(self._then.T)
            into = np.asarray(events.then.sum(axis=0)).ravel()
            self._end = degree_power(into, choice.sequence)
            self.late = events.start(choice.sequence_recency)

    def rows(self, actors: NDArray[np.int64]) -> NDArray[np.float32]:
        """(b, things) scores of what some actors will meet, the two walks mixed."""
        company = self._after_company(self.start[actors]) if self._uses[0] else None
        sequence = self._after_sequence(self.late[actors]) if self._uses[1] else None
        return self._mixed(company, sequence, (len(actors), len(self._things)))

    def rows_of_things(self, things: NDArray[np.int64]) -> NDArray[np.float32]:
        """(b, things) scores of what follows a thing, as if it were all of somebody's history."""
        unit = sp.csr_array(
            (np.ones(len(things)), things, np.arange(len(things) + 1)), shape=(len(things), len(self._things))
        )
        company = self._after_company(unit) if self._uses[0] else None
        sequence = self._after_sequence(unit) if self._uses[1] else None
        return self._mixed(company, sequence, unit.shape)

    def _after_company(self, start: Any) -> Any:
        a, mid, end = self._company
        near = _step(start * a[None, :], self._back, self._there)
        return _step(near * mid[None, :], self._there, self._back) * end[None, :]

    def _after_sequence(self, start: Any) -> Any:
        at = start
        for _ in range(STEPS):
            at = _step(at, self._then, self._then_t)
        return at * self._end[None, :]

    def _mixed(self, company: Any, sequence: Any, shape: tuple[int, int]) -> NDArray[np.float32]:
        total = np.zeros(shape, np.float32)
        shares = (self.choice.share, 1 - self.choice.share) if all(self._uses) else (1.0, 1.0)
        for found, share in zip((company, sequence), shares, strict=True):
            if found is not None:
                dense = found.toarray() if sp.issparse(found) else found
                sums = dense.sum(axis=1, keepdims=True)
                total += (dense * np.divide(share, sums, where=sums > 0, out=np.zeros_like(sums))).astype(np.float32)
        return total

    def company_vectors(self, dim: int, seed: int, backend: Backend, flattened: float) -> tuple[Dense, Dense]:
        """(actors, d) and (things, d): the middle of the company walk by its largest eigenpairs.

        The eigenpairs are of ``D_i^−q Bᵀ D_u^b B D_i^−q`` without its diagonal: what leads from a thing to itself takes
        room in every vector and ranks nothing, since who met a thing is not shown it.
        """
        b, q = backend.sparse(self._there), degree_power(self._things, -_COLUMN_POWER)
        back, mid = backend.sparse(self._back), backend.dense(self._company[1])[:, None]
        scale = backend.dense(q)[:, None]
        own = np.asarray(self._back.power(2) @ self._company[1]) * q**2
        diagonal = backend.dense(own)[:, None]

        def product(x: torch.Tensor) -> torch.Tensor:
            return scale * (back @ (mid * (b @ (scale * x)))) - diagonal * x

        if dim not in self._pairs:
            self._pairs[dim] = _leading(product, len(self._things), dim, seed, backend)
        values, vectors = self._pairs[dim]
        a = self._company[0] * degree_power(self._things, _COLUMN_POWER)
        item = degree_power(self._things, _COLUMN_POWER)[:, None] * vectors
        user = (self.start @ (a[:, None] * vectors)) * np.maximum(values, 0.0) ** flattened
        return _shared_scale(user, item)

    def sequence_vectors(self, dim: int, seed: int, backend: Backend) -> tuple[Dense, Dense]:
        """(actors, d) and (things, d): the sequence walk's scores, rows divided by their sums, by truncated SVD."""
        then, then_t = backend.sparse(self._then), backend.sparse(self._then_t)
        late, late_t = backend.sparse(self.late), backend.sparse(sp.csr_array(self.late.T))
        end = backend.dense(self._end)[:, None]

        def forward(x: torch.Tensor) -> torch.Tensor:
            y = end * x
            for _ in range(STEPS):
                y = then @ y
            return late @ y

        sums = forward(backend.like.new_ones((len(self._things), 1)))
        norm = torch.where(sums > 0, 1.0 / sums, 0.0)

        def backward(y: torch.Tensor) -> torch.Tensor:
            x = late_t @ (norm * y)
            for _ in range(STEPS):
                x = then_t @ x
            return end * x

        _, vectors = _leading(lambda x: backward(norm * forward(x)), len(self._things), dim, seed, backend)
        user = backend.fetch(norm * forward(backend.dense(vectors)))
        return _shared_scale(user, vectors)

    def vectors(self, dim: int, seed: int, backend: Backend, choice: Choice | None = None) -> tuple[Dense, Dense]:
        """(actors, dim) and (things, dim): where both walks have a share, half of the columns are each one's.

        Args:
            choice: another ``vector_share`` or ``flattened`` than this walk's own.
        """
        chosen = choice or self.choice
        share = chosen.share if chosen.vector_share is None else chosen.vector_share
        if share == 1 or self._histories.then is None:
            return self.company_vectors(dim, seed, backend, chosen.flattened)
        if share == 0 or dim == 1:
            return self.sequence_vectors(dim, seed, backend)
        first = self.company_vectors(dim - dim // 2, seed, backend, chosen.flattened)
        second = self.sequence_vectors(dim // 2, seed, backend)
        mixed = np.sqrt(share), np.sqrt(1 - share)
        user, item = (np.hstack([x * mixed[0], y * mixed[1]]) for x, y in zip(first, second, strict=True))
        return user, item


def _step(rows: Any, matrix: Any, transposed: Any) -> Any:
    """rows @ matrix: sparse while the rows are few entries, dense from then on."""
    if sp.issparse(rows):
        if rows.nnz < _DENSE_FROM * rows.shape[0] * rows.shape[1]:
            return sp.csr_array(sp.csr_array(rows) @ matrix)
        rows = rows.toarray()
    return (transposed @ np.ascontiguousarray(rows.T)).T


def _leading(product: Any, n: int, dim: int, seed: int, backend: Backend) -> tuple[Dense, Dense]:
    values, vectors = np.zeros(dim), np.zeros((n, dim))
    count = min(dim, n)
    found = largest_eigenpairs(
        product, n, count, seed=seed, like=backend.like, tolerance=_TOLERANCE, block=block_of(backend.device)
    )
    values[:count], vectors[:, :count] = found.values, backend.fetch(found.vectors)
    # Columns with their largest entry positive, and none where there is no direction left.
    vectors[:, values <= 1e-12 * max(values[0], 0.0)] = 0.0
    largest = np.abs(vectors).argmax(axis=0)
    return values, vectors * np.where(vectors[largest, np.arange(dim)] < 0, -1.0, 1.0)


def _shared_scale(user: Dense, item: Dense) -> tuple[Dense, Dense]:
    """Both with a mean squared norm of one over the rows that are not zero: neither side carries the scale."""
    return _unit(user), _unit(item)


def _unit(x: Dense) -> Dense:
    square = (x**2).sum(axis=1)
    rows = int((square > 0).sum())
    return x / np.sqrt(square.sum() / rows) if rows else x
