"""HeteroGraph refuses what it cannot trust, sorts what it takes, and hands torch_geometric the same numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from graphrep.errors import InputError
from graphrep.graph import EdgeList, HeteroGraph

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


def test_arrays_are_copies_and_read_only() -> None:
    mine = np.array([0, 1])
    edges = graph(mine, [0, 1], None, [5, 6]).edges[WATCHES]
    mine[0] = 2
    assert edges.src.tolist() == [0, 1]
    for column in (edges.src, edges.dst, edges.weight, edges.time):
        with pytest.raises(ValueError, match="read-only"):
            column[0] = 0  # type: ignore[index]


def test_graph_cannot_be_changed_through_its_mappings() -> None:
    g = graph([0], [0])
    with pytest.raises(TypeError):
        g.num_nodes["user"] = 9  # type: ignore[index]
    with pytest.raises(TypeError):
        g.edges[WATCHES] = EdgeList([], [])  # type: ignore[index]


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
