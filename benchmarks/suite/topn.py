"""Users and items: what each data set gives to learn from, what it asks for, and how the answer is judged.

Gowalla (LightGCN's files), Amazon reviews in two domains (ABXI, WWW 2025) and KuaiRand-Pure (CIKM 2022) by time.
Every reader takes the folder that holds one folder for each data set.
"""

from __future__ import annotations

import datetime as dt
import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import scipy.sparse as sp
from numpy.typing import NDArray
from pyarrow.csv import read_csv

from benchmarks.suite.graphs import DATA
from graphrep.errors import InputError
from graphrep.evaluate.metrics import hit_rate_at_k, ndcg_at_k, recall_at_k, top_k

Ints = NDArray[np.int64]
ScoreRows = Callable[[Ints], NDArray[Any]]

AMAZON_DOMAINS = {"afk": ("Food", "Kitchen"), "abe": ("Beauty", "Electronics")}
NEGATIVES = 999
CHINA = dt.timezone(dt.timedelta(hours=8))
KUAIRAND_TEST_BEGINS = dt.datetime(2022, 5, 5, tzinfo=CHINA)


@dataclass(frozen=True)
class TopN:
    """(users, items) csr of ones: pairs to learn from, to choose by, and to find."""

    train: Any
    valid: Any
    test: Any

    @property
    def known(self) -> Any:
        """Train and valid together, what LightGCN, NGCF and UltraGCN learn from: no candidates at the test."""
        return sp.csr_array(self.train + self.valid)


def gowalla(data: Path = DATA) -> TopN:
    """The pairs of Gowalla; a line of a file is a user and his items. ``known`` is the train.txt of LightGCN."""
    folder = _folder(data, "gowalla_lightgcn")
    parts = [_item_lists(folder / f"{part}.txt.gz") for part in ("train", "valid", "test")]
    shape = tuple(int(max(axis.max() for axis in axes)) + 1 for axes in zip(*parts, strict=True))
    matrices = [sp.csr_array((np.ones(len(user)), (user, item)), shape=shape) for user, item in parts]
    return TopN(*matrices)


def _item_lists(path: Path) -> tuple[Ints, Ints]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = [np.array(line.split(), np.int64) for line in file if line.strip()]
    users = np.repeat([row[0] for row in rows], [len(row) - 1 for row in rows])
    return users.astype(np.int64), np.concatenate([row[1:] for row in rows])


def recall_and_ndcg(score_rows: ScoreRows, known: Any, test: Any, k: int = 20, block: int = 512) -> tuple[float, float]:
    """Recall@k and NDCG@k over all items that a user does not know, mean over the users with test items.

    Recall@k = hits / test items of the user; NDCG@k has the ideal gain over min(k, test items): the definitions of
    LightGCN's tables. Among equal scores the lower item comes first. A test item that is known is never ranked and
    still counts among the user's test items.

    Args:
        score_rows: (b,) users → (b, items) scores.
        known: (users, items) scipy.sparse; entries other than 0 are no candidates.
        test: (users, items) scipy.sparse; entries other than 0 are to be found.
        k: places.
        block: users at once.
    """
    _, recall, ndcg = each_recall_and_ndcg(score_rows, known, test, k, block)
    return float(recall.mean()), float(ndcg.mean())


def each_recall_and_ndcg(
    score_rows: ScoreRows, known: Any, test: Any, k: int = 20, block: int = 512
) -> tuple[Ints, NDArray[np.float64], NDArray[np.float64]]:
    """The users with test items, and recall@k and NDCG@k of each: :func:`recall_and_ndcg` before the mean."""
    wanted = sp.csr_array(test != 0)
    left_out = sp.csr_array(known)
    users = np.flatnonzero(np.diff(wanted.indptr))
    recall, ndcg = [], []
    for start in range(0, len(users), block):
        rows = users[start : start + block]
        best = top_k(score_rows(rows), k, exclude=left_out[rows])
        relevant = np.split(wanted[rows].indices, wanted[rows].indptr[1:-1])
        recall.append(recall_at_k(best, relevant, k, per_row=True))
        ndcg.append(ndcg_at_k(best, relevant, k, per_row=True))
    return users, np.concatenate(recall), np.concatenate(ndcg)


