"""What the gates see: faults put into good days of sample logs, and the good days themselves. Two Markdown tables.

python -m benchmarks.faults --users 600 --days 30 --first 14 --faulty-days 5

Days are run as the daily job runs them, on the limits of ``configs/gates.yaml``. Each fault is put into what would be
published on each of the last days, and measured and judged by the code that the daily job judges with.
"""

from __future__ import annotations

import argparse
import datetime as dt
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml

from graphrep import vocab
from graphrep.config import load_config
from graphrep.datasets.sample import SampleSpec
from graphrep.errors import GateRefusedError, StoreError
from graphrep.evaluate.gates import ABSENT, GREEN, RED, Verdict
from graphrep.lookup import open_release
from graphrep.pipeline.approval import OVERRIDDEN, Approval
from graphrep.pipeline.context import Run, Silent
from graphrep.pipeline.datasets import write_sample_logs
from graphrep.pipeline.evaluate import ask
from graphrep.pipeline.judging import Candidate, as_read, before_of, candidate, judge, measurements
from graphrep.pipeline.load import DayGraph, load_graph
from graphrep.pipeline.measure import Before, Rows
from graphrep.pipeline.run import run_day, run_stage
from graphrep.store import releases, runlog

ROOT = Path(__file__).resolve().parents[1]
AT = dt.datetime(2027, 1, 1, tzinfo=dt.UTC)
Floats = npt.NDArray[np.float32]
Chance = np.random.Generator
TRUNCATED = "a file cut to half"


@dataclass(frozen=True)
class Scene:
    """A good day and what faults are made from.

    Attributes:
        day: what would be published.
        yesterday: the same of the day before, whole.
        retrained: vectors fitted on the day's graph from nothing, in the rows of ``day``, by node type.
        stale: what a fit on yesterday's graph would publish today.
    """

    day: Candidate
    yesterday: Mapping[str, Rows]
    retrained: Mapping[str, Floats]
    stale: Candidate


Fault = Callable[[Scene, Chance], Candidate]


def _with(day: Candidate, **vectors: Floats) -> Candidate:
    return replace(day, rows={**day.rows, **{t: replace(day.rows[t], vectors=found) for t, found in vectors.items()}})


def _some(rows: Rows, share: float, chance: Chance) -> npt.NDArray[np.bool_]:
    return chance.random(len(rows.keys)) < share


def _turn(dim: int, chance: Chance) -> Floats:
    return np.linalg.qr(chance.normal(size=(dim, dim)))[0].astype(np.float32)


def _replaced(share: float, what: Any, kinds: Sequence[str] = ()) -> Fault:
    """A share of the rows of some types (none named: of all) becomes something else."""

    def fault(scene: Scene, chance: Chance) -> Candidate:
        made = {}
        for kind in kinds or scene.day.rows:
            rows = scene.day.rows[kind]
            value = what(rows.vectors) if callable(what) else what
            made[kind] = np.where(_some(rows, share, chance)[:, None], value, rows.vectors).astype(np.float32)
        return _with(scene.day, **made)

    return fault


def _turned(scene: Scene, chance: Chance) -> Candidate:
    turn = _turn(next(iter(scene.day.rows.values())).vectors.shape[1], chance)
    return _with(scene.day, **{kind: rows.vectors @ turn for kind, rows in scene.day.rows.items()})


def _half_turned(scene: Scene, chance: Chance) -> Candidate:
    rows = scene.day.rows[vocab.USER]
    turned = rows.vectors @ _turn(rows.vectors.shape[1], chance)
    return _with(scene.day, **{vocab.USER: np.where(_some(rows, 0.5, chance)[:, None], turned, rows.vectors)})


def _permuted(kind: str, share: float) -> Fault:
    def fault(scene: Scene, chance: Chance) -> Candidate:
        rows = scene.day.rows[kind]
        chosen = chance.permutation(len(rows.keys))[: max(2, round(share * len(rows.keys)))]
        moved = rows.vectors.copy()
        moved[chosen] = rows.vectors[np.roll(chosen, 1)]
        return _with(scene.day, **{kind: moved})

    return fault


def _swapped(scene: Scene, chance: Chance) -> Candidate:
    return replace(scene.day, rows={**scene.day.rows, vocab.USER: scene.day.rows[vocab.HOST]})


def _missing(scene: Scene, chance: Chance) -> Candidate:
    rows = scene.day.rows[vocab.USER]
    kept = np.flatnonzero(~_some(rows, 0.3, chance))
    left = Rows([rows.keys[i] for i in kept.tolist()], rows.vectors[kept], rows.fallback[kept], rows.degree[kept])
    return replace(scene.day, rows={**scene.day.rows, vocab.USER: left})


