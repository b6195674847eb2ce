"""A graph of 50 million edges, from adjacency files to arrays to memory: seconds, and peak memory beside its size.

    python benchmarks/adjacency.py [--edges 50000000] [--nodes 3000000]

Loading is what the trainer does, ``graphrep.pipeline.load.load_graph``, in a process of its own; so is the naive way
beside it: the same edges read from Parquet, looked up, and handed over as plain arrays. A graph's size is 28 bytes an
edge: source, destination, weight, time. The files were just written and lie in the page cache; a cold disk adds the
time to read them once. Peak memory is what the process grew by, mapped pages included.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa

from graphrep import vocab
from graphrep.config.relations import GraphRelation
from graphrep.contracts import ADJACENCY, NODE_ACTIVITY, NodeActivity
from graphrep.graph.hetero import EdgeList, HeteroGraph
from graphrep.pipeline.arrays import write_edge_arrays
from graphrep.pipeline.load import load_graph, nodes_by_type
from graphrep.store import runlog, tables

DS = "2026-03-01"
EDGE_BYTES = 28
GIVEN_IDS = 2  # ids that were ever given, per node of the window
KINDS = {
    "watches": (GraphRelation("watches", "user", "video", 1, 1.0, None), 0.8),
    "skips": (GraphRelation("skips", "user", "video", -1, 1.0, None), 0.15),
    "then_video_video": (GraphRelation("then", "video", "video", 1, 1.0, None), 0.05),
}
FILES = 20


def day_of(root: Path) -> Any:
    """As much of a run as loading asks for."""
    relations = {name: kind for name, (kind, _) in KINDS.items()}
    config = SimpleNamespace(graph_relations=relations, nodes={"user": None, "video": None})
    return SimpleNamespace(warehouse=root, config=config)


def write_day(root: Path, edges: int, nodes: int) -> int:
    """Nodes and adjacency as stage ``graph`` writes them: sorted, 20 files a relation. Gives the number of edges."""
    chance = np.random.default_rng(0)
    counts = {"user": nodes * 2 // 3, "video": nodes // 3}
    path = tables.partition(root, tables.NODES, DS)
    path.mkdir(parents=True)
    for node_type, count in counts.items():
        index = np.arange(count) * GIVEN_IDS
        columns = [[node_type] * count, [f"{node_type}-{i:09d}" for i in index], index, index, index, index]
        tables.save_parquet(path / f"{node_type}.parquet", pa.table(columns, schema=NODE_ACTIVITY.schema))
    recorded = {}
    for name, (kind, share) in KINDS.items():
        path = tables.partition(root, tables.ADJACENCY, DS) / f"relation={name}"
        path.mkdir(parents=True)
        degree = round(edges * share / counts[kind.src])
        recorded[name] = degree * counts[kind.src]
        for number, sources in enumerate(np.array_split(np.arange(counts[kind.src]), FILES)):
            src = np.repeat(sources, degree)
            dst = np.sort(chance.integers(counts[kind.dst], size=(len(sources), degree)), axis=1).ravel()
            weight, seconds = chance.random(len(src), np.float32), chance.integers(10**9, size=len(src))
            rows = pa.table([src * GIVEN_IDS, dst * GIVEN_IDS, weight, seconds], schema=ADJACENCY.schema)
            tables.save_parquet(path / f"part-{number:05d}.parquet", rows)
    runlog.record_stage(root, DS, vocab.GRAPH, {"edges": recorded})
    return sum(recorded.values())


def load_naively(root: Path) -> HeteroGraph:
    """Read, look up, hand over: what mapped arrays replace."""
    run = day_of(root)
    nodes = nodes_by_type(run, DS, [NodeActivity.KEY, NodeActivity.INDEX])
    index = {node_type: table[NodeActivity.INDEX].to_numpy() for node_type, table in nodes.items()}
    edges = {}
    for name, kind in run.config.graph_relations.items():
        table = tables.read_table(tables.partition(root, tables.ADJACENCY, DS) / f"relation={name}")
        src, dst, weight, seconds = (table[column].to_numpy() for column in ADJACENCY.names)
        rows = np.searchsorted(index[kind.src], src), np.searchsorted(index[kind.dst], dst)
        edges[kind.src, kind.label, kind.dst] = EdgeList(*rows, weight * np.float32(kind.sign), seconds.copy())
    return HeteroGraph.from_edges({node_type: len(own) for node_type, own in index.items()}, edges)


WAYS = {
    "mapped arrays": lambda root: load_graph(day_of(root), DS).graph,
    "Parquet, naively": load_naively,
    "Parquet to arrays": lambda root: write_edge_arrays(
        day_of(root), DS, runlog.read_stage(root, DS, vocab.GRAPH)["edges"]
    ),
}


def memory(field: str) -> int:
    """Bytes of this process: VmRSS now, VmHWM at its peak."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1]) * 1024


def measure(way: str, root: Path) -> None:
    before, started, worked = memory("VmRSS"), time.perf_counter(), time.process_time()
    made = WAYS[way](root)  # held until the memory is read
    seconds, processor = time.perf_counter() - started, time.process_time() - worked
    print(json.dumps({"seconds": seconds, "processor": processor, "grown": memory("VmHWM") - before}))
    del made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--edges", type=int, default=50_000_000)
    parser.add_argument("--nodes", type=int, default=3_000_000)
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        return measure(given.measure[0], Path(given.measure[1]))
    with tempfile.TemporaryDirectory() as folder:
        edges = write_day(Path(folder), given.edges, given.nodes)
        size = edges * EDGE_BYTES
        print(f"{edges:,} edges, {given.nodes:,} nodes, {size / 1e9:.2f} GB")
        for way in ("Parquet to arrays", "mapped arrays", "Parquet, naively"):
            call = [sys.executable, __file__, "--measure", way, folder]
            found = json.loads(subprocess.run(call, check=True, capture_output=True, text=True).stdout)
            share, grown = found["grown"] / size, found["grown"] / 1e9
            took = f"{found['seconds']:6.1f} s, {found['processor']:5.1f} s of the processor"
            print(f"{way:18} {took}, {grown:5.2f} GB, {share:.2f} of its size", flush=True)


if __name__ == "__main__":
    main()
