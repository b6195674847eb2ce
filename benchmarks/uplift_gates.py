"""How often the gates of the uplift model raise a false alarm, on generated panels without a fault.

python -m benchmarks.uplift_gates --simulations 200
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from graphrep.datasets.golive import GoLiveSpec, simulate
from graphrep.evaluate import metrics
from graphrep.uplift import (
    Evidence,
    Frame,
    Plan,
    UpliftLearner,
    clock,
    evidence,
    judge,
    refute,
    stability,
)
from graphrep.uplift.refute import fitted

FIRST = np.datetime64("2026-01-05")
# Traits that the graph shows drive nudges and go-lives; every other panel has effects that differ between hosts.
CLEAN = GoLiveSpec(
    hosts=240, days=9, dim=8, effects=("observed",), size=0.15, spread=0.25, traits=0.7, assignment="logistic",
    randomised=0.4,
)  # fmt: skip
PLAN = Plan(placebos=8, subsets=0, future=False, cause=False)


def frame_of(spec: GoLiveSpec, lag: int = 1, **other: Any) -> Frame:
    """The frame that a panel's builder would make of a generated panel."""
    seen, truth = simulate(spec)
    n = len(truth.host)
    names = [f"profile.{i}" for i in range(3)] + ["history.live_days", "history.nudges"]
    names += [f"embedding.{i}" for i in range(spec.dim)] + ["embedding.known"]
    X = np.column_stack([seen.attributes, seen.embedding(lag), np.ones(len(seen.host))])[:n]
    lives = np.zeros((spec.hosts, spec.days + 1))
    lives[seen.host, seen.day + 1] = seen.live
    day = FIRST + truth.day
    given = {
        "X": X,
        "names": names,
        "host": np.char.add("h", truth.host.astype(str)),
        "day": day,
        "arm": seen.arm[:n],
        "arms": ["none", *(f"arm{a + 1}" for a in range(len(spec.effects)))],
        "outcome": seen.live[:n],
        "propensity": seen.propensity[:n],
        "randomised": seen.randomised[:n],
        "negative_control": lives[truth.host, truth.day],
        "as_of": day - lag,
        "in_graph": np.ones(n, dtype=bool),
    }
    return Frame(**{**given, **other})


def light(seed: int) -> UpliftLearner:
    """A learner of average effects alone."""
    return UpliftLearner(folds=2, candidates=(), halves=2, seed=seed)


def learner(seed: int) -> UpliftLearner:
    return UpliftLearner(halves=10, seed=seed)


def collected(frame: Frame, plan: Plan = PLAN) -> tuple[Evidence, UpliftLearner]:
    """All evidence on a model of the frame's days but the first, against one of its days but the last."""
    days = np.unique(frame.day)
    today, before = frame.take(frame.day > days[0]), frame.take(frame.day < days[-1])
    model, old = fitted(today, learner(plan.seed)), fitted(before, learner(plan.seed))
    now, then = today.take(today.day == days[-1]), before.take(before.day == days[-2])
    kept = np.isfinite(model.held_[:, 0])
    ranking, steady = {}, {}
    for place, arm in enumerate(frame.arms[1:]):
        ranking[arm] = metrics.qini(model.held_[kept, place], model.scores_[kept, place], today.host[kept], seed=0)
        scores = (model.predict(now.X, arm=place + 1), now.host, old.predict(then.X, arm=place + 1), then.host)
        steady[arm] = stability(*scores)
    to_score = clock(now.host, now.day, now.as_of, np.ones(len(now), dtype=bool))
    return evidence(today, model, refute(today, light, plan), to_score, ranking, steady), model


def run(args: argparse.Namespace) -> dict[str, Any]:
    failed: Counter[str] = Counter()
    undecided: Counter[str] = Counter()
    start = time.process_time()
    for seed in range(args.first, args.first + args.simulations):
        effects = ("observed",) if seed % 2 else ("constant",)
        found, _ = collected(frame_of(replace(CLEAN, seed=seed, effects=effects)), replace(PLAN, seed=seed))
        verdict = judge(found)
        failed.update({row.gate for row in verdict if row.outcome in ("failed", "absent")})
        undecided.update({row.gate for row in verdict if row.outcome == "undecided"})
        for row in verdict:
            if row.outcome in ("failed", "absent"):
                print(seed, effects[0], row, flush=True)
        if seed % 20 == 19:
            print(seed + 1, dict(failed), f"{time.process_time() - start:.0f} s", flush=True)
    count = args.simulations
    return {
        f"G{number}": {"false alarms": failed[f"G{number}"] / count, "undecided": undecided[f"G{number}"] / count}
        for number in range(1, 15)
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulations", type=int, default=200)
    parser.add_argument("--first", type=int, default=0, help="seed of the first")
    parser.add_argument("--json", type=Path, help="also write the shares here")
    args = parser.parse_args()
    found = run(args)
    print("| gate | false alarms | undecided |\n|---|---|---|")
    for gate, shares in found.items():
        print(f"| {gate} | {shares['false alarms']:.3f} | {shares['undecided']:.3f} |")
    if args.json:
        args.json.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
