"""Next item across domains by an untrained walk on transition edges, beside a trained sequence model.

    python benchmarks/transitions.py --data ../shared/data/amazon_cdsr

Amazon reviews of users of two domains each, as ABXI (WWW 2025) prepared and judged them: a user's last item is ranked
among 999 random items of its domain that he never reviewed, and all before it is his history. T is what
:func:`graphrep.graph.transitions` makes of the histories of both domains at once, rows divided by their sums. A user
is his history, each event with weight 1/2 to the power of the number of his events on later days; his scores after n
steps are history · Tⁿ · D^(-n/10), D the sums of T's columns. Nothing is trained or chosen on these data.

Days are the finest time there is, and inside a day the file is sorted by item, the judged one included. No order inside
a day is used here; the last two columns hold only those users whose judged item came on a day of its own.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from graphrep.evaluate.metrics import hit_rate_at_k, ndcg_at_k
from graphrep.graph import EdgeList, transitions

DOMAINS = {"afk": ("Food", "Kitchen"), "abe": ("Beauty", "Electronics")}
STEPS = (1, 2, 3)
NEGATIVES = 999
USERS_AT_ONCE = 512
DEGREE_EXPONENT = -0.1
K = 10
# HR@10 and NDCG@10, mean of five seeds.
ABXI = {
    "Food": (0.3243, 0.1971),
    "Kitchen": (0.2438, 0.1427),
    "Beauty": (0.3778, 0.2200),
    "Electronics": (0.2328, 0.1340),
}
# HR@10 of three steps by an independent implementation: in the order of the file, and without an order inside a day.
IN_FILE_ORDER = {"Food": 0.306, "Kitchen": 0.253, "Beauty": 0.351, "Electronics": 0.238}
UNORDERED_DAYS = {"Food": 0.309, "Kitchen": 0.246, "Beauty": 0.352, "Electronics": 0.232}


@dataclass(frozen=True)
class Reviews:
    """(e,) user, item and time in s of each review, sorted by user and time; (items,) domain, -1: no such item."""

    user: NDArray[np.int64]
    item: NDArray[np.int64]
    time: NDArray[np.int64]
    domain: NDArray[np.int64]


@dataclass(frozen=True)
class Row:
    """What so many steps reach in one domain: HR@10 and NDCG@10, and the same where the judged item has its own day."""

    domain: str
    steps: int
    users: int
    all_users: tuple[float, float]
    new_day: tuple[float, float]


def read(data: Path, name: str) -> Reviews:
    """One pair of domains: a line of reviews for each user, an index and a domain for each item."""
    with gzip.open(data / f"{name}_map_item_50.json.gz", "rt", encoding="utf-8") as file:
        indexed = np.array(list(json.load(file).values()))
    domain = np.full(indexed[:, 0].max() + 1, -1)
    domain[indexed[:, 0]] = indexed[:, 1]
    with gzip.open(data / f"{name}_50_preprocessed.txt.gz", "rt", encoding="utf-8") as file:
        lines = [line.split()[1:] for line in file]
    rows = [(user, *map(int, review.split("|"))) for user, line in enumerate(lines) for review in line]
    return Reviews(*np.array(rows, np.int64).T, domain)


def walk(history: Reviews) -> tuple[Any, NDArray[np.float64]]:
    """T with rows that sum to one, (items, items), and the sums of its columns before that."""
    events = EdgeList(history.user, history.item, time=history.time)
    then = transitions({("user", "reviews", "item"): events})["item", "then", "item"]
    shape = (len(history.domain),) * 2
    counts = sp.csr_array((then.weight.astype(np.float64), (then.src, then.dst)), shape=shape)
    rows, columns = counts.sum(axis=1), counts.sum(axis=0)
    return sp.csr_array(sp.diags_array(1 / np.where(rows > 0, rows, 1)) @ counts, dtype=np.float32), columns


def interests(history: Reviews, users: int) -> Any:
    """(users, items) each user's history by recency: 2^-(his events on later days)."""
    moment = np.unique(np.stack([history.user, history.time]), axis=1, return_inverse=True)[1]
    later = np.searchsorted(history.user, history.user, side="right") - np.searchsorted(moment, moment, side="right")
    shape = (users, len(history.domain))
    return sp.csr_array((0.5**later, (history.user, history.item)), shape=shape, dtype=np.float32)


