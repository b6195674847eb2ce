"""The rows of a table of link prediction: which methods run on which data set, what they score, time and memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import scipy.sparse as sp

from benchmarks.suite import link_methods as methods
from benchmarks.suite import link_tuning as tuning
from benchmarks.suite.link_published import Values
from benchmarks.suite.splits import (
    FRACTIONS,
    ScoreRows,
    Split,
    average_precision_and_hits,
    directed_precision_at,
    signed_precision_at,
    split,
)
from graphrep.evaluate.metrics import link_precision_at

BY_VECTORS, BY_DEGREE = 20, 10
RERANKED = f"{BY_VECTORS} K best by vectors and {BY_DEGREE} K by degree product, re-ranked by"
SIGNED_TIME = 10**0.5
ENHANCED = {"planetoid-cora": 0.5, "planetoid-citeseer": 0.75}
Make = Callable[[], ScoreRows]


@dataclass(frozen=True)
class Row:
    """One method on one split. values: of each part ("" where there is one); memory in MB, None where not told."""

    name: str
    seed: int
    method: str
    values: Values
    seconds: float
    memory: float | None
    note: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Problem:
    """A split and what belongs to its data set."""

    name: str
    split: Split
    seed: int
    device: str | None

    @property
    def directed(self) -> bool:
        return self.split.graph.directed

    def judge(self, scores: ScoreRows) -> Values:
        """The figures of one method."""
        known, hidden = self.split.known, self.split.matrix("hidden")
        if self.name.startswith("planetoid-"):
            precision = link_precision_at(scores, known, hidden, [1.0])
            average, hits = average_precision_and_hits(scores, known, hidden)
            return {"": tuple(100 * float(x) for x in (average, precision[0], hits[0]))}
        if (self.split.graph.weights < 0).any():
            positive, negative = signed_precision_at(scores, known, hidden)
            return {"positive": tuple(positive.tolist()), "negative": tuple(negative.tolist())}
        at = directed_precision_at if self.directed else link_precision_at
        return {"": tuple(at(scores, known, hidden, FRACTIONS).tolist())}

    def row(self, method: str, make: Make, note: dict[str, Any] | None = None) -> Row:
        """Make the scores, rank by them, and measure both."""
        reset_peak()
        start = time.perf_counter()
        values = self.judge(make())
        seconds = time.perf_counter() - start
        return Row(self.name, self.seed, method, values, seconds, peak(), note or {})


def columns(name: str) -> tuple[str, ...]:
    """What the figures of a data set are."""
    if name.startswith("planetoid-"):
        return ("AP %", "precision@100 % in %", "hits@1000 in %")
    return tuple(f"{fraction:.0%}" for fraction in FRACTIONS)


def reset_peak() -> None:
    """Let the peak of the resident set begin anew, where the system can."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def peak() -> float | None:
    """MB of the highest resident set since ``reset_peak``."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    told = [int(line.split()[1]) for line in lines if line.startswith("VmHWM")]
    return told[0] / 1024 if told else None


def given(score: ScoreRows) -> Make:
    """Scores that need no making."""
    return lambda: score


def plain_rows(problem: Problem) -> Iterator[Row]:
    """Unsigned graphs: vectors, exact R(3), candidates re-ranked by it, what is chosen, baselines.

    Vectors keep the largest positive eigenvalues of R. Pairs of two hubs owe their place to the negative ones as well
    and can stand last by vectors, so candidates come from the degrees too.
    """
    graph = problem.split.matrix()
    options: dict[str, Any] = {"directed": problem.directed, "device": problem.device}
    embedded = partial(methods.embedded, graph, **options, seed=problem.seed)

    @cache
    def best() -> tuple[Any, float]:
        start = time.perf_counter()
        asked = problem.split.matrix("hidden").nnz // (1 if problem.directed else 2)
        by_degree = methods.by_degree_and_paths(graph, problem.directed)["degree product"]
        by_vectors, by_degrees = (
            methods.best_pairs(score, problem.split.known, times * asked, problem.directed)
            for score, times in ((embedded(), BY_VECTORS), (by_degree, BY_DEGREE))
        )
        return methods.either_of(by_vectors, by_degrees, graph.shape[0]), time.perf_counter() - start

    def rerank(method: str, score: ScoreRows) -> Row:
        again = best.cache_info().currsize > 0
        row = problem.row(f"{RERANKED} {method}", lambda: methods.reranked(best()[0], score, graph.shape[0]))
        return replace(row, seconds=row.seconds + best()[1]) if again else row

    exact = methods.exact(graph, **options)
    yield problem.row("vectors, d = 128, τ = 3", embedded)
    yield problem.row("exact R(3)", given(exact))
    yield rerank("exact R(3)", exact)
    yield from directed_rows(problem, graph) if problem.directed else chosen_rows(problem, graph, rerank)
    for label, score in methods.by_degree_and_paths(graph, problem.directed).items():
        yield problem.row(label, given(score))


def chosen_rows(problem: Problem, graph: Any, rerank: Callable[[str, ScoreRows], Row]) -> Iterator[Row]:
    """The degree-corrected walk, and the same with its centring chosen too: over all pairs, and re-ranking."""
    start = time.perf_counter()
    both = tuning.choose(graph, problem.seed, problem.device)
    seconds = time.perf_counter() - start
    for label, chosen in zip(("degree-corrected walk", "centred degree-corrected walk"), both, strict=True):
        score = tuning.centred_walk(graph, chosen.p, chosen.q, chosen.c, problem.device)
        yield problem.row(label, given(score), {**asdict(chosen), "seconds for both": seconds})
        yield rerank(label, score)


def directed_rows(problem: Problem, graph: Any) -> Iterator[Row]:
    """Three steps to and fro between sources and targets: the standard walk, nothing chosen."""
    yield problem.row("to and fro, exact R(3)", partial(methods.to_and_fro, graph, device=problem.device))


def signed_rows(problem: Problem) -> Iterator[Row]:
    """POLE: d = 40, t = 10^0.5; as the library gives them, after the authors' post-processing, and exact."""
    graph = problem.split.matrix()
    options: dict[str, Any] = {"markov_time": SIGNED_TIME, "signed": True, "device": problem.device}
    embedded = partial(methods.embedded, graph, dim=40, seed=problem.seed, **options)
    yield problem.row("vectors, d = 40, t = 10^0.5", embedded)
    yield problem.row("the same, post-processed", partial(embedded, post_process=True))
    yield problem.row("exact R(10^0.5)", partial(methods.exact, graph, **options))


