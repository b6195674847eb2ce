"""Stage ``publish``: a day's vectors and verdict → a release, and the pointer moved to it last."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

from graphrep import __version__, vocab
from graphrep.contracts import Manifest
from graphrep.errors import InputError
from graphrep.pipeline import history
from graphrep.pipeline.approval import Approval, admitted, read_back
from graphrep.pipeline.cold_start import day_published, supported
from graphrep.pipeline.context import Run
from graphrep.pipeline.embed import day_vectors, graph_record
from graphrep.pipeline.evaluate import WITHOUT_UPLIFT
from graphrep.pipeline.load import load_graph
from graphrep.pipeline.release_arrays import TypeArrays, type_arrays, write_arrays
from graphrep.pipeline.spaces import day_maps
from graphrep.pipeline.uplift import day_scores
from graphrep.pipeline.uplift_release import told, write_uplift
from graphrep.store import erase, mirror, releases, retention, runlog, tables
from graphrep.store.code import code_hash

RESULT_SECTIONS = (
    "seed",
    "holdout_days",
    "logs",
    "surfaces",
    "nodes",
    "relations",
    "sessions",
    "intensity",
    "transitions",
    "item_vectors",
    "similarities",
    "embed",
    "cold_start",
    "evaluate",
    "gates",
)
"""Settings that shape what is published; where it lies and how Spark is run do not."""


def run_publish(run: Run, ds: str, *, at: dt.datetime, approval: Approval | None = None) -> dict[str, Any]:
    """Write the day's release and make it current.

    Older releases than ``publish.keep`` go afterwards, and the mirror is brought up to date; if that fails, the release
    is served here and the stage is run again.

    A day older than the current release, and a release that a rollback withdrew, do not become current: an operator
    who wants them there names them to ``rollback``.

    Args:
        at: when the command was given, UTC, for the log of switches.
        approval: of a day that is not green.

    Returns:
        ``release_id``, ``new`` (false: a release with this content was there already), ``current``, ``removed``
        (releases that are not kept any more), ``mirrored`` (the release that the mirror serves, if there is a mirror).

    Raises:
        GateRefusedError: the day is amber and nobody approved it, or red and nobody took it on himself; nothing is
            written.
        StoreError: what was staged does not read back; nothing is switched.
        PointerMovedError: somebody else published or rolled back since the day's vectors were made.
    """
    run.check_ds(ds)
    judged = runlog.read_stage(run.warehouse, ds, vocab.EVALUATE)
    if not judged:
        raise InputError(f"the verdict of {ds}", found="none", fix=f"run graphrep evaluate --ds {ds} first")
    judged = {WITHOUT_UPLIFT: False, **judged, "gate": admitted(run, ds, judged["gate"], approval)}
    pointer = releases.read_pointer(run.warehouse)
    keep, pins = run.config.publish.keep, run.config.publish.pins
    with run.progress.stage(f"publish {ds}", 4) as step:
        content, arrays = _release_content(run, ds, judged)

        def write(path: Path) -> None:
            write_arrays(path, ds, arrays)
            tables.save_arrays(path, day_maps(run, ds, content[Manifest.MAPS]))
            if (scores := day_scores(run, ds, without=judged[WITHOUT_UPLIFT])) is not None:
                write_uplift(path, scores)

        release_id, new = releases.stage_release(run.warehouse, content, write)
        read_back(run, release_id, {node_type: own.keys for node_type, own in arrays.items()})
        step("staged")
        newest = pointer is None or pointer.release_id[:10] <= ds
        if newest and release_id not in releases.withdrawn(run.warehouse):
            releases.switch(run.warehouse, release_id, expected=pointer, action=releases.PUBLISH, at=at)
        step("switched")
        removed = retention.expire(run.warehouse, keep, (*pins, release_id))
        step("expired")
        mirrored = run.config.publish.mirror and mirror.send(run.warehouse, run.config.publish.mirror, at=at)
        step("mirrored")
    now = releases.read_pointer(run.warehouse)
    current = bool(now and now.release_id == release_id)
    record = {"release_id": release_id, "new": new, "current": current, "removed": removed, "mirrored": mirrored}
    runlog.record_stage(run.warehouse, ds, vocab.PUBLISH, {**record, "approval": judged["gate"]["approval"]})
    if run.config.history.enabled:  # after the switch, and the record of it: what fails here is made up by the next run
        history.sync(run, at=at)
    return record


def _release_content(run: Run, ds: str, judged: dict[str, Any]) -> tuple[dict[str, Any], dict[str, TypeArrays]]:
    built = graph_record(run, ds)
    embedded = runlog.read_stage(run.warehouse, ds, vocab.EMBED) or {}
    publish = run.config.publish
    day = load_graph(run, ds)
    vectors = supported(publish.min_support, day.nodes, day_vectors(run, ds))
    published = day_published(run, ds)
    arrays = {
        t: type_arrays(ds, t, nodes, vectors[t], published, online=publish.online)
        for t, nodes in day.nodes.items()
        if nodes.keys
    }
    content = {
        Manifest.DS: ds,
        Manifest.SPACE_ID: embedded["space_id"],
        Manifest.NEW_SPACE: _begins_space(run, embedded),
        Manifest.PARENT: embedded["parent"],
        Manifest.WINDOW: built["window"],
        Manifest.SEED: run.config.seed,
        Manifest.CONFIG_HASH: run.config.fingerprint(*RESULT_SECTIONS),
        Manifest.CODE_VERSION: __version__,
        Manifest.CODE_HASH: code_hash(),
        Manifest.INPUTS: built["inputs"],
        Manifest.NODE_TYPES: {t: own.summary() for t, own in arrays.items()},
        Manifest.TTL_DAYS: {t: publish.ttl_days.get(t, publish.default_ttl_days) for t in arrays},
        Manifest.METRICS: judged["quality"],
        Manifest.GATE: judged["gate"],
        Manifest.ALIGNMENT: embedded["alignment"],
        Manifest.MODEL: embedded["model"],
        Manifest.ERASURE: erase.watermark(run.warehouse),
        Manifest.MAPS: embedded["maps"],
    }
    if (scores := day_scores(run, ds, without=judged[WITHOUT_UPLIFT])) is not None:
        content[Manifest.CONFIG_HASH] = run.config.fingerprint(*RESULT_SECTIONS, vocab.UPLIFT)
        content[Manifest.UPLIFT] = told(run.config, scores, runlog.read_stage(run.warehouse, ds, vocab.UPLIFT) or {})
    return content, arrays


def _begins_space(run: Run, embedded: dict[str, Any]) -> bool:
    if embedded["parent"] is None:
        return True
    return bool(embedded["space_id"] != releases.read_manifest(run.warehouse, embedded["parent"])[Manifest.SPACE_ID])
