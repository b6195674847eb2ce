"""One rotation for all node types, learnt on shared nodes, judged on shared nodes it has not seen."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import expit

from graphrep.embed import align
from graphrep.embed.align import map_back
from graphrep.errors import InputError
from graphrep.evaluate.probe import auc, fit_probe


def vectors(seed: int, n: int, d: int = 6) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


def rotation(seed: int, d: int = 6) -> NDArray[np.float64]:
    return np.asarray(np.linalg.qr(np.random.default_rng(seed).normal(size=(d, d)))[0])


def test_a_turned_space_is_turned_back_for_every_type_new_nodes_included() -> None:
    before = {"user": vectors(0, 200), "host": vectors(1, 80)}
    turn = rotation(2)
    now = {kind: np.vstack([x, vectors(3, 10)]) @ turn for kind, x in before.items()}
    aligned, how = align({k: x.astype(np.float32) for k, x in now.items()}, before)
    for kind, x in before.items():
        np.testing.assert_allclose(aligned[kind][: len(x)], x, atol=1e-5)
        np.testing.assert_allclose(aligned[kind][len(x) :], vectors(3, 10), atol=1e-5)
        assert aligned[kind].dtype == np.float32
    np.testing.assert_allclose(how.rotation, turn.T, atol=1e-5)
    assert how.residual < 1e-5
    assert how.held_out_residual < 1e-5


@given(st.integers(0, 50), st.floats(0.1, 10))
def test_dot_products_between_types_and_lengths_are_unchanged(seed: int, longer: float) -> None:
    now = {"user": vectors(seed, 50), "host": vectors(seed + 1, 40)}
    before = {"user": longer * vectors(seed + 2, 50), "host": longer * vectors(seed + 3, 40)}
    aligned, how = align(now, before)
    np.testing.assert_allclose(aligned["user"] @ aligned["host"].T, now["user"] @ now["host"].T, atol=1e-5)
    for kind, x in now.items():
        np.testing.assert_allclose(np.linalg.norm(aligned[kind], axis=1), np.linalg.norm(x, axis=1), atol=1e-5)
    np.testing.assert_allclose(how.rotation @ how.rotation.T, np.eye(6), atol=1e-12)


def pairs_of_a_ranker(vectors_of: dict[str, NDArray[np.float32]], seed: int = 9):
    """Pairs of the first 3000 rows, and whether they met by planted tastes."""
    rng = np.random.default_rng(seed)
    left, right = rng.integers(0, 3000, 8000), rng.integers(0, 800, 8000)
    return vectors_of["user"][left], vectors_of["host"][right], left, right, rng.random(8000)


@pytest.mark.parametrize(("columns", "lost"), [(6, 0.002), (9, 0.002), (5, 0.05)])
def test_a_ranker_of_the_old_basis_reads_the_new_one_through_the_map(columns: int, lost: float) -> None:
    """The last: a column less than the old basis had."""
    before = {"user": vectors(0, 3000), "host": vectors(1, 800)}
    mix = np.random.default_rng(2).normal(size=(6, columns))
    turn = 3 * np.linalg.qr(mix)[0] if columns <= 6 else 3 * np.linalg.qr(mix.T)[0].T
    now = {kind: ((x + 0.05 * vectors(4, len(x))) @ turn).astype(np.float32) for kind, x in before.items()}
    left, right, i, j, chance = pairs_of_a_ranker(before)
    met = chance < expit(2 * (left * right) @ np.array([2.0, -1, 1, 0.5, -0.5, 0]))
    probe = fit_probe(left, right, met)
    back = map_back(now, before)
    assert back is not None
    assert back.matrix.shape == (columns, 6)
    kept, read = auc(met, probe.scores(left, right)), [now[k][at] @ back.matrix for k, at in (("user", i), ("host", j))]
    assert auc(met, probe.scores(*read)) > kept - lost
    assert back.held_out_residual < (0.1 if columns >= 6 else 0.5)
    if columns == 6:
        assert auc(met, probe.scores(now["user"][i], now["host"][j])) < kept - 0.05
        np.testing.assert_allclose(back.matrix @ back.matrix.T, np.eye(6) / 9, atol=0.01)


def test_a_map_needs_more_shared_nodes_than_columns_of_both() -> None:
    before = {"user": vectors(0, 12)}
    assert map_back(before, before) is None
    assert map_back({"user": vectors(0, 30)}, {"host": vectors(0, 30)}) is None
    assert map_back({"user": vectors(0, 30)}, {"user": vectors(0, 30)}) is not None


def test_about_a_fifth_is_held_out_and_the_same_ones_each_day() -> None:
    now = {"user": vectors(0, 5000)}
    _, how = align(now, now)
    assert 3900 < how.anchors < 4100
    _, fewer = align({"user": now["user"]}, {"user": now["user"][:2500]})
    _, again = align({"user": now["user"][:2500]}, {"user": now["user"][:2500]})
    assert fewer.anchors == again.anchors


def test_the_held_out_nodes_are_not_learnt_from() -> None:
    """Noise of dim as large as the anchors: fitted on them, the rotation must look better there than elsewhere."""
    _, how = align({"user": vectors(0, 60, 40)}, {"user": vectors(1, 60, 40)})
    assert how.residual < how.held_out_residual - 0.3


def test_absent_rows_are_no_anchors() -> None:
    now, before = {"user": vectors(0, 100)}, {"user": vectors(0, 100)}
    _, full = align(now, before)
    now["user"][:30] = 0.0
    before["user"][30:50] = np.nan
    before["user"][50:60] = 0.0
    aligned, how = align(now, before)
    assert 0 < how.anchors <= 40 < full.anchors
    assert how.residual < 1e-6
    assert np.isfinite(aligned["user"]).all()
    assert not aligned["user"][:30].any()


def test_one_shared_node_is_learnt_from_and_none_held_out() -> None:
    _, how = align({"user": vectors(0, 1)}, {"user": vectors(1, 1)})
    assert how.anchors == 1
    assert np.isnan(how.held_out_residual) or how.anchors == 1


@pytest.mark.parametrize(
    ("previous", "message"),
    [
        ({"user": vectors(1, 10, 5)}, "new space"),
        ({"user": vectors(1, 11)}, "new space"),
        ({"user": np.zeros((10, 6), np.float32)}, "new space"),
        ({"host": vectors(1, 10)}, "new space"),
    ],
)
def test_what_cannot_be_aligned_needs_a_new_space(previous: dict[str, NDArray[np.float32]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        align({"user": vectors(0, 10)}, previous)
