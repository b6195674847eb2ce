"""What a ranker is told of a host's uplift: an effect, or that there is none to be used."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graphrep.contracts import Manifest
from graphrep.contracts.uplift_scores import Score
from graphrep.errors import InputError
from graphrep.lookup import follow_releases, open_release
from graphrep.lookup.denied import rows_of
from graphrep.pipeline.uplift_release import write_uplift
from graphrep.store import releases
from graphrep.store.denied import deny
from made_release import AT, made
from made_uplift import about, scores

ROWS: list[dict[str, Any]] = [
    {Score.HOST: "host0", Score.UPLIFT: 0.05},
    {Score.HOST: "host1", Score.UPLIFT: -0.25},
    {Score.HOST: "host2", Score.UPLIFT: 0.5, Score.OVERLAP_OK: 0, Score.TRIM_REASON: "no_overlap"},
    {Score.HOST: "host0", Score.UPLIFT: 0.125, Score.TREATMENT: "banner", Score.GATE_STATUS: "degraded"},
]
ASKED = ["host1", "nobody", "host0", "host2"]


def publish(warehouse: Path, rows: list[dict[str, Any]], ds: str = "2026-03-01", **more: Any) -> str:
    table = scores(rows)
    content, write = made(ds, 0, **{Manifest.UPLIFT: about(table, ("task",)), **more})

    def all_of(path: Path) -> None:
        write(path)
        write_uplift(path, table)

    release_id, _ = releases.stage_release(warehouse, content, all_of)
    seen = releases.read_pointer(warehouse)
    releases.switch(warehouse, release_id, expected=seen, action=releases.PUBLISH, at=AT)
    return release_id


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("warehouse")
    publish(place, ROWS)
    return place


def test_effects_come_in_the_order_of_the_hosts_and_doubt_is_no_boost(warehouse: Path) -> None:
    hit = open_release(warehouse).uplift("push", ASKED, ds="2026-03-02")
    assert hit.release_id == "2026-03-01.1"
    assert hit.status == "pass"
    assert hit.ok.tolist() == [True, False, True, False]
    # Bounded to the 1st and 99th percentile of the two usable effects, intervals moved along.
    low, high = np.quantile([-0.25, 0.05], [0.01, 0.99])
    assert hit.effect == pytest.approx([low, 0, high, 0])
    assert hit.lower == pytest.approx([low - 0.02, 0, high - 0.02, 0])
    assert hit.upper == pytest.approx([low + 0.02, 0, high + 0.02, 0])
    other = open_release(warehouse).uplift("banner", ASKED, 1)
    assert (other.status, other.ok.tolist()) == ("degraded", [False, False, True, False])


@pytest.mark.parametrize(("ds", "usable"), [("2026-03-04", 2), ("2026-03-05", 0), (None, 2)])
def test_an_expired_effect_is_no_boost(warehouse: Path, ds: str | None, usable: int) -> None:
    hit = open_release(warehouse).uplift("push", ASKED, ds=ds)
    assert int(hit.ok.sum()) == int((hit.effect != 0).sum()) == usable


def test_an_arm_that_is_held_back_boosts_nobody(warehouse: Path) -> None:
    hit = open_release(warehouse).uplift("task", ASKED)
    assert (hit.status, hit.ok.any(), hit.effect.any()) == ("none", False, False)


@pytest.mark.parametrize("asked", [("psh", 1), ("push", 7)])
def test_an_arm_that_was_not_fitted_is_refused(warehouse: Path, asked: tuple[str, int]) -> None:
    with pytest.raises(InputError, match=r"an arm among banner 1 d live, push 1 d live, task 1 d live") as refused:
        open_release(warehouse).uplift(asked[0], ASKED, asked[1])
    assert "\n" not in str(refused.value)


def test_a_day_that_is_none_is_refused(warehouse: Path) -> None:
    with pytest.raises(InputError, match="a day YYYY-MM-DD"):
        open_release(warehouse).uplift("push", ASKED, ds="tomorrow")


def test_a_release_without_uplift_boosts_nobody(tmp_path: Path, publish_vectors: Callable[..., str]) -> None:
    publish_vectors(tmp_path, "2026-03-01", {"host": {"host0": [1.0]}})
    hit = open_release(tmp_path).uplift("push", ASKED)
    assert (hit.status, hit.ok.any()) == ("none", False)


def test_a_reader_that_stays_follows_the_pointer_and_denies_the_erased(tmp_path: Path) -> None:
    publish(tmp_path, ROWS)
    reader = follow_releases(tmp_path, every=0, background=False, today=lambda: "2026-03-02")
    assert reader.uplift("push", ASKED).ok.tolist() == [True, False, True, False]
    assert not reader.uplift("push", ASKED, ds="2026-03-05").ok.any()
    deny(tmp_path, rows_of({"host": ["host1"]}))
    assert reader.uplift("push", ASKED).ok.tolist() == [False, False, True, False]
    new = {**ROWS[0], Score.UPLIFT: 0.75, Score.VALID_UNTIL: "2026-03-01"}
    publish(tmp_path, [new], "2026-03-02", **{Manifest.PARENT: "2026-03-01.1", Manifest.NEW_SPACE: False})
    assert not reader.uplift("push", ASKED).ok.any(), "of today, expired; that of the release before does not step in"
    assert reader.uplift("push", ASKED, ds="2026-03-01").effect.tolist() == [0, 0, 0.75, 0]
