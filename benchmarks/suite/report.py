"""What one run of the suite tells: one kind of row for every method, and the Markdown table of a question."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

Values = dict[str, tuple[float | None, ...]]
"""Figures by part of the pairs or users; "" where it is all of them."""


@dataclass(frozen=True)
class Row:
    """One method on one question; what others published has neither seed, nor times, nor memory.

    name: the question, a data set or a part of it. columns: what the figures are; those "in %" have two digits.
    of_exact: by part, mean of the figures divided by those of the exact walk. fit_seconds: making the scores, None
    where nothing is made; score_seconds: ranking by them. memory: MB. note: what was chosen on a validation part.
    """

    name: str
    columns: tuple[str, ...]
    method: str
    values: Values
    of_exact: dict[str, float] = field(default_factory=dict)
    fit_seconds: float | None = None
    score_seconds: float | None = None
    memory: float | None = None
    note: dict[str, Any] = field(default_factory=dict)
    seed: int | None = None


def reset_peak() -> None:
    """Let the peak of the resident set begin anew, where the system can."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def peak() -> float | None:
    """MB of the highest resident set since ``reset_peak``, None where the system does not tell."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    told = [int(line.split()[1]) for line in lines if line.startswith("VmHWM")]
    return told[0] / 1024 if told else None


def published(source: str, known: Mapping[str, Mapping[str, Values]], question: Row) -> list[Row]:
    """The rows that others have for the question of a row."""
    found = known.get(question.name, {})
    return [Row(question.name, question.columns, f"{source}: {who}", values) for who, values in found.items()]


def table(rows: Sequence[Row]) -> str:
    """Markdown of one question's rows, in their order: the seeds of a method are one line, notes stand below."""
    seeds = dict.fromkeys(row.seed for row in rows if row.seed is not None)
    share = ("share of exact",) if any(row.of_exact for row in rows) else ()
    columns = ("method", *rows[0].columns, *share, "fit s", "scoring s", "MB")
    lines = [f"### {rows[0].name}, seed {', '.join(map(str, seeds))}", "", _line(columns), "|---" * len(columns) + "|"]
    for method in dict.fromkeys(row.method for row in rows):
        lines += _lines([row for row in rows if row.method == method], bool(share))
    notes = [f"Chosen for {row.method}, seed {row.seed}: {_told(row.note)}." for row in rows if row.note]
    return "\n".join([*lines, "", *notes, ""] if notes else [*lines, ""])


def _lines(rows: Sequence[Row], share: bool) -> list[str]:
    """One method: a line for each part, means over the seeds ± standard deviations; the largest memory."""
    first = rows[0]
    times = [_cell([row.fit_seconds for row in rows], 1), _cell([row.score_seconds for row in rows], 1)]
    memory = [row.memory for row in rows if row.memory is not None]
    told = [*times, f"{max(memory):.0f}" if memory else "–"]
    lines = []
    for part in first.values:
        digits = [2 if column.endswith("in %") else 4 for column in first.columns]
        figures = zip(*(row.values[part] for row in rows), strict=True)
        cells = [_cell(figure, places, spread=True) for figure, places in zip(figures, digits, strict=True)]
        exact = [row.of_exact[part] for row in rows if part in row.of_exact]
        of_exact = [f"{np.mean(exact):.1%}" if exact else "–"] if share else []
        lines.append(_line([f"{first.method}, {part}" if part else first.method, *cells, *of_exact, *told]))
    return lines


def _cell(figures: Iterable[float | None], digits: int, spread: bool = False) -> str:
    known = [figure for figure in figures if figure is not None]
    if not known:
        return "–"
    mean = f"{np.mean(known):.{digits}f}"
    return f"{mean} ± {np.std(known, ddof=1):.{digits}f}" if spread and len(known) > 1 else mean


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _told(note: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}" for key, value in note.items()
    )
