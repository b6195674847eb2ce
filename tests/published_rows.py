"""Releases of given vectors, made current at given times."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from graphrep.contracts import Manifest
from graphrep.store import releases
from made_release import AT, whole_content, write_type


def publish_rows(
    warehouse: Path, ds: str, types: Mapping[str, Mapping[str, Any]], *, at: dt.datetime = AT, **own: Any
) -> str:
    """Stage a release of these vectors by type and key, and make it current."""

    def write(path: Path) -> None:
        for node_type, rows in types.items():
            write_type(path, node_type, rows)

    counts = {t: {"count": len(rows), "dim": len(next(iter(rows.values())))} for t, rows in types.items()}
    content = whole_content(ds, **{Manifest.NODE_TYPES: counts, **own})
    seen = releases.read_pointer(warehouse)
    release_id, _ = releases.stage_release(warehouse, content, write)
    releases.switch(warehouse, release_id, expected=seen, action=releases.PUBLISH, at=at)
    return release_id
