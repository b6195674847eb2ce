"""Link prediction on the graphs of the suite, beside the published rows.

    python -m benchmarks.suite.links blogcatalog airport --seeds 0 1 2 --json links.json

One Markdown table for each data set. Splits and metrics: ``benchmarks.suite.splits``; every method sees the remaining
edges only, with their weights. Precision among the K = share · hidden best pairs of all that are not remaining edges;
signed sets: of the best and of the worst; Planetoid: AP, precision at 100 % and hits@1000, in %. Seconds and peak
memory (resident set of the whole process, libraries included; – where the system does not tell) are of making the
scores and of ranking all pairs; what is chosen on a validation part stands below the table, with its own seconds.
Several seeds of the split: mean ± standard deviation. Published rows come first, with their source: [S] printed by the
authors, [V] read off the curves of their figure, [R] recomputed with an implementation of no relation to this one.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from benchmarks.suite.graphs import DATA, READERS
from benchmarks.suite.link_published import PUBLISHED
from benchmarks.suite.link_rows import Row, columns, rows_of
from benchmarks.suite.splits import BadSplitError
from graphrep.errors import GraphrepError


def main(argv: Sequence[str] | None = None) -> int:
    """Print the tables; 2 and one line if the data or the split is not there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="*", help=f"of {', '.join(sorted(READERS))}; all if none is given")
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--seed", type=int, default=0, help="of the split, the solver and the validation part")
    parser.add_argument("--seeds", type=int, nargs="+", help="several splits: mean and standard deviation")
    parser.add_argument("--json", type=Path, help="write all rows to this file, after each data set")
    parser.add_argument("--device", help="torch device of the products; scipy on the CPU if not given")
    args = parser.parse_args(argv)
    unknown = sorted(set(args.name) - set(READERS))
    if unknown:
        parser.error(f"expected names of {', '.join(sorted(READERS))}, found {', '.join(unknown)}")
    done: list[Row] = []
    for name in args.name or sorted(READERS):
        try:
            done += table(name, args.data, args.seeds or [args.seed], args.device)
        except (BadSplitError, GraphrepError) as error:
            print(error, file=sys.stderr)
            return 2
        if args.json:
            args.json.write_text(json.dumps([asdict(row) for row in done], indent=1) + "\n")
    return 0


def table(name: str, data: Path, seeds: Sequence[int], device: str | None) -> list[Row]:
    """All rows of a data set, printed as they come; those of several seeds together at the end."""
    rows: list[Row] = []
    for seed in seeds:
        for row in rows_of(name, data, seed, device):
            if not rows:
                _head(name, seeds)
            rows.append(row)
            if len(seeds) == 1:
                _print([row])
    if len(seeds) > 1:
        for method in dict.fromkeys(row.method for row in rows):
            _print([row for row in rows if row.method == method])
    print()
    for row in rows:
        if row.note:
            settings = ", ".join(f"{key} {value:.4g}" for key, value in row.note.items())
            print(f"Chosen for the {row.method}, seed {row.seed}: {settings}.")
    print(flush=True)
    return rows


def _head(name: str, seeds: Sequence[int]) -> None:
    names = columns(name)
    print(f"### {name}, seed {', '.join(map(str, seeds))}\n")
    print("| method | " + " | ".join(names) + " | s | MB |")
    print("|---" * (len(names) + 3) + "|")
    for source, values in PUBLISHED.get(name, {}).items():
        for part, figures in values.items():
            cells = ["–" if figure is None else _figure(figure, len(names) == 3) for figure in figures]
            print(f"| {_label('published: ' + source, part)} | " + " | ".join(cells) + " | – | – |", flush=True)


def _print(rows: Sequence[Row]) -> None:
    """One method, its splits taken together."""
    seconds = float(np.mean([row.seconds for row in rows]))
    told = [row.memory for row in rows if row.memory is not None]
    memory = f"{max(told):.0f}" if told else "–"
    for part in rows[0].values:
        figures = np.array([row.values[part] for row in rows], np.float64)
        mean, spread = figures.mean(axis=0), figures.std(axis=0, ddof=1) if len(rows) > 1 else None
        cells = [_figure(figure, len(mean) == 3) for figure in mean]
        if spread is not None:
            cells = [f"{cell} ± {_figure(sd, len(mean) == 3)}" for cell, sd in zip(cells, spread, strict=True)]
        print(f"| {_label(rows[0].method, part)} | " + " | ".join(cells) + f" | {seconds:.1f} | {memory} |", flush=True)


def _label(method: str, part: str) -> str:
    return f"{method}, {part}" if part else method


def _figure(value: float, percent: bool) -> str:
    return f"{value:.2f}" if percent else f"{value:.4f}"


if __name__ == "__main__":
    raise SystemExit(main())
