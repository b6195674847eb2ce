"""Commands of the history of releases: ``history sync``, ``history show``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from graphrep.cli.options import LOCAL, AsJson, Config, Warehouse, now
from graphrep.cli.show import Bars, print_json, print_lines, print_table

if TYPE_CHECKING:
    from graphrep.pipeline.context import Run

app = typer.Typer(help="Iceberg tables of all published vectors, by day.", no_args_is_help=True)


def _run(config: Config, warehouse: Warehouse) -> Run:
    from graphrep.config import load_config
    from graphrep.pipeline.context import Run

    return Run(load_config(config, warehouse=warehouse), today=now().date(), progress=Bars())


@app.command(epilog="Example: graphrep history sync --warehouse demo/warehouse")
def sync(
    config: Config = LOCAL,
    warehouse: Warehouse = None,
    ds: Annotated[str | None, typer.Option("--ds", help="This day alone.")] = None,
    as_json: AsJson = False,
) -> None:
    """Bring the tables up to the pointer. What they hold is not written again."""
    from graphrep.pipeline import history

    record = history.sync(_run(config, warehouse), ds, at=now())
    if as_json:
        print_json(record)
        return
    lines = [f"{node_type:<10}  wrote {', '.join(days)}" for node_type, days in record["written"].items()]
    lines += [f"{node_type:<10}  took out {', '.join(days)}" for node_type, days in record["dropped"].items()]
    print_lines(lines or ["the tables hold what is published"])


@app.command(epilog="Example: graphrep history show --warehouse demo/warehouse")
def show(config: Config = LOCAL, warehouse: Warehouse = None, as_json: AsJson = False) -> None:
    """What the tables hold: days, releases and rows."""
    from graphrep.pipeline import history

    record = history.show(_run(config, warehouse))
    if as_json:
        print_json(record)
        return
    print_lines([f"current is {record['current']}"])
    rows = [
        [t, day["ds"], day["release_id"], f"{day['rows']:,}"] for t, days in record["tables"].items() for day in days
    ]
    print_table(["type", "day", "release", "rows"], rows)
