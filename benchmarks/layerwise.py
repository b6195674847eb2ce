"""Vectors of a million nodes by their neighbours, ten million edges, without sampling: seconds, and peak memory.

    python benchmarks/layerwise.py [--nodes 1000000] [--edges 10000000] [--dim 64] [--layers 2] [--block 65536]

Users watch videos, both ways, the number of edges counted over both; videos are drawn by popularity, so that the first
are hubs. Peak memory is that of the whole process, graph and inputs included.
"""

from __future__ import annotations

import argparse
import hashlib
import time
from pathlib import Path

import numpy as np
import torch

from graphrep.embed.gnn.encoder import NeighbourEncoder
from graphrep.embed.gnn.layerwise import encode
from graphrep.graph import EdgeList, HeteroGraph

WATCHES = ("user", "watches", "video")


def drawn(nodes: int, edges: int) -> HeteroGraph:
    """Videos by a power law; one watch in ten is a skip."""
    chance = np.random.default_rng(0)
    users, videos, watches = nodes * 4 // 5, nodes // 5, edges // 2
    popular = (videos * chance.random(watches) ** 3).astype(np.int64)
    weight = chance.random(watches, np.float32) * np.where(chance.random(watches) < 0.1, np.float32(-1), np.float32(1))
    listed = EdgeList(chance.integers(0, users, watches), popular, weight)
    return HeteroGraph.from_edges({"user": users, "video": videos}, {WATCHES: listed}).with_reverses()


def memory(field: str) -> float:
    """GB of this process: VmRSS now, VmHWM at its peak."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1]) * 1024 / 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=1_000_000)
    parser.add_argument("--edges", type=int, default=10_000_000)
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--block", type=int, default=65536)
    given = parser.parse_args()
    g = drawn(given.nodes, given.edges)
    chance = np.random.default_rng(1)
    x = {kind: chance.random((n, given.dim), np.float32) for kind, n in g.num_nodes.items()}
    torch.manual_seed(0)
    encoder = NeighbourEncoder(dict.fromkeys(x, given.dim), g.edge_types, given.dim, layers=given.layers)
    for linear in encoder.last.values():
        torch.nn.init.normal_(linear.weight)
    before, started, worked = memory("VmRSS"), time.perf_counter(), time.process_time()
    vectors = encode(encoder, x, g, block=given.block)
    seconds, processor = time.perf_counter() - started, time.process_time() - worked
    edges, hub = sum(map(len, g.edges.values())), int(np.bincount(g.edges[WATCHES].dst).max())
    digest = hashlib.sha256(b"".join(own.tobytes() for own in vectors.values())).hexdigest()
    print(f"{sum(g.num_nodes.values()):,} nodes, {edges:,} edges, {hub:,} of them into one node, {given.layers} layers")
    print(f"{seconds:.1f} s, {processor:.1f} s of the processor, threads: {torch.get_num_threads()}")
    print(f"peak {memory('VmHWM'):.2f} GB, {before:.2f} of it graph and inputs; SHA-256 of the vectors {digest[:16]}")


if __name__ == "__main__":
    main()