def candidates(reviews: Reviews, users: NDArray[np.int64], last: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """(users, 1000) items to rank for each user: 999 of the domain that he never reviewed, then his last one."""
    chance = np.random.default_rng(seed)
    pool = np.flatnonzero(reviews.domain == reviews.domain[last[0]])
    bounds = np.searchsorted(reviews.user, np.arange(reviews.user[-1] + 2))
    rows = []
    for user, item in zip(users, last, strict=True):
        unknown = np.setdiff1d(pool, reviews.item[bounds[user] : bounds[user + 1]])
        rows.append(np.append(chance.choice(unknown, NEGATIVES, replace=False), item))
    return np.array(rows)


def ranked(profile: Any, matrix: Any, columns: NDArray[np.float64], asked: NDArray[np.int64]) -> Iterator[Any]:
    """After each number of steps, the ten best of each row of ``asked``; equal scores stand in its order."""
    best: dict[int, list[Any]] = {n: [] for n in STEPS}
    degree = np.where(columns > 0, columns, 1)
    for begin in range(0, len(asked), USERS_AT_ONCE):
        part = slice(begin, begin + USERS_AT_ONCE)
        at = profile[part].toarray()
        for n in STEPS:
            at = at @ matrix
            scores = np.take_along_axis(at * degree ** (DEGREE_EXPONENT * n), asked[part], axis=1)
            order = np.argsort(-scores, axis=1, kind="stable")[:, :K]
            best[n].append(np.take_along_axis(asked[part], order, axis=1))
    for n in STEPS:
        yield n, np.concatenate(best[n])


def run(data: Path, name: str, seed: int = 0) -> Iterator[Row]:
    """The rows of a pair of domains: all steps of the first domain, then of the second."""
    reviews = read(data, name)
    last = np.flatnonzero(np.diff(reviews.user, append=-1))
    before = np.delete(np.arange(len(reviews.user)), last)
    history = Reviews(reviews.user[before], reviews.item[before], reviews.time[before], reviews.domain)
    matrix, columns = walk(history)
    profiles = interests(history, len(last))
    new_day = reviews.time[last] > reviews.time[last - 1]
    for number, domain in enumerate(DOMAINS[name]):
        users = np.flatnonzero(reviews.domain[reviews.item[last]] == number)
        target = reviews.item[last[users]]
        asked = candidates(reviews, users, target, seed)
        for n, best in ranked(profiles[users], matrix, columns, asked):
            yield Row(domain, n, len(users), *(judged(best[s], target[s]) for s in (slice(None), new_day[users])))


def judged(best: NDArray[np.int64], target: NDArray[np.int64]) -> tuple[float, float]:
    relevant = [{int(item)} for item in target]
    return hit_rate_at_k(best, relevant, K), ndcg_at_k(best, relevant, K)


def main(argv: list[str] | None = None) -> int:
    """Print the Markdown table; 2 if the data are not there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", type=Path, default=Path(__file__).parents[1] / ".." / "shared" / "data" / "amazon_cdsr"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the 999 items")
    args = parser.parse_args(argv)
    missing = [n for n in DOMAINS if not (args.data / f"{n}_50_preprocessed.txt.gz").is_file()]
    if missing:
        print(
            f"expected {missing[0]}_50_preprocessed.txt.gz, found none [{args.data}]; pass --data DIR", file=sys.stderr
        )
        return 2
    print("| domain | users | method | HR@10 | NDCG@10 | own day: HR@10 | NDCG@10 |")
    print("|---" * 7 + "|")
    start = time.perf_counter()
    for name in DOMAINS:
        for row in run(args.data, name, args.seed):
            print(_line(row.domain, row.users, f"T^{row.steps}", *row.all_users, *row.new_day), flush=True)
            if row.steps == STEPS[-1]:
                print(_line(row.domain, "", "T^3, independent, days unordered", UNORDERED_DAYS[row.domain]))
                print(_line(row.domain, "", "T^3, independent, order of the file", IN_FILE_ORDER[row.domain]))
                print(_line(row.domain, "", "ABXI, trained (published)", *ABXI[row.domain]), flush=True)
    print(f"\n{time.perf_counter() - start:.0f} s")
    return 0


def _line(domain: str, users: Any, method: str, *numbers: float) -> str:
    cells = [f"{number:.3f}" for number in numbers] + [""] * (4 - len(numbers))
    return f"| {domain} | {users} | {method} | " + " | ".join(cells) + " |"


if __name__ == "__main__":
    raise SystemExit(main())
