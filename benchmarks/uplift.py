"""The uplift learner on randomised experiments and on generated logs whose effects are known.

python -m benchmarks.uplift ../shared/data hillstrom social-pressure generator coverage a-a
python -m benchmarks.uplift ../shared/data hillstrom --splits 2 --peers VENV/bin/python

Peers (EconML, causalml) run in an interpreter of their own, named by ``--peers``, on the same rows.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from graphrep.datasets.golive import PRESETS, simulate
from graphrep.evaluate import metrics
from graphrep.uplift import UpliftLearner, average_effects, potential_outcomes

HERE = Path(__file__).parent
PEERS = ("EconML DRLearner", "EconML CausalForestDML", "causalml X", "causalml DR")


def table(path: Path) -> dict[str, np.ndarray]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def one_hot(values: np.ndarray) -> np.ndarray:
    return (values[:, None] == np.unique(values)[None, 1:]).astype(float)


def hillstrom(data: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Covariates, arm (1: women's e-mail), visit."""
    (path,) = (data / "hillstrom").glob("*.csv.gz")
    rows = table(path)
    chosen = np.isin(rows["segment"], ("Womens E-Mail", "No E-Mail"))
    numbers = [rows[name].astype(float) for name in ("recency", "history", "mens", "womens", "newbie")]
    X = np.column_stack([*numbers, one_hot(rows["zip_code"]), one_hot(rows["channel"])])
    arm = (rows["segment"] == "Womens E-Mail").astype(int)
    return X[chosen], arm[chosen], rows["visit"].astype(float)[chosen]


