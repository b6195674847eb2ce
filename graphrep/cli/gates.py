"""How a day was judged and where it stands: ``gates`` shows a line for each gate, ``lineage`` its files and ids."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from graphrep import vocab
from graphrep.cli.options import LOCAL, AsJson, Config, Ds, Warehouse, warehouse_of
from graphrep.cli.show import print_json, print_lines, print_table, table_lines
from graphrep.errors import InputError

app = typer.Typer()


@app.command(epilog="Example: graphrep gates --ds 2026-03-14 --warehouse demo/warehouse")
def gates(
    ds: Annotated[str | None, typer.Option("--ds", help="Data day, YYYY-MM-DD; the newest judged, if none.")] = None,
    config: Config = LOCAL,
    warehouse: Warehouse = None,
    as_json: AsJson = False,
) -> None:
    """How a day was judged, gate by gate; the last line is the verdict."""
    from graphrep.store import runlog

    place = warehouse_of(config, warehouse)
    asked = [ds] if ds else reversed(runlog.days(place))
    judged = next(((day, found) for day in asked if (found := runlog.read_stage(place, day, vocab.EVALUATE))), None)
    if judged is None:
        fix = f"run graphrep evaluate --ds {ds or 'DAY'} first"
        raise InputError(f"the verdict of {ds or 'a day'}", found="none", where="graphrep gates", fix=fix)
    day, record = judged
    if as_json:
        print_json({vocab.DS: day, **record["gate"]} if ds is None else record["gate"])
    else:
        print_lines([*([] if ds else [f"day {day}"]), *gate_lines(record["gate"])])


@app.command(epilog="Example: graphrep lineage --ds 2026-03-14 --warehouse demo/warehouse --json")
def lineage(ds: Ds, config: Config = LOCAL, warehouse: Warehouse = None, as_json: AsJson = False) -> None:
    """The run manifest of a day, its verdict and its release, with the sha256 of each file."""
    from graphrep.pipeline.lineage import lineage_of

    found = lineage_of(warehouse_of(config, warehouse), ds)
    if as_json:
        print_json(found)
    else:
        print_table(["of the day", ""], [[name, value] for name, value in found.items()])


def gate_lines(gate: Mapping[str, Any]) -> list[str]:
    """The gate report of a day or of a release: the verdict, who let it through, and every gate.

    >>> check = {"name": "zero_rows", "scope": "user", "value": 0.5, "interval": None, "rows": 9}
    >>> check |= {"limits": {"green_max": 0.0}, "colour": "amber", "note": ""}
    >>> for line in gate_lines({"colour": "amber", "checks": [check], "approval": None}): print(line)
    gate       type  value  green  amber  colour
    zero_rows  user  0.5    ≤ 0    any    amber
    gates: amber
    """
    rows = [
        [
            check["name"],
            check["scope"],
            _value(check),
            _range(check["limits"], "green"),
            _range(check["limits"], "amber"),
            check["colour"],
            check["note"],
        ]
        for check in gate["checks"]
    ]
    lines = table_lines(["gate", "type", "value", "green", "amber", "colour", ""], rows)
    approval = gate.get("approval")
    by = f", {approval['kind']} by {approval['name']}: {approval['reason']}" if approval else ""
    return [*lines, f"gates: {gate['colour']}{by}"]


def _value(check: Mapping[str, Any]) -> str:
    value, interval = check["value"], check["interval"]
    if value is None or isinstance(value, str):
        return "–" if value is None else value
    return f"{value:.4g}" + (f" ({interval[0]:.4g} to {interval[1]:.4g})" if interval else "")


def _range(limits: Mapping[str, float], colour: str) -> str:
    least, most = limits.get(f"{colour}_min"), limits.get(f"{colour}_max")
    parts = ([] if least is None else [f"≥ {least:g}"]) + ([] if most is None else [f"≤ {most:g}"])
    return ", ".join(parts) or "any"
