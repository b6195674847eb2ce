"""One fit of the uplift: rows, refutations, gates, and what each arm may be scored with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from graphrep.config import Config
from graphrep.errors import InputError
from graphrep.pipeline.uplift_frame import Task, Training, training
from graphrep.pipeline.uplift_judge import BY_LOT, CONSTANT, EFFECTS, NONE, PREVIOUS, Verdict, judge, without_lot

if TYPE_CHECKING:
    from graphrep.uplift import Frame
    from graphrep.uplift.scoring import Scorer


@dataclass(frozen=True)
class Model:
    """A scorer, and arm → (gate status, identified by) of the arms that it scores."""

    scorer: Scorer
    published: Mapping[str, tuple[str, str]]


@dataclass(frozen=True)
class Fitted:
    """A task after its fit.

    Attributes:
        models: name of its file → model; none where everything is held back.
        record: what the run log and the manifest tell of it.
        evidence: what the report shows of it.
        space, dim: of the embeddings among its covariates.
    """

    task: Task
    models: Mapping[str, Model]
    record: dict[str, Any]
    evidence: dict[str, Any]
    space: str | None = None
    dim: int = 0


def held_back(task: Task, reason: str) -> Fitted:
    """A task of which nothing could be fitted."""
    arms = [{"treatment": arm, "mode": PREVIOUS, "status": "none", "reasons": [reason]} for arm in task.arms[1:]]
    record = {**_about(task), "refused": reason, "arms": arms, "gates": []}
    return Fitted(task, {}, record, {**record, "segments": [], "overlap": []})


@dataclass(frozen=True)
class Given:
    """What a task is fitted from.

    Attributes:
        past: of the panel, days before the one that is scored.
        hosts: of the panel, that day.
        before: scores of the release that is served; None where there are none.
        space, dim: of the embeddings that count; None and 0 without.
    """

    past: pa.Table
    hosts: pa.Table
    before: pa.Table | None
    space: str | None
    dim: int


def fit_task(config: Config, task: Task, given: Given) -> Fitted:
    """Fit and judge a task.

    Raises:
        InputError: what cannot be fitted at all; see ``graphrep.uplift.checks`` and ``graphrep.uplift.frame``.
    """
    from graphrep.uplift.scoring import Scorer

    rows = training(given.past, task, given.space, given.dim)
    frame, small = _large_enough(config, rows.frame, task)
    model = _fit(config, frame)
    verdict = judge(config, task, frame, model, given.hosts, given.before)
    if not verdict.trusts_lot:
        frame = without_lot(frame)
        model = _fit(config, frame)
    modes = {arm: verdict.mode(arm) for arm in frame.arms[1:]}
    constant = frozenset(arm for arm, mode in modes.items() if mode == CONSTANT)
    own = {a: _published(verdict, a) for a, mode in modes.items() if mode in (EFFECTS, CONSTANT)}
    models = {task.name: Model(Scorer.of(model, frame, constant), own)} if own else {}
    lot = [arm for arm, mode in modes.items() if mode == BY_LOT]
    if lot:
        by_lot, modes = _by_lot(config, frame, verdict, modes, lot)
        models |= {f"{task.name}-lot": by_lot} if by_lot else {}
    evidence = _evidence(config, frame, model, verdict)
    record = {**_about(task), "refused": None, **_counts(frame, rows.left_out), "boost": _boost(rows)}
    record["arms"] = [_arm(evidence, verdict, modes, small, arm) for arm in task.arms[1:]]
    record["gates"] = [row for row in verdict.rows if row["outcome"] != "passed"]
    shown = {**record, **evidence, "gates": verdict.rows, "refutations": verdict.refutations}
    return Fitted(task, models, record, shown, given.space, given.dim)


def _large_enough(config: Config, frame: Frame, task: Task) -> tuple[Frame, dict[str, str]]:
    """The frame without arms that are too small to be judged, and why each of them is."""
    from graphrep.uplift import small_arms

    small = small_arms(frame, config.uplift.fit.min_arm_rows, config.uplift.fit.min_arm_positive)
    if task.arms[0] in small or len(small) == len(task.arms) - 1:
        found = "; ".join(f"{arm}: {reason}" for arm, reason in small.items())
        raise InputError("a control and an arm with enough rows", found=found, where=task.name)
    return (frame.without_arms(small) if small else frame), small


def _fit(config: Config, frame: Frame) -> Any:
    logged = None if np.isnan(frame.propensity).all() else frame.propensity
    return learner(config).fit(frame.X, frame.arm, frame.outcome, logged, groups=frame.host)


def _published(verdict: Verdict, arm: str) -> tuple[str, str]:
    own = verdict.decisions[arm]
    return own.mode, own.identified_by


def learner(config: Config, **changed: Any) -> Any:
    """The learner of the settings."""
    from graphrep.uplift import UpliftLearner

    fit = config.uplift.fit
    given = {"folds": fit.folds, "halves": fit.halves, "seed": config.seed, **changed}
    return UpliftLearner(**given)


def _by_lot(
    config: Config, frame: Frame, verdict: Verdict, modes: dict[str, str], lot: list[str]
) -> tuple[Model | None, dict[str, str]]:
    """A model of the rows drawn by lot alone, for arms whose adjustment was refuted; none where those are too few."""
    from graphrep.uplift import small_arms
    from graphrep.uplift.scoring import Scorer

    fit = config.uplift.fit
    rows = frame.take(frame.randomised)
    small = small_arms(rows, fit.min_arm_rows, fit.min_arm_positive) if len(rows) else {arm: "" for arm in frame.arms}
    enough = [arm for arm in lot if arm not in small and frame.arms[0] not in small]
    modes = {arm: NONE if arm in lot and arm not in enough else mode for arm, mode in modes.items()}
    if not enough:
        return None, modes
    rows = rows.without_arms(small) if small else rows
    own = {arm: _published(verdict, arm) for arm in enough}
    return Model(Scorer.of(_fit(config, rows), rows, frozenset(enough)), own), modes


def _boost(rows: Training) -> dict[str, Any] | None:
    """What a boost of exposure that was drawn by lot changes; None for nudges, and where none was drawn."""
    from graphrep.uplift import figures

    return figures.boosted(rows.frame.outcome, rows.boost, rows.boost_chance, rows.frame.codes)


def _about(task: Task) -> dict[str, Any]:
    return {"family": task.family, "outcome": task.outcome, "horizon_days": task.horizon_days}


def _counts(frame: Frame, left_out: dict[str, int]) -> dict[str, Any]:
    days = np.datetime_as_string(np.array([frame.day.min(), frame.day.max()])).tolist()
    lot = int(frame.randomised.sum())
    hosts = len(np.unique(frame.host))
    return {"rows": len(frame), "hosts": hosts, "days": days, "by_lot": lot, "left_out": left_out}


def _arm(
    evidence: Mapping[str, Any], verdict: Verdict, modes: Mapping[str, str], small: Mapping[str, str], arm: str
) -> dict[str, Any]:
    if arm in small:
        return {"treatment": arm, "mode": PREVIOUS, "status": "none", "reasons": [small[arm]]}
    (shown,) = (one for one in evidence["effects"] if one["treatment"] == arm)
    own = verdict.decisions[arm]
    return {
        "treatment": arm,
        "mode": modes[arm],
        "status": own.mode,
        "identified_by": own.identified_by,
        "reasons": list(own.reasons),
        **{name: shown[name] for name in ("effect", "naive", "randomised", "least_detectable", "chosen")},
    }


def _evidence(config: Config, frame: Frame, model: Any, verdict: Verdict) -> dict[str, Any]:
    from graphrep.uplift import figures

    names = [name.replace("__", ".", 1) for name in config.uplift.fit.segments]
    every = range(1, frame.n_arms)
    return {
        "effects": [figures.arm_figures(frame, model, arm, verdict.by_lot) for arm in every],
        "segments": figures.segments(frame, model, names),
        "overlap": [
            {"arm": name, **figures.histogram(model.propensity_, frame.arm, number)}
            for number, name in enumerate(frame.arms)
        ],
    }
