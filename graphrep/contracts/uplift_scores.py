"""``golive_uplift_v1``: what one more treatment changes for a host on the day after the data day."""

from __future__ import annotations

from typing import Final

from graphrep.contracts.table import Column, Contract

PASS: Final = "pass"
DEGRADED: Final = "degraded"
UNDECIDED: Final = "undecided"
"""What the gates said of the arm: all passed; some failed, and what they fail to is published; or too few rows."""

GBM: Final = "gbm"
LINEAR: Final = "linear"
MEAN: Final = "mean"
CONSTANT: Final = "constant"
PREVIOUS: Final = "previous"
SOURCES: Final = (GBM, LINEAR, MEAN, CONSTANT, PREVIOUS)
"""What an effect is made of: trees, a line, the mean of several, the average effect, or the scores of a day before."""

RANDOMISED: Final = "randomised"


class Score:
    """Column names of ``golive_uplift_v1``."""

    DECISION_DS = "decision_ds"
    HOST = "host_id"
    FAMILY = "family"
    TREATMENT = "treatment"
    HORIZON = "horizon_days"
    OUTCOME = "outcome"
    UPLIFT = "uplift"
    UPLIFT_RAW = "uplift_raw"
    UPLIFT_SE = "uplift_se"
    UPLIFT_LO = "uplift_lo"
    UPLIFT_HI = "uplift_hi"
    RANK_PCT = "uplift_rank_pct"
    BASELINE = "baseline_p0"
    PROPENSITY = "propensity"
    E_MIN = "e_min"
    OVERLAP_OK = "overlap_ok"
    TRIM_REASON = "trim_reason"
    N_EFF = "n_eff_segment"
    EFFECT_SOURCE = "effect_source"
    SHRINKAGE = "shrinkage_b"
    IDENTIFIED_BY = "identified_by"
    SPILLOVER_SHARE = "spillover_share"
    NUDGES_7D = "history_nudges_7d"
    IS_NEW = "is_new_host"
    EMBEDDING_AS_OF = "embedding_as_of"
    EMBEDDING_VERSION = "embedding_version"
    MODEL_VERSION = "model_version"
    POLICY_VERSION = "policy_version"
    GATE_STATUS = "gate_status"
    VALID_UNTIL = "valid_until"


_EFFECT = "probability, or min for minutes"

SCORES = Contract(
    name="golive_uplift_v1",
    grain=(Score.DECISION_DS, Score.HOST, Score.TREATMENT, Score.HORIZON, Score.OUTCOME),
    owner="recommendation modelling",
    meaning="effect of a treatment against none on one host and day; no row, an expired one, or overlap_ok 0: no boost",
    columns=(
        Column(Score.DECISION_DS, "string", "day that the scores are for, the day after the data day", "YYYY-MM-DD"),
        Column(Score.HOST, "string", "outside key"),
        Column(Score.FAMILY, "string", "nudge or exposure"),
        Column(Score.TREATMENT, "string", "arm, compared with the control of its family"),
        Column(Score.HORIZON, "int32", "within which the outcome counts, the decision day among them", "days"),
        Column(Score.OUTCOME, "string", "live: whether a session began; minutes: of hosting"),
        Column(Score.UPLIFT, "float64", "effect, drawn to the average as far as calibration asks", _EFFECT),
        Column(Score.UPLIFT_RAW, "float64", "effect before it was drawn to the average", _EFFECT),
        Column(Score.UPLIFT_SE, "float64", "standard error of the effect at the host's covariates", _EFFECT),
        Column(Score.UPLIFT_LO, "float64", "lower end of the 90 % interval", _EFFECT),
        Column(Score.UPLIFT_HI, "float64", "upper end of the 90 % interval", _EFFECT),
        Column(Score.RANK_PCT, "float64", "share of the day's hosts with a smaller effect, ties half", "0 to 1"),
        Column(Score.BASELINE, "float64", "expected outcome without treatment", _EFFECT),
        Column(Score.PROPENSITY, "float64", "chance of the treatment under past assignment", "0 to 1"),
        Column(Score.E_MIN, "float64", "chance of the rarest arm under past assignment", "0 to 1"),
        Column(Score.OVERLAP_OK, "int32", "1: hosts like this one had every arm; 0: no boost"),
        Column(Score.TRIM_REASON, "string", "why overlap_ok is 0, empty where it is 1"),
        Column(Score.N_EFF, "float64", "effective training rows of arm and control with an effect like this", "rows"),
        Column(Score.EFFECT_SOURCE, "string", "gbm, linear, mean: of several, constant, or previous: of a day before"),
        Column(Score.SHRINKAGE, "float64", "calibration slope: what deviations were multiplied by", "0 or more"),
        Column(Score.IDENTIFIED_BY, "string", "randomised: rows drawn by lot alone; adjustment: covariates"),
        Column(Score.SPILLOVER_SHARE, "float64", "of neighbours treated; null: not known", "0 to 1", nullable=True),
        Column(Score.NUDGES_7D, "float64", "nudges on the 7 days before; null: not known", nullable=True),
        Column(Score.IS_NEW, "int32", "1: authorised within the 7 days before"),
        Column(Score.EMBEDDING_AS_OF, "string", "data day of the vector among the covariates", nullable=True),
        Column(Score.EMBEDDING_VERSION, "string", "space_id of that vector", nullable=True),
        Column(Score.MODEL_VERSION, "string", "sha256 of the fitted model, its first 16 digits"),
        Column(Score.POLICY_VERSION, "string", "version of the assigning policy; null: not logged", nullable=True),
        Column(Score.GATE_STATUS, "string", "pass, degraded or undecided"),
        Column(Score.VALID_UNTIL, "string", "last day on which the row may be used", "YYYY-MM-DD"),
    ),
)
