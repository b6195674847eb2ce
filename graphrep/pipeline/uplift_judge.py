"""The gates of a fit: what they are shown, and what they leave of each arm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from graphrep.config import Config
from graphrep.contracts.uplift import EXPOSURE, Panel
from graphrep.contracts.uplift_scores import Score
from graphrep.pipeline.uplift_frame import Task, covariates

if TYPE_CHECKING:
    from graphrep.uplift import AverageEffects, Frame, UpliftLearner
    from graphrep.uplift.gates import Decision
    from graphrep.uplift.refute import Refutations

EFFECTS, CONSTANT, BY_LOT, PREVIOUS, NONE = "effects", "constant", "by_lot", "previous", "none"
"""What an arm is scored with: its effects, its average effect, that of the rows drawn by lot, a day before, nothing."""

BLIND = ("history.live_days_1", "history.days_since_live")
"""Covariates that are the negative control itself, or tell it."""


@dataclass(frozen=True)
class Verdict:
    """What the gates left.

    Attributes:
        decisions: arm → decision.
        rows: every check, as plain data.
        refutations: what was tried, as plain data.
        by_lot: average effects of the rows drawn by lot; None where there are too few.
        all_by_lot: whether there are no other rows.
    """

    decisions: Mapping[str, Decision]
    rows: list[dict[str, Any]]
    refutations: dict[str, Any]
    by_lot: AverageEffects | None
    all_by_lot: bool

    @property
    def trusts_lot(self) -> bool:
        """Whether the rows drawn by lot are what the log says."""
        return all(own.trust_lot for own in self.decisions.values())

    def mode(self, arm: str) -> str:
        """One of the words above."""
        own = self.decisions[arm]
        if own.source == "constant" and own.identified_by == "randomised" and not self.all_by_lot:
            return BY_LOT
        return {"chosen": EFFECTS, "constant": CONSTANT, "previous": PREVIOUS}.get(own.source, NONE)


def judge(
    config: Config, task: Task, frame: Frame, model: UpliftLearner, hosts: pa.Table, before: pa.Table | None
) -> Verdict:
    """Refute a fitted model as the settings ask, and let the gates decide.

    Args:
        hosts: of the panel, of the day that is scored.
        before: scores of the release that is served.
    """
    from graphrep.evaluate.uplift import qini
    from graphrep.uplift import UpliftLearner, gates
    from graphrep.uplift import judge as judge_rows
    from graphrep.uplift.refute import Plan, refute

    fit = config.uplift.fit
    factory = partial(_plain_learner, UpliftLearner, fit.folds)
    intensity = frame.arms[1:] if task.family == EXPOSURE else ()
    plan = Plan(placebos=fit.placebos, blind=BLIND, intensity=tuple(intensity), seed=config.seed)
    refutations = refute(frame, factory, plan)
    kept = model.trim_reason_ == ""
    ranking = {
        arm: qini(model.held_[kept, place], model.scores_[kept, place], groups=frame.host[kept], seed=config.seed)
        for place, arm in enumerate(frame.arms[1:])
    }
    found = gates.evidence(
        frame, model, refutations, _clock(hosts), ranking, _stability(task, frame, model, hosts, before)
    )
    rows = judge_rows(found, gates.with_overrides(fit.limits))
    return Verdict(
        decisions=gates.decide(rows, found),
        rows=[row.as_record() for row in rows],
        refutations=_shown(refutations),
        by_lot=refutations.by_lot,
        all_by_lot=bool(frame.randomised.all()),
    )


def _plain_learner(learner: Any, folds: int, seed: int) -> Any:
    return learner(folds=folds, candidates=(), halves=2, seed=seed)


def without_lot(frame: Frame) -> Frame:
    """The frame with the rows drawn by lot as rows of the policy: their logged chances are not believed."""
    chances = np.where(frame.randomised[:, None], np.nan, frame.propensity)
    return replace(frame, propensity=chances, randomised=np.zeros(len(frame), dtype=np.bool_))


def _clock(hosts: pa.Table) -> Any:
    """Counts of what is wrong with the rows to be scored; a vector's day counts like that of any covariate."""
    from graphrep.uplift.heldout import clock

    as_of = pc.max_element_wise(hosts[Panel.AS_OF], pc.fill_null(hosts[Panel.EMBEDDING_DS], ""))
    eligible = np.ones(hosts.num_rows, dtype=np.bool_)  # the panel holds no other hosts
    return clock(hosts[Panel.HOST].to_numpy(), hosts[Panel.DS].to_numpy(), as_of.to_numpy(), eligible)


def _stability(
    task: Task, frame: Frame, model: UpliftLearner, hosts: pa.Table, before: pa.Table | None
) -> dict[str, Any]:
    from graphrep.uplift.heldout import stability

    today = model.predict(_columns(frame, hosts))
    found = {}
    for place, arm in enumerate(frame.arms[1:]):
        old = None if before is None else _of(before, task, arm)
        there = old is not None and old.num_rows > 0
        found[arm] = stability(
            today[:, place],
            hosts[Panel.HOST].to_numpy(),
            old[Score.UPLIFT].to_numpy() if there and old is not None else None,
            old[Score.HOST].to_numpy() if there and old is not None else None,
        )
    return found


def _columns(frame: Frame, hosts: pa.Table) -> Any:
    """Covariates of hosts in the columns of a frame."""
    dim = sum(name.startswith("embedding.") for name in frame.names)
    spaces = hosts[Panel.EMBEDDING_SPACE].drop_null().unique().to_pylist()
    return covariates(hosts, spaces[0] if dim else None, max(dim - 1, 0))[0]


def _of(scores: pa.Table, task: Task, arm: str) -> pa.Table:
    chosen = pc.and_(pc.equal(scores[Score.TREATMENT], arm), pc.equal(scores[Score.HORIZON], task.horizon_days))
    return scores.filter(pc.and_(chosen, pc.equal(scores[Score.OUTCOME], task.outcome)))


def _shown(found: Refutations) -> dict[str, Any]:
    """Of the refutations what the report tells, as plain data."""

    def pair(effects: AverageEffects | None) -> Any:
        return None if effects is None else {"value": effects.value.tolist(), "error": effects.error.tolist()}

    return {
        "negative_control": pair(found.negative_control),
        "future": pair(found.future),
        "random_cause": pair(found.cause),
        "by_policy": pair(found.by_policy),
        "by_lot": pair(found.by_lot),
        "without": {family: pair(effects) for family, effects in found.without.items()},
        "placebo": None if found.placebo is None else found.placebo.values.mean(axis=0).tolist(),
        "a_a": found.a_a,
        "robustness": found.sensitivity.robustness.tolist(),
        "not_tried": dict(found.reasons),
    }
