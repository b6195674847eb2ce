"""Turn today's vectors onto yesterday's, so that a ranker trained on those can read these.

Dot products fix vectors only up to one orthogonal matrix. The one that is nearest to yesterday is the
orthogonal Procrustes solution (Schönemann, Psychometrika 31, 1966): ``XᵀY = PΣQᵀ``, rotation ``PQᵀ``. It is
one for all node types: with two, the dot products between the types would change.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from graphrep.errors import InputError

Vectors = Mapping[str, NDArray[np.float32]]

_HELD_OUT_ONE_IN = 5


@dataclass(frozen=True, eq=False)
class Alignment:
    """What the rotation was learnt on and how well it fits.

    Attributes:
        rotation: (d, d) float64, orthogonal; ``aligned = vectors @ rotation``.
        anchors: number of nodes it was learnt on.
        residual: ``‖XR − Y‖_F / ‖Y‖_F`` on the anchors: 0 the same space, about √2 nothing in common.
        held_out_residual: the same on the fifth of the shared nodes not used; NaN if that is empty.
    """

    rotation: NDArray[np.float64]
    anchors: int
    residual: float
    held_out_residual: float


def align(vectors: Vectors, previous: Vectors) -> tuple[dict[str, NDArray[np.float32]], Alignment]:
    """Rotate all vectors by the one orthogonal matrix that brings the shared nodes nearest to ``previous``.

    A node is shared if its row (same type, same index) is non-zero and finite in both. A fifth of the shared
    nodes, chosen by a hash of type and index and so the same every day, is held out for the residual that a
    gate can trust.

    Args:
        vectors: (n, d) by node type.
        previous: (n' ≤ n, d) by node type; a type of only one side has no anchors.

    Returns:
        The rotated vectors, (n, d) float32 by node type, and the Alignment. Dot products are unchanged.

    Raises:
        InputError: another dim, more rows than now, or no shared node: these need a new space.

    >>> before = np.random.default_rng(0).normal(size=(20, 2)).astype(np.float32)
    >>> now = {"user": before @ np.array([[0, 1], [-1, 0]], dtype=np.float32)}
    >>> turned, how = align(now, {"user": before})
    >>> bool(np.allclose(turned["user"], before, atol=1e-6)), how.held_out_residual < 1e-6
    (True, True)
    """
    fit_x, fit_y, test_x, test_y = _anchors(vectors, previous)
    turn = rotation(fit_x, fit_y)
    alignment = Alignment(turn, len(fit_x), _residual(fit_x @ turn, fit_y), _residual(test_x @ turn, test_y))
    return {kind: (x @ turn).astype(np.float32) for kind, x in vectors.items()}, alignment


def rotation(x: NDArray[np.floating], y: NDArray[np.floating]) -> NDArray[np.float64]:
    """(d, d) orthogonal: ``x @ rotation`` is as near to y as any turn of x can be.

    >>> rotation(np.eye(2), np.array([[0.0, 1.0], [1.0, 0.0]]))
    array([[0., 1.],
           [1., 0.]])
    """
    left, _, right = np.linalg.svd(x.astype(np.float64).T @ y.astype(np.float64))
    return np.asarray(left @ right)


def _anchors(vectors: Vectors, previous: Vectors) -> tuple[NDArray[np.float64], ...]:
    now: list[NDArray[np.float64]] = []
    before: list[NDArray[np.float64]] = []
    held_out: list[NDArray[np.bool_]] = []
    for kind in vectors:
        if kind not in previous:
            continue
        x, y = np.asarray(vectors[kind]), np.asarray(previous[kind])
        _check_shapes(kind, x, y)
        shared = np.flatnonzero(_present(x[: len(y)]) & _present(y))
        now.append(x[shared].astype(np.float64))
        before.append(y[shared].astype(np.float64))
        held_out.append(_is_held_out(kind, shared))
    if not sum(map(len, now)):
        raise InputError(
            "at least one node with a vector on both sides",
            found="none",
            where="previous",
            fix="start a new space: leave previous out",
        )
    test = np.concatenate(held_out)
    if test.all():  # so few that none would be left to learn from
        test = np.zeros_like(test)
    here, there = np.concatenate(now), np.concatenate(before)
    return here[~test], there[~test], here[test], there[test]


def _check_shapes(kind: str, x: NDArray[np.float32], y: NDArray[np.float32]) -> None:
    if y.ndim != 2 or y.shape[1] != x.shape[1]:
        raise InputError(
            f"previous vectors of dim {x.shape[1]}",
            found=f"shape {y.shape}",
            where=f"previous[{kind!r}]",
            fix="another dim needs a new space: leave previous out",
        )
    if len(y) > len(x):
        raise InputError(
            f"at most {len(x)} previous rows, since an index is kept for ever",
            found=str(len(y)),
            where=f"previous[{kind!r}]",
            fix="use the same node dictionary, or start a new space: leave previous out",
        )


def _present(x: NDArray[np.float32]) -> NDArray[np.bool_]:
    return np.asarray(np.isfinite(x).all(axis=1) & (x != 0).any(axis=1))


def _is_held_out(kind: str, index: NDArray[np.int64]) -> NDArray[np.bool_]:
    """SplitMix64's finaliser (Steele, Lea, Flood, OOPSLA 2014) of the index, offset by the type's name."""
    z = index.astype(np.uint64) + np.uint64(zlib.crc32(kind.encode()) << 32)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray((z ^ (z >> np.uint64(31))) % np.uint64(_HELD_OUT_ONE_IN) == 0)


def _residual(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    return float(np.linalg.norm(x - y) / np.linalg.norm(y)) if len(y) else float("nan")
