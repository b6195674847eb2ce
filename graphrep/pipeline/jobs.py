"""What ``spark_jobs/`` call: one Spark stage of one day, under a session that spark-submit configured."""

from __future__ import annotations

import argparse
import datetime as dt
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from graphrep.config import load_config
from graphrep.errors import GraphrepError, of_system
from graphrep.pipeline.context import Run
from graphrep.pipeline.run import run_stage


def main(stage: str, argv: Sequence[str] | None = None) -> None:
    """Parse the job's arguments, run the stage, and leave with its exit code."""
    parser = argparse.ArgumentParser(description=f"graphrep stage {stage}")
    parser.add_argument("--config", type=Path, required=True, help="YAML file of settings")
    parser.add_argument("--ds", required=True, help="data day, YYYY-MM-DD")
    parser.add_argument("--logs", type=Path, help="directory of raw logs, in place of the configured one")
    parser.add_argument("--warehouse", type=Path, help="warehouse directory, in place of the configured one")
    given = parser.parse_args(argv)
    now = dt.datetime.now(dt.UTC)
    try:
        run = Run(load_config(given.config, logs=given.logs, warehouse=given.warehouse), today=now.date())
        run_stage(run, stage, given.ds, at=now)
    except GraphrepError as error:
        _leave(stage, error)
    except OSError as error:
        _leave(stage, of_system(error))


def _leave(stage: str, error: GraphrepError) -> NoReturn:
    from graphrep.store.spark import complain

    complain(f"graphrep {stage}: {error}")
    sys.exit(error.exit_code)
