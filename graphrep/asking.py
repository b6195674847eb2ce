"""What Airflow's tasks ask of a day by the commands of ``graphrep``, to tell others: its gates, its lineage."""

from __future__ import annotations

import json
import logging
import subprocess
from collections.abc import Iterable, Mapping
from typing import Any

from airflow.sdk import Asset, Context

from graphrep import vocab
from graphrep.schedule import Settings, command, line

log = logging.getLogger(__name__)

_PATIENCE_S = 30
"""For an answer: who is told must not hold up who works."""

_TABLE_CHARACTERS = 20_000
"""Of a gate table that Airflow's database keeps for the person who is asked."""


def tell_assets(
    outlets: Iterable[Any], about: Mapping[str, Any], settings: Settings, context: Context
) -> dict[str, str]:
    """Give the events of a task's assets their extra: what is said ``about`` them, and the lineage of its day.

    Returns:
        The lineage; empty where the task has no asset.
    """
    assets = [outlet for outlet in outlets if isinstance(outlet, Asset)]
    lineage = lineage_of(about.get(vocab.DS, ""), settings) if assets else {}
    for asset in assets:
        context["outlet_events"][asset].extra = {**about, **lineage}
    return lineage


def gates_of(ds: str, settings: Settings) -> str:
    """The gate table of a day, empty where it was not judged; without a day, of the one that was judged last."""
    try:
        return _asked(["gates", *(["--ds", ds] if ds else [])], settings)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"could not be read: {error}"


def short_table(table: str, most: int = _TABLE_CHARACTERS) -> str:
    """A gate table of at most so many characters: its first lines, and the verdict, which is the last.

    >>> rows = ["gate  colour", "a     green", "b     green", "c     amber", "d     green", "gates: amber"]
    >>> print(short_table("\\n".join(rows), most=60))
    gate  colour
    … 4 lines: graphrep gates
    gates: amber
    """
    lines = table.strip().splitlines()
    if len(table.strip()) <= most:
        return "\n".join(lines)
    cut, left = [], most - len(lines[-1]) - len("… 999 lines: graphrep gates\n\n")
    for text in lines[:-1]:
        if (left := left - len(text) - 1) < 0:
            break
        cut.append(text)
    return "\n".join([*cut, f"… {len(lines) - 1 - len(cut)} lines: graphrep gates", lines[-1]])


def lineage_of(ds: str, settings: Settings) -> dict[str, str]:
    """What ``graphrep lineage`` says of a day. Empty where it cannot: an event without it is still a hint, and the work
    of the task is done."""
    try:
        found: dict[str, str] = json.loads(_asked(["lineage", "--ds", ds, "--json"], settings) or "{}")
    except (OSError, subprocess.TimeoutExpired, ValueError) as error:
        log.warning("graphrep: the event goes without the lineage of %s: %s", ds, error)
        return {}
    return found


def _asked(words: list[str], settings: Settings) -> str:
    """What a command that only reads prints; empty where it fails."""
    shell = ["bash", "-c", line(command(words, settings), settings)]
    done = subprocess.run(shell, capture_output=True, text=True, timeout=_PATIENCE_S, check=False, cwd=settings.home)
    return done.stdout if done.returncode == 0 else ""
