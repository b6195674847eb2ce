"""Data of the benchmark suite: readers, splits and metrics, by counts, hashes, and brute force on small graphs."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from graphrep.errors import InputError

ROOT = Path(__file__).parents[2]
DATA = ROOT / ".." / "shared" / "data"
sys.path.append(str(ROOT))  # benchmarks are no part of the installed package
graphs = importlib.import_module("benchmarks.suite.graphs")
splits = importlib.import_module("benchmarks.suite.splits")
topn = importlib.import_module("benchmarks.suite.topn")

# Nodes, edges, self-loops, negative edges, directed, edges once either way, attributes.
COUNTS = {
    "airport": (3158, 18606, 1, 0, False, 18606, None),
    "blogcatalog": (10312, 333983, 0, 0, False, 333983, None),
    "congress": (219, 523, 2, 107, False, 523, None),
    "cora-subelj": (23166, 91500, 0, 0, True, 89157, None),
    "planetoid-citeseer": (3327, 4552, 0, 0, False, 4552, (3327, 3703)),
    "planetoid-cora": (2708, 5278, 0, 0, False, 5278, (2708, 1433)),
    "polblogs": (1222, 16717, 3, 0, False, 16717, None),
    "ppi": (3890, 38739, 894, 0, False, 38739, None),
    "wiki-vote": (7115, 103689, 0, 0, True, 100762, None),
    "wow-ep8": (789, 116009, 0, 21618, False, 116009, None),
}
# Remaining, validation, hidden; seed 0.
PARTS = {
    "airport": (14884, 0, 3722),
    "congress": (418, 0, 105),
    "cora-subelj": (73200, 0, 18300),
    "planetoid-citeseer": (3870, 227, 455),
    "planetoid-cora": (4488, 263, 527),
    "polblogs": (13373, 0, 3344),
    "ppi": (30991, 0, 7748),
    "wiki-vote": (82951, 0, 20738),
    "wow-ep8": (92807, 0, 23202),
}


def needs(name: str) -> None:
    if not (DATA / name).is_dir():
        pytest.skip(f"needs the files of {name} in ../shared/data/{name}")


def made(pairs: list[tuple[int, int]], weights: Any = None, directed: bool = False) -> Any:
    """A graph of these edges, its nodes 0 … the highest."""
    edges = np.array(pairs, np.int64)
    n = int(edges.max()) + 1
    weights = np.ones(len(edges)) if weights is None else np.array(weights, float)
    return graphs.Graph("made", edges, weights, directed, n, np.arange(n))


def chance_graph(n: int, share: float, directed: bool, seed: int = 0) -> Any:
    inside = np.random.default_rng(seed).random((n, n)) < share
    np.fill_diagonal(inside, False)
    return made(list(zip(*map(list, np.nonzero(inside if directed else np.triu(inside))), strict=True)), None, directed)


def joined_groups(graph: Any, places: Any) -> list[int]:
    matrix = graphs.adjacency(graph, places)
    return sp.csgraph.connected_components(matrix, directed=False)[1].tolist()


@pytest.mark.parametrize("name", sorted(COUNTS))
def test_a_graph_has_the_counts_of_its_source(name: str) -> None:
    needs(name)
    graph = graphs.read(name, DATA)
    n, edges, loops, negative, directed, either, attributes = COUNTS[name]
    assert (graph.n, len(graph.edges), graph.directed) == (n, edges, directed)
    assert int((graph.edges[:, 0] == graph.edges[:, 1]).sum()) == loops
    assert int((graph.weights < 0).sum()) == negative
    assert len({(min(u, v), max(u, v)) for u, v in graph.edges.tolist()}) == either
    assert (graph.attributes.shape if graph.attributes is not None else None) == attributes


def test_planetoid_attributes_stand_at_their_nodes() -> None:
    needs("planetoid-citeseer")
    folder = DATA / "planetoid-citeseer"
    found = graphs.read("planetoid-citeseer", DATA).attributes
    rows = np.loadtxt(folder / "ind.citeseer.test.index", dtype=int)
    np.testing.assert_array_equal(found[rows].toarray(), graphs.unpickle(folder / "ind.citeseer.tx").toarray())
    np.testing.assert_array_equal(found[:2312].toarray(), graphs.unpickle(folder / "ind.citeseer.allx").toarray())
    assert found.sum(axis=1)[np.setdiff1d(np.arange(2312, 3327), rows)].tolist() == [0.0] * 15


def test_a_pickle_of_anything_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bad").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(InputError, match=r"os\.system"):
        graphs.unpickle(tmp_path / "bad")


def test_an_archive_of_another_layout_or_content_is_refused(tmp_path: Path) -> None:
    needs("wiki-vote")
    archive = bytearray((DATA / "wiki-vote" / "wiki-Vote.txt.7z").read_bytes())
    place = archive.rindex(b"\x00\x08\x0a\x01") + 4
    archive[place] ^= 1
    (tmp_path / "crc.7z").write_bytes(archive)
    with pytest.raises(InputError, match="CRC"):
        graphs.unpack(tmp_path / "crc.7z")
    archive[place - 3] ^= 1
    (tmp_path / "layout.7z").write_bytes(archive)
    with pytest.raises(InputError, match="another layout"):
        graphs.unpack(tmp_path / "layout.7z")


def test_edges_stand_in_the_order_of_a_graph_library() -> None:
    lines = [(3, 1, 1.0), (2, 5, 1.0), (1, 2, 4.0), (5, 3, 1.0), (2, 1, 7.0), (4, 4, 1.0)]
    assert list(graphs.networkx_order(lines).items()) == [
        ((1, 3), 1.0),
        ((3, 5), 1.0),
        ((1, 2), 7.0),
        ((2, 5), 1.0),
        ((4, 4), 1.0),
    ]


def test_a_matrix_of_edges_is_symmetric_unless_directed() -> None:
    pairs, weights = [(0, 1), (1, 2), (2, 2)], [2.0, -3.0, 5.0]
    assert graphs.adjacency(made(pairs, weights)).toarray().tolist() == [[0, 2, 0], [2, 0, -3], [0, -3, 5]]
    one_way = made(pairs, weights, directed=True)
    assert graphs.adjacency(one_way, [0, 1], weighted=False).toarray().tolist() == [[0, 1, 0], [0, 0, 1], [0, 0, 0]]


@pytest.mark.parametrize("name", sorted(PARTS))
def test_a_split_has_its_parts_and_its_hash(name: str) -> None:
    needs(name)
    split = splits.split(name, DATA)  # refuses another hash where one is known
    assert (len(split.remaining), len(split.validation), len(split.hidden)) == PARTS[name]
    every = np.concatenate([split.remaining, split.validation, split.hidden])
    assert (np.sort(every) == np.arange(len(split.graph.edges))).all()


@pytest.mark.slow
def test_blogcatalog_splits_as_elsewhere() -> None:
    needs("blogcatalog")
    assert len(splits.split("blogcatalog", DATA).hidden) == 66797


def test_another_split_than_the_known_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    needs("airport")
    monkeypatch.setitem(splits.KNOWN_DIGESTS, ("airport", "hidden"), "0" * 64)
    with pytest.raises(splits.BadSplitError, match="airport"):
        splits.split("airport", DATA)


def test_the_shipped_signed_split_is_the_connected_one_of_seed_0() -> None:
    needs("wow-ep8")
    shipped = splits.split("wow-ep8", DATA)
    np.testing.assert_array_equal(splits.connected(shipped.graph, 0).hidden, shipped.hidden)
    assert int((shipped.graph.weights[shipped.hidden] < 0).sum()) == 4343
    with pytest.raises(InputError, match="seed 0"):
        splits.split("wow-ep8", DATA, seed=1)


@pytest.mark.parametrize("directed", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_a_fifth_is_hidden_and_no_component_falls_apart(directed: bool, seed: int) -> None:
    graph = chance_graph(40, 0.04 if directed else 0.08, directed, seed)  # many ends of one link
    split = splits.connected(graph, seed)
    assert len(split.hidden) == -(-len(graph.edges) // 5)
    assert joined_groups(graph, split.remaining) == joined_groups(graph, slice(None))


def test_a_bridge_stays() -> None:
    tree, square = [(0, 1), (1, 2), (2, 3)], [(3, 4), (4, 5), (5, 6), (3, 6)]
    for seed in range(10):
        hidden = splits.connected(made(tree + square), seed).hidden
        assert len(hidden) == 1
        assert hidden[0] >= len(tree)


def test_of_a_link_both_ways_one_can_go() -> None:
    chain = [(i, i + 1) for i in range(9)]
    both = made(chain + [(v, u) for u, v in chain] + [(9, 10)], directed=True)
    gone = set()
    for seed in range(20):
        hidden = splits.connected(both, seed).hidden.tolist()
        assert len({place % 9 for place in hidden}) == len(hidden) == 4
        gone |= set(hidden)
    assert gone == set(range(18))  # and never 9 → 10, which alone joins its ends


def test_seeds_give_different_splits_and_one_seed_the_same() -> None:
    graph = chance_graph(40, 0.3, False)
    for rule in (splits.connected, splits.gelato):
        first, again, other = (rule(graph, seed).hidden.tolist() for seed in (0, 0, 1))
        assert first == again != other


def test_remaining_and_validation_are_known() -> None:
    split = splits.gelato(chance_graph(30, 0.3, False))
    m = len(split.graph.edges)
    assert (len(split.validation), len(split.hidden)) == (m // 20, m // 10)
    assert split.known.nnz == 2 * (m - m // 10)
    assert split.matrix("hidden").nnz == 2 * (m // 10)
    assert (split.known * split.matrix("hidden")).nnz == 0


def brute(scores: Any, known: Any, hidden: Any, directed: bool) -> tuple[Any, Any]:
    """Score and truth of each candidate, best first, the lower pair before an equal one."""
    n = len(scores)
    known, hidden = (matrix.toarray() != 0 for matrix in (known, hidden))
    pairs = [(u, v) for u in range(n) for v in range(n) if (u != v if directed else u < v) and not known[u, v]]
    pairs.sort(key=lambda pair: -scores[pair])
    return np.array([scores[pair] for pair in pairs]), np.array([hidden[pair] for pair in pairs])


@pytest.mark.parametrize("levels", [3, 10**9])
def test_directed_precision_is_that_of_a_full_sort(levels: int) -> None:
    split = splits.connected(chance_graph(40, 0.2, True))
    scores = np.random.default_rng(1).integers(levels, size=(40, 40)).astype(float)
    hidden = split.matrix("hidden")
    found = splits.directed_precision_at(lambda rows: scores[rows], split.known, hidden, block=7)
    _, truth = brute(scores, split.known, hidden, True)
    sizes = [-(-hidden.nnz * k // 10) for k in range(1, 11)]
    np.testing.assert_allclose(found, [truth[:size].mean() for size in sizes])


def test_signed_precision_ranks_from_both_ends() -> None:
    plain = chance_graph(40, 0.4, False)
    chance = np.random.default_rng(2)
    graph = made(plain.edges.tolist(), chance.choice([-2.0, 1.0, 3.0], len(plain.edges)))
    split = splits.connected(graph)
    scores = chance.normal(size=(40, 40))
    hidden = split.matrix("hidden")
    found = splits.signed_precision_at(lambda rows: scores[rows], split.known, hidden, [0.5, 1.0], block=7)
    for sign, precision in zip((1, -1), found, strict=True):
        wanted = sp.csr_array(sign * hidden > 0)
        _, truth = brute(sign * scores, split.known, wanted, False)
        total = wanted.nnz // 2
        np.testing.assert_allclose(precision, [truth[: -(-total // 2)].mean(), truth[:total].mean()])


@pytest.mark.parametrize("directed", [False, True])
@pytest.mark.parametrize("levels", [3, 10**9])
def test_average_precision_and_hits_are_those_of_all_candidates(directed: bool, levels: int) -> None:
    split = splits.connected(chance_graph(40, 0.2, directed))
    scores = np.random.default_rng(3).integers(levels, size=(40, 40)).astype(float)
    hidden = split.matrix("hidden")
    ap, hits = splits.average_precision_and_hits(
        lambda rows: scores[rows], split.known, hidden, range(1, 300), directed, block=7
    )
    values, truth = brute(scores, split.known, hidden, directed)
    steps = [(values >= t, values > t) for t in np.unique(values)]
    expected = sum((truth[at].sum() - truth[above].sum()) * truth[at].mean() for at, above in steps) / truth.sum()
    assert ap == pytest.approx(expected)
    others = np.sort(values[~truth])[::-1]
    assert hits.tolist() == [(values[truth] > others[k - 1]).mean() for k in range(1, 300)]


def test_with_fewer_others_than_asked_every_hidden_pair_is_a_hit() -> None:
    hidden = sp.csr_array(([1.0], ([0], [1])), shape=(3, 3))
    found = splits.average_precision_and_hits(lambda rows: -np.ones((len(rows), 3)), 0 * hidden, hidden, (2, 3))
    assert found[0] == pytest.approx(1 / 3)
    assert found[1].tolist() == [0, 1]


def test_a_metric_without_hidden_pairs_or_with_nan_is_refused() -> None:
    none, one = sp.csr_array((3, 3)), sp.csr_array(([1.0], ([0], [1])), shape=(3, 3))
    for metric in (splits.directed_precision_at, splits.average_precision_and_hits):
        with pytest.raises(InputError, match="hidden pair"):
            metric(lambda rows: np.ones((len(rows), 3)), none, none)
        with pytest.raises(InputError, match="NaN"):
            metric(lambda rows: np.full((len(rows), 3), np.nan), none, one)


def test_missing_data_say_what_to_pass(tmp_path: Path) -> None:
    for reader in (lambda: graphs.read("ppi", tmp_path), lambda: topn.gowalla(tmp_path)):
        with pytest.raises(InputError, match="--data"):
            reader()


def test_gowalla_has_the_pairs_of_its_source() -> None:
    needs("gowalla_lightgcn")
    data = topn.gowalla(DATA)
    assert data.test.shape == (29858, 40981)
    assert [part.nnz for part in (data.train, data.valid, data.test, data.known)] == [719081, 91047, 217242, 810128]
    assert data.known.max() == 1


@pytest.mark.slow
def test_most_popular_items_of_gowalla_are_judged_as_elsewhere() -> None:
    needs("gowalla_lightgcn")
    data = topn.gowalla(DATA)
    degree = data.known.sum(axis=0).astype(np.float32)
    found = topn.recall_and_ndcg(lambda rows: np.tile(degree, (len(rows), 1)), data.known, data.test)
    assert found == pytest.approx((0.0416, 0.0317), abs=5e-5)


def test_recall_and_ndcg_are_means_over_users_with_test_items() -> None:
    chance = np.random.default_rng(4)
    scores = chance.random((30, 50))
    known, test = chance.random((30, 50)) < 0.2, chance.random((30, 50)) < 0.05
    test &= ~known
    recall, ndcg = [], []
    for user in np.flatnonzero(test.any(axis=1)):
        order = [item for item in np.argsort(-scores[user]) if not known[user, item]][:5]
        gain = test[user, order] / np.log2(np.arange(2, 7))
        wanted = int(test[user].sum())
        recall.append(test[user, order].sum() / wanted)
        ndcg.append(gain.sum() / (1 / np.log2(np.arange(2, min(wanted, 5) + 2))).sum())
    assert 0 < len(recall) < 30
    found = topn.recall_and_ndcg(lambda rows: scores[rows], sp.csr_array(known), sp.csr_array(test), k=5, block=4)
    assert found == pytest.approx((np.mean(recall), np.mean(ndcg)))


@pytest.mark.parametrize(
    ("name", "reviews", "items", "asked"),
    [("afk", 173548, (11837, 16258), (2419, 4725)), ("abe", 114129, (10379, 14188), (1875, 2599))],
)
def test_amazon_has_the_reviews_of_its_source(name: str, reviews: int, items: Any, asked: Any) -> None:
    needs("amazon_cdsr")
    found = topn.amazon(DATA, name)
    assert len(found.user) == reviews
    assert tuple(int((found.domain == number).sum()) for number in (0, 1)) == items
    question = topn.next_item(found)
    assert tuple(len(question.users_of(number)) for number in (0, 1)) == asked
    assert len(question.history.user) == reviews - sum(asked)


def reviews_of_two() -> Any:
    columns = [(0, 1, 10), (0, 2, 20), (0, 3, 20), (1, 4, 5), (1, 3, 9)]
    return topn.Reviews(*np.array(columns).T, np.array([-1, 0, 0, 0, 1, *[0] * 1000]))


def test_the_last_review_is_asked_from_those_before() -> None:
    question = topn.next_item(reviews_of_two())
    assert question.item.tolist() == [3, 3]
    assert question.new_day.tolist() == [False, True]
    assert question.history.item.tolist() == [1, 2, 4]
    assert question.users_of(0).tolist() == [0, 1]


def test_negatives_are_of_the_domain_and_never_reviewed() -> None:
    asked = topn.candidates(reviews_of_two(), np.array([0, 1]), np.array([3, 3]))
    assert asked.shape == (2, 1000)
    assert asked[:, -1].tolist() == [3, 3]
    assert not np.isin(asked[0, :-1], [0, 1, 2, 3, 4]).any()
    assert not np.isin(asked[1, :-1], [0, 3, 4]).any()
    assert all(len(set(row)) == 1000 for row in asked.tolist())
    assert (topn.candidates(reviews_of_two(), np.array([0, 1]), np.array([3, 3])) == asked).all()


def test_among_equal_scores_the_wanted_item_comes_last() -> None:
    asked = np.array([[7, 8, 9], [4, 5, 6]])
    best = topn.best_of(np.array([[0.5, 0.5, 0.5], [0.1, 0.3, 0.2]]), asked, k=2)
    assert best.tolist() == [[7, 8], [5, 6]]
    assert topn.judge(best, np.array([9, 6]), k=2) == pytest.approx((0.5, 0.5 / np.log2(3)))


def test_kuairand_is_cut_at_a_moment() -> None:
    needs("kuairand_pure_slice")
    feed = topn.kuairand(DATA)
    assert (len(feed.users), len(feed.items), len(feed.author)) == (17773, 6075, 6075)
    assert [len(events.user) for events in (feed.shown, feed.train, feed.test)] == [144888, 53221, 14280]
    assert feed.train.time.max() < feed.test.time.min()
    assert len(topn.kuairand(DATA, "is_click").train.user) == 75454


def test_a_feed_asks_for_new_positives_of_known_users_and_videos() -> None:
    rows = [  # user, video, time, author, positive
        (5, 20, 1, 0, 0),
        (5, 20, 1, 0, 1),  # the same exposure again: one, positive
        (5, 30, 2, 1, 0),
        (6, 30, 3, 1, 0),  # a user without a training positive
        (7, 40, 4, 2, 1),
        (5, 20, 11, 0, 1),  # known by training
        (5, 40, 12, 2, 1),
        (5, 50, 13, 3, 1),  # a video of later
        (6, 20, 14, 0, 1),
        (7, 30, 15, 1, 0),
        (7, 20, 10, 0, 1),  # at the cut itself
    ]
    feed = topn.cut_feed(*np.array(rows).T, begins=10)
    assert (feed.users.tolist(), feed.items.tolist(), feed.author.tolist()) == ([5, 7], [20, 30, 40], [0, 1, 2])

    def listed(events: Any) -> list[tuple[int, int, int]]:
        return list(zip(*(column.tolist() for column in (events.user, events.item, events.time)), strict=True))

    assert listed(feed.shown) == [(0, 0, 1), (0, 1, 2), (1, 2, 4)]
    assert listed(feed.train) == [(0, 0, 1), (1, 2, 4)]
    assert listed(feed.test) == [(1, 0, 10), (0, 2, 12)]
    assert feed.matrix(feed.test).toarray().tolist() == [[0, 0, 1], [1, 0, 0]]
