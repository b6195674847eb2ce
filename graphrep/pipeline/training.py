"""What a day's training keeps in the warehouse: states to go on from, and what the next day's begins from.

``checkpoints/ds=<day>/<inputs>/`` holds the states of a training that is under way, by a fingerprint of all that it
depends on; ``checkpoints/ds=<day>/state.safetensors`` what a finished one had learnt.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphrep import vocab
from graphrep.config import HISTORY, Embed
from graphrep.contracts import Manifest
from graphrep.errors import InputError
from graphrep.pipeline.context import Run, fingerprint
from graphrep.pipeline.load import DayGraph
from graphrep.pipeline.processes import is_first
from graphrep.store import checkpoints, erase, releases, tables

if TYPE_CHECKING:
    from graphrep.embed import Choice, EncoderState, NeighbourTraining, State, Training
    from graphrep.embed.gnn.kept_state import KeptState
    from graphrep.pipeline.cold_start import Floats

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
        erased: how far erasures had come at that start: ``ds`` of the newest, ``count`` of keys.
    """

    cold_ds: str
    begin: State | EncoderState | None = None
    choice: Choice | None = None
    why: str = ""
    tried: Mapping[str, float] = field(default_factory=dict)
    erased: Mapping[str, Any] = field(default_factory=dict)


def settings_of(model: str, embed: Embed, epochs: int | None = None) -> Training | NeighbourTraining:
    """How a model is trained by the configuration.

    Args:
        epochs: in place of those that are configured.
    """
    from graphrep.embed import NeighbourTraining, Training

    given = embed.training.model_dump()
    own = given.pop("gnn")
    if epochs is not None:
        given["epochs"] = epochs
    if model != vocab.GNN:
        return Training(**given)
    shared = {field.name for field in fields(NeighbourTraining)}
    return NeighbourTraining(**{**{name: value for name, value in given.items() if name in shared}, **own})


def start_of(run: Run, ds: str, day: DayGraph, parent: str | None, content: Mapping[str, Floats]) -> Start:
    """Begin from what the release before had learnt, unless there is a reason to begin from the walk.

    Args:
        content: (n, f) by type.
    """
    start = _start_of(run, ds, day, parent, content)
    now = {"ds": erase.newest(run.warehouse), "count": erase.watermark(run.warehouse)["count"]}
    return start if start.begin else replace(start, erased=now)


def _start_of(run: Run, ds: str, day: DayGraph, parent: str | None, content: Mapping[str, Floats]) -> Start:
    from graphrep.embed.histories import actor_types
    from graphrep.embed.history_walk import Choice

    if parent is None:
        return Start(ds, why="there is no release before")
    embed, manifest = run.config.embed, releases.read_manifest(run.warehouse, parent)
    if not goes_on(manifest, embed):
        return Start(ds, why=f"{parent} is of another space")
    made = manifest[Manifest.MODEL]
    dims = {own["dim"] for own in manifest[Manifest.NODE_TYPES].values()}
    if dims != {embed.dim}:
        return Start(ds, why=f"{parent} has other dimensions")
    choice = Choice.of(made["choice"]) if made.get("choice") else None
    kept = _state_before(run, parent, made)
    if isinstance(kept, str):
        return Start(ds, choice=choice, why=kept)
    if embed.model == vocab.GNN and (why := _other_encoder(kept, embed, content)):
        return Start(ds, choice=choice, why=f"{parent} was learnt with {why}")
    about = kept.about
    days = (dt.date.fromisoformat(ds) - dt.date.fromisoformat(about["cold_ds"])).days
    if days >= embed.cold_every_days:
        return Start(ds, choice=choice, why=f"the last start from the walk was {days} days ago")
    erased = about.get("erased") or {"ds": None, "count": 0}
    since = erase.erased_since(run.warehouse, erased["ds"], erased["count"])
    if since and run.today >= influence_until(since, embed.cold_every_days):
        return Start(ds, choice=choice, why=f"{parent} goes back to before the erasure of {since}")
    acting = actor_types(day.graph)
    rows = kept.known({kind: nodes.index for kind, nodes in day.nodes.items() if kind not in acting})
    if not any((found >= 0).any() for found in rows.values()):
        return Start(ds, choice=choice, why=f"nothing that {parent} knew is left")
    begin = kept.state.rows(rows)
    return Start(about["cold_ds"], begin, kept.state.choice, tried=about["tried"], erased=erased)


def influence_until(erased_ds: str, days: int) -> dt.date:
    """The first day on which nothing may be begun from a training that an erased key had a part in."""
    return dt.date.fromisoformat(erased_ds) + dt.timedelta(days=days)


def _other_encoder(kept: KeptState, embed: Embed, content: Mapping[str, Floats]) -> str:
    from graphrep.embed import EncoderState

    contents = {kind: x.shape[1] for kind, x in content.items()}
    return kept.state.difference(embed.training.gnn.layers, contents) if isinstance(kept.state, EncoderState) else ""


def changed_relations(
    begin: State | EncoderState | None, state: State | EncoderState | None
) -> dict[str, list[str]] | None:
    """Relations of the gnn that today's graph has and its beginning had not, and the other way round; None: no such."""
    from graphrep.embed import EncoderState

    if not isinstance(begin, EncoderState) or not isinstance(state, EncoderState):
        return None
    before, now = (["/".join(kind) for kind in one.edge_types] for one in (begin, state))
    return {"new": [name for name in now if name not in before], "gone": [name for name in before if name not in now]}


def _state_before(run: Run, parent: str, made: Mapping[str, Any]) -> KeptState | str:
    """What the release had learnt, or why it cannot be begun from."""
    from graphrep.embed.gnn.kept_state import KeptState

    if made.get("name") != run.config.embed.model or not made.get("state"):
        return f"{parent} holds nothing that this model learnt"
    path = _folder(run, parent[:10]) / _STATE
    try:
        content = checkpoints.find(path)
    except InputError:
        content = None
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
        if not is_first():
            return  # of several processes the first reads, writes and removes
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
    run: Run, ds: str, day: DayGraph, state: State | EncoderState | None, start: Start, tried: Mapping[str, float]
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
    content = KeptState(
        state, ids, {"cold_ds": start.cold_ds, "tried": dict(tried), "erased": dict(start.erased)}
    ).packed()
    checkpoints.replace(path, content)
    return hashlib.sha256(content).hexdigest()


def forget_states(run: Run, ds: str, parent: str | None) -> list[str]:
    """Remove what old days' trainings left: all but the newest ``embed.keep_states`` days, the day and its parent.

    States of a training that is under way stay.

    Returns:
        The days whose state was removed.
    """
    root = _folder(run, ds).parent
    days = [name.partition("=")[2] for name in checkpoints.names(root) if _STATE in checkpoints.names(root / name)]
    kept = {*sorted(days)[-run.config.embed.keep_states :], ds, (parent or ds)[:10]}
    gone = [day for day in days if day not in kept]
    for day in gone:
        alone = checkpoints.names(_folder(run, day)) == [_STATE]
        checkpoints.remove(_folder(run, day) if alone else _folder(run, day) / _STATE)
    return gone


def goes_on(manifest: Mapping[str, Any], embed: Embed) -> bool:
    """Whether the settings let a release's space go on.

    Its name must be the same, and the kind of walk: no turn makes vectors of the other kind comparable.
    """
    made = manifest.get(Manifest.MODEL) or {}
    return bool(made.get("space") == embed.space and bool(made.get("choice")) == (embed.walk == HISTORY))


def _folder(run: Run, ds: str) -> Path:
    return tables.partition(run.warehouse, tables.CHECKPOINTS, ds)
