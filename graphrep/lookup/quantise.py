"""Vectors as a reader maps them: a quarter of the bytes, one scale for each row, and a bound on what is lost."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

INT8, FLOAT16, FLOAT32 = "int8", "float16", "float32"
ONLINE = (INT8, FLOAT16, FLOAT32)
"""How vectors may be kept, each finer than the one before."""

MOST_LOST = 0.014
"""Largest ‖x − x̂‖ / ‖x‖ of a row. The cosine of x and x̂ is then .9999 or more, and a score with y is off by at most
this share of ‖x‖‖y‖."""

LEVELS = 127
CHUNK = 1 << 16

Floats = npt.NDArray[np.float32]
Packed = npt.NDArray[Any]


def pack(vectors: Floats, online: str) -> tuple[Packed, Floats]:
    """Keep (n, d) vectors in the wanted way, or in the next finer one where any row would lose too much.

    A row whose largest coordinate holds over half of its length cannot be told in 127 steps of that coordinate.

    Returns:
        (n, d) of the kept type, and (n,) float32 to multiply its rows by; ones where that is not int8.

    >>> kept, scale = pack(np.array([[1, -0.5], [0, 0]], np.float32), "int8")
    >>> kept.tolist(), bool(scale[0] == np.float32(1) / np.float32(127)), float(scale[1])
    ([[127, -64], [0, 0]], True, 0.0)
    """
    for kind in ONLINE[ONLINE.index(online) :]:
        packed = _packed(vectors, kind)
        if packed is not None:
            return packed
    return vectors, np.ones(len(vectors), np.float32)


def _packed(vectors: Floats, kind: str) -> tuple[Packed, Floats] | None:
    kept = np.empty(vectors.shape, dtype=kind)
    scales = np.ones(len(vectors), dtype=np.float32)
    for start in range(0, len(vectors), CHUNK):
        rows = slice(start, start + CHUNK)
        own = vectors[rows]
        with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
            if kind == INT8:
                scales[rows] = np.abs(own).max(axis=1, initial=0) / np.float32(LEVELS)
                steps = own / np.where(scales[rows] > 0, scales[rows], 1)[:, None]
                kept[rows] = np.rint(np.clip(np.nan_to_num(steps), -LEVELS, LEVELS))
            else:
                kept[rows] = own
            lost = np.linalg.norm(unpack(kept[rows], scales[rows]).astype(np.float64) - own, axis=1)
        if not (lost <= MOST_LOST * np.linalg.norm(own.astype(np.float64), axis=1)).all():
            return None
    return kept, scales


def unpack(kept: Packed, scales: Floats) -> Floats:
    """Rows as :func:`pack` kept them → (n, d) float32, of which the caller may change any."""
    if kept.dtype == np.int8:
        return np.multiply(kept, scales[:, None], dtype=np.float32)
    return kept.astype(np.float32)
