"""``uplift_sign_flips``: green where hosts are treated as the day before, red where many would be treated otherwise."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from conftest import Place
from graphrep.config import load_config
from graphrep.contracts.uplift_scores import Score
from graphrep.pipeline import uplift_flips
from graphrep.pipeline.judging import judge
from made_uplift import scores

HOSTS = 100
CONFIG = Path(__file__).resolve().parents[3] / "configs" / "local.yaml"


def day(flipped: int, **more: Any) -> pa.Table:
    """The best arm of every host is the push; of the first ones it harms. The banner is nobody's best."""
    rows = []
    for place in range(HOSTS):
        host = {Score.HOST: f"h{place}", **more}
        rows.append({**host, Score.UPLIFT: -0.1 if place < flipped else 0.1})
        rows.append({**host, Score.UPLIFT: 0.02, Score.TREATMENT: "banner"})
    return scores(rows)


def measured(monkeypatch: pytest.MonkeyPatch, today: pa.Table | None, before: pa.Table | None) -> list[Any]:
    monkeypatch.setattr(uplift_flips, "day_scores", lambda run, ds: today)
    monkeypatch.setattr(uplift_flips, "scores_of", lambda run, release_id: before)
    run: Any = None
    return uplift_flips.sign_flips(run, "2026-03-02", _Before())


class _Before:
    @dataclasses.dataclass
    class Release:
        release_id: str = "2026-03-01.1"

    release = Release()


@pytest.mark.parametrize(("flipped", "colour"), [(0, "green"), (5, "green"), (6, "amber"), (15, "amber"), (16, "red")])
def test_the_share_of_hosts_whose_best_arm_changed_its_sign(
    flipped: int, colour: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = measured(monkeypatch, day(flipped), day(0))
    (one,) = found
    assert (one.name, one.scope, one.value, one.rows) == (uplift_flips.GATE, "nudge/live_1d", flipped / HOSTS, HOSTS)
    (check,) = [c for c in judge(load_config(CONFIG), found).checks if c.found.name == uplift_flips.GATE]
    assert check.colour == colour


def test_what_has_nothing_to_be_compared_with_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    others: list[tuple[pa.Table, pa.Table | None]] = [
        (day(0), None),
        (day(0, **{Score.OVERLAP_OK: 0}), day(0)),
        (day(0), day(0, **{Score.EFFECT_SOURCE: "previous"})),
        (day(0), day(0, **{Score.OUTCOME: "minutes"})),
    ]
    for today, before in others:
        assert [one.value for one in measured(monkeypatch, today, before)] == [None]
    assert measured(monkeypatch, None, day(0)) == []


def test_a_host_without_its_best_arm_is_asked_for_the_best_of_those_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    today = day(0).slice(1)  # the first host has no push
    (one,) = measured(monkeypatch, today, day(0))
    assert (one.value, one.rows) == (0.0, HOSTS)


def test_the_day_of_a_run_without_uplift_measures_nothing(still_place: Place) -> None:
    assert uplift_flips.sign_flips(still_place.run(), "2026-03-02", None) == []


def test_of_a_day_that_goes_without_its_uplift_that_is_told() -> None:
    run: Any = None
    (one,) = uplift_flips.sign_flips(run, "2026-03-02", None, without=True)
    (check,) = [c for c in judge(load_config(CONFIG), [one]).checks if c.found.name == uplift_flips.GATE]
    assert (check.colour, one.note) == ("absent", "the day goes without its uplift, which was not there")
