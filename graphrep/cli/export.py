"""Commands that put a release into stores of others: ``export daily``, ``redis``, ``index``, ``feast``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graphrep import vocab
from graphrep.cli.options import LOCAL, AsJson, Config, Warehouse, now
from graphrep.cli.show import Bars, print_json, print_lines

if TYPE_CHECKING:
    from graphrep.pipeline.context import Run

app = typer.Typer(help="A release for Redis, for a vector index, for Feast.", no_args_is_help=True)
ReleaseId = Annotated[str | None, typer.Option("--release", help="Instead of the current one.")]


def _run(config: Config, warehouse: Warehouse) -> Run:
    from graphrep.config import load_config
    from graphrep.pipeline.context import Run

    return Run(load_config(config, warehouse=warehouse), today=now().date(), progress=Bars())


def _tell(record: dict[str, Any], lines: list[str], as_json: bool) -> None:
    if as_json:
        print_json(record)
    else:
        print_lines(lines)


def _counts(record: dict[str, Any]) -> str:
    return ", ".join(f"{count:,} {node_type}" for node_type, count in record["rows"].items())


@app.command(epilog="Example: graphrep export daily --config configs/local.yaml --warehouse demo/warehouse")
def daily(config: Config = LOCAL, warehouse: Warehouse = None, as_json: AsJson = False) -> None:
    """Put the current release wherever export.daily of the configuration says."""
    from graphrep.pipeline.export import export_daily

    record = export_daily(_run(config, warehouse))
    lines = [f"{place} has {told['release_id']}" for place, told in record.items()]
    _tell(record, lines or ["export.daily names nothing"], as_json)


@app.command(epilog="Example: graphrep export redis --url redis://localhost:6379/0 --warehouse demo/warehouse")
def redis(
    url: Annotated[str, typer.Option("--url", help="redis://HOST:PORT/DB or unix:///SOCKET.")],
    config: Config = LOCAL,
    warehouse: Warehouse = None,
    release: ReleaseId = None,
    as_json: AsJson = False,
) -> None:
    """Put a release into Redis and make it the one that is read there."""
    from graphrep.pipeline.export import export_redis

    record = export_redis(_run(config, warehouse), url, release)
    _tell(record, [f"Redis serves {record['release_id']}: {_counts(record)}"], as_json)


@app.command(epilog="Example: graphrep export index --out demo/index --warehouse demo/warehouse")
def index(
    out: Annotated[Path, typer.Option("--out", help="Directory of indexes; one below it for each release.")],
    node_type: Annotated[list[str] | None, typer.Option("--type", help="To index; host where none is named.")] = None,
    queries_of: Annotated[str, typer.Option("--from", help="Type whose vectors will ask.")] = vocab.USER,
    config: Config = LOCAL,
    warehouse: Warehouse = None,
    release: ReleaseId = None,
    as_json: AsJson = False,
) -> None:
    """Write a vector index of a release, with its recall measured."""
    from graphrep.pipeline.export import export_index

    types = tuple(node_type or [vocab.HOST])
    record = export_index(_run(config, warehouse), out, release, node_types=types, queries_of=queries_of)
    lines = [
        f"{name}: {told['count']:,} rows, recall@{told['k']} {told['recall']:.4f} of {told['queries']:,}"
        f" {told['queries_of']} queries"
        for name, told in record["types"].items()
    ]
    _tell(record, [*lines, f"in {out / record['release_id']}"], as_json)


@app.command(epilog="Example: graphrep export feast --out demo/feast --warehouse demo/warehouse")
def feast(
    out: Annotated[Path, typer.Option("--out", help="Directory of the Feast repository.")],
    config: Config = LOCAL,
    warehouse: Warehouse = None,
    release: ReleaseId = None,
    as_json: AsJson = False,
) -> None:
    """Write a Feast repository of a release, ready for feast apply and feast materialize."""
    from graphrep.pipeline.export import export_feast

    record = export_feast(_run(config, warehouse), out, release)
    end = record["timestamp"][:19]
    lines = [
        f"{_counts(record)} of {record['release_id']} in {out}",
        f"Next: cd {out} && feast apply && feast materialize {record['release_id'][:10]}T00:00:00 {end}",
    ]
    _tell(record, lines, as_json)
