"""A day that may be published: what it is judged on, and the judging."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from graphrep import vocab
from graphrep.config import Config
from graphrep.contracts import Manifest, NodeDay
from graphrep.errors import ConfigError
from graphrep.evaluate import drift, gates
from graphrep.evaluate.baselines import popularity
from graphrep.evaluate.gates import Measurement, Verdict
from graphrep.evaluate.probe import Probe
from graphrep.evaluate.quality import Question, Scorer, recall_by_user
from graphrep.lookup import open_release
from graphrep.lookup.quantise import pack, unpack
from graphrep.lookup.spaces import map_name
from graphrep.pipeline import measure, probes
from graphrep.pipeline.cold_start import day_published, supported
from graphrep.pipeline.context import Run
from graphrep.pipeline.embed import day_vectors, graph_record
from graphrep.pipeline.load import DayGraph
from graphrep.pipeline.measure import Before, Rows
from graphrep.pipeline.spaces import day_maps
from graphrep.store import releases, runlog, tables

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Candidate:
    """A day that may be published, and what it is judged on.

    Attributes:
        rows: what would be published, by node type.
        last: the last day of the graph's window.
        newest_ms: time of the newest event behind each type's nodes.
        space_id, alignment: as stage ``embed`` recorded them.
        keys: of each type in the rows of the day's graph, which the questions are asked in.
        questions: target → what the newest day's events ask.
        labelled: whether these events are in no graph of the day.
        traffic: node type → key → events of the graph's newest day.
        few: node type → keys with few edges.
        maps: older space → (d, d of it) matrix that turns these vectors into that space's.
        fits: the same → what the manifest tells of the map.
    """

    rows: Mapping[str, Rows]
    last: str
    newest_ms: Mapping[str, int]
    space_id: str
    alignment: Mapping[str, Any] | None
    keys: Mapping[str, list[str]]
    questions: Mapping[str, Question]
    labelled: bool
    traffic: Mapping[str, Mapping[str, int]]
    few: Mapping[str, set[str]]
    maps: Mapping[str, Floats] = field(default_factory=dict)
    fits: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def in_space(self, space_id: str) -> Candidate | None:
        """The same day as whoever knows that space reads it; None where there is no way back to it."""
        if space_id == self.space_id:
            return self
        if space_id not in self.maps:
            return None
        back = self.maps[space_id]
        return replace(
            self, rows={kind: replace(rows, vectors=rows.vectors @ back) for kind, rows in self.rows.items()}
        )

    def vectors(self, kind: str) -> Floats:
        """(n, d) in the rows of the day's graph; zeros where nothing would be published."""
        rows, keys = self.rows[kind], self.keys[kind]
        if rows.keys is keys:
            return rows.vectors
        place = {key: i for i, key in enumerate(rows.keys)}
        found = np.zeros((len(keys), rows.vectors.shape[1]), np.float32)
        for row, key in enumerate(keys):
            if key in place:
                found[row] = rows.vectors[place[key]]
        return found


def candidate(run: Run, ds: str, graph: DayGraph, questions: Mapping[str, Question], *, labelled: bool) -> Candidate:
    """All that a day is judged on, from what stage ``embed`` wrote.

    Args:
        questions: target → what the newest day's events ask, in the rows of the graph.
        labelled: whether these events are in no graph of the day.
    """
    built, embedded = graph_record(run, ds), runlog.read_stage(run.warehouse, ds, vocab.EMBED) or {}
    own = supported(run.config.publish.min_support, graph.nodes, day_vectors(run, ds))
    published = day_published(run, ds).vectors
    nodes = {kind: found for kind, found in graph.nodes.items() if len(found)}
    maps = day_maps(run, ds, embedded["maps"])
    read = {kind: as_read(published[kind], run.config.publish.online) for kind in nodes}
    few = run.config.cold_start.buckets[-1]
    ends = {name: {target.src, target.dst} for name, target in run.config.evaluate.targets.items()}
    return Candidate(
        rows={t: Rows(n.keys, read[t], np.logical_not(own[t].any(axis=1)), n.degree) for t, n in nodes.items()},
        last=built["window"][1],
        newest_ms={kind: int(found.last_ts.max()) for kind, found in nodes.items()},
        space_id=embedded["space_id"],
        alignment=embedded["alignment"],
        keys={kind: found.keys for kind, found in nodes.items()},
        questions={n: q for n, q in questions.items() if len(q.users) and ends[n] <= set(nodes)},
        labelled=labelled,
        traffic=traffic_of(run, built["window"][1]),
        maps={space_id: maps[map_name(space_id)] for space_id in embedded["maps"]},
        fits=embedded["maps"],
        few={kind: {n.keys[i] for i in np.flatnonzero(n.degree < few).tolist()} for kind, n in nodes.items()},
    )


