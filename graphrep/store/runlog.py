"""``runs/<ds>/manifest.json``: what each stage of a day read, made and dropped. Written whole after each stage."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from graphrep import vocab
from graphrep.errors import StoreError
from graphrep.store.files import locked, read_json, write_json

FINGERPRINT = "fingerprint"
"""Of everything a stage's result depends on; equal fingerprints mean that the work is done."""


def run_manifest_path(warehouse: Path, ds: str) -> Path:
    return warehouse / "runs" / ds / "manifest.json"


def days(warehouse: Path) -> list[str]:
    """The days that have a manifest, in order."""
    root = warehouse / "runs"
    return sorted(path.parent.name for path in root.glob("*/manifest.json")) if root.is_dir() else []


def written(warehouse: Path, ds: str) -> dt.datetime:
    """When a day's manifest was written last, UTC."""
    return dt.datetime.fromtimestamp(run_manifest_path(warehouse, ds).stat().st_mtime, dt.UTC)


def read_run(warehouse: Path, ds: str) -> dict[str, Any]:
    """The manifest of a day; an empty one where the day has not run.

    Raises:
        StoreError: it is there and is not one.
    """
    path = run_manifest_path(warehouse, ds)
    if not path.exists():
        return {vocab.DS: ds, "stages": {}}
    content: dict[str, Any] = read_json(path)
    if not isinstance(content, dict) or not isinstance(content.get("stages"), dict):
        fix = "remove it and run the day again"
        raise StoreError("a manifest with the stages of a run", found="other JSON", where=str(path), fix=fix)
    return content


def read_stage(warehouse: Path, ds: str, stage: str) -> dict[str, Any] | None:
    """What a stage recorded, or None where it has not finished for this day."""
    found: dict[str, Any] | None = read_run(warehouse, ds)["stages"].get(stage)
    return found


def record_stage(warehouse: Path, ds: str, stage: str, content: Mapping[str, Any]) -> None:
    """Set one stage's record, and drop those of a run's stages after it: they were made from something else.

    The tables of a day (logs, edges) feed the runs of many days; each of these compares fingerprints by itself.
    """
    path = run_manifest_path(warehouse, ds)
    later = () if stage in vocab.DAY_TABLES else vocab.STAGES[vocab.STAGES.index(stage) + 1 :]
    with locked(path.with_name(".lock")):
        manifest = read_run(warehouse, ds)
        stages = {name: record for name, record in manifest["stages"].items() if name not in later}
        write_json(path, {**manifest, "stages": {**stages, stage: dict(content)}})


def drop_stage(warehouse: Path, ds: str, stage: str) -> None:
    """Forget a stage of a run and those after it: its tables are about to be made anew, one after the other."""
    path = run_manifest_path(warehouse, ds)
    later = vocab.STAGES[vocab.STAGES.index(stage) :]
    with locked(path.with_name(".lock")):
        manifest = read_run(warehouse, ds)
        kept = {name: record for name, record in manifest["stages"].items() if name not in later}
        if kept != manifest["stages"]:
            write_json(path, {**manifest, "stages": kept})
