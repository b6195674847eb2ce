"""Stage ``logs``: the raw rows of one day → events and quarantine, counted row by row."""

from __future__ import annotations

import datetime as dt
from functools import reduce
from typing import TYPE_CHECKING, Any

from graphrep import vocab
from graphrep.contracts import LOG_EVENT, QUARANTINE
from graphrep.errors import GateRefusedError, InputError
from graphrep.pipeline.context import Run, Step, add_days, fingerprint
from graphrep.pipeline.ids import erased_hashes
from graphrep.pipeline.pseudonyms import secret_of
from graphrep.store import files, raw, runlog, tables

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

Counts = dict[str, dict[str, int]]
ACCEPTED = "accepted"
DUPLICATE = "duplicate"
UNDATED = "undated"
ERASED = "erased"
EPOCH = dt.date(1970, 1, 1)
LAST_DAY = (dt.date.max - EPOCH).days


def run_logs(run: Run, ds: str) -> dict[str, Any]:
    """Check what was delivered in one day of every log table and write ``events`` and ``quarantine``.

    Returns:
        The stage's record: ``rows`` by table and outcome; ``content``: day of the events → a hash of them, equal for
        equal events; ``late``: events of days before; ``type_changes`` of raw columns since the delivery before.

    Raises:
        InputError: a required table or day is missing, empty or not whole, a mapping does not fit, or the secret of the
            pseudonyms is another one than before.
        GateRefusedError: more rows were refused than ``logs.max_quarantine_share``.
    """
    config = run.config
    run.check_ds(ds)
    secret = secret_of(run)
    with files.locked(run.warehouse / "runs" / ds / f".{vocab.LOGS}.lock"):
        begun = {n: t for n, t in config.logs.tables.items() if _begun(run, n, ds)}
        inputs = {n: raw.fingerprint(config.logs.root, n, t, ds) for n, t in begun.items()}
        print_of_inputs = fingerprint(inputs, config.fingerprint("logs", "surfaces"))
        done = runlog.read_stage(run.warehouse, ds, vocab.LOGS)
        if done and done.get(runlog.FINGERPRINT) == print_of_inputs and _written(run, ds):
            return done
        with run.progress.stage(f"logs {ds}", 3) as step:
            record = _check_day(run, ds, secret, step)
            limit = config.logs.max_quarantine_share
            refusal = _refusal(record, limit, ds) or _pool_refusal(run, record["rows"], limit)
            record |= {"refused": refusal} if refusal else {runlog.FINGERPRINT: print_of_inputs}
            runlog.record_stage(run.warehouse, ds, vocab.LOGS, record)
            run.contents.pop(ds, None)
            step("recorded")
    if refusal:
        raise GateRefusedError(
            f"at most {config.logs.max_quarantine_share:.2%} of rows refused",
            found=refusal,
            where=str(tables.partition(run.warehouse, tables.QUARANTINE, ds)),
            fix="mend the producer, or raise logs.max_quarantine_share; yesterday stays served",
        )
    return record


def _check_day(run: Run, ds: str, secret: str | None, step: Step) -> dict[str, Any]:
    """Two passes over the raw rows, to count and to write: cheaper than to keep them, and no retry counts twice."""
    rows, schemas = _checked_rows(run, ds, secret)
    counts, content = _count(rows, ds)
    _check_not_empty(run, counts, ds)
    step("counted")
    not_kept = (ACCEPTED, ERASED)
    refused = sum(count for table in counts.values() for reason, count in table.items() if reason not in not_kept)
    _write(run, ds, rows, refused=refused)
    _count_duplicates(run, ds, counts)
    step("written")
    changes = _type_changes(run, ds, schemas)
    late = sum(n for day, (n, _) in content.items() if day < ds)
    days = {day: digest for day, (_, digest) in sorted(content.items())}
    return {
        "rows": counts,
        "content": days,
        "late": late,
        "schemas": schemas,
        "type_changes": changes,
        **_totals(counts),
    }


