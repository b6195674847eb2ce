"""Rows of a verdict, as the gates write them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TypeVar

from graphrep.uplift.gates import CONSEQUENCES, EVERY, Evidence, Outcome, Row

T = TypeVar("T")


def each(arms: Sequence[str], values: Sequence[T] | None, gate: str) -> Iterator[tuple[str, T | Row]]:
    """(arm, figures), or one absent row of the gate where there are none."""
    if values is None:
        yield EVERY, absent(gate, "figures", EVERY, "no figures")
    else:
        yield from zip(arms, values, strict=True)


def row(gate: str, check: str, arm: str, value: float, limit: str, good: bool) -> Row:
    """A check that passed or failed."""
    # A comparison with NaN is false: what is no number fails.
    return Row(gate, check, arm, float(value), limit, "passed" if good else "failed", CONSEQUENCES[gate])


def most(gate: str, check: str, arm: str, value: float, most: float) -> Row:
    """A check of a value that may not be above a limit."""
    return row(gate, check, arm, value, f"≤ {most:g}", value <= most)


def between(gate: str, check: str, arm: str, value: float, half: float, least: float, most: float) -> Row:
    """A check of a value ± ``half`` against a range; undecided where the range and the noise overlap in part."""
    state: Outcome = "passed" if least <= value <= most else "undecided"
    state = "failed" if value + half < least or value - half > most else state
    return Row(gate, check, arm, value, f"{least:g} … {most:g}", state, CONSEQUENCES[gate])


def beyond(value: float, lower: float, most: float) -> Outcome:
    """The outcome of a value with a lower bound against the most that it may be."""
    if value <= most:
        return "passed"
    return "undecided" if lower <= most else "failed"


def absent(gate: str, check: str, arm: str, note: str) -> Row:
    """A check without what it needs."""
    return Row(gate, check, arm, math.nan, "", "absent", CONSEQUENCES[gate], note)


def undecided(gate: str, check: str, arm: str, note: str) -> Row:
    """A check that could not tell."""
    return Row(gate, check, arm, math.nan, "", "undecided", CONSEQUENCES[gate], note)


def why(found: Evidence, name: str) -> str:
    """Why a refutation is None."""
    return "no refutations" if found.refutations is None else found.refutations.reasons.get(name, "")
