"""Generated hosts as raw logs: they tell what happened, in order and when it was known, and nothing of the truth."""

from __future__ import annotations

import ast
import datetime as dt
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from graphrep.contracts import Event
from graphrep.datasets.golive import PRESETS, golive_logs, simulate, spec_of, world
from graphrep.datasets.golive.logs import ARMS
from graphrep.datasets.golive.real import Plan, plant
from graphrep.errors import InputError
from graphrep.pipeline.context import Silent
from graphrep.pipeline.datasets import write_golive_logs

START = dt.date(2026, 3, 1)
SPEC = replace(PRESETS["platform"], hosts=80, days=6, late=0.2, repeated=0.1, label_delay=1)
DAY_MS, HOUR_MS = 86_400_000, 3_600_000
PACKAGE = Path(__file__).resolve().parents[3] / "graphrep"
TRUTH = {"arm", "p0", "p_a", "tau", "tau_minutes", "propensity", "spillover"}


@pytest.fixture(scope="module")
def made() -> tuple[pa.Table, dict[str, dict[str, pa.Table]]]:
    truth, days = golive_logs(SPEC, START)
    found: dict[str, dict[str, pa.Table]] = defaultdict(dict)
    for table, ds, rows in days:
        found[table][ds] = rows
    return truth, found


def rows_of(made: Any, table: str, *actions: str) -> list[dict[str, Any]]:
    """Rows without repeats, with the day of their time and the day of their delivery from the start."""
    found = {}
    for ds, rows in made[1][table].items():
        for row in rows.to_pylist():
            if row[Event.ACTION] in actions:
                delivered = (dt.date.fromisoformat(ds) - START).days
                day, of_day = divmod(row[Event.TS], DAY_MS)
                told = {**row, "day": day - (START - dt.date(1970, 1, 1)).days, "hour": of_day / HOUR_MS}
                found[row[Event.EVENT_ID]] = {**told, "delivered": delivered, "host": int(row[Event.HOST_ID][1:])}
    return list(found.values())


def test_equal_seeds_give_equal_logs_and_another_gives_others() -> None:
    def whole(spec: Any) -> list[Any]:
        truth, days = golive_logs(spec, START)
        return [truth, *[(table, ds, rows.to_pydict()) for table, ds, rows in days]]

    small = replace(SPEC, hosts=20, days=3)
    assert whole(small) == whole(small)
    assert whole(small) != whole(replace(small, seed=1))


def test_the_logs_tell_what_happened_and_when_it_came(made: Any) -> None:
    seen, _ = simulate(SPEC)
    n = len(golive_logs(SPEC, START)[0]) // (len(SPEC.effects) + 1)
    first = slice(0, n)
    nudged = {(r["day"], r["host"]): r[Event.ITEM_ID] for r in rows_of(made, "hosting", "nudge")}
    given = seen.arm[first] > 0
    keys = list(zip(seen.day[first], seen.host[first], strict=True))
    assert nudged == {key: ARMS[arm - 1] for key, arm in zip(keys, seen.arm[first], strict=True) if arm}
    assert given.any()
    reached = {(r["day"], r["host"]) for r in rows_of(made, "hosting", "delivered")}
    assert reached == {
        key for key, arm, got in zip(keys, seen.arm[first], seen.delivered[first], strict=True) if arm and got
    }
    ended = {(r["day"], r["host"]): r for r in rows_of(made, "hosting", "end")}
    began = {(r["day"], r["host"]): r for r in rows_of(made, "hosting", "go_live")}
    inside = {
        key: (minutes, known)
        for key, live, minutes, known in zip(
            keys, seen.live[first], seen.minutes[first], seen.known_on[first], strict=True
        )
        if live and known < SPEC.days
    }
    assert began.keys() == ended.keys() == inside.keys()
    for key, (minutes, known) in inside.items():
        assert began[key]["delivered"] == ended[key]["delivered"] == known
        assert ended[key][Event.TS] - began[key][Event.TS] == pytest.approx(minutes * 60_000, abs=2)
        assert ended[key][Event.DURATION] == pytest.approx(minutes * 60)
    assert len({known - day for (day, _), (_, known) in inside.items()}) > 1, "some come later than others"


