"""Sampled neighbourhoods a second: graphrep's sampler beside the one of torch_geometric's NeighborLoader.

    python -m benchmarks.sampler --nodes 1000000 --edges 10000000 --fanout 10 5 --batch 1024 --json sampler.json

One seeded bipartite graph, users to items and back: two nodes of three are users, ends drawn with weights rank^−0.5
(users) and rank^−0.8 (items). Both loaders get the same ``HeteroData``, users, order, fan-out by relation and batch
size, in one process without workers; one round to warm up, then rounds in turn. Loader: whole batches, attributes
joined. Sampler: ``sample_from_nodes`` of each, without the joining. Figures are medians over the rounds: seeds a second
of the wall clock; the same of the processor's, which other work on the machine disturbs less; drawn edges a seed, so
that equal work is seen. Threads are torch's, as ``OMP_NUM_THREADS`` sets them.

NeighborLoader draws by pyg-lib or else by torch-sparse; torch-sparse knows neither edges with a time nor weights.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch_geometric.typing as pyg
from numpy.typing import NDArray
from torch_geometric.loader import NeighborLoader, NodeLoader
from torch_geometric.sampler import NodeSamplerInput

from graphrep.embed.sampler import TemporalSampler
from graphrep.graph import EdgeList, HeteroGraph

YEAR = 365 * 86_400
USER_POWER, ITEM_POWER = -0.5, -0.8
KINDS = {"plain": (False, False), "timed": (True, False), "weighted": (False, True), "timed, weighted": (True, True)}
INSTALL = "pip install --no-build-isolation torch-scatter torch-sparse"
Round = Callable[[], int]
"""Draws for every seed; gives the number of edges drawn."""


@dataclass(frozen=True)
class Row:
    """One way on one kind of graph; None: not to be had, and ``why``."""

    kind: str
    what: str
    who: str
    threads: int
    seeds_per_s: float | None = None
    seeds_per_cpu_s: float | None = None
    edges_per_seed: float | None = None
    ratio: float | None = None
    cpu_ratio: float | None = None
    why: str = ""


def made(nodes: int, edges: int, timed: bool, weighted: bool, seed: int = 0) -> HeteroGraph:
    """Users, items, what the users took, and the same backwards."""
    chance = np.random.default_rng(seed)
    sizes = {"user": nodes * 2 // 3, "item": nodes - nodes * 2 // 3}
    user, item = (_ends(chance, n, edges, p) for n, p in zip(sizes.values(), (USER_POWER, ITEM_POWER), strict=True))
    moments, weights = chance.integers(0, YEAR, edges), chance.exponential(size=edges).astype(np.float32) + 0.1
    taken = EdgeList(user, item, weights if weighted else None, moments if timed else None)
    return HeteroGraph.from_edges(sizes, {("user", "took", "item"): taken}).with_reverses()


def _ends(chance: np.random.Generator, nodes: int, edges: int, power: float) -> NDArray[np.int64]:
    reached = np.cumsum(np.arange(1.0, nodes + 1) ** power)
    drawn = np.searchsorted(reached, chance.random(edges) * reached[-1], side="right")
    return chance.permutation(nodes)[np.minimum(drawn, nodes - 1)]


def rounds(g: HeteroGraph, fanout: list[int], batch: int, seeds: int, kind: str) -> Iterator[tuple[str, str, Any]]:
    """(what, who, a round or the reason why there is none) of every way."""
    timed, weighted = KINDS[kind]
    chance = np.random.default_rng(1)
    users = torch.from_numpy(chance.permutation(g.num_nodes["user"])[:seeds])
    moments = torch.from_numpy(chance.integers(YEAR // 2, YEAR, len(users))) if timed else None
    data, sampler = g.to_pyg(), TemporalSampler(g, fanout)
    common = {"input_nodes": ("user", users), "input_time": moments, "batch_size": batch}
    yield "loader", "graphrep", over(NodeLoader(data, sampler, **common))
    theirs: Any = INSTALL
    if pyg.WITH_PYG_LIB or pyg.WITH_TORCH_SPARSE:
        theirs = peer(data, fanout, {"time_attr": "edge_time"} if timed else {}, weighted, common)
    yield "loader", "NeighborLoader", theirs if isinstance(theirs, str) else over(theirs)
    cuts = [*range(0, len(users), batch), len(users)]
    asked = [
        NodeSamplerInput(None, users[a:b], None if moments is None else moments[a:b], "user") for a, b in pairwise(cuts)
    ]
    yield "sampler", "graphrep", alone(sampler, asked)
    yield "sampler", "NeighborLoader", theirs if isinstance(theirs, str) else alone(theirs.node_sampler, asked)


def peer(data: Any, fanout: list[int], times: Mapping[str, str], weighted: bool, common: Mapping[str, Any]) -> Any:
    """A NeighborLoader, or why there is none."""
    if (times and not pyg.WITH_EDGE_TIME_NEIGHBOR_SAMPLE) or (weighted and not pyg.WITH_WEIGHTED_NEIGHBOR_SAMPLE):
        return "needs pyg-lib"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that torch-sparse is to go
        return NeighborLoader(data, fanout, weight_attr="edge_weight" if weighted else None, **times, **common)


def over(loader: Any) -> Round:
    """A round of whole batches."""
    return lambda: sum(batch[kind].edge_index.shape[1] for batch in loader for kind in batch.edge_types)


def alone(sampler: Any, asked: Sequence[Any]) -> Round:
    """A round of draws and nothing else."""
    return lambda: sum(len(row) for x in asked for row in sampler.sample_from_nodes(x).row.values())


def measured(ways: Mapping[str, Round], repeats: int) -> dict[str, tuple[float, float, int]]:
    """Median seconds of the wall and of the processor, and edges, of each way; rounds in turn."""
    edges = {who: play() for who, play in ways.items()}
    took: dict[str, list[tuple[float, float]]] = {who: [] for who in ways}
    for _ in range(repeats):
        for who, play in ways.items():
            wall, worked = time.perf_counter(), time.process_time()
            play()
            took[who].append((time.perf_counter() - wall, time.process_time() - worked))
    medians = {who: [statistics.median(column) for column in zip(*pairs, strict=True)] for who, pairs in took.items()}
    return {who: (wall, worked, edges[who]) for who, (wall, worked) in medians.items()}


def rows(kind: str, what: str, found: Mapping[str, Any], seeds: int, threads: int, repeats: int) -> Iterator[Row]:
    """Of the ways to one thing; ratios are of ours to theirs."""
    done = measured({who: way for who, way in found.items() if not isinstance(way, str)}, repeats)
    theirs = done.get("NeighborLoader")
    for who, way in found.items():
        if who not in done:
            yield Row(kind, what, who, threads, why=way)
            continue
        wall, worked, edges = done[who]
        ratios = (theirs[0] / wall, theirs[1] / worked) if theirs and who == "graphrep" else (None, None)
        yield Row(kind, what, who, threads, seeds / wall, seeds / worked, edges / seeds, *ratios)


def table(done: Iterator[Row]) -> list[Row]:
    """Print rows as they come."""
    print("| graph | what | who | threads | seeds/s | seeds/processor s | edges/seed | times | times, processor |")
    print("|---" * 9 + "|")
    kept = []
    for row in done:
        kept.append(row)
        figures = (row.seeds_per_s, row.seeds_per_cpu_s, row.edges_per_seed, row.ratio, row.cpu_ratio)
        cells = ["–" if x is None else f"{x:,.0f}" if x >= 100 else f"{x:.2f}" for x in figures]
        cells[0] = row.why or cells[0]
        print(f"| {row.kind} | {row.what} | {row.who} | {row.threads} | " + " | ".join(cells) + " |", flush=True)
    return kept


def asked_for(args: argparse.Namespace) -> Iterator[Row]:
    """Rows of all kinds of graph, one graph in memory at a time."""
    for kind in args.kinds:
        g = made(args.nodes, args.edges, *KINDS[kind])
        seeds = min(args.seeds_per_run, g.num_nodes["user"])
        ways: dict[str, dict[str, Any]] = {}
        for what, who, way in rounds(g, args.fanout, args.batch, seeds, kind):
            ways.setdefault(what, {})[who] = way
        for threads in args.threads:
            torch.set_num_threads(threads)
            for what, found in ways.items():
                yield from rows(kind, what, found, seeds, threads, args.repeats)


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table; a line on stderr says what to install where the peer is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=1_000_000)
    parser.add_argument("--edges", type=int, default=10_000_000)
    parser.add_argument("--fanout", type=int, nargs="+", default=[10, 5])
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--seeds-per-run", type=int, default=20_480)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--json", type=Path, help="write all rows to this file")
    args = parser.parse_args(argv)
    if not (pyg.WITH_PYG_LIB or pyg.WITH_TORCH_SPARSE):
        print(INSTALL, file=sys.stderr)
    done = table(asked_for(args))
    if args.json:
        args.json.write_text(json.dumps([asdict(row) for row in done], indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
