"""Link prediction by the protocol of Huang, Silva, Singh (KDD 2021), beside their published row.

    python benchmarks/link_prediction.py blogcatalog --data ../shared/data

Split: in the order in which networkx iterates over the file as read, smaller id first, shuffled by
``random.Random(0)``, edges are popped from the end and hidden if the graph stays connected, until a fifth is
hidden. Every pair outside the remaining edges is a candidate; precision among the K = k·hidden best scores.
The split is refused unless it hashes to what an independent implementation got. Seconds: vectors and ranking.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from graphrep.embed import autocovariance, walk_scores
from graphrep.evaluate import baselines
from graphrep.evaluate.metrics import link_precision_at

FRACTIONS = tuple(k / 10 for k in range(1, 11))
HIDDEN_SHARE = 0.2


@dataclass(frozen=True)
class Published:
    """What is known of a data set before it is run: the hash of its split and the authors' row."""

    split: str
    source: str
    row: tuple[float, ...]


PUBLISHED = {
    "blogcatalog": Published(
        "33a858e0d9cd4bc379e9afefb27492e25dca07f57de385088ff41057e6a70341",
        "authors' repository",
        (0.4213, 0.3420, 0.2982, 0.2667, 0.2434, 0.2253, 0.2112, 0.2000, 0.1893, 0.1802),
    ),
    "airport": Published(
        "a5a8a3fe84aa02ba44ac156decb02401a7e8f16bf122cb372207ad735577baa9",
        "paper, read off figure 3; split seed not given",
        (0.7319, 0.6376, 0.5792, 0.5205, 0.4782, 0.4400, 0.4106, 0.3875, 0.3627, 0.3458),
    ),
}


class BadSplitError(Exception):
    """The split is not the published one."""


@dataclass(frozen=True)
class Split:
    """Remaining and hidden edges, both (n, n) symmetric with weights, nodes in the order of the file's ids."""

    remaining: Any
    hidden: Any


def read_edges(path: Path) -> dict[tuple[int, int], float]:
    """Undirected edges, smaller id first, in networkx's order: by first mention of a node, then its neighbour."""
    neighbours: dict[int, dict[int, float]] = {}
    for line in path.read_text().splitlines():
        fields = line.split()
        u, v = int(fields[0]), int(fields[1])
        weight = float(fields[2]) if len(fields) > 2 else 1.0
        neighbours.setdefault(u, {})
        neighbours.setdefault(v, {})
        neighbours[u][v] = neighbours[v][u] = weight
    edges: dict[tuple[int, int], float] = {}
    for u, mine in neighbours.items():
        for v, weight in mine.items():
            edges.setdefault((min(u, v), max(u, v)), weight)
    return edges


def hide(edges: list[tuple[int, int]], seed: int = 0) -> set[tuple[int, int]]:
    """The fifth of the edges that the protocol takes out without cutting the graph."""
    order = list(edges)
    random.Random(seed).shuffle(order)
    neighbours: dict[int, set[int]] = {}
    for u, v in order:
        neighbours.setdefault(u, set()).add(v)
        neighbours.setdefault(v, set()).add(u)
    hidden: set[tuple[int, int]] = set()
    while order and len(hidden) < HIDDEN_SHARE * len(edges):
        u, v = order.pop()
        neighbours[u].discard(v)
        neighbours[v].discard(u)
        if u == v or _joined(neighbours, u, v):
            hidden.add((u, v))
        else:
            neighbours[u].add(v)
            neighbours[v].add(u)
    return hidden


def _joined(neighbours: dict[int, set[int]], u: int, v: int) -> bool:
    """Two searches grown in turn, the smaller front first: in a dense graph they meet after a step or two."""
    front, other_front = {u}, {v}
    seen, other_seen = {u}, {v}
    while front and other_front:
        if len(front) > len(other_front):
            front, other_front, seen, other_seen = other_front, front, other_seen, seen
        front = set().union(*(neighbours[w] for w in front)) - seen
        if front & other_seen:
            return True
        seen |= front
    return False


