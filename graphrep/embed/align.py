"""Turn today's vectors onto yesterday's, so that a ranker trained on those can read these.

Dot products fix vectors only up to one orthogonal matrix. The one that is nearest to yesterday is the
orthogonal Procrustes solution (Schönemann, Psychometrika 31, 1966): ``XᵀY = PΣQᵀ``, rotation ``PQᵀ``. It is
one for all node types: with two, the dot products between the types would change. Lengths are left alone: a factor that
keeps those of the shared nodes from each day to the next compounds (docs/publishing.md), and the walks already scale
their vectors by all nodes of the day.

A basis that shall not be turned onto the old one (:func:`map_back`) is given a way back to it instead: whoever reads
the old one multiplies. The idea of a small map beside each new version is Hu et al.'s (Learning Backward Compatible
Embeddings, KDD 2022); theirs is trained jointly, this one is fitted on shared nodes afterwards.
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


@dataclass(frozen=True, eq=False)
class MapBack:
    """A way from one basis back to an older one, of the same number of columns or another.

    Attributes:
        matrix: (d, d_old) float32; ``vectors @ matrix`` are read like the older ones.
        anchors: number of nodes it was learnt on.
        held_out_residual: ``‖XM − Y‖_F / ‖Y‖_F`` on the fifth of the shared nodes not used; of all where none could be.
    """

    matrix: NDArray[np.float32]
    anchors: int
    held_out_residual: float


def align(vectors: Vectors, previous: Vectors) -> tuple[dict[str, NDArray[np.float32]], Alignment]:
    """Rotate all vectors by the one orthogonal matrix that brings the shared nodes nearest to ``previous``.

    A node is shared if its row (same type, same index) is non-zero and finite in both. A fifth of the shared
    nodes, chosen by a hash of type and index and so the same every day, is held out for the residual that a
    gate can trust; the others are the anchors.

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
    dim = _dim(vectors)
    for kind in sorted({*vectors} & {*previous}):
        if (shape := np.shape(previous[kind]))[1:] != (dim,):
            raise InputError(
                f"previous vectors of dim {dim}",
                found=f"shape {shape}",
                where=f"previous[{kind!r}]",
                fix="another dim needs a new space: leave previous out",
            )
    fit_x, fit_y, test_x, test_y = _anchors(vectors, previous)
    if not len(fit_x):
        raise InputError(
            "at least one node with a vector on both sides",
            found="none",
            where="previous",
            fix="start a new space: leave previous out",
        )
    turn = rotation(fit_x, fit_y)
    alignment = Alignment(turn, len(fit_x), _residual(fit_x @ turn, fit_y), _residual(test_x @ turn, test_y))
    return {kind: (x @ turn).astype(np.float32) for kind, x in vectors.items()}, alignment


def map_back(vectors: Vectors, previous: Vectors) -> MapBack | None:
    """The map on which today's vectors come nearest to those of an older basis.

    As many columns: one orthogonal matrix and a factor, which keep dot products in order. Otherwise least squares
    with a ridge of a thousandth of the mean square of the columns, in which dot products are lost.

    Args:
        vectors: (n, d) by node type.
        previous: (n' ≤ n, d_old) by node type, in the same rows; zeros where there is none.

    Returns:
        None: there are fewer shared nodes than columns of the two together, too few to tell.

    >>> before = np.random.default_rng(0).normal(size=(60, 2)).astype(np.float32)
    >>> wider = before @ np.array([[0, 1, 1], [-1, 0, 0]], dtype=np.float32)
    >>> back = map_back({"user": wider}, {"user": before})
    >>> back.matrix.shape, bool(np.allclose(wider @ back.matrix, before, atol=0.01))
    ((3, 2), True)
    """
    x, y, test_x, test_y = _anchors(vectors, previous)
    d, before = x.shape[1], y.shape[1]
    if len(x) < d + before:
        return None
    if d == before:
        matrix = rotation(x, y) * (_median_length(y) / _median_length(x))
    else:
        square = x.T @ x
        matrix = np.linalg.solve(square + 1e-3 * np.trace(square) / d * np.eye(d), x.T @ y)
    judged = (test_x, test_y) if len(test_x) else (x, y)
    return MapBack(matrix.astype(np.float32), len(x), _residual(judged[0] @ matrix, judged[1]))


def _median_length(x: NDArray[np.float64]) -> float:
    return float(np.median(np.linalg.norm(x, axis=1)))


def rotation(x: NDArray[np.floating], y: NDArray[np.floating]) -> NDArray[np.float64]:
    """(d, d) orthogonal: ``x @ rotation`` is as near to y as any turn of x can be.

    >>> rotation(np.eye(2), np.array([[0.0, 1.0], [1.0, 0.0]]))
    array([[0., 1.],
           [1., 0.]])
    """
    left, _, right = np.linalg.svd(x.astype(np.float64).T @ y.astype(np.float64))
    return np.asarray(left @ right)


def _anchors(vectors: Vectors, previous: Vectors) -> tuple[NDArray[np.float64], ...]:
    """Rows to learn from, now and before, and rows held out, now and before."""
    now, before = [np.zeros((0, _dim(vectors)))], [np.zeros((0, _dim(previous)))]
    held_out = [np.zeros(0, np.bool_)]
    for kind in vectors:
        if kind not in previous:
            continue
        x, y = np.asarray(vectors[kind]), np.asarray(previous[kind])
        if len(y) > len(x):
            raise InputError(
                f"at most {len(x)} previous rows, since an index is kept for ever",
                found=str(len(y)),
                where=f"previous[{kind!r}]",
                fix="use the same node dictionary, or start a new space: leave previous out",
            )
        shared = np.flatnonzero(_present(x[: len(y)]) & _present(y))
        now.append(x[shared].astype(np.float64))
        before.append(y[shared].astype(np.float64))
        held_out.append(_is_held_out(kind, shared))
    test = np.concatenate(held_out)
    if test.all():  # so few that none would be left to learn from
        test = np.zeros_like(test)
    here, there = np.concatenate(now), np.concatenate(before)
    return here[~test], there[~test], here[test], there[test]


def _dim(vectors: Vectors) -> int:
    return int(next(iter(vectors.values())).shape[1])


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
