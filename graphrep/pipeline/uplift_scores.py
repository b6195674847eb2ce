"""From a scorer and a day's hosts to rows of ``golive_uplift_v1``: here, and in every worker of Spark."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from graphrep.contracts.uplift import COVARIATES, Panel
from graphrep.contracts.uplift_scores import CONSTANT, DEGRADED, GBM, LINEAR, MEAN, PREVIOUS, SCORES, Score
from graphrep.pipeline.uplift_frame import Task, covariates

if TYPE_CHECKING:
    from graphrep.uplift.scoring import Scored, Scorer

NEEDED = (
    Panel.HOST,
    Panel.IS_NEW,
    *COVARIATES,
    Panel.EMBEDDING,
    Panel.EMBEDDING_DS,
    Panel.EMBEDDING_SPACE,
)
"""Columns of the panel that a score is made of."""
NO_OVERLAP = "no_overlap"


@dataclass(frozen=True)
class Stamp:
    """What all rows of a fit have in common.

    Attributes:
        task: the fit.
        decision_ds: the day that is scored.
        valid_until: last day on which the rows may be used.
        model_version: of the scorer.
        space, dim: of the embeddings among the covariates; None and 0 without.
        published: arm → (gate status, identified by) of the arms that are not held back.
    """

    task: Task
    decision_ds: str
    valid_until: str
    model_version: str
    space: str | None
    dim: int
    published: Mapping[str, tuple[str, str]]


def score_rows(scorer: Scorer, rows: pa.Table, stamp: Stamp) -> pa.Table:
    """Scores of some hosts, arm by arm, ranks still 0: those are of all the day's hosts.

    Args:
        rows: of the panel, with the columns ``NEEDED`` at least.
    """
    if not rows.num_rows or not stamp.published:
        return SCORES.schema.empty_table()
    X, names = covariates(rows, stamp.space, stamp.dim)
    assert tuple(names) == scorer.names  # both are of the same space
    scored = scorer.score(X)
    parts = [_of_arm(scorer, scored, rows, stamp, arm) for arm in scorer.arms[1:] if arm in stamp.published]
    return pa.concat_tables(parts)


def _of_arm(scorer: Scorer, scored: Scored, rows: pa.Table, stamp: Stamp, arm: str) -> pa.Table:
    n, place = rows.num_rows, scorer.arms.index(arm) - 1
    status, identified_by = stamp.published[arm]
    in_space = pc.fill_null(pc.equal(rows[Panel.EMBEDDING_SPACE], stamp.space or ""), False)
    columns: dict[str, Any] = {
        Score.DECISION_DS: [stamp.decision_ds] * n,
        Score.HOST: rows[Panel.HOST],
        Score.FAMILY: [stamp.task.family] * n,
        Score.TREATMENT: [arm] * n,
        Score.HORIZON: np.full(n, stamp.task.horizon_days, np.int32),
        Score.OUTCOME: [stamp.task.outcome] * n,
        Score.UPLIFT: scored.effect[:, place],
        Score.UPLIFT_RAW: scored.raw[:, place],
        Score.UPLIFT_SE: scored.error[:, place],
        Score.UPLIFT_LO: scored.lower[:, place],
        Score.UPLIFT_HI: scored.upper[:, place],
        Score.RANK_PCT: np.zeros(n),
        Score.BASELINE: scored.baseline,
        Score.PROPENSITY: scored.propensity[:, place + 1],
        Score.E_MIN: scored.propensity.min(axis=1),
        Score.OVERLAP_OK: scored.overlap.astype(np.int32),
        Score.TRIM_REASON: np.where(scored.overlap, "", NO_OVERLAP),
        Score.N_EFF: scored.segment[:, place],
        Score.EFFECT_SOURCE: [source_of(scorer, arm)] * n,
        Score.SHRINKAGE: np.full(n, scorer.slope(arm)),
        Score.IDENTIFIED_BY: [identified_by] * n,
        Score.SPILLOVER_SHARE: pa.nulls(n, pa.float64()),
        Score.NUDGES_7D: pc.cast(rows[Panel.NUDGES_7], pa.float64()),
        Score.IS_NEW: rows[Panel.IS_NEW],
        Score.EMBEDDING_AS_OF: pc.if_else(in_space, rows[Panel.EMBEDDING_DS], None),
        Score.EMBEDDING_VERSION: pc.if_else(in_space, rows[Panel.EMBEDDING_SPACE], None),
        Score.MODEL_VERSION: [stamp.model_version] * n,
        Score.POLICY_VERSION: pa.nulls(n, pa.string()),
        Score.GATE_STATUS: [status] * n,
        Score.VALID_UNTIL: [stamp.valid_until] * n,
    }
    return pa.table(columns, schema=SCORES.schema)


def source_of(scorer: Scorer, arm: str) -> str:
    """The word of ``effect_source``: both kinds of trees are one."""
    name = scorer.source(arm)
    return name if name in (CONSTANT, LINEAR, MEAN) else GBM


def with_ranks(scores: pa.Table) -> pa.Table:
    """The scores of one fit and all the day's hosts, each with its rank within the arm."""
    from graphrep.uplift.scoring import rank_share

    effect = scores[Score.UPLIFT].to_numpy()
    ranks = np.zeros(len(effect))
    arms = scores[Score.TREATMENT].to_numpy()
    for arm in np.unique(arms) if len(arms) else ():
        ranks[arms == arm] = rank_share(effect[arms == arm])
    place = scores.schema.get_field_index(Score.RANK_PCT)
    return scores.set_column(place, SCORES.schema.field(place), pa.array(ranks))


def last_good(before: pa.Table | None, hosts: pa.Table, task: Task, arm: str, decision_ds: str) -> pa.Table:
    """The scores of a day before that may still be used for an arm that is held back; no rows where there are none.

    Args:
        before: scores of the release that is served.
        hosts: of the panel, of the day that is scored: who is not among them is not scored.
    """
    if before is None:
        return SCORES.schema.empty_table()
    wanted = {
        Score.FAMILY: task.family,
        Score.TREATMENT: arm,
        Score.HORIZON: task.horizon_days,
        Score.OUTCOME: task.outcome,
    }
    chosen = pc.greater_equal(before[Score.VALID_UNTIL], decision_ds)
    chosen = pc.and_(chosen, pc.is_in(before[Score.HOST], hosts[Panel.HOST].combine_chunks()))
    for name, value in wanted.items():
        chosen = pc.and_(chosen, pc.equal(before[name], value))
    rows = before.filter(chosen)
    changed = {Score.DECISION_DS: decision_ds, Score.EFFECT_SOURCE: PREVIOUS, Score.GATE_STATUS: DEGRADED}
    for name, value in changed.items():
        place = rows.schema.get_field_index(name)
        rows = rows.set_column(place, SCORES.schema.field(place), pa.array([value] * rows.num_rows, pa.string()))
    return rows


def in_order(parts: list[pa.Table]) -> pa.Table:
    """All scores of a day, sorted by their grain."""
    whole = pa.concat_tables(parts) if parts else SCORES.schema.empty_table()
    return whole.sort_by([(name, "ascending") for name in SCORES.grain]).combine_chunks()
