"""What may be given to the engine, and the rule for each thing that looks odd."""

from __future__ import annotations

import logging
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.typing import NDArray

from graphrep.embed import autocovariance, fit, multiscale, walk_scores
from graphrep.embed.backend import Backend, SparseMatrix, is_mapped
from graphrep.embed.plan import plan
from graphrep.errors import GraphrepError, GraphrepWarning, InputError
from graphrep.graph import EdgeList, HeteroGraph

Matrix = NDArray[np.float64]


def symmetric(seed: int, n: int, density: float) -> Matrix:
    """Connected, with an odd cycle."""
    rng = np.random.default_rng(seed)
    a = (rng.random((n, n)) < density) * (rng.random((n, n)) + 0.1)
    a += np.diag(np.full(n - 1, 0.1), 1) + np.diag([1.0] + [0.0] * (n - 1))
    return np.triu(a) + np.triu(a, 1).T


def dense_r(a: Matrix, tau: int) -> Matrix:
    degree = a.sum(axis=1)
    pi = degree / degree.sum()
    m = a / np.where(degree > 0, degree, 1.0)[:, None]
    return np.asarray(np.diag(pi) @ np.linalg.matrix_power(m, tau) - np.outer(pi, pi))


def scores(f: Any) -> Matrix:
    return np.asarray(f.source.astype(np.float64) @ f.target.T.astype(np.float64))


def close(found: Any, expected: Any, error: float = 2e-6) -> None:
    np.testing.assert_allclose(found, expected, atol=error * max(np.abs(expected).max(), 1e-12), rtol=0)


def refused(message: str, call: Any, *given: Any, error: Any = InputError, **options: Any) -> str:
    """The message of the one-line error that a call ends in."""
    with pytest.raises(error, match=message) as caught:
        call(*given, **options)
    text = str(caught.value)
    assert "\n" not in text
    return text


# Edges


