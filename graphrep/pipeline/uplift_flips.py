"""``uplift_sign_flips``: how many hosts would be treated where yesterday they would not, or the other way round."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from graphrep.contracts.uplift_scores import PREVIOUS, Score
from graphrep.evaluate.gates import Measurement
from graphrep.pipeline.context import Run
from graphrep.pipeline.measure import Before
from graphrep.pipeline.uplift import day_scores, scores_of

GATE = "uplift_sign_flips"


def sign_flips(run: Run, ds: str, before: Before | None, *, without: bool = False) -> list[Measurement]:
    """The share of the hosts of both days whose best arm changed its sign, for each fit; nothing where there is none.

    A host's best arm is that with the largest effect in the release that is served, among arms that both days have;
    rows of a day before, and hosts without overlap, are left out on either side. Of a day that goes without its uplift
    that alone is told.
    """
    if without:
        return [Measurement(GATE, "all", None, note="the day goes without its uplift, which was not there")]
    now = day_scores(run, ds)
    if now is None:
        return []
    then = scores_of(run, before.release.release_id) if before else None
    found = []
    for family, outcome, horizon in _fits(now):
        name = f"{family}/{outcome}_{horizon}d"
        if then is None:
            found.append(Measurement(GATE, name, None, note="no scores before"))
            continue
        today, yesterday = (_usable(scores, family, outcome, horizon) for scores in (now, then))
        found.append(_flips(name, today, yesterday))
    return found


def _fits(scores: pa.Table) -> list[tuple[str, str, int]]:
    rows = scores.group_by([Score.FAMILY, Score.OUTCOME, Score.HORIZON]).aggregate([]).to_pylist()
    return sorted((row[Score.FAMILY], row[Score.OUTCOME], row[Score.HORIZON]) for row in rows)


def _usable(scores: pa.Table, family: str, outcome: str, horizon: int) -> pa.Table:
    wanted = {Score.FAMILY: family, Score.OUTCOME: outcome, Score.HORIZON: horizon, Score.OVERLAP_OK: 1}
    chosen = pc.not_equal(scores[Score.EFFECT_SOURCE], PREVIOUS)
    for column, value in wanted.items():
        chosen = pc.and_(chosen, pc.equal(scores[column], value))
    return scores.filter(chosen)


def _flips(name: str, today: pa.Table, yesterday: pa.Table) -> Measurement:
    arms = sorted(set(today[Score.TREATMENT].to_pylist()) & set(yesterday[Score.TREATMENT].to_pylist()))
    hosts = sorted(set(today[Score.HOST].to_pylist()) & set(yesterday[Score.HOST].to_pylist()))
    if not arms or not hosts:
        return Measurement(GATE, name, None, note="no arm and host on both days")
    now, then = (_effects(scores, hosts, arms) for scores in (today, yesterday))
    then = np.where(np.isnan(now), np.nan, then)
    there = ~np.isnan(then).all(axis=1)
    best = np.argmax(np.where(np.isnan(then[there]), -np.inf, then[there]), axis=1)
    rows = np.arange(len(best))
    flipped = np.sign(now[there][rows, best]) != np.sign(then[there][rows, best])
    if not len(flipped):
        return Measurement(GATE, name, None, note="no arm and host on both days")
    return Measurement(GATE, name, float(flipped.mean()), rows=len(flipped), note=f"arms {', '.join(arms)}")


def _effects(scores: pa.Table, hosts: list[str], arms: list[str]) -> npt.NDArray[np.float64]:
    """(hosts, arms), NaN where a host has no usable effect."""
    found = np.full((len(hosts), len(arms)), np.nan)
    row = pc.index_in(scores[Score.HOST], pa.array(hosts, pa.string())).to_numpy()
    column = pc.index_in(scores[Score.TREATMENT], pa.array(arms, pa.string())).to_numpy()
    known = ~(np.isnan(row.astype(float)) | np.isnan(column.astype(float)))
    found[row[known].astype(int), column[known].astype(int)] = scores[Score.UPLIFT].to_numpy()[known]
    return found