def test_treatments_come_before_noon_and_sessions_after_it(made: Any) -> None:
    early = [
        *rows_of(made, "hosting", "nudge", "draw", "chance", "delivered"),
        *rows_of(made, "serving", "impression", "lot"),
    ]
    assert max(row["hour"] for row in early) < 12 <= min(row["hour"] for row in rows_of(made, "hosting", "go_live"))


def test_chances_are_logged_where_a_lot_drew(made: Any) -> None:
    seen, _ = simulate(SPEC)
    drawn = rows_of(made, "hosting", "draw")
    by_lot = set(zip(seen.day[seen.randomised], seen.host[seen.randomised], strict=True))
    assert {(row["day"], row["host"]) for row in drawn} == by_lot
    assert {row[Event.VALUE] for row in drawn} == {0.25}
    assert len(drawn) == len(by_lot) * len(SPEC.effects)
    assert not rows_of(made, "hosting", "chance"), "the policy's are not logged"
    lots = rows_of(made, "serving", "lot")
    assert {row[Event.ITEM_ID] for row in lots} == {"boost", "none"}
    assert {row[Event.VALUE] for row in lots} == {SPEC.boosted}


def test_impressions_are_those_of_the_step(made: Any) -> None:
    seen, _ = simulate(SPEC)
    served: dict[tuple[int, int], int] = defaultdict(int)
    for row in rows_of(made, "serving", "impression"):
        served[row["day"], int(row[Event.USER_ID][1:])] += 1
    least = np.array([0, 1, 3, 7])
    found = {
        (d, h): int(np.searchsorted(least, served[d, h], "right")) - 1 for d, h in zip(seen.day, seen.host, strict=True)
    }
    assert found == {(d, h): int(e) for d, h, e in zip(seen.day, seen.host, seen.exposure, strict=True)}


def test_repeated_host_days_come_twice_with_the_same_id(made: Any) -> None:
    ids = [i for rows in made[1]["hosting"].values() for i in rows[Event.EVENT_ID].to_pylist()]
    assert 0.02 < 1 - len(set(ids)) / len(ids) < 0.2


def test_viewers_meet_hosts_like_themselves(made: Any) -> None:
    """Hosts are viewers too, and their own traits are known: met ones are more alike than others, on every surface."""
    traits = world.hosts_of(SPEC, np.random.default_rng(SPEC.seed)).traits
    for table in ("short_video", "live", "search"):
        rows = pa.concat_tables(list(made[1][table].values()))
        rows = rows.filter(pc.starts_with(rows[Event.USER_ID], "h"))
        who, met = (
            np.array([int(key[1:]) for key in rows[name].to_pylist()]) for name in (Event.USER_ID, Event.HOST_ID)
        )
        alike = (traits[who] * traits[met]).sum(axis=1).mean()
        assert alike > 0.5 > abs((traits[who] * traits[np.roll(met, 7)]).sum(axis=1).mean()), table


# ---- the truth stays apart -------------------------------------------------------------------------------------------


def test_the_truth_is_that_of_the_panel(made: Any) -> None:
    _, truth = simulate(SPEC)
    push = made[0].filter(pc.equal(made[0]["arm"], "push"))
    assert push["tau"].to_numpy() == pytest.approx(truth.effect[:, 0])
    assert push["propensity"].to_numpy() == pytest.approx(truth.propensity[:, 1])
    assert made[0]["p_a"].to_numpy() == pytest.approx(made[0]["p0"].to_numpy() + made[0]["tau"].to_numpy())
    assert set(made[0]["arm"].unique().to_pylist()) == {*ARMS, "exposure"}
    assert set(made[0].column_names) >= TRUTH


def test_the_truth_lies_beside_the_logs_and_no_log_holds_any_of_it(tmp_path: Path) -> None:
    rows = write_golive_logs(tmp_path / "out", replace(SPEC, hosts=20, days=2), START, Silent())
    files = {path.relative_to(tmp_path / "out") for path in (tmp_path / "out").rglob("*.parquet")}
    apart = {path for path in files if path.parts[0] != "logs"}
    assert apart == {Path("truth.parquet")}
    assert rows["truth"] == pq.read_table(tmp_path / "out" / "truth.parquet").num_rows
    for path in files - apart:
        assert not set(pq.read_schema(tmp_path / "out" / path).names) & TRUTH, path


