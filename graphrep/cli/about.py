"""Commands about graphrep itself: ``contracts``, ``doctor``."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from graphrep import __version__
from graphrep.cli.options import AsJson
from graphrep.cli.show import print_json, print_table
from graphrep.errors import InputError

app = typer.Typer()
contracts_app = typer.Typer(help="The tables as data.", no_args_is_help=True)


@contracts_app.command("list", epilog="Example: graphrep contracts list")
def contracts_list(as_json: AsJson = False) -> None:
    """Every table: name, grain, meaning."""
    from graphrep.contracts import CONTRACTS

    if as_json:
        print_json({"contracts": list(CONTRACTS)})
    else:
        rows = [[c.name, " ".join(c.grain) or "–", c.owner, c.meaning] for c in CONTRACTS.values()]
        print_table(["table", "grain", "owner", "meaning"], rows)


@contracts_app.command("show", epilog="Example: graphrep contracts show log_event_v1")
def contracts_show(name: Annotated[str, typer.Argument()], as_json: AsJson = False) -> None:
    """The columns of a table: type, unit, meaning."""
    from dataclasses import asdict

    from graphrep.contracts import CONTRACTS

    if name not in CONTRACTS:
        raise InputError(f"one of the tables {list(CONTRACTS)}", found=repr(name))
    contract = CONTRACTS[name]
    if as_json:
        print_json(asdict(contract))
        return
    rows = [[c.name, c.type, "may be null" * c.nullable, c.unit, c.meaning] for c in contract.columns]
    print_table(["column", "type", "", "unit", "meaning"], rows)


@app.command(epilog="Example: graphrep doctor")
def doctor(as_json: AsJson = False) -> None:
    """What this machine has of what graphrep needs; fails if Java for Spark is missing."""
    from importlib.metadata import PackageNotFoundError, version

    from graphrep.store.java import java_version

    def installed(name: str) -> str:
        try:
            return version(name)
        except PackageNotFoundError:
            return "not installed"

    facts = {"graphrep": __version__, "python": sys.version.split()[0]}
    facts |= {name: installed(name) for name in ("pyspark", "torch", "torch-geometric", "apache-airflow")}
    java, major = java_version()
    facts["java"] = f"{major} ({java})"
    if as_json:
        print_json(facts)
    else:
        print_table(["part", "version"], [[name, value] for name, value in facts.items()])
