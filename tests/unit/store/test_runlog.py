"""What a day's stages recorded, and what a new record drops."""

from __future__ import annotations

from pathlib import Path

import pytest

from graphrep import vocab
from graphrep.errors import StoreError
from graphrep.store import runlog

DAY = "2026-03-01"


def test_a_day_that_has_not_run_has_no_stage(tmp_path: Path) -> None:
    assert runlog.read_run(tmp_path, DAY) == {"ds": DAY, "stages": {}}
    assert runlog.read_stage(tmp_path, DAY, vocab.LOGS) is None
    assert list(tmp_path.iterdir()) == [], "reading writes nothing"


def test_a_record_is_read_back_and_belongs_to_its_day(tmp_path: Path) -> None:
    runlog.record_stage(tmp_path, DAY, vocab.LOGS, {runlog.FINGERPRINT: "f", "rows": 3})
    assert runlog.read_stage(tmp_path, DAY, vocab.LOGS) == {"fingerprint": "f", "rows": 3}
    assert runlog.read_stage(tmp_path, "2026-03-02", vocab.LOGS) is None
    assert runlog.run_manifest_path(tmp_path, DAY) == tmp_path / "runs" / DAY / "manifest.json"


@pytest.mark.parametrize("again", vocab.STAGES)
def test_a_new_record_drops_those_of_a_runs_later_stages_only(tmp_path: Path, again: str) -> None:
    for stage in vocab.STAGES:
        runlog.record_stage(tmp_path, DAY, stage, {"n": 1})
    runlog.record_stage(tmp_path, DAY, again, {"n": 2})
    # The tables of a day feed the runs of many days, each of which compares fingerprints by itself.
    of_the_day = again in (vocab.LOGS, vocab.EDGES)
    kept = set(vocab.STAGES) - {again} if of_the_day else vocab.STAGES[: vocab.STAGES.index(again)]
    assert runlog.read_run(tmp_path, DAY)["stages"] == {**{stage: {"n": 1} for stage in kept}, again: {"n": 2}}


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"{}", b'{"stages": []}'])
def test_a_damaged_record_is_named(tmp_path: Path, content: bytes) -> None:
    path = runlog.run_manifest_path(tmp_path, DAY)
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"manifest\.json"):
        runlog.read_stage(tmp_path, DAY, vocab.LOGS)
    with pytest.raises(StoreError, match=r"manifest\.json"):
        runlog.record_stage(tmp_path, DAY, vocab.LOGS, {})
    assert path.read_bytes() == content
