"""Public graphs and rankings beside the published figures: one command, one table for each question, one JSON.

    python -m benchmarks.suite blogcatalog wow-ep8 amazon_cdsr --seeds 0 1 2 --dims 64 128 --json suite.json

Without names: all. The tables go to stdout as Markdown, what has been done so far to stderr. Every row has the figures
of its question, the seconds of making the scores ("fit s") and of ranking by them, and the peak of the resident set of
the whole process, libraries included; – where the system does not tell or nothing is known. Several seeds: mean ±
standard deviation, mean seconds, largest peak. Published rows come first.

Link prediction. Splits and metrics: ``benchmarks.suite.splits``; every method sees the remaining edges only, with
their weights. Precision among the K = share · hidden best pairs of all that are not remaining edges; signed sets: of
the best and of the worst; Planetoid: AP, precision at 100% and hits@1000. The seed is of the split, the solver and
what is chosen on a validation part. The authors of POLE ship one split of wow-ep8: seed 0 stands for it.
Published: [S] printed by the authors, [V] read off the curves of their figure, [R] recomputed by another
implementation.

Rankings: ``benchmarks.suite.rankings`` and, for amazon_cdsr, ``transitions`` and ``domains`` beside it. The seed is of
the fit and of the items to rank among.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from benchmarks.suite import domains, link_rows, rankings, report, transitions
from benchmarks.suite.graphs import DATA, READERS
from benchmarks.suite.link_published import PUBLISHED
from benchmarks.suite.splits import BadSplitError
from graphrep.errors import GraphrepError, InputError

NAMES = (*sorted(READERS), *rankings.NAMES)
MODELS = ("hybrid", "gnn")
KNOWN = (
    ("published", {**PUBLISHED, **rankings.PUBLISHED}),
    ("computed before", rankings.COMPUTED_BEFORE),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Print the tables; 2 and one line if a name, the data or the split is not there."""
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("python -m benchmarks.suite", description=__doc__, formatter_class=layout)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}; all if none is given")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--dims", type=int, nargs="+", default=[64, 128, 256], help="of the vectors of the rankings")
    for model in MODELS:
        parser.add_argument(f"--{model}", action="store_true", help=f"rows of the {model} too, for the rankings")
    parser.add_argument("--data", type=Path, default=DATA, help="the folder with a folder for each name")
    parser.add_argument("--json", type=Path, help="write all rows to this file, after each data set")
    parser.add_argument("--device", help="torch device of the products; the CPU if not given")
    args = parser.parse_args(argv)
    models = [model for model in MODELS if getattr(args, model)]
    done: list[report.Row] = []
    try:
        for name in _checked(args.names or NAMES, args.data, args.json):
            done += run(name, args.data, args.seeds, args.dims, args.device, models)
            if args.json:
                args.json.write_text(json.dumps([asdict(row) for row in done], indent=1) + "\n")
    except (BadSplitError, GraphrepError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _checked(names: Sequence[str], data: Path, rows: Path | None) -> list[str]:
    """The names once each, if all that the run needs is there: it can take hours."""
    unknown = sorted(set(names) - set(NAMES))
    if unknown:
        raise InputError(f"names of {', '.join(NAMES)}", found=", ".join(unknown))
    folders = dict.fromkeys(rankings.FOLDERS.get(name, name) for name in names)
    missing = [folder for folder in folders if not (data / folder).is_dir()]
    if missing:
        raise InputError(f"folders {', '.join(missing)}", found="none", where=str(data), fix="pass --data DIR")
    if rows and not rows.parent.is_dir():
        raise InputError("a folder for the rows", found="none", where=str(rows.parent))
    return list(dict.fromkeys(names))


def run(
    name: str, data: Path, seeds: Sequence[int], dims: Sequence[int], device: str | None, models: Sequence[str] = ()
) -> list[report.Row]:
    """All rows of a data set; its tables are printed when they are complete."""
    rows: list[report.Row] = []
    for seed in (0,) if name == "wow-ep8" else dict.fromkeys(seeds):
        for row in rows_of(name, data, seed, dims, device, models):
            rows.append(replace(row, seed=seed))
            print(f"{row.name}, seed {seed}: {row.method}", file=sys.stderr, flush=True)
    asked: list[report.Row] = []
    for question in dict.fromkeys(row.name for row in rows):
        own = [row for row in rows if row.name == question]
        own = [row for source, known in KNOWN for row in report.published(source, known, own[0])] + own
        print(report.table(own), flush=True)
        asked += own
    return asked


def rows_of(
    name: str, data: Path, seed: int, dims: Sequence[int], device: str | None, models: Sequence[str] = ()
) -> Iterator[report.Row]:
    """The rows of one data set and seed."""
    if name in READERS:
        yield from link_rows.rows_of(name, data, seed, device)
        return
    for problem in rankings.READERS[name](data, seed):
        yield from rankings.rows_of(problem, dims, seed, device, models)
        if name == "amazon_cdsr":
            yield from transitions.rows_of(problem)
            yield from domains.rows_of(problem, dims, seed, device)


if __name__ == "__main__":
    raise SystemExit(main())