def test_no_stage_knows_where_the_truth_lies() -> None:
    """Its file is named where it is written and nowhere else, and the tables of the settings are all under the logs."""
    naming = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if "truth.parquet" in path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and node.value == "truth.parquet"
    }
    assert naming == {"pipeline/datasets.py"}
    for name in ("golive.yaml", "twitch-nudges.yaml"):
        text = (PACKAGE.parent / "configs" / name).read_text(encoding="utf-8")
        assert "truth" not in text.partition("\n")[2]
        assert "../" not in text


@pytest.mark.parametrize(
    ("preset", "size", "line"),
    [("nothing", "tiny", "expected a preset, one of a-a"), ("mixed", "huge", "expected a size, one of tiny")],
)
def test_an_unknown_preset_or_size_is_refused(preset: str, size: str, line: str) -> None:
    with pytest.raises(InputError, match=line):
        spec_of(preset, size, 0)


def test_more_arms_than_have_names_are_refused() -> None:
    with pytest.raises(InputError, match="expected at most 3 arms, found 4"):
        golive_logs(replace(SPEC, effects=("zero",) * 4), START)


# ---- planted on real sessions ----------------------------------------------------------------------------------------


def sessions(hosts: int, days: int) -> pa.Table:
    """Raw rows of ``golive``: hosts of different habits and audiences."""
    draws = np.random.default_rng(0)
    host, day = (axis.ravel() for axis in np.indices((hosts, days)))
    on = draws.random(len(host)) < 0.1 + 0.6 * (host % 10) / 10
    key = pa.array([f"c{n:04d}" for n in host[on]], pa.string())
    ts = (day[on] + 18_000) * DAY_MS + 13 * HOUR_MS
    who = {Event.USER_ID: key, Event.HOST_ID: key, Event.ROOM_ID: key}
    began = pa.table({Event.TS: ts, **who, Event.ACTION: pa.array(["go_live"] * len(key))})
    more = {Event.ITEM_ID: key, Event.DURATION: np.full(len(key), 3600.0), Event.VALUE: 60.0 * (1 + host[on] % 7) ** 3}
    over = pa.table({Event.TS: ts + HOUR_MS, **who, Event.ACTION: pa.array(["broadcast"] * len(key)), **more})
    return pa.concat_tables([over, began], promote_options="default")


def test_planted_nudges_have_the_effect_that_the_truth_says_and_leave_real_sessions_alone() -> None:
    real = sessions(1500, 24)
    golive, nudges, truth = plant(real, Plan(seed=1, lot=0.3))
    assert golive.slice(0, real.num_rows).to_pydict() == real.to_pydict()
    arm = np.array(truth["arm"].to_pylist()) == "push"
    live, tau, chance = (truth[name].to_numpy() for name in ("live", "tau", "propensity"))
    naive = live[arm].mean() - live[~arm].mean()
    lot = chance == 0.5
    drawn = live[lot & arm].mean() - live[lot & ~arm].mean()
    later = np.array(truth["ds"].to_pylist()) > min(truth["ds"].to_pylist())
    weighted = (live * (arm / chance - ~arm / (1 - chance)))[later].mean()
    assert drawn == pytest.approx(tau[lot].mean(), abs=0.03)
    assert weighted == pytest.approx(tau[later].mean(), abs=0.02)
    assert naive > tau.mean() + 0.03, "hosts who go live anyway are nudged more"
    assert set(truth["p0"].unique().to_pylist()) == {0.0, 1.0}
    assert live.sum() == len(golive.filter(pc.equal(golive["action"], "go_live")))
    actions = nudges.group_by("action").aggregate([([], "count_all")]).to_pylist()
    assert {row["action"]: row["count_all"] for row in actions}["nudge"] == arm.sum()


def test_a_gain_that_its_spread_leads_below_zero_is_refused() -> None:
    with pytest.raises(InputError, match="a gain that stays one with its spread"):
        Plan(gain=0.05, spread=0.1)
