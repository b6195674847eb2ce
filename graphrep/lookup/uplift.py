"""What one more treatment of a host changes, as a ranker reads it. Whatever is in doubt is no boost. numpy only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from graphrep.contracts import Manifest
from graphrep.errors import InputError
from graphrep.lookup.hashing import Batch, hash_keys
from graphrep.lookup.keys import KEY_ARRAYS, KeyTable
from graphrep.store import releases

NAME = "golive_uplift"
"""First word of the files of a release that hold it; ``golive_uplift.parquet`` has every column."""
EFFECTS, OK = "effects", "ok"

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class UpliftHit:
    """The answer for a list of hosts, in their order.

    Attributes:
        release_id: the release that was asked.
        effect: (n,) float32, what one more treatment changes in the outcome (a probability, or minutes); 0 where not
            ok. Bounded to the 1st and 99th percentile of the day.
        lower, upper: (n,) float32, 90 % interval, bounded likewise; 0 where not ok.
        ok: (n,) bool, the effect may be used: the host has one, it is not expired, hosts like it had every arm, and the
            host was not erased since.
        status: what the gates said of the treatment, "pass", "degraded" or "undecided"; "none" where nothing was
            published of it.
    """

    release_id: str
    effect: Floats
    lower: Floats
    upper: Floats
    ok: Bools
    status: str


@dataclass(frozen=True, slots=True)
class UpliftTable:
    """The uplift of one release, memory-mapped.

    Attributes:
        keys: of the hosts.
        effects: (columns, hosts, 3) float32: effect, lower, upper.
        ok: (columns, hosts) bool.
        about: as the manifest has it.
    """

    keys: KeyTable
    effects: npt.NDArray[Any]
    ok: npt.NDArray[Any]
    about: Mapping[str, Any]

    def column(self, treatment: str, horizon_days: int, outcome: str) -> int | None:
        """The place of a column; None where its arm is held back.

        Raises:
            InputError: an arm, a horizon or an outcome that was not fitted.
        """
        asked = (treatment, horizon_days, outcome)
        for place, own in enumerate(self.about["columns"]):
            if (own["treatment"], own["horizon_days"], own["outcome"]) == asked:
                return place
        known = {
            (arm["treatment"], fit["horizon_days"], fit["outcome"]) for fit in self.about["fits"] for arm in fit["arms"]
        }
        if asked in known:
            return None
        names = ", ".join(f"{t} {h} d {o}" for t, h, o in sorted(known))
        raise InputError(f"an arm among {names or 'none'}", found=f"{treatment} {horizon_days} d {outcome}")


def open_uplift(warehouse: Path, manifest: Mapping[str, Any]) -> UpliftTable | None:
    """The uplift of a release; None where it has none.

    Raises:
        StoreError: an array is missing or damaged.
    """
    about = manifest.get(Manifest.UPLIFT)
    if about is None:
        return None
    names = (*KEY_ARRAYS, EFFECTS, OK)
    read = {a: releases.open_array(warehouse, manifest[Manifest.RELEASE_ID], f"{NAME}.{a}") for a in names}
    return UpliftTable(KeyTable.from_arrays(read), np.asarray(read[EFFECTS]), np.asarray(read[OK]), about)


def answer_uplift(
    release_id: str,
    table: UpliftTable | None,
    asked: tuple[str, int, str],
    batch: Batch,
    *,
    ds: str | None,
    denied: Bools | None = None,
) -> UpliftHit:
    """Look hosts up.

    Args:
        asked: treatment, horizon in days, outcome.
        ds: the day for which is asked, YYYY-MM-DD; None asks for no day.
        denied: (n,) bool, hosts that were erased since.
    """
    n = len(batch)
    place = None if table is None else table.column(*asked)
    if table is None or place is None:
        nothing = np.zeros((3, n), np.float32)
        return UpliftHit(release_id, nothing[0], nothing[1], nothing[2], np.zeros(n, np.bool_), "none")
    own = table.about["columns"][place]
    at = table.keys.find(batch, hash_keys(batch, table.keys.seed))
    ok = at.found.copy()
    if len(table.keys):
        ok &= table.ok[place].take(at.rows)
    if ds is not None and ds > own["valid_until"]:
        ok[:] = False
    if denied is not None:
        ok &= ~denied
    values = np.zeros((n, 3), np.float32)
    values[ok] = table.effects[place].take(at.rows[ok], axis=0)
    effect, lower, upper = (np.ascontiguousarray(column) for column in values.T)
    return UpliftHit(release_id, effect, lower, upper, ok, own["status"])
