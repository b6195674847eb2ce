"""Rankings of items for users, of ``graphrep.embed.fit`` with its default settings, beside the published rows.

    python -m benchmarks.suite gowalla_lightgcn amazon_cdsr kuairand_pure_slice --dims 64 128 256 --json rankings.json

Data, splits and judging: ``benchmarks.suite.topn``. Rows "computed before" are of another implementation on the same
data and no publication.

* gowalla_lightgcn: Recall@20 / NDCG@20 over all items outside train.txt and valid.txt, both learnt from, as LightGCN
  and others do. They know no order. The lines of train.txt look ordered by time, so a second graph takes the place of
  an item in its line as its time (valid.txt's pairs stay without one); those rows know more than the published ones
  and say so. The items of test.txt lie nearer to the last third of a user's line than to the first: it looks newest.
* gowalla_random: the same for valid.txt, whose pairs stand anywhere in a user's line, as if drawn at random, learnt
  from train.txt alone. No published row.
* amazon_cdsr: HR@10 / NDCG@10 of each user's last item among 999 others of its domain. Days are the finest time, and
  inside a day the file is sorted by item: users whose last item came on a day of its own stand in rows of their own.
  So do users by their reviews in the domain of the last one, before it:
  up to 5 (nobody has fewer than 4), 6 to 9, more.
* kuairand_pure_slice: recall@50 / NDCG@50 of the long views after the cut, from those before it; of all users, and of
  those with so many long views before it. *autocovariance* rows are of the joint walk; *cold start*: what would be
  published of the same vectors (``graphrep.embed.cold_start``), without and with what is known of the videos.

*hybrid* rows, with ``--hybrid``, and *gnn* rows, with ``--gnn``: ``fit`` with that model, its default settings and
the walk's choice; the note says which share of what was learnt was published, 0 where the walk ranked hidden events
as well.

The automatic choice of the walk, a search, is made once for each graph, at the largest dimension; the others get that
choice, so that their seconds of the fit are without the search. *exact* are rows of the walk itself, of the first fit,
whose seconds they share. Share of exact: mean over the columns of a figure divided by the exact row's. MB: peak of the
resident set of the whole process while fitting and scoring, – where the system does not tell.
"""

from __future__ import annotations

import gzip
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from benchmarks.suite import topn
from benchmarks.suite.report import Row, Values, peak, reset_peak
from graphrep.embed import Choice, Embedding, fit
from graphrep.embed.cold_choice import choose_gates
from graphrep.embed.cold_start import publish
from graphrep.embed.histories import histories
from graphrep.embed.history_walk import HistoryWalk
from graphrep.graph import EdgeList, HeteroGraph

Ints = NDArray[np.int64]

NAMES = ("gowalla_lightgcn", "gowalla_random", "amazon_cdsr", "kuairand_pure_slice")
FOLDERS = {"gowalla_random": "gowalla_lightgcn"}
"""Of the data sets whose folder has another name."""
ORDERED = "order of the lines as time"
NEW_DAY = "last item on a day of its own"
IN_DOMAIN = (("up to 5 reviews in its domain before", 0, 5), ("6 to 9", 6, 9), ("10 or more", 10, np.inf))
ABXI = "ABXI, WWW 2025, mean of 5 seeds"
T3 = "directed transition walk T³"
UNORDERED = f"{T3}, equal days as unordered"
NEIGHBOURS = {"common neighbours, paths of three": (0.0, 0.0, 0.0), "resource allocation, twice": (-1.0, -1.0, 0.0)}
"""Powers of the degrees that the company walk passes; times are not read."""
VIEWS = (
    ("", 1, np.inf),
    ("users with 1 view", 1, 1),
    ("with 2 or 3", 2, 3),
    ("with 4 to 7", 4, 7),
    ("with 8 or more", 8, np.inf),
)
_BLOCK = 500