def raw_days(run: Run, name: str) -> list[str]:
    """The days that a raw table has rows of, in order; one scan for a table that is not partitioned.

    In a table that is not partitioned, times up to 1970-01-01 are a producer's zeros: they begin no history.
    """
    if name not in run.raw_days:
        config = run.config.logs
        table = config.tables[name]
        if table.partitioned:
            run.raw_days[name] = raw.days(config.root, name, table)
        else:
            run.raw_days[name], run.pool_rows[name] = _scan_pool(run, name)
    return run.raw_days[name]


def _scan_pool(run: Run, name: str) -> tuple[list[str], int]:
    from pyspark.sql import functions as F

    from graphrep import logs
    from graphrep.contracts import Event
    from graphrep.store.spark import CORRUPT, read_raw, spark_errors

    config = run.config.logs
    path = raw.table_path(config.root, name, config.tables[name])
    if not raw.data_files(path, config.tables[name]):
        return [], 0
    table = config.tables[name]
    rows = logs.normalise(read_raw(run.spark, path, table), name, table, CORRUPT, max_key_bytes=config.max_key_bytes)
    day = F.floor(F.col(Event.TS) / vocab.DAY_MS).alias("day")
    with spark_errors(f"log table {name}", given=True):
        found = {row.day: row["count"] for row in rows.groupBy(day).count().collect()}
    days = sorted((EPOCH + dt.timedelta(days=day)).isoformat() for day in found if day and 0 < day <= LAST_DAY)
    return days, sum(found.values())


def _written(run: Run, ds: str) -> bool:
    return all(tables.partition(run.warehouse, t, ds).is_dir() for t in (tables.EVENTS, tables.QUARANTINE))


def _checked_rows(run: Run, ds: str, secret: str | None) -> tuple[DataFrame, dict[str, dict[str, str]]]:
    """The day's raw rows with their verdicts, and the types of their columns by table."""
    from graphrep import logs
    from graphrep.store.spark import CORRUPT, read_raw

    config, parts, schemas = run.config, [], {}
    lateness, longest = config.logs.lateness_days, config.logs.max_key_bytes
    for name, table in config.logs.tables.items():
        path = raw.day_path(config.logs.root, name, table, ds) if _begun(run, name, ds) else None
        if path is None:
            continue
        where = f"log table {name}, day {ds}"
        rows = read_raw(run.spark, path, table)
        schemas[name] = {field.name: field.dataType.simpleString() for field in rows.schema if field.name != CORRUPT}
        rows = logs.normalise(rows, name, table, CORRUPT, max_key_bytes=longest, where=where)
        if secret is not None and config.logs.pseudonyms:
            rows = logs.pseudonymise(rows, table, config.logs.pseudonyms.columns, secret)
        parts.append(
            logs.check_rows(rows, config.surfaces, ds, cut_by_ts=not table.partitioned, lateness_days=lateness)
        )
    if not parts:
        raise InputError("at least one log table with rows", found="none", where=f"--ds {ds}")
    rows, erased = reduce(lambda a, b: a.unionByName(b), parts), erased_hashes(run)
    return rows if erased is None else logs.mark_erased(rows, config.nodes, erased), schemas


def _type_changes(run: Run, ds: str, schemas: dict[str, dict[str, str]]) -> list[str]:
    """Raw columns of another type than in the newest delivery of the week before: told, since each value is judged."""
    for back in range(1, 8):
        before = (runlog.read_stage(run.warehouse, add_days(ds, -back), vocab.LOGS) or {}).get("schemas")
        if before:
            return [
                f"{table}.{column}: {before[table][column]} -> {kind}"
                for table, columns in schemas.items()
                for column, kind in columns.items()
                if table in before and before[table].get(column, kind) != kind
            ]
    return []


def _begun(run: Run, name: str, ds: str) -> bool:
    """Days before a table's first are no days of it; a table without any day is asked for, and so reported."""
    days = raw_days(run, name)
    return not days or ds >= days[0]


