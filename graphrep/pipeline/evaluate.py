"""Stage ``evaluate``: the day's vectors against the label day and against the release before → table and verdict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from graphrep import __version__, vocab
from graphrep.config import Target
from graphrep.contracts import Edge
from graphrep.evaluate import baselines
from graphrep.evaluate.quality import QualityRow, Question, quality_table
from graphrep.pipeline.cold_start import day_published
from graphrep.pipeline.context import Run, fingerprint
from graphrep.pipeline.embed import graph_record
from graphrep.pipeline.judging import before_of, candidate, judge, measurements
from graphrep.pipeline.load import DayGraph, load_graph
from graphrep.pipeline.uplift import goes_without
from graphrep.pipeline.uplift_flips import sign_flips
from graphrep.store import runlog, tables

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

WITHOUT_UPLIFT = "without_uplift"
VECTORS = "vectors"
POPULARITY = "popularity"
BASELINES = {
    POPULARITY: baselines.popularity,
    "common neighbours": baselines.common_neighbors,
    "resource allocation": baselines.resource_allocation,
}


def run_evaluate(run: Run, ds: str, *, without_uplift: bool = False) -> dict[str, Any]:
    """Fill the quality table where the label day's events are there, and judge the day.

    The label day is the day after the graph's last; its edges are in no graph of this run.

    Args:
        without_uplift: a day whose uplift is enabled and not there is judged, and then published, without it.

    Returns:
        ``quality`` (rows of the table), ``labels`` (what the label day held), ``gate`` (verdict and checks),
        ``without_uplift``: whether the day goes without the uplift that is enabled.

    Raises:
        InputError: the uplift is enabled and not there, and nobody said that the day may go without it.
    """
    run.check_ds(ds)
    built = graph_record(run, ds)
    embedded = runlog.read_stage(run.warehouse, ds, vocab.EMBED) or {}
    # A label day after the day itself may or may not be there: what is published must not depend on that.
    label_day = built["label_day"]
    labels_done = runlog.read_stage(run.warehouse, label_day, vocab.EDGES) if label_day <= ds else None
    settings = run.config.fingerprint("evaluate", "cold_start", "gates", "relations", "seed")
    before = before_of(run, ds)
    served = [before.release.release_id, before.reports] if before else None
    scored = runlog.read_stage(run.warehouse, ds, vocab.UPLIFT) if run.config.uplift.enabled else None
    without = without_uplift and goes_without(run, ds)
    made_of = [embedded[runlog.FINGERPRINT], labels_done, settings, served, __version__]
    made_of += [scored[runlog.FINGERPRINT]] if scored else [WITHOUT_UPLIFT] if without else []
    print_of_inputs = fingerprint(*made_of)
    done = runlog.read_stage(run.warehouse, ds, vocab.EVALUATE)
    if done and done.get(runlog.FINGERPRINT) == print_of_inputs:
        return done
    with run.progress.stage(f"evaluate {ds}", 2) as step:
        graph, newest = load_graph(run, ds), label_day if labels_done else built["window"][1]
        asked = {name: ask(run, graph, newest, name, target) for name, target in run.config.evaluate.targets.items()}
        questions = {name: question for name, (question, _) in asked.items()}
        rows = _quality(run, questions, day_published(run, ds).vectors) if labels_done else []
        step("quality")
        day = candidate(run, ds, graph, questions, labelled=bool(labels_done))
        flips = sign_flips(run, ds, before, without=without)
        record = {
            runlog.FINGERPRINT: print_of_inputs,
            "label_day": label_day if labels_done else None,
            "labels": {name: counts for name, (_, counts) in asked.items()} if labels_done else {},
            "quality": [row.as_dict() for row in rows],
            "gate": judge(run.config, [*measurements(run, day, before), *flips]).as_record(),
            WITHOUT_UPLIFT: without,
        }
        runlog.record_stage(run.warehouse, ds, vocab.EVALUATE, record)
        step("judged")
    return record


def _quality(run: Run, questions: Mapping[str, Question], vectors: Mapping[str, Floats]) -> list[QualityRow]:
    rows: list[QualityRow] = []
    for name, question in questions.items():
        target = run.config.evaluate.targets[name]
        if not len(question.users):
            continue
        rows += quality_table(
            question,
            scorers_of(question, vectors[target.src], vectors[target.dst]),
            k=run.config.evaluate.k,
            low_history=run.config.evaluate.low_history,
            exclude_seen=target.exclude_seen,
            buckets=run.config.cold_start.buckets,
        )
    return rows


def ask(run: Run, day: DayGraph, label_day: str, name: str, target: Target) -> tuple[Question, dict[str, int]]:
    """What the label day asks of a target: who met what, and who could not be asked.

    Returns:
        The question, in rows of the day's graph, and counts of its users, pairs and candidates.
    """
    path = tables.partition(run.warehouse, tables.EDGES, label_day)
    table = tables.read_table(path, [Edge.RELATION, Edge.SRC_KEY, Edge.DST_KEY])
    wanted = np.isin(table[Edge.RELATION].to_numpy(zero_copy_only=False), target.relations)
    met = table.filter(wanted)
    src = day.rows(target.src, met[Edge.SRC_KEY].to_pylist())
    dst_keys = met[Edge.DST_KEY].to_pylist()
    dst = day.rows(target.dst, dst_keys)
    m = len(day.nodes[target.dst].keys)
    # Each new candidate gets an index of its own behind the known ones: met, but impossible to rank.
    new = {key: m + i for i, key in enumerate(sorted({k for k, row in zip(dst_keys, dst, strict=True) if row < 0}))}
    dst = np.fromiter((new.get(k, row) for k, row in zip(dst_keys, dst, strict=True)), np.int64, count=len(dst))
    known = src >= 0
    users, where = np.unique(src[known], return_inverse=True)
    relevant: list[list[int]] = [[] for _ in users]
    for at, row in sorted(set(zip(where.tolist(), dst[known].tolist(), strict=True))):
        relevant[at].append(row)
    counts = {
        "users": len(users),
        "users_not_in_graph": len(set(met[Edge.SRC_KEY].to_pylist())) - len(users),
        "pairs": sum(map(len, relevant)),
        "candidates": m,
        "candidates_not_in_graph": len(new),
    }
    return Question(name, users, relevant, _history(day, target), _cold(run, day, target.dst, label_day)), counts


def _cold(run: Run, day: DayGraph, node_type: str, label_day: str) -> dict[str, npt.NDArray[np.bool_]]:
    """Candidates of few edges; and those first met on the graph's last day or, new to the graph, on the label day."""
    from graphrep.embed.cold_estimates import degrees

    degree = degrees(day.graph, tuple(run.config.similarities))[node_type]
    first = np.full(len(degree), np.iinfo(np.int64).max)
    for (src, _, dst), edges in day.graph.edges.items():
        if dst == node_type and src != dst and edges.time is not None:
            np.minimum.at(first, edges.dst, edges.time)
    last_day = np.datetime64(label_day, "s").astype(np.int64) - vocab.DAY_MS // 1000
    fresh = (degree > 0) & (first >= last_day)
    few = degree < run.config.cold_start.buckets[-1]
    return {"few edges": np.append(few, False), "first day": np.append(fresh, True)}


def _history(day: DayGraph, target: Target) -> Any:
    shape = len(day.nodes[target.src].keys), len(day.nodes[target.dst].keys)
    total = sp.csr_array(shape, dtype=np.float64)
    for name in target.history:
        edges = day.graph.edges[target.src, name, target.dst]
        total = total + sp.csr_array((np.ones(len(edges.src)), (edges.src, edges.dst)), shape=shape)
    return sp.csr_array(total)


def scorers_of(question: Question, users: Floats, candidates: Floats) -> dict[str, Any]:
    """The vectors' dot products and the baselines, by the name that the quality table gives them."""
    scorers: dict[str, Any] = {VECTORS: lambda rows: users[rows] @ candidates.T}
    for name, baseline in BASELINES.items():
        scorers[name] = lambda rows, b=baseline: b(question.history, rows, bipartite=True)
    return scorers