PUBLISHED: dict[str, dict[str, Values]] = {
    "gowalla_lightgcn": {
        "NGCF": {"": (0.1570, 0.1327)},
        "LightGCN": {"": (0.1830, 0.1554)},
        "UltraGCN": {"": (0.1862, 0.1580)},
    },
    "amazon_cdsr, Food and Kitchen": {ABXI: {"": (0.3243, 0.1971, 0.2438, 0.1427)}},
    "amazon_cdsr, Beauty and Electronics": {ABXI: {"": (0.3778, 0.2200, 0.2328, 0.1340)}},
}
COMPUTED_BEFORE: dict[str, dict[str, Values]] = {
    "amazon_cdsr, Food and Kitchen": {
        T3: {"": (0.306, 0.190, 0.253, 0.137)},
        UNORDERED: {"": (0.309, None, 0.246, None), NEW_DAY: (0.301, None, 0.297, None)},
    },
    "amazon_cdsr, Beauty and Electronics": {
        T3: {"": (0.351, 0.192, 0.238, 0.136)},
        UNORDERED: {"": (0.352, None, 0.232, None), NEW_DAY: (0.338, None, 0.265, None)},
    },
}


@dataclass(frozen=True)
class Problem:
    """What one table asks. graphs: of types user and item, by what is added to the method's name; popular: (items,).

    content: (items, f), where the question is also about who and what is cold.
    domains: (items,) where some items are never candidates beside the others.
    """

    name: str
    columns: tuple[str, ...]
    graphs: Mapping[str, HeteroGraph]
    popular: Ints
    judge: Callable[[topn.ScoreRows], Values]
    content: NDArray[np.float32] | None = None
    domains: Ints | None = None

    def row(
        self, method: str, score: topn.ScoreRows, exact: Row | None = None, fitted: float | None = None, **note: Any
    ) -> Row:
        """Rank by some scores, and measure that."""
        start = time.perf_counter()
        values = self.judge(score)
        seconds = time.perf_counter() - start
        share = {part: share_of(values[part], exact.values[part]) for part in values} if exact else {}
        return Row(self.name, self.columns, method, values, share, fitted, seconds, peak(), note)


def share_of(figures: Sequence[float | None], exact: Sequence[float | None]) -> float:
    """Mean of the figures, each divided by its exact one."""
    pairs = [(a, b) for a, b in zip(figures, exact, strict=True) if a is not None and b]
    return float(np.mean([a / b for a, b in pairs])) if pairs else float("nan")


def gowalla(data: Path, seed: int = 0) -> Iterator[Problem]:
    """All items that a user does not know."""
    given = topn.gowalla(data)
    known = given.known
    users, items = known.shape
    pairs = sp.coo_array(known).coords
    plain = graph_of(users, items, {"visits": EdgeList(*pairs)})
    user, item, place = line_places(data / "gowalla_lightgcn" / "train.txt.gz")
    timeless = EdgeList(*sp.coo_array(given.valid).coords)
    ordered = graph_of(users, items, {"visits": EdgeList(user, item, time=place), "visited": timeless})

    def judge(score: topn.ScoreRows) -> Values:
        return {"": topn.recall_and_ndcg(score, known, given.test)}

    columns = ("Recall@20", "NDCG@20")
    popular = np.bincount(pairs[1], minlength=items)
    yield Problem("gowalla_lightgcn", columns, {"": plain, ORDERED: ordered}, popular, judge)


def gowalla_random(data: Path, seed: int = 0) -> Iterator[Problem]:
    """The pairs of valid.txt, drawn at random, from those of train.txt; no order is known."""
    given = topn.gowalla(data)
    pairs = sp.coo_array(given.train).coords
    seen = graph_of(*given.train.shape, {"visits": EdgeList(*pairs)})

    def judge(score: topn.ScoreRows) -> Values:
        return {"": topn.recall_and_ndcg(score, given.train, given.valid)}

    popular = np.bincount(pairs[1], minlength=given.train.shape[1])
    yield Problem("gowalla_random", ("Recall@20", "NDCG@20"), {"": seen}, popular, judge)


