"""Fourteen gates between a fitted model and its published rows: limits, verdicts, and what follows from them.

A row of a verdict is passed, failed, undecided (the data cannot tell) or absent (what it needs is not there). Only
passed rows let an arm through as it is; what is absent counts as failed. Tests of several arms or columns share one
error rate, so that more arms do not raise more false alarms.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import NormalDist
from types import MappingProxyType
from typing import Any, Final, Literal, Protocol

from graphrep.errors import ConfigError
from graphrep.uplift.frame import Frame
from graphrep.uplift.heldout import Clock, HeldOut, Stability, held_out
from graphrep.uplift.learner import UpliftLearner
from graphrep.uplift.overlap import ArmOverlap, overlap
from graphrep.uplift.refute import Refutations
from graphrep.uplift.scores import KEPT

Outcome = Literal["passed", "failed", "undecided", "absent"]
Consequence = Literal["block", "drop_arm", "last_good", "randomised_only", "policy_only", "constant", "flag"]

EVERY = ""

# Name of a limit → its default.
LIMITS: Final[Mapping[str, float]] = MappingProxyType(
    {
        "mismatch_p": 1e-4,
        "predictability_p": 1e-3,
        "trimmed": 0.30,
        "effective": 0.10,
        "largest": 0.01,
        "difference": 0.10,
        "slope_least": 0.9,
        "slope_most": 1.1,
        "gap": 0.02,
        "control_share": 0.25,
        "control_z": 2.6,
        "placebo_z": 3.0,
        "placebo_bias": 0.25,
        "placebo_least": 0.8,
        "placebo_most": 1.25,
        "held_least": 0.7,
        "held_most": 1.3,
        "deciles_p": 0.01,
        "deciles_missed": 0.5,
        "skill_level": 0.90,
        "ranking_level": 0.95,
        "slices_z": 3.0,
        "spearman": 0.8,
        "index": 0.2,
        "rows": 0.10,
        "harmed": 0.20,
        # Two-sided level at which an interval is wholly beyond a limit.
        "beyond_level": 0.99,
    }
)

# Gate → what follows where it fails.
CONSEQUENCES: Final[Mapping[str, Consequence]] = MappingProxyType(
    {
        "G1": "block",
        "G2": "last_good",
        "G3": "policy_only",
        "G4": "drop_arm",
        "G5": "drop_arm",
        "G6": "randomised_only",
        "G7": "block",
        "G8": "constant",
        "G9": "constant",
        "G10": "constant",
        "G11": "randomised_only",
        "G12": "last_good",
        "G13": "flag",
        "G14": "flag",
    }
)


class Ranking(Protocol):
    """AUTOC or QINI of the held-out effects, for example ``graphrep.evaluate.metrics.qini``."""

    @property
    def value(self) -> float: ...

    @property
    def error(self) -> float: ...


@dataclass(frozen=True)
class Evidence:
    """What the gates judge; None is absent.

    Attributes:
        arms: names, the control first.
        lot: share of the rows that were drawn by lot.
        overlap: of the arms 0..K.
        held: of the arms 1..K.
        refutations: see ``graphrep.uplift.refute``.
        clock: of the rows to be scored.
        ranking: arm → its ranking on held-out hosts.
        stability: arm → its effects against yesterday's.
    """

    arms: Sequence[str]
    lot: float
    overlap: Sequence[ArmOverlap] | None = None
    held: Sequence[HeldOut] | None = None
    refutations: Refutations | None = None
    clock: Clock | None = None
    ranking: Mapping[str, Ranking] | None = None
    stability: Mapping[str, Stability] | None = None


@dataclass(frozen=True)
class Row:
    """One check of a gate.

    Attributes:
        gate: "G1" … "G14".
        check: what was measured.
        arm: its name, "" for all.
        value: NaN where there is none.
        limit: in words.
        outcome: see the module.
        consequence: what follows where it failed or is absent.
        note: what a reader should know.
    """

    gate: str
    check: str
    arm: str
    value: float
    limit: str
    outcome: Outcome
    consequence: Consequence
    note: str = ""

    def as_record(self) -> dict[str, Any]:
        """Plain data; NaN becomes None."""
        return {**asdict(self), "value": float(self.value) if math.isfinite(self.value) else None}


def with_overrides(overrides: Mapping[str, float]) -> Mapping[str, float]:
    """``LIMITS`` with some of them set by a configuration.

    Raises:
        ConfigError: a name that is no limit, or a value that is not finite.
    """
    for name, value in overrides.items():
        if name not in LIMITS:
            raise ConfigError(f"limits among {', '.join(LIMITS)}", found=repr(name), where="gates")
        if not math.isfinite(value):
            raise ConfigError("a finite limit", found=str(value), where=name)
    return MappingProxyType({**LIMITS, **overrides})


def evidence(
    frame: Frame,
    model: UpliftLearner,
    refutations: Refutations | None = None,
    clock: Clock | None = None,
    ranking: Mapping[str, Ranking] | None = None,
    stability: Mapping[str, Stability] | None = None,
) -> Evidence:
    """The evidence on a model that was fitted to ``frame``; the rest is the caller's."""
    kept = model.trim_reason_ == KEPT
    figures = overlap(frame.X, frame.families, frame.arm, model.propensity_, kept, frame.codes)
    lot = float(frame.randomised.mean())
    return Evidence(frame.arms, lot, figures, held_out(frame, model), refutations, clock, ranking, stability)


