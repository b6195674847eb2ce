"""Command that compares what rankers read with what was published: ``consistency``."""

from __future__ import annotations

from typing import Annotated

import typer

from graphrep.cli.options import LOCAL, AsJson, Config, Warehouse, now
from graphrep.cli.show import Bars, print_json, print_lines, print_table
from graphrep.errors import GateRefusedError

app = typer.Typer()


@app.command(epilog="Example: graphrep consistency --config configs/local.yaml --warehouse demo/warehouse")
def consistency(
    config: Config = LOCAL,
    warehouse: Warehouse = None,
    sample: Annotated[int, typer.Option("--sample", min=1, help="Keys of each type that are asked for.")] = 1000,
    seed: Annotated[int, typer.Option("--seed", min=0, help="That they are drawn with.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Compare the reader, history, mirror and Redis with the current release; exit code 3 where one differs."""
    from graphrep.config import load_config
    from graphrep.pipeline import consistency as pipeline
    from graphrep.pipeline.context import Run

    run = Run(load_config(config, warehouse=warehouse), today=now().date(), progress=Bars())
    record = pipeline.consistency(run, sample=sample, seed=seed)
    if as_json:
        print_json(record)
    elif record["release_id"] is None:
        print_lines(["nothing is published: nothing to compare"])
    else:
        rows = [
            [row["place"], row["node_type"], f"{row['keys']:,}", f"{row['wrong']:,}", row["reason"]]
            for row in record["compared"]
        ]
        print_table(["read from", "type", "keys", "wrong", ""], rows)
    wrong = [row for row in record["compared"] if row["reason"]]
    if wrong:
        found = "; ".join(f"{row['place']} {row['node_type']}: {row['reason']}" for row in wrong)
        raise GateRefusedError("what is read to be what was published", found=found, where=record["release_id"])
    if not as_json and record["release_id"]:
        print_lines([f"{record['release_id']} is read as it was published"])