@pytest.mark.parametrize("n", [40, 340])
@pytest.mark.parametrize("kind", ["undirected", "signed", "rectangular"])
def test_nodes_without_edges_have_zero_rows_and_change_nothing_else(n: int, kind: str) -> None:
    a = symmetric(1, n, 8 / n)
    alone = [0, n // 2, n - 1]
    options: dict[str, Any] = {"signed": True} if kind == "signed" else {}
    if kind == "rectangular":
        a = a[:, : n - 5]
        a[:, 0] = 0.0
    else:
        a[:, alone] = 0.0
    a[alone] = 0.0
    f = autocovariance(sp.csr_array(a), dim=5, **options)
    assert not f.source[alone].any()
    kept = np.delete(a, alone, 0)
    kept = np.delete(kept, alone, 1) if kind != "rectangular" else kept[:, 1:]
    g = autocovariance(sp.csr_array(kept), dim=5, **options)
    np.testing.assert_allclose(np.delete(f.source, alone, 0), g.source, atol=1e-7)


def test_an_edge_of_weight_zero_is_no_edge() -> None:
    a = sp.csr_array(symmetric(2, 12, 0.4))
    zeros = sp.coo_array((np.zeros(2), ([3, 11], [11, 3])), shape=(13, 13))
    grown = sp.coo_array(sp.block_diag([a, np.zeros((1, 1))]))
    data = np.concatenate([grown.data, zeros.data])
    both = sp.coo_array((data, tuple(np.concatenate(c) for c in zip(grown.coords, zeros.coords, strict=True))))
    both.resize((13, 13))
    f = autocovariance(both, dim=3)
    assert not f.source[12].any()
    np.testing.assert_allclose(f.source[:12], autocovariance(a, dim=3).source, atol=1e-7)


def test_a_self_loop_counts_once_in_the_degree() -> None:
    a = np.array([[2.0, 1.0, 0.0], [1.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
    # Degrees 3, 2, 1 of a volume of 6; twice for the loop would give 5, 2, 1 of 8.
    found = walk_scores(sp.csr_array(a), [0], markov_time=1)
    np.testing.assert_allclose(found[0], [2 / 6 - 9 / 36, 1 / 6 - 6 / 36, -3 / 36], atol=1e-7)


@pytest.mark.parametrize("kind", [sp.coo_array, sp.csr_array, sp.csc_array])
def test_edges_given_twice_are_summed(kind: Any) -> None:
    rows, columns, weights = [0, 1, 0, 1, 1, 2, 2, 2], [1, 0, 1, 0, 2, 1, 2, 2], [1.0, 1, 2, 2, 4, 4, 1, 1]
    twice = sp.coo_array((weights, (rows, columns)), shape=(3, 3))
    if kind is not sp.coo_array:  # scipy sums on the way: the arrays are made by hand
        order = np.argsort(rows if kind is sp.csr_array else columns, kind="stable")
        minor = np.array(columns if kind is sp.csr_array else rows)[order]
        twice = kind((np.array(weights)[order], minor, [0, 2, 5, 8]), shape=(3, 3))
        assert twice.nnz == 8
    once = np.array([[0.0, 3, 0], [3, 0, 4], [0, 4, 2]])
    close(walk_scores(twice, range(3)), dense_r(once, 3), 1e-6)
    assert twice.nnz == 8
    np.testing.assert_array_equal(autocovariance(twice, dim=2).source, autocovariance(sp.csr_array(once), dim=2).source)


def test_edges_are_summed_before_their_weights_are_looked_at() -> None:
    twice = sp.csr_array((np.array([3.0, -1.0, 2.0, 1.0]), [1, 1, 0, 1], [0, 2, 4]), shape=(2, 2))
    assert twice.nnz == 4
    close(walk_scores(twice, range(2)), dense_r(np.array([[0.0, 2.0], [2.0, 1.0]]), 3), 1e-6)
    close(walk_scores(twice, range(2), signed=True), walk_scores(twice, range(2), markov_time=6.0, continuous=True))


@pytest.mark.parametrize("copies", [1, 30])
def test_the_leading_pairs_of_many_components_are_found(copies: int) -> None:
    parts = [symmetric(seed, 12, 0.4) for seed in range(26)] + [symmetric(99, 15, 0.3)] * copies
    a = np.asarray(sp.block_diag(parts).toarray())
    assert len(a) > 300
    f = autocovariance(sp.csr_array(a), dim=40)
    np.testing.assert_allclose(f.values, np.linalg.eigvalsh(dense_r(a, 3))[::-1][:40], rtol=1e-6)


@pytest.mark.parametrize("shape", [(3, 4), (150, 250)])
def test_a_complete_bipartite_block_says_nothing_but_popularity(shape: tuple[int, int]) -> None:
    b = sp.csr_array(np.outer(np.arange(1.0, shape[0] + 1), np.arange(1.0, shape[1] + 1)))
    corrected = autocovariance(b, dim=3)
    assert not corrected.source.any()
    assert not corrected.target.any()
    assert not corrected.values.any()
    plain = autocovariance(b, dim=3, bipartite_correction=False)
    share = b.toarray() / b.sum()
    users, items = share.sum(axis=1), share.sum(axis=0)
    # Half of the stationary distribution lies on each side: B/2 = 2·π_u·π_v, of which one π_u·π_v is taken out.
    close(scores(plain), np.outer(users, items) / 4)
    assert not plain.source[:, 1:].any()


@pytest.mark.parametrize(
    "n",
    [
        20,
        340,
    ],
)
def test_a_graph_of_which_nothing_is_left_has_zero_columns(n: int) -> None:
    block = np.kron([[0.0, 1.0], [1.0, 0.0]], np.outer(np.arange(1.0, n // 2 + 1), np.arange(1.0, n // 2 + 1)))
    for a in (block, np.ones((n, n))):
        f = autocovariance(sp.csr_array(a), dim=3)
        assert not f.source.any()
        assert not f.values.any()


# Weights


@pytest.mark.parametrize("options", [{}, {"directed": True}])
@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.nan, "finite weights of at least 0, found 2 not finite .*row 1, column 2.*drop them"),
        (np.inf, "found 2 not finite"),
        (-np.inf, "found 2 not finite"),
        (-1.0, r"found 2 negative .*row 1, column 2.*clip at 0, or pass signed=True"),
    ],
)
def test_weights_that_no_walk_can_have_are_refused_at_their_place(
    weight: float, message: str, options: dict[str, Any]
) -> None:
    a = np.ones((4, 4))
    a[1, 2] = a[2, 1] = weight
    refused(message, autocovariance, sp.csr_array(a), dim=1, **options)
    refused(message, walk_scores, sp.csr_array(a), [0], **options)


@pytest.mark.parametrize("weight", [np.nan, np.inf])
def test_a_signed_walk_has_negative_weights_but_finite_ones(weight: float) -> None:
    a = np.ones((4, 4))
    a[1, 2] = a[2, 1] = -1.0
    assert autocovariance(sp.csr_array(a), dim=1, signed=True).source.any()
    a[0, 0] = weight
    text = refused("expected finite weights, found 1 not finite .*row 0", autocovariance, sp.csr_array(a), signed=True)
    assert "at least" not in text


def test_edges_that_cancel_are_no_edges() -> None:
    cancelled = sp.coo_array(([1.0, -1.0, 1.0, -1.0], ([0, 0, 1, 1], [1, 1, 0, 0])), shape=(2, 2))
    refused("at least one edge", autocovariance, cancelled, signed=True)


# Sizes


@pytest.mark.parametrize("n", [6, 320])
def test_columns_above_the_rank_and_above_the_number_of_nodes_are_zero(n: int) -> None:
    a = np.asarray(sp.block_diag([np.ones((n // 2, n // 2)), np.ones((n - n // 2, n - n // 2))]).toarray())
    for dim in (3, n, n + 7):
        f = autocovariance(sp.csr_array(a), dim=dim)
        assert f.source.shape == (n, dim)
        assert f.values.shape == (dim,)
        assert f.source[:, 0].all()
        assert not f.source[:, 1:].any()
        close(scores(f), dense_r(a, 3))
    g = autocovariance(sp.csr_array(a[:, : n - 2]), dim=n + 7)
    assert (g.source.shape, g.target.shape) == ((n, n + 7), (n - 2, n + 7))


@pytest.mark.parametrize("options", [{}, {"directed": True}, {"signed": True}])
def test_one_node_with_a_loop_has_a_zero_row_and_without_one_no_edge(options: dict[str, Any]) -> None:
    f = autocovariance(sp.csr_array([[2.0]]), dim=2, **options)
    np.testing.assert_allclose(f.source, np.zeros((1, 2)), atol=1e-7)
    np.testing.assert_allclose(walk_scores(sp.csr_array([[2.0]]), [0], **options), 0.0, atol=1e-7)
    refused("at least one edge .*found none, shape|at least one edge", autocovariance, sp.csr_array((1, 1)), **options)


def test_one_user_and_one_item_are_a_pair_of_which_nothing_is_left() -> None:
    f = autocovariance(sp.csr_array([[2.0]]).reshape((1, 1)), dim=1)
    assert not f.source.any()
    wide = autocovariance(sp.csr_array([[2.0, 1.0]]), dim=1)
    assert (wide.source.shape, wide.target.shape) == ((1, 1), (2, 1))


def test_a_relation_without_edges_is_as_if_it_were_not_there() -> None:
    nodes = {"user": 4, "host": 2, "video": 3}
    watches = {("user", "watches", "host"): EdgeList([0, 1, 2, 3], [0, 0, 1, 1])}
    empty = {("user", "likes", "video"): EdgeList([], [])}
    emb = fit(HeteroGraph.from_edges(nodes, {**watches, **empty}), walk="joint", dim=3)
    alone = fit(HeteroGraph.from_edges(nodes, watches), walk="joint", dim=3)
    for kind in nodes:
        np.testing.assert_array_equal(emb[kind], alone[kind])
    assert not emb["video"].any()
    refused("at least one edge", fit, HeteroGraph.from_edges(nodes, empty), walk="joint", dim=3)


# Shape and indices


def by_hand(indices: Any, indptr: Any, shape: tuple[int, int] = (3, 3)) -> Any:
    """A CSR matrix that scipy has not looked at."""
    a = sp.csr_array(shape, dtype=np.float64)
    a.data, a.indices, a.indptr = np.ones(len(indices)), np.asarray(indices), np.asarray(indptr)
    return a


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
@pytest.mark.parametrize(("indices", "found"), [([0, 1, -2], "-2..1"), ([0, 1, 3], "0..3")])
def test_indices_that_no_node_has_are_refused_with_their_range_and_type(indices: Any, found: str, dtype: Any) -> None:
    given = np.array(indices, dtype)
    message = f"indices in 0..2, found {found} of {np.dtype(dtype)}"
    refused(message, autocovariance, by_hand(given, [0, 1, 2, 3]))
    refused(message, walk_scores, by_hand(given, [0, 1, 2, 3]), [0])
    column = sp.csc_array(by_hand([0, 1, 2], [0, 1, 2, 3]))
    column.indices = given
    refused(message, autocovariance, column)
    coordinates = sp.coo_array((np.ones(3), (np.arange(3), np.arange(3))), shape=(3, 3))
    coordinates.coords = (given, np.arange(3))
    refused(message, autocovariance, coordinates)


def test_an_index_that_overflowed_is_refused() -> None:
    wrapped = np.array([0, 1, 2**31 + 5]).astype(np.int32)
    refused(r"found -2147483643..1 of int32 .*use int64", autocovariance, by_hand(wrapped, [0, 1, 2, 3]))


@pytest.mark.parametrize("indptr", [[0, 2, 1, 3], [0, 1, 2, 4]])
def test_row_pointers_that_point_nowhere_are_refused(indptr: list[int]) -> None:
    refused("row pointers", autocovariance, by_hand([0, 1, 2], indptr))


@pytest.mark.parametrize("indptr", [[1, 1, 2, 3], [0, 1, 3]])
def test_row_pointers_of_another_beginning_or_number_are_refused(indptr: list[int]) -> None:
    refused("row pointers", autocovariance, by_hand([0, 1, 2], indptr))


@pytest.mark.parametrize("options", [{}, {"signed": True}])
def test_one_edge_in_one_direction_only_is_refused(options: dict[str, Any]) -> None:
    a = symmetric(3, 10, 0.5)
    a[2, 7] += 0.01
    message = refused(r"a symmetric matrix, found .*directed=False", autocovariance, sp.csr_array(a), **options)
    for fix in ("A + A.T", "directed=True", "[[0, B], [B.T, 0]]"):
        assert fix in message
    a[2, 7] -= 0.01 - 1e-9  # rounding, not direction
    assert autocovariance(sp.csr_array(a), dim=1, **options).source.any()


# Matrices in files


def mapped(folder: Path, a: Any) -> Any:
    """The same CSR matrix with its three arrays mapped from files."""
    parts = []
    for name in ("data", "indices", "indptr"):
        np.save(folder / f"{name}.npy", getattr(a, name))
        parts.append(np.load(folder / f"{name}.npy", mmap_mode="r"))
    return sp.csr_array(tuple(parts), shape=a.shape)


@pytest.mark.parametrize("device", [None, "cpu"])
@pytest.mark.parametrize("kind", ["undirected", "isolated", "rectangular", "directed", "signed"])
def test_a_mapped_matrix_gives_what_one_in_memory_gives(
    kind: str, device: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("graphrep.embed.backend._BLOCK_BYTES", 1 << 14)
    dense = symmetric(4, 350, 0.05)
    if kind == "isolated":
        dense[:, 5] = dense[5] = 0.0
    a = sp.csr_array(dense[:, :320] if kind == "rectangular" else dense)
    if kind == "signed":
        a.data[a.indices == np.repeat(np.arange(350), np.diff(a.indptr))] *= -1.0
    options: dict[str, Any] = {"directed": kind == "directed", "signed": kind == "signed"}
    options["bipartite_correction"] = kind != "rectangular"
    b = mapped(tmp_path, a)
    assert is_mapped(b.data)
    expected, found = (autocovariance(x, dim=4, device=device, **options) for x in (a, b))
    close(scores(found), scores(expected), 1e-6)
    close(walk_scores(b, [3, 5], **options), walk_scores(a, [3, 5], **options), 1e-6)


def test_a_mapped_rectangle_is_corrected_as_one_in_memory(tmp_path: Path) -> None:
    a = sp.csr_array(np.random.default_rng(0).random((12, 9)))
    close(walk_scores(mapped(tmp_path, a), range(12)), walk_scores(a, range(12)), 1e-6)


def test_mapped_matrices_are_read_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    block = SparseMatrix._block

    def counted(self: Any, begin: int, end: int) -> Any:
        made = block(self, begin, end)
        sizes.append(made.nnz)
        return made

    monkeypatch.setattr(SparseMatrix, "_block", counted)
    monkeypatch.setattr("graphrep.embed.backend._READ_BYTES", 12 * 1000)
    a = sp.csr_array(symmetric(5, 350, 0.05))
    autocovariance(mapped(tmp_path, a), dim=4)
    assert max(sizes) < 1200
    assert len(sizes) > 10 * a.nnz // 1200  # at every product again: nothing is kept


def test_mapped_matrices_that_would_have_to_be_copied_are_refused(tmp_path: Path) -> None:
    a = sp.csr_array(symmetric(6, 12, 0.5))
    unsorted, twice, zero = a.copy(), a.copy(), a.copy()
    unsorted.indices[:2] = unsorted.indices[:2][::-1].copy()
    twice.indices[1] = twice.indices[0]
    zero.data[0] = 0.0
    for name, matrix in (("unsorted", unsorted), ("twice", twice), ("zero", zero)):
        (tmp_path / name).mkdir()
        again = mapped(tmp_path / name, sp.csr_array((matrix.data, matrix.indices, matrix.indptr), shape=a.shape))
        refused(
            r"a CSR matrix, sorted, without duplicates and zeros, where its arrays are mapped.*sum_duplicates",
            autocovariance,
            again,
            dim=2,
        )


def test_a_mapped_matrix_is_looked_at_like_any_other(tmp_path: Path) -> None:
    a = symmetric(7, 12, 0.5)
    for name, message in (("negative", "negative"), ("nan", "not finite"), ("asymmetric", "symmetric")):
        b = a.copy()
        b[0, 1] = {"negative": -1.0, "nan": np.nan, "asymmetric": b[1, 0] + 1.0}[name]
        (tmp_path / name).mkdir()
        refused(message, autocovariance, mapped(tmp_path / name, sp.csr_array(b)), dim=2)


LIMITED = """
import resource, sys
from pathlib import Path
import numpy as np, scipy.sparse as sp
from graphrep.embed import autocovariance

parts = [np.load(Path(sys.argv[1]) / f"{name}.npy", mmap_mode="r") for name in ("data", "indices", "indptr")]
autocovariance(sp.csr_array(np.ones((600, 600)) + 9 * np.eye(600)), dim=1)  # what libraries and threads take at first
held = int(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmData"))) << 10
limit = held + sum(part.nbytes for part in parts) * 3 // 4
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
try:
    copies = [np.array(part) for part in parts]
    raise SystemExit("the limit does not hold")
except MemoryError:
    copies = None
n = len(parts[2]) - 1
f = autocovariance(sp.csr_array(tuple(parts), shape=(n, n)), dim=1, markov_time=1, tolerance=1e-3)
print(f.values[0], f.source.any(axis=1).sum())
"""


def test_a_mapped_matrix_larger_than_the_memory_allowed_is_embedded(tmp_path: Path) -> None:
    """Two communities of 1,500 nodes, two million entries, 24 MB of weights and indices."""
    rng = np.random.default_rng(8)
    n, each = 3000, 420
    rows = np.repeat(np.arange(n), each)
    across = rng.random(n * each) < 0.1
    columns = 2 * rng.integers(0, n // 2, n * each) + np.where(across, 1 - rows % 2, rows % 2)
    a = sp.csr_array(sp.coo_array((np.ones(n * each), (rows, columns)), shape=(n, n)))
    a = sp.csr_array(a + a.T)
    mapped(tmp_path, a)
    assert a.data.nbytes + a.indices.nbytes > 20_000_000
    command = [sys.executable, "-c", LIMITED, str(tmp_path)]
    found = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert found.returncode == 0, found.stderr[-2000:]
    value, rows_found = found.stdout.split()
    assert float(value) == pytest.approx(0.8 / n, rel=0.05)
    assert int(rows_found) == n


# Memory


@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_too_little_memory_names_a_dim_that_fits(precision: Any) -> None:
    n = 600
    camps = np.kron(np.eye(12), np.ones((n // 12, n // 12))) + 0.01
    a = sp.csr_array(camps * (symmetric(9, n, 0.3) > 0))
    options: dict[str, Any] = {"precision": precision, "tolerance": 1e-3}
    size = 8 if precision == "float64" else 4
    options["memory"] = a.nnz * (size + 12) + n * size * 160
    text = refused(r"GB for 600 nodes and 40 dim.*dim=\d+", autocovariance, a, 40, error=GraphrepError, **options)
    fits = int(text.split("dim=")[1].split()[0])
    assert 8 <= fits < 40
    assert autocovariance(a, fits, **options).source.shape == (n, fits)
    assert ("float32" in text) == (precision == "float64")


def test_the_dim_named_fits_and_few_more_do() -> None:
    memory = (1 << 29) + 10_000 * 8 * 2000
    graph: dict[str, Any] = {"mapped": True, "memory": memory}
    text = refused("dim=", plan, 10_000, 10**9, 4000, Backend(None), error=GraphrepError, **graph)
    fits = int(text.split("dim=")[1].split()[0])
    assert plan(10_000, 10**9, fits, Backend(None), **graph).bytes <= memory
    refused("GB", plan, 10_000, 10**9, fits + 8, Backend(None), error=GraphrepError, **graph)


def test_a_graph_in_the_memory_of_the_cpu_is_counted_whole() -> None:
    memory = (1 << 29) + 10_000 * 8 * 2000
    assert plan(10_000, 10**9, 64, Backend(None), mapped=True, memory=memory).stream
    text = refused(r"20\.0 GB", plan, 10_000, 10**9, 64, Backend(None), memory=memory, error=GraphrepError)
    assert "dim=" not in text


def test_products_take_arrays_as_they_are(recwarn: pytest.WarningsRecorder) -> None:
    """Out of order, twice, read-only, with wide numbers, of another precision."""
    a = sp.csr_array(
        (np.arange(1.0, 6.0, dtype=np.float32), np.array([3, 0, 1, 1, 2]), np.array([0, 2, 2, 5])), shape=(3, 4)
    )
    b = sp.csr_array(a.toarray())
    for array in (a.data, a.indices, a.indptr, b.data, b.indices, b.indptr):
        array.flags.writeable = False
    x = np.random.default_rng(0).standard_normal((4, 5))
    for backend in (Backend(), Backend("cpu"), Backend(precision="float32")):
        for matrix in (a, b):
            found = backend.sparse(matrix) @ backend.dense(x)
            np.testing.assert_allclose(found.numpy(), a.toarray() @ x, rtol=1e-5)
    assert not recwarn.list


def test_a_machine_that_fits_nothing_names_no_dim() -> None:
    a = sp.csr_array(symmetric(9, 50, 0.2))
    text = refused(r"GB for 50 nodes", autocovariance, a, 8, memory=1000, error=GraphrepError)
    assert "dim=" not in text
    assert "a machine with more memory" in text


# What is said


@pytest.mark.parametrize("time", [60, 200])
def test_a_time_at_which_nothing_is_left_warns(time: int) -> None:
    a = sp.csr_array(symmetric(10, 40, 0.6))
    with pytest.warns(GraphrepWarning, match=f"markov_time {time}: .* columns are left zero") as caught:
        f = autocovariance(a, dim=25, markov_time=time)
    assert "\n" not in str(caught[0].message)
    assert caught[0].filename == __file__
    assert not f.source[:, -1].any()


def test_three_steps_do_not_warn() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for a in (symmetric(10, 40, 0.6), np.ones((40, 40))):
            autocovariance(sp.csr_array(a), dim=60, markov_time=3)


def test_the_estimate_is_logged_before_the_work(caplog: pytest.LogCaptureFixture, monkeypatch: Any) -> None:
    module = sys.modules["graphrep.embed.autocovariance"]

    def stop(*_: Any, **__: Any) -> None:
        raise RuntimeError("the work begins")

    monkeypatch.setattr(module, "operator_of", stop)
    with caplog.at_level(logging.INFO, "graphrep.embed.autocovariance"), pytest.raises(RuntimeError):
        autocovariance(sp.csr_array(symmetric(11, 400, 0.05)), dim=7)
    (record,) = [r for r in caplog.records if r.name == "graphrep.embed.autocovariance"]
    assert record.levelno == logging.INFO
    for part in ("400 nodes", "7 dimensions", "entries", " GB and ", " s"):
        assert part in record.getMessage()


# Chance


@pytest.mark.parametrize(
    "options", [{}, {"directed": True}, {"signed": True}, {"markov_time": 2.5, "continuous": True}]
)
def test_a_seed_decides_the_bytes_of_every_walk(options: dict[str, Any]) -> None:
    a = sp.csr_array(symmetric(12, 330, 0.03))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GraphrepWarning)
        first, again, other = (autocovariance(a, dim=4, seed=seed, **options) for seed in (7, np.int64(7), 8))
    assert first.source.tobytes() == again.source.tobytes()
    assert first.target.tobytes() == again.target.tobytes()
    close(scores(first), scores(other), 1e-5)


@pytest.mark.parametrize("seed", [-1, None, 0.5, True, "1"])
def test_a_seed_that_would_not_fix_chance_is_refused(seed: Any) -> None:
    a = sp.csr_array(np.ones((3, 3)))
    refused(r"\[seed\]", autocovariance, a, dim=1, seed=seed)
    refused(r"\[seed\]", multiscale, a, [1], dim=1, seed=seed)
