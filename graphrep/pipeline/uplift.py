"""Stage ``uplift``: the panel → effects of every arm, judged, and the scores of the day after the data day.

What the gates hold back, and what cannot be fitted, is never a boost: an arm falls back to its average effect, to rows
drawn by lot, to the scores of a day before, or to nothing, and the record says to which and why.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from graphrep import __version__, vocab
from graphrep.contracts.uplift import Panel
from graphrep.contracts.uplift_scores import SCORES, Score
from graphrep.errors import InputError
from graphrep.lookup.uplift import NAME
from graphrep.pipeline.context import Run, add_days, fingerprint
from graphrep.pipeline.uplift_fit import Fitted, Given, fit_task, held_back
from graphrep.pipeline.uplift_frame import Task, dimensions, scored_rows, tasks_of
from graphrep.pipeline.uplift_judge import NONE, PREVIOUS
from graphrep.pipeline.uplift_score import write_scores
from graphrep.pipeline.uplift_scores import Stamp, in_order, last_good, score_rows, with_ranks
from graphrep.store import releases, runlog, tables


def run_uplift(run: Run, ds: str) -> dict[str, Any]:
    """Fit, judge and score the uplift of a day, where the settings ask for it.

    Returns:
        ``decision_ds``; ``rows`` of the scores, ``hosts`` among them; ``fits``: for each task its rows, and of each arm
        the average effect, what became of it (``mode``) and why; ``inputs`` and ``files``: sha256 by name.

    Raises:
        InputError: the panel of the day was not made.
        ConfigError: a limit that no gate has.
    """
    run.check_ds(ds)
    if not run.config.uplift.enabled:
        return {"enabled": False}
    panel_record, embedded = (_record(run, ds, stage) for stage in (vocab.PANEL, vocab.EMBED))
    before_id = releases.served_before(run.warehouse, ds)
    settings = run.config.fingerprint("uplift", "seed")
    inputs = {
        "panel": panel_record[runlog.FINGERPRINT],
        "embed": embedded[runlog.FINGERPRINT],
        "settings": settings,
        "before": before_id or "",
    }
    print_of_inputs = fingerprint(inputs, __version__)
    done = runlog.read_stage(run.warehouse, ds, vocab.UPLIFT)
    if done and done.get(runlog.FINGERPRINT) == print_of_inputs:
        return done
    from graphrep.uplift import with_overrides

    with_overrides(run.config.uplift.fit.limits)  # a limit that no gate has is no reason to hold a fit back
    record = _made(run, ds, before_id)
    record = {runlog.FINGERPRINT: print_of_inputs, "enabled": True, **record, "inputs": inputs}
    runlog.record_stage(run.warehouse, ds, vocab.UPLIFT, record)
    return record


def _record(run: Run, ds: str, stage: str) -> dict[str, Any]:
    found = runlog.read_stage(run.warehouse, ds, stage)
    if not found:
        raise InputError(f"the {stage} of {ds}", found="none", fix=f"run graphrep run --to {stage} --ds {ds} first")
    return found


def _made(run: Run, ds: str, before_id: str | None) -> dict[str, Any]:
    decision_ds = add_days(ds, 1)
    panel = tables.read_table(tables.partition(run.warehouse, tables.GOLIVE_PANEL, ds))
    before = scores_of(run, before_id)
    tasks = list(tasks_of(run.config))
    parts, fits, evidence = [], [], []
    scorers: dict[str, tuple[str, Stamp]] = {}
    with run.progress.stage(f"uplift {ds}", len(tasks) + 1) as step:
        for task in tasks:
            fitted = fitted_task(run, panel, task, decision_ds, before)
            rows = scored_rows(panel, task, decision_ds)
            scored = []
            for name, model in fitted.models.items():
                text = model.scorer.to_text()
                scorers[name] = text, _stamp(run, fitted, decision_ds, model.published, text)
                scored.append(score_rows(model.scorer, rows, scorers[name][1]))
            own, record = _with_last_good(fitted, scored, before, rows, decision_ds)
            parts.append(own)
            fits.append(record)
            evidence.append({**fitted.evidence, "arms": record["arms"]})
            step(task.name)
        scores = in_order(parts)
        path = tables.partition(run.warehouse, tables.GOLIVE_UPLIFT, ds)
        sums = write_scores(path, scores, scorers, {"decision_ds": decision_ds, "fits": evidence})
        step("written")
    hosts = len(pc.unique(scores[Score.HOST]))
    return {"decision_ds": decision_ds, "rows": scores.num_rows, "hosts": hosts, "fits": fits, "files": sums}


def fitted_task(run: Run, panel: pa.Table, task: Task, decision_ds: str, before: pa.Table | None) -> Fitted:
    """One task, fitted and judged; one that cannot be is held back as a whole, with the reason.

    The space is that of the vectors of the day that is scored: the trees must know their axes.
    """
    own = panel.filter(pc.equal(panel[Panel.FAMILY], task.family))
    spaces = scored_rows(panel, task, decision_ds)[Panel.EMBEDDING_SPACE].drop_null().unique().to_pylist()
    try:
        if len(spaces) > 1:
            raise InputError("embeddings of one space on the scored day", found=str(sorted(spaces)), where=decision_ds)
        space = spaces[0] if spaces else None
        dim = dimensions(own, space)
        past = own.filter(pc.less(own[Panel.DS], decision_ds))
        given = Given(past, scored_rows(panel, task, decision_ds), before, space if dim else None, dim)
        return fit_task(run.config, task, given)
    except InputError as error:
        return held_back(task, str(error))


def _stamp(run: Run, fitted: Fitted, decision_ds: str, published: Mapping[str, tuple[str, str]], text: str) -> Stamp:
    """What all rows of a scorer, as ``text``, have in common."""
    return Stamp(
        task=fitted.task,
        decision_ds=decision_ds,
        valid_until=add_days(decision_ds, run.config.uplift.fit.valid_days - 1),
        model_version=hashlib.sha256(text.encode()).hexdigest()[:16],
        space=fitted.space,
        dim=fitted.dim,
        published=published,
    )


def _with_last_good(
    fitted: Fitted, scored: list[pa.Table], before: pa.Table | None, hosts: pa.Table, decision_ds: str
) -> tuple[pa.Table, dict[str, Any]]:
    """The scores of a task with ranks, those of arms that are held back from a day before; and the task's record."""
    parts, arms = list(scored), []
    for arm in fitted.record["arms"]:
        if arm["mode"] == PREVIOUS:
            old = last_good(before, hosts, fitted.task, arm["treatment"], decision_ds)
            parts.append(old)
            arm = arm if old.num_rows else {**arm, "mode": NONE}
        arms.append(arm)
    whole = pa.concat_tables(parts) if parts else SCORES.schema.empty_table()
    return with_ranks(whole), {**fitted.record, "arms": arms}


def scores_of(run: Run, release_id: str | None) -> pa.Table | None:
    """The scores inside a release; None where there are none."""
    if release_id is None:
        return None
    path = releases.release_path(run.warehouse, release_id) / f"{NAME}.parquet"
    return tables.read_file(path) if path.exists() else None


def goes_without(run: Run, ds: str) -> bool:
    """Is the uplift enabled, and that of the day not there?"""
    return run.config.uplift.enabled and runlog.read_stage(run.warehouse, ds, vocab.UPLIFT) is None


def day_scores(run: Run, ds: str, *, without: bool = False) -> pa.Table | None:
    """The scores that stage ``uplift`` made; None where it is off.

    Args:
        without: somebody said that the day is to be published without them.

    Raises:
        InputError: it is enabled and has not run: a release must not be without them by an oversight.
    """
    if not run.config.uplift.enabled or without:
        return None
    _record(run, ds, vocab.UPLIFT)
    return tables.read_table(tables.partition(run.warehouse, tables.GOLIVE_UPLIFT, ds))
