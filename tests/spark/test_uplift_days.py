"""From raw logs to a ranker's answer: a day whose release holds what a nudge changes for each of its hosts."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pytest

from graphrep import vocab
from graphrep.contracts import Manifest
from graphrep.contracts.uplift_scores import Score
from graphrep.errors import InputError
from graphrep.lookup import Release, follow_releases, open_release
from graphrep.pipeline.context import Run, add_days
from graphrep.pipeline.erase import erase
from graphrep.pipeline.run import run_day, run_stage
from graphrep.store import releases, tables
from made_golive import DS, SPEC, deliver

AT = dt.datetime(2026, 3, 31, tzinfo=dt.UTC)
HOSTS = [f"h{number:06d}" for number in range(SPEC.hosts)]


@pytest.fixture(scope="module")
def run(spark: Any, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return deliver(tmp_path_factory.mktemp("golive"))


@pytest.fixture(scope="module")
def bare(run: Run) -> Release:
    """The day's release, when its uplift did not come in time."""
    run_day(run, DS, at=AT, last=vocab.EMBED)
    with pytest.raises(InputError, match=f"the uplift of {DS}, found none"):
        run_stage(run, vocab.EVALUATE, DS, at=AT)
    run_stage(run, vocab.EVALUATE, DS, at=AT, without_uplift=True)
    run_stage(run, vocab.PUBLISH, DS, at=AT)
    return open_release(run.warehouse, verify=True)


@pytest.fixture(scope="module")
def records(run: Run, bare: Release) -> dict[str, dict[str, Any]]:
    return run_day(run, DS, at=AT)


def test_a_day_that_goes_without_its_uplift_says_so_and_serves_its_vectors(bare: Release) -> None:
    assert bare.release_id == f"{DS}.1"
    assert Manifest.UPLIFT not in bare.manifest
    checks = {check["name"]: check for check in bare.manifest[Manifest.GATE]["checks"]}
    assert checks["uplift_sign_flips"]["colour"] == "absent"
    assert "without its uplift" in checks["uplift_sign_flips"]["note"]
    assert not bare.uplift("push", HOSTS).ok.any()
    assert bare.get("host", bare.keys("host")[:3]).found.all()


def test_a_day_publishes_its_uplift_with_its_vectors(run: Run, records: dict[str, dict[str, Any]]) -> None:
    assert list(records) == list(vocab.STAGES)
    assert records[vocab.PUBLISH]["release_id"] == f"{DS}.2", "the uplift came after the first was published"
    scored = records[vocab.UPLIFT]
    modes = {arm["treatment"]: arm["mode"] for arm in scored["fits"][0]["arms"]}
    assert modes["push"] in ("effects", "constant"), scored["fits"][0]["arms"][0]["reasons"]
    release = open_release(run.warehouse, verify=True)
    about = release.manifest[Manifest.UPLIFT]
    assert about["decision_ds"] == scored["decision_ds"] == add_days(DS, 1)
    assert about["node_types"] == ["host"]
    assert about["fits"] == scored["fits"]
    assert set(scored["files"]) < set(about["inputs"]), "the hashes of what made it"
    table = tables.read_file(releases.release_path(run.warehouse, release.release_id) / "golive_uplift.parquet")
    assert set(table[Score.EMBEDDING_VERSION].drop_null().to_pylist()) == {release.space_id}
    checks = {check["name"]: check for check in records[vocab.EVALUATE]["gate"]["checks"]}
    assert checks["uplift_sign_flips"]["note"] == "no scores before"


def test_a_ranker_is_told_what_a_push_changes(run: Run, records: dict[str, dict[str, Any]]) -> None:
    reader = follow_releases(run.warehouse, background=False, today=lambda: add_days(DS, 1))
    hit = reader.uplift("push", HOSTS)
    table = {row[Score.HOST]: row for row in _rows(run) if row[Score.TREATMENT] == "push"}
    assert hit.ok.sum() == sum(row[Score.OVERLAP_OK] for row in table.values()) > 0
    truth = SPEC.size
    assert float(hit.effect[hit.ok].mean()) == pytest.approx(truth, abs=0.15)
    assert (hit.lower[hit.ok] < hit.effect[hit.ok]).all()
    assert not reader.uplift("push", HOSTS, ds=add_days(DS, 4)).ok.any()


def _rows(run: Run) -> list[dict[str, Any]]:
    table = tables.read_table(tables.partition(run.warehouse, tables.GOLIVE_UPLIFT, DS))
    found: list[dict[str, Any]] = table.to_pylist()
    return found


def test_an_erased_host_is_gone_from_panel_scores_and_release(run: Run, records: dict[str, dict[str, Any]]) -> None:
    gone = next(row[Score.HOST] for row in _rows(run) if row[Score.OVERLAP_OK])
    record = erase(run, {"host": [gone]}, at=AT)
    assert record["rows"][tables.GOLIVE_UPLIFT] > 0
    assert gone not in {row[Score.HOST] for row in _rows(run)}
    hit = open_release(run.warehouse).uplift("push", HOSTS)
    assert not hit.ok[HOSTS.index(gone)]
    assert np.count_nonzero(hit.ok) > 0
