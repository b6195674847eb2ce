"""Command that removes what old days leave behind: ``maintain``."""

from __future__ import annotations

import typer

from graphrep.cli.options import LOCAL, AsJson, Config, Warehouse, now
from graphrep.cli.show import Bars, print_json, print_lines

app = typer.Typer()


@app.command(epilog="Example: graphrep maintain --config configs/local.yaml --warehouse demo/warehouse")
def maintain(config: Config = LOCAL, warehouse: Warehouse = None, as_json: AsJson = False) -> None:
    """Remove releases, day graphs, panels and states of the history that are older than the settings keep."""
    from graphrep.config import load_config
    from graphrep.pipeline import maintain as pipeline
    from graphrep.pipeline.context import Run

    at = now()
    run = Run(load_config(config, warehouse=warehouse), today=at.date(), progress=Bars())
    record = pipeline.maintain(run, at=at)
    if as_json:
        print_json(record)
        return
    removed = [f"{name:<8}  {', '.join(record[name]) or 'none'}" for name in ("releases", "graphs", "panels")]
    swept = record["history"]
    told = f"{swept['states']:,} states and {swept['files']:,} files" if swept else "not enabled"
    print_lines([*removed, f"history   {told}"])
