"""What a training leaves for the next day's: tables beside the walk, the tower, and the walk that they stand beside.

All of it is in the basis of the vectors that were published. The next day's walk is turned onto this one's first, by
one orthogonal rotation (``graphrep.embed.align``), so that what was learnt beside it keeps its meaning.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from graphrep.embed.align import rotation
from graphrep.embed.gnn.hybrid import Walk
from graphrep.embed.histories import Histories
from graphrep.embed.history_walk import Choice
from graphrep.errors import InputError

Arrays = Mapping[str, NDArray[np.float32]]

COLD = "leave begin out: training then starts from the walk"
_TABLES = ("source", "target")
"""Parameters with a row for each thing."""
_OF_THE_SPACE = ("tower.ask.weight", "tower.key.weight")
"""Parameters whose columns are the space's."""


@dataclass(frozen=True, eq=False)
class State:
    """What the hybrid learnt of a graph.

    Attributes:
        walk: (2, n, d) float32 by type of what is met: vectors of the walk, [0] as parts of histories, [1] as what is
            met next; zeros where there is none.
        learnt: (2, n, d) float32 by the same types: what was learnt beside them; zeros for what is new.
        tower: float32 parameters by name, as they were learnt.
        origin: the same parameters before anything was learnt: a share of what was learnt lies between the two.
        choice: powers of the walk.
        share: of what was learnt, that the published vectors hold.

    Raises:
        InputError: arrays of other shapes, or numbers that are not finite.

    >>> pair = np.zeros((2, 3, 4), np.float32)
    >>> state = State({"host": pair}, {"host": pair}, {}, {}, Choice(), 0.5)
    >>> state.dim, state.rows({"host": np.array([2, -1]), "video": np.array([-1])}).walk["video"].shape
    (4, (2, 1, 4))
    """

    PARTS: ClassVar[tuple[str, ...]] = ("walk", "learnt", "tower", "origin")

    walk: Arrays
    learnt: Arrays
    tower: Arrays
    origin: Arrays
    choice: Choice
    share: float

    def __post_init__(self) -> None:
        for name in self.PARTS:
            object.__setattr__(self, name, MappingProxyType(finite(name, getattr(self, name))))
        shapes = {kind: x.shape for kind, x in self.walk.items()}
        whole = all(len(shape) == 3 and shape[0] == 2 for shape in shapes.values())
        if not shapes or not whole or len({shape[2] for shape in shapes.values()}) > 1:
            raise InputError("(2, n, d) of each type, of one d", found=str(shapes), where="begin.walk", fix=COLD)
        if shapes != (found := {kind: x.shape for kind, x in self.learnt.items()}):
            raise InputError(f"the shapes of the walk, {shapes}", found=str(found), where="begin.learnt", fix=COLD)

    @property
    def dim(self) -> int:
        """Columns d."""
        return int(next(iter(self.walk.values())).shape[2])

    def rows(self, rows: Mapping[str, NDArray[np.int64]]) -> State:
        """The same for the nodes of another graph.

        Args:
            rows: by type of what is met there, the row here of each of its nodes; −1 and types that are not here: new.
        """
        return replace(self, walk=taken(self.walk, rows, self.dim), learnt=taken(self.learnt, rows, self.dim))

    def turned(self, turn: NDArray[np.floating]) -> State:
        """The same in the basis of ``vectors @ turn``.

        Args:
            turn: (d, d), orthogonal.
        """
        by = turn.astype(np.float32)

        def tower(own: Arrays) -> Arrays:
            return {key: x @ by if key in _OF_THE_SPACE else x for key, x in own.items()}

        walk, learnt = ({kind: x @ by for kind, x in own.items()} for own in (self.walk, self.learnt))
        return replace(self, walk=walk, learnt=learnt, tower=tower(self.tower), origin=tower(self.origin))

    def digest(self) -> str:
        """Of all that is in it."""
        return digest_of(self, asdict(self.choice), self.share)

    def plain(self) -> dict[str, Any]:
        """All but the arrays, as JSON knows it."""
        return {"share": self.share, "choice": self.choice.plain()}


def finite(name: str, arrays: Mapping[str, Any]) -> dict[str, NDArray[np.float32]]:
    """Arrays of one part of a state, by what they are of.

    Raises:
        InputError: numbers that are not finite.
    """
    found = {key: np.asarray(x, np.float32) for key, x in arrays.items()}
    for key, x in found.items():
        if not np.isfinite(x).all():
            raise InputError("finite numbers", found="others", where=f"begin.{name}[{key!r}]", fix=COLD)
    return found


