"""What a nudge, or a live impression, changes: cross-fitted effects of several arms with intervals."""

from graphrep.uplift.checks import host_days
from graphrep.uplift.learner import UpliftLearner
from graphrep.uplift.scores import AverageEffects, average_effects, potential_outcomes
from graphrep.uplift.splits import forward_folds, host_folds

__all__ = [
    "AverageEffects",
    "UpliftLearner",
    "average_effects",
    "forward_folds",
    "host_days",
    "host_folds",
    "potential_outcomes",
]