def _count(rows: DataFrame, ds: str) -> tuple[Counts, dict[str, tuple[int, str]]]:
    """Rows by table and outcome, repeats still among the accepted; and day of the events → rows and a hash of them."""
    from graphrep import logs
    from graphrep.store.spark import spark_errors

    counts: Counts = {}
    found: dict[str, dict[str, tuple[int, str]]] = {}
    with spark_errors(f"logs of {ds}", given=True):
        for name, day, reason, count, digest in logs.count_rows(rows).collect():
            own = counts.setdefault(name, {})
            own[reason or ACCEPTED] = own.get(reason or ACCEPTED, 0) + count
            if reason is None:
                found.setdefault(day, {})[name] = (count, str(digest))
    return counts, {day: (sum(n for n, _ in own.values()), fingerprint(own)) for day, own in found.items()}


def _count_duplicates(run: Run, ds: str, counts: Counts) -> None:
    """Move the repeats, which are good rows that were not written, out of the accepted."""
    from graphrep import logs
    from graphrep.store.spark import read_frames, spark_errors

    path = tables.partition(run.warehouse, tables.EVENTS, ds)
    good = sum(own.get(ACCEPTED, 0) for own in counts.values())
    if good == tables.count_rows(path):
        return
    with spark_errors(f"events of {ds}"):
        written: dict[str, int] = dict(logs.count_events(read_frames(run.spark, [path], LOG_EVENT)).collect())
    for name, own in counts.items():
        repeats = own.get(ACCEPTED, 0) - written.get(name, 0)
        if repeats:
            own |= {ACCEPTED: written.get(name, 0), DUPLICATE: repeats}


def _check_not_empty(run: Run, counts: Counts, ds: str) -> None:
    for name, table in run.config.logs.tables.items():
        if table.required and _begun(run, name, ds) and not counts.get(name):
            fix = "deliver the day, or mark the table required: false"
            raise InputError(f"rows of {name!r} for the day {ds}", found="an empty day", where=table.path, fix=fix)


def _write(run: Run, ds: str, rows: DataFrame, *, refused: int) -> None:
    from graphrep import logs
    from graphrep.store.spark import write_frame

    write_frame(logs.accepted(rows), tables.partition(run.warehouse, tables.EVENTS, ds), LOG_EVENT)
    path = tables.partition(run.warehouse, tables.QUARANTINE, ds)
    if refused:
        write_frame(logs.quarantined(rows), path, QUARANTINE)
    else:
        tables.write_arrow(path, QUARANTINE.schema.empty_table())


def _totals(counts: Counts) -> dict[str, int]:
    # Rows of a pool whose time cannot be read belong to no day: each day meets them, none counts them as its own.
    undated = sum(table.get(UNDATED, 0) for table in counts.values())
    total = sum(sum(table.values()) for table in counts.values()) - undated
    accepted = sum(table.get(ACCEPTED, 0) for table in counts.values())
    duplicates = sum(table.get(DUPLICATE, 0) for table in counts.values())
    erased = sum(table.get(ERASED, 0) for table in counts.values())
    return {
        "rows_in": total,
        "events": accepted,
        "duplicates": duplicates,
        "quarantined": total - accepted - duplicates - erased,
        ERASED: erased,
        UNDATED: undated,
    }


def _refusal(record: dict[str, Any], limit: float, ds: str) -> str | None:
    """The one line that says why the day is held back, or None."""
    total, refused = record["rows_in"], record["quarantined"]
    if refused <= limit * total:
        return None
    reasons: dict[str, int] = {}
    for name, table in record["rows"].items():
        for reason, count in table.items():
            if reason not in (ACCEPTED, DUPLICATE, UNDATED, ERASED):
                reasons[f"{name}: {reason}"] = count
    worst = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))[:3]
    named = ", ".join(f"{reason} {count}" for reason, count in worst)
    return f"{refused} of {total} rows of {ds} ({refused / total:.2%}): {named}"


def _pool_refusal(run: Run, counts: Counts, limit: float) -> str | None:
    """The same for rows without a readable time, as a share of their whole pool."""
    for name, table in counts.items():
        undated, total = table.get(UNDATED, 0), run.pool_rows.get(name, 0)
        if undated > limit * total:
            return f"{undated} of the {total} rows of {name!r} without a readable time ({undated / total:.2%})"
    return None
