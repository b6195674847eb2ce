"""What a day's training keeps in the warehouse: states to go on from, and what the next day's begins from.

``checkpoints/ds=<day>/<inputs>/`` holds the states of a training that is under way, by a fingerprint of all that it
depends on; ``checkpoints/ds=<day>/state.safetensors`` what a finished one had learnt.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphrep.config import HISTORY
from graphrep.contracts import Manifest
from graphrep.errors import InputError
from graphrep.pipeline.context import Run, fingerprint
from graphrep.pipeline.load import DayGraph
from graphrep.store import checkpoints, releases, tables

if TYPE_CHECKING:
    from graphrep.embed import Choice, State
    from graphrep.embed.gnn.kept_state import KeptState

_STATE = "state.safetensors"


@dataclass(frozen=True)
class Start:
    """Where a day's training starts.

    Attributes:
        begin: what the release before had learnt, by row of today's graph; None: from the walk.
        choice: of the walk of the release before, which a start from the walk keeps too: its vectors stay of one kind.
        why: of a start from the walk.
        cold_ds: the day of the last start from the walk.
        tried: quality of hidden events by share learnt, as that day's training found it.
    """

    cold_ds: str
    begin: State | None = None
    choice: Choice | None = None
    why: str = ""
    tried: Mapping[str, float] = field(default_factory=dict)


def start_of(run: Run, ds: str, day: DayGraph, parent: str | None) -> Start:
    """Begin from what the release before had learnt, unless there is a reason to begin from the walk."""
    from graphrep.embed.histories import actor_types
    from graphrep.embed.history_walk import Choice

    if parent is None:
        return Start(ds, why="there is no release before")
    embed, manifest = run.config.embed, releases.read_manifest(run.warehouse, parent)
    dims = {own["dim"] for own in manifest[Manifest.NODE_TYPES].values()}
    if dims != {embed.dim}:
        return Start(ds, why=f"{parent} has other dimensions")
    made = manifest.get(Manifest.MODEL) or {}
    choice = Choice.of(made["choice"]) if made.get("choice") else None
    kept = _state_before(run, parent, made)
    if isinstance(kept, str):
        return Start(ds, choice=choice, why=kept)
    about = kept.about
    days = (dt.date.fromisoformat(ds) - dt.date.fromisoformat(about["cold_ds"])).days
    if days >= embed.cold_every_days:
        return Start(ds, choice=choice, why=f"the last start from the walk was {days} days ago")
    acting = actor_types(day.graph)
    rows = kept.known({kind: nodes.index for kind, nodes in day.nodes.items() if kind not in acting})
    if not any((found >= 0).any() for found in rows.values()):
        return Start(ds, choice=choice, why=f"nothing that {parent} knew is left")
    return Start(about["cold_ds"], begin=kept.state.rows(rows), choice=kept.state.choice, tried=about["tried"])


def _state_before(run: Run, parent: str, made: Mapping[str, Any]) -> KeptState | str:
    """What the release had learnt, or why it cannot be begun from."""
    from graphrep.embed.gnn.kept_state import KeptState

    if made.get("name") != run.config.embed.model or not made.get("state"):
        return f"{parent} holds nothing that this model learnt"
    path = _folder(run, parent[:10]) / _STATE
    content = checkpoints.find(path)
    if content is None or hashlib.sha256(content).hexdigest() != made["state"]:
        return f"the state of {parent} is not there any more"
    return KeptState.unpacked(content, str(path))


class DayCheckpoints:
    """States of the training of one day with certain inputs, as ``fit`` wants them kept.

    States of other inputs, which ``fit`` would refuse, and damaged ones are removed when this is made.

    Args:
        inputs: fingerprint of all that the training depends on.

    Attributes:
        how: what becomes of a training that was interrupted; empty where none was.
    """

    def __init__(self, run: Run, ds: str, inputs: str) -> None:
        day = _folder(run, ds)
        self._folder, self.how = day / inputs[:16], ""
        for name in checkpoints.names(day):
            if name not in (_STATE, self._folder.name):
                checkpoints.remove(day / name)
                self.how = "anew, since its inputs changed"
        for name in checkpoints.names(self._folder):
            whole = _is_whole(self._folder / name)
            self.how = "on from where it was interrupted" if whole else "anew, since its state is damaged"
            if not whole:
                checkpoints.remove(self._folder / name)

    def latest(self, name: str) -> bytes | None:
        """What was saved last under a name; None: nothing."""
        return checkpoints.find(self._folder / name)

    def replace(self, name: str, content: bytes) -> None:
        """Replace it in one step."""
        checkpoints.replace(self._folder / name, content)

    def clear(self) -> None:
        """Remove them: the day is recorded, and nothing goes on from here."""
        checkpoints.remove(self._folder)


def _is_whole(path: Path) -> bool:
    from graphrep.embed.gnn.checkpoint import unpacked

    try:
        unpacked(checkpoints.load(path), str(path))
    except InputError:
        return False
    return True


def inputs_of(print_of_inputs: str, start: Start) -> str:
    """Fingerprint of a training: of the stage's inputs, and of what it begins from, which may be gone the next time."""
    return fingerprint(print_of_inputs, start.begin.digest() if start.begin else None)


def keep_state(
    run: Run, ds: str, day: DayGraph, state: State | None, start: Start, tried: Mapping[str, float]
) -> str | None:
    """Keep what the next day's training begins from.

    Returns:
        Sha256 of what was kept; None: nothing was learnt.
    """
    from graphrep.embed.gnn.kept_state import KeptState

    path = _folder(run, ds) / _STATE
    if state is None:
        checkpoints.remove(path)
        return None
    ids = {kind: day.nodes[kind].index for kind in state.walk}
    content = KeptState(state, ids, {"cold_ds": start.cold_ds, "tried": dict(tried)}).packed()
    checkpoints.replace(path, content)
    return hashlib.sha256(content).hexdigest()


def same_walk(manifest: Mapping[str, Any], walk: str) -> bool:
    """Whether a release's vectors began at such a walk: no turn makes vectors of the other kind comparable."""
    return bool((manifest.get(Manifest.MODEL) or {}).get("choice")) == (walk == HISTORY)


def _folder(run: Run, ds: str) -> Path:
    return tables.partition(run.warehouse, tables.CHECKPOINTS, ds)