FAULTS: dict[str, Fault] = {
    "1 % NaN rows": _replaced(0.01, np.nan),
    "10 % zero rows, users": _replaced(0.1, 0.0, [vocab.USER]),
    "global rotation": _turned,
    "cold retrain, unaligned": lambda scene, chance: _with(scene.day, **scene.retrained),
    "scale × 3": _replaced(1.1, lambda vectors: vectors * 3),
    "user ids permuted": _permuted(vocab.USER, 1),
    "10 % of host ids permuted": _permuted(vocab.HOST, 0.1),
    "yesterday republished": lambda scene, chance: replace(scene.day, rows=scene.yesterday),
    "half the users in another basis": _half_turned,
    "30 % of users collapsed to the mean": _replaced(0.3, lambda vectors: vectors.mean(axis=0), [vocab.USER]),
    "hosts under the users' name": _swapped,
    "30 % of the users missing": _missing,
    "yesterday's graph under today's name": lambda scene, chance: scene.stale,
}
"""Name → what it makes of a good day; one more, ``TRUNCATED``, is a fault of files."""


def seen(run: Run, scene: Scene, before: Before, *, seed: int) -> dict[str, Verdict]:
    """Every fault, put into the day and judged."""
    return {
        name: judge(run.config, measurements(run, fault(scene, np.random.default_rng(seed)), before))
        for name, fault in FAULTS.items()
    }


def refuses_a_cut_file(warehouse: Path, release_id: str, place: Path) -> bool:
    """Whether the reader refuses a copy of a release of which one file is half as long."""
    path = releases.release_path(warehouse, release_id)
    copy = releases.release_path(place, release_id)
    shutil.copytree(path, copy)
    file = max(copy.glob("user.vectors*"), key=lambda p: p.stat().st_size)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    try:
        open_release(place, release_id)
    except StoreError:
        return True
    return False


def detection_lines(verdicts: Mapping[str, Sequence[Verdict]]) -> list[str]:
    """The table: on how many days each fault was caught, and by which gates on all of these days."""
    lines = ["| fault | days | red | amber | missed | gates that see it on every day |", "|---|---|---|---|---|---|"]
    for name, found in verdicts.items():
        colours = [verdict.colour for verdict in found]
        sees = [
            {(c.found.name, c.found.scope): c.colour for c in v.checks if c.colour not in (GREEN, ABSENT)}
            for v in found
        ]
        always = set.intersection(*map(set, sees)) if sees else set()
        by_name: dict[str, list[str]] = {}
        for gate, scope in sorted(always):
            by_name.setdefault(gate, []).append(scope)
        told = "; ".join(f"{gate} ({', '.join(scopes)})" for gate, scopes in by_name.items()) or "–"
        counts = [str(colours.count(colour)) for colour in (RED, "amber", GREEN)]
        lines.append(f"| {name} | {len(found)} | {' | '.join(counts)} | {told} |")
    return lines


def _raised(verdict: Verdict) -> set[tuple[str, str]]:
    return {(c.found.name, c.found.scope) for c in verdict.checks if c.colour not in (GREEN, ABSENT)}


