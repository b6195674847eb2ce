"""Airflow operators for graphrep's commands, and who is told when one fails. Imported by DAG files: nothing heavy here.

A command's exit code says what may help: 2 (bad input) and 3 (a gate held the day) fail the task at once, anything else
is tried again. What a command prints last is its answer.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import urllib.request
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import Asset, BranchMixIn, Context
from airflow.sdk.definitions.callback import SyncCallback
from airflow.sdk.definitions.deadline import DeadlineAlert, DeadlineReference
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from graphrep import vocab
from graphrep.schedule import FINAL_EXIT_CODES, Settings, command, line, settings_from

log = logging.getLogger(__name__)

_PATIENCE_S = 30
"""For a webhook, and for the gates of a day to be read: who is told must not hold up who works."""

_TABLE_CHARACTERS = 20_000
"""Of a gate table that Airflow's database keeps for the person who is asked."""


class CommandOperator(BashOperator):
    """A command whose final exit codes fail the task at once; any other failure is retried.

    BashOperator tells exit codes apart only to skip the task, so the skip is turned into the failure it is.

    Args:
        command_line: of bash; a template.
        settings: where it runs.
        told: what the assets of ``outlets`` are told beside the command's answer, such as the data day; templates.
    """

    template_fields = (*BashOperator.template_fields, "told")

    def __init__(
        self, *, command_line: str, settings: Settings, told: Mapping[str, str] | None = None, **kwargs: Any
    ) -> None:
        kwargs = {"append_env": True, **kwargs}
        super().__init__(
            bash_command=command_line, cwd=str(settings.home), skip_on_exit_code=FINAL_EXIT_CODES, **kwargs
        )
        self.told, self.settings = dict(told or {}), settings

    def execute(self, context: Context) -> Any:
        try:
            answer = super().execute(context)
        except AirflowSkipException as final:
            reason = "bad input (exit code 2) or a day that a gate refused (3); the log above says which"
            raise AirflowFailException(f"{self.task_id}: {reason}. Not retried.") from final
        assets = [outlet for outlet in self.outlets if isinstance(outlet, Asset)]
        lineage = lineage_of(self.told.get(vocab.DS, ""), self.settings) if assets else {}
        for asset in assets:
            context["outlet_events"][asset].extra = {**self.told, "answer": answer, **lineage}
        return answer


class DueOperator(CommandOperator):
    """Which day is next; all that follows is skipped where none is."""

    def execute(self, context: Context) -> Any:
        ds = super().execute(context)
        if not ds:
            raise AirflowSkipException("nothing is due")
        return ds


class GateOperator(CommandOperator, BranchMixIn):
    """Shows the gates of a day and goes where its verdict leads; red fails, without a retry.

    Where a person has to decide, the table is left as XCom ``gates``, for the page that asks, and somebody is told.

    Args:
        green: task that follows where nothing is wrong.
        amber: task that follows where a person has to decide.
    """

    def __init__(self, *, green: str, amber: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.ways = {"green": green, "amber": amber}

    def execute(self, context: Context) -> Any:
        answer = super().execute(context)
        colour = answer.removeprefix("gates: ").partition(",")[0]
        if colour not in self.ways:
            raise AirflowFailException(f"{self.task_id}: {answer}. Held; what is served stays served. Not retried.")
        if colour == "amber":
            table = short_table(gates_of(self.told[vocab.DS], self.settings))
            context["ti"].xcom_push("gates", table)
            message = {"event": "waits for a person", "reason": answer, vocab.DS: self.told[vocab.DS], "gates": table}
            tell({**_run_of(context), **message}, self.settings)
        self.do_branch(context, self.ways[colour])
        return answer


def told_of_failure(context: Context) -> None:
    """Failure callback of a task: what failed, of which day, with its gates, in the log and to the webhook."""
    task = context["task"]
    ds = str(getattr(task, "told", {}).get(vocab.DS, ""))
    settings = getattr(task, "settings", None) or settings_from(os.environ, home=Path.cwd())
    message = {vocab.DS: ds, "reason": str(context.get("exception") or ""), "gates": ds and gates_of(ds, settings)}
    tell({**_run_of(context), "event": "task failed", **message}, settings)


def _run_of(context: Context) -> dict[str, str]:
    ti = context["ti"]
    return {"dag": ti.dag_id, "task": ti.task_id, "run": ti.run_id}


def told_of_delay(dag: str, home: str, hours: float, **context: Any) -> None:
    """Deadline callback: a run of a DAG takes longer than it should."""
    reason = f"not done {hours:g} hours after it was queued"
    tell({"dag": dag, "event": "run is late", "reason": reason}, settings_from(os.environ, home=Path(home)))


def deadline(dag: str, settings: Settings, hours: float) -> DeadlineAlert:
    """Of a DAG: :func:`told_of_delay` so many hours after a run was queued."""
    told = {"dag": dag, "home": str(settings.home), "hours": hours}
    return DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=timedelta(hours=hours),
        callback=SyncCallback(told_of_delay, kwargs=told),
    )


def tell(message: Mapping[str, Any], settings: Settings) -> None:
    """Say it in the log, as JSON, and to ``GRAPHREP_ALERT_URL``; a webhook that does not answer is logged, no more."""
    content = json.dumps(message, sort_keys=True)
    log.error("graphrep: %s", content)
    if settings.alert_url:
        request = urllib.request.Request(
            settings.alert_url, content.encode(), {"Content-Type": "application/json"}, method="POST"
        )
        try:
            urllib.request.urlopen(request, timeout=_PATIENCE_S).close()
        except OSError as error:
            log.error("graphrep: the webhook of GRAPHREP_ALERT_URL was not told: %s", error)


def gates_of(ds: str, settings: Settings) -> str:
    """The gate table of a day, empty where it was not judged."""
    try:
        return _asked(["gates", "--ds", ds], settings)
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
