"""On the sample logs, what users do elsewhere tells which live hosts they will watch; shuffled ids tell nothing."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pytest

from graphrep import vocab
from graphrep.config import load_config
from graphrep.datasets.sample import SampleSpec
from graphrep.embed import fit
from graphrep.evaluate.quality import quality_table
from graphrep.graph import EdgeList, HeteroGraph
from graphrep.pipeline.context import Run, Silent
from graphrep.pipeline.datasets import last_days, write_sample_logs
from graphrep.pipeline.evaluate import POPULARITY, VECTORS, ask, scorers_of
from graphrep.pipeline.load import DayGraph, load_graph
from graphrep.pipeline.run import run_day

ROOT = Path(__file__).resolve().parents[2]
NOW = dt.datetime(2026, 4, 1, tzinfo=dt.UTC)
MARGIN = 0.15
"""Recall@20 over popularity, for users without live history, that the README promises."""


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory, spark: object) -> tuple[Run, str, DayGraph]:
    place = tmp_path_factory.mktemp("planted")
    spec = SampleSpec(users=1500, days=9, seed=3)
    write_sample_logs(place / "logs", spec, Silent())
    config = load_config(ROOT / "configs" / "local.yaml", logs=place / "logs", warehouse=place / "warehouse")
    run = Run(config, today=NOW.date())
    ds = last_days(spec, 1)[0]
    run_day(run, ds, at=NOW, last=vocab.GRAPH)
    return run, ds, load_graph(run, ds)


def cold_recall(run: Run, ds: str, day: DayGraph, graph: HeteroGraph) -> dict[str, float]:
    """Recall@20 of live hosts for users without live history, by model."""
    weights = {kind.label: kind.weight for kind in run.config.graph_relations.values()}
    emb = fit(graph, dim=64, seed=0, relation_weights=weights)
    target = run.config.evaluate.targets["live_host"]
    question, _ = ask(run, day, ds, "live_host", target)
    scorers = scorers_of(question, emb["user"], emb["host"])
    chosen = {name: scorers[name] for name in (VECTORS, POPULARITY)}
    rows = quality_table(question, chosen, k=20, low_history=3, exclude_seen=False)
    found = {row.model: row for row in rows if row.band == "none"}
    assert found[VECTORS].users >= 40
    return {name: row.recall for name, row in found.items()}


def with_shuffled_users(graph: HeteroGraph) -> HeteroGraph:
    """Each relation keeps its edges but hands its users out anew, so that surfaces no longer share users."""
    rng = np.random.default_rng(0)
    edges = {}
    for (src, relation, dst), found in graph.edges.items():
        users = rng.permutation(graph.num_nodes["user"])
        new_src = users[found.src] if src == "user" else found.src
        edges[src, relation, dst] = EdgeList(new_src, found.dst, found.weight, found.time)
    return HeteroGraph.from_edges(graph.num_nodes, edges)


def test_users_without_live_history_get_hosts_better_than_popularity_does(
    day: tuple[Run, str, DayGraph],
) -> None:
    recall = cold_recall(*day, day[2].graph)
    assert recall[VECTORS] > recall[POPULARITY] + MARGIN


def test_a_graph_with_shuffled_user_ids_does_not(day: tuple[Run, str, DayGraph]) -> None:
    recall = cold_recall(*day, with_shuffled_users(day[2].graph))
    assert recall[VECTORS] < recall[POPULARITY] + 0.02