def digest_of(state: Any, *about: Any) -> str:
    """Of the arrays of a state, and of what else is in it."""
    digest = hashlib.blake2b(repr(about).encode(), digest_size=16)
    for name in state.PARTS:
        for key, x in sorted(getattr(state, name).items()):
            digest.update(repr((name, key, x.shape)).encode())
            digest.update(np.ascontiguousarray(x).tobytes())
    return digest.hexdigest()


def check_things(walk: Arrays, events: Histories, dim: int) -> None:
    """
    Args:
        walk: of a state.

    Raises:
        InputError: another dim, a type that is met is not there, or another number of nodes.
    """
    if (known := next(iter(walk.values())).shape[2]) != dim:
        raise InputError(f"a state of dim {dim}", found=f"dim {known}", where="begin", fix=COLD)
    for kind in events.things:
        if kind not in walk:
            fix = "give it rows of zeros (State.rows does), or " + COLD
            raise InputError(f"the type {kind}", found=f"only {', '.join(walk)}", where="begin", fix=fix)
        if (found := walk[kind].shape[1]) != events.num_nodes[kind]:
            raise InputError(
                f"{events.num_nodes[kind]} rows, those of the graph",
                found=str(found),
                where=f"begin.walk[{kind!r}]",
                fix="pass State.rows of the graph's nodes",
            )


def turned_onto(walk: Walk, before: Arrays, events: Histories) -> Walk:
    """A graph's walk in the basis of that of a state.

    Raises:
        InputError: nothing that is met has a vector in both.
    """
    here, there = torch.cat(walk).cpu().numpy(), np.concatenate(list(_whole(before, events)))
    if not ((here != 0).any(1) & (there != 0).any(1)).any():
        raise InputError("something met that the state knows", found="nothing", where="begin", fix=COLD)
    turn = torch.as_tensor(rotation(here, there).astype(np.float32), device=walk.target.device)
    return Walk(walk.source @ turn, walk.target @ turn)


def parameters_of(
    begin: State, events: Histories, which: Literal["tower", "origin"], model: Mapping[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """All parameters of a model: what was learnt of the graph's things, and the tower's.

    Args:
        which: the tower as it was learnt, or as it was before anything was.
        model: parameters as the model has them, for their shapes and their device.

    Raises:
        InputError: a tower of other parameters.
    """
    own, tables = getattr(begin, which), _whole(begin.learnt, events)
    expected = {name: tuple(x.shape) for name, x in model.items() if name not in _TABLES}
    found = {name: x.shape for name, x in own.items()}
    for name in sorted({*expected, *found}):
        if expected.get(name) != found.get(name):
            theirs = f"{name} {found.get(name, 'missing')}"
            raise InputError(f"{name} {expected.get(name, 'absent')}", found=theirs, where=f"begin.{which}", fix=COLD)
    return {
        name: torch.tensor(x, device=model[name].device)
        for name, x in {**dict(zip(_TABLES, tables, strict=True)), **own}.items()
    }


def state_of(
    events: Histories,
    walk: Walk,
    done: Mapping[str, torch.Tensor],
    begun: Mapping[str, torch.Tensor],
    choice: Choice,
    share: float,
) -> State:
    """Of a model's parameters after training and before anything was ever learnt."""
    tower, origin = ({k: x.cpu().numpy().copy() for k, x in own.items() if k not in _TABLES} for own in (done, begun))
    learnt = by_type(Walk(done["source"], done["target"]), events)
    return State(by_type(walk, events), learnt, tower, origin, choice, share)


def by_type(both: Walk, events: Histories) -> dict[str, NDArray[np.float32]]:
    """(2, n, d) of each type that is met."""
    pair = torch.stack(list(both)).cpu().numpy()
    return {kind: pair[:, at : at + events.num_nodes[kind]].copy() for kind, at in events.things.items()}


def _whole(arrays: Arrays, events: Histories) -> NDArray[np.float32]:
    """(2, things, d), in the order of the graph's things."""
    return np.concatenate([arrays[kind] for kind in events.things], axis=1)


def taken(arrays: Arrays, rows: Mapping[str, NDArray[np.int64]], dim: int) -> dict[str, NDArray[np.float32]]:
    """Such arrays for other rows by type; −1 and types that are not there: zeros."""
    found = {}
    for kind, row in rows.items():
        found[kind] = np.zeros((2, len(row), dim), np.float32)
        if kind in arrays:
            known = row >= 0
            found[kind][:, known] = arrays[kind][:, row[known]]
    return found
