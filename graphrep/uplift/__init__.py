"""What a nudge, or a live impression, changes: cross-fitted effects of several arms with intervals."""

from graphrep.uplift.checks import host_days
from graphrep.uplift.frame import Frame, small_arms
from graphrep.uplift.gates import LIMITS, Decision, Evidence, Row, decide, evidence, with_overrides
from graphrep.uplift.heldout import Clock, HeldOut, Stability, clock, held_out, stability
from graphrep.uplift.judge import judge
from graphrep.uplift.learner import UpliftLearner
from graphrep.uplift.overlap import ArmOverlap, overlap
from graphrep.uplift.policy import Allocation, allocate
from graphrep.uplift.refute import Plan, Refutations, refute
from graphrep.uplift.scores import AverageEffects, average_effects, potential_outcomes
from graphrep.uplift.splits import forward_folds, host_folds

__all__ = [
    "LIMITS",
    "Allocation",
    "ArmOverlap",
    "AverageEffects",
    "Clock",
    "Decision",
    "Evidence",
    "Frame",
    "HeldOut",
    "Plan",
    "Refutations",
    "Row",
    "Stability",
    "UpliftLearner",
    "allocate",
    "average_effects",
    "clock",
    "decide",
    "evidence",
    "forward_folds",
    "held_out",
    "host_days",
    "host_folds",
    "judge",
    "overlap",
    "potential_outcomes",
    "refute",
    "small_arms",
    "stability",
    "with_overrides",
]
