"""The fourteen gates: evidence and limits → rows of a verdict. What follows from them: ``gates.decide``.

Where a figure has noise, a gate fails only where the noise cannot explain it, passes where the figure is within its
limit, and is undecided in between.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import NormalDist
from typing import Final, TypeVar

import numpy as np

from graphrep.uplift.gates import CONSEQUENCES, EVERY, LIMITS, Evidence, Outcome, Row, critical
from graphrep.uplift.heldout import HeldOut
from graphrep.uplift.lot import Statistic
from graphrep.uplift.overlap import ArmOverlap
from graphrep.uplift.scores import AverageEffects, quantile

Limits = Mapping[str, float]
T = TypeVar("T")
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
        yield _absent("G1", "clock", EVERY, "no clock")
        return
    for name in ("late", "repeated", "ineligible"):
        count = getattr(found.clock, name)
        yield _row("G1", f"{name} rows", EVERY, count, "0", count == 0)


def _lot(found: Evidence, limits: Limits) -> Iterator[Row]:
    for gate, check in (("G2", "mismatch"), ("G3", "predictability")):
        if found.refutations is None:
            yield _absent(gate, check, EVERY, "no refutations")
            continue
        tested: Statistic | None = getattr(found.refutations, check)
        least = limits[f"{check}_p"]
        if tested is not None:
            yield _row(gate, f"{check} p", EVERY, tested.p, f"≥ {least:g}", tested.p >= least)
        elif found.lot == 0:
            yield _undecided(gate, check, EVERY, NO_LOT)
        else:
            yield _absent(gate, check, EVERY, found.refutations.reasons.get(check, ""))


def _overlap(found: Evidence, limits: Limits) -> Iterator[Row]:
    for arm, one in _each(found.arms, found.overlap, "G4"):
        if isinstance(one, Row):
            yield one
            continue
        yield _most("G4", "trimmed share", arm, one.trimmed, limits["trimmed"])
        least = limits["effective"]
        yield _row("G4", "effective share", arm, one.effective, f"≥ {least:g}", one.effective >= least)
        yield _most("G4", "largest weight", arm, one.largest, max(limits["largest"], FEW / max(one.rows, 1)))
        for family, balance in sorted(one.balance.items()):
            state = _beyond(balance.difference, balance.beyond, limits["difference"])
            limit = f"≤ {limits['difference']:g}"
            yield Row("G4", f"difference of {family}", arm, balance.difference, limit, state, "drop_arm")


def _calibration(found: Evidence, limits: Limits) -> Iterator[Row]:
    for arm, one in _each(found.arms, found.overlap, "G5"):
        if isinstance(one, Row):
            yield one
            continue
        least, most = limits["slope_least"], limits["slope_most"]
        if math.isnan(one.slope):
            yield Row("G5", "slope", arm, math.nan, "", "passed", "drop_arm", "chances do not vary")
        else:
            z = critical(quantile(limits["beyond_level"]), len(found.arms))
            yield _between("G5", "slope", arm, one.slope, z * one.slope_error, least, most)
        yield _gap(arm, one, limits, len(found.arms))


def _gap(arm: str, one: ArmOverlap, limits: Limits, count: int) -> Row:
    z = critical(quantile(limits["beyond_level"]), count)
    lower = one.gap - one.gap_noise - z * one.gap_error
    state = _beyond(max(one.gap - one.gap_noise, 0.0), lower, limits["gap"])
    note = f"{one.gap_noise:.3g} of noise left out"
    value = max(one.gap - one.gap_noise, 0.0)
    return Row("G5", "calibration error", arm, value, f"≤ {limits['gap']:g}", state, "drop_arm", note)


def _negative_control(found: Evidence, limits: Limits) -> Iterator[Row]:
    given = None if found.refutations is None else found.refutations.negative_control
    if found.refutations is None or given is None:
        yield _absent("G6", "negative control", EVERY, _why(found, "negative_control"))
        return
    z_most = critical(limits["control_z"], len(found.arms) - 1)
    for place, arm in enumerate(found.arms[1:]):
        value, error = given.value[place], given.error[place]
        allowed = limits["control_share"] * abs(found.refutations.effects.value[place])
        if abs(value) + quantile(0.90) * error <= allowed:
            yield _row("G6", "negative control", arm, value, f"within ± {allowed:.3g}", True)
        else:
            z = abs(value) / error if error > 0 else math.inf
            state: Outcome = "undecided" if z <= z_most else "failed"
            note = f"z {z:.2f}"
            yield Row("G6", "negative control", arm, value, f"within ± {allowed:.3g}", state, "randomised_only", note)


def _placebo(found: Evidence, limits: Limits) -> Iterator[Row]:
    given = None if found.refutations is None else found.refutations.placebo
    if given is None:
        yield _absent("G7", "placebo", EVERY, _why(found, "placebo"))
        return
    count, arms = given.values.shape
    z_most = critical(limits["placebo_z"], arms)
    mean = given.values.mean(axis=0)
    error = np.sqrt((given.errors**2).mean(axis=0))
    # A bias of a quarter of the error leaves a 95 % interval at 94.3 %: that much is no fault, however often one tries.
    most = limits["placebo_bias"] + z_most / math.sqrt(count)
    for place, arm in enumerate(found.arms[1:]):
        off = abs(float(mean[place])) / float(error[place])
        yield _row("G7", "mean of placebos", arm, off, f"≤ {most:.3g} errors", off <= most)
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


def _held(found: Evidence, limits: Limits) -> Iterator[Row]:
    for arm, one in _each(found.arms[1:], found.held, "G8"):
        if isinstance(one, Row):
            yield one
        elif one.constant:
            yield Row("G8", "calibration", arm, math.nan, "", "passed", "constant", "average effect for all")
        else:
            yield from _held_calibration(arm, one, limits, len(found.arms) - 1)


def _held_calibration(arm: str, one: HeldOut, limits: Limits, arms: int) -> Iterator[Row]:
    least, most = limits["held_least"], limits["held_most"]
    z = critical(quantile(0.95), arms)
    good = abs(one.slope - 1.0) <= z * one.slope_error or least <= one.slope <= most
    yield _row("G8", "slope of held-out scores", arm, one.slope, f"1 within its error, or {least:g} … {most:g}", good)
    p = limits["deciles_p"] / arms
    yield _row("G8", "deciles p", arm, one.deciles.p, f"≥ {p:.2g}", one.deciles.p >= p)


def _skill(found: Evidence, limits: Limits) -> Iterator[Row]:
    z = NormalDist().inv_cdf(limits["skill_level"])
    for arm, one in _each(found.arms[1:], found.held, "G9"):
        if isinstance(one, Row):
            yield one
        elif one.constant:
            yield Row("G9", "skill", arm, math.nan, "", "passed", "constant", "average effect for all")
        else:
            lower = one.skill - z * one.skill_error
            yield _row("G9", "lower bound of the skill", arm, lower, "> 0", lower > 0)


def _ranking(found: Evidence, limits: Limits) -> Iterator[Row]:
    z = NormalDist().inv_cdf(limits["ranking_level"])
    for place, arm in enumerate(found.arms[1:]):
        if found.held is not None and found.held[place].constant:
            yield Row("G10", "ranking", arm, math.nan, "", "passed", "constant", "average effect for all")
        elif found.ranking is None or arm not in found.ranking:
            yield _absent("G10", "ranking", arm, "no ranking")
        else:
            lower = found.ranking[arm].value - z * found.ranking[arm].error
            yield _row("G10", "lower bound of the ranking", arm, lower, "> 0", lower > 0)


def _slices(found: Evidence, limits: Limits) -> Iterator[Row]:
    if found.refutations is None:
        yield _absent("G11", "policy against lot", EVERY, "no refutations")
        return
    if found.lot in (0.0, 1.0):
        note = NO_LOT if found.lot == 0 else "every row drawn by lot"
        state: Outcome = "undecided" if found.lot == 0 else "passed"
        yield Row("G11", "policy against lot", EVERY, math.nan, "", state, CONSEQUENCES["G11"], note)
        return
    by_policy, by_lot = found.refutations.by_policy, found.refutations.by_lot
    if by_policy is None or by_lot is None:
        yield _absent("G11", "policy against lot", EVERY, _why(found, "by_lot" if by_lot is None else "by_policy"))
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


def _stability(found: Evidence, limits: Limits) -> Iterator[Row]:
    for place, arm in enumerate(found.arms[1:]):
        one = None if found.stability is None else found.stability.get(arm)
        if one is None:
            yield _absent("G12", "stability", arm, "nothing of yesterday and no word that there was none")
            continue
        yield _row("G12", "rows without an effect", arm, one.missing, "0", one.missing == 0)
        if one.first:
            yield _undecided("G12", "stability", arm, "the first day")
            continue
        least = limits["spearman"]
        constant = found.held is not None and found.held[place].constant
        if not math.isnan(one.spearman):
            yield _row("G12", "rank correlation", arm, one.spearman, f"≥ {least:g}", one.spearman >= least)
            yield _most("G12", "stability index", arm, one.index, limits["index"])
        elif constant and one.index == 0.0:
            yield Row("G12", "rank correlation", arm, math.nan, "", "passed", "last_good", "the same for all, twice")
        else:
            yield _undecided("G12", "rank correlation", arm, "the same for all on one of the days")
        yield _most("G12", "change of the rows", arm, abs(one.rows), limits["rows"])


def _sensitivity(found: Evidence, limits: Limits) -> Iterator[Row]:
    if found.refutations is None:
        yield _absent("G13", "robustness", EVERY, "no refutations")
        return
    of, effects = found.refutations.sensitivity, found.refutations.effects
    for place, arm in enumerate(found.arms[1:]):
        value, strongest = float(of.robustness[place]), float(of.strongest[place])
        if math.isnan(strongest):
            yield _absent("G13", "robustness", arm, "no family was left out")
        elif abs(effects.value[place]) <= quantile(0.95) * effects.error[place]:
            yield _undecided("G13", "robustness", arm, "no effect that could be explained away")
        else:
            limit = f"> {strongest:.3g}, the strength of {of.family[place]}"
            yield _row("G13", "robustness", arm, value, limit, value > strongest)


def _harm(found: Evidence, limits: Limits) -> Iterator[Row]:
    for arm, one in _each(found.arms[1:], found.held, "G14"):
        yield one if isinstance(one, Row) else _most("G14", "share harmed", arm, one.harmed, limits["harmed"])


def _each(arms: Sequence[str], values: Sequence[T] | None, gate: str) -> Iterator[tuple[str, T | Row]]:
    if values is None:
        yield EVERY, _absent(gate, "figures", EVERY, "no figures")
    else:
        yield from zip(arms, values, strict=True)


def _row(gate: str, check: str, arm: str, value: float, limit: str, good: bool) -> Row:
    # A comparison with NaN is false: what is no number fails.
    return Row(gate, check, arm, float(value), limit, "passed" if good else "failed", CONSEQUENCES[gate])


def _most(gate: str, check: str, arm: str, value: float, most: float) -> Row:
    return _row(gate, check, arm, value, f"≤ {most:g}", value <= most)


def _between(gate: str, check: str, arm: str, value: float, half: float, least: float, most: float) -> Row:
    state: Outcome = "passed" if least <= value <= most else "undecided"
    state = "failed" if value + half < least or value - half > most else state
    return Row(gate, check, arm, value, f"{least:g} … {most:g}", state, CONSEQUENCES[gate])


def _beyond(value: float, lower: float, most: float) -> Outcome:
    if value <= most:
        return "passed"
    return "undecided" if lower <= most else "failed"


def _absent(gate: str, check: str, arm: str, note: str) -> Row:
    return Row(gate, check, arm, math.nan, "", "absent", CONSEQUENCES[gate], note)


def _undecided(gate: str, check: str, arm: str, note: str) -> Row:
    return Row(gate, check, arm, math.nan, "", "undecided", CONSEQUENCES[gate], note)


def _why(found: Evidence, name: str) -> str:
    return "no refutations" if found.refutations is None else found.refutations.reasons.get(name, "")


GATES: Final[tuple[Callable[[Evidence, Limits], Iterator[Row]], ...]] = (
    _clock,
    _lot,
    _overlap,
    _calibration,
    _negative_control,
    _placebo,
    _held,
    _skill,
    _ranking,
    _slices,
    _stability,
    _sensitivity,
    _harm,
)
