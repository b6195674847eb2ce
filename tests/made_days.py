"""Three days whose graphs are made here, as stage ``graph`` leaves them, so that no Spark is needed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import yaml

from graphrep import vocab
from graphrep.config import load_config
from graphrep.contracts import NODE, NODE_ACTIVITY, Adjacency
from graphrep.lookup import Release, open_release
from graphrep.pipeline.context import Run
from graphrep.pipeline.load import ARRAY_TYPES
from graphrep.pipeline.run import run_stage
from graphrep.store import runlog, tables
from graphrep.store.files import staged_directory

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
AT = dt.datetime(2026, 3, 31, 12, tzinfo=dt.UTC)
GREEN: dict[str, Any] = {"colour": "green", "reasons": [], "checks": []}
FIRST, SECOND, THIRD = DAYS = ("2026-03-03", "2026-03-04", "2026-03-05")
USERS, HOSTS = 240, 60


class Place:
    """A warehouse with the graphs of three days, whose settings may change in between."""

    def __init__(self, root: Path) -> None:
        self.root, self.warehouse = root, root / "warehouse"
        self.configure()
        users = [FIRST] * 200 + [SECOND] * 20 + [THIRD] * 20
        ids = [(vocab.USER, f"u{i}", i, ds) for i, ds in enumerate(users)]
        ids += [(vocab.HOST, f"h{i}", i, FIRST) for i in range(HOSTS)]
        names = [column.name for column in NODE.columns]
        write_rows(self.warehouse / tables.IDS / "000001", NODE.schema, names, ids)
        for day, ds in enumerate(DAYS):
            self._graph(ds, day, users.index(DAYS[day + 1]) if day < 2 else USERS)

    def configure(self, dual_days: int = 7, publish: Mapping[str, Any] | None = None, **embed: Any) -> None:
        settings = {
            "extends": str(CONFIGS / "local.yaml"),
            "embed": {"dim": 8, **embed},
            "publish": {"dual_days": dual_days, **(publish or {})},
            "cold_start": {"buckets": [0]},
        }
        (self.root / "config.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")

    def run(self) -> Run:
        config = load_config(self.root / "config.yaml", logs=self.root / "logs", warehouse=self.warehouse)
        return Run(config, today=AT.date())

    def _graph(self, ds: str, day: int, users: int) -> None:
        """Users of six tastes watch hosts; every day some of it is new."""
        rng = np.random.default_rng(0)
        close = (
            rng.normal(size=(USERS, 6)) @ rng.normal(size=(6, HOSTS)) + 0.5 * rng.normal(size=(3, USERS, HOSTS))[day]
        )
        src, dst = np.nonzero(close[:users] > 2)
        columns = {Adjacency.SRC: src, Adjacency.DST: dst, Adjacency.WEIGHT: np.ones(len(src))}
        columns[Adjacency.TIME] = np.full(len(src), 1772000000)
        with staged_directory(tables.partition(self.warehouse, tables.ARRAYS, ds)) as staging:
            tables.save_columns(staging, "watches_live_of", ARRAY_TYPES, len(src), [columns])
        degrees = {vocab.USER: np.bincount(src, minlength=users), vocab.HOST: np.bincount(dst, minlength=HOSTS)}
        rows = [
            (kind, f"{kind[0]}{i}", i, 1, int(degree), 1772000000000)
            for kind, own in degrees.items()
            for i, degree in enumerate(own)
        ]
        names = [column.name for column in NODE_ACTIVITY.columns]
        write_rows(tables.partition(self.warehouse, tables.NODES, ds), NODE_ACTIVITY.schema, names, rows)
        built = {"edges": {"watches_live_of": len(src)}, "window": [FIRST, ds], "inputs": {}, "label_day": ds}
        runlog.record_stage(self.warehouse, ds, vocab.GRAPH, {runlog.FINGERPRINT: ds, **built})


def write_rows(path: Path, schema: pa.Schema, names: list[str], rows: list[tuple[Any, ...]]) -> None:
    columns = {name: [row[i] for row in rows] for i, name in enumerate(names)}
    with staged_directory(path) as staging:
        tables.save_parquet(staging / "part-0.parquet", pa.table(columns, schema=schema))


def published(place: Place, ds: str) -> Release:
    """Whatever the gates would say."""
    run = place.run()
    run_stage(run, vocab.EMBED, ds, at=AT)
    runlog.record_stage(place.warehouse, ds, vocab.EVALUATE, {"gate": GREEN, "quality": []})
    run_stage(run, vocab.PUBLISH, ds, at=AT)
    return open_release(place.warehouse)
