"""Link prediction of the benchmark suite: methods by brute force on small graphs, and the published rows."""

from __future__ import annotations

import importlib
import itertools
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from graphrep.embed.attributes import enhance
from graphrep.embed.scores import walk_scores
from graphrep.evaluate.metrics import link_precision_at

ROOT = Path(__file__).parents[2]
DATA = ROOT / ".." / "shared" / "data"
sys.path.append(str(ROOT))  # benchmarks are no part of the installed package
attributes = importlib.import_module("benchmarks.suite.attributes")
graphs = importlib.import_module("benchmarks.suite.graphs")
methods = importlib.import_module("benchmarks.suite.link_methods")
published = importlib.import_module("benchmarks.suite.link_published")
rows = importlib.import_module("benchmarks.suite.link_rows")
splits = importlib.import_module("benchmarks.suite.splits")
tuning = importlib.import_module("benchmarks.suite.link_tuning")


def needs(name: str) -> None:
    if not (DATA / name).is_dir():
        pytest.skip(f"needs the files of {name} in ../shared/data/{name}")


def connected_graph(n: int = 60, seed: int = 0) -> Any:
    """Symmetric 0/1: a ring, triangles, and random edges towards the low nodes."""
    chance = np.random.default_rng(seed)
    u = np.concatenate([np.arange(n), np.arange(n), chance.integers(0, n, 4 * n)])
    v = np.concatenate([(np.arange(n) + 1) % n, (np.arange(n) + 2) % n, chance.integers(0, n, 4 * n) // 3])
    half = sp.csr_array((np.ones(len(u)), (u, v)), shape=(n, n))
    both = sp.csr_array(((half + half.T) != 0).astype(float))
    both.setdiag(0)
    both.eliminate_zeros()
    return both


def parted(seed: int = 0) -> tuple[Any, Any]:
    """The remaining and the hidden part of such a graph."""
    return tuning.hide_a_tenth(connected_graph(), seed)


def written(folder: Path) -> None:
    """Such a graph as the file of a data set without a known split."""
    upper = sp.triu(connected_graph(), k=1).tocoo()
    (folder / "ppi").mkdir()
    lines = [f"{u} {v}\n" for u, v in zip(upper.row.tolist(), upper.col.tolist(), strict=True)]
    (folder / "ppi" / "PPI.ungraph").write_text("".join(lines))


@pytest.mark.parametrize("directed", [False, True])
def test_best_pairs_are_those_of_a_full_sort(directed: bool) -> None:
    graph = connected_graph()
    n = graph.shape[0]
    scores = np.random.default_rng(1).random((n, n)).astype(np.float32)
    scores[graph.nonzero()] = 2.0  # what is no candidate would come first
    np.fill_diagonal(scores, 2.0)
    u, v = methods.best_pairs(lambda nodes: scores[nodes], graph, 40, directed)
    free = graph.toarray() == 0
    free &= ~np.eye(n, dtype=bool) if directed else np.triu(np.ones((n, n), bool), k=1)
    expected = sorted(np.argwhere(free).tolist(), key=lambda pair: -scores[pair[0], pair[1]])[:40]
    assert list(zip(u.tolist(), v.tolist(), strict=True)) == sorted(map(tuple, expected))


def test_blocks_do_not_change_the_best_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = connected_graph()
    scores = np.random.default_rng(1).random(graph.shape)
    whole = methods.best_pairs(lambda nodes: scores[nodes], graph, 40, False)
    monkeypatch.setattr(methods, "BLOCK", 7)
    np.testing.assert_array_equal(methods.best_pairs(lambda nodes: scores[nodes], graph, 40, False), whole)


def test_reranking_all_pairs_is_the_exact_ranking() -> None:
    rest, hidden = parted()
    n = rest.shape[0]
    exact = methods.exact(rest)
    everything = methods.best_pairs(methods.embedded(rest, 4), rest, n * n, False)
    assert len(everything[0]) == n * (n - 1) // 2 - rest.nnz // 2
    again = link_precision_at(methods.reranked(everything, exact, n), rest, hidden)
    np.testing.assert_array_equal(again, link_precision_at(exact, rest, hidden))


def test_candidates_of_two_sources_stand_once_in_order() -> None:
    u, v = methods.either_of((np.array([0, 2]), np.array([3, 4])), (np.array([0, 0]), np.array([1, 3])), 5)
    assert list(zip(u.tolist(), v.tolist(), strict=True)) == [(0, 1), (0, 3), (2, 4)]


def test_reranking_few_pairs_ranks_no_others_and_asks_for_no_other_rows() -> None:
    asked: list[int] = []

    def score(nodes: Any) -> Any:
        asked.extend(nodes.tolist())
        return np.tile(np.arange(6.0), (len(nodes), 1))

    table = methods.reranked((np.array([1, 1, 4]), np.array([2, 5, 5])), score, 6)(np.array([0, 1, 4]))
    assert asked == [1, 4]
    assert table[0].tolist() == [-np.inf] * 6
    assert table[1].tolist() == [-np.inf, -np.inf, 2.0, -np.inf, -np.inf, 5.0]
    assert table[2].tolist() == [-np.inf] * 5 + [5.0]


def test_post_processing_turns_signs_by_node_0_and_standardises_all_entries_together() -> None:
    vectors = np.array([[-1.0, 2.0], [3.0, 0.0]], np.float32)
    expected = np.array([[1.0, 2.0], [-3.0, 0.0]])
    np.testing.assert_allclose(methods.post_processed(vectors), expected / np.sqrt(3.5), rtol=1e-6)


def test_fully_centred_with_the_exponents_of_the_walk_is_r3() -> None:
    graph, nodes = connected_graph(), np.arange(60)
    ours = tuning.centred_walk(graph, 0.0, -1.0, 1.0)(nodes)
    np.testing.assert_allclose(ours, graph.sum() * walk_scores(graph, nodes), atol=1e-4)


def test_without_centring_it_is_the_walk_with_exponents() -> None:
    graph, nodes = connected_graph(), np.arange(60)
    ours = tuning.centred_walk(graph, -0.2, -0.8, 0.0)(nodes)
    np.testing.assert_allclose(ours, walk_scores(graph, nodes, exponents=(-0.2, -0.8, -0.8, -0.2)), rtol=1e-4)


def test_centring_takes_out_what_the_leading_eigenvector_says() -> None:
    graph = connected_graph()
    degree = graph.sum(axis=1)
    within = np.diag(degree**-0.4) @ graph.toarray() @ np.diag(degree**-0.4)
    values, vectors = np.linalg.eigh(within)
    values[-1] = 0.0
    expected = np.diag(degree**0.4) @ (vectors * values**3) @ vectors.T @ np.diag(degree**0.4)
    np.testing.assert_allclose(tuning.centred_walk(graph, 0.0, -0.8, 1.0)(np.arange(60)), expected, atol=1e-3)


def test_the_validation_part_is_a_tenth_of_the_given_edges_and_comes_from_them() -> None:
    graph = connected_graph()
    rest, hidden = tuning.hide_a_tenth(graph, 0)
    assert abs(rest + hidden - graph).nnz == 0
    assert rest.multiply(hidden).nnz == 0
    assert hidden.nnz // 2 == round(graph.nnz / 2 / 10)
    assert abs(tuning.hide_a_tenth(graph, 1)[1] - hidden).nnz > 0


def test_validation_precision_is_that_of_a_full_sort() -> None:
    graph = connected_graph(200)
    rest, hidden = tuning.hide_a_tenth(graph, 0)
    scores = walk_scores(rest, np.arange(200), exponents=(0.1, -0.9, -0.9, 0.1))
    free = (rest.toarray() == 0) & ~np.eye(200, dtype=bool)
    hits = hidden.toarray()[free][np.argsort(-scores[free], kind="stable")] != 0
    sizes = np.ceil(np.arange(1, 11) / 10 * int(2.5 * hidden.nnz)).astype(int)
    expected = np.mean([hits[:size].mean() for size in sizes])
    assert expected > 2 * hits.mean()
    assert tuning.Validation(graph).of((1, -9, 0)) == pytest.approx(expected, abs=0.002)


def test_choice_is_seeded_and_no_worse_than_its_start() -> None:
    graph = connected_graph()
    first, second = tuning.choose(graph, 3)
    assert (first, second) == tuning.choose(graph, 3)
    assert first.c == 0.0
    assert first.precision >= first.start
    assert second.precision >= max(second.start, first.precision)


def test_the_first_choice_is_not_centred(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning.Validation, "of", lambda self, setting: -abs(setting[2] - 5) - abs(setting[0]))
    first, second = tuning.choose(connected_graph())
    assert (first.c, second.c) == (0.0, 0.5)


def test_choice_sees_the_given_edges_only() -> None:
    rest, hidden = parted()
    upper = sp.triu(rest, k=1).tocoo()
    given = np.stack([upper.row, upper.col], axis=1).astype(np.int64)
    notes = []
    for part in (hidden, sp.csr_array((np.ones(1), ([0], [30])), shape=rest.shape)):
        target = sp.triu(part, k=1).tocoo()
        edges = np.concatenate([given, np.stack([target.row, target.col], axis=1)])
        graph = graphs.Graph("made", edges, np.ones(len(edges)), False, 60, np.arange(60))
        made = splits.Split(graph, np.arange(len(given)), np.arange(len(given), len(edges)))
        found = rows.plain_rows(rows.Problem("made", made, 0, None))
        notes.append([row.note for row in found if row.note])
    assert len(notes[0]) == 2
    assert notes[0] == notes[1]


def test_climbing_goes_by_its_moves_to_the_top() -> None:
    def value(s: Any) -> float:
        return float(-((s[0] - 2) ** 2) - (s[1] + 12) ** 2 - (s[2] - 4) ** 2)

    found = tuning.climb(value, (0, -10, 0), tuning.ALL_MOVES)
    assert max(found, key=lambda s: found[s]) == (2, -12, 4)
    assert {s[2] for s in tuning.climb(value, (0, -10, 0), tuning.EXPONENTS)} == {0}


def test_climbing_follows_a_ridge() -> None:
    found = tuning.climb(lambda s: s[0] - 3 * abs(s[0] - s[2]) - max(0, s[0] - 6) * 9, (0, -10, 0), tuning.ALL_MOVES)
    assert max(found, key=lambda s: found[s]) == (6, -10, 6)


def test_what_is_chosen_and_the_seconds_of_choosing_stand_with_the_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = itertools.count()
    monkeypatch.setattr(rows, "time", SimpleNamespace(perf_counter=lambda: float(next(ticks))))
    written(tmp_path)
    found = {row.method: row for row in rows.rows_of("ppi", tmp_path, 0, None)}
    walks = [found["degree-corrected walk"], found["centred degree-corrected walk"]]
    assert all({"p", "q", "c", "precision"} <= set(row.note) for row in walks)
    assert walks[0].fit_seconds == pytest.approx(walks[1].fit_seconds, abs=1e-3)
    assert found[f"{rows.RERANKED} degree-corrected walk"].fit_seconds > walks[0].fit_seconds


def directed_graph(n: int = 40) -> Any:
    """0/1, a ring one way and random edges towards the low nodes, one node without an edge out."""
    chance = np.random.default_rng(2)
    u, v = np.append(np.arange(n), chance.integers(0, n, 3 * n)), np.append(np.roll(np.arange(n), -1), [0] * 3 * n)
    v[n:] = chance.integers(0, n, 3 * n) // 2
    graph = sp.csr_array((np.ones(len(u)), (u, v)), shape=(n, n)).toarray() > 0
    np.fill_diagonal(graph, False)
    graph[n - 1] = False
    return sp.csr_array(graph.astype(float))


def test_a_source_by_its_out_degree_has_the_steps_of_the_pagerank_walk() -> None:
    graph = directed_graph()
    n, degree = graph.shape[0], graph.sum(axis=1)
    step = 0.85 * graph.toarray() / np.where(degree > 0, degree, np.inf)[:, None]
    step += ((0.15 + 0.85 * (degree == 0)) / n)[:, None]
    pi = np.linalg.matrix_power(step, 300)[0]
    expected = degree[:, None] * np.linalg.matrix_power(step, 3)
    nodes = np.arange(n)
    np.testing.assert_allclose(methods.from_out_degrees(graph, centred=False)(nodes), expected, atol=1e-5)
    np.testing.assert_allclose(methods.from_out_degrees(graph)(nodes), expected - np.outer(degree, pi), atol=1e-5)


def test_baselines_of_a_signed_graph_count_paths_by_the_product_of_their_signs() -> None:
    pairs = {(0, 1): 2.0, (1, 2): -3.0, (0, 3): -1.0, (2, 3): -1.0, (1, 3): 1.0, (3, 4): 1.0}
    half = sp.csr_array((list(pairs.values()), tuple(zip(*pairs, strict=True))), shape=(5, 5))
    graph = sp.csr_array(half + half.T + sp.diags_array([5.0, 0.0, 0.0, 0.0, 0.0]))
    found = {method: score(np.array([0]))[0, 2] for method, score in methods.by_signs(graph).items()}
    assert found == pytest.approx(
        {
            "degree product": 1 * 0 - 1 * 2,
            "common neighbours": -1 + 1,
            "Adamic–Adar": -1 / np.log(3) + 1 / np.log(4),
            "resource allocation": -1 / 3 + 1 / 4,
        }
    )
    assert methods.by_signs(graph)["common neighbours"](np.array([0]))[0, 1] == -1


def test_the_chosen_attribute_walk_is_three_steps_on_the_enhanced_graph() -> None:
    graph = connected_graph(20)
    having = sp.csr_array((np.random.default_rng(0).random((20, 6)) < 0.4).astype(float))
    setting = attributes.Setting(idf=0.0, eta=0.5, alpha=0.5, loop=0.5, exponent=-1.25)
    looped = enhance(graph, having, 0.5, 0.5, self_loops="none").toarray() + 0.5 * np.eye(20)
    power = np.diag(looped.sum(axis=1) ** -1.25)
    expected = looped @ power @ looped @ power @ looped
    np.testing.assert_allclose(attributes.attribute_walk(graph, having, setting)(np.arange(20)), expected, rtol=1e-6)


def test_published_row_of_wow_ep8_after_post_processing() -> None:
    needs("wow-ep8")
    problem = rows.Problem("wow-ep8", splits.split("wow-ep8", DATA), 0, None)
    found = next(row for row in rows.signed_rows(problem) if "post-processed" in row.method)
    expected = published.PUBLISHED["wow-ep8"]["POLE, WSDM 2022 [S]"]
    for part in ("positive", "negative"):
        np.testing.assert_allclose(found.values[part], expected[part], atol=5e-4)


@pytest.mark.slow
def test_published_row_of_blogcatalog_to_four_digits() -> None:
    needs("blogcatalog")
    found = next(rows.rows_of("blogcatalog", DATA, 0, None))
    assert found.method.startswith("vectors")
    expected = next(iter(published.PUBLISHED["blogcatalog"].values()))[""]
    np.testing.assert_allclose(np.round(found.values[""], 4), expected, atol=1e-9)
