"""HeteroGraph refuses what it cannot trust, sorts what it takes, and hands torch_geometric the same numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphrep.errors import InputError
from graphrep.graph import EdgeList, HeteroGraph, hetero

WATCHES = ("user", "watches", "host")
NODES = {"user": 3, "host": 2}


def graph(*columns: Any, **named: Any) -> HeteroGraph:
    return HeteroGraph.from_edges(num_nodes=NODES, edges={WATCHES: EdgeList(*columns, **named)})


def test_edges_are_sorted_by_source_then_destination_with_their_columns() -> None:
    edges = graph([2, 0, 2], [1, 1, 0], [0.5, -1.0, 2.0], [30, 10, 20]).edges[WATCHES]
    assert edges.src.tolist() == [0, 2, 2]
    assert edges.dst.tolist() == [1, 0, 1]
    assert edges.weight.tolist() == [-1.0, 2.0, 0.5]
    assert edges.time is not None
    assert edges.time.tolist() == [10, 20, 30]
    assert [c.dtype for c in (edges.src, edges.dst, edges.weight, edges.time)] == [
        np.int64,
        np.int64,
        np.float32,
        np.int64,
    ]


def test_edges_of_one_pair_are_kept_apart_in_the_order_given() -> None:
    edges = graph([1, 1, 1], [0, 0, 0], [3.0, 1.0, 2.0]).edges[WATCHES]
    assert edges.weight.tolist() == [3.0, 1.0, 2.0]
    assert edges.time is None


def test_arrays_that_can_be_written_to_are_copied_and_the_graphs_are_read_only() -> None:
    mine = np.array([0, 1])
    edges = graph(mine, [0, 1], None, [5, 6]).edges[WATCHES]
    mine[0] = 2
    assert edges.src.tolist() == [0, 1]
    for column in (edges.src, edges.dst, edges.weight, edges.time):
        with pytest.raises(ValueError, match="read-only"):
            column[0] = 0


def frozen(values: Any, dtype: Any) -> Any:
    array = np.array(values, dtype=dtype)
    array.flags.writeable = False
    return array


def test_read_only_arrays_in_order_are_taken_as_they_are() -> None:
    given = frozen([0, 2, 2], int), frozen([1, 0, 0], int), frozen([1, -1, 2], np.float32), frozen([9, 8, 7], int)
    edges = graph(*given).edges[WATCHES]
    for column, mine in zip((edges.src, edges.dst, edges.weight, edges.time), given, strict=True):
        assert np.shares_memory(column, mine)


def test_of_read_only_arrays_those_of_another_type_are_copied_and_those_out_of_order_all() -> None:
    src, narrow = frozen([0, 2], np.int64), frozen([1, 0], np.int32)
    edges = graph(src, narrow).edges[WATCHES]
    assert np.shares_memory(edges.src, src)
    assert (edges.dst.dtype, edges.dst.tolist()) == (np.int64, [1, 0])
    late = frozen([2, 0], np.int64)
    edges = graph(late, narrow).edges[WATCHES]
    assert not np.shares_memory(edges.src, late)
    assert (edges.src.tolist(), edges.dst.tolist()) == ([0, 2], [0, 1])


def test_arrays_mapped_from_files_are_taken_as_they_are(tmp_path: Any) -> None:
    np.save(tmp_path / "src.npy", np.array([0, 1, 2]))
    mapped = np.load(tmp_path / "src.npy", mmap_mode="r")
    assert np.shares_memory(graph(mapped, frozen([0, 1, 1], int)).edges[WATCHES].src, mapped)


@settings(max_examples=80, deadline=None, derandomize=True, database=None)
@given(
    rows=st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 1), st.integers(-4, 4), st.integers(0, 9)), min_size=1, max_size=30
    ),
    presorted=st.booleans(),
    read_only=st.booleans(),
    piece=st.integers(1, 7),
)
def test_whoever_owns_the_arrays_the_graph_is_the_stable_sort_of_the_edges(
    rows: Any, presorted: bool, read_only: bool, piece: int
) -> None:
    rows = sorted(rows, key=lambda row: row[:2]) if presorted else rows
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    columns[2] = columns[2].astype(np.float32)
    for column in columns:
        column.flags.writeable = not read_only
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hetero, "_PIECE", piece)
        edges = graph(*columns).edges[WATCHES]
    found = list(zip(edges.src.tolist(), edges.dst.tolist(), edges.weight.tolist(), edges.time.tolist(), strict=True))
    assert found == sorted(rows, key=lambda row: row[:2])


@pytest.mark.parametrize("place", [0, 3, 8])
def test_a_bad_value_is_found_in_whatever_piece_it_lies(monkeypatch: pytest.MonkeyPatch, place: int) -> None:
    monkeypatch.setattr(hetero, "_PIECE", 4)
    weight = np.ones(9, np.float32)
    weight[place] = np.inf
    with pytest.raises(InputError, match=r"finite in float32, found inf \(1 in all\)"):
        graph([0] * 9, [0] * 9, weight)


def test_graph_cannot_be_changed_through_its_mappings() -> None:
    g = graph([0], [0])
    with pytest.raises(TypeError):
        g.num_nodes["user"] = 9
    with pytest.raises(TypeError):
        g.edges[WATCHES] = EdgeList([], [])


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (([0, 1], [0]), "2 values"),
        (([0], [0], [1.0, 2.0]), "1 values"),
        (([0], [0], None, [1, 2]), "1 values"),
        (([[0]], [[0]]), "1 values"),
        (([3], [0]), r"indices in 0\.\.2"),
        (([0], [-1]), r"indices in 0\.\.1"),
        (([0.0], [0]), "integer indices"),
        (([0], [0], [np.nan]), "finite"),
        (([0], [0], [1e300]), "finite"),
        (([0], [0], ["a"]), "real weights"),
        (([0], [0], None, [1.5]), "integer seconds"),
        (([0], [0], None, [1_700_000_000_000]), "divide milliseconds by 1000"),
    ],
)
def test_bad_columns_are_refused_with_the_relation_named(columns: Any, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        graph(*columns)
    assert "watches" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("num_nodes", "edges"),
    [
        ({"user": -1}, {}),
        ({"user": 1.5}, {}),
        ({"user": True}, {}),
        ({"": 1}, {}),
        (NODES, {("user", "host"): EdgeList([0], [0])}),
        (NODES, {("user", "watches", "video"): EdgeList([0], [0])}),
        (NODES, {WATCHES: ([0], [0])}),
    ],
)
def test_bad_types_and_counts_are_refused(num_nodes: Any, edges: Any) -> None:
    with pytest.raises(InputError):
        HeteroGraph.from_edges(num_nodes=num_nodes, edges=edges)


def test_the_constructor_checks_too() -> None:
    with pytest.raises(InputError, match="watches"):
        HeteroGraph(NODES, {WATCHES: EdgeList([7], [0])})


def test_empty_relation_is_allowed() -> None:
    g = graph([], [])
    assert len(g.edges[WATCHES]) == 0
    assert g.edges[WATCHES].src.dtype == np.int64


def test_to_pyg_holds_the_same_graph_in_memory_of_its_own() -> None:
    follows = ("user", "follows", "user")
    g = HeteroGraph.from_edges(
        num_nodes=NODES,
        edges={WATCHES: EdgeList([2, 0], [1, 0], [2.0, -1.0], [9, 8]), follows: EdgeList([0], [1])},
    )
    data = g.to_pyg()
    assert data.validate()
    assert (data["user"].num_nodes, data["host"].num_nodes) == (3, 2)
    assert data.node_types == g.node_types
    assert data.edge_types == g.edge_types
    assert data[WATCHES].edge_index.tolist() == [[0, 2], [0, 1]]
    assert data[WATCHES].edge_weight.tolist() == [-1.0, 2.0]
    assert data[WATCHES].edge_time.tolist() == [8, 9]
    assert "edge_time" not in data[follows]
    data[WATCHES].edge_weight[0] = 7.0
    assert g.edges[WATCHES].weight[0] == -1.0
