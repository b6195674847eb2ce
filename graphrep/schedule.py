"""What the DAGs run, as data: settings from the environment, one command per task.

Airflow parses a DAG file every few seconds, so this module imports the standard library and two light modules
of graphrep: no room, no pydantic, no torch, no pyspark, not even Airflow.

====================== =============================================================== ==================
variable               meaning                                                         default
====================== =============================================================== ==================
GRAPHREP_HOME          absolute path of the repository: it has spark_jobs/, commands   where the DAG file
                       run in it, the other paths may be relative to it                lies
GRAPHREP_CONFIG        YAML file of settings                                           configs/local.yaml
GRAPHREP_LOGS          directory of raw logs, in place of the configured one           as configured
GRAPHREP_WAREHOUSE     directory of the warehouse, in place of the configured one      as configured
GRAPHREP_SPARK_MASTER  given to spark-submit as --master                               spark-submit's own
GRAPHREP_SPARK_SUBMIT  command: Spark stages are a plain spark-submit; operator: they  command
                       are Airflow's SparkSubmitOperator, whose provider it needs
GRAPHREP_SPARK_CONN    the operator's connection: master, deploy mode, queue           spark_default
GRAPHREP_FIRST_DAY     first data day that is published; days before it fill windows    that of the first graph
GRAPHREP_PATIENCE_H    hours that a day waits for one before it that does not come     6
GRAPHREP_RETRY_MIN     minutes before a failed task is tried again; twice that the     5
                       second time
GRAPHREP_ALERT_URL     webhook that is told of failures and held days                  none: the log alone
GRAPHREP_BIN           directory of graphrep, spark-submit and python; empty: search   .venv/bin
                       the worker's PATH
====================== =============================================================== ==================
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from graphrep import vocab
from graphrep.errors import GateRefusedError, InputError

DATA_DAY = "{{ data_interval_start | ds }}"
"""Airflow template of the data day. Not ``{{ ds }}``, the logical date: a manual run has that a day later."""

FINAL_EXIT_CODES = (InputError.exit_code, GateRefusedError.exit_code)
"""Bad input and a refused day stay so however often they are tried; every other failure may pass."""

GRAPH_ASSET, VECTORS_ASSET, VERDICT_ASSET = "graphrep/graph", "graphrep/vectors", "graphrep/verdict"
UPLIFT_ASSET, RELEASE_ASSET = "graphrep/uplift", "graphrep/release"
"""Names of the assets that a day updates on its way; a ranker's DAG is scheduled on the last. Each is a hint: whoever
is woken by one asks the manifests what is missing."""

MADE_FROM = {
    VECTORS_ASSET: (GRAPH_ASSET,),
    UPLIFT_ASSET: (GRAPH_ASSET, VECTORS_ASSET),
    VERDICT_ASSET: (VECTORS_ASSET,),
    RELEASE_ASSET: (VECTORS_ASSET, VERDICT_ASSET),
}
"""Asset → those that it is made from; OpenLineage is told of them."""

SPARK_POOL, TRAIN_POOL, PUBLISH_POOL = "graphrep_spark", "graphrep_train", "graphrep_publish"
POOLS = {
    SPARK_POOL: (2, "Spark jobs and uplift fits of graphrep"),
    TRAIN_POOL: (1, "trainings: as many as there are GPUs"),
    PUBLISH_POOL: (1, "one writer of releases, history and exports"),
}
"""Name → slots, meaning; ``airflow pools import`` reads :func:`pools_json`."""

DEFAULTS: dict[str, Any] = {
    "owner": "graphrep",
    "retries": 2,
    "retry_delay": timedelta(minutes=float(os.environ.get("GRAPHREP_RETRY_MIN") or 5)),
    "retry_exponential_backoff": 2.0,  # the factor: 5 min, then 10
    "max_retry_delay": timedelta(hours=1),
    "execution_timeout": timedelta(hours=4),
}
"""Of every task of every DAG. Exit codes 2 and 3 are not retried: see ``graphrep.operators``."""

TAGS = ["graphrep", "embeddings"]

CHOSEN_DAY = '{{ ti.xcom_pull(task_ids="due") }}'
"""Airflow template of the data day of a run that an asset or the clock woke: what task ``due`` answered."""

APPROVAL = """Nothing is urgent: what is served stays served. Rejected, or not answered in 12 hours, the day is held.

```text
{{ ti.xcom_pull(task_ids="gate", key="gates") }}
```
"""
"""Template of the page that asks a person about an amber day: the table that task ``gate`` left."""

APPROVED = ' --approve "$APPROVED_BY" --reason "approved in Airflow"'
"""What is added to ``publish`` for an amber day; the name comes from the environment and stands in no line."""

WITHOUT_UPLIFT = " --without-uplift"
"""What is added to ``evaluate``: a day that ``graphrep due publish`` names has waited for its uplift long enough."""

SPARK_STAGES = (vocab.LOGS, vocab.EDGES, vocab.GRAPH)
JOBS = (*SPARK_STAGES, vocab.PANEL)
"""Stages that are a spark-submit; the first three make a day's graph."""


