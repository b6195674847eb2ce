"""Exact rows of a walk: what vectors approximate, for a batch of sources, by a few sparse products.

Vectors find candidates; the top of a list can then be put in the order of exact scores. On most graphs these are better
than any vectors of a few hundred dimensions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import ArrayLike, NDArray

from graphrep.embed.autocovariance import operator_of
from graphrep.embed.backend import Backend
from graphrep.embed.checks import check_shape, checked_matrix
from graphrep.embed.plan import precision_for
from graphrep.embed.walk import Dense, row_sums
from graphrep.errors import InputError

_COLUMNS_AT_ONCE = 512


class DegreeWalk:
    """``D^e₀ A D^e₁ A … A D^e_τ``: the walk's paths, each visit to a node weighed by a power of its degree.

    ``(0, −1, …, −1, 0)`` is the standard walk ``ΠM^τ`` but for its scale. Larger powers at the end and smaller ones on
    the way count hubs for more or for less (Fu et al.: Revisiting Neighborhood-based Link Prediction for Collaborative
    Filtering, WWW 2022 companion, use four such powers for three steps). Nothing is centred.

    Args:
        adjacency: (n, n) symmetric; or (n, m), users × items, walked to and fro: odd τ ends at items.
        exponents: one for each node on the way, the source and the target included, so τ + 1.
    """

    def __init__(self, adjacency: Any, exponents: Sequence[float], *, backend: Backend) -> None:
        crossed = adjacency.shape[0] != adjacency.shape[1]
        degrees = [row_sums(adjacency), row_sums(sp.csr_array(adjacency.T))] if crossed else [row_sums(adjacency)]
        there = backend.sparse(adjacency)
        back = backend.sparse(sp.csr_array(adjacency.T)) if crossed else there
        self._steps = [(there, back) if step % 2 == 0 else (back, there) for step in range(len(exponents) - 1)]
        powers = [degree_power(degrees[place % len(degrees)], e) for place, e in enumerate(exponents)]
        self._powers = [backend.dense(power)[:, None] for power in powers]
        self.shape = (len(powers[0]), len(powers[-1]))

    def matmat(self, x: torch.Tensor) -> torch.Tensor:
        y = self._powers[-1] * x
        for (there, _), power in zip(self._steps[::-1], self._powers[-2::-1], strict=True):
            y = power * (there @ y)
        return y

    def rmatmat(self, x: torch.Tensor) -> torch.Tensor:
        y = self._powers[0] * x
        for (_, back), power in zip(self._steps, self._powers[1:], strict=True):
            y = power * (back @ y)
        return y


def degree_power(degree: Dense, exponent: float) -> Dense:
    """``degree^exponent``, and 0 where there is no edge.

    >>> degree_power(np.array([4.0, 0.0]), -0.5)
    array([0.5, 0. ])
    """
    return np.asarray(np.where(degree > 0, np.where(degree > 0, degree, 1.0) ** exponent, 0.0))


def walk_scores(
    adjacency: Any,
    sources: ArrayLike,
    targets: ArrayLike | None = None,
    *,
    markov_time: float | Sequence[int] = 3,
    directed: bool = False,
    lazy: bool = False,
    signed: bool = False,
    bipartite_correction: bool = True,
    continuous: bool | None = None,
    exponents: Sequence[float] | None = None,
    device: str | None = None,
) -> NDArray[np.float32]:
    """Rows of R(τ), or of the degree-corrected walk, as they are: no factorisation, τ sparse products for a batch.

    Args:
        adjacency, markov_time, directed, lazy, signed, bipartite_correction, continuous, device: as in
            ``graphrep.embed.autocovariance``.
        sources: (b,) rows.
        targets: columns wanted; None: all.
        exponents: τ + 1 powers of degrees (``DegreeWalk``), instead of R(τ): symmetric or rectangular matrices only.

    Returns:
        (b, m) float32, or (b, len(targets)).

    Raises:
        InputError: as ``autocovariance``; a source or target out of range; exponents that are not τ + 1 numbers.

    >>> path = sp.csr_array(np.diag([1.0, 1.0, 1.0], 1) + np.diag([1.0, 1.0, 1.0], -1))
    >>> walk_scores(path, [0], exponents=(0, -1, -1, 0)).round(2).tolist()
    [[0.0, 0.75, 0.0, 0.25]]
    """
    matrix = checked_matrix(adjacency, signed=signed)
    rows = _indices(sources, matrix.shape[0], "sources")
    columns = None if targets is None else _indices(targets, matrix.shape[1], "targets")
    backend = Backend(device, precision_for(device))
    if exponents is None:
        options = {"directed": directed, "lazy": lazy, "signed": signed}
        walk, place = operator_of(matrix, markov_time, backend, bipartite_correction, continuous, **options)
    else:
        _check_alone(directed=directed, lazy=lazy, signed=signed, continuous=bool(continuous))
        check_shape(matrix, crosses=len(exponents) % 2 == 0, directed=False, signed=False)
        walk, place = DegreeWalk(matrix, _checked_exponents(exponents, markov_time), backend=backend), None
    return rows_of(walk, rows, columns, backend, place, matrix.shape[1])


def rows_of(
    walk: Any,
    rows: NDArray[np.int64],
    columns: NDArray[np.int64] | None,
    backend: Backend,
    place: tuple[NDArray[np.int64], NDArray[np.int64]] | None,
    width: int,
) -> NDArray[np.float32]:
    """Rows of an operator; ``place``: which rows and columns of the whole matrix it has."""
    found = np.zeros((len(rows), width), np.float32)
    where = np.arange(walk.shape[0]) if place is None else place[0]
    position = np.searchsorted(where, rows)
    known = np.flatnonzero((position < len(where)) & (where[np.minimum(position, len(where) - 1)] == rows))
    for begin in range(0, len(known), _COLUMNS_AT_ONCE):
        part = known[begin : begin + _COLUMNS_AT_ONCE]
        unit = backend.like.new_zeros((walk.shape[0], len(part)))
        unit[torch.as_tensor(position[part], device=unit.device), torch.arange(len(part), device=unit.device)] = 1.0
        scores = walk.rmatmat(unit).T.cpu().numpy()
        if place is None:
            found[part] = scores
        else:
            found[part[:, None], place[1]] = scores
    return found if columns is None else np.ascontiguousarray(found[:, columns])


def _check_alone(**options: bool) -> None:
    for name, value in options.items():
        if value:
            expected = f"exponents or {name}=True"
            raise InputError(expected, found="both", where="walk_scores", fix="leave one out")


def _checked_exponents(exponents: Sequence[float], markov_time: Any) -> list[float]:
    if isinstance(markov_time, Sequence) or int(markov_time) != markov_time or markov_time < 1:
        expected = "one whole markov_time of at least 1 beside exponents"
        raise InputError(expected, found=repr(markov_time), where="exponents")
    given = [float(e) for e in exponents]
    if len(given) != markov_time + 1 or not np.isfinite(given).all():
        expected = f"{markov_time + 1} finite numbers, one for each node of {markov_time} steps"
        raise InputError(expected, found=repr(tuple(exponents)), where="exponents")
    return given


def _indices(given: ArrayLike, size: int, name: str) -> NDArray[np.int64]:
    index = np.atleast_1d(np.asarray(given))
    if index.size == 0:
        return np.zeros(0, np.int64)
    if index.dtype.kind not in "iu" or index.ndim != 1:
        raise InputError("a list of integers", found=f"{index.dtype}, shape {index.shape}", where=name)
    if index.min() < 0 or index.max() >= size:
        raise InputError(f"indices in 0..{size - 1}", found=f"{index.min()}..{index.max()}", where=name)
    return index.astype(np.int64)
