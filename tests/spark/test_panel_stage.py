"""Stage ``panel``: generated logs → the panel that their truth foretells, with vectors of days before, made once."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from graphrep import vocab
from graphrep.config import load_config
from graphrep.contracts import LOG_EVENT, Event, Manifest, Panel
from graphrep.datasets.golive import PRESETS, golive_logs, simulate
from graphrep.datasets.golive.logs import ARMS
from graphrep.errors import InputError
from graphrep.pipeline.context import Run, add_days
from graphrep.pipeline.panel import panel_table, run_panel
from graphrep.pipeline.run import run_stage
from graphrep.store import runlog, tables

START = dt.date(2026, 3, 1)
# Two days late at most, with the delay of a day.
SPEC = replace(PRESETS["platform"], hosts=40, days=9, late=0.0, label_delay=1, spread=0.05)
DS = add_days(START.isoformat(), SPEC.days - 1)
GOLIVE = Path(__file__).parents[2] / "configs" / "golive.yaml"


def deliver(root: Path) -> Run:
    """Raw logs and their checked events, as stage ``logs`` leaves them; the truth is written nowhere."""
    run = Run(load_config(GOLIVE, logs=root / "logs", warehouse=root / "warehouse"), today=dt.date(2026, 4, 1))
    _, days = golive_logs(SPEC, START)
    parts: dict[str, list[pa.Table]] = {}
    for table, ds, rows in days:
        tables.write_arrow(tables.partition(run.config.logs.root, table, ds), rows)
        parts.setdefault(ds, []).append(checked(run, table, rows))
    for ds, own in parts.items():
        events = pa.concat_tables(own).group_by(LOG_EVENT.names, use_threads=False).aggregate([])
        tables.write_arrow(tables.partition(run.warehouse, tables.EVENTS, ds), events.select(LOG_EVENT.names))
        runlog.record_stage(run.warehouse, ds, vocab.LOGS, {runlog.FINGERPRINT: "x", "content": {ds: "x"}})
    return run


def checked(run: Run, table: str, rows: pa.Table) -> pa.Table:
    constants = run.config.logs.tables[table].columns
    day = pc.strftime(pc.cast(rows[Event.TS], pa.timestamp("ms")), "%Y-%m-%d")
    columns = {
        Event.DS: day,
        Event.EVENT_ID: pc.binary_join_element_wise(table, pc.cast(rows[Event.EVENT_ID], "string"), ":"),
    }
    for column in LOG_EVENT.columns:
        given = columns.get(column.name, rows[column.name] if column.name in rows.column_names else None)
        constant = constants[column.name].value if column.name in constants else None
        fallback = pa.nulls(rows.num_rows, pa.string()) if constant is None else pa.array([constant] * rows.num_rows)
        columns[column.name] = (fallback if given is None else given).cast(LOG_EVENT.schema.field(column.name).type)
    return pa.table(columns).select(LOG_EVENT.names)


@pytest.fixture(scope="module")
def run(spark: Any, tmp_path_factory: pytest.TempPathFactory, publish_vectors: Callable[..., str]) -> Run:
    run = deliver(tmp_path_factory.mktemp("golive"))
    for back, space in ((4, "old"), (3, "new"), (2, "new")):
        vectors = {f"h{n:06d}": [float(back), float(n)] for n in range(SPEC.hosts - 1)}
        publish_vectors(run.warehouse, add_days(DS, -back), {"host": vectors}, **{Manifest.SPACE_ID: space})
    return run


@pytest.fixture(scope="module")
def record(run: Run) -> dict[str, Any]:
    made: dict[str, Any] = run_stage(run, vocab.PANEL, DS, at=dt.datetime(2026, 3, 10, tzinfo=dt.UTC))
    return made


@pytest.fixture(scope="module")
def panel(run: Run, record: dict[str, Any]) -> pa.Table:
    return panel_table(run, DS)


def test_rows_are_what_the_generator_did(panel: pa.Table) -> None:
    seen, _ = simulate(SPEC)
    told = {(d, h): i for i, (d, h) in enumerate(zip(seen.day, seen.host, strict=True))}
    rows = panel.to_pylist()
    mature = 0
    for row in rows:
        day = (dt.date.fromisoformat(row[Panel.DS]) - START).days
        i = told.get((day, int(row[Panel.HOST][1:])))
        if i is None:
            assert day == SPEC.days, "the day that is scored"
            assert row[Panel.ARM] is None
            continue
        if row[Panel.FAMILY] == "nudge":
            assert row[Panel.ARM] == ("none", *ARMS)[seen.arm[i]]
            assert row[Panel.ASSIGNED_BY] == ("lot" if seen.randomised[i] else "policy")
            assert row[Panel.CHANCES] == ([0.25] * 4 if seen.randomised[i] else None)
            assert row[Panel.DELIVERED] == (seen.arm[i] > 0 and seen.delivered[i])
        else:
            assert row[Panel.ARM] == ("none", "few", "some", "many")[seen.exposure[i]]
            assert row[Panel.BOOST] == seen.boost[i]
        known = day + 4 < SPEC.days
        assert row[Panel.LIVE_1D] == (seen.live[i] if known else None)
        assert row[Panel.MINUTES_1D] == (pytest.approx(seen.minutes[i], abs=1e-3) if known else None)
        assert row[Panel.LIVE_7D] is None
        mature += known
    assert mature > 2 * 4 * 30
    assert {row[Panel.LIVE_1D] for row in rows} == {0, 1, None}


def test_the_record_says_what_there_is(record: dict[str, Any], panel: pa.Table) -> None:
    assert record["rows"] == {f: panel.filter(pc.equal(panel[Panel.FAMILY], f)).num_rows for f in ("nudge", "exposure")}
    assert record["days"] == [add_days(START.isoformat(), 1), add_days(DS, 1)]
    assert record["hosts"] == len(set(panel.filter(pc.greater(panel[Panel.DS], DS))[Panel.HOST].to_pylist()))
    assert record["with_vectors"] == panel.num_rows - panel[Panel.EMBEDDING].null_count


def test_vectors_are_the_newest_of_a_day_before_in_the_newest_basis(panel: pa.Table, record: dict[str, Any]) -> None:
    first, second = add_days(DS, -3), add_days(DS, -2)
    for row in panel.to_pylist():
        unknown = row[Panel.HOST] == f"h{SPEC.hosts - 1:06d}"
        made = None if row[Panel.DS] <= first or unknown else first if row[Panel.DS] <= second else second
        assert row[Panel.EMBEDDING_DS] == made
        assert row[Panel.EMBEDDING_SPACE] == (made and "new")
        back = 3 if made == first else 2
        assert row[Panel.EMBEDDING] == (made and [back, int(row[Panel.HOST][1:])])
    assert panel[Panel.EMBEDDING_DS].unique().to_pylist() == [None, first, second]
    assert record["vectors"][add_days(DS, 1)] == f"{second}.1"


def test_a_panel_that_is_done_is_not_made_again_and_made_again_is_equal_bytes(run: Run, record: dict[str, Any]) -> None:
    path = tables.partition(run.warehouse, tables.GOLIVE_PANEL, DS)
    before = {file.name: (file.stat().st_mtime_ns, file.read_bytes()) for file in path.iterdir()}
    assert run_panel(run, DS) == record
    assert {file.name: file.stat().st_mtime_ns for file in path.iterdir()} == {n: t for n, (t, _) in before.items()}
    runlog.drop_stage(run.warehouse, DS, vocab.PANEL)
    assert run_panel(run, DS) == record
    assert {file.name: file.read_bytes() for file in path.iterdir()} == {
        n: content for n, (_, content) in before.items()
    }
    assert not tables.partition(run.warehouse, tables.GOLIVE_DAYS, DS).exists()


def test_an_arm_that_is_not_configured_stops_the_stage_in_one_line_and_leaves_nothing(run: Run, tmp_path: Path) -> None:
    nudges = run.config.uplift.nudges
    assert nudges is not None
    only = nudges.model_copy(update={"arms": {"push": nudges.arms["push"]}})
    uplift = run.config.uplift.model_copy(update={"nudges": only})
    earlier = add_days(DS, -1)
    other = Run(run.config.model_copy(update={"uplift": uplift}), today=run.today)
    with pytest.raises(InputError, match=r"^expected nudges of the arms push, found (banner|incentive) \[panel of "):
        run_panel(other, earlier)
    assert not tables.partition(run.warehouse, tables.GOLIVE_PANEL, earlier).exists()
    assert runlog.read_stage(run.warehouse, earlier, vocab.PANEL) is None


def test_logs_that_were_not_checked_are_asked_for(run: Run) -> None:
    late = add_days(DS, 1)
    tables.write_arrow(tables.partition(run.config.logs.root, "live", late), pa.table({Event.TS: [0]}))
    with pytest.raises(InputError, match=f"expected the checked logs of {late}, found none"):
        run_panel(Run(run.config, today=run.today), late)


def test_where_uplift_is_not_enabled_nothing_is_done(run: Run) -> None:
    off = run.config.model_copy(update={"uplift": run.config.uplift.model_copy(update={"enabled": False})})
    assert run_panel(Run(off, today=run.today), DS) == {"enabled": False}
