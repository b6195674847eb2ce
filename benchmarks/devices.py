"""Training of the hybrid in one and in several processes, a thread each: seconds per epoch, and what was learnt.

    python -m benchmarks.devices DATA [--processes 1 2] [--epochs 2] [--dim 128]

DATA holds amazon_cdsr; the graph is Food and Kitchen. An epoch is the median step times the steps of an epoch, so that
other work on the machine counts for less. Before the first step lie the walks of all users and of the folds. Several
processes also time the exchange of gradients, in turn: of whole tables, and of the rows that a batch touches.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist

from benchmarks.suite.rankings import amazon
from graphrep.embed import Choice, Training, fit
from graphrep.embed.history_walk import VectorPowers
from graphrep.embed.ranks import joined, place_in

TOUCHED = 14_000
"""Rows of each table that a batch touches on this graph, about."""


def one_process(data: Path, epochs: int, dim: int) -> dict[str, Any]:
    """This process's part of a fit, and what it came to."""
    problem = next(amazon(data))
    (graph,) = problem.graphs.values()
    begun, moments, of = time.perf_counter(), [], [0]

    def report(step: Any) -> None:
        moments.append(time.perf_counter())
        of[0] = step.of

    with joined("cpu"):
        choice, training = Choice(vectors=VectorPowers()), Training(epochs=epochs)
        emb = fit(graph, "hybrid", dim=dim, device="cpu", choice=choice, training=training, share=1.0, report=report)
        exchange = {things: exchanged(things, dim) for things in (28_096, 500_000)} if dist.is_initialized() else {}
        if place_in(os.environ)[0] > 0:
            return {}
    values = problem.judge(lambda users: emb.score("user", users, "item"))[""]
    step = float(np.median(np.diff(moments)))
    return {
        "before": moments[0] - begun,
        "epoch": step * of[0] / epochs,
        "exchange": exchange,
        **dict(zip(problem.columns, values, strict=True)),
    }


def exchanged(things: int, dim: int) -> tuple[float, float]:
    """Seconds to add up the gradients of two tables over the processes: whole, and of the touched rows."""
    tables = torch.ones(2 * things, dim)
    rows = torch.arange(0, 2 * things, things // TOUCHED)

    def of_rows() -> None:
        part = tables[rows]
        dist.all_reduce(part)
        tables[rows] = part

    return median(lambda: dist.all_reduce(tables)), median(of_rows)


def median(work: Callable[[], object], times: int = 7) -> float:
    took = []
    for _ in range(times):
        dist.barrier()
        begun = time.perf_counter()
        work()
        took.append(time.perf_counter() - begun)
    return float(np.median(took))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--dim", type=int, default=128)
    given = parser.parse_args()
    if "WORLD_SIZE" in os.environ:
        found = one_process(given.data, given.epochs, given.dim)
        if found:
            print(json.dumps(found))
        return
    for count in given.processes:
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count)]
        command += ["-m", "benchmarks.devices", *sys.argv[1:]]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=os.environ | _ONE_THREAD)
        found = json.loads(done.stdout)
        exchange = found.pop("exchange")
        print(f"{count} processes:", ", ".join(f"{name} {value:.3f}" for name, value in found.items()), flush=True)
        for things, (whole, rows) in exchange.items():
            print(f"  exchange of two tables of {int(things):,}: {whole:.3f} s whole, {rows:.3f} s touched rows")


_ONE_THREAD = {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}

if __name__ == "__main__":
    main()
