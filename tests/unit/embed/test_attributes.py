"""Added pairs and the enhanced graph against their definitions written out densely."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from graphrep.embed import attributes
from graphrep.embed.attributes import attribute_edges, enhance
from graphrep.errors import InputError

Matrix = NDArray[np.float64]


def graph(seed: int, n: int, density: float = 0.3) -> Matrix:
    rng = np.random.default_rng(seed)
    upper = np.triu((rng.random((n, n)) < density) * (rng.random((n, n)) + 0.1), 1)
    upper[0, 1] = 1.0
    return np.asarray(upper + upper.T)


def bag(seed: int, n: int, r: int = 4) -> Matrix:
    """0/1 attributes, many cosines equal, none near a half of a step; the last row empty."""
    x = (np.random.default_rng(seed).random((n, r)) < 0.5).astype(np.float64)
    x[0], x[-1] = 1.0, 0.0
    return x


def dense_cosine(x: Matrix) -> Matrix:
    length = np.linalg.norm(x, axis=1)
    s = x @ x.T / np.where(length > 0, length, 1.0)[:, None] / np.where(length > 0, length, 1.0)
    np.fill_diagonal(s, 0.0)
    return np.asarray(np.round(s, 6))


def dense_above(a: Matrix, x: Matrix, eta: float) -> NDArray[np.bool_]:
    """All ordered pairs, sorted in full."""
    s = dense_cosine(x)
    n, k = len(a), int(eta * np.count_nonzero(a))
    ordered = np.sort(s[~np.eye(n, dtype=bool)])[::-1]
    return np.asarray((s > max(ordered[k - 1], 0.0)) if k else np.zeros((n, n), dtype=bool))


def dense_enhanced(a: Matrix, x: Matrix, eta: float, alpha: float, beta: float, w: Matrix) -> Matrix:
    present = (a > 0) | dense_above(a, x, eta)
    return np.asarray(alpha * a + (1 - alpha) * present * (beta * w + (1 - beta) * np.maximum(dense_cosine(x), 0)))


@pytest.mark.parametrize("sparse", [True, False])
@given(st.integers(0, 10_000), st.integers(3, 14), st.sampled_from([0.0, 0.1, 0.29, 0.5, 1.0]))
@settings(deadline=None, max_examples=40)
def test_the_added_pairs_are_those_above_the_kth_largest_cosine(sparse: bool, seed: int, n: int, eta: float) -> None:
    a, x = graph(seed, n), bag(seed + 1, n)
    found = attribute_edges(sp.csr_array(a), sp.csr_array(x) if sparse else x, eta).toarray()
    np.testing.assert_allclose(found, np.where(a > 0, 0.0, dense_cosine(x) * dense_above(a, x, eta)), atol=1e-9)


@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.3, 1.0]), st.sampled_from([0.0, 0.25, 1.0]))
@settings(deadline=None, max_examples=40)
def test_the_enhanced_graph_is_the_formula_of_the_paper(seed: int, alpha: float, beta: float) -> None:
    n = 9
    rng = np.random.default_rng(seed)
    a, w = graph(seed, n), rng.random((n, n)) + 0.1
    x, w = bag(seed + 1, n) * rng.choice([-1.0, 1.0], (n, 4)), w + w.T
    found = enhance(sp.csr_array(a), x, 0.5, alpha, beta, sp.csr_array(w), self_loops="none").toarray()
    np.testing.assert_allclose(found, dense_enhanced(a, x, 0.5, alpha, beta, w), atol=1e-9)


def test_pairs_equal_to_the_threshold_all_stay_out() -> None:
    square = graph_of(5, [(0, 1)])
    alike = np.array([[1.0, 0], [0, 1], [1, 1], [1, 1], [1, 1]])  # three pairs at cosine 1, six at 0.707
    assert attribute_edges(square, alike, eta=1.0).nnz == 0  # K = 2: the threshold is 1 itself
    assert attribute_edges(square, alike, eta=3.0).nnz == 0  # K = 6: the threshold is the third pair of cosine 1
    assert attribute_edges(square, alike, eta=4.0).nnz == 6  # K = 8: the threshold is 0.707


def test_edges_take_places_among_the_k() -> None:
    x = np.array([[1.0, 0], [1, 0.1], [1, 0.3], [0, 1]])
    assert attribute_edges(graph_of(4, [(0, 3)]), x, eta=2.0).nnz == 2
    assert attribute_edges(graph_of(4, [(0, 1)]), x, eta=2.0).nnz == 0


def test_a_product_of_eta_that_is_whole_is_not_rounded_down() -> None:
    n = 51
    ring = sp.csr_array((np.ones(n - 1), (np.arange(n - 1), np.arange(1, n))), shape=(n, n))
    a = ring + ring.T  # 100 entries; 0.29 · 100 is below 29 in float64
    x = np.random.default_rng(0).random((n, 5))
    ordered = np.sort(dense_cosine(x)[~np.eye(n, dtype=bool)])[::-1]
    both = attribute_edges(a, x, 0.29).nnz + (enhance(a, x, 0.29, self_loops="none").nnz - a.nnz)
    expected = (dense_cosine(x) > ordered[28]) & (a.toarray() == 0)
    assert both == 2 * expected.sum()


def test_only_positive_cosines_count() -> None:
    x = np.array([[1.0, 0], [-1, 0], [0, 1], [0, -1]])
    assert attribute_edges(graph_of(4, [(0, 1)]), x, eta=6.0).nnz == 0
    assert enhance(graph_of(4, [(0, 1)]), x, 0.0, alpha=0.5, self_loops="none").toarray()[0, 1] == 0.5
    ones = sp.csr_array(np.ones((4, 4)))
    assert enhance(graph_of(4, [(0, 1)]), x, 6.0, beta=1.0, weights=ones, self_loops="none").nnz == 2


def test_a_node_without_attributes_gets_no_pair_and_keeps_its_edges() -> None:
    x = np.array([[0.0, 0], [1, 1], [1, 1]])
    enhanced = enhance(graph_of(3, [(0, 1)]), x, eta=3.0, alpha=0.5, self_loops="none").toarray()
    assert enhanced[0].tolist() == [0.0, 0.5, 0.0]
    assert enhanced[1, 2] == 0.5


def test_blocks_and_the_order_of_the_nodes_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    n = 60
    rng = np.random.default_rng(3)
    a, order = graph(3, n, 0.05), rng.permutation(60)
    for x in (bag(4, n, 12), rng.standard_normal((n, 6)).astype(np.float32)):
        whole = attribute_edges(sp.csr_array(a), x, 1.0).toarray()
        turned = attribute_edges(sp.csr_array(a[order][:, order]), x[order], 1.0).toarray()
        monkeypatch.setattr(attributes, "_BLOCK", 7 * n)
        blocks = attribute_edges(sp.csr_array(a), x, 1.0).toarray()
        monkeypatch.undo()
        assert whole.any()
        assert (blocks == whole).all()
        assert (turned == whole[order][:, order]).all()


@pytest.mark.parametrize("form", [np.asarray, sp.csr_array])
def test_cosines_are_exact_sums_so_that_no_order_can_change_them(form: Any) -> None:
    units = attributes._units(form(np.random.default_rng(0).standard_normal((20, 7))), 20)
    steps = (units.toarray() if sp.issparse(units) else units) * 2**26
    assert (steps == np.rint(steps)).all()
    np.testing.assert_allclose(np.linalg.norm(steps, axis=1), 2**26, rtol=1e-7)


def test_sparse_and_dense_attributes_of_any_size_give_the_same() -> None:
    a, x = sp.csr_array(graph(5, 30, 0.1)), bag(6, 30, 9)
    expected = attribute_edges(a, x, 0.5).toarray()
    assert expected.any()
    for other in (sp.csr_matrix(x), sp.coo_array(x * 1e200), x * 1e-200, x.astype(np.int8), x > 0):
        assert (attribute_edges(a, other, 0.5).toarray() == expected).all()


def test_self_loops() -> None:
    a, x = graph_of(4, [(0, 1)]), np.array([[1.0, 0], [1, 0], [1, 0], [0, 1]])
    assert enhance(a, x, 2.5).diagonal().tolist() == [1.0] * 4
    assert enhance(a, x, 0.0, self_loops="isolated").diagonal().tolist() == [0.0, 0.0, 1.0, 1.0]
    assert enhance(a, x, 0.0, self_loops="none").diagonal().tolist() == [0.0] * 4
    # A node is isolated if it is so in the enhanced graph: here its only edge has weight 0.
    lonely = enhance(graph_of(3, [(0, 1)]), np.array([[1.0, 0], [0, 1], [1, 1]]), 0.0, alpha=0.0, self_loops="isolated")
    assert lonely.diagonal().tolist() == [1.0, 1.0, 1.0]


def test_the_diagonal_of_the_graph_is_ignored_and_the_input_unchanged() -> None:
    a, x = graph(8, 12), bag(9, 12)
    looped = sp.csr_array(a + np.eye(12))
    before = looped.toarray()
    assert (enhance(looped, x).toarray() == enhance(sp.csr_array(a), x).toarray()).all()
    assert (looped.toarray() == before).all()


def graph_of(n: int, edges: list[tuple[int, int]]) -> Any:
    u, v = np.array(edges).T
    half = sp.coo_array((np.ones(len(edges)), (u, v)), shape=(n, n))
    return sp.csr_array(half + half.T)


PAIR = graph_of(3, [(0, 1)])
X = np.eye(3)


@pytest.mark.parametrize(
    ("adjacency", "x", "eta", "rule"),
    [
        (PAIR.toarray(), X, 0.5, "square scipy.sparse"),
        (sp.csr_array((2, 3)), X, 0.5, "square scipy.sparse"),
        (sp.csr_array([[1.0]]), np.ones((1, 1)), 0.5, "at least two nodes"),
        (sp.csr_array((3, 3)), X, 0.5, "at least one edge"),
        (sp.csr_array(np.eye(3)), X, 0.5, "at least one edge"),
        (-PAIR, X, 0.5, "weights of at least 0"),
        (PAIR * np.nan, X, 0.5, "finite real weights"),
        (PAIR.astype(bool) * np.inf, X, 0.5, "finite real weights"),
        (PAIR.astype(complex), X, 0.5, "finite real weights"),
        (sp.triu(PAIR), X, 0.5, "symmetric"),
        (PAIR, np.where(X > 0, np.nan, 0.0), 0.5, "finite attributes, found 3"),
        (PAIR, sp.csr_array(np.where(X > 0, np.inf, 0.0)), 0.5, "finite attributes"),
        (PAIR, np.eye(4), 0.5, "3 rows"),
        (PAIR, np.ones(3), 0.5, "3 rows"),
        (PAIR, np.ones((3, 0)), 0.5, "at least one column"),
        (PAIR, np.full((3, 1), "a"), 0.5, "real numbers"),
        (PAIR, np.zeros((3, 2)), 0.5, "not zero"),
        (PAIR, sp.csr_array((3, 2)), 0.5, "not zero"),
        (PAIR, X, -0.1, "eta of at least 0"),
        (PAIR, X, float("nan"), "eta of at least 0"),
        (PAIR, X, 3.1, "no more than the 6 ordered pairs"),
    ],
)
def test_what_cannot_be_used_is_named(adjacency: Any, x: Any, eta: float, rule: str) -> None:
    for call in (attribute_edges, enhance):
        with pytest.raises(InputError, match=rule):
            call(adjacency, x, eta)


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        ({"alpha": 1.1}, "share from 0 to 1.*alpha"),
        ({"beta": float("nan")}, "share from 0 to 1.*beta"),
        ({"self_loops": "some"}, "isolated"),
        ({"beta": 0.5}, "scipy.sparse matrix of shape"),
        ({"beta": 0.5, "weights": sp.csr_array((2, 2))}, "scipy.sparse matrix of shape"),
        ({"beta": 0.5, "weights": -PAIR}, "weight above 0"),
        ({"beta": 0.5, "weights": PAIR * np.nan}, "finite weight"),
        ({"beta": 0.5, "weights": sp.csr_array(np.full((3, 3), np.inf))}, "finite weight"),
        ({"beta": 0.5, "weights": sp.csr_array((3, 3))}, "for every pair.*row 0, column 1"),
        ({"beta": 0.5, "weights": sp.csr_array(np.triu(np.ones((3, 3))))}, "the same both ways"),
    ],
)
def test_shares_and_weights_that_cannot_be_used_are_named(given: dict[str, Any], rule: str) -> None:
    with pytest.raises(InputError, match=rule):
        enhance(PAIR, X, **given)


def test_weights_are_not_read_without_a_share() -> None:
    assert (enhance(PAIR, X, beta=0.0, weights="none").toarray() == enhance(PAIR, X).toarray()).all()
