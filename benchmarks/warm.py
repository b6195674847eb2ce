"""Learning on from the day before beside learning each day from the walk, on sample logs: stability, quality, seconds.

python -m benchmarks.warm --users 600 --days 12 --first 6 --share 1

Logs and graphs are made once, below ``--place`` where one is given, and are used again when they are there. From them
come three warehouses: the walk's vectors alone, the hybrid from the walk each day, and the hybrid from the day before.
"""

from __future__ import annotations

import argparse
import datetime as dt
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml

from graphrep import vocab
from graphrep.config import load_config
from graphrep.datasets.sample import SampleSpec
from graphrep.lookup import Release, open_release
from graphrep.pipeline.context import Run, Silent
from graphrep.pipeline.datasets import write_sample_logs
from graphrep.pipeline.evaluate import VECTORS
from graphrep.pipeline.run import run_day

ROOT = Path(__file__).resolve().parents[1]
AT = dt.datetime(2027, 1, 1, tzinfo=dt.UTC)
# Every day must be published, however its vectors are: that is what is measured.
OPEN = {"min_rows": 10**9}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=600)
    parser.add_argument("--days", type=int, default=12, help="days of logs")
    parser.add_argument("--first", type=int, default=6, help="number of the first day that is published")
    parser.add_argument("--dim", type=int, default=32)
    parser.add_argument("--share", type=float, help="of what is learnt, in the vectors; left out: chosen")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--warm-epochs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0, help="of the walk and of the training; the logs stay the same")
    parser.add_argument("--place", type=Path, help="a directory for logs and graphs that stays")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        spec = SampleSpec(users=given.users, days=given.days, seed=0, start=dt.date(2026, 3, 1))
        days = [spec.ds(i) for i in range(given.first, given.days)]
        place = given.place or Path(temporary)
        _make_graphs(place, spec, days, Path(temporary))
        learnt: dict[str, Any] = {"model": "hybrid", "share": given.share, "training": {"epochs": given.epochs}}
        learnt["warm_epochs"] = given.warm_epochs
        for name, embed in {
            "walk": {},
            "cold": {**learnt, "cold_every_days": 1},
            "warm": {**learnt, "cold_every_days": 999},
        }.items():
            warehouse = Path(temporary) / name
            shutil.copytree(place / "warehouse", warehouse)
            settings = {"dim": given.dim, "walk": "history", **embed}
            _report(name, _run(Path(temporary), place, warehouse, settings, given.seed), days)


def _make_graphs(place: Path, spec: SampleSpec, days: list[str], temporary: Path) -> None:
    if (place / "warehouse").is_dir():
        return
    write_sample_logs(place / "logs", spec, Silent())
    run = _run(temporary, place, place / "warehouse", {})
    for ds in days:
        run_day(run, ds, at=AT, last=vocab.GRAPH)


def _run(temporary: Path, place: Path, warehouse: Path, embed: dict[str, Any], seed: int = 0) -> Run:
    file = temporary / "config.yaml"
    settings = {"extends": str(ROOT / "configs" / "local.yaml"), "seed": seed, "embed": embed, "gate_defaults": OPEN}
    settings["logs"] = {"max_quarantine_share": 0.05}
    settings["spark"] = {"shuffle_partitions": 2, "driver_memory": "1g"}
    file.write_text(yaml.safe_dump(settings), encoding="utf-8")
    return Run(load_config(file, logs=place / "logs", warehouse=warehouse), today=AT.date())


def _report(name: str, run: Run, days: list[str]) -> None:
    stayed: dict[str, list[float]] = {vocab.USER: [], vocab.HOST: []}
    quality: dict[str, list[float]] = {}
    residuals: list[float] = []
    seconds: list[float] = []
    before: Release | None = None
    for ds in days:
        begun = time.perf_counter()
        records = run_day(run, ds, at=AT, first=vocab.EMBED, last=vocab.EMBED)
        seconds.append(time.perf_counter() - begun)
        records |= run_day(run, ds, at=AT, first=vocab.EVALUATE)
        for row in records[vocab.EVALUATE]["quality"]:
            if row["model"] == VECTORS and row["band"] == "all":
                quality.setdefault(row["target"], []).append(row["ndcg"])
        now = open_release(run.warehouse)
        if before is not None:
            residuals.append(records[vocab.EMBED]["alignment"]["held_out_residual"])
            for kind, found in stayed.items():
                found.append(_mean_cosine(before, now, kind))
        made = records[vocab.EMBED]["model"]
        print(f"  {name} {ds}: learnt {made['learnt']}, {seconds[-1]:.1f} s", flush=True)
        before = now
    cosines = ", ".join(f"{kind} {np.mean(found):.3f}" for kind, found in stayed.items())
    gains = ", ".join(f"{target} {np.mean(found):.4f}" for target, found in quality.items())
    print(
        f"{name}: cosine {cosines}; residual {np.mean(residuals):.3f}; NDCG {gains}; {np.mean(seconds[1:]):.1f} s a day"
    )


def _mean_cosine(before: Release, now: Release, kind: str) -> float:
    """Of the nodes that have a vector of their own in both."""
    keys = before.keys(kind)
    first, second = before.get(kind, keys), now.get(kind, keys)
    own = first.found & second.found & ~first.fallback & ~second.fallback
    return float((_unit(first.vectors[own]) * _unit(second.vectors[own])).sum(axis=1).mean())


def _unit(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    wide = vectors.astype(np.float64)
    return np.asarray(wide / np.linalg.norm(wide, axis=1, keepdims=True))


if __name__ == "__main__":
    main()
