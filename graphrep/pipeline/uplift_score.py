"""Scores of a day from models that were fitted before: the same hosts again, here or by Spark."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from graphrep import vocab
from graphrep.contracts import check_table
from graphrep.contracts.uplift import PANEL, Panel
from graphrep.contracts.uplift_scores import PREVIOUS, SCORES, Score
from graphrep.errors import InputError
from graphrep.pipeline.context import Run
from graphrep.pipeline.uplift_frame import Task, scored_rows
from graphrep.pipeline.uplift_scores import Stamp, in_order, score_rows, with_ranks
from graphrep.store import files, runlog, tables

PART = "part-0.parquet"
STAMPS = "stamps.json"
EVIDENCE = "evidence.json"

Scorers = Mapping[str, tuple[str, Stamp]]
"""Name of a model → its text and what all its rows have in common."""


def write_scores(path: Path, scores: pa.Table, scorers: Scorers, evidence: Any) -> dict[str, str]:
    """Put a day's scores, the models that made them and what a report shows of those into one directory.

    Returns:
        File → sha256.

    Raises:
        InputError: the scores break ``golive_uplift_v1``.
    """
    check_table(scores, SCORES)
    with files.staged_directory(path) as staging:
        tables.save_parquet(staging / PART, scores)
        for name, (text, _) in scorers.items():
            files.put_text(staging / f"{name}.json", text)
        files.write_json(staging / STAMPS, {name: asdict(stamp) for name, (_, stamp) in scorers.items()})
        files.write_json(staging / EVIDENCE, evidence)
    return {p.name: files.sha256(p) for p in sorted(path.iterdir())}


def read_scorers(path: Path) -> dict[str, tuple[str, Stamp]]:
    """The models that :func:`write_scores` wrote."""
    found = {}
    for name, own in files.read_json(path / STAMPS).items():
        given = own.pop("task")
        task = Task(**{**given, "arms": tuple(given["arms"])})
        published = {arm: (status, by) for arm, (status, by) in own.pop("published").items()}
        found[name] = (files.get_text(path / f"{name}.json"), Stamp(task=task, published=published, **own))
    return found


def score_day(run: Run, ds: str, *, by_spark: bool) -> dict[str, Any]:
    """Score the hosts of a day again with its fitted models; scores of a day before stay as they are.

    Args:
        by_spark: score in Spark's workers, for many hosts; the scores are the same.

    Returns:
        The record of stage ``uplift``, with the rows that there are now.

    Raises:
        InputError: the day was not fitted.
    """
    record = runlog.read_stage(run.warehouse, ds, vocab.UPLIFT)
    if not run.config.uplift.enabled or not record:
        raise InputError(f"fitted models of {ds}", found="none", fix=f"run graphrep uplift fit --ds {ds} first")
    path = tables.partition(run.warehouse, tables.GOLIVE_UPLIFT, ds)
    scorers, old = read_scorers(path), tables.read_table(path)
    parts = [old.filter(pc.equal(old[Score.EFFECT_SOURCE], PREVIOUS))]
    parts += _by_spark(run, ds, scorers) if by_spark else _here(run, ds, scorers)
    scores = in_order(parts)
    sums = write_scores(path, scores, scorers, files.read_json(path / EVIDENCE))
    record = {**record, "rows": scores.num_rows, "hosts": len(pc.unique(scores[Score.HOST])), "files": sums}
    if record != runlog.read_stage(run.warehouse, ds, vocab.UPLIFT):
        runlog.record_stage(run.warehouse, ds, vocab.UPLIFT, record)
    return record


def _here(run: Run, ds: str, scorers: Scorers) -> list[pa.Table]:
    from graphrep.uplift.scoring import Scorer

    panel = tables.read_table(tables.partition(run.warehouse, tables.GOLIVE_PANEL, ds))
    found = []
    for text, stamp in scorers.values():
        hosts = scored_rows(panel, stamp.task, stamp.decision_ds)
        found.append(with_ranks(score_rows(Scorer.from_text(text), hosts, stamp)))
    return found


def _by_spark(run: Run, ds: str, scorers: Scorers) -> list[pa.Table]:
    from pyspark.sql import functions as F

    from graphrep.pipeline.uplift_spark import score_by_spark
    from graphrep.store.spark import read_frames

    panel = read_frames(run.spark, [tables.partition(run.warehouse, tables.GOLIVE_PANEL, ds)], PANEL)
    found = []
    for text, stamp in scorers.values():
        wanted = (F.col(Panel.FAMILY) == stamp.task.family) & (F.col(Panel.DS) == stamp.decision_ds)
        found.append(score_by_spark(panel.where(wanted), text, stamp).toArrow().cast(SCORES.schema))
    return found