def as_read(vectors: Floats, online: str) -> Floats:
    """(n, d) as a reader would have them back from a release."""
    return unpack(*pack(vectors, online))


def judge(config: Config, measurements: list[Measurement]) -> Verdict:
    """Judge by the configured limits.

    Raises:
        ConfigError: something was measured that no gate is named for.
    """

    def limits(name: str, scope: str) -> gates.Limits:
        if name not in config.gates:
            raise ConfigError(f"limits for {name}", found="none", where="gates", fix="add it to configs/gates.yaml")
        return gates.Limits(**config.gates[name].of(scope).model_dump(include=set(gates.Limits.__slots__)))

    return gates.judge(measurements, limits, config.gates)


def before_of(run: Run, ds: str) -> Before | None:
    """The release that a day is compared with, the newest served one of an earlier day, and those it came from."""
    served = releases.served_before(run.warehouse, ds)
    if served is None:
        return None
    reports: list[Mapping[str, Any]] = []
    there = set(releases.list_releases(run.warehouse))
    parent: str | None = served
    while parent in there and len(reports) < measure.HISTORY:
        manifest = releases.read_manifest(run.warehouse, parent)
        reports.append(manifest.get(Manifest.GATE) or {})
        parent = manifest.get(Manifest.PARENT)
    return Before(open_release(run.warehouse, served), reports)


def traffic_of(run: Run, day: str) -> dict[str, dict[str, int]]:
    """Node type → key → events that name it, of one day."""
    found: dict[str, dict[str, int]] = {kind: {} for kind in run.config.nodes}
    path = tables.partition(run.warehouse, tables.NODE_DAYS, day)
    for batch in tables.stream_table(path, [NodeDay.TYPE, NodeDay.KEY, NodeDay.EVENTS]):
        columns = (batch[name].to_pylist() for name in (NodeDay.TYPE, NodeDay.KEY, NodeDay.EVENTS))
        for kind, key, events in zip(*columns, strict=True):
            found[kind][key] = events
    return found


def measurements(run: Run, day: Candidate, before: Before | None) -> list[Measurement]:
    """All that is measured of a day; a room that publishes something more adds its own here."""
    compared = day.in_space(before.release.space_id) if before else None
    alignment = day.alignment or {}
    return [
        *measure.of_any_day(day.rows),
        *_walked(day, run.config.publish.min_support),
        measure.of_freshness(day.newest_ms, day.last),
        *measure.of_space(day.space_id, before, alignment.get("held_out_residual"), alignment.get("anchors", 0)),
        *measure.of_maps(day.fits, before),
        *measure.of_drift((compared or day).rows, before, same_space=compared is not None),
        *measure.of_coverage(day.rows, day.traffic, day.few, before),
        *_probed(run, day, compared, before),
        *(_recalls(run, day, before) if day.labelled else []),
    ]


def _walked(day: Candidate, min_support: Mapping[str, int]) -> list[Measurement]:
    """Of the nodes that may have a vector of their own, those that have none."""
    found = []
    for kind, rows in day.rows.items():
        joined = rows.degree >= max(1, min_support.get(kind, 0))
        share = float(rows.fallback[joined].mean()) if joined.any() else None
        found.append(Measurement("rows_without_a_walk", kind, share, rows=int(joined.sum())))
    return found


def _then(day: Candidate, before: Before, kind: str) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """The served release's vectors in the rows of the day's graph, and which of them are a key's own."""
    if kind not in before.release.types:
        return np.zeros_like(day.vectors(kind)), np.zeros(len(day.keys[kind]), dtype=np.bool_)
    hit = before.release.get(kind, day.keys[kind])
    return hit.vectors, hit.found & ~hit.fallback


