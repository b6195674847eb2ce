"""What an asset event is told of a day."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

import made_release
from graphrep import vocab
from graphrep.errors import InputError
from graphrep.pipeline.lineage import lineage_of
from graphrep.store import releases, runlog

DS = "2026-03-04"


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_day_that_did_not_run_has_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"the run manifest of {DS}, found none"):
        lineage_of(tmp_path, DS)


def test_it_grows_with_the_day(tmp_path: Path) -> None:
    runlog.record_stage(tmp_path, DS, vocab.GRAPH, {"window": [DS, DS]})
    manifest = runlog.run_manifest_path(tmp_path, DS)
    assert lineage_of(tmp_path, DS) == {
        "ds": DS,
        "run_manifest": str(manifest),
        "run_manifest_sha256": sha256(manifest),
    }
    runlog.record_stage(tmp_path, DS, vocab.EVALUATE, {"gate": {"colour": "amber"}})
    assert lineage_of(tmp_path, DS)["gate"] == "amber"
    assert "release_id" not in lineage_of(tmp_path, DS)
    release_id = made_release.publish_made(tmp_path, DS, seed=1)
    runlog.record_stage(tmp_path, DS, vocab.PUBLISH, {"release_id": release_id})
    found = lineage_of(tmp_path, DS)
    assert found["release_id"] == release_id
    assert found["release_sha256"] == sha256(releases.release_path(tmp_path, release_id) / releases.MANIFEST)
    assert found["run_manifest_sha256"] == sha256(manifest)


def test_a_release_that_was_retired_is_not_named(tmp_path: Path) -> None:
    runlog.record_stage(tmp_path, DS, vocab.PUBLISH, {"release_id": f"{DS}.1"})
    assert set(lineage_of(tmp_path, DS)) == {"ds", "run_manifest", "run_manifest_sha256"}
