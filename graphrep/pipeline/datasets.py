"""Sample logs and public data sets → raw log tables on disk, one Parquet file per table and day."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa

from graphrep.datasets.golive import GoLiveSpec, golive_logs
from graphrep.datasets.golive.real import Plan, plant, tables_of_days
from graphrep.datasets.public import ADAPTERS, select_sources
from graphrep.datasets.sample import SampleSpec, sample_logs
from graphrep.errors import InputError
from graphrep.pipeline.context import Progress
from graphrep.store import sources, tables

Parts = Iterable[tuple[str, str | None, pa.Table]]


def write_sample_logs(out: Path, spec: SampleSpec, progress: Progress) -> dict[str, int]:
    """Write the sample logs; their planted truth goes to ``truth/``, beside the log tables.

    Returns:
        table → rows.

    Raises:
        InputError: the place already holds something: mixing two samples would repeat event ids.
    """
    _check_empty(out)
    return _write(out, sample_logs(spec), progress, "sample logs", spec.days)


def write_golive_logs(out: Path, spec: GoLiveSpec, start: dt.date, progress: Progress) -> dict[str, int]:
    """Write logs of hosts who are nudged to ``OUT/logs``, and what was planted to ``OUT/truth.parquet``, apart.

    Returns:
        table → rows.

    Raises:
        InputError: the place already holds something, or the spec has more arms than have names.
    """
    _check_empty(out)
    truth, days = golive_logs(spec, start)
    rows = _write(out / "logs", days, progress, "go-live logs", spec.days)
    tables.save_parquet(out / "truth.parquet", truth)
    return {**rows, "truth": truth.num_rows}


def write_planted_logs(out: Path, src: Path, plan: Plan, progress: Progress) -> dict[str, int]:
    """Write the Twitch sessions of a folder with planted nudges to ``OUT/logs``, the truth to ``OUT/truth.parquet``.

    Returns:
        table → rows.

    Raises:
        InputError: a missing file or column, or a place that already holds something.
    """
    _check_empty(out)
    adapter = ADAPTERS["twitch-golive"]
    chosen = select_sources(adapter, sources.list_folder(src))
    read = {file: sources.read_source(src / file, list(columns)) for file, columns in chosen.items()}
    whole = pa.concat_tables([rows for _, _, rows in adapter.convert(read)], promote_options="default")
    golive, nudges, truth = plant(whole, plan)
    rows = _write(out / "logs", tables_of_days(golive, nudges), progress, "planted logs", 0)
    tables.save_parquet(out / "truth.parquet", truth)
    return {**rows, "truth": truth.num_rows}


def import_logs(name: str, src: Path, out: Path, progress: Progress) -> dict[str, int]:
    """Turn a public data set into raw log tables.

    Returns:
        table → rows.

    Raises:
        InputError: an unknown data set, a missing file or column, or a place that already holds something.
    """
    if name not in ADAPTERS:
        raise InputError(f"one of the data sets {sorted(ADAPTERS)}", found=repr(name))
    _check_empty(out)
    adapter = ADAPTERS[name]
    chosen = select_sources(adapter, sources.list_folder(src))
    read = {file: sources.read_source(src / file, list(columns)) for file, columns in chosen.items()}
    return _write(out, adapter.convert(read), progress, f"import {name}", 0)


def _check_empty(out: Path) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError("an empty or new directory", found="files in it", where=str(out), fix="choose another OUT")


def _write(out: Path, parts: Parts, progress: Progress, label: str, days: int) -> dict[str, int]:
    rows: dict[str, int] = {}
    seen: set[str] = set()
    with progress.stage(label, days) as step:
        for table, ds, content in parts:
            path = out / table if ds is None else tables.partition(out, table, ds)
            tables.write_arrow(path, content)
            rows[table] = rows.get(table, 0) + content.num_rows
            if ds is not None and ds not in seen:
                seen.add(ds)
                step(ds)
    return rows


def last_days(spec: SampleSpec, count: int) -> list[str]:
    """The last days of a sample, oldest first."""
    end = spec.start + dt.timedelta(days=spec.days - 1)
    return [(end - dt.timedelta(days=count - 1 - i)).isoformat() for i in range(count)]