def _recalls(run: Run, day: Candidate, before: Before | None) -> list[Measurement]:
    """Recall of each target beside popularity's, and beside that of the vectors that are served."""
    found = []
    for name, question in day.questions.items():
        target, k = run.config.evaluate.targets[name], run.config.evaluate.k
        kinds = _ends(run, name)
        own = recall_by_user(question, _products(*map(day.vectors, kinds)), k, target.exclude_seen)
        base = recall_by_user(question, partial(_popularity, question.history), k, target.exclude_seen)
        found.append(_measured("recall_above_popularity", name, partial(_gain, base, own), base, own))
        if before is not None and set(kinds) <= set(before.release.types):
            served = _products(*(_then(day, before, kind)[0] for kind in kinds))
            was = recall_by_user(question, served, k, target.exclude_seen)
            found.append(_measured("recall_drop", name, partial(_loss, was, own), was, own))
    return found


def _products(users: Floats, candidates: Floats) -> Scorer:
    return lambda rows: np.nan_to_num(users[rows] @ candidates.T)


def _popularity(history: Any, rows: Ints) -> npt.NDArray[Any]:
    return popularity(history, rows, bipartite=True)


def _gain(base: Doubles, own: Doubles, rows: Ints) -> float:
    return float((own[rows] - base[rows]).mean())


def _loss(was: Doubles, now: Doubles, rows: Ints) -> float:
    whole = float(was[rows].mean())
    return 1 - float(now[rows].mean()) / whole if whole > 0 else 0.0


def _measured(gate: str, target: str, statistic: Callable[[Ints], float], beside: Doubles, own: Doubles) -> Measurement:
    users = len(own)
    interval = drift.bootstrap(statistic, users, seed=0)
    note = f"{own.mean():.4f} beside {beside.mean():.4f}"
    return Measurement(gate, target, statistic(np.arange(users)), rows=users, interval=interval, note=note)


def _probed(run: Run, day: Candidate, compared: Candidate | None, before: Before | None) -> list[Measurement]:
    """Ask the probes of the space that is served; a space that begins today gets its own."""
    if before is None or day.space_id != before.release.space_id:
        _learn(run, day)
    if before is None or compared is None:
        note = "the first day of its space"
        return [Measurement(probes.GATE, name, None, note=note) for name in day.questions]
    found: list[Measurement] = []
    space_id = before.release.space_id
    known = probes.kept(run.warehouse, space_id)
    learnt: dict[str, Probe] = {}
    for name in day.questions:
        now, pairs = _pairs(run, compared, name)
        (left, has_left), (right, has_right) = (_then(day, before, kind) for kind in _ends(run, name))
        then, pairs = (left, right), pairs.within(has_left, has_right)
        if not pairs.enough:
            found.append(Measurement(probes.GATE, name, None, note=f"{len(pairs.left)} pairs known before"))
            continue
        if name not in known:
            known[name] = learnt[name] = probes.fitted(pairs, *then)
        found.append(probes.drop_of(name, known[name], pairs, now, then))
    if learnt:
        probes.keep(run.warehouse, space_id, known)
    return found


def _learn(run: Run, day: Candidate) -> None:
    """Fit and keep the probes of a space on its first day."""
    learnt: dict[str, Probe] = {}
    for name in day.questions:
        now, pairs = _pairs(run, day, name)
        if pairs.enough and all(np.isfinite(side).all() for side in now):
            learnt[name] = probes.fitted(pairs, *now)
    if learnt:
        probes.keep(run.warehouse, day.space_id, learnt)


def _pairs(run: Run, day: Candidate, target: str) -> tuple[probes.Two, probes.Pairs]:
    left, right = (day.vectors(kind) for kind in _ends(run, target))
    return (left, right), probes.Pairs.of(day.questions[target], len(right), seed=run.config.seed)


def _ends(run: Run, target: str) -> tuple[str, str]:
    found = run.config.evaluate.targets[target]
    return found.src, found.dst
