"""What the daily DAG runs, as data: settings from the environment, one command per stage.

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
GRAPHREP_BIN           directory of graphrep, spark-submit and python; empty: search   .venv/bin
                       the worker's PATH
====================== =============================================================== ==================
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from graphrep import vocab
from graphrep.errors import GateRefusedError, InputError

DATA_DAY = "{{ data_interval_start | ds }}"
"""Airflow template of the data day. Not ``{{ ds }}``, the logical date: a manual run has that a day later."""

FINAL_EXIT_CODES = (InputError.exit_code, GateRefusedError.exit_code)
"""Bad input and a refused day stay so however often they are tried; every other failure may pass."""

RELEASE_ASSET = "graphrep/release"
"""Name of the asset that a published day updates; a ranker's DAG is scheduled on it."""

SPARK_STAGES = (vocab.LOGS, vocab.EDGES, vocab.GRAPH)


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the commands of a day find things: absolute paths; None leaves the choice to the command."""

    home: Path
    config: Path
    logs: Path | None
    warehouse: Path | None
    spark_master: str | None
    bin: Path | None


def settings_from(environ: Mapping[str, str], home: Path) -> Settings:
    """The settings in the environment; ``home`` is the repository where GRAPHREP_HOME is not set.

    Example:
        >>> settings_from({"GRAPHREP_LOGS": "demo/logs"}, Path("/srv/graphrep")).logs.as_posix()
        '/srv/graphrep/demo/logs'
    """
    home = Path(environ.get("GRAPHREP_HOME") or home)

    def path(name: str) -> Path | None:
        return home / environ[name] if environ.get(name) else None

    return Settings(
        home=home,
        config=path("GRAPHREP_CONFIG") or home / "configs" / "local.yaml",
        logs=path("GRAPHREP_LOGS"),
        warehouse=path("GRAPHREP_WAREHOUSE"),
        spark_master=environ.get("GRAPHREP_SPARK_MASTER") or None,
        bin=path("GRAPHREP_BIN") if "GRAPHREP_BIN" in environ else home / ".venv" / "bin",
    )


def stage_command(stage: str, settings: Settings, ds: str = DATA_DAY) -> list[str]:
    """The words of the command that runs one stage of the data day ``ds`` (YYYY-MM-DD or a template of it).

    Raises:
        InputError: no such stage.
    """
    if stage not in vocab.STAGES:
        raise InputError(f"a stage, one of {', '.join(vocab.STAGES)}", found=repr(stage))
    if stage in SPARK_STAGES:
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


def shell_line(stage: str, settings: Settings, ds: str = DATA_DAY) -> str:
    """The command as one line of bash, which can be copied from the Airflow page and run by hand.

    ``GRAPHREP_BIN`` goes in front of PATH instead of in front of the command, because spark-submit looks
    there for the python that runs the job.
    """
    line = shlex.join(stage_command(stage, settings, ds))
    return f'PATH={shlex.quote(str(settings.bin))}:"$PATH" {line}' if settings.bin else line
