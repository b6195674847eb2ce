"""How the command shows things: bars or lines of progress, tables, JSON. Progress goes to stderr, results to stdout."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from graphrep.pipeline.context import Step

if TYPE_CHECKING:
    from graphrep.pipeline.demo import Demo


_BETWEEN_LINES = 30.0


class Bars:
    """A bar per stage on a terminal; elsewhere a plain line when a stage is done, and one each half minute before."""

    @contextmanager
    def stage(self, name: str, total: int) -> Iterator[Step]:
        if sys.stderr.isatty():
            with _bar(name, total) as moved:
                yield moved
            return
        started = told = time.monotonic()

        def step(label: str = "") -> None:
            nonlocal told
            if label and time.monotonic() - told >= _BETWEEN_LINES:
                told = time.monotonic()
                print(f"{name:<24} {told - started:6.1f} s  {label}", file=sys.stderr, flush=True)

        yield step
        print(f"{name:<24} {time.monotonic() - started:6.1f} s", file=sys.stderr, flush=True)


@contextmanager
def _bar(name: str, total: int) -> Iterator[Step]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description:<24}"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[label]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(name, total=total or None, label="")

        def step(label: str = "") -> None:
            progress.update(task, advance=1, label=label)

        yield step
        progress.update(task, label="")


def print_json(content: Any) -> None:
    print(json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False))


def print_lines(lines: Sequence[str]) -> None:
    for line in lines:
        print(line)


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    print_lines(table_lines(head, rows))


def table_lines(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A plain table: columns as wide as their widest cell.

    >>> table_lines(["a", "b"], [["1", "22"]])
    ['a  b', '1  22']
    """
    widths = [max(len(str(row[i])) for row in [head, *rows]) for i in range(len(head))]
    cells = [[str(cell).ljust(width) for cell, width in zip(row, widths, strict=True)] for row in [head, *rows]]
    return ["  ".join(row).rstrip() for row in cells]


def quality_lines(rows: Sequence[dict[str, Any]]) -> list[str]:
    """The quality table: one line per target and band, a pair of columns per model."""
    if not rows:
        return ["quality   no labels: the label day's logs are not there"]
    models = list(dict.fromkeys(row["model"] for row in rows))
    k = rows[0]["k"]
    head = ["target", "history", "users", *[f"{m} R@{k} / N@{k}" for m in models]]
    found = {(r["target"], r["band"], r["model"]): r for r in rows}
    lines = []
    for target, band in dict.fromkeys((r["target"], r["band"]) for r in rows):
        of = [found[target, band, model] for model in models]
        lines.append([target, band, f"{of[0]['users']:,}", *[f"{r['recall']:.3f} / {r['ndcg']:.3f}" for r in of]])
    return table_lines(head, lines)


def label_lines(labels: dict[str, dict[str, int]]) -> list[str]:
    """Who and what of the label day the graph does not hold: they are in no mean, or cannot be hit."""
    return [
        f"{target}: {found['users_not_in_graph']:,} of the day's users are new to the graph and not asked;"
        f" {found['candidates_not_in_graph']:,} of what was met is new and counts as missed"
        for target, found in labels.items()
    ]


def demo_lines(shown: Demo) -> list[str]:
    """What the demo prints."""
    hit = shown.hit
    rows = [
        [
            what,
            key,
            "yes" if hit.found[i] else "no",
            "the prior" if hit.fallback[i] else "its own",
            str(hit.age_days[i]) if hit.found[i] else "–",
            " ".join(f"{x:+.3f}" for x in hit.vectors[i][:4]) + " …",
        ]
        for i, (what, key) in enumerate(shown.asked.items())
    ]
    return [
        "",
        f"{shown.events:,} events; releases of {', '.join(shown.days)}",
        "",
        *table_lines(["user", "key", "found", "vector", "age_days", ""], rows),
        f"Nearest hosts of {shown.asked['cold']}, who never watched live: {', '.join(n.key for n in shown.near)}",
        "",
        f"Quality on the events of {shown.record['label_day']}, which no vector has seen (R@k recall, N@k NDCG):",
        *quality_lines(shown.record["quality"]),
        *label_lines(shown.record["labels"]),
        "",
        f"The release lies in {shown.place}",
        f"Next: graphrep neighbors user {shown.asked['cold']} --to host --warehouse {shown.place.parent.parent}",
    ]
