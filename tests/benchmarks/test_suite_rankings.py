"""Rankings and the engine's benchmark on made data: what they learn from, how they judge, what they print."""

from __future__ import annotations

import gzip
import importlib
import itertools
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT))  # benchmarks are no part of the installed package
engine = importlib.import_module("benchmarks.engine")
rankings = importlib.import_module("benchmarks.suite.rankings")
topn = importlib.import_module("benchmarks.suite.topn")


def written(folder: Path, users: int = 60, items: int = 40) -> None:
    """Lists of items in gowalla's files: train in an order that is not that of the items, one each in the others."""
    (folder / "gowalla_lightgcn").mkdir()
    chance = np.random.default_rng(0)
    drawn = [(chance.permutation(items // 2) + user % 2 * (items // 2))[:8] for user in range(users)]
    for part, cut in (("train", slice(2, None)), ("valid", slice(0, 1)), ("test", slice(1, 2))):
        lines = [f"{user} {' '.join(map(str, row[cut]))}\n" for user, row in enumerate(drawn)]
        with gzip.open(folder / "gowalla_lightgcn" / f"{part}.txt.gz", "wt", encoding="utf-8") as file:
            file.writelines(lines)


def test_one_graph_has_no_order_and_the_other_the_places_in_the_line(tmp_path: Path) -> None:
    written(tmp_path)
    (problem,) = rankings.gowalla(tmp_path)
    assert list(problem.graphs) == ["", rankings.ORDERED]
    (plain,) = problem.graphs[""].edges.values()
    assert plain.time is None
    ordered = {kind[1]: edges for kind, edges in problem.graphs[rankings.ORDERED].edges.items()}
    assert ordered["visited"].time is None
    with gzip.open(tmp_path / "gowalla_lightgcn" / "train.txt.gz", "rt", encoding="utf-8") as file:
        line = list(map(int, file.readline().split()))[1:]
    mine = ordered["visits"].src == 0
    assert ordered["visits"].dst[mine][np.argsort(ordered["visits"].time[mine])].tolist() == line
    given = topn.gowalla(tmp_path)
    valid = {tuple(pair) for pair in np.argwhere(given.valid.toarray()).tolist()}
    assert set(zip(ordered["visited"].src.tolist(), ordered["visited"].dst.tolist(), strict=True)) == valid
    assert len(plain) == len(ordered["visits"]) + len(ordered["visited"]) == given.known.nnz
    assert problem.judge(lambda users: given.test[users].toarray())[""] == (1.0, 1.0)


def test_random_pairs_are_asked_from_the_train_file_alone(tmp_path: Path) -> None:
    written(tmp_path)
    (problem,) = rankings.gowalla_random(tmp_path)
    given = topn.gowalla(tmp_path)
    (seen,) = problem.graphs[""].edges.values()
    assert set(zip(seen.src.tolist(), seen.dst.tolist(), strict=True)) == set(zip(*given.train.nonzero(), strict=True))
    assert seen.time is None
    assert problem.judge(lambda users: given.valid[users].toarray())[""] == (1.0, 1.0)
    assert problem.judge(lambda users: given.test[users].toarray())[""][0] < 1


def test_the_search_is_made_once_at_the_largest_dimension(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path)
    (problem,) = rankings.gowalla(tmp_path)
    asked: list[tuple[int, Any]] = []
    plain = rankings.fit

    def fit(graph: Any, dim: int, **options: Any) -> Any:
        found = plain(graph, dim=dim, **options)
        asked.append((dim, options.get("choice"), found.choice))
        return found

    monkeypatch.setattr(rankings, "fit", fit)
    rows = list(rankings.fitted_rows(problem, "", problem.graphs[""], [4, 12, 8], 0, None))
    assert [(dim, given) for dim, given, _ in asked] == [(12, None), (8, asked[0][2]), (4, asked[0][2])]
    assert [row.method for row in rows] == ["exact", "vectors, d = 12", "vectors, d = 8", "vectors, d = 4"]
    assert rows[0].fit_seconds == rows[1].fit_seconds
    assert rows[1].of_exact[""] == rankings.share_of(rows[1].values[""], rows[0].values[""])


def test_what_learns_has_the_walks_choice_and_says_what_it_learnt(tmp_path: Path) -> None:
    written(tmp_path)
    (problem,) = rankings.gowalla(tmp_path)
    rows = list(
        rankings.fitted_rows(problem, "as lines", problem.graphs[""], [4, 8], 0, None, models=["hybrid", "gnn"])
    )
    of = "d = {}, as lines"
    assert [row.method for row in rows[1:]] == [
        f"{what}, {of.format(dim)}" for dim in (8, 4) for what in ("vectors", "hybrid", "gnn")
    ]
    assert 0 <= rows[2].note["learnt"] <= 1


def test_baselines_count_paths_of_three_and_share_out_what_a_user_has(tmp_path: Path) -> None:
    written(tmp_path)
    (problem,) = rankings.gowalla(tmp_path)
    asked: dict[str, Any] = {}
    kept = replace(
        problem, judge=lambda score: {"": (float(asked.setdefault(len(asked), score(np.arange(60))).sum()),)}
    )
    list(itertools.islice(rankings.rows_of(kept, [4], 0, None), 3))
    b = topn.gowalla(tmp_path).known.toarray()
    paths = b @ b.T @ b
    shared = b / b.sum(0) @ b.T / b.sum(1) @ b
    for number, expected in ((1, paths), (2, shared)):
        np.testing.assert_allclose(asked[number], expected / expected.sum(1, keepdims=True), rtol=1e-4, atol=1e-7)


def test_share_of_exact_is_the_mean_over_the_columns() -> None:
    assert rankings.share_of((0.2, 0.3), (0.4, 0.3)) == pytest.approx(0.75)
    assert rankings.share_of((0.2, None), (0.4, 0.3)) == pytest.approx(0.5)


def test_last_items_are_judged_by_domain_and_new_days_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rankings, "IN_DOMAIN", (("none", 0, 0), ("one", 1, 1), ("two", 2, 2)))
    chance = np.random.default_rng(1)
    size, users = 1100, 6
    domain = np.repeat([0, 1], size)
    user, item = np.repeat(np.arange(users), 3), chance.permutation(2 * size)[: 3 * users]
    item[2::3] = np.array([0, 1, 2, size, size + 1, size + 2])
    time = np.tile([1, 2, 3], users)
    time[[2, 11]] = 2  # the last ones of users 0 and 3 share their day
    reviews = topn.Reviews(user, item, time, domain)
    judge = rankings.last_item_judge(reviews, topn.next_item(reviews), 0)

    def score(asked: Any) -> Any:
        table = np.zeros((len(asked), 2 * size), np.float32)
        for row, who in enumerate(asked.tolist()):
            table[row, item[3 * who + 2]] = 1.0 if who != 0 else -1.0
        return table

    values = judge(score)
    assert values[""] == pytest.approx((2 / 3, 2 / 3, 1.0, 1.0))
    assert values[rankings.NEW_DAY] == pytest.approx((1.0, 1.0, 1.0, 1.0))
    before = domain[item.reshape(users, 3)[:, :2]]
    for name, least, most in rankings.IN_DOMAIN:
        for at, own in enumerate((range(3), range(3, 6))):
            inside = [who for who in own if least <= (before[who] == at).sum() <= most]
            hits = [float(who != 0) for who in inside]
            assert values[name][2 * at] == (pytest.approx(np.mean(hits)) if hits else None)


def test_missing_graph_is_one_line_and_exit_code_two(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert engine.main(["blogcatalog", "--data", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_made_graph_has_the_edges_asked_for_once_each_and_hubs() -> None:
    graph = engine.power_law(20_000, 3)
    assert abs(graph - graph.T).nnz == 0
    assert (graph.nnz // 2, graph.diagonal().sum(), graph.data.max()) == (20_000, 0, 1)
    degree = np.sort(np.diff(graph.indptr))
    assert degree[-1] > 5 * np.median(degree)
    assert abs(graph - engine.power_law(20_000, 3)).nnz == 0


def test_all_routes_find_the_same_pairs() -> None:
    graph = engine.power_law(10_000, 0).astype(np.float64)
    values = np.linalg.eigvalsh(engine.dense_r(graph))[::-1][:5]
    for method, solve in engine.routes(graph, 5, None, 0, engine.DENSE):
        found, vectors, _ = solve()
        np.testing.assert_allclose(found, values, rtol=1e-4, err_msg=method)
        assert engine.residual(engine.walk_of(graph), found, vectors) < 1e-4, method
    assert engine.residual(engine.walk_of(graph), found * 1.1, vectors) == pytest.approx(1 / 11, rel=1e-3)


def test_products_are_metered_only_inside() -> None:
    graph = engine.power_law(10_000, 0)
    plain = engine.SparseMatrix.__matmul__
    with engine.metered(None) as meter:
        engine.walk_of(graph).matmat(engine.torch.ones(graph.shape[0], 4, dtype=engine.torch.float64))
    assert (meter.calls, meter.columns) == (3, 12)
    assert engine.SparseMatrix.__matmul__ is plain
    least, gathered = engine.traffic(10, 4, meter, False)
    assert (least, gathered) == (3 * (80 + 20) + 2 * 4 * 12 * 4, 3 * (80 + 20) + (10 + 4) * 12 * 4)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], (True, [1, 10])),
        (["blogcatalog"], (True, [])),
        (["sizes"], (False, [1, 10])),
        (["sizes", "50"], (False, [50])),
        (["blogcatalog", "sizes", "1"], (True, [1])),
        (["1"], None),
        (["sizes", "0"], None),
        (["ppi"], None),
    ],
)
def test_what_is_asked_for(given: list[str], expected: Any) -> None:
    assert engine.wanted(given) == expected
