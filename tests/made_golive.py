"""Generated go-live logs as a platform would deliver them, and a small configuration that runs on them."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path

import yaml

from graphrep.config import load_config
from graphrep.datasets.golive import PRESETS
from graphrep.pipeline.context import Run, Silent, add_days
from graphrep.pipeline.datasets import write_golive_logs
from made_panel import LOOSE

GOLIVE = Path(__file__).parents[1] / "configs" / "golive.yaml"
START = dt.date(2026, 3, 1)
SPEC = replace(
    PRESETS["platform"],
    hosts=300,
    days=4,
    effects=("observed", "zero", "zero"),
    size=0.25,
    spread=0.05,
    randomised=0.5,
    late=0.0,
    repeated=0.0,
    new=0.0,
)
DS = add_days(START.isoformat(), SPEC.days - 1)
FEW_ROWS = {
    **LOOSE,
    "trimmed": 1.0,
    "effective": 0.0,
    "largest": 1.0,
    "difference": 9.0,
    "gap": 1.0,
    "slope_least": -9.0,
    "slope_most": 9.0,
    "control_z": 6.0,
    "slices_z": 6.0,
}
"""Limits that some hundred rows cannot break: the gates have tests of their own."""
SETTINGS = {
    "extends": str(GOLIVE),
    "name": "golive test",
    "logs": {"lateness_days": 1},
    "relation_defaults": {"window_days": 2, "half_life_days": 2},
    "embed": {"dim": 4},
    "spark": {"driver_memory": "1g", "shuffle_partitions": 2},
    "gates": {"new_space": {"green_max": 1}, "recall_above_popularity": {"green_min": -1, "amber_min": -1}},
    "uplift": {
        "exposure": None,
        "fit": {"min_arm_rows": 50, "min_arm_positive": 5, "halves": 4, "placebos": 2, "folds": 2, "limits": FEW_ROWS},
    },
}


def deliver(root: Path) -> Run:
    """Raw logs of all days under ``root``, and a run on them."""
    write_golive_logs(root / "golive", SPEC, START, Silent())
    config = root / "config.yaml"
    config.write_text(yaml.safe_dump(SETTINGS), encoding="utf-8")
    loaded = load_config(config, logs=root / "golive" / "logs", warehouse=root / "warehouse")
    return Run(loaded, today=dt.date(2026, 4, 1))
