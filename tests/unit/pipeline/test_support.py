"""A node with fewer edges than its type asks for is published as an estimate, and nothing of its own vector is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from graphrep import vocab
from graphrep.config import load_config
from graphrep.contracts import NODE_ACTIVITY, NodeActivity
from graphrep.embed.cold_start import publish
from graphrep.errors import ConfigError
from graphrep.graph import EdgeList, HeteroGraph
from graphrep.lookup import keys as codec
from graphrep.pipeline.cold_start import supported
from graphrep.pipeline.load import Nodes
from graphrep.pipeline.release_arrays import TypeArrays, type_arrays

CONFIGS = Path(__file__).resolve().parents[3] / "configs"
DS = "2026-03-02"
DEGREE = {"user": [1, 2, 5, 6], "host": [7, 7]}
SRC = np.repeat(np.arange(4), DEGREE["user"])
GRAPH = HeteroGraph.from_edges(
    {"user": 4, "host": 2}, {("user", "watches", "host"): EdgeList(SRC, np.arange(len(SRC)) % 2)}
)


def nodes(kind: str) -> Nodes:
    n = len(DEGREE[kind])
    blank: dict[str, Any] = {name: [0] * n for name in NODE_ACTIVITY.names}
    given = {NodeActivity.KEY: [f"{kind}{i}" for i in range(n)], NodeActivity.DEGREE: DEGREE[kind]}
    return Nodes(pa.table({**blank, **given}))


def release(own: dict[str, np.ndarray], min_support: dict[str, int]) -> dict[str, TypeArrays]:
    """What is published of these vectors, as the stages do it."""
    day = {kind: nodes(kind) for kind in DEGREE}
    vectors = supported(min_support, day, own)
    published = publish(GRAPH, vectors, [])
    return {t: type_arrays(DS, t, day[t], vectors[t], published, online="float32") for t in day}


def vectors(seed: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    return {kind: random.normal(size=(len(own), 3)).astype(np.float32) for kind, own in DEGREE.items()}


def test_below_the_support_a_row_is_an_estimate_with_its_flag() -> None:
    own = vectors(0)
    made = release(own, {"user": 5})["user"]
    rows = made.mapped[codec.ROWS]
    few = np.isin(made.keys, ["user0", "user1"])
    assert rows["fallback"].tolist() == few.tolist()
    assert {vocab.SOURCES[s] for s in rows["source"][few]} == {vocab.PRIOR}
    assert {vocab.SOURCES[s] for s in rows["source"][~few]} == {vocab.OWN}
    order = [int(key[-1]) for key in made.keys]
    assert np.array_equal(made.vectors[~few], own["user"][order][~few])
    other = {**own, "user": own["user"] * np.array([[7], [-3], [1], [1]], np.float32)}
    again = release(other, {"user": 5})["user"]
    assert np.array_equal(again.vectors, made.vectors), "not even the length of their own vectors is told"


def test_types_that_are_not_named_and_one_edge_change_nothing() -> None:
    own = vectors(1)
    plain = release(own, {})
    for kind, other in release(own, {"user": 1}).items():
        assert np.array_equal(other.vectors, plain[kind].vectors)
        assert not other.mapped[codec.ROWS]["fallback"].any()
    hosts = release(own, {"user": 100})["host"]
    assert np.array_equal(hosts.vectors, plain["host"].vectors)


def test_an_unknown_type_is_no_setting(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(f"extends: {CONFIGS / 'local.yaml'}\npublish: {{min_support: {{usr: 5}}}}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"publish\.min_support: expected a node type under nodes: .*, found 'usr'"):
        load_config(path)
