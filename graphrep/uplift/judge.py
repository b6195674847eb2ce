"""The fourteen gates: evidence and limits → rows of a verdict. What follows from them: ``gates.decide``.

Where a figure has noise, a gate fails only where the noise cannot explain it, passes where the figure is within its
limit, and is undecided in between.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import numpy as np

from graphrep.uplift import judge_effects, rows
from graphrep.uplift.gates import CONSEQUENCES, EVERY, LIMITS, Evidence, Outcome, Row, critical
from graphrep.uplift.lot import Statistic
from graphrep.uplift.overlap import ArmOverlap
from graphrep.uplift.scores import AverageEffects, quantile

Limits = Mapping[str, float]
NO_LOT = "no rows drawn by lot"
# A row may weigh as much as so many of an arm: 1 % of 2,000 rows, and no less where there are fewer.
FEW = 20


def judge(found: Evidence, limits: Limits = LIMITS) -> list[Row]:
    """Every row of every gate, G1 first.

    Args:
        found: the evidence; what is None gives absent rows.
        limits: ``LIMITS``, or ``with_overrides`` of them.

    >>> rows = judge(Evidence(arms=("none", "push"), lot=0.0))
    >>> {row.outcome for row in rows}, len({row.gate for row in rows})
    ({'absent'}, 14)
    """
    return [row for gate in GATES for row in gate(found, limits)]


def _clock(found: Evidence, limits: Limits) -> Iterator[Row]:
    if found.clock is None:
        yield rows.absent("G1", "clock", EVERY, "no clock")
        return
    for name in ("late", "repeated", "ineligible"):
        count = getattr(found.clock, name)
        yield rows.row("G1", f"{name} rows", EVERY, count, "0", count == 0)


def _lot(found: Evidence, limits: Limits) -> Iterator[Row]:
    for gate, check in (("G2", "mismatch"), ("G3", "predictability")):
        if found.refutations is None:
            yield rows.absent(gate, check, EVERY, "no refutations")
            continue
        tested: Statistic | None = getattr(found.refutations, check)
        least = limits[f"{check}_p"]
        if tested is not None:
            yield rows.row(gate, f"{check} p", EVERY, tested.p, f"≥ {least:g}", tested.p >= least)
        elif found.lot == 0:
            yield rows.undecided(gate, check, EVERY, NO_LOT)
        else:
            yield rows.absent(gate, check, EVERY, found.refutations.reasons.get(check, ""))


def _overlap(found: Evidence, limits: Limits) -> Iterator[Row]:
    for arm, one in rows.each(found.arms, found.overlap, "G4"):
        if isinstance(one, Row):
            yield one
            continue
        yield rows.most("G4", "trimmed share", arm, one.trimmed, limits["trimmed"])
        least = limits["effective"]
        yield rows.row("G4", "effective share", arm, one.effective, f"≥ {least:g}", one.effective >= least)
        yield rows.most("G4", "largest weight", arm, one.largest, max(limits["largest"], FEW / max(one.rows, 1)))
        for family, balance in sorted(one.balance.items()):
            state = rows.beyond(balance.difference, balance.beyond, limits["difference"])
            limit = f"≤ {limits['difference']:g}"
            yield Row("G4", f"difference of {family}", arm, balance.difference, limit, state, "drop_arm")


def _calibration(found: Evidence, limits: Limits) -> Iterator[Row]:
    for arm, one in rows.each(found.arms, found.overlap, "G5"):
        if isinstance(one, Row):
            yield one
            continue
        least, most = limits["slope_least"], limits["slope_most"]
        if math.isnan(one.slope):
            yield Row("G5", "slope", arm, math.nan, "", "passed", "drop_arm", "chances do not vary")
        else:
            z = critical(quantile(limits["beyond_level"]), len(found.arms))
            yield rows.between("G5", "slope", arm, one.slope, z * one.slope_error, least, most)
        yield _gap(arm, one, limits, len(found.arms))


def _gap(arm: str, one: ArmOverlap, limits: Limits, count: int) -> Row:
    z = critical(quantile(limits["beyond_level"]), count)
    lower = one.gap - one.gap_noise - z * one.gap_error
    state = rows.beyond(max(one.gap - one.gap_noise, 0.0), lower, limits["gap"])
    note = f"{one.gap_noise:.3g} of noise left out"
    value = max(one.gap - one.gap_noise, 0.0)
    return Row("G5", "calibration error", arm, value, f"≤ {limits['gap']:g}", state, "drop_arm", note)


def _negative_control(found: Evidence, limits: Limits) -> Iterator[Row]:
    given = None if found.refutations is None else found.refutations.negative_control
    if found.refutations is None or given is None:
        yield rows.absent("G6", "negative control", EVERY, rows.why(found, "negative_control"))
        return
    z_most = critical(limits["control_z"], len(found.arms) - 1)
    for place, arm in enumerate(found.arms[1:]):
        value, error = given.value[place], given.error[place]
        allowed = limits["control_share"] * abs(found.refutations.effects.value[place])
        if abs(value) + quantile(0.90) * error <= allowed:
            yield rows.row("G6", "negative control", arm, value, f"within ± {allowed:.3g}", True)
        else:
            z = abs(value) / error if error > 0 else math.inf
            state: Outcome = "undecided" if z <= z_most else "failed"
            note = f"z {z:.2f}"
            yield Row("G6", "negative control", arm, value, f"within ± {allowed:.3g}", state, "randomised_only", note)


def _placebo(found: Evidence, limits: Limits) -> Iterator[Row]:
    given = None if found.refutations is None else found.refutations.placebo
    if given is None:
        yield rows.absent("G7", "placebo", EVERY, rows.why(found, "placebo"))
        return
    count, arms = given.values.shape
    z_most = critical(limits["placebo_z"], arms)
    mean = given.values.mean(axis=0)
    error = np.sqrt((given.errors**2).mean(axis=0))
    # A bias of a quarter of the error leaves a 95 % interval at 94.3 %: that much is no fault, however often one tries.
    most = limits["placebo_bias"] + z_most / math.sqrt(count)
    for place, arm in enumerate(found.arms[1:]):
        off = abs(float(mean[place])) / float(error[place])
        yield rows.row("G7", "mean of placebos", arm, off, f"≤ {most:.3g} errors", off <= most)
    # Arms share the control, so that two of them tell as much as one and a half. A spread of few draws is too small
    # by 1/(2 degrees) in the logarithm, and known to 1/√(2 degrees).
    degrees = (count - 1) * (arms + 1) / 2
    ratio = math.sqrt((given.errors**2).sum() / (given.values.var(axis=0, ddof=1) * count).sum())
    ratio *= math.exp(-1 / (2 * degrees))
    spread = quantile(limits["beyond_level"]) / math.sqrt(2 * degrees)
    low, high = ratio * math.exp(-spread), ratio * math.exp(spread)
    least, most = limits["placebo_least"], limits["placebo_most"]
    state: Outcome = "passed" if least <= ratio <= most else "undecided"
    state = "failed" if high < least or low > most else state
    yield Row("G7", "reported error over spread", EVERY, ratio, f"{least:g} … {most:g}", state, "block")


def _slices(found: Evidence, limits: Limits) -> Iterator[Row]:
    if found.refutations is None:
        yield rows.absent("G11", "policy against lot", EVERY, "no refutations")
        return
    if found.lot in (0.0, 1.0):
        note = NO_LOT if found.lot == 0 else "every row drawn by lot"
        state: Outcome = "undecided" if found.lot == 0 else "passed"
        yield Row("G11", "policy against lot", EVERY, math.nan, "", state, CONSEQUENCES["G11"], note)
        return
    by_policy, by_lot = found.refutations.by_policy, found.refutations.by_lot
    if by_policy is None or by_lot is None:
        yield rows.absent(
            "G11", "policy against lot", EVERY, rows.why(found, "by_lot" if by_lot is None else "by_policy")
        )
        return
    yield from _difference(found, by_policy, by_lot, limits)


def _difference(found: Evidence, one: AverageEffects, two: AverageEffects, limits: Limits) -> Iterator[Row]:
    most = critical(limits["slices_z"], len(found.arms) - 1)
    for place, arm in enumerate(found.arms[1:]):
        error = math.hypot(one.error[place], two.error[place])
        z = float(abs(one.value[place] - two.value[place])) / error
        state: Outcome = "failed" if z > most else "passed"
        # A difference as large as the effect itself would have to be seen.
        if state == "passed" and most * error > abs(two.value[place]):
            state = "undecided"
        note = f"seen from a difference of {most * error:.2g} on"
        yield Row("G11", "policy against lot", arm, z, f"≤ {most:.3g} errors", state, "randomised_only", note)


def _sensitivity(found: Evidence, limits: Limits) -> Iterator[Row]:
    if found.refutations is None:
        yield rows.absent("G13", "robustness", EVERY, "no refutations")
        return
    of, effects = found.refutations.sensitivity, found.refutations.effects
    for place, arm in enumerate(found.arms[1:]):
        value, strongest = float(of.robustness[place]), float(of.strongest[place])
        if math.isnan(strongest):
            yield rows.absent("G13", "robustness", arm, "no family was left out")
        elif abs(effects.value[place]) <= quantile(0.95) * effects.error[place]:
            yield rows.undecided("G13", "robustness", arm, "no effect that could be explained away")
        else:
            limit = f"> {strongest:.3g}, the strength of {of.family[place]}"
            yield rows.row("G13", "robustness", arm, value, limit, value > strongest)


GATES: Final[tuple[Callable[[Evidence, Limits], Iterator[Row]], ...]] = (
    _clock,
    _lot,
    _overlap,
    _calibration,
    _negative_control,
    _placebo,
    judge_effects.held,
    judge_effects.skill,
    judge_effects.ranking,
    _slices,
    judge_effects.stability,
    _sensitivity,
    judge_effects.harm,
)