def critical(z: float, count: int) -> float:
    """The limit at which ``count`` two-sided tests together reject as often as one does at ``z``.

    >>> critical(2.6, 1), round(critical(2.6, 3), 2)
    (2.6, 2.96)
    """
    if count <= 1:
        return z
    return -NormalDist().inv_cdf((1 - NormalDist().cdf(z)) / count)


@dataclass(frozen=True)
class Decision:
    """What is published of an arm.

    Attributes:
        mode: "pass", "degraded" (something else than was fitted), "undecided" (as it was fitted, and some gate could
            not tell), or "blocked" (nothing).
        source: "chosen" (the fitted effects), "constant" (the average effect), "previous" (the last good day's) or
            "none".
        identified_by: "adjustment" or "randomised". A degraded arm that is randomised gets the average effect of the
            rows drawn by lot, ``Refutations.by_lot``.
        trust_lot: whether the rows drawn by lot may be used as such.
        reasons: rows that are not passed, as text, failed ones first.
        flags: failed rows that change nothing and are to be seen.
    """

    mode: Literal["pass", "degraded", "undecided", "blocked"]
    source: Literal["chosen", "constant", "previous", "none"]
    identified_by: Literal["adjustment", "randomised"]
    trust_lot: bool = True
    reasons: tuple[str, ...] = field(default=())
    flags: tuple[str, ...] = field(default=())


def decide(rows: Iterable[Row], found: Evidence) -> dict[str, Decision]:
    """Arm → what is published of it: the gravest consequence of its rows and of those of all arms.

    A gate that is missing from the rows altogether counts as absent. Effects of the randomised rows alone need such
    rows, and gate G3 to trust them; without, nothing is published.
    """
    given = list(rows)
    here = {row.gate for row in given}
    missing = [gate for gate in CONSEQUENCES if gate not in here]
    given += [Row(gate, "rows", EVERY, math.nan, "", "absent", CONSEQUENCES[gate], "not judged") for gate in missing]
    shared = (EVERY, found.arms[0])
    return {arm: _decision([row for row in given if row.arm in (*shared, arm)], found) for arm in found.arms[1:]}


def _decision(rows: Sequence[Row], found: Evidence) -> Decision:
    broken = [row for row in rows if row.outcome in ("failed", "absent")]
    open_ = [row for row in rows if row.outcome == "undecided"]
    follows = {row.consequence for row in broken}
    trust = "policy_only" not in follows and found.lot > 0
    has_lot = trust and found.refutations is not None and found.refutations.by_lot is not None
    reasons = tuple(_text(row) for row in (*broken, *open_))
    flags = tuple(_text(row) for row in broken if row.consequence == "flag")
    by: Literal["adjustment", "randomised"] = "randomised" if found.lot == 1 and trust else "adjustment"

    def made(mode: Any, source: Any, by: Any = by) -> Decision:
        return Decision(mode, source, by, trust, reasons, flags)

    if follows & {"block", "drop_arm"}:
        return made("blocked", "none")
    if "last_good" in follows:
        return made("degraded", "previous")
    if "randomised_only" in follows:
        # The slice is too small to tell hosts apart: its average effect is what it knows.
        return made("degraded", "constant", "randomised") if has_lot else made("blocked", "none")
    if "constant" in follows:
        return made("degraded", "constant")
    if "policy_only" in follows:
        return made("degraded", "chosen")
    absent = any(row.outcome == "absent" for row in broken)
    return made("undecided" if open_ or absent else "pass", "chosen")


def _text(row: Row) -> str:
    arm = f" of {row.arm}" if row.arm else ""
    value = f" is {row.value:.3g}, expected {row.limit}" if math.isfinite(row.value) else ""
    note = f" ({row.note})" if row.note else ""
    return f"{row.outcome}: {row.gate} {row.check}{arm}{value}{note}"
