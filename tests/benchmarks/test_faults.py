"""Faults and gates on a small made-up day: each is seen, a good day is green, and the tables say so."""

from __future__ import annotations

import datetime as dt
import importlib
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from graphrep.config import load_config
from graphrep.evaluate.probe import auc
from graphrep.evaluate.quality import Question
from graphrep.lookup import Hit
from graphrep.pipeline import probes
from graphrep.pipeline.context import Run
from graphrep.pipeline.judging import Candidate, judge, measurements
from graphrep.pipeline.measure import Before, Rows

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT))  # benchmarks are no part of the installed package
faults = importlib.import_module("benchmarks.faults")

COUNTS = {"user": 500, "host": 120, "video": 300, "product": 150}
DIM = 12
LAST = "2026-03-03"
NOON = int(dt.datetime(2026, 3, 3, 12, tzinfo=dt.UTC).timestamp()) * 1000


@dataclass
class Served:
    """Stands for an open release: what ``graphrep.lookup`` answers from the rows of a day."""

    rows: dict[str, Rows]
    space_id: str = "space"
    release_id: str = "2026-03-03.1"

    @property
    def types(self) -> list[str]:
        return sorted(self.rows)

    @property
    def manifest(self) -> dict[str, Any]:
        return {"node_types": {kind: {"count": len(rows.keys)} for kind, rows in self.rows.items()}}

    def keys(self, kind: str) -> Sequence[str]:
        return self.rows[kind].keys

    def get(self, kind: str, keys: Sequence[str]) -> Hit:
        rows = self.rows[kind]
        place = {key: i for i, key in enumerate(rows.keys)}
        at = np.array([place.get(key, -1) for key in keys])
        found = at >= 0
        none = np.zeros(len(keys), np.int32)
        return Hit(
            release_id=self.release_id,
            vectors=np.where(found[:, None], rows.vectors[at], 0).astype(np.float32),
            found=found,
            fallback=~found | rows.fallback[at],
            source=none.astype(str),
            age_days=none,
            degree=rows.degree[at],
            expired=none.astype(bool),
            denied=none.astype(bool),
        )


def made(latent: dict[str, Any], noise: float, chance: Any) -> dict[str, Rows]:
    """Rows of a day: what lies behind the nodes, and a little of the day."""
    return {
        kind: Rows(
            keys=[f"{kind}{i}" for i in range(len(x))],
            vectors=(x + noise * chance.normal(size=x.shape)).astype(np.float32),
            fallback=np.zeros(len(x), np.bool_),
            degree=20 + np.arange(len(x))[::-1],
        )
        for kind, x in latent.items()
    }


def asked(name: str, latent: dict[str, Any], kind: str, chance: Any) -> Question:
    """Each user meets four of his ten best, to which some entries matter more; nobody has met anything before."""
    best = np.argsort(-(latent["user"] * np.linspace(0, 2, DIM) @ latent[kind].T), axis=1)[:, :10]
    met = [chance.choice(row, 4, replace=False).tolist() for row in best]
    history = sp.csr_array((COUNTS["user"], COUNTS[kind]), dtype=np.float64)
    return Question(name, np.arange(COUNTS["user"]), met, history)


