"""Options that more than one command takes, and the clock. Entry points ask for the time; nothing below them does."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Annotated

import typer

Config = Annotated[Path, typer.Option("--config", help="YAML file of settings.")]
Ds = Annotated[str, typer.Option("--ds", help="Data day, YYYY-MM-DD.")]
Logs = Annotated[Path | None, typer.Option("--logs", help="Directory of raw logs, in place of the configured one.")]
Warehouse = Annotated[Path | None, typer.Option("--warehouse", help="Warehouse, in place of the configured one.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
LOCAL = Path("configs/local.yaml")


def now() -> dt.datetime:
    """The time of the call, UTC."""
    return dt.datetime.now(dt.UTC)


def warehouse_of(config: Path, warehouse: Path | None) -> Path:
    """The given warehouse, else the configured one."""
    if warehouse is not None:
        return warehouse
    from graphrep.config import load_config

    return load_config(config).warehouse
