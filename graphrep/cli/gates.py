"""How a day was judged and where it stands: ``gates`` shows a line for each gate, ``lineage`` its files and ids."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import typer

from graphrep import vocab
from graphrep.cli.options import LOCAL, AsJson, Config, Ds, Warehouse, warehouse_of
from graphrep.cli.show import print_json, print_lines, print_table, table_lines
from graphrep.errors import InputError

app = typer.Typer()


@app.command(epilog="Example: graphrep gates --ds 2026-03-14 --warehouse demo/warehouse")
def gates(ds: Ds, config: Config = LOCAL, warehouse: Warehouse = None, as_json: AsJson = False) -> None:
    """How a day was judged, gate by gate; the last line is the verdict."""
    from graphrep.store import runlog

    judged = runlog.read_stage(warehouse_of(config, warehouse), ds, vocab.EVALUATE)
    if not judged:
        fix = f"run graphrep evaluate --ds {ds} first"
        raise InputError(f"the verdict of {ds}", found="none", where="graphrep gates", fix=fix)
    if as_json:
        print_json(judged["gate"])
    else:
        print_lines(gate_lines(judged["gate"]))


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
