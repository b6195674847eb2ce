"""A day beside the release that is served → what gates judge. The release is read as a ranker reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from graphrep import vocab
from graphrep.contracts import Manifest
from graphrep.evaluate import drift
from graphrep.evaluate.gates import Measurement
from graphrep.lookup import Hit, Release

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

COVERAGE, OVERLAP = "coverage", "neighbor_overlap"
SAMPLE_ROWS = 20_000
"""Keys of a type that are compared with the release before: enough for a percentile to the second digit."""
ASKED_ROWS = 400
NEIGHBORS = 10
LEAST_HISTORY, HISTORY = 3, 7
"""Releases that a trailing median needs, and that it takes."""


@dataclass(frozen=True)
class Rows:
    """One node type as it would be published, row i is key i.

    Attributes:
        vectors: (n, d) float32.
        fallback: (n,) nothing of the vector is the key's own.
        degree: (n,) edges behind it.
    """

    keys: Sequence[str]
    vectors: Floats
    fallback: Bools
    degree: Ints


@dataclass(frozen=True)
class Before:
    """What a day is compared with: the served release, and gate reports of the releases up to it, newest first."""

    release: Release
    reports: Sequence[Mapping[str, Any]] = field(default_factory=tuple)

    def recorded(self, name: str, scope: str) -> list[float]:
        """What the reports have under a name and a scope, newest first."""
        return [
            float(check["value"])
            for report in self.reports[:HISTORY]
            for check in report.get("checks", ())
            if (check["name"], check["scope"]) == (name, scope) and check["value"] is not None
        ]


def of_any_day(today: Mapping[str, Rows]) -> list[Measurement]:
    """What must hold for any vectors."""
    found = []
    for kind, rows in today.items():
        own = rows.vectors[~rows.fallback]
        found += [
            Measurement("non_finite_rows", kind, drift.non_finite_rows(rows.vectors)),
            Measurement("repeated_keys", kind, len(rows.keys) - len(set(rows.keys))),
            Measurement("zero_rows", kind, drift.zero_row_share(own), rows=len(own)),
        ]
    return found


def of_coverage(
    today: Mapping[str, Rows],
    traffic: Mapping[str, Mapping[str, int]],
    few: Mapping[str, set[str]],
    before: Before | None,
) -> list[Measurement]:
    """Share of the newest day's events whose keys a ranker would find, with a vector of their own.

    Args:
        traffic: node type → key → events of the newest day.
        few: node type → keys with few edges in the day's graph; the others have more.
    """
    found = []
    for kind, events in traffic.items():
        rows = today.get(kind)
        own = set() if rows is None else {key for key, bad in zip(rows.keys, rows.fallback, strict=True) if not bad}
        low = {key: count for key, count in events.items() if key in few[kind]}
        high = {key: count for key, count in events.items() if key not in few[kind]}
        for part, drop, counted in (
            ("", f"{COVERAGE}_drop", events),
            ("/low", f"segment_{COVERAGE}_drop", low),
            ("/high", f"segment_{COVERAGE}_drop", high),
        ):
            share = _share(own, counted)
            scope = f"{kind}{part}"
            name = f"segment_{COVERAGE}" if part else COVERAGE
            found.append(Measurement(name, scope, share, rows=len(counted), note="" if counted else "no events"))
            found.append(_drop(drop, scope, share, before.recorded(name, scope) if before else [], len(counted)))
    return found


def _share(own: set[str], events: Mapping[str, int]) -> float | None:
    total = sum(events.values())
    return sum(count for key, count in events.items() if key in own) / total if total else None


def _drop(name: str, scope: str, share: float | None, recorded: list[float], rows: int) -> Measurement:
    if share is None or not recorded:
        return Measurement(name, scope, None, note="no events" if share is None else "nothing recorded before")
    return Measurement(name, scope, recorded[0] - share, rows=rows)


def of_drift(today: Mapping[str, Rows], before: Before | None, *, same_space: bool) -> list[Measurement]:
    """Each type beside the release that is served.

    Args:
        same_space: whether single numbers of the vectors can be compared at all; if not, only keys are.
    """
    if before is None:
        names = ("count_change", "keys_kept", "norm_ratio", "mean_cosine", "cosine_5th", OVERLAP, "unchanged_rows")
        return [Measurement(name, "all", None, note="no release before") for name in names]
    found = []
    for kind in sorted({*before.release.types, *today}):
        rows = today.get(kind)
        if kind not in before.release.types:
            found.append(Measurement("keys_kept", kind, None, note="a new node type"))
        elif rows is None or not len(rows.keys):
            was = before.release.manifest[Manifest.NODE_TYPES][kind]["count"]
            found.append(Measurement("count_change", kind, -1.0, rows=was, note="nothing of the type is left"))
        else:
            found += _of_type(kind, rows, before, same_space)
    return found


def _of_type(kind: str, rows: Rows, before: Before, same_space: bool) -> list[Measurement]:
    was = before.release.keys(kind)
    known = set(rows.keys)
    kept = float(np.mean([key in known for key in was])) if was else None
    found = [
        Measurement("count_change", kind, len(rows.keys) / len(was) - 1 if was else None, rows=len(was)),
        Measurement("keys_kept", kind, kept, rows=len(was)),
    ]
    place = drift.evenly(np.arange(len(rows.keys)), SAMPLE_ROWS)
    hit = before.release.get(kind, [rows.keys[i] for i in place.tolist()])
    both = hit.found & ~hit.fallback & ~rows.fallback[place]
    if not same_space or hit.vectors.shape[1] != rows.vectors.shape[1]:
        return [*found, Measurement("mean_cosine", kind, None, note="a new space, and no way back from it")]
    return found + _of_vectors(kind, rows, place, hit, both, before)


def _of_vectors(kind: str, rows: Rows, place: Ints, hit: Hit, both: Bools, before: Before) -> list[Measurement]:
    now, then, count = rows.vectors[place[both]], hit.vectors[both], int(both.sum())
    if not count:
        return [Measurement("mean_cosine", kind, None, note="no shared key has a vector of its own")]
    cosines = drift.cosines(now, then)
    ratio = drift.median_norm(now) / drift.median_norm(then)
    found = [
        Measurement("norm_ratio", kind, ratio, rows=count),
        Measurement("mean_cosine", kind, float(cosines.mean()), rows=count),
        Measurement("cosine_5th", kind, float(np.quantile(cosines, 0.05)), rows=count),
        Measurement("unchanged_rows", kind, drift.unchanged_share(now, then), rows=count),
    ]
    if count <= NEIGHBORS:
        return found
    for part, asked in drift.strata(hit.degree[both], ASKED_ROWS).items():
        scope = f"{kind}/{part}"
        overlap = drift.neighbor_overlap(now, then, asked, NEIGHBORS)
        history = before.recorded(OVERLAP, scope)
        found.append(Measurement(OVERLAP, scope, overlap, rows=count))
        enough = len(history) >= LEAST_HISTORY
        share = overlap / float(np.median(history)) if enough and np.median(history) > 0 else None
        found.append(
            Measurement(f"{OVERLAP}_ratio", scope, share, rows=count, note="" if enough else "too few releases")
        )
    return found


def of_freshness(newest_ms: Mapping[str, int], last: str) -> Measurement:
    """Whole days from the newest event behind any node to the window's last day."""
    newest = max(newest_ms.values(), default=0) // vocab.DAY_MS
    return Measurement("newest_event_age", "all", float(np.datetime64(last, "D").astype(np.int64) - newest))


def of_space(space_id: str, before: Before | None, residual: float | None, anchors: int) -> list[Measurement]:
    """Whether the day's vectors are drop-in for what is served."""
    if before is None:
        return [Measurement("new_space", "all", None, note="no release before")]
    new = space_id != before.release.space_id
    note = "a new space: rankers must be told" if new else ""
    found = [Measurement("new_space", "all", float(new), note=note)]
    if residual is not None:
        found.append(Measurement("alignment_residual", "all", residual, rows=anchors))
    return found


def of_maps(fits: Mapping[str, Mapping[str, Any]], before: Before | None) -> list[Measurement]:
    """How near the day's maps lead back to the spaces that ended; each is judged once, on the day that it is made.

    Args:
        fits: older space → ``anchors`` and ``held_out_residual`` of the map to it.
    """
    known = before.release.manifest.get(Manifest.MAPS, {}) if before else {}
    found = []
    for space_id, fit in fits.items():
        if fit == known.get(space_id):
            found.append(Measurement("map_residual", space_id, None, note="as the release before has it"))
        else:
            found.append(Measurement("map_residual", space_id, fit["held_out_residual"], rows=fit["anchors"]))
    return found
