"""A further day beside a rebuild of its whole window, from raw logs to the graph.

python benchmarks/window.py --users 20000 --days 28

In one process and on one warehouse after the other: the rebuild makes every day of the window and the graph of it; the
increment makes the next day and its graph, which reads what is there.
"""

from __future__ import annotations

import argparse
import datetime as dt
import tempfile
import time
from pathlib import Path

from graphrep.config import load_config
from graphrep.datasets.sample import SampleSpec
from graphrep.pipeline.context import Run, Silent
from graphrep.pipeline.datasets import write_sample_logs
from graphrep.pipeline.run import run_day

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=20_000)
    parser.add_argument("--days", type=int, default=28, help="days of the window")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        # One day more than the window and its label day: the day of the increment.
        spec = SampleSpec(users=given.users, days=given.days + 2, seed=0)
        logs = Path(place) / "logs"
        rows = write_sample_logs(logs, spec, Silent())
        config = load_config(ROOT / "configs" / "local.yaml", logs=logs, warehouse=Path(place) / "warehouse")
        today = dt.date(2027, 1, 1)
        Run(config, today=today).spark.range(10).count()
        at = dt.datetime(2027, 1, 1, tzinfo=dt.UTC)
        seconds = []
        for day in (spec.ds(given.days), spec.ds(given.days + 1)):
            begun = time.perf_counter()
            record = run_day(Run(config, today=today), day, at=at, last="graph")
            seconds.append(time.perf_counter() - begun)
        events = sum(rows[name] for name in config.logs.tables)
        edges = sum(record["graph"]["edges"].values())
        print(f"{events:,} events in {given.days + 2} days, {edges:,} edges in the window")
        print(f"rebuild of {given.days} days {seconds[0]:.1f} s, the next day {seconds[1]:.1f} s,", end=" ")
        print(f"ratio {seconds[1] / seconds[0]:.3f}")


if __name__ == "__main__":
    main()
