"""Reports of a day's uplift, and its budget spent on the surest gains."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from graphrep import vocab
from graphrep.contracts.uplift import NUDGE
from graphrep.contracts.uplift_scores import Score
from graphrep.errors import GateRefusedError, InputError
from graphrep.pipeline.context import Run
from graphrep.pipeline.uplift import day_scores
from graphrep.pipeline.uplift_score import EVIDENCE
from graphrep.report.uplift import html_page, markdown_page
from graphrep.store import files, runlog, tables

HELD_BACK = ("previous", "none")


def read_evidence(run: Run, ds: str) -> dict[str, Any]:
    """What stage ``uplift`` kept of a day for its reports.

    Raises:
        InputError: the day was not fitted.
    """
    fitted(run, ds)
    found: dict[str, Any] = files.read_json(tables.partition(run.warehouse, tables.GOLIVE_UPLIFT, ds) / EVIDENCE)
    return found


def fitted(run: Run, ds: str) -> dict[str, Any]:
    """The record of stage ``uplift``.

    Raises:
        InputError: there is none.
    """
    run.check_ds(ds)
    record = runlog.read_stage(run.warehouse, ds, vocab.UPLIFT) if run.config.uplift.enabled else None
    if not record:
        raise InputError(f"a fitted uplift of {ds}", found="none", fix=f"run graphrep uplift fit --ds {ds} first")
    return record


def check_fitted(record: dict[str, Any]) -> None:
    """
    Raises:
        InputError: none of the fits could be made.
    """
    refused = [fit["refused"] for fit in record["fits"]]
    if refused and all(refused):
        raise InputError("host-days that effects can be fitted to", found=refused[0])


def check_published(record: dict[str, Any]) -> None:
    """
    Raises:
        GateRefusedError: the gates hold back every arm of the day.
    """
    arms = [arm for fit in record["fits"] for arm in fit["arms"]]
    if all(arm["mode"] in HELD_BACK for arm in arms):
        reasons = sorted({reason for arm in arms for reason in arm["reasons"]})
        fix = "look into it; hosts get the scores of a day before while those hold, then none"
        raise GateRefusedError("an arm that passes its gates", found="; ".join(reasons)[:400] or "none", fix=fix)


def write_reports(run: Run, ds: str) -> dict[str, Path]:
    """Write the day's page, and the same as Markdown and JSON, beside the records of its run.

    Returns:
        Kind → file.
    """
    evidence = read_evidence(run, ds)
    root = runlog.run_manifest_path(run.warehouse, ds).parent
    found = {kind: root / f"uplift.{kind}" for kind in ("html", "md", "json")}
    files.put_text(found["html"], html_page(evidence))
    files.put_text(found["md"], markdown_page(evidence))
    files.write_json(found["json"], evidence)
    return found


def allocation(run: Run, ds: str, budget: float, horizon_days: int, outcome: str) -> dict[str, Any]:
    """Which host gets which nudge for a budget, by the lower ends of the 90 % intervals.

    Costs and caps are those of ``uplift.nudges.arms``. Who has no usable score of an arm does not get it.

    Returns:
        ``cost``, ``gain`` and ``sure`` (sums of effects and of their lower ends), ``arms`` (nudges of each), ``hosts``:
        host → arm.

    Raises:
        InputError: the day was not fitted, there are no nudges or no scores, or the budget is below 0.
    """
    from graphrep.uplift import allocate

    fitted(run, ds)
    nudges = run.config.uplift.nudges
    if nudges is None:
        raise InputError("nudges to spend a budget on", found="none", where="uplift.nudges")
    scores = _of_nudges(day_scores(run, ds), horizon_days, outcome)
    if not scores.num_rows:
        raise InputError(f"usable scores of {outcome} within {horizon_days} days", found="none", where=ds)
    arms, hosts = list(nudges.arms), sorted(set(scores[Score.HOST].to_pylist()))
    effect, lower = (np.full((len(hosts), len(arms)), np.nan) for _ in range(2))
    row = pc.index_in(scores[Score.HOST], pa.array(hosts, pa.string())).to_numpy()
    column = pc.index_in(scores[Score.TREATMENT], pa.array(arms, pa.string())).to_numpy()
    effect[row, column] = scores[Score.UPLIFT].to_numpy()
    lower[row, column] = scores[Score.UPLIFT_LO].to_numpy()
    given = [nudges.arms[arm] for arm in arms]
    found = allocate(effect, lower, [one.cost for one in given], [one.cap for one in given], budget)
    chosen = {host: arms[arm - 1] for host, arm in zip(hosts, found.arm.tolist(), strict=True) if arm}
    counts = {arm: int((found.arm == place + 1).sum()) for place, arm in enumerate(arms)}
    return {"cost": found.cost, "gain": found.gain, "sure": found.sure, "arms": counts, "hosts": chosen}


def _of_nudges(scores: pa.Table | None, horizon_days: int, outcome: str) -> pa.Table:
    assert scores is not None  # the day was fitted
    wanted = {Score.FAMILY: NUDGE, Score.HORIZON: horizon_days, Score.OUTCOME: outcome, Score.OVERLAP_OK: 1}
    chosen = pc.is_valid(scores[Score.HOST])
    for name, value in wanted.items():
        chosen = pc.and_(chosen, pc.equal(scores[name], value))
    return scores.filter(chosen)
