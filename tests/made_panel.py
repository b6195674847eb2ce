"""A panel as the stage before would have written it, of generated host-days: for what needs no Spark."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from graphrep import vocab
from graphrep.contracts.uplift import CONTROL, COVARIATES, LOT, NUDGE, PANEL, POLICY, Panel
from graphrep.datasets.golive import GoLiveSpec, simulate
from graphrep.store import runlog, tables

DS = "2026-03-14"
"""The data day: the decision that is scored is on the day after."""
LOOSE = {"placebo_least": 0.01, "placebo_most": 99.0, "placebo_z": 6.0}
"""Limits for two placebos of a small panel, which tell nothing of the spread of many."""
ARMS = ("banner", "push")
SPEC = GoLiveSpec(
    hosts=500,
    days=8,
    effects=("zero", "observed"),
    size=0.2,
    spread=0.2,
    traits=0.5,
    assignment="logistic",
    randomised=0.4,
    logged=True,
    dim=3,
    base=0.3,
)


def panel(spec: GoLiveSpec = SPEC, ds: str = DS, arms: tuple[str, ...] = ARMS, space: str = "s") -> pa.Table:
    """A panel up to a data day, whose last decision day is the one after it and has neither arms nor outcomes."""
    seen, _ = simulate(spec)
    first = np.datetime64(ds) + 2 - spec.days
    days = np.datetime_as_string(first + seen.day)
    last = seen.day == spec.days - 1
    lives = np.zeros((spec.hosts, spec.days + 1), np.float32)
    lives[seen.host, seen.day + 1] = seen.live
    names = np.array([CONTROL, *arms])
    columns: dict[str, Any] = dict.fromkeys(PANEL.names, None)
    columns |= {name: np.zeros(len(days), np.float32) for name in COVARIATES}
    columns |= {
        Panel.FAMILY: [NUDGE] * len(days),
        Panel.DS: days,
        Panel.HOST: [f"h{host:04d}" for host in seen.host],
        Panel.ARM: np.where(last, None, names[seen.arm]),
        Panel.ASSIGNED_BY: np.where(seen.randomised, LOT, POLICY),
        Panel.CHANCES: [None if np.isnan(row[0]) else row.tolist() for row in seen.propensity],
        Panel.LIVE_1D: np.where(last, None, seen.live),
        Panel.MINUTES_1D: np.where(last, None, seen.minutes),
        Panel.LIVE_BEFORE: lives[seen.host, seen.day],
        Panel.IS_NEW: np.zeros(len(days), np.int32),
        Panel.LIVE_DAYS_7: seen.attributes[:, 3],
        Panel.NUDGES_7: seen.attributes[:, 4],
        Panel.TENURE_DAYS: seen.attributes[:, 0],
        Panel.SERVED_7: seen.attributes[:, 1],
        Panel.MINUTES_28: seen.attributes[:, 2],
        Panel.EMBEDDING: list(seen.embedding(1).astype(np.float32)),
        Panel.EMBEDDING_DS: np.datetime_as_string(first + seen.day - 1),
        Panel.EMBEDDING_SPACE: [space] * len(days),
        Panel.AS_OF: np.datetime_as_string(first + seen.day - 1),
    }
    arrays = [_array(columns[field.name], len(days), field.type) for field in PANEL.schema]
    return pa.Table.from_arrays(arrays, schema=PANEL.schema)


def _array(values: Any, rows: int, kind: pa.DataType) -> pa.Array:
    return pa.nulls(rows, kind) if values is None else pa.array(list(values), kind)


def write_panel(warehouse: Path, table: pa.Table, ds: str = DS) -> None:
    """The panel and the records of the stages before the fit."""
    tables.write_arrow(tables.partition(warehouse, tables.GOLIVE_PANEL, ds), table)
    for stage in (vocab.EMBED, vocab.PANEL):
        record = {runlog.FINGERPRINT: f"{stage} {table.num_rows}", "space_id": "s", "parent": None}
        runlog.record_stage(warehouse, ds, stage, record)


def settings(**fit: Any) -> dict[str, Any]:
    """``uplift:`` of a configuration whose surfaces are the toy's."""
    live = {"domain": "live", "actions": ["watch"]}
    arms = {"banner": {"cost": 0.5, "cap": 1}, "push": {"cost": 1, "cap": 0.5}}
    nudges = {"domain": "live", "given": "watch", "policy": None, "lot": None, "delivered": None, "arms": arms}
    small = {"min_arm_rows": 50, "min_arm_positive": 10, "halves": 4, "placebos": 2}
    return {
        "enabled": True,
        "horizons": [1],
        "authorised": live,
        "starts": live,
        "nudges": nudges,
        "fit": {**small, **fit},
    }
