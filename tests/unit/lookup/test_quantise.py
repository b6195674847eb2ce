"""Vectors in a quarter of the bytes: what is lost is bounded for every row, or the type is kept finer."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from graphrep.lookup import quantise
from graphrep.lookup.quantise import FLOAT16, FLOAT32, INT8, ONLINE, pack, unpack

FLOATS = st.floats(-(2.0**100), 2.0**100, width=32)
VECTORS = arrays.arrays(np.float32, st.tuples(st.integers(0, 6), st.integers(1, 70)), elements=FLOATS)


@given(vectors=VECTORS, online=st.sampled_from(ONLINE))
@settings(max_examples=200, deadline=None)
def test_whatever_is_kept_the_cosine_and_the_scores_hold(vectors: np.ndarray, online: str) -> None:
    kept, scales = pack(vectors, online)
    found = unpack(kept, scales).astype(np.float64)
    exact = vectors.astype(np.float64)
    norms = np.linalg.norm(exact, axis=1)
    assert (found.shape, scales.shape, scales.dtype) == (exact.shape, (len(exact),), np.float32)
    assert ONLINE.index(str(kept.dtype)) >= ONLINE.index(online)
    some = norms > 0
    assert not found[~some].any()
    cosine = (found * exact).sum(axis=1)[some] / (np.linalg.norm(found, axis=1) * norms)[some]
    assert (cosine >= 0.9999).all()
    assert (np.abs(found @ exact.T - exact @ exact.T) <= 0.014 * np.outer(norms, norms) * (1 + 1e-9)).all()


def test_vectors_as_they_are_published_take_a_byte_a_number() -> None:
    vectors = np.random.default_rng(0).normal(size=(5_000, 64)).astype(np.float32)
    kept, scales = pack(vectors, INT8)
    assert (kept.dtype, kept.nbytes) == (np.int8, vectors.nbytes // 4)
    assert int(np.abs(kept.astype(int)).max(axis=1).min()) == 127
    np.testing.assert_allclose(unpack(kept, scales), vectors, atol=float(scales.max()) * 0.51)


def test_a_row_that_would_lose_too_much_makes_its_type_finer() -> None:
    vectors = np.random.default_rng(0).normal(size=(9, 64)).astype(np.float32)
    vectors[4, 0] = 125 * 6
    vectors[4, 1:] = 2.9
    assert pack(vectors, INT8)[0].dtype == np.float16
    vectors[5] *= 1e6
    assert pack(vectors, INT8)[0].dtype == np.float32


@pytest.mark.parametrize("online", [FLOAT16, FLOAT32])
def test_what_is_finer_than_a_byte_has_no_scale(online: str) -> None:
    vectors = np.array([[1.5, -2], [0, 0]], np.float32)
    kept, scales = pack(vectors, online)
    assert (str(kept.dtype), scales.tolist(), unpack(kept, scales).tolist()) == (online, [1, 1], vectors.tolist())


def test_rows_are_packed_alike_however_many_are_taken_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = np.random.default_rng(1).normal(size=(50, 8)).astype(np.float32)
    whole = pack(vectors, INT8)
    monkeypatch.setattr(quantise, "CHUNK", 7)
    for one, other in zip(whole, pack(vectors, INT8), strict=True):
        np.testing.assert_array_equal(one, other)
