"""The demo: sample logs in, three releases out, and a look at what a ranker would see."""

from __future__ import annotations

import datetime as dt

import numpy as np

from graphrep import vocab
from graphrep.config import Config
from graphrep.contracts import Event
from graphrep.datasets.sample import SampleSpec
from graphrep.lookup import Release, open_release
from graphrep.pipeline.context import Progress, Run
from graphrep.pipeline.datasets import last_days, write_sample_logs
from graphrep.pipeline.run import run_day
from graphrep.show import quality_lines, table_lines
from graphrep.store import tables

RUN_DAYS = 3


def run_demo(config: Config, *, users: int, days: int, seed: int, now: dt.datetime, progress: Progress) -> list[str]:
    """Make logs, run the last three days, and describe the result in lines of text."""
    spec = SampleSpec(users=users, days=days, seed=seed)
    rows = write_sample_logs(config.logs.root, spec, progress)
    run = Run(config, today=now.date(), progress=progress)
    chosen = last_days(spec, RUN_DAYS)
    records = [run_day(run, ds, at=now) for ds in chosen]
    release = open_release(config.warehouse)
    events = sum(count for name, count in rows.items() if name in config.logs.tables)
    last = records[-1]
    return [
        "",
        f"{events:,} events of {days} days; releases of {', '.join(chosen)}",
        "",
        *_lookup_lines(run, release, chosen[-1]),
        "",
        f"Quality on the events of {last[vocab.EVALUATE]['label_day']}, which no vector has seen:",
        *quality_lines(last[vocab.EVALUATE]["quality"]),
        "",
        f"Release {release.release_id} lies in {config.warehouse / 'releases' / release.release_id}",
        f"Next: graphrep lookup user KEY --warehouse {config.warehouse}",
    ]


def _lookup_lines(run: Run, release: Release, ds: str) -> list[str]:
    known, cold = _known_and_cold(run, release, ds)
    asked = {"known": known, "cold": cold, "unknown": "nobody"}
    hit = release.get(vocab.USER, list(asked.values()))
    rows = [
        [
            what,
            key,
            "yes" if hit.found[i] else "no",
            "the prior" if hit.fallback[i] else "own",
            str(hit.age_days[i]) if hit.found[i] else "–",
            " ".join(f"{x:+.3f}" for x in hit.vectors[i][:4]) + " …",
        ]
        for i, (what, key) in enumerate(asked.items())
    ]
    near = release.neighbors(vocab.USER, cold, vocab.HOST, 5)
    return [
        *table_lines(["user", "key", "found", "vector", "age_days", ""], rows),
        f"Nearest hosts of {cold}, who never watched live: " + ", ".join(n.key for n in near),
    ]


def _known_and_cold(run: Run, release: Release, ds: str) -> tuple[str, str]:
    """The user with most edges who watched live inside the window, and the one who did not."""
    path = [tables.partition(run.warehouse, tables.EVENTS, day) for day in tables.days(run.warehouse / tables.EVENTS)]
    seen_live: set[str] = set()
    for day in path:
        if day.name < f"ds={ds}":
            table = tables.read_table(day, [Event.DOMAIN, Event.USER_ID])
            live = np.asarray(table[Event.DOMAIN]) == vocab.LIVE
            seen_live.update(table.filter(live)[Event.USER_ID].to_pylist())
    keys = release.keys(vocab.USER)
    degree = release.get(vocab.USER, keys).degree
    ranked = [keys[i] for i in np.argsort(-degree, kind="stable")]
    known = next(key for key in ranked if key in seen_live)
    cold = next(key for key in ranked if key not in seen_live)
    return known, cold