COMMAND, OPERATOR = "command", "operator"
"""How Spark stages are submitted."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the commands of a day find things: absolute paths; None leaves the choice to the command."""

    home: Path
    config: Path
    logs: Path | None
    warehouse: Path | None
    spark_master: str | None
    bin: Path | None
    first_day: str | None = None
    patience_hours: int = 6
    alert_url: str | None = None
    spark_submit: str = COMMAND
    spark_conn: str = "spark_default"


def settings_from(environ: Mapping[str, str], home: Path) -> Settings:
    """The settings in the environment; ``home`` is the repository where GRAPHREP_HOME is not set.

    Raises:
        InputError: GRAPHREP_SPARK_SUBMIT is neither, or a master is set for the operator, which has its connection's.

    Example:
        >>> settings_from({"GRAPHREP_LOGS": "demo/logs"}, Path("/srv/graphrep")).logs.as_posix()
        '/srv/graphrep/demo/logs'
    """
    home = Path(environ.get("GRAPHREP_HOME") or home)

    def path(name: str) -> Path | None:
        return home / environ[name] if environ.get(name) else None

    submit = environ.get("GRAPHREP_SPARK_SUBMIT") or COMMAND
    if submit not in (COMMAND, OPERATOR):
        raise InputError(f"{COMMAND} or {OPERATOR}", found=repr(submit), where="GRAPHREP_SPARK_SUBMIT")
    if submit == OPERATOR and (master := environ.get("GRAPHREP_SPARK_MASTER")):
        fix = "unset it: Airflow's connection GRAPHREP_SPARK_CONN has the master"
        raise InputError("no master for the operator", found=repr(master), where="GRAPHREP_SPARK_MASTER", fix=fix)
    return Settings(
        home=home,
        config=path("GRAPHREP_CONFIG") or home / "configs" / "local.yaml",
        logs=path("GRAPHREP_LOGS"),
        warehouse=path("GRAPHREP_WAREHOUSE"),
        spark_master=environ.get("GRAPHREP_SPARK_MASTER") or None,
        bin=path("GRAPHREP_BIN") if "GRAPHREP_BIN" in environ else home / ".venv" / "bin",
        first_day=environ.get("GRAPHREP_FIRST_DAY") or None,
        patience_hours=int(environ.get("GRAPHREP_PATIENCE_H") or 6),
        alert_url=environ.get("GRAPHREP_ALERT_URL") or None,
        spark_submit=submit,
        spark_conn=environ.get("GRAPHREP_SPARK_CONN") or "spark_default",
    )


def pools_json() -> str:
    """What ``airflow pools import`` reads.

    >>> json.loads(pools_json())["graphrep_publish"]["slots"]
    1
    """
    pools = {n: {"slots": s, "description": d, "include_deferred": False} for n, (s, d) in POOLS.items()}
    return json.dumps(pools, indent=1)


def stage_command(stage: str, settings: Settings, ds: str = DATA_DAY) -> list[str]:
    """The words of the command that runs one stage of the data day ``ds`` (YYYY-MM-DD or a template of it).

    Raises:
        InputError: no such stage.
    """
    if stage not in vocab.STAGES:
        raise InputError(f"a stage, one of {', '.join(vocab.STAGES)}", found=repr(stage))
    if stage in JOBS:
        master = ["--master", settings.spark_master] if settings.spark_master else []
        words = ["spark-submit", *master, str(settings.home / "spark_jobs" / f"{stage}_job.py")]
    else:
        words = ["graphrep", stage]
    words += ["--config", str(settings.config)]
    if settings.logs:
        words += ["--logs", str(settings.logs)]
    if settings.warehouse:
        words += ["--warehouse", str(settings.warehouse)]
    return [*words, "--ds", ds]


def command(words: Sequence[str], settings: Settings) -> list[str]:
    """The words of a command of ``graphrep`` with its configuration and its places."""
    places = ["--config", str(settings.config)]
    if settings.warehouse:
        places += ["--warehouse", str(settings.warehouse)]
    return ["graphrep", *words, *places]


def due_command(stage: str, settings: Settings) -> list[str]:
    """The words of the command that prints the day that a stage is to be run for next."""
    first = ["--first", settings.first_day] if settings.first_day else []
    return command(["due", stage, *first, "--patience", str(settings.patience_hours)], settings)


def line(words: Sequence[str], settings: Settings) -> str:
    """A command as one line of bash, which can be copied from the Airflow page and run by hand.

    ``GRAPHREP_BIN`` goes in front of PATH instead of in front of the command, because spark-submit looks
    there for the python that runs the job.
    """
    joined = shlex.join(words)
    return f'PATH={shlex.quote(str(settings.bin))}:"$PATH" {joined}' if settings.bin else joined


def shell_line(stage: str, settings: Settings, ds: str = DATA_DAY) -> str:
    """:func:`stage_command` as one line of bash."""
    return line(stage_command(stage, settings, ds), settings)