def run_hillstrom(args: argparse.Namespace) -> list[dict[str, Any]]:
    X, arm, visit = hillstrom(args.data)
    found: dict[str, list[list[float]]] = {}
    for split in range(args.splits):
        order = np.random.default_rng(split).permutation(len(X))
        train, test = order[: len(X) // 2], order[len(X) // 2 :]
        start = time.process_time()
        known = np.full(len(train), arm.mean())
        model = UpliftLearner(seed=split).fit(X[train], arm[train], visit[train], known)
        every = {"graphrep": (model.predict(X[test]), time.process_time() - start)}
        for name, (effects, seconds, _) in peers(args, X[train], arm[train], visit[train], X[test]).items():
            every[name] = (effects, seconds)
        share = np.tile([1 - arm.mean(), arm.mean()], (len(test), 1))
        gamma = potential_outcomes(visit[test], arm[test], model.predict_outcome(X[test]), share)
        effects = gamma[:, 1] - gamma[:, 0]
        for name, (score, seconds) in every.items():
            figures = [
                metrics.sklift_qini(visit[test], score[:, 0], arm[test], randomised=True),
                metrics.qini(score[:, 0], effects, halves=0).value,
                metrics.autoc(score[:, 0], effects, halves=0).value,
                metrics.uplift_at_k(visit[test], score[:, 0], arm[test], randomised=True, share=0.3),
                seconds,
            ]
            found.setdefault(name, []).append(figures)
        print("split", split, model.choices_[0].judged, found["graphrep"][-1], flush=True)
    names = ("sklift QINI", "AIPW QINI", "AIPW AUTOC", "uplift@30", "processor s")
    return [{"who": name, **dict(zip(names, spread(rows), strict=True))} for name, rows in found.items()]


def run_social_pressure(args: argparse.Namespace) -> list[dict[str, Any]]:
    (path,) = (args.data / "social_pressure").glob("*.csv.gz")
    rows = table(path)
    names = [" Control", " Civic Duty", " Hawthorne", " Self", " Neighbors"]
    arm = np.array([names.index(name) for name in rows["treatment"]])
    voted = (rows["voted"] == "Yes").astype(float)
    past = [
        (rows[name] == "yes") | (rows[name] == "Yes") for name in ("g2000", "g2002", "g2004", "p2000", "p2002", "p2004")
    ]
    numbers = [rows[name].astype(float) for name in ("yob", "hh_size", "p2004_mean", "g2004_mean")]
    X = np.column_stack([rows["sex"] == "male", *past, *numbers]).astype(float)
    share = np.tile(np.bincount(arm) / len(arm), (len(arm), 1))
    start = time.process_time()
    model = UpliftLearner(candidates=()).fit(X, arm, voted, share, groups=rows["hh_id"])
    seconds = time.process_time() - start
    effect = model.average_effects_
    by_row = average_effects(model.scores_, np.ones(len(arm)), np.arange(len(arm)))
    found = []
    for number in range(1, 5):
        plain = voted[arm == number].mean() - voted[arm == 0].mean()
        error = effect.error[number - 1]
        found.append(
            {
                "who": names[number].strip(),
                "difference in means": plain,
                "effect": effect.value[number - 1],
                "household error": error,
                "row error": by_row.error[number - 1],
                "off, in errors": (effect.value[number - 1] - plain) / error,
                "processor s": seconds,
            }
        )
    return found


def run_generator(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Effects of every preset and seed, learnt from ``--rows`` host-days, on hosts that were not in them."""
    found = []
    for preset in args.presets:
        for seed in range(args.seeds):
            rows = generated(args, preset, seed)
            print(*rows, sep="\n", flush=True)
            found += rows
    return found


def generated(args: argparse.Namespace, preset: str, seed: int) -> list[dict[str, Any]]:
    spec = replace(PRESETS[preset], hosts=round(args.rows * 1.25 / 14), seed=seed)
    seen, truth = simulate(spec)
    n = len(truth.host)  # repeated host-days stand behind
    X = np.column_stack([seen.attributes, seen.embedding()])[:n]
    test = truth.host >= round(args.rows / 14)
    train = ~test
    arm, live = seen.arm[:n], seen.live[:n]
    lot = np.where(seen.randomised[:n, None], seen.propensity[:n], np.nan)[train]
    start = time.process_time()
    model = UpliftLearner(seed=seed).fit(X[train], arm[train], live[train], lot, groups=truth.host[train])
    every = {"graphrep": (model.predict(X[test]), time.process_time() - start, 0.0)}
    every["constant"] = (np.broadcast_to(model.average_effects_.value, every["graphrep"][0].shape), 0.0, 0.0)
    every |= peers(args, X[train], arm[train], live[train], X[test])
    rows = np.flatnonzero(train)[model.trim_reason_ == ""]
    kept = truth.effect[rows].mean(axis=0)
    gamma = potential_outcomes(live[rows], arm[rows], truth.chance[rows], truth.propensity[rows])
    best = (gamma[:, 1:] - gamma[:, :1]).mean(axis=0)
    interval = model.predict_interval(X[test])
    covered = ((interval[..., 0] <= truth.effect[test]) & (truth.effect[test] <= interval[..., 1])).mean(axis=0)
    found = []
    for a in range(truth.effect.shape[1]):
        off = {
            who: np.sqrt(((values[:, a] - truth.effect[test][:, a]) ** 2).mean())
            for who, (values, _, _) in every.items()
        }
        naive = live[train][arm[train] == a + 1].mean() - live[train][arm[train] == 0].mean()
        row = {"preset": preset, "seed": seed, "arm": spec.effects[a], "truth": kept[a], "naive": naive}
        row |= {"effect": model.average_effects_.value[a], "error": model.average_effects_.error[a]}
        row |= {"off, in errors": (row["effect"] - row["truth"]) / row["error"]}
        row |= {"off by true nuisances": (best[a] - row["truth"]) / row["error"]}
        row |= {"chosen": model.choices_[a].judged.name, "covered": covered[a]}
        row |= {f"RMSE {who}": value for who, value in off.items()}
        row |= {f"s {who}": seconds for who, (_, seconds, _) in every.items() if seconds}
        row |= {f"GB {who}": memory for who, (_, _, memory) in every.items() if memory}
        found.append(row)
    return found


def nie_wager(setup: str, n: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Covariates, arm, outcome, effect of one of the four setups of Nie and Wager (Biometrika 108, 2021), σ = 1."""
    draws = np.random.default_rng(seed)
    X = draws.random((n, 6)) if setup == "A" else draws.normal(size=(n, 6))
    a, b, c, d, e, _ = X.T
    wave, soft = np.sin(np.pi * a * b), np.logaddexp(0, a + b + c)
    plus, minus = np.maximum(0, a + b + c), np.maximum(0, d + e)
    one = np.ones(n)
    main, chance, effect = {
        "A": (wave + 2 * (c - 0.5) ** 2 + d + 0.5 * e, np.clip(wave, 0.1, 0.9), (a + b) / 2),
        "B": (np.maximum(0, np.maximum(a + b, c)) + minus, 0.5 * one, a + np.logaddexp(0, b)),
        "C": (2 * soft, 1 / (1 + np.exp(b + c)), one),
        "D": ((plus + minus) / 2, 1 / (1 + np.exp(-a) + np.exp(-b)), plus - minus),
    }[setup]
    arm = (draws.random(n) < chance).astype(int)
    return X, arm, main + (arm - 0.5) * effect + draws.normal(size=n), effect


def run_nie_wager(args: argparse.Namespace) -> list[dict[str, Any]]:
    """RMSE of the effect on 5,000 new rows, learnt from 2,000."""
    found = []
    for setup in "ABCD":
        every: dict[str, list[float]] = {}
        for seed in range(args.seeds):
            X, arm, outcome, effect = nie_wager(setup, 7000, seed)
            train, test = slice(0, 2000), slice(2000, None)
            start = time.process_time()
            model = UpliftLearner(seed=seed).fit(X[train], arm[train], outcome[train])
            seconds = time.process_time() - start
            values = {"graphrep": (model.predict(X[test]), seconds, 0.0)}
            values["constant"] = (np.broadcast_to(model.average_effects_.value, (5000, 1)), 0.0, 0.0)
            values |= peers(args, X[train], arm[train], outcome[train], X[test])
            for who, (given, used, _) in values.items():
                every.setdefault(who, []).append(float(np.sqrt(((given[:, 0] - effect[test]) ** 2).mean())))
                every.setdefault(f"s {who}", []).append(used)
            print(setup, seed, model.choices_[0].judged.name, {who: v[-1] for who, v in every.items()}, flush=True)
        found.append({"setup": setup, **{who: spread([[v] for v in values])[0] for who, values in every.items()}})
    return found


def run_covariates(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Bias of the average effect by what is adjusted for, 1,000 hosts × 14 days of confounded nudges."""
    biases: dict[str, list[float]] = {}
    errors: dict[str, list[float]] = {}
    for seed in range(args.seeds):
        spec = replace(PRESETS["constant"], effects=("constant",), hosts=1000, seed=seed)
        seen, truth = simulate(spec)
        naive = seen.live[seen.arm == 1].mean() - seen.live[seen.arm == 0].mean()
        biases.setdefault("nothing (difference in means)", []).append(naive - spec.size)
        for name, X in {
            "attributes": seen.attributes,
            "attributes, embedding of the day before": np.column_stack([seen.attributes, seen.embedding(1)]),
            "attributes, embedding of the day itself": np.column_stack([seen.attributes, seen.embedding(0)]),
        }.items():
            model = UpliftLearner(candidates=(), seed=seed).fit(X, seen.arm, seen.live, groups=seen.host)
            kept = truth.effect[model.trim_reason_ == "", 0].mean()
            biases.setdefault(name, []).append(model.average_effects_.value[0] - kept)
            errors.setdefault(name, []).append(model.average_effects_.error[0])
    rows = []
    for name, values in biases.items():
        error = float(np.mean(errors[name])) if name in errors else "–"
        rows.append({"adjusted for": name, "bias": float(np.mean(values)), "sd": float(np.std(values)), "error": error})
    return rows


def run_coverage(args: argparse.Namespace) -> list[dict[str, Any]]:
    """How often the 95 % interval of the average effect holds the truth, on confounded days."""
    inside, off, naive = [], [], []
    for seed in range(args.replications):
        seen, truth = simulate(replace(PRESETS["constant"], hosts=300, days=10, seed=seed))
        X = np.column_stack([seen.attributes, seen.embedding()])
        model = UpliftLearner(candidates=(), seed=seed).fit(X, seen.arm, seen.live, groups=seen.host)
        kept = truth.effect[model.trim_reason_ == ""].mean(axis=0)
        z = (model.average_effects_.value - kept) / model.average_effects_.error
        inside.append(np.abs(z) <= 1.96)
        off.append(model.average_effects_.value - kept)
        naive.append([seen.live[seen.arm == a].mean() - seen.live[seen.arm == 0].mean() for a in (1, 2)] - kept)
    names = PRESETS["constant"].effects
    columns = [np.array(values).mean(axis=0) for values in (inside, off, naive)]
    spread = np.array(off).std(axis=0)
    return [
        {"arm": names[a], "replications": args.replications, "covered": columns[0][a], "bias": columns[1][a]}
        | {"sd": spread[a], "naive bias": columns[2][a]}
        for a in range(2)
    ]


def run_a_a(args: argparse.Namespace) -> list[dict[str, Any]]:
    """How often a nominal 5 % test rejects where hosts are split at random and nothing is done."""
    by_host, by_row = [], []
    for seed in range(args.replications):
        seen, truth = simulate(replace(PRESETS["a-a"], hosts=150, days=10, seed=seed))
        arm = np.random.default_rng([seed, 7]).integers(0, 2, 150)[truth.host]
        X, known = np.column_stack([seen.attributes, seen.embedding()]), np.full(len(arm), 0.5)
        model = UpliftLearner(candidates=(), seed=seed).fit(X, arm, seen.live, known, groups=truth.host)
        alone = average_effects(model.scores_, np.ones(len(arm)), np.arange(len(arm)))
        by_host.append(abs(model.average_effects_.value[0]) > 1.96 * model.average_effects_.error[0])
        by_row.append(abs(alone.value[0]) > 1.96 * alone.error[0])
    rows = {"replications": args.replications, "rejected, errors by host": float(np.mean(by_host))}
    return [{**rows, "rejected, errors by row": float(np.mean(by_row))}]


def peers(args: argparse.Namespace, X: Any, arm: Any, outcome: Any, test: Any) -> dict[str, tuple[Any, float, float]]:
    """Peer → effects on the test rows, seconds of the processor, peak memory in GB."""
    found: dict[str, tuple[Any, float, float]] = {}
    if not args.peers:
        return found
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "rows.npz"), Path(folder, "effects.npz")
        np.savez(source, X=X, arm=arm, outcome=outcome, X_test=test)
        for name in args.who:
            command = [args.peers, str(HERE / "uplift_peers.py"), str(source), str(target), name]
            done = subprocess.run(command, capture_output=True, text=True, check=False, env={"OMP_NUM_THREADS": "1"})
            if done.returncode:
                print(f"{name}: {done.stderr.strip().splitlines()[-1]}", flush=True)
                continue
            values = np.load(target)
            effects = values["effects"].reshape(len(test), -1)
            found[name] = (effects, float(values["seconds"]), float(values["memory"]))
    return found


def spread(rows: list[list[float]]) -> list[str]:
    values = np.array(rows)
    return [f"{mean:.4f} ± {sd:.4f}" for mean, sd in zip(values.mean(axis=0), values.std(axis=0), strict=True)]


RUNS: dict[str, Callable[[argparse.Namespace], list[dict[str, Any]]]] = {
    "hillstrom": run_hillstrom,
    "social-pressure": run_social_pressure,
    "nie-wager": run_nie_wager,
    "generator": run_generator,
    "covariates": run_covariates,
    "coverage": run_coverage,
    "a-a": run_a_a,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the folder of public data sets")
    parser.add_argument("runs", nargs="+", choices=RUNS)
    parser.add_argument("--splits", type=int, default=10, help="random halves of Hillstrom")
    parser.add_argument("--presets", nargs="+", choices=PRESETS, default=["constant", "observed", "latent", "fatigue"])
    parser.add_argument("--seeds", type=int, default=3, help="of each preset")
    parser.add_argument("--rows", type=int, default=60_000, help="host-days that a preset is learnt from")
    parser.add_argument("--replications", type=int, default=100, help="of coverage and a-a")
    parser.add_argument("--peers", default="", help="a Python that has EconML and causalml")
    parser.add_argument("--who", nargs="+", default=PEERS, choices=PEERS, help="which peers")
    parser.add_argument("--json", type=Path, help="also write all rows here")
    args = parser.parse_args()
    every = {}
    for name in args.runs:
        every[name] = RUNS[name](args)
        print(f"\n## {name}\n")
        columns = list(every[name][0])
        print("| " + " | ".join(columns) + " |\n|" + "---|" * len(columns))
        for row in every[name]:
            cells = [f"{value:.4f}" if isinstance(value, float) else str(value) for value in row.values()]
            print("| " + " | ".join(cells) + " |", flush=True)
    print(f"\npeak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")
    if args.json:
        args.json.write_text(json.dumps(every, indent=1, default=float), encoding="utf-8")


if __name__ == "__main__":
    main()
