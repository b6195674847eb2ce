"""Command that takes keys out of a warehouse: ``erase``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from graphrep import vocab
from graphrep.cli.options import LOCAL, AsJson, Config, Warehouse, now
from graphrep.cli.show import Bars, print_json, print_lines
from graphrep.errors import InputError

app = typer.Typer()


@app.command(epilog="Example: graphrep erase --keys gone.txt --warehouse demo/warehouse")
def erase(
    keys: Annotated[
        Path | None,
        typer.Option("--keys", help="File of lines KEY or TYPE<TAB>KEY, UTF-8; keys as the logs have them."),
    ] = None,
    pending: Annotated[
        bool, typer.Option("--pending", help="The files of operations.erasure_requests that were not done yet.")
    ] = False,
    config: Config = LOCAL,
    warehouse: Warehouse = None,
    node_type: Annotated[str, typer.Option("--type", help="Node type of lines without one.")] = vocab.USER,
    as_json: AsJson = False,
) -> None:
    """Erase keys for ever: dictionary, working tables, day graphs, and releases, which are made anew without them."""
    from graphrep.config import load_config
    from graphrep.pipeline import erase as pipeline
    from graphrep.pipeline.context import Run
    from graphrep.pipeline.erase_requests import erase_requests
    from graphrep.store.erase import read_keys

    if (keys is not None) == pending:
        raise InputError("--keys FILE or --pending", found="both" if pending else "neither", where="graphrep erase")
    at = now()
    run = Run(load_config(config, warehouse=warehouse), today=at.date(), progress=Bars())
    if keys is not None:
        record = pipeline.erase(run, read_keys(keys, node_type, list(run.config.nodes)), at=at)
        lines = _lines(record)
    else:
        record = erase_requests(run, at=at, node_type=node_type)
        lines = _lines(record["erased"]) if record["erased"] else []
        lines.append(f"requests    {record['files']:,} files were new")
    if as_json:
        print_json(record)
    else:
        print_lines(lines)


def _lines(record: dict[str, Any]) -> list[str]:
    asked = ", ".join(f"{count:,} {node_type}" for node_type, count in record["keys"].items())
    rows = ", ".join(f"{count:,} of {table}" for table, count in record["rows"].items())
    lines = [
        f"keys        {asked}; {record['remembered']:,} not erased before",
        f"dictionary  {record['dictionary']:,} keys became tombstones",
        f"rows        {rows or 'none'}",
        f"graphs      {', '.join(record['graphs']) + ' removed: run the day again' if record['graphs'] else 'none'}",
    ]
    if record["history"]:
        lines.append(f"history     {', '.join(f'{count:,} {t}' for t, count in record['history'].items())}")
    released, horizon = record["releases"], record["horizon"]
    lines += [f"release     {old} was made anew as {new}" for old, new in released["renewed"].items()]
    lines += [f"release     {old} was removed: a later attempt replaced it" for old in released["removed"]]
    lines += [f"release     {old} cannot be read and may hold any: remove it" for old in released["unreadable"]]
    lines.append(f"horizon     {horizon['served']}: from this day's release on, no vector owes anything to these keys")
    return lines
