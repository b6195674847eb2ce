"""Walks that start at a user's history: exact scores, their choice on hidden events, and vectors for them.

Two walks between things, each one a kernel of sparse products that a history is multiplied with. *Company*:
``D_i^a Bᵀ D_u^b B D_i^c``, to what those met who met the same (Fu et al.: Revisiting Neighborhood-based Link Prediction
for Collaborative Filtering, WWW 2022 companion, for the powers of degrees). *Sequence*: ``Tⁿ D^−e``, to what is met
next, T being the directed transitions with rows that sum to one. A user starts at his events, each worth
``age^−recency``, and the scores of both, rows divided by their sums, are mixed.

Vectors are of one of two kinds. *Of the company walk*: its middle by eigenpairs, with powers and a recency of their
own, since what few columns keep is not what the walk itself ranks best by. *Of rows*: the logarithm of the largest
scores of each row, of both walks, by truncated SVD.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
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
LARGEST = 500
"""Scores of a row that vectors of rows are made of."""
FACTORED = 20_000
"""Actors whose rows make the things' vectors; the others' rows are multiplied with these."""
_TOLERANCE = 1e-4
_DENSE_FROM = 0.02
_COLUMN_POWER = 0.25
_AT_ONCE = 32  # dense rows in one product: more of them leave the cache


@dataclass(frozen=True)
class VectorPowers:
    """How vectors of the company walk differ from its exact rows.

    Attributes:
        met: power of the degree of the thing met.
        end: power of the degree of where the walk ends.
        flattened: power of the eigenvalues.
        recency: age^−recency is what an event is worth.
    """

    met: float = -0.7
    end: float = 0.25
    flattened: float = 0.3
    recency: float = 0.0


@dataclass(frozen=True)
class Choice:
    """What the walk depends on.

    Attributes:
        company: powers (a, b, c) of the degrees of the thing met, of who else met it, and of where the walk ends.
        sequence: power of the column sums of T at the end, −e.
        recency: age^−recency is what an event is worth in the company walk.
        sequence_recency: the same in the sequence walk.
        share: [0, 1] of the company walk; the rest is the sequence walk's.
        vectors: powers of vectors of the company walk; None: vectors are those of rows.

    >>> Choice().company
    (-0.7, -0.9, -0.2)
    >>> Choice.of(Choice(vectors=VectorPowers()).plain()) == Choice(vectors=VectorPowers())
    True
    """

    company: tuple[float, float, float] = (-0.7, -0.9, -0.2)
    sequence: float = -0.3
    recency: float = 0.0
    sequence_recency: float = 1.5
    share: float = 1.0
    vectors: VectorPowers | None = None

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Choice:
        """The choice of :meth:`plain` fields."""
        vectors = plain["vectors"] and VectorPowers(**plain["vectors"])
        return cls(**{**plain, "company": tuple(plain["company"]), "vectors": vectors})

    def plain(self) -> dict[str, Any]:
        """The fields as JSON gives them back, without tuples and classes."""
        return {**asdict(self), "company": list(self.company)}


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
        self._start = events.start(choice.recency)
        self._uses = (choice.share > 0, choice.share < 1 and events.then is not None)
        self._pairs: dict[int, tuple[Dense, Dense]] = {}
        if events.then is not None:
            sums = row_sums(events.then)
            even = sp.diags_array(np.divide(1.0, sums, where=sums > 0, out=sums.copy())) @ events.then
            self._then = sp.csr_array(even.astype(np.float32))
            self._then_t = sp.csr_array(self._then.T)
            into = np.asarray(events.then.sum(axis=0)).ravel()
            self._end = degree_power(into, choice.sequence).astype(np.float32)
            self._late = events.start(choice.sequence_recency).astype(np.float32)

    def rows(self, actors: NDArray[np.int64]) -> NDArray[np.float32]:
        """(b, things) scores of what some actors will meet, the two walks mixed."""
        return self._scores(self._start[actors], self._late[actors] if self._uses[1] else None)

    def rows_of_things(self, things: NDArray[np.int64]) -> NDArray[np.float32]:
        """(b, things) scores of what follows a thing, as if it were all of somebody's history."""
        unit = sp.csr_array(
            (np.ones(len(things)), things, np.arange(len(things) + 1)), shape=(len(things), len(self._things))
        )
        return self._scores(unit, unit.astype(np.float32))

    def _scores(self, start: Any, late: Any) -> NDArray[np.float32]:
        total = np.zeros(start.shape, np.float32)
        for begin in range(0, len(total), _AT_ONCE):
            part = slice(begin, begin + _AT_ONCE)
            company = self._after_company(start[part]) if self._uses[0] else None
            sequence = self._after_sequence(late[part]) if self._uses[1] else None
            total[part] = self._mixed(company, sequence, total[part].shape)
        return total

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

    def vectors(self, dim: int, seed: int, backend: Backend) -> tuple[Dense, Dense]:
        """(actors, dim) and (things, dim), of the kind that was chosen; zero where there are no events."""
        if self.choice.vectors is not None:
            return self.company_vectors(dim, seed, backend, self.choice.vectors)
        return self.row_vectors(dim, seed, backend)

    def company_vectors(
        self, dim: int, seed: int, backend: Backend, powers: VectorPowers, actors: Any = None
    ) -> tuple[Dense, Dense]:
        """(all or some actors, d) and (things, d): the middle of the company walk by its largest eigenpairs.

        The eigenpairs are of ``D_i^−q Bᵀ D_u^b B D_i^−q`` without its diagonal: what leads from a thing to itself takes
        room in every vector and ranks nothing, since who met a thing is not shown it.
        """
        if dim not in self._pairs:
            self._pairs[dim] = self._company_pairs(dim, seed, backend)
        start = self._histories.start(powers.recency)
        user = (start if actors is None else start[actors]) @ self._begun(dim, powers)
        return _shared_scale(user, degree_power(self._things, powers.end)[:, None] * self._pairs[dim][1])

    def _company_pairs(self, dim: int, seed: int, backend: Backend) -> tuple[Dense, Dense]:
        b, q = backend.sparse(self._there), degree_power(self._things, -_COLUMN_POWER)
        back, mid = backend.sparse(self._back), backend.dense(self._company[1])[:, None]
        scale = backend.dense(q)[:, None]
        own = np.asarray(self._back.power(2) @ self._company[1]) * q**2
        diagonal = backend.dense(own)[:, None]

        def product(x: torch.Tensor) -> torch.Tensor:
            return scale * (back @ (mid * (b @ (scale * x)))) - diagonal * x

        return _leading(product, len(self._things), dim, seed, backend)

    def row_vectors(
        self, dim: int, seed: int, backend: Backend, count: int = FACTORED, actors: Any = None
    ) -> tuple[Dense, Dense]:
        """(all or some actors, d) and (things, d), of the largest scores of rows: things by truncated SVD.

        Args:
            count: actors whose rows are factorised, drawn by the seed where there are more; the vectors of all are
                their own rows times the things' vectors.
        """
        drawn = np.flatnonzero(np.diff(self._there.indptr))
        if len(drawn) > count:
            drawn = np.sort(np.random.default_rng(seed).choice(drawn, count, replace=False))
        logged = self.largest(drawn)
        there, back = backend.sparse(logged), backend.sparse(sp.csr_array(logged.T))
        vectors = _leading(lambda x: back @ (there @ x), len(self._things), dim, seed, backend)[1]
        wanted = np.arange(len(self._users)) if actors is None else actors
        user = np.zeros((len(wanted), dim))
        known = np.minimum(np.searchsorted(drawn, wanted), len(drawn) - 1)
        inside = drawn[known] == wanted
        user[inside] = logged[known[inside]] @ vectors
        others = np.flatnonzero(~inside)
        for begin in range(0, len(others), count):
            part = others[begin : begin + count]
            user[part] = self.largest(wanted[part]) @ vectors
        return _shared_scale(user, vectors)

    def thing_vectors(self, dim: int, seed: int, backend: Backend) -> tuple[Dense, Dense]:
        """(things, dim) and (things, dim): each as a part of somebody's history, and as what he may meet next.

        For the company walk's vectors, an actor is the sum of what he met, weighed as ``Histories.start`` has it. For
        those of rows that holds but nearly: the logarithm of a mixture of rows is not the mixture of their logarithms.
        """
        if self.choice.vectors is not None:
            target = self.company_vectors(dim, seed, backend, self.choice.vectors, np.zeros(0, np.int64))[1]
            return _shared_scale(self._begun(dim, self.choice.vectors), target)
        target = self.row_vectors(dim, seed, backend, actors=np.zeros(0, np.int64))[1]
        things = np.arange(len(self._things))
        parts = (things[begin : begin + FACTORED] for begin in range(0, len(things), FACTORED))
        source = np.concatenate([self.largest(part, self.rows_of_things) @ target for part in parts])
        return _shared_scale(source, target)

    def _begun(self, dim: int, powers: VectorPowers) -> Dense:
        """(things, dim) what an event of weight one adds to its actor."""
        values, vectors = self._pairs[dim]
        met = degree_power(self._things, powers.met + _COLUMN_POWER)
        return np.asarray(met[:, None] * vectors * np.maximum(values, 0.0) ** powers.flattened)

    def largest(self, rows: NDArray[np.int64], rows_of: Any = None) -> Any:
        """(b, things) CSR of log(1 + score · things) for the largest scores of each row, whose sum is one.

        Args:
            rows: actors, or what ``rows_of`` takes in their place.
        """
        scores_of = rows_of or self.rows
        width = len(self._things)
        kept = min(LARGEST, width)
        parts = []
        for begin in range(0, len(rows), _AT_ONCE):
            scores = scores_of(rows[begin : begin + _AT_ONCE])
            place = np.sort(np.argpartition(-scores, kept - 1, axis=1)[:, :kept], axis=1)
            data = np.log1p(np.take_along_axis(scores, place, axis=1) * width).ravel()
            ends = np.arange(0, place.size + 1, kept)
            parts.append(sp.csr_array((data, place.ravel().astype(np.int32), ends), shape=scores.shape))
        found = sp.csr_array(sp.vstack(parts, format="csr"))
        found.eliminate_zeros()
        return found


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
