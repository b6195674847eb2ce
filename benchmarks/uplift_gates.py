"""How often the gates of the uplift model raise a false alarm, on generated panels without a fault."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphrep.datasets.golive import GoLiveSpec, simulate
from graphrep.uplift import Frame

FIRST = np.datetime64("2026-01-05")


def frame_of(spec: GoLiveSpec, lag: int = 1, **other: Any) -> Frame:
    """The frame that a panel's builder would make of a generated panel."""
    seen, truth = simulate(spec)
    n = len(truth.host)
    names = [f"profile.{i}" for i in range(3)] + ["history.live_days", "history.nudges"]
    names += [f"embedding.{i}" for i in range(spec.dim)] + ["embedding.known"]
    X = np.column_stack([seen.attributes, seen.embedding(lag), np.ones(len(seen.host))])[:n]
    lives = np.zeros((spec.hosts, spec.days + 1))
    lives[seen.host, seen.day + 1] = seen.live
    day = FIRST + truth.day
    given = {
        "X": X,
        "names": names,
        "host": np.char.add("h", truth.host.astype(str)),
        "day": day,
        "arm": seen.arm[:n],
        "arms": ["none", *(f"arm{a + 1}" for a in range(len(spec.effects)))],
        "outcome": seen.live[:n],
        "propensity": seen.propensity[:n],
        "randomised": seen.randomised[:n],
        "negative_control": lives[truth.host, truth.day],
        "as_of": day - lag,
        "in_graph": np.ones(n, dtype=bool),
    }
    return Frame(**{**given, **other})