def line_places(path: Path) -> tuple[Ints, Ints, Ints]:
    """User, item, and 1, 2, … along the line, of each pair of a file with a line for each user."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        lines = [list(map(int, line.split())) for line in file if line.strip()]
    rows = [(line[0], item, place) for line in lines for place, item in enumerate(line[1:], 1)]
    user, item, place = np.array(rows, np.int64).T
    return user, item, place


def amazon(data: Path, seed: int = 0) -> Iterator[Problem]:
    """Both pairs of domains, each a graph of its own."""
    for name, domains in topn.AMAZON_DOMAINS.items():
        reviews = topn.amazon(data, name)
        question = topn.next_item(reviews)
        history, items = question.history, len(reviews.domain)
        edges = EdgeList(history.user, history.item, time=history.time)
        graph = graph_of(int(reviews.user.max()) + 1, items, {"reviews": edges})
        columns = tuple(f"{domain} {metric}" for domain in domains for metric in ("HR@10", "NDCG@10"))
        popular = np.bincount(history.item, minlength=items)
        title = f"amazon_cdsr, {' and '.join(domains)}"
        judge = last_item_judge(reviews, question, seed)
        yield Problem(title, columns, {"": graph}, popular, judge, domains=reviews.domain)


def last_item_judge(reviews: topn.Reviews, question: topn.NextItem, seed: int) -> Callable[[topn.ScoreRows], Values]:
    """Domain by domain, of all users, of those whose last item came on a day of its own, and by what they reviewed."""
    asked = []
    for domain in (0, 1):
        users = question.users_of(domain)
        asked.append((users, topn.candidates(reviews, users, question.item[users], seed)))

    def judge(score: topn.ScoreRows) -> Values:
        found: dict[str, list[float | None]] = {}
        for domain, (users, candidates) in enumerate(asked):
            blocks = [slice(start, start + _BLOCK) for start in range(0, len(users), _BLOCK)]
            scores = [np.take_along_axis(score(users[block]), candidates[block], axis=1) for block in blocks]
            best, target = topn.best_of(np.concatenate(scores), candidates), question.item[users]
            for name, inside in user_parts(question, users, domain).items():
                figures = topn.judge(best[inside], target[inside]) if inside.any() else (None, None)
                found.setdefault(name, []).extend(figures)
        return {name: tuple(values) for name, values in found.items()}

    return judge


def user_parts(question: topn.NextItem, users: Ints, domain: int) -> dict[str, NDArray[np.bool_]]:
    """Which of some users are in each row of the last item's table; their last items are of one domain."""
    history = question.history
    reviewed = np.bincount(history.user[history.domain[history.item] == domain], minlength=len(question.item))[users]
    parts = {"": np.ones(len(users), bool), NEW_DAY: question.new_day[users]}
    return parts | {name: (reviewed >= least) & (reviewed <= most) for name, least, most in IN_DOMAIN}


