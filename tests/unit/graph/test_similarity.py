"""Alike pairs against brute force with exact fractions of the same definition, ties and limits included."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphrep.errors import InputError
from graphrep.graph import similarity
from graphrep.graph.similarity import similar_pairs

Pair = tuple[int, int, float]


def pairs(*args: Any, **named: Any) -> list[Pair]:
    i, j, cosine = similar_pairs(*args, **named)
    assert (i.dtype, j.dtype, cosine.dtype) == (np.int64, np.int64, np.float64)
    return list(zip(i.tolist(), j.tolist(), cosine.tolist(), strict=True))


def cosine_of(a: Any, b: Any) -> float | None:
    a, b = np.asarray(a, np.longdouble), np.asarray(b, np.longdouble)
    if not (np.isfinite(a).all() and np.isfinite(b).all() and a.any() and b.any()):
        return None
    return round(float(a @ b / np.sqrt((a @ a) * (b @ b))), 6)


def oracle(x: Any, y: Any | None, k: int, min_cosine: float, limit: int | None) -> list[Pair]:
    chosen = set()
    for i, own in enumerate(x):
        near = []
        for j, other in enumerate(x if y is None else y):
            cosine = cosine_of(own, other)
            if cosine is not None and not (y is None and i == j):
                near.append((-cosine, j))
        for negative, j in sorted(near)[:k]:
            if -negative >= min_cosine:
                chosen.add((min(i, j), max(i, j), -negative) if y is None else (i, j, -negative))
    return sorted(chosen, key=lambda pair: (-pair[2], *pair[:2]))[:limit]


# Few directions, so that cosines tie; no two of them within a rounding of each other.
numbers = st.sampled_from([0.0, 0.0, 1.0, -1.0, 2.0, 3.0, np.nan, np.inf])
vectors = st.lists(st.lists(numbers, min_size=3, max_size=3), min_size=1, max_size=12)


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(
    x=vectors,
    y=st.one_of(st.none(), vectors),
    k=st.integers(1, 4),
    min_cosine=st.sampled_from([-1.0, 0.0, 0.5, 0.95]),
    limit=st.one_of(st.none(), st.integers(0, 8)),
)
def test_pairs_are_what_brute_force_says(x: Any, y: Any, k: int, min_cosine: float, limit: int | None) -> None:
    assert pairs(x, y, k=k, min_cosine=min_cosine, limit=limit) == oracle(x, y, k, min_cosine, limit)


def test_blocks_do_not_change_the_pairs_to_the_last_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.default_rng(0).normal(size=(300, 32)).astype(np.float32)
    x[200:250] = x[0]  # a vector that stands for all that have none
    whole = pairs(x, k=7, min_cosine=0.1, limit=900)
    monkeypatch.setattr(similarity, "_BLOCK", 1000)
    assert pairs(x, k=7, min_cosine=0.1, limit=900) == whole
    expected = {pair[:2]: pair[2] for pair in oracle(x.astype(np.float64), None, 7, 0.1, 900)}
    assert {pair[:2]: pair[2] for pair in whole} == pytest.approx(expected, abs=1.01e-6)


def test_of_equally_alike_rows_the_earlier_are_taken() -> None:
    same = np.ones((6, 2), np.float32)
    assert pairs(same[:1], same, k=2, min_cosine=0.5) == [(0, 0, 1.0), (0, 1, 1.0)]
    assert [pair[:2] for pair in pairs(same, k=1, min_cosine=0.5)] == [(0, 1), (0, 2), (0, 3), (0, 4), (0, 5)]


def test_lengths_of_the_vectors_say_nothing() -> None:
    x = np.array([[1e200, 2e200], [1e-200, 2e-200], [-3, -6]])
    assert pairs(x, k=2, min_cosine=-1.0) == [(0, 1, 1.0), (0, 2, -1.0), (1, 2, -1.0)]


@pytest.mark.parametrize(
    ("x", "y", "options", "message"),
    [
        ([1.0, 2.0], None, {}, r"a matrix of real numbers, found float64 of shape \(2,\) \[x\]"),
        ([[1.0]], [["a"]], {}, r"a matrix of real numbers, .*\[y\]"),
        ([[1.0, 2.0]], [[1.0]], {}, "one space, found 2 and 1 columns"),
        ([[1.0]], None, {"k": 0}, "k of at least 1"),
        ([[1.0]], None, {"limit": -1}, "limit -1"),
    ],
)
def test_what_is_no_matrix_of_one_space_is_refused(x: Any, y: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        similar_pairs(x, y, **{"k": 1, "min_cosine": 0.0, **options})
