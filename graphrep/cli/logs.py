"""Commands that write raw logs: ``sample-logs``, ``import``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from graphrep.cli.options import AsJson
from graphrep.cli.show import Bars, print_json, print_table

app = typer.Typer()


@app.command(name="sample-logs", epilog="Example: graphrep sample-logs logs --days 14 --users 3000 --seed 0")
def sample_logs(
    out: Annotated[Path, typer.Argument(help="New directory.")],
    days: Annotated[int, typer.Option("--days")] = 14,
    users: Annotated[int, typer.Option("--users", help="Users on the first day; more come daily.")] = 3000,
    seed: Annotated[int, typer.Option("--seed")] = 0,
    start: Annotated[str, typer.Option("--start", help="First day.")] = "2026-03-01",
    as_json: AsJson = False,
) -> None:
    """Write logs of four surfaces with a planted truth beside them, in OUT/truth."""
    from graphrep.datasets.sample import SampleSpec
    from graphrep.pipeline.datasets import write_sample_logs
    from graphrep.store.raw import check_day

    spec = SampleSpec(users=users, days=days, seed=seed, start=check_day(start, where="--start"))
    _print_rows(write_sample_logs(out, spec, Bars()), as_json)


@app.command(name="sample-golive", epilog="Example: graphrep sample-golive golive --preset platform --size tiny")
def sample_golive(
    out: Annotated[Path, typer.Argument(help="New directory.")],
    preset: Annotated[str, typer.Option("--preset", help="What is planted.")] = "platform",
    size: Annotated[str, typer.Option("--size", help="tiny, ci or bench.")] = "tiny",
    seed: Annotated[int, typer.Option("--seed")] = 0,
    start: Annotated[str, typer.Option("--start", help="First day.")] = "2026-03-01",
    real: Annotated[Path | None, typer.Option("--real", help="Folder of twitch_golive_2019_07, to plant on.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write logs of hosts who are nudged and served to OUT/logs, and what was planted to OUT/truth.parquet."""
    from graphrep.datasets.golive import spec_of
    from graphrep.datasets.golive.real import Plan
    from graphrep.pipeline.datasets import write_golive_logs, write_planted_logs
    from graphrep.store.raw import check_day

    if real is not None:
        _print_rows(write_planted_logs(out, real, Plan(seed=seed), Bars()), as_json)
        return
    spec, first = spec_of(preset, size, seed), check_day(start, where="--start")
    _print_rows(write_golive_logs(out, spec, first, Bars()), as_json)


@app.command(name="import", epilog="Example: graphrep import kuairand data/KuaiRand-Pure logs-kuairand")
def import_command(
    name: Annotated[str, typer.Argument(help="kuairand, twitch-golive, retailrocket or amazon-cdsr.")],
    src: Annotated[Path, typer.Argument(help="Folder of the public files.")],
    out: Annotated[Path, typer.Argument(help="New directory for the raw logs.")],
    as_json: AsJson = False,
) -> None:
    """Turn a public data set into raw logs."""
    from graphrep.pipeline.datasets import import_logs

    _print_rows(import_logs(name, src, out, Bars()), as_json)


def _print_rows(rows: dict[str, int], as_json: bool) -> None:
    if as_json:
        print_json(rows)
    else:
        print_table(["table", "rows"], [[name, f"{count:,}"] for name, count in rows.items()])
