"""What ``spark_jobs/`` call: one Spark stage of one run, under a session that spark-submit configured.

Stages ``logs`` and ``edges`` of a run cover the days of its window, too: those that were never made, and those that a
late delivery tells of. What is done is not done again.
"""

from __future__ import annotations

import argparse
import datetime as dt
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from graphrep import vocab
from graphrep.config import load_config
from graphrep.errors import GraphrepError, of_system
from graphrep.pipeline.context import Run
from graphrep.pipeline.embed import graph_record
from graphrep.pipeline.run import run_day

PathLike = str | Path


def main(stage: str, argv: Sequence[str] | None = None) -> None:
    """Parse the job's arguments, run the stage, and leave with its exit code."""
    given = _parser(stage).parse_args(argv)
    with _told(stage):
        _run(stage, given.ds, given.config, given.logs, given.warehouse)


def embed(argv: Sequence[str] | None = None) -> None:
    """Run stage ``embed`` in several processes by pyspark's TorchDistributor, and leave with its exit code."""
    parser = _parser(vocab.EMBED)
    parser.add_argument("--processes", type=int, default=1, help="how many train together")
    parser.add_argument("--local", action="store_true", help="all on the driver; else in Spark's tasks, one each")
    parser.add_argument("--gpu", action="store_true", help="a GPU for each, which Spark hands out")
    given = parser.parse_args(argv)
    with _told(vocab.EMBED):
        run = _opened(given.config, given.logs, given.warehouse)
        run.check_ds(given.ds)
        graph_record(run, given.ds)  # a day without a graph is told before anything is started
        _distributed(run, given)


def _distributed(run: Run, given: argparse.Namespace) -> None:
    from pyspark.ml.torch.distributor import TorchDistributor

    _ = run.spark  # opened: the distributor looks for an active session
    distributor = TorchDistributor(given.processes, local_mode=given.local, use_gpu=given.gpu)
    # By absolute paths: the processes start in a directory of their own.
    places = [path and str(path.resolve()) for path in (given.config, given.logs, given.warehouse)]
    try:
        distributor.run(_run, vocab.EMBED, given.ds, *places)
    except RuntimeError as error:
        found, fix = str(error).strip().splitlines()[-1], "read what the processes printed"
        raise GraphrepError("processes that finish", found=found, where=vocab.EMBED, fix=fix) from None


def _parser(stage: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=f"graphrep stage {stage}")
    parser.add_argument("--config", type=Path, required=True, help="YAML file of settings")
    parser.add_argument("--ds", required=True, help="data day, YYYY-MM-DD")
    parser.add_argument("--logs", type=Path, help="directory of raw logs, in place of the configured one")
    parser.add_argument("--warehouse", type=Path, help="warehouse directory, in place of the configured one")
    return parser


def _opened(config: PathLike, logs: PathLike | None, warehouse: PathLike | None) -> Run:
    logs, warehouse = (None if given is None else Path(given) for given in (logs, warehouse))
    return Run(load_config(Path(config), logs=logs, warehouse=warehouse), today=dt.datetime.now(dt.UTC).date())


def _run(stage: str, ds: str, config: PathLike, logs: PathLike | None, warehouse: PathLike | None) -> None:
    run_day(_opened(config, logs, warehouse), ds, at=dt.datetime.now(dt.UTC), first=stage, last=stage)


@contextmanager
def _told(stage: str) -> Iterator[None]:
    try:
        yield
    except GraphrepError as error:
        _leave(stage, error)
    except OSError as error:
        _leave(stage, of_system(error))


def _leave(stage: str, error: GraphrepError) -> NoReturn:
    from graphrep.store.spark import complain

    complain(f"graphrep {stage}: {error}")
    sys.exit(error.exit_code)
