"""The demo: sample logs in, three releases out, and a look at what a ranker would see."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from graphrep import vocab
from graphrep.config import Config
from graphrep.contracts import Event
from graphrep.datasets.sample import SampleSpec
from graphrep.lookup import Hit, Neighbor, Release, open_release
from graphrep.pipeline.context import Progress, Run
from graphrep.pipeline.datasets import last_days, write_sample_logs
from graphrep.pipeline.run import run_day
from graphrep.store import tables
from graphrep.store.releases import release_path

RUN_DAYS = 3


@dataclass(frozen=True, slots=True)
class Demo:
    """What the demo shows.

    Attributes:
        events: rows of the sample's log tables.
        days: the data days that were run, each to a release.
        asked: a known, a cold (never watched live) and an unknown user.
        hit: what the last release answers for them, in this order.
        near: hosts nearest to the cold user.
        record: what stage ``evaluate`` recorded for the last day.
        place: directory of the last release.
    """

    events: int
    days: list[str]
    asked: dict[str, str]
    hit: Hit
    near: list[Neighbor]
    record: dict[str, Any]
    place: Path


def run_demo(config: Config, *, users: int, days: int, seed: int, now: dt.datetime, progress: Progress) -> Demo:
    """Make logs and run the last three days."""
    spec = SampleSpec(users=users, days=days, seed=seed)
    rows = write_sample_logs(config.logs.root, spec, progress)
    run = Run(config, today=now.date(), progress=progress)
    chosen = last_days(spec, RUN_DAYS)
    records = [run_day(run, ds, at=now) for ds in chosen]
    release = open_release(config.warehouse)
    known, cold = _known_and_cold(run, release, chosen[-1])
    asked = {"known": known, "cold": cold, "unknown": "nobody"}
    return Demo(
        events=sum(count for name, count in rows.items() if name in config.logs.tables),
        days=chosen,
        asked=asked,
        hit=release.get(vocab.USER, list(asked.values())),
        near=release.neighbors(vocab.USER, cold, vocab.HOST, 5),
        record=records[-1][vocab.EVALUATE],
        place=release_path(config.warehouse, release.release_id),
    )


def _known_and_cold(run: Run, release: Release, ds: str) -> tuple[str, str]:
    """The user with most edges who watched live before this day, and the one who did not."""
    root = run.warehouse / tables.EVENTS
    seen_live: set[str] = set()
    for day in tables.days(root):
        if day < ds:
            table = tables.read_table(
                tables.partition(run.warehouse, tables.EVENTS, day), [Event.DOMAIN, Event.USER_ID]
            )
            live = np.asarray(table[Event.DOMAIN]) == vocab.LIVE
            seen_live.update(table.filter(live)[Event.USER_ID].to_pylist())
    keys = release.keys(vocab.USER)
    degree = release.get(vocab.USER, keys).degree
    ranked = [keys[i] for i in np.argsort(-degree, kind="stable")]
    known = next((key for key in ranked if key in seen_live), ranked[0])
    cold = next((key for key in ranked if key not in seen_live), ranked[-1])
    return known, cold
