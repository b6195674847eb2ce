"""The judge: measurements and their limits → green, amber or red, with every reason. Decides; does not act.

Green: publish. Amber: a person decides. Red: hold, and what was published before stays served. What has nothing to be
compared with, or too few rows to tell, is absent: it counts for nothing, and says so.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Colour = Literal["green", "amber", "red", "absent"]
GREEN: Colour = "green"
AMBER: Colour = "amber"
RED: Colour = "red"
ABSENT: Colour = "absent"


@dataclass(frozen=True, slots=True)
class Measurement:
    """One number about a day.

    Attributes:
        name: of the gate that judges it.
        scope: what it is about: a node type, a target, or "all"; a part of one behind a slash, such as "user/low".
        value: None where there was nothing to measure; ``note`` says why.
        rows: what it was counted over; None where a single row would be enough.
        interval: in which the value may really lie; a limit is broken only where the whole of it is beyond.
        note: what a reader should know.
    """

    name: str
    scope: str
    value: float | None
    rows: int | None = None
    interval: tuple[float, float] | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """Where a measurement is green, and where it is no longer amber. None: no limit.

    Attributes:
        green_min, green_max: green from and up to here, both included.
        amber_min, amber_max: beyond green, amber as far as this; red beyond.
        min_rows: a measurement over fewer rows is absent.
    """

    green_min: float | None = None
    green_max: float | None = None
    amber_min: float | None = None
    amber_max: float | None = None
    min_rows: int = 0

    def colour(self, found: Measurement) -> Colour:
        """The colour of a measurement; a NaN is red whatever the limits.

        >>> Limits(green_max=0.02, amber_max=0.1).colour(Measurement("zero_rows", "user", 0.05))
        'amber'
        """
        if found.value is None or (found.rows is not None and found.rows < self.min_rows):
            return ABSENT
        low, high = found.interval or (found.value, found.value)
        if math.isnan(found.value) or _beyond(low, high, self.amber_min, self.amber_max):
            return RED
        return AMBER if _beyond(low, high, self.green_min, self.green_max) else GREEN

    def __str__(self) -> str:
        least, most = self.green_min, self.green_max
        parts = ([] if least is None else [f"≥ {least:g}"]) + ([] if most is None else [f"≤ {most:g}"])
        return " and ".join(parts) or "any number"

    def as_record(self) -> dict[str, float]:
        """The limits that there are."""
        named = ("green_min", "green_max", "amber_min", "amber_max")
        return {name: value for name in named if (value := getattr(self, name)) is not None}


def _beyond(low: float, high: float, least: float | None, most: float | None) -> bool:
    return (least is not None and high < least) or (most is not None and low > most)


@dataclass(frozen=True, slots=True)
class Check:
    """A measurement, judged."""

    found: Measurement
    limits: Limits

    @property
    def colour(self) -> Colour:
        return self.limits.colour(self.found)

    @property
    def note(self) -> str:
        """The measurement's own; of too few rows, that."""
        rows = self.found.rows
        if self.found.value is not None and rows is not None and rows < self.limits.min_rows:
            return f"{rows} rows, judged from {self.limits.min_rows} on"
        return self.found.note

    def __str__(self) -> str:
        about = f" ({self.note})" if self.note else ""
        return f"{self.found.name} of {self.found.scope} is {self.found.value:.4g}, expected {self.limits}{about}"

    def as_record(self) -> dict[str, Any]:
        """Plain data: what is not finite becomes a word."""
        found, interval = self.found, self.found.interval
        return {
            "name": found.name,
            "scope": found.scope,
            "value": _plain(found.value),
            "interval": [_plain(end) for end in interval] if interval else None,
            "rows": found.rows,
            "limits": self.limits.as_record(),
            "colour": self.colour,
            "note": self.note,
        }


def _plain(value: float | None) -> float | str | None:
    return value if value is None or math.isfinite(value) else str(value)


@dataclass(frozen=True, slots=True)
class Verdict:
    """All the checks of a day."""

    checks: tuple[Check, ...]

    @property
    def colour(self) -> Colour:
        """The worst of the checks; what is absent counts for nothing."""
        colours = {check.colour for check in self.checks}
        return RED if RED in colours else AMBER if AMBER in colours else GREEN

    def of(self, colour: Colour) -> tuple[Check, ...]:
        return tuple(check for check in self.checks if check.colour == colour)

    @property
    def reasons(self) -> tuple[str, ...]:
        """What is not green, the red first."""
        return tuple(f"{colour}: {check}" for colour in (RED, AMBER) for check in self.of(colour))

    def as_record(self) -> dict[str, Any]:
        """The verdict as plain data, for manifests."""
        checks = [check.as_record() for check in self.checks]
        return {"colour": self.colour, "reasons": list(self.reasons), "checks": checks}


def judge(
    measurements: Sequence[Measurement], limits: Callable[[str, str], Limits], gates: Iterable[str] = ()
) -> Verdict:
    """Judge a day.

    Args:
        measurements: of any names; a room that measures something more adds it here and its limits to the settings.
        limits: name and scope of a measurement → what it is judged by.
        gates: names that must be told of: those that nothing was measured for are absent.

    >>> judge([Measurement("zero_rows", "user", 0.5)], lambda name, scope: Limits(green_max=0, amber_max=0.02)).reasons
    ('red: zero_rows of user is 0.5, expected ≤ 0',)
    """
    measured = {found.name for found in measurements}
    missing = [Measurement(name, "all", None, note="not measured") for name in gates if name not in measured]
    return Verdict(tuple(Check(found, limits(found.name, found.scope)) for found in [*measurements, *missing]))
