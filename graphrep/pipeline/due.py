"""Which day is next for a stage, by what the manifests of the runs say: whoever was told of it, how often, or never.

Days are embedded and published one after the other, since each is turned onto the release before it. A day is settled
once it is published, or judged and held. The oldest day that is not is next; while one before it is still to come, it
waits, but not for longer than ``patience``: a day that never comes must not hold all later ones. For as long a day
waits for its uplift, where that is enabled, and is published without it then.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from graphrep import vocab
from graphrep.errors import InputError
from graphrep.evaluate.gates import GREEN
from graphrep.pipeline.context import Run, day_range
from graphrep.store import releases, runlog

DUE_STAGES = (vocab.EMBED, vocab.UPLIFT, vocab.PUBLISH)


def next_day(run: Run, stage: str, *, at: dt.datetime, patience: dt.timedelta, first: str | None = None) -> str | None:
    """The day that a stage is to be run for now.

    Args:
        stage: ``embed``, ``uplift`` (with ``panel`` before it) or ``publish`` (with ``evaluate`` before it).
        at: now, UTC.
        patience: how long a day that could go on waits for those before it, and a day for its own uplift.
        first: the first day that is to be published; None: that of the current release, or the first with a graph.

    Returns:
        None: nothing is due; what is missing is at work, waits for a stage before, or is not enabled.

    Raises:
        InputError: another stage.
    """
    if stage not in DUE_STAGES:
        raise InputError(f"a stage, one of {', '.join(DUE_STAGES)}", found=repr(stage), where="graphrep due")
    pointer = releases.read_pointer(run.warehouse)
    if first is None and pointer:
        first = pointer.release_id[:10]
    days = {ds: runlog.read_run(run.warehouse, ds)["stages"] for ds in runlog.days(run.warehouse)}
    opened = [ds for ds in _built(days) if ds >= (first or ds) and not is_settled(days[ds])]
    embedded = [ds for ds in opened if vocab.EMBED in days[ds] and not _left_behind(days[ds], ds, pointer)]
    waited = {ds: at - runlog.written(run.warehouse, ds) for ds in opened}
    unscored = [ds for ds in embedded if run.config.uplift.enabled and vocab.UPLIFT not in days[ds]]
    late = {ds for ds in opened if waited[ds] > patience * (2 if ds in unscored else 1)}
    if stage != vocab.EMBED:
        whole = [ds for ds in embedded if ds not in unscored or waited[ds] > patience]
        ready = unscored if stage == vocab.UPLIFT else whole
        return next((ds for ds in ready if ds not in late), ready[-1] if ready else None)
    ready = [ds for ds in opened if ds not in embedded]
    if not ready:
        return None
    before = [ds for ds in opened if ds < ready[0] and ds not in late]
    missing = [ds for ds in _between(days, first, ready[0]) if vocab.GRAPH not in days.get(ds, {})]
    return None if before or (missing and ready[0] not in late) else ready[0]


def _built(days: dict[str, dict[str, Any]]) -> list[str]:
    return sorted(ds for ds, stages in days.items() if vocab.GRAPH in stages)


def is_settled(stages: dict[str, Any]) -> bool:
    """Was the day of these records published, or judged and held?"""
    judged = stages.get(vocab.EVALUATE)
    return vocab.PUBLISH in stages or bool(judged and judged["gate"]["colour"] != GREEN)


def _left_behind(stages: dict[str, Any], ds: str, pointer: releases.Pointer | None) -> bool:
    """Were the vectors turned onto a release that is no longer the one they would follow? They are to be made anew."""
    parent = stages[vocab.EMBED].get("parent")
    return bool(parent and pointer and pointer.release_id[:10] < ds and pointer.release_id != parent)


def _between(days: dict[str, dict[str, Any]], first: str | None, ds: str) -> list[str]:
    """Days that come before one, from the first that is to be published on."""
    start = first or _built(days)[0]
    return day_range(start, ds)[:-1]