def kuairand(data: Path, seed: int = 0) -> Iterator[Problem]:
    """Videos shown before the cut, less those that the user had viewed long."""
    feed = topn.kuairand(data)
    train, test = feed.matrix(feed.train), feed.matrix(feed.test)
    edges = EdgeList(feed.train.user, feed.train.item, time=feed.train.time // 1000)
    graph = graph_of(len(feed.users), len(feed.items), {"views": edges})

    views = np.diff(train.indptr)

    def judge(score: topn.ScoreRows) -> Values:
        users, recall, ndcg = topn.each_recall_and_ndcg(score, train, test, k=50)
        parts = {name: (views[users] >= least) & (views[users] <= most) for name, least, most in VIEWS}
        return {name: (float(recall[inside].mean()), float(ndcg[inside].mean())) for name, inside in parts.items()}

    popular = np.bincount(train.indices, minlength=len(feed.items))
    content = topn.kuairand_content(feed.items, data)
    yield Problem("kuairand_pure_slice", ("recall@50", "NDCG@50"), {"": graph}, popular, judge, content)


READERS: dict[str, Callable[[Path, int], Iterator[Problem]]] = dict(
    zip(NAMES, (gowalla, gowalla_random, amazon, kuairand), strict=True)
)


def graph_of(users: int, items: int, relations: Mapping[str, EdgeList]) -> HeteroGraph:
    """Users who act on items."""
    edges = {("user", relation, "item"): listed for relation, listed in relations.items()}
    return HeteroGraph.from_edges({"user": users, "item": items}, edges)


def rows_of(
    problem: Problem, dims: Sequence[int], seed: int, device: str | None, models: Sequence[str] = ()
) -> Iterator[Row]:
    """Simple baselines; then of each graph the exact rows and the vectors, the largest dimension first.

    models: that learn beside the walk and shall have rows too.
    """
    popular = problem.popular.astype(np.float32)
    reset_peak()
    yield problem.row("most popular", lambda users: np.tile(popular, (len(users), 1)))
    events = histories(next(iter(problem.graphs.values())))
    for method, powers in NEIGHBOURS.items():
        yield problem.row(method, HistoryWalk(events, Choice(company=powers)).rows)
    for label, graph in problem.graphs.items():
        yield from fitted_rows(problem, label, graph, dims, seed, device, models)


def fitted_rows(
    problem: Problem,
    label: str,
    graph: HeteroGraph,
    dims: Sequence[int],
    seed: int,
    device: str | None,
    models: Sequence[str] = (),
) -> Iterator[Row]:
    """The search at the largest dimension, its choice for the others and for the models."""
    known: dict[str, Any] = {}
    exact: Row | None = None
    for dim in sorted(set(dims), reverse=True):
        reset_peak()
        start = time.perf_counter()
        emb = fit(graph, dim=dim, seed=seed, device=device, **known)
        seconds = time.perf_counter() - start
        if exact is None:
            note = asdict(emb.choice) if emb.choice else {}
            score = lambda users, emb=emb: emb.score("user", users, "item", exact=True)  # noqa: E731
            exact = problem.row(labelled("exact", label), score, fitted=seconds, **note)
            known = {"choice": emb.choice} if emb.choice else {}
            yield exact
        method = labelled(f"vectors, d = {dim}", label)
        yield problem.row(method, lambda users, emb=emb: emb.score("user", users, "item"), exact, seconds)
        if problem.content is not None:
            again = partial(fit, dim=dim, seed=seed, device=device, **known)
            yield from cold_rows(problem, method, graph, emb, seed, again)
            joint = partial(fit, dim=dim, seed=seed, device=device, walk="joint")
            plain, method = joint(graph), f"autocovariance, d = {dim}"
            yield problem.row(method, lambda users, emb=plain: emb.score("user", users, "item"), exact)
            yield from cold_rows(problem, method, graph, plain, seed, joint)
        for model in models:
            yield learnt_row(model, problem, label, graph, dim, seed, device, emb.choice, exact)


def cold_rows(
    problem: Problem,
    method: str,
    graph: HeteroGraph,
    emb: Embedding,
    seed: int,
    refit: Callable[[HeteroGraph], Embedding],
) -> Iterator[Row]:
    """What would be published, with the prior alone and with the content of items; the note has the gates."""
    content: dict[str, dict[str, Any]] = {"cold start": {}, "cold start, content": {"item": problem.content}}
    for name, known in content.items():
        reset_peak()
        start = time.perf_counter()
        gates = choose_gates(graph, refit, known, seed=seed)
        out = publish(graph, emb, gates, known).vectors
        seconds = time.perf_counter() - start
        note = {f"{g.node_type} {g.least}-{g.most} {g.estimate}": f"{g.gate:g} / {g.scale:g}" for g in gates}
        score = lambda users, x=out: x["user"][users] @ x["item"].T  # noqa: E731
        yield problem.row(f"{method}, {name}", score, fitted=seconds, **note)


def learnt_row(
    model: str,
    problem: Problem,
    label: str,
    graph: HeteroGraph,
    dim: int,
    seed: int,
    device: str | None,
    choice: Choice | None,
    exact: Row,
) -> Row:
    """Vectors of a model that learns; the note says which share of what was learnt they hold."""
    reset_peak()
    start = time.perf_counter()
    emb = fit(graph, model=model, dim=dim, seed=seed, device=device, choice=choice)
    seconds = time.perf_counter() - start
    score = lambda users: emb.score("user", users, "item")  # noqa: E731
    return problem.row(labelled(f"{model}, d = {dim}", label), score, exact, seconds, learnt=emb.learnt)


def labelled(method: str, label: str) -> str:
    return f"{method}, {label}" if label else method
