"""Small charts as inline SVG: intervals, lines with a band, bars and histograms. Text in, text out."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, ROW, LEFT, RIGHT = 640, 26, 190, 90
HEIGHT, TOP, BOTTOM = 240, 12, 34
COLOURS = ("#2f6fab", "#b4532a", "#3c8d5a", "#8a6d1d")


def escape(text: object) -> str:
    """Text that stands for itself in HTML and in attributes.

    >>> escape('<a title="x">')
    '&lt;a title=&quot;x&quot;&gt;'
    """
    return html.escape(str(text), quote=True)


@dataclass(frozen=True)
class Interval:
    """One line of an interval chart; a value that is not finite is shown as none."""

    label: str
    value: float
    lower: float
    upper: float
    kind: int = 0

    @property
    def is_there(self) -> bool:
        return all(map(math.isfinite, (self.value, self.lower, self.upper)))


@dataclass(frozen=True)
class Scale:
    """Numbers from ``low`` to ``high`` onto pixels from ``start`` to ``end``."""

    low: float
    high: float
    start: float
    end: float

    @classmethod
    def over(cls, values: Sequence[float], start: float, end: float, *, zero: bool = True) -> Scale:
        """A scale that holds all finite values, and 0 where that is asked for."""
        there = [value for value in values if math.isfinite(value)] + ([0.0] if zero else [])
        low, high = min(there, default=0.0), max(there, default=1.0)
        if high - low < 1e-12:
            low, high = low - 0.5, high + 0.5
        return cls(low, high, start, end)

    def __call__(self, value: float) -> float:
        """
        >>> Scale(0.0, 2.0, 100.0, 200.0)(1.0)
        150.0
        """
        share = (value - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 2)

    def ticks(self) -> list[float]:
        """About five round numbers of the scale.

        >>> Scale(0.0, 1.0, 0, 1).ticks()
        [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
        """
        rough = (self.high - self.low) / 5
        unit = 10.0 ** math.floor(math.log10(rough))
        step = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= rough * (1 - 1e-9))
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [round(place * step, 12) + 0.0 for place in range(first, last + 1)]


def number(value: float | None) -> str:
    """A number as a table shows it, a dash where there is none.

    >>> number(0.012345), number(None), number(float("nan"))
    ('0.01235', '–', '–')
    """
    return "–" if value is None or not math.isfinite(value) else f"{value:.4g}"


def intervals(rows: Sequence[Interval], title: str) -> str:
    """Points with their intervals, one line each, and a line at 0."""
    height = TOP + ROW * len(rows) + BOTTOM
    scale = Scale.over([end for row in rows if row.is_there for end in (row.lower, row.upper)], LEFT, WIDTH - RIGHT)
    parts = _x_axis(scale, height)
    for place, row in enumerate(rows):
        y = TOP + ROW * place + ROW / 2
        parts.append(_text(LEFT - 8, y + 4, row.label, "end"))
        if not row.is_there:
            parts.append(_text(LEFT + 4, y + 4, "not there"))
            continue
        colour = COLOURS[row.kind % len(COLOURS)]
        parts.append(_line(scale(row.lower), y, scale(row.upper), y, colour, 2))
        parts.append(f'<circle cx="{scale(row.value)}" cy="{y}" r="4" fill="{colour}"/>')
        parts.append(_text(WIDTH - RIGHT + 8, y + 4, number(row.value)))
    return _whole(parts, height, title)


def curve(x: Sequence[float], rows: Sequence[Interval], title: str, labels: tuple[str, str]) -> str:
    """A line through the values of ``rows`` at ``x`` with a band between their ends, and a line at 0."""
    across = Scale.over(x, 60, WIDTH - 20, zero=False)
    up = Scale.over([end for row in rows for end in (row.lower, row.upper)], HEIGHT - BOTTOM, TOP)
    parts = [*_x_axis(across, HEIGHT, zero=False), *_y_axis(up)]
    places = [(across(at), row) for at, row in zip(x, rows, strict=True) if row.is_there]
    band = [f"{at},{up(row.upper)}" for at, row in places] + [f"{at},{up(row.lower)}" for at, row in reversed(places)]
    parts.append(f'<polygon points="{" ".join(band)}" fill="{COLOURS[0]}" opacity="0.2"/>')
    line = " ".join(f"{at},{up(row.value)}" for at, row in places)
    parts.append(f'<polyline points="{line}" fill="none" stroke="{COLOURS[0]}" stroke-width="2"/>')
    return _whole([*parts, *_labels(labels)], HEIGHT, title)


def scatter(x: Sequence[float], rows: Sequence[Interval], title: str, labels: tuple[str, str]) -> str:
    """Points with upright intervals at ``x``, and the diagonal on which both are the same."""
    ends = [end for row in rows if row.is_there for end in (row.lower, row.upper)]
    across = Scale.over([*x, *ends], 60, WIDTH - 20)
    up = Scale.over([*x, *ends], HEIGHT - BOTTOM, TOP)
    parts = [*_x_axis(across, HEIGHT, zero=False), *_y_axis(up)]
    low, high = across.low, across.high
    parts.append(_line(across(low), up(low), across(high), up(high), "#999", 1, dashed=True))
    for at, row in zip(x, rows, strict=True):
        if row.is_there:
            parts.append(_line(across(at), up(row.lower), across(at), up(row.upper), COLOURS[0], 2))
            parts.append(f'<circle cx="{across(at)}" cy="{up(row.value)}" r="4" fill="{COLOURS[0]}"/>')
    return _whole([*parts, *_labels(labels)], HEIGHT, title)


def bars(rows: Sequence[tuple[str, float]], title: str) -> str:
    """Lengths from 0 to 1 with their names."""
    height = TOP + ROW * len(rows) + BOTTOM
    scale = Scale(0.0, 1.0, LEFT, WIDTH - RIGHT)
    parts = _x_axis(scale, height, zero=False)
    for place, (label, share) in enumerate(rows):
        y = TOP + ROW * place
        parts.append(_text(LEFT - 8, y + ROW / 2 + 4, label, "end"))
        width = round(scale(min(max(share, 0.0), 1.0)) - LEFT, 2)
        parts.append(f'<rect x="{LEFT}" y="{y + 5}" width="{width}" height="{ROW - 10}" fill="{COLOURS[0]}"/>')
        parts.append(_text(WIDTH - RIGHT + 8, y + ROW / 2 + 4, number(share)))
    return _whole(parts, height, title)


def histograms(first: Sequence[float], second: Sequence[float], title: str, labels: tuple[str, str]) -> str:
    """Two histograms from 0 to 1 over one another, of as many parts as there are shares."""
    across = Scale(0.0, 1.0, 60, WIDTH - 20)
    up = Scale.over([*first, *second], HEIGHT - BOTTOM, TOP)
    parts = [*_x_axis(across, HEIGHT, zero=False), *_y_axis(up)]
    for kind, shares in enumerate((first, second)):
        width = (across.end - across.start) / max(len(shares), 1)
        for place, share in enumerate(shares):
            if share > 0:
                x, top = round(across.start + place * width, 2), up(share)
                size = f'width="{round(width - 1, 2)}" height="{round(HEIGHT - BOTTOM - top, 2)}"'
                parts.append(f'<rect x="{x}" y="{top}" {size} fill="{COLOURS[kind]}" opacity="0.55"/>')
    for kind, label in enumerate(labels):
        x = 80 + 200 * kind
        parts.append(f'<rect x="{x}" y="{HEIGHT - 12}" width="10" height="10" fill="{COLOURS[kind]}" opacity="0.55"/>')
        parts.append(_text(x + 14, HEIGHT - 3, label))
    return _whole(parts, HEIGHT, title)


def _whole(parts: Sequence[str], height: float, title: str) -> str:
    head = f'<svg viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" role="img" aria-label="{escape(title)}">'
    return f"{head}<title>{escape(title)}</title>{''.join(parts)}</svg>"


def _line(x: float, y: float, to_x: float, to_y: float, colour: str, width: float, *, dashed: bool = False) -> str:
    dash = ' stroke-dasharray="4 3"' if dashed else ""
    return f'<line x1="{x}" y1="{y}" x2="{to_x}" y2="{to_y}" stroke="{colour}" stroke-width="{width}"{dash}/>'


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}">{escape(text)}</text>'


def _x_axis(scale: Scale, height: float, *, zero: bool = True) -> list[str]:
    base = height - BOTTOM + 4
    parts = [_line(scale.start, base, scale.end, base, "#999", 1)]
    for tick in scale.ticks():
        parts.append(_line(scale(tick), base, scale(tick), base + 4, "#999", 1))
        parts.append(_text(scale(tick), base + 16, f"{tick:g}", "middle"))
    if zero and scale.low <= 0 <= scale.high:
        parts.append(_line(scale(0), TOP, scale(0), base, "#999", 1, dashed=True))
    return parts


def _y_axis(scale: Scale) -> list[str]:
    parts = []
    for tick in scale.ticks():
        parts.append(_line(60, scale(tick), WIDTH - 20, scale(tick), "#8884", 1))
        parts.append(_text(54, scale(tick) + 4, f"{tick:g}", "end"))
    return parts


def _labels(labels: tuple[str, str]) -> list[str]:
    return [_text(WIDTH / 2, HEIGHT - 2, labels[0], "middle"), _text(64, TOP + 10, labels[1])]
