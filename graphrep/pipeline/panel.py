"""Stage ``panel``: the events of the days before → hosts and days that go-live uplift is learnt from and scored on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from graphrep import __version__, vocab
from graphrep.contracts import LOG_EVENT, PANEL, Panel, check_table
from graphrep.contracts.uplift import LOOKBACK
from graphrep.errors import InputError, StoreError
from graphrep.pipeline.context import Run, add_days, fingerprint
from graphrep.pipeline.deliveries import check_delivered, raw_days_between
from graphrep.pipeline.panel_vectors import Source, newest_before, sources, with_vectors
from graphrep.store import files, runlog, tables

DECISION = "decision_ds"
"""Directories of the rows before their vectors are joined, one for each decision day."""


def run_panel(run: Run, ds: str) -> dict[str, Any]:
    """Write the panel of a data day: the decision days whose labels are known, the newer ones, and the day after.

    Returns:
        ``enabled``; ``rows`` by kind of treatment, ``days``: first and last decision day; ``hosts`` to be scored;
        ``vectors``: decision day → what its vectors are from, and ``with_vectors``: rows that have one.

    Raises:
        InputError: the checked logs of a day are missing, an input knows the decision day, or a nudge has an arm that
            is not configured.
    """
    run.check_ds(ds)
    if not run.config.uplift.enabled:
        return {"enabled": False}
    first = first_event_day(run, ds)
    check_delivered(run, first, ds)
    found = sources(run, ds)
    print_of_inputs = _fingerprint(run, ds, found)
    with files.locked(run.warehouse / "runs" / ds / f".{vocab.PANEL}.lock"):
        done = runlog.read_stage(run.warehouse, ds, vocab.PANEL)
        path = tables.partition(run.warehouse, tables.GOLIVE_PANEL, ds)
        if done and done.get(runlog.FINGERPRINT) == print_of_inputs and path.is_dir():
            return done
        with run.progress.stage(f"panel {ds}", 2) as step:
            _write_rows(run, ds)
            step("host-days")
            told: dict[str, Any] = {"rows": {}, "days": [], "hosts": 0, "vectors": {}, "with_vectors": 0}
            tables.write_parts(path, _joined(run, ds, found, told))
            files.remove_directory(tables.partition(run.warehouse, tables.GOLIVE_DAYS, ds))
            step("vectors")
        record = {runlog.FINGERPRINT: print_of_inputs, "enabled": True, **told}
        runlog.record_stage(run.warehouse, ds, vocab.PANEL, record)
    return record


def first_event_day(run: Run, ds: str) -> str:
    """The oldest day whose events histories reach back to; authorisations are looked for in what is there before."""
    return add_days(_first_decision(run, ds), -LOOKBACK)


def panel_table(run: Run, ds: str) -> pa.Table:
    """The panel of a data day: ``golive_panel_v1``, checked.

    Raises:
        StoreError: it was not made, or is damaged.
        InputError: a host-day comes twice, or something in a row knows its decision day.
    """
    table = tables.read_table(tables.partition(run.warehouse, tables.GOLIVE_PANEL, ds))
    check_panel(table)
    return table


def check_panel(table: pa.Table) -> None:
    """Refuse a panel that breaks its contract, or of which a row knows its own day.

    Raises:
        InputError: naming the column.
    """
    check_table(table, PANEL)
    for name in (Panel.AS_OF, Panel.EMBEDDING_DS):
        late = table.filter(pc.greater_equal(table[name], table[Panel.DS]))
        if late.num_rows:
            found = f"{late[name][0].as_py()} for {late[Panel.DS][0].as_py()}, in {late.num_rows} rows"
            raise InputError(f"{name} before the decision day", found=found, where=f"table {PANEL.name}")


def _first_decision(run: Run, ds: str) -> str:
    """Not before the second day of the logs: of the first nothing was known."""
    from graphrep.panel import first_decision

    wanted = first_decision(run.config.uplift, ds, run.config.logs.lateness_days)
    days = raw_days_between(run, "", ds)
    return max(wanted, add_days(days[0], 1)) if days else wanted


def _fingerprint(run: Run, ds: str, found: dict[str, Source]) -> str:
    """Of the deliveries that are read, the vectors that are joined, and the settings."""
    contents = {day: (runlog.read_stage(run.warehouse, day, vocab.LOGS) or {}).get("content") for day in _read(run, ds)}
    embedded = (runlog.read_stage(run.warehouse, ds, vocab.EMBED) or {}).get(runlog.FINGERPRINT)
    vectors = {day: (source.name, source.space_id) for day, source in found.items()}
    settings = run.config.uplift.model_dump(mode="json"), run.config.logs.lateness_days, run.config.fingerprint("nodes")
    return fingerprint(contents, embedded, vectors, settings, __version__)


def _read(run: Run, ds: str) -> list[str]:
    """Days of delivery that are read: those that histories reach back to, and before them what is there."""
    first = add_days(_first_decision(run, ds), -run.config.uplift.authorised_days)
    days = raw_days_between(run, first, ds)
    return [day for day in days if tables.partition(run.warehouse, tables.EVENTS, day).is_dir()]


def _write_rows(run: Run, ds: str) -> None:
    from pyspark.sql import functions as F

    from graphrep import panel
    from graphrep.store.spark import read_frames, write_frame

    settings, late = run.config.uplift, run.config.logs.lateness_days
    paths = [tables.partition(run.warehouse, tables.EVENTS, day) for day in _read(run, ds)]
    events = read_frames(run.spark, paths, LOG_EVENT, day_column=panel.DELIVERED)
    rows = panel.panel_rows(events, settings, ds, late, _first_decision(run, ds))
    rows = rows.withColumn(DECISION, F.col(Panel.DS)).repartition(Panel.DS)
    target = tables.partition(run.warehouse, tables.GOLIVE_DAYS, ds)
    try:
        write_frame(rows, target, PANEL, partition_by=DECISION)
    except StoreError as error:
        told = error.found.partition(panel.REFUSED)[2]
        if not told:
            raise
        expected, _, found = told.partition(" SQLSTATE")[0].partition(", found ")
        raise InputError(expected, found=found.rstrip("."), where=f"panel of {ds}") from None


def _joined(run: Run, ds: str, found: dict[str, Source], told: dict[str, Any]) -> Iterator[tuple[str, pa.Table]]:
    """The rows of one decision day after the other with their vectors; what they are is added to the record."""
    root = tables.partition(run.warehouse, tables.GOLIVE_DAYS, ds)
    for name in tables.subdirectories(root):
        decision = name.removeprefix(f"{DECISION}=")
        rows = tables.read_table(root / name, PANEL.names).cast(PANEL.schema)
        source = newest_before(found, decision)
        rows = with_vectors(rows, source)
        check_panel(rows)
        for family in rows[Panel.FAMILY].unique().to_pylist():
            told["rows"][family] = told["rows"].get(family, 0) + pc.sum(pc.equal(rows[Panel.FAMILY], family)).as_py()
        told["days"] = [*told["days"][:1], decision]
        told["hosts"] = len(rows[Panel.HOST].unique()) if decision > ds else 0
        told["vectors"][decision] = source and source.name
        told["with_vectors"] += rows.num_rows - rows[Panel.EMBEDDING].null_count
        yield decision, rows
    if not told["days"]:
        yield "none", PANEL.schema.empty_table()