@dataclass(frozen=True)
class Reviews:
    """(e,) user, item and time in s of each review, sorted by user and time; (items,) domain, −1: no such item."""

    user: Ints
    item: Ints
    time: Ints
    domain: Ints


@dataclass(frozen=True)
class NextItem:
    """Reviews before each user's last one; (users,) the item of that one, and whether it came on a later day.

    Days are the finest time there is, and inside a day the file is sorted by item, the last one included: only users
    whose last item came on a day of its own are free of that order.
    """

    history: Reviews
    item: Ints
    new_day: NDArray[np.bool_]

    def users_of(self, domain: int) -> Ints:
        """The users whose last item is of one domain."""
        return np.flatnonzero(self.history.domain[self.item] == domain)


def amazon(data: Path, name: str) -> Reviews:
    """One pair of domains of ``AMAZON_DOMAINS``, items of both in one index; at most 50 reviews of each user."""
    folder = _folder(data, "amazon_cdsr")
    with gzip.open(folder / f"{name}_map_item_50.json.gz", "rt", encoding="utf-8") as file:
        indexed = np.array(list(json.load(file).values()))
    domain = np.full(indexed[:, 0].max() + 1, -1)
    domain[indexed[:, 0]] = indexed[:, 1]
    with gzip.open(folder / f"{name}_50_preprocessed.txt.gz", "rt", encoding="utf-8") as file:
        lines = [line.split()[1:] for line in file]
    rows = [(user, *map(int, review.split("|"))) for user, line in enumerate(lines) for review in line]
    user, item, time = np.array(rows, np.int64).T
    return Reviews(user, item, time, domain)


def next_item(reviews: Reviews) -> NextItem:
    """ABXI's question (WWW 2025): a user's last review from all those before it, the validation one included."""
    last = np.flatnonzero(np.diff(reviews.user, append=-1))
    before = np.delete(np.arange(len(reviews.user)), last)
    history = Reviews(reviews.user[before], reviews.item[before], reviews.time[before], reviews.domain)
    return NextItem(history, reviews.item[last], reviews.time[last] > reviews.time[last - 1])


def candidates(reviews: Reviews, users: Ints, last: Ints, seed: int = 0) -> Ints:
    """(users, 1000) items to rank: 999 random ones that the user never reviewed, of the last one's domain, then it.

    ``reviews`` are all reviews, ``last`` the last items of ``users``, all of one domain.
    """
    chance = np.random.default_rng(seed)
    pool = np.flatnonzero(reviews.domain == reviews.domain[last[0]])
    bounds = np.searchsorted(reviews.user, np.arange(reviews.user[-1] + 2))
    rows = []
    for user, item in zip(users, last, strict=True):
        unknown = np.setdiff1d(pool, reviews.item[bounds[user] : bounds[user + 1]])
        rows.append(np.append(chance.choice(unknown, NEGATIVES, replace=False), item))
    return np.array(rows)


def best_of(scores: NDArray[Any], asked: Ints, k: int = 10) -> Ints:
    """(users, k) the best of each row of ``asked`` by its scores; equal ones stand in its order, the last one last."""
    return np.take_along_axis(asked, top_k(scores, k), axis=1)


def judge(best: Ints, target: Ints, k: int = 10) -> tuple[float, float]:
    """HR@k and NDCG@k of one wanted item a user."""
    relevant = [{int(item)} for item in target]
    return hit_rate_at_k(best, relevant, k), ndcg_at_k(best, relevant, k)


@dataclass(frozen=True)
class Events:
    """(e,) user and item places and time in Unix ms, sorted by time, then user, then item."""

    user: Ints
    item: Ints
    time: Ints


@dataclass(frozen=True)
class Feed:
    """A feed log cut at one moment. Users: those with a training positive. Items: every video shown before the cut.

    users, items: (n,), (m,) their ids, ascending. author: (m,) the author's id, of another id space than the users'.
    shown: exposures of these users before the cut, positive or not; train: the positive
    ones. test: positives after the cut, of these users and items, without pairs that are in train.
    """

    users: Ints
    items: Ints
    author: Ints
    shown: Events
    train: Events
    test: Events

    def matrix(self, events: Events) -> Any:
        """(users, items) csr of ones: the pairs of some events, for :func:`recall_and_ndcg`."""
        pairs = np.unique(np.stack([events.user, events.item]), axis=1)
        return sp.csr_array((np.ones(pairs.shape[1]), tuple(pairs)), shape=(len(self.users), len(self.items)))