def value_lines(verdicts: Sequence[Verdict]) -> list[str]:
    """The table: what each gate measured on good days, over types and days, beside its limits."""
    found: dict[str, list[float]] = {}
    limits: dict[str, str] = {}
    alarms: dict[str, int] = {}
    for check in (check for verdict in verdicts for check in verdict.checks if check.colour != ABSENT):
        name = check.found.name
        found.setdefault(name, []).append(float(check.found.value or 0))
        limits[name] = str(check.limits)
        alarms[name] = alarms.get(name, 0) + (check.colour != GREEN)
    lines = ["| gate | green | least | median | most | not green |", "|---|---|---|---|---|---|"]
    for name, values in found.items():
        spread = [f"{value:.4g}" for value in (min(values), float(np.median(values)), max(values))]
        lines.append(f"| {name} | {limits[name]} | {' | '.join(spread)} | {alarms[name]} of {len(values)} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=600)
    parser.add_argument("--days", type=int, default=30, help="days of logs")
    parser.add_argument("--first", type=int, default=14, help="number of the first day that is published")
    parser.add_argument("--dim", type=int, default=32)
    parser.add_argument("--faulty-days", type=int, default=5, help="last days that faults are put into")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--place", type=Path, help="a directory for logs and graphs that stays")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        place = given.place or Path(temporary)
        spec = SampleSpec(users=given.users, days=given.days, seed=given.seed, start=dt.date(2026, 3, 1))
        days = [spec.ds(i) for i in range(given.first, given.days)]
        run = _run(Path(temporary), place, given.dim)
        _make_graphs(run, spec, days)
        good, faulty = _days(run, days, given.faulty_days, given.seed)
        chosen = days[-given.faulty_days :]
        cut = [refuses_a_cut_file(run.warehouse, f"{ds}.1", Path(temporary) / ds) for ds in chosen]
    compared = good[1:]
    false = sum(verdict.colour != GREEN for verdict in compared)
    print("\n".join(detection_lines(faulty)))
    print(f"| {TRUNCATED} | {len(cut)} | {sum(cut)} | 0 | {len(cut) - sum(cut)} | none: the reader refuses it |")
    print(f"\n{false} of {len(compared)} good days were not green; the first day of the space: {good[0].colour}\n")
    print("\n".join(value_lines(compared)))


def _run(temporary: Path, place: Path, dim: int) -> Run:
    file = temporary / "config.yaml"
    settings = {
        "extends": str(ROOT / "configs" / "local.yaml"),
        "embed": {"dim": dim},
        "spark": {"shuffle_partitions": 2, "driver_memory": "1g"},
    }
    file.write_text(yaml.safe_dump(settings), encoding="utf-8")
    return Run(load_config(file, logs=place / "logs", warehouse=place / "warehouse"), today=AT.date())


def _make_graphs(run: Run, spec: SampleSpec, days: Sequence[str]) -> None:
    """Logs and graphs, where they are not there yet; what an earlier call published goes."""
    if not run.config.logs.root.is_dir():
        write_sample_logs(run.config.logs.root, spec, Silent())
    for ds in days:
        if not runlog.read_stage(run.warehouse, ds, vocab.GRAPH):
            run_day(run, ds, at=AT, last=vocab.GRAPH)
    for name in ("releases", "probes"):
        shutil.rmtree(run.warehouse / name, ignore_errors=True)
    (run.warehouse / releases.CURRENT).unlink(missing_ok=True)


def _days(run: Run, days: Sequence[str], last: int, seed: int) -> tuple[list[Verdict], dict[str, list[Verdict]]]:
    """Judge and publish each day as it is; of the last ones, judge every fault first."""
    good: list[Verdict] = []
    faulty: dict[str, list[Verdict]] = {name: [] for name in FAULTS}
    day_before: Candidate | None = None
    graph_before: DayGraph | None = None
    for number, ds in enumerate(days):
        run_stage(run, vocab.EMBED, ds, at=AT)
        graph, before = load_graph(run, ds), before_of(run, ds)
        targets = run.config.evaluate.targets.items()
        questions = {name: ask(run, graph, ds, name, target)[0] for name, target in targets}
        day = candidate(run, ds, graph, questions, labelled=True)
        good.append(judge(run.config, measurements(run, day, before)))
        if number >= len(days) - last and before and day_before and graph_before:
            scene = _scene(run, day, graph, day_before, graph_before, before)
            for name, verdict in seen(run, scene, before, seed=seed).items():
                faulty[name].append(verdict)
        _publish(run, ds)
        print(f"{ds}: {good[-1].colour} {'; '.join(good[-1].reasons)}", flush=True)
        day_before, graph_before = day, graph
    return good, faulty


def _publish(run: Run, ds: str) -> None:
    run_stage(run, vocab.EVALUATE, ds, at=AT)
    try:
        run_stage(run, vocab.PUBLISH, ds, at=AT)
    except GateRefusedError:
        word = Approval("the benchmark", "a good day by construction", OVERRIDDEN)
        run_stage(run, vocab.PUBLISH, ds, at=AT, approval=word)


def _scene(
    run: Run, day: Candidate, graph: DayGraph, day_before: Candidate, graph_before: DayGraph, before: Before
) -> Scene:
    from graphrep.embed import fit

    how = {
        "model": run.config.embed.model,
        "dim": run.config.embed.dim,
        "walk": run.config.embed.walk,
        "relation_weights": {kind.label: kind.weight for kind in run.config.graph_relations.values()},
    }
    fresh = fit(graph.graph, seed=run.config.seed + 1, **how)
    hits = {kind: before.release.get(kind, nodes.keys) for kind, nodes in graph_before.nodes.items()}
    previous = {kind: np.where((hit.source == vocab.OWN)[:, None], hit.vectors, 0) for kind, hit in hits.items()}
    again = fit(graph_before.graph, seed=run.config.seed, previous=previous, **how)
    online = run.config.publish.online
    stale = {
        kind: replace(rows, vectors=np.where(rows.fallback[:, None], rows.vectors, as_read(again[kind], online)))
        for kind, rows in day_before.rows.items()
    }
    return Scene(
        day=day,
        yesterday=day_before.rows,
        retrained={kind: as_read(fresh[kind], online) for kind in day.rows},
        stale=replace(day, rows=stale, newest_ms=day_before.newest_ms),
    )


if __name__ == "__main__":
    main()
