"""What may follow from a verdict: green is published, amber by a person's word, red by a stronger one, else nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from graphrep import vocab
from graphrep.errors import GateRefusedError, InputError, StoreError
from graphrep.evaluate import gates
from graphrep.evaluate.drift import evenly
from graphrep.lookup import open_release
from graphrep.pipeline.context import Run
from graphrep.store import runlog

APPROVED, OVERRIDDEN = "approved", "overridden"
READ_BACK_KEYS = 1000


@dataclass(frozen=True, slots=True)
class Approval:
    """Who takes a day on himself that is not green, and why.

    Attributes:
        name: who.
        reason: why.
        kind: "approved" for a day that is amber, "overridden" for one that may be red.
    """

    name: str
    reason: str
    kind: str

    def __post_init__(self) -> None:
        for what, given in (("a name", self.name), ("a reason", self.reason)):
            if not given.strip():
                fix = "graphrep publish --approve NAME --reason TEXT, or --override in place of --approve"
                raise InputError(f"{what} that goes on record", found="none", fix=fix)


def admitted(run: Run, ds: str, gate: Mapping[str, Any], approval: Approval | None) -> dict[str, Any]:
    """The gate report of a day that may be published, with whoever let it through.

    What was approved once stays approved until the day is judged anew.

    Raises:
        GateRefusedError: red without an override, or amber without an approval; nothing is published.
    """
    colour = gate["colour"]
    if colour == gates.GREEN:
        return {**gate, "approval": None}
    earlier = (runlog.read_stage(run.warehouse, ds, vocab.PUBLISH) or {}).get("approval")
    given = asdict(approval) if approval else earlier
    if given is None or (colour == gates.RED and given["kind"] != OVERRIDDEN):
        word = "--override" if colour == gates.RED else "--approve"
        raise GateRefusedError(
            "a day that passes its gates",
            found="; ".join(gate["reasons"]),
            where=ds,
            fix=f"look into it, or graphrep publish {word} NAME --reason TEXT; the release before stays served",
        )
    return {**gate, "approval": given}


def read_back(run: Run, release_id: str, keys: Mapping[str, Sequence[str]]) -> None:
    """Ask a staged release for some of the keys, by type, that it must know, as a ranker would.

    Raises:
        StoreError: one is not found.
    """
    release = open_release(run.warehouse, release_id)
    for kind, known in keys.items():
        asked = [known[i] for i in evenly(np.arange(len(known)), READ_BACK_KEYS).tolist()]
        hit = release.get(kind, asked)
        missed = [key for key, found in zip(asked, hit.found, strict=True) if not found]
        if missed:
            found = f"{len(missed)} of them missing"
            raise StoreError(f"all of {len(asked)} {kind} keys read back", found=found, where=release_id)
