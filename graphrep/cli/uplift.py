"""Commands of go-live uplift: ``uplift panel``."""

from __future__ import annotations

import typer

from graphrep import vocab
from graphrep.cli.options import AsJson, Config, Ds, Logs, Warehouse, now
from graphrep.cli.show import Bars, print_json, print_lines

app = typer.Typer(help="What a nudge, or a live impression, changes in hosts' going live.", no_args_is_help=True)


@app.command(epilog="Example: graphrep uplift panel --config configs/golive.yaml --ds 2026-03-12")
def panel(config: Config, ds: Ds, logs: Logs = None, warehouse: Warehouse = None, as_json: AsJson = False) -> None:
    """Hosts and days from the checked logs: what was known before each day, what was done, what came of it."""
    from graphrep.config import load_config
    from graphrep.pipeline.context import Run
    from graphrep.pipeline.run import run_stage

    run = Run(load_config(config, logs=logs, warehouse=warehouse), today=now().date(), progress=Bars())
    record = run_stage(run, vocab.PANEL, ds, at=now())
    if as_json:
        print_json(record)
    elif not record["enabled"]:
        print_lines(["uplift.enabled is false: no panel is made"])
    else:
        rows = ", ".join(f"{count:,} of {family}" for family, count in record["rows"].items())
        first, last = (record["days"] or ["none"])[0], (record["days"] or ["none"])[-1]
        vectors = f"{record['with_vectors']:,} with a vector"
        print_lines(
            [
                f"panel     {rows or 'no rows'}; {vectors}",
                f"          {first} to {last}, {record['hosts']:,} hosts to score",
            ]
        )