def kuairand(data: Path = DATA, positive: str = "long_view") -> Feed:
    """The standard-policy log of KuaiRand-Pure, 25 April – 8 May 2022, cut at the midnight before 5 May in China.

    A positive is an exposure with ``long_view`` (or ``is_click``) 1; a repeated (user, video, time) counts once, as
    positive if one of its rows is. The cut goes by ``time_ms``: the source's ``date`` puts 134 exposures of 4 May
    on the 5th. Asked at the test: recall@50 among the videos shown before the cut, less the user's own training
    positives; videos that appear later, and users without a training positive, are left out of the question.
    """
    folder = _folder(data, "kuairand_pure_slice")
    columns = ["user_id", "video_id", "time_ms", "author_id", positive]
    table = pa.concat_tables([pq.read_table(path, columns=columns) for path in sorted(folder.glob("log_*.parquet"))])
    user, video, time, author, liked = (table[column].to_numpy() for column in columns)
    return cut_feed(user, video, time, author, liked, int(KUAIRAND_TEST_BEGINS.timestamp() * 1000))


def kuairand_content(items: Ints, data: Path = DATA) -> NDArray[np.float32]:
    """(items, f) what is known of a video before anybody has seen it: tags, kind of upload and music, day, length.

    Each is a block of zeros and ones of length 1, and in that order the blocks weigh 1, .5, .5, .3 and .3.
    """
    table = read_csv(_folder(data, "kuairand_pure_slice") / "video_features_basic_pure.csv.gz")
    row = {video: i for i, video in enumerate(table["video_id"].to_pylist())}
    at = [row[video] for video in items.tolist()]
    length = np.nan_to_num(table["video_duration"].to_numpy(zero_copy_only=False).astype(float), nan=0.0)
    fifth = np.searchsorted(np.quantile(length, [0.2, 0.4, 0.6, 0.8]), length)
    columns = [table[name].to_pylist() for name in ("tag", "upload_type", "music_type", "upload_dt")]
    weights = (1.0, 0.5, 0.5, 0.3, 0.3)
    blocks = [w * _marks(c) for w, c in zip(weights, [*columns, fifth.tolist()], strict=True)]
    return np.concatenate(blocks, axis=1)[at].astype(np.float32)


def _marks(values: list[Any]) -> NDArray[np.float64]:
    """Rows of length 1, a column for each word of values such as "3,17"."""
    words = [str(value).split(",") for value in values]
    place = {word: i for i, word in enumerate(sorted({word for own in words for word in own}))}
    marks = np.zeros((len(words), len(place)))
    for i, own in enumerate(words):
        marks[i, [place[word] for word in own]] = 1 / np.sqrt(len(own))
    return marks


def cut_feed(user: Ints, video: Ints, time: Ints, author: Ints, positive: Ints, begins: int) -> Feed:
    """A log in columns, one row an exposure, cut at the time ``begins``: the rule of :func:`kuairand`."""
    order = np.lexsort((-positive, video, user, time))  # of a repeated exposure the positive row stands first
    user, video, time, author, positive = (column[order] for column in (user, video, time, author, positive))
    again = (np.diff(user) == 0) & (np.diff(video) == 0) & (np.diff(time) == 0)
    first = np.append(True, ~again)
    before, liked = first & (time < begins), first & (positive == 1)
    users = np.unique(user[before & liked])
    items, where = np.unique(video[before], return_index=True)
    inside = np.isin(user, users) & np.isin(video, items)

    def events(chosen: NDArray[np.bool_]) -> Events:
        return Events(np.searchsorted(users, user[chosen]), np.searchsorted(items, video[chosen]), time[chosen])

    pair = np.unique(np.stack([user, video]), axis=1, return_inverse=True)[1].ravel()
    new = ~np.isin(pair, pair[before & liked])
    shown, train, test = inside & before, inside & before & liked, inside & liked & ~before & new
    return Feed(users, items, author[before][where], events(shown), events(train), events(test))


def _folder(data: Path, name: str) -> Path:
    if not (data / name).is_dir():
        raise InputError(f"a folder {name}", found="none", where=str(data), fix="pass --data DIR")
    return data / name