def planetoid_rows(name: str, data: Path, seed: int = 0, device: str | None = None) -> Iterator[Row]:
    """Gelato's question: the graph alone, with self-loops, enhanced by attributes (nothing learnt), and baselines."""
    problem = Problem(name, split(name, data, seed), seed, device)
    graph = problem.split.matrix()
    alone = sp.diags_array((tuning.degrees(graph) == 0).astype(float))
    looped = {
        "self-loops on isolated nodes, eigenvalue −1 kept": sp.csr_array(graph + alone),
        "self-loops on all nodes": sp.csr_array(graph + sp.eye_array(graph.shape[0])),
        **enhanced(problem, graph),
    }
    # Two-colourable components have the eigenvalue −1, the published walk keeps it; with loops on all nodes none has.
    options: dict[str, Any] = {"bipartite_correction": False, "device": device}
    for label, matrix in looped.items():
        embedded = partial(methods.embedded, matrix, seed=seed, **options)
        yield problem.row(f"vectors, d = 128, τ = 3, {label}", embedded)
        yield problem.row(f"exact R(3), {label}", partial(methods.exact, matrix, **options))
    for label, score in methods.by_degree_and_paths(graph, directed=False).items():
        yield problem.row(label, given(score))


def enhanced(problem: Problem, graph: Any) -> dict[str, Any]:
    """The graph with edges between alike nodes, where the library has that part."""
    try:
        from graphrep.embed.attributes import enhance
    except ImportError:
        return {}
    eta = ENHANCED[problem.name]
    label = f"enhanced, η = {eta}, α = 0.5, β = 0, self-loops on all nodes"
    return {label: enhance(graph, problem.split.graph.attributes, eta=eta, alpha=0.5, beta=0.0, self_loops="all")}


def rows_of(name: str, data: Path, seed: int, device: str | None) -> Iterator[Row]:
    """All rows of one data set and split."""
    if name.startswith("planetoid-"):
        return planetoid_rows(name, data, seed, device)
    problem = Problem(name, split(name, data, seed), seed, device)
    signed = bool((problem.split.graph.weights < 0).any())
    return signed_rows(problem) if signed else plain_rows(problem)
