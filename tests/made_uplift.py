"""Scores of the go-live uplift with plain values, and what a manifest tells of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from graphrep.contracts.uplift_scores import SCORES, Score
from graphrep.pipeline.uplift_release import columns_of

PLAIN: dict[str, Any] = {
    Score.DECISION_DS: "2026-03-02",
    Score.FAMILY: "nudge",
    Score.TREATMENT: "push",
    Score.HORIZON: 1,
    Score.OUTCOME: "live",
    Score.UPLIFT_RAW: 0.1,
    Score.UPLIFT_SE: 0.01,
    Score.RANK_PCT: 0.5,
    Score.BASELINE: 0.2,
    Score.PROPENSITY: 0.3,
    Score.E_MIN: 0.3,
    Score.OVERLAP_OK: 1,
    Score.TRIM_REASON: "",
    Score.N_EFF: 100.0,
    Score.EFFECT_SOURCE: "gbm",
    Score.SHRINKAGE: 1.0,
    Score.IDENTIFIED_BY: "adjustment",
    Score.SPILLOVER_SHARE: None,
    Score.NUDGES_7D: 0.0,
    Score.IS_NEW: 0,
    Score.EMBEDDING_AS_OF: None,
    Score.EMBEDDING_VERSION: None,
    Score.MODEL_VERSION: "0" * 16,
    Score.POLICY_VERSION: None,
    Score.GATE_STATUS: "pass",
    Score.VALID_UNTIL: "2026-03-04",
}


def scores(rows: list[Mapping[str, Any]]) -> pa.Table:
    """A table of the contract; each row names its host and its effect, and what else is not plain."""
    whole = []
    for row in rows:
        effect = row[Score.UPLIFT]
        ends = {Score.UPLIFT_LO: effect - 0.02, Score.UPLIFT_HI: effect + 0.02}
        whole.append({**PLAIN, **ends, **row})
    return pa.Table.from_pylist(whole, schema=SCORES.schema)


def about(table: pa.Table, held_back: tuple[str, ...] = ()) -> dict[str, Any]:
    """The manifest's key of these scores; arms that are held back have no row."""
    columns = columns_of(table)
    arms = sorted({column["treatment"] for column in columns} | set(held_back))
    fit = {"family": "nudge", "horizon_days": 1, "outcome": "live", "arms": [{"treatment": arm} for arm in arms]}
    return {
        "decision_ds": "2026-03-02",
        "hosts": len(set(table[Score.HOST].to_pylist())),
        "node_types": ["host"],
        "columns": columns,
        "fits": [fit],
        "inputs": {},
    }
