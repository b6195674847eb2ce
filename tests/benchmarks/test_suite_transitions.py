"""The untrained transition walk on cross-domain reviews, held to what an independent implementation got."""

from __future__ import annotations

import importlib
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graphrep.graph import EdgeList, HeteroGraph

ROOT = Path(__file__).parents[2]
DATA = ROOT / ".." / "shared" / "data"
sys.path.append(str(ROOT))  # benchmarks are no part of the installed package
command = importlib.import_module("benchmarks.suite.__main__")
rankings = importlib.import_module("benchmarks.suite.rankings")
transitions = importlib.import_module("benchmarks.suite.transitions")
domains = importlib.import_module("benchmarks.suite.domains")


@pytest.mark.slow
@pytest.mark.skipif(not (DATA / "amazon_cdsr").is_dir(), reason="needs the reviews in ../shared/data/amazon_cdsr")
def test_three_steps_find_the_next_food_as_often_as_they_did_elsewhere() -> None:
    problem = next(rankings.amazon(DATA))
    score = transitions.scorer(problem.graphs[""], 3)
    found = problem.row(transitions.METHODS[3], score)
    elsewhere = rankings.COMPUTED_BEFORE[problem.name][rankings.UNORDERED]
    for part in ("", rankings.NEW_DAY):
        assert found.values[part][0] == pytest.approx(elsewhere[part][0], abs=0.02)


def events() -> EdgeList:
    """A user who meets 1, then 2 and 3 at once, then 1 again; another who meets 3; not in the order of their times."""
    return EdgeList([0, 0, 0, 0, 1], [1, 1, 2, 3, 3], time=[10, 30, 20, 20, 5])


def graph() -> HeteroGraph:
    return HeteroGraph.from_edges({"user": 3, "item": 4}, {("user", "reviews", "item"): events()})


def test_events_of_one_time_are_equally_recent() -> None:
    found = transitions.interests(events(), (3, 4)).toarray()
    assert found.tolist() == [[0, 1 + 1 / 8, 1 / 2, 1 / 2], [0, 0, 0, 1], [0, 0, 0, 0]]


def test_scores_are_steps_from_the_history_over_damped_items() -> None:
    made = graph()
    (then,) = transitions.transitions(dict(made.edges)).values()
    counts = np.zeros((4, 4))
    counts[then.src, then.dst] = then.weight
    step = counts / np.maximum(counts.sum(axis=1), 1e-9)[:, None]
    damping = np.maximum(counts.sum(axis=0), 1e-9) ** -0.2
    damping[0] = 1
    expected = transitions.interests(events(), (3, 4)).toarray() @ step @ step * damping
    np.testing.assert_allclose(transitions.scorer(made, 2)(np.arange(3)), expected, rtol=1e-5)


def test_amazon_has_a_row_for_each_number_of_steps_and_for_domains_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def judge(score: Any) -> Any:
        return {"": (float(score(np.array([0])).argmax()),)}

    problem = rankings.Problem("made", ("best",), {"": graph()}, np.zeros(4), judge, domains=np.array([-1, 0, 1, 1]))
    monkeypatch.setitem(rankings.READERS, "amazon_cdsr", lambda data, seed: iter([problem]))
    monkeypatch.setattr(rankings, "rows_of", lambda *_: iter(()))
    rows = list(command.rows_of("amazon_cdsr", DATA, 0, [4], None))
    assert [row.method for row in rows] == [*transitions.METHODS.values(), "each domain alone, vectors of 4"]
    assert all(row.fit_seconds > 0 for row in rows)


def test_each_domain_alone_knows_its_own_events() -> None:
    problem = rankings.Problem("made", ("best",), {"": graph()}, np.zeros(4), list, domains=np.array([-1, 0, 1, 1]))
    first, second = domains.graphs_of(problem)
    assert [set(g.edges[("user", "reviews", "item")].dst.tolist()) for g in (first, second)] == [{1}, {2, 3}]
    assert first.num_nodes == second.num_nodes == {"user": 3, "item": 4}
    scores: list[Any] = []
    asked = replace(problem, judge=lambda score: {"": (float(scores.append(score(np.arange(3))) or 0),)})
    list(domains.rows_of(asked, [2], 0, None))
    assert not scores[0][1, 1]  # who has met nothing of the first domain is told nothing there
    assert scores[0][1, 3] > 0
