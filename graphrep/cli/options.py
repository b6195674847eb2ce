"""Options that more than one command takes, and the clock. Entry points ask for the time; nothing below them does."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Annotated

import typer

from graphrep.errors import InputError

Config = Annotated[Path, typer.Option("--config", help="YAML file of settings.")]
Ds = Annotated[str, typer.Option("--ds", help="Data day, YYYY-MM-DD.")]
Logs = Annotated[Path | None, typer.Option("--logs", help="Directory of raw logs, in place of the configured one.")]
Warehouse = Annotated[Path | None, typer.Option("--warehouse", help="Warehouse, in place of the configured one.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
LOCAL = Path("configs/local.yaml")


def now() -> dt.datetime:
    """The time of the call, UTC."""
    return dt.datetime.now(dt.UTC)


def asked_of_stage(
    context: typer.Context, name: str, config: Path | None, ds: str | None, *places: Path | None, as_json: bool
) -> tuple[Path, str] | None:
    """Configuration and day of a stage that has commands of its own beside it; None where one of these was called.

    Raises:
        InputError: options of the stage before a command, or not all that it needs.
    """
    named = [option for option, value in (("--config", config), ("--ds", ds)) if value is not None]
    named += [option for option, value in zip(("--logs", "--warehouse"), places, strict=True) if value is not None]
    named += ["--json"] if as_json else []
    if (command := context.invoked_subcommand) is not None:
        if named:
            found = f"{', '.join(named)} before it"
            raise InputError(f"options after {command}", found=found, where=f"graphrep {name} {command}")
        return None
    if config is None or ds is None:
        fix = f"see graphrep {name} --help"
        raise InputError("--config and --ds", found=", ".join(named) or "neither", where=f"graphrep {name}", fix=fix)
    return config, ds


def warehouse_of(config: Path, warehouse: Path | None) -> Path:
    """The given warehouse, else the configured one."""
    if warehouse is not None:
        return warehouse
    from graphrep.config import load_config

    return load_config(config).warehouse
