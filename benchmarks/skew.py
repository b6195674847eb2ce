"""Do hubs make one task last? Task times of each Spark stage where one host has a fifth of the events.

python benchmarks/skew.py --events 2000000

The day's job and the graph of that day, with every fifth event turned to one host, beside the logs as they are. The
times are those of Spark's own event log; stages whose slowest task took under a second are left out.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np
import pyarrow as pa

from graphrep.config import load_config
from graphrep.datasets.sample import SampleSpec, sample_logs
from graphrep.store import tables

ROOT = Path(__file__).resolve().parents[1]
DAYS = ("2026-03-01", "2026-03-02")
HUB = "h-hub"


def make_logs(out: Path, events: int, share: float) -> None:
    """Two days of sample logs; of the first, a share of the events is turned to one host."""
    chance = np.random.default_rng(0)
    for name, ds, table in sample_logs(SampleSpec(users=int(events / 5.75), days=2, seed=0)):
        if ds is None or name not in ("short_video", "live", "ecommerce", "search"):
            continue
        turned = pa.array(chance.random(table.num_rows) < share)
        hosts = pa.compute.if_else(turned, HUB, table["host_id"].cast(pa.string()))
        table = table.set_column(table.column_names.index("host_id"), "host_id", hosts)
        tables.write_arrow(tables.partition(out, name, ds), table)


def task_seconds(log: Path) -> dict[int, list[float]]:
    """Stage → seconds of its tasks."""
    found = defaultdict(list)
    for file in log.rglob("*"):
        for line in file.read_text(encoding="utf-8").splitlines() if file.is_file() else []:
            event = json.loads(line)
            if event["Event"] == "SparkListenerTaskEnd":
                info = event["Task Info"]
                found[event["Stage ID"]].append((info["Finish Time"] - info["Launch Time"]) / 1000)
    return found


def measure(share: float, given: argparse.Namespace, place: Path) -> None:
    """Run in this process, whose Spark must not have started yet, and print the stages."""
    conf = place / "conf"
    (place / "spark-log").mkdir(parents=True)
    conf.mkdir()
    lines = {"spark.eventLog.enabled": "true", "spark.eventLog.compress": "false"}
    lines |= {"spark.eventLog.rolling.enabled": "false", "spark.eventLog.dir": (place / "spark-log").as_uri()}
    (conf / "spark-defaults.conf").write_text("".join(f"{k} {v}\n" for k, v in lines.items()), encoding="utf-8")
    os.environ["SPARK_CONF_DIR"] = str(conf)
    from graphrep.pipeline.context import Run
    from graphrep.pipeline.run import run_day

    make_logs(place / "logs", given.events, share)
    config = load_config(ROOT / "configs" / "local.yaml", logs=place / "logs", warehouse=place / "warehouse")
    spark = config.spark.model_copy(update={"driver_memory": "4g", "shuffle_partitions": given.partitions})
    run = Run(config.model_copy(update={"spark": spark}), today=dt.date(2026, 4, 1))
    run_day(run, DAYS[1], at=dt.datetime(2026, 4, 1, tzinfo=dt.UTC), last="graph")
    run.spark.stop()
    stages = {n: sorted(s) for n, s in task_seconds(place / "spark-log").items() if len(s) > 1 and max(s) >= 1}
    spread = {n: s[-1] / float(np.median(s)) for n, s in stages.items()}
    slowest = sorted(spread, key=lambda n: -spread[n])[:5]
    print(f"one host in {share:.0%} of the events: {len(stages)} stages of tasks over a second")
    print(f"  slowest task / median: median {np.median(list(spread.values())):.2f}, largest {max(spread.values()):.2f}")
    for n in slowest:
        s = stages[n]
        print(f"  stage {n}: {len(s)} tasks, median {np.median(s):.1f} s, slowest {s[-1]:.1f} s ({spread[n]:.2f})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=2_000_000, help="per day; two days are made")
    parser.add_argument("--partitions", type=int, default=16)
    parser.add_argument("--shares", type=float, nargs="+", default=[0.0, 0.2])
    given = parser.parse_args()
    for share in given.shares:
        if os.fork() == 0:  # a Spark, and so an event log, of its own
            with tempfile.TemporaryDirectory() as place:
                measure(share, given, Path(place))
            os._exit(0)
        os.wait()


if __name__ == "__main__":
    main()
