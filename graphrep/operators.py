"""Airflow operators for graphrep's commands, and who is told when one fails. Imported by DAG files: nothing heavy here.

A command's exit code says what may help: 2 (bad input) and 3 (a gate held the day) fail the task at once, anything else
is tried again. What a command prints last is its answer.
"""

from __future__ import annotations

import json
import logging
import os
import urllib.request
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import BaseOperator, BranchMixIn, Context
from airflow.sdk.definitions.callback import SyncCallback
from airflow.sdk.definitions.deadline import DeadlineAlert, DeadlineReference
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from graphrep import vocab
from graphrep.asking import gates_of, short_table, tell_assets
from graphrep.errors import InputError
from graphrep.schedule import DATA_DAY, FINAL_EXIT_CODES, OPERATOR, Settings, settings_from, shell_line, stage_command

log = logging.getLogger(__name__)

_PATIENCE_S = 30
"""For a webhook: who is told must not hold up who works."""


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
        self.lineage: dict[str, str] = {}

    def execute(self, context: Context) -> Any:
        try:
            answer = super().execute(context)
        except AirflowSkipException as final:
            reason = "bad input (exit code 2) or a day that a gate refused (3); the log above says which"
            raise AirflowFailException(f"{self.task_id}: {reason}. Not retried.") from final
        self.lineage = tell_assets(self.outlets, {**self.told, "answer": answer}, self.settings, context)
        return answer

    def get_openlineage_facets_on_complete(self, _: Any) -> Any:
        """What the OpenLineage provider asks, where it is installed."""
        from graphrep.openlineage import facets

        return facets(self.outlets, self.lineage)


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


def spark_task(stage: str, settings: Settings, ds: str = DATA_DAY, **kwargs: Any) -> BaseOperator:
    """The task of a Spark stage: a plain ``spark-submit``, or the provider's operator where the settings ask for it.

    Args:
        stage: one that is a spark-submit, such as ``edges``.
        ds: data day, or a template of it.
        kwargs: of the operator, such as ``pool``.

    Raises:
        InputError: the settings ask for the operator, and its provider is not installed.
    """
    kwargs = {"task_id": stage, "settings": settings, "told": {vocab.DS: ds}, **kwargs}
    if settings.spark_submit != OPERATOR:
        return CommandOperator(command_line=shell_line(stage, settings, ds), **kwargs)
    try:
        from graphrep.spark_submit import SparkStageOperator
    except ModuleNotFoundError as missing:
        fix = "install apache-airflow-providers-apache-spark (--no-deps beside pyspark), or leave the variable out"
        raise InputError(
            "the Spark provider of Airflow", found=str(missing), where="GRAPHREP_SPARK_SUBMIT", fix=fix
        ) from None
    return SparkStageOperator(stage=stage, words=stage_command(stage, settings, ds), **kwargs)


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


def told_of_delay(dag: str, home: str, hours: float, context: Mapping[str, Any] | None = None) -> None:
    """Deadline callback: a run of a DAG takes longer than it should.

    Airflow gives it the run as the REST API shows it. A run that an asset woke has no data day: ``gates`` is then the
    table of the day that was judged last.
    """
    settings = settings_from(os.environ, home=Path(home))
    run = (context or {}).get("dag_run", {})
    ds = str(run.get("data_interval_start") or "")[:10]
    message = {"dag": dag, "run": run.get("dag_run_id", ""), vocab.DS: ds, "gates": gates_of(ds, settings)}
    tell({**message, "event": "run is late", "reason": f"not done {hours:g} hours after it was queued"}, settings)


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