@pytest.fixture(scope="module")
def scene() -> Any:
    chance = np.random.default_rng(0)
    latent = {kind: chance.normal(size=(n, DIM)) for kind, n in COUNTS.items()}
    day = Candidate(
        rows=made(latent, 0.1, chance),
        last=LAST,
        newest_ms=dict.fromkeys(COUNTS, NOON),
        space_id="space",
        alignment={"held_out_residual": 0.1, "anchors": 900},
        keys={kind: [f"{kind}{i}" for i in range(n)] for kind, n in COUNTS.items()},
        questions={
            "live_host": asked("live_host", latent, "host", chance),
            "video": asked("video", latent, "video", chance),
        },
        labelled=True,
        traffic={kind: {f"{kind}{i}": 1 + i % 7 for i in range(n)} for kind, n in COUNTS.items()},
        few={kind: {f"{kind}{i}" for i in range(n // 2)} for kind, n in COUNTS.items()},
    )
    turn = np.linalg.qr(chance.normal(size=(DIM, DIM)))[0]
    yesterday = made(latent, 0.1, chance)
    again = {kind: replace(rows, vectors=rows.vectors * np.float32(1 + 1e-7)) for kind, rows in yesterday.items()}
    stale = replace(day, rows=again, newest_ms=dict.fromkeys(COUNTS, NOON - 86_400_000))
    retrained = {kind: rows.vectors @ turn.astype(np.float32) for kind, rows in made(latent, 0.3, chance).items()}
    return faults.Scene(day, yesterday, retrained, stale)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    place = tmp_path_factory.mktemp("warehouse")
    return Run(load_config(ROOT / "configs" / "local.yaml", warehouse=place), today=dt.date(2026, 4, 1))


@pytest.fixture(scope="module")
def before(run: Run, scene: Any) -> Before:
    """Yesterday is served, its space began with it, and three releases before it were as good as today."""
    measurements(run, replace(scene.day, rows=scene.yesterday), None)
    served: Any = Served(scene.yesterday)
    report = judge(run.config, measurements(run, scene.day, Before(served))).as_record()
    return Before(served, [report] * 3)


@pytest.fixture(scope="module")
def good(run: Run, scene: Any, before: Before) -> Any:
    return judge(run.config, measurements(run, scene.day, before))


@pytest.fixture(scope="module")
def seen(run: Run, scene: Any, before: Before) -> Any:
    return faults.seen(run, scene, before, seed=1)


def test_a_good_day_is_green_and_only_what_is_not_there_is_absent(good: Any) -> None:
    assert good.reasons == ()
    assert good.colour == "green"
    assert {check.found.name for check in good.of("absent")} == {"map_residual", "code_churn", "uplift_sign_flips"}


# The gate that is there for each.
SEES = {
    "1 % NaN rows": "non_finite_rows",
    "10 % zero rows, users": "zero_rows",
    "global rotation": "probe_auc_drop",
    "cold retrain, unaligned": "cosine_5th",
    "scale × 3": "norm_ratio",
    "user ids permuted": "recall_drop",
    "10 % of host ids permuted": "cosine_5th",
    "yesterday republished": "unchanged_rows",
    "half the users in another basis": "mean_cosine",
    "30 % of users collapsed to the mean": "cosine_5th",
    "hosts under the users' name": "coverage",
    "30 % of the users missing": "segment_coverage_drop",
    "yesterday's graph under today's name": "newest_event_age",
}


def test_the_faults_are_those_that_a_gate_is_named_for() -> None:
    assert list(faults.FAULTS) == list(SEES)


@pytest.mark.parametrize("name", SEES)
def test_every_fault_is_held_by_the_gate_that_is_there_for_it(seen: Any, name: str) -> None:
    assert seen[name].colour == "red"
    assert SEES[name] in {c.found.name for c in seen[name].checks if c.colour in ("amber", "red")}


def test_a_new_space_is_amber_says_so_and_its_vectors_are_not_compared(run: Run, scene: Any, before: Before) -> None:
    day = replace(scene.day, space_id="another", alignment=None)
    verdict = judge(run.config, measurements(run, day, before))
    assert verdict.colour == "amber"
    assert "a new space: rankers must be told" in verdict.reasons[0]
    compared = {c.found.name for c in verdict.checks if c.colour != "absent"}
    assert not compared & {"mean_cosine", "cosine_5th", "neighbor_overlap", "probe_auc_drop"}
    assert {"count_change", "keys_kept", "recall_drop"} <= compared
    assert set(probes.kept(run.warehouse, "another")) == {"live_host", "video"}


def test_in_a_new_space_what_its_map_leads_back_to_is_compared(run: Run, scene: Any, before: Before) -> None:
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(DIM, DIM)))[0].astype(np.float32)
    rows = {kind: replace(found, vectors=found.vectors @ turn) for kind, found in scene.day.rows.items()}
    day = replace(scene.day, rows=rows, space_id="mapped", alignment=None)
    with_map, wrong = replace(day, maps={"space": turn.T}), replace(day, maps={"space": turn})
    verdict = judge(run.config, measurements(run, with_map, before))
    assert [c.found.name for c in verdict.of("amber")] == ["new_space"]
    assert verdict.colour == "amber"
    compared = {c.found.name for c in verdict.of("green")}
    assert {"mean_cosine", "cosine_5th", "neighbor_overlap", "probe_auc_drop", "norm_ratio"} <= compared
    assert judge(run.config, measurements(run, wrong, before)).colour == "red"


@pytest.mark.parametrize(("residual", "colour"), [(0.12, "green"), (0.3, "amber"), (0.6, "red"), (np.nan, "red")])
def test_a_map_back_is_judged_on_the_day_it_is_made(
    run: Run, scene: Any, before: Before, residual: float, colour: str
) -> None:
    fits = {"old": {"until": "2026-03-09", "anchors": 900, "held_out_residual": residual}}
    verdict = judge(run.config, measurements(run, replace(scene.day, fits=fits), before))
    assert verdict.colour == colour
    assert [c.found.scope for c in verdict.of(colour) if c.found.name == "map_residual"] == ["old"]


def test_a_map_that_the_release_before_has_was_judged_with_it(run: Run, scene: Any, before: Before) -> None:
    class Mapped(Served):
        @property
        def manifest(self) -> dict[str, Any]:
            return {**super().manifest, "maps": fits}

    fits = {"old": {"until": "2026-03-09", "anchors": 900, "held_out_residual": 0.6}}
    served: Any = Mapped(scene.yesterday)
    verdict = judge(run.config, measurements(run, replace(scene.day, fits=fits), Before(served, before.reports)))
    assert verdict.colour == "green"
    assert [c.note for c in verdict.of("absent") if c.found.name == "map_residual"] == ["as the release before has it"]


def test_a_first_day_has_nothing_to_be_compared_with_and_is_green(run: Run, scene: Any) -> None:
    verdict = judge(run.config, measurements(run, replace(scene.day, space_id="first"), None))
    assert verdict.colour == "green"
    absent = {check.found.name for check in verdict.of("absent")}
    assert {"new_space", "mean_cosine", "probe_auc_drop", "recall_drop", "coverage_drop"} <= absent


def test_a_type_that_is_new_or_gone_is_told(run: Run, scene: Any, before: Before) -> None:
    fewer = {kind: rows for kind, rows in scene.day.rows.items() if kind != "product"}
    gone = judge(run.config, measurements(run, replace(scene.day, rows=fewer), before))
    assert any("count_change of product is -1" in reason for reason in gone.of("red") and gone.reasons)
    served: Any = Served({kind: rows for kind, rows in scene.yesterday.items() if kind != "product"})
    new = judge(run.config, measurements(run, scene.day, Before(served, before.reports)))
    assert new.colour == "green"
    assert [c.note for c in new.of("absent") if c.found.scope == "product"] == ["a new node type"]


def test_a_probe_is_kept_as_it_was_learnt_and_learnt_again_where_it_is_gone(
    run: Run, scene: Any, before: Before
) -> None:
    files = sorted((run.warehouse / probes.PROBES / "space").iterdir())
    learnt = [file.read_bytes() for file in files]
    assert [file.name for file in files] == ["live_host.npy", "video.npy"]
    shutil.rmtree(run.warehouse / probes.PROBES / "space")
    again = judge(run.config, measurements(run, scene.day, before))
    assert [c.colour for c in again.checks if c.found.name == probes.GATE] == ["green", "green"]
    assert [file.read_bytes() for file in files] == learnt, "on what is served, the probe of the first day"


def test_the_pairs_shares_have_the_area_for_their_mean_and_ties_count_half() -> None:
    chance = np.random.default_rng(0)
    met, other = chance.integers(2, 9, 400).astype(float), chance.integers(0, 7, 400).astype(float)
    area = auc(np.repeat([1, 0], 400), np.concatenate([met, other]))
    assert probes._shares(met, other).mean() == pytest.approx(area)
    draws = [chance.integers(0, 400, 400) for _ in range(300)]
    whole = [auc(np.repeat([1, 0], 400), np.concatenate([met[rows], other[rows]])) for rows in draws]
    quick = [probes._shares(met, other)[rows].mean() for rows in draws]
    assert np.std(quick) == pytest.approx(np.std(whole), rel=0.05)


def test_the_tables_count_what_was_caught_and_what_good_days_measured(good: Any, seen: Any) -> None:
    found = seen["scale × 3"]
    lines = faults.detection_lines({"scale × 3": [found, found], "none": [good]})
    assert lines[2].startswith("| scale × 3 | 2 | 2 | 0 | 0 | norm_ratio (host, product, user, video)")
    assert lines[3] == "| none | 1 | 0 | 0 | 1 | – |"
    assert "| non_finite_rows | ≤ 0 | 0 | 0 | 0 | 0 of 8 |" in faults.value_lines([good, good])
