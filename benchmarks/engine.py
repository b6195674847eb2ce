"""The eigensolver behind the vectors: beside others at equal accuracy, and by the size of the graph.

    python benchmarks/engine.py blogcatalog sizes 1 10 --device cuda --json engine.json

*blogcatalog*: the 128 algebraically largest eigenpairs of R(3) on the remaining graph of ``benchmarks.suite.splits``,
seed 0. Three routes in one run: ``graphrep.embed.autocovariance``; scipy's ``eigsh`` (ARPACK) with the same sparse
operator, the same tolerances, on one thread as the library's own at this size, its other settings default; and R as an
n × n array, as the authors of the paper (Huang, Silva, Singh, KDD 2021) build it, here anew from its formula, by ARPACK
and by LAPACK (``scipy.linalg.eigh``, the largest 128 alone). Accuracy is the largest ‖Rx − λx‖ of the pairs as a share
of the largest λ, of what each route returns, computed with the float64 sparse operator; vectors that are returned in
float32 cannot fall far below 1e-7, so the solver's own figure stands beside it. Seconds are of a first call, the making
of operator or array included.

*sizes*: random graphs of so many million undirected edges (1 and 10 if no number is given; 50 takes many minutes and
some 20 GB): n = edges / 25 nodes, both ends drawn with weights rank^−0.6, no edge twice, no self-loop, seeded; dim 128,
float32, default tolerance. Share: of the seconds, inside sparse products. Bytes of a product: the matrix, and either x
and the result once (least), or a row of x for every entry and the result (gathered: what no cache helps with), a
second, and over those of a plain copy of 1 GB, read plus written, best of five.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator, eigsh
from threadpoolctl import threadpool_limits

sys.path.append(str(Path(__file__).parents[1]))  # benchmarks are no part of the installed package

from benchmarks.suite.graphs import DATA
from benchmarks.suite.report import peak, reset_peak
from benchmarks.suite.splits import BadSplitError, split
from graphrep.embed import autocovariance
from graphrep.embed.autocovariance import operator_of
from graphrep.embed.backend import Backend, SparseMatrix
from graphrep.embed.solver import Convergence
from graphrep.errors import GraphrepError

DIM, TIME = 128, 3
EDGES_PER_NODE, WEIGHT_POWER = 25, -0.6
DENSE = ("arpack", "lapack")
Floats = NDArray[np.float64]
Answer = tuple[Floats, NDArray[Any], Convergence | None]
"""Values, descending; vectors as columns; what the solver says."""
Row = dict[str, str | float | None]


@dataclass
class Meter:
    """What the sparse products took: seconds, number, columns of them all."""

    seconds: float = 0.0
    calls: int = 0
    columns: int = 0


def now(device: str | None) -> float:
    """Seconds, with all that was sent to the device done."""
    if torch.device(device or "cpu").type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


@contextmanager
def metered(device: str | None) -> Iterator[Meter]:
    """Time every ``SparseMatrix.__matmul__`` while it lasts."""
    meter, plain = Meter(), SparseMatrix.__matmul__

    def timed(matrix: SparseMatrix, x: torch.Tensor) -> torch.Tensor:
        start = now(device)
        result = plain(matrix, x)
        meter.seconds += now(device) - start
        meter.calls, meter.columns = meter.calls + 1, meter.columns + x.shape[1]
        return result

    # The products are timed from outside, so that the engine carries no clock.
    SparseMatrix.__matmul__ = timed  # for as long as the block lasts
    try:
        yield meter
    finally:
        SparseMatrix.__matmul__ = plain  # put back as it was


def walk_of(matrix: Any) -> Any:
    """The float64 operator of R(τ) on the CPU; every node needs an edge."""
    return operator_of(matrix, TIME, Backend(), True, None, directed=False, lazy=False, signed=False)[0]


def residual(operator: Any, values: Floats, vectors: Floats) -> float:
    """Largest ‖Rx − λx‖ / ‖x‖ over the largest λ, of the pairs with λ > 0."""
    worst = 0.0
    for columns in np.array_split(np.flatnonzero(values > 0), -(-len(values) // 16)):
        x = np.ascontiguousarray(vectors[:, columns], np.float64)
        x /= np.linalg.norm(x, axis=0)
        beside = operator.matmat(torch.as_tensor(x)).numpy() - x * values[columns]
        worst = max(worst, float(np.linalg.norm(beside, axis=0).max(initial=0.0)))
    return worst / float(values.max())


def dense_r(matrix: Any, steps: int = TIME) -> Floats:
    """``ΠM^τ − ππᵀ`` as an n × n array, from the definition: M = D⁻¹A, π = degrees / volume."""
    degree = np.asarray(matrix.sum(axis=1)).ravel()
    pi = degree / degree.sum()
    r = np.linalg.matrix_power(matrix.toarray() / degree[:, None], steps)
    r *= pi[:, None]
    return np.asarray(r - np.outer(pi, pi))


def by_walk(matrix: Any, dim: int, **options: Any) -> Answer:
    """The largest eigenpairs as this library finds them."""
    factors = autocovariance(matrix, dim, TIME, **options)
    return factors.values, factors.source, factors.convergence


def by_dense(matrix: Any, dim: int, solver: str) -> Answer:
    """The largest eigenpairs of the array, by ARPACK or LAPACK."""
    r = dense_r(matrix)
    if solver == "arpack":
        return _largest(r, dim, 1e-9)
    last = [len(r) - dim, len(r) - 1]
    values, vectors = scipy.linalg.eigh(r, subset_by_index=last, overwrite_a=True, check_finite=False)
    return values[::-1], vectors[:, ::-1], None


def by_arpack(matrix: Any, dim: int, tolerance: float) -> Answer:
    """The largest eigenpairs of the sparse operator; one column a product."""
    operator = walk_of(matrix)

    def product(x: Floats) -> Floats:
        return operator.matmat(torch.as_tensor(np.ascontiguousarray(x.reshape(-1, 1)))).numpy().ravel()

    # Two threads that wait for each other over single columns make it many times slower on a busy machine.
    with threadpool_limits(limits=1):
        return _largest(LinearOperator(matrix.shape, matvec=product, dtype=np.float64), dim, tolerance)


def _largest(operator: Any, dim: int, tolerance: float) -> Answer:
    start = np.random.default_rng(0).standard_normal(operator.shape[0])
    values, vectors = eigsh(operator, k=dim, which="LA", tol=tolerance, v0=start)
    order = np.argsort(-values)
    return values[order], vectors[:, order], None


def routes(
    matrix: Any, dim: int, device: str | None, seed: int, dense: Sequence[str]
) -> Iterator[tuple[str, Callable[[], Answer]]]:
    """Every route to the same pairs, by its name."""
    own = partial(by_walk, matrix, dim, device=device, seed=seed)
    yield "autocovariance, float64", partial(own, precision="float64")
    yield "autocovariance, float64, tolerance 1e-6", partial(own, precision="float64", tolerance=1e-6)
    yield "autocovariance, float32", partial(own, precision="float32")
    for tolerance in (1e-9, 1e-6, 1e-5):
        yield f"eigsh, same operator, tolerance {tolerance:.0e}", partial(by_arpack, matrix, dim, tolerance)
    for solver in dense:
        yield f"n × n array, {solver.upper()}", partial(by_dense, matrix, dim, solver)


def solved(matrix: Any, dim: int, device: str | None, seed: int, dense: Sequence[str]) -> Iterator[Row]:
    """Every route on one graph, timed and judged."""
    judge, first = walk_of(matrix), 0.0
    for method, solve in routes(matrix, dim, device, seed, dense):
        reset_peak()
        start = time.perf_counter()
        values, vectors, did = solve()
        seconds, memory = time.perf_counter() - start, peak()
        first = first or seconds
        row: Row = {"route": method, "s": seconds, "times the first": seconds / first}
        row |= {"residual": residual(judge, values, vectors), "its own residual": did and did.residual}
        yield row | {"products": did and did.products, "MB": memory}


def power_law(edges: int, seed: int = 0) -> Any:
    """(n, n) symmetric csr of ones with so many undirected edges, hubs at random places."""
    n = max(edges // EDGES_PER_NODE, 3)
    chance = np.random.default_rng(seed)
    reached = np.cumsum(np.arange(1.0, n + 1) ** WEIGHT_POWER)
    names = chance.permutation(n)
    keys = np.zeros(0, np.int64)
    while len(keys) < edges:
        draws = chance.random((2, edges - len(keys) + edges // 100 + 1)) * reached[-1]
        ends = names[np.minimum(np.searchsorted(reached, draws, side="right"), n - 1)]
        low, high = ends.min(axis=0), ends.max(axis=0)
        keys = np.union1d(keys, (low * n + high)[low != high])
    keys = keys[np.sort(chance.permutation(len(keys))[:edges])]
    source, target = (part.astype(np.int32) for part in np.divmod(keys, n))
    half = sp.csr_array((np.ones(edges, np.float32), (source, target)), shape=(n, n))
    graph = sp.csr_array(half + half.T)
    met = np.flatnonzero(np.diff(graph.indptr))
    return graph if len(met) == n else graph[met][:, met]


def traffic(entries: int, n: int, meter: Meter, on_device: bool) -> tuple[float, float]:
    """Bytes of the float32 products with an (n, n) matrix: least, and gathered."""
    index, columns = 8 if on_device else 4, meter.columns
    matrix = (entries * (4 + index) + (n + 1) * index) * float(meter.calls)
    return matrix + 2.0 * n * columns * 4, matrix + (entries + n) * columns * 4.0


def copy_bandwidth(device: str | None, size: int = 1 << 30) -> float:
    """Bytes read and written a second by a copy of ``size`` bytes, best of five."""
    source = torch.ones(size // 4, dtype=torch.float32, device=device or "cpu")
    target, best = torch.zeros_like(source), np.inf
    for _ in range(5):
        start = now(device)
        target.copy_(source)
        best = min(best, now(device) - start)
    return 2.0 * size / best


def sized(edges: int, dim: int, device: str | None, seed: int, copy: float) -> Row:
    """Make one graph and factorise it; ``copy``: bytes a second to compare with."""
    graph = power_law(edges, seed)
    cuda = torch.device(device or "cpu").type == "cuda"
    reset_peak()
    if cuda:
        torch.cuda.reset_peak_memory_stats(device)
    start = time.perf_counter()
    with metered(device) as meter:
        factors = autocovariance(graph, dim, TIME, seed=seed, device=device, precision="float32")
    seconds = time.perf_counter() - start
    memory = torch.cuda.max_memory_allocated(device) / 2**20 if cuda else peak()
    did, found = factors.convergence, residual(walk_of(graph), factors.values, factors.source)
    row: Row = {"edges": graph.nnz // 2, "nodes": graph.shape[0], "s": seconds, "products": did and did.products}
    row |= {"residual": found, "its own residual": did and did.residual, "share": meter.seconds / seconds}
    rates = (moved / meter.seconds for moved in traffic(graph.nnz, graph.shape[0], meter, device is not None))
    for name, rate in zip(("least", "gathered"), rates, strict=True):
        row |= {f"{name} GB/s": rate / 1e9, f"{name} / copy": rate / copy}
    return row | {"MB": memory}


def wanted(given: Sequence[str]) -> tuple[bool, list[int]] | None:
    """BlogCatalog or not, and the millions of edges; both parts if neither is named, None if it makes no sense."""
    words = list(given) or ["blogcatalog", "sizes"]
    numbers = [word for word in words if word.isdecimal() and int(word) > 0]
    if set(words) - {"blogcatalog", "sizes", *numbers} or (numbers and "sizes" not in words):
        return None
    return "blogcatalog" in words, [int(word) for word in numbers] or ([1, 10] if "sizes" in words else [])


def table(title: str, rows: Iterable[Row]) -> list[Row]:
    """Rows of one shape, printed as they come."""
    done: list[Row] = []
    for row in rows:
        if not done:
            print(f"\n### {title}\n\n| " + " | ".join(row) + " |\n" + "|---" * len(row) + "|")
        done.append(row)
        print("| " + " | ".join(map(_cell, row.values())) + " |", flush=True)
    return done


def _cell(value: str | float | None) -> str:
    if value is None or isinstance(value, str):
        return value or "–"
    if isinstance(value, int) or value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1e}" if value < 1e-3 else f"{value:.2f}"


def main(argv: Sequence[str] | None = None) -> int:
    """Print the tables; 2 and one line if the data or the split is not there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", help="blogcatalog; sizes, then millions of edges; both if none is given")
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--seed", type=int, default=0, help="of the solver and of the random graphs")
    parser.add_argument("--dense", nargs="*", choices=DENSE, default=DENSE, help="solvers of the n × n array")
    parser.add_argument("--device", help="torch device of autocovariance; the CPU if not given")
    parser.add_argument("--json", type=Path, help="write all rows to this file")
    args = parser.parse_args(argv)
    asked = wanted(args.what)
    if asked is None:
        parser.error(f"expected blogcatalog, or sizes and millions of edges, found {' '.join(args.what)}")
    done: list[Row] = []
    try:
        if asked[0]:
            matrix = split("blogcatalog", args.data).matrix()
            title = f"blogcatalog, {matrix.shape[0]:,} nodes, {matrix.nnz // 2:,} edges, dim {DIM}, τ = {TIME}"
            done += table(title, solved(matrix, DIM, args.device, args.seed, args.dense))
        if asked[1]:
            copy = copy_bandwidth(args.device)
            title = f"random graphs, dim {DIM}, τ = {TIME}, float32; a copy moves {copy / 1e9:.1f} GB/s"
            done += table(title, (sized(m * 1_000_000, DIM, args.device, args.seed, copy) for m in asked[1]))
    except (BadSplitError, GraphrepError) as error:
        print(error, file=sys.stderr)
        return 2
    if args.json:
        args.json.write_text(json.dumps(done, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