def split(path: Path, expected: str, weighted: bool) -> Split:
    """Read a data set and take its links apart; the hash of the hidden ones must be the expected one."""
    edges = read_edges(path)
    hidden = hide(list(edges))
    text = "".join(f"{u} {v}\n" for u, v in sorted(hidden))
    found = hashlib.sha256(text.encode()).hexdigest()
    if found != expected:
        raise BadSplitError(f"expected a split with sha256 {expected}, found {found} [{path}]")
    ids = {node: i for i, node in enumerate(sorted({node for edge in edges for node in edge}))}

    def matrix(chosen: Iterator[tuple[int, int]]) -> Any:
        pairs = list(chosen)
        rows, columns = np.array([(ids[u], ids[v]) for u, v in pairs]).T
        weight = np.array([edges[pair] if weighted else 1.0 for pair in pairs])
        half = sp.csr_array((weight, (rows, columns)), shape=(len(ids), len(ids)))
        return sp.csr_array(half + sp.triu(half.T, k=1) + sp.tril(half.T, k=-1))

    return Split(matrix(edge for edge in edges if edge not in hidden), matrix(iter(hidden)))


def vectors(graph: Any, dim: int, markov_time: int, device: str | None) -> Callable[[Any], NDArray[Any]]:
    """Scores of rows of pairs by the dot products of autocovariance vectors."""
    factors = autocovariance(graph, dim=dim, markov_time=markov_time, device=device)
    return lambda rows: factors.source[rows] @ factors.target.T


def exact(graph: Any, markov_time: int, device: str | None) -> Callable[[Any], NDArray[Any]]:
    """Scores of rows of pairs by R(τ) itself: what vectors of full rank and every sign would give."""
    return lambda rows: walk_scores(graph, rows, markov_time=markov_time, device=device)


def run(
    name: str,
    data: Path,
    dim: int = 128,
    markov_time: int = 3,
    device: str | None = None,
    weighted: bool = True,
) -> Iterator[tuple[str, NDArray[np.float64], float]]:
    """(method, precision at each fraction, seconds) of every method on one data set."""
    parts = split(data / name / f"{name}.edges", PUBLISHED[name].split, weighted)
    graph = parts.remaining
    simple = (
        ("common neighbours", baselines.common_neighbors),
        ("Adamic–Adar", baselines.adamic_adar),
        ("resource allocation", baselines.resource_allocation),
        ("degree product", baselines.degree_product),
    )
    methods: dict[str, Callable[[], Callable[[Any], NDArray[Any]]]] = {
        f"autocovariance, d={dim}, τ={markov_time}": lambda: vectors(graph, dim, markov_time, device),
        f"exact R({markov_time})": lambda: exact(graph, markov_time, device),
        **{label: partial(partial, baseline, graph) for label, baseline in simple},
    }
    for label, make in methods.items():
        start = time.perf_counter()
        precision = link_precision_at(make(), parts.remaining, parts.hidden, FRACTIONS)
        yield label, precision, time.perf_counter() - start


def main(argv: list[str] | None = None) -> int:
    """Print the Markdown table; 2 if the data or the split is not there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=sorted(PUBLISHED))
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[1] / ".." / "shared" / "data")
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--markov-time", type=int, default=3)
    parser.add_argument("--unweighted", action="store_true", help="ignore the weights of the file")
    parser.add_argument("--device", help="torch device of the sparse products; scipy on the CPU if not given")
    args = parser.parse_args(argv)
    if not (args.data / args.name).is_dir():
        print(f"expected a folder {args.name}, found none [{args.data}]; pass --data DIR", file=sys.stderr)
        return 2
    print("| method | " + " | ".join(f"{k:.0%}" for k in FRACTIONS) + " | seconds |")
    print("|---" * (len(FRACTIONS) + 2) + "|")
    published = PUBLISHED[args.name]
    print(_line(f"published ({published.source})", published.row, "–"))
    try:
        rows = run(args.name, args.data, args.dim, args.markov_time, args.device, not args.unweighted)
        for label, precision, seconds in rows:
            print(_line(label, precision, f"{seconds:.1f}"), flush=True)
    except BadSplitError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _line(label: str, precision: Any, seconds: str) -> str:
    return f"| {label} | " + " | ".join(f"{p:.4f}" for p in precision) + f" | {seconds} |"


if __name__ == "__main__":
    raise SystemExit(main())
