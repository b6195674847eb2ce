"""The gates that look at the effects of single hosts: calibration, skill, ranking, stability, harm."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from statistics import NormalDist

from graphrep.uplift import rows
from graphrep.uplift.gates import Evidence, Row, critical
from graphrep.uplift.heldout import HeldOut
from graphrep.uplift.scores import quantile

Limits = Mapping[str, float]


def held(found: Evidence, limits: Limits) -> Iterator[Row]:
    """G8: held-out effects are calibrated, by their slope and by decile."""
    for arm, one in rows.each(found.arms[1:], found.held, "G8"):
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
    yield rows.row(
        "G8", "slope of held-out scores", arm, one.slope, f"1 within its error, or {least:g} … {most:g}", good
    )
    p = limits["deciles_p"] / arms
    most = limits["deciles_missed"]
    good = one.deciles.p >= p or one.missed <= most
    yield rows.row("G8", "deciles p", arm, one.deciles.p, f"≥ {p:.2g}, or misses up to {most:g} of the spread", good)


def skill(found: Evidence, limits: Limits) -> Iterator[Row]:
    """G9: they are better than the average effect."""
    z = NormalDist().inv_cdf(limits["skill_level"])
    for arm, one in rows.each(found.arms[1:], found.held, "G9"):
        if isinstance(one, Row):
            yield one
        elif one.constant:
            yield Row("G9", "skill", arm, math.nan, "", "passed", "constant", "average effect for all")
        else:
            lower = one.skill - z * one.skill_error
            yield rows.row("G9", "lower bound of the skill", arm, lower, "> 0", lower > 0)


def ranking(found: Evidence, limits: Limits) -> Iterator[Row]:
    """G10: they rank."""
    z = NormalDist().inv_cdf(limits["ranking_level"])
    for place, arm in enumerate(found.arms[1:]):
        if found.held is not None and found.held[place].constant:
            yield Row("G10", "ranking", arm, math.nan, "", "passed", "constant", "average effect for all")
        elif found.ranking is None or arm not in found.ranking:
            yield rows.absent("G10", "ranking", arm, "no ranking")
        else:
            lower = found.ranking[arm].value - z * found.ranking[arm].error
            yield rows.row("G10", "lower bound of the ranking", arm, lower, "> 0", lower > 0)


def stability(found: Evidence, limits: Limits) -> Iterator[Row]:
    """G12: they are like yesterday's."""
    for place, arm in enumerate(found.arms[1:]):
        one = None if found.stability is None else found.stability.get(arm)
        if one is None:
            yield rows.absent("G12", "stability", arm, "nothing of yesterday and no word that there was none")
            continue
        yield rows.row("G12", "rows without an effect", arm, one.missing, "0", one.missing == 0)
        if one.first:
            yield rows.undecided("G12", "stability", arm, "the first day")
            continue
        least, held = limits["spearman"], None if found.held is None else found.held[place]
        constant = held is not None and held.constant
        if not math.isnan(one.spearman):
            yield rows.row("G12", "rank correlation", arm, one.spearman, f"≥ {least:g}", one.spearman >= least)
            most = one.bearable(limits["index"], 0.0 if held is None else held.slope_error)
            yield rows.most("G12", "stability index", arm, one.index, most)
        elif constant and one.index == 0.0:
            yield Row("G12", "rank correlation", arm, math.nan, "", "passed", "last_good", "the same for all, twice")
        else:
            yield rows.undecided("G12", "rank correlation", arm, "the same for all on one of the days")
        yield rows.most("G12", "change of the rows", arm, abs(one.rows), limits["rows"])


def harm(found: Evidence, limits: Limits) -> Iterator[Row]:
    """G14: how many hosts they harm."""
    for arm, one in rows.each(found.arms[1:], found.held, "G14"):
        yield one if isinstance(one, Row) else rows.most("G14", "share harmed", arm, one.harmed, limits["harmed"])
