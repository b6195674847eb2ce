"""How models are trained: every knob once, with its default."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

from graphrep.errors import InputError


@dataclass(frozen=True)
class Learning:
    """What the training of every model has.

    Attributes:
        epochs: passes over the anchors.
        batch: anchors of a step.
        history: last events that a user is encoded from.
        horizon: events from the anchor on that are to be predicted: a daily vector is read for days.
        decay: (0, 1]; each later one counts so much less.
        negatives: things of each type drawn for a step, alike; all of them where there are no more.
        event_dropout: [0, 1) share of the events left out of a history at random.
        surface_dropout: [0, 1) share of the histories that lose all events of one type.
        dropout: [0, 1) of the attention's inputs.
        rate: step of the parameters.
        balance: [0, 1] of the losses: 0: by their targets, 1: each alike.
        folds: of users; each is trained from a walk in which it is not.

    Raises:
        InputError: a number out of its range.
    """

    epochs: int = 6
    batch: int = 512
    history: int = 64
    horizon: int = 8
    decay: float = 0.7
    negatives: int = 8192
    event_dropout: float = 0.3
    surface_dropout: float = 0.1
    dropout: float = 0.5
    rate: float = 1e-3
    balance: float = 0.5
    folds: int = 4

    def __post_init__(self) -> None:
        _check(self)


@dataclass(frozen=True)
class Training(Learning):
    """How the hybrid is trained; the losses of the types met are balanced.

    Attributes:
        anchors: of each user in an epoch, at most; drawn anew in every one.
        table_rate: step of what is learnt of a thing, in shares of the walk's root mean square entry.
        tether: share by which what was learnt of things goes back to the walk in each step.

    Raises:
        InputError: a number out of its range.
    """

    anchors: int = 8
    table_rate: float = 0.05
    tether: float = 3e-3


@dataclass(frozen=True)
class NeighbourTraining(Learning):
    """How the model of neighbourhoods is trained, ``fit(model="gnn")``; the losses of the relations are balanced.

    Attributes:
        views: moments, or where edges have no times parts of the edges, that are predicted from the rest.
        layers: steps along edges.
        neighbours: that a node is encoded from, over all relations; half as many at each further step.
        missing: [0, 1) share of the nodes of a step that lose their walk vector, and of those that lose their content.
        new: [0, 1) share of the nodes with content that are learnt from as if they had come today: by content alone.
        hard: candidates of an anchor with the highest scores, that are in a loss of their own.
        hard_share: [0, 1) of that loss.

    Raises:
        InputError: a number out of its range.
    """

    negatives: int = 1024
    views: int = 6
    layers: int = 2
    neighbours: int = 12
    missing: float = 0.15
    new: float = 0.15
    hard: int = 16
    hard_share: float = 0.2


@dataclass(frozen=True)
class BagTraining:
    """How bags are trained: users as sums of all they met, where the order of events says little.

    Attributes:
        epochs: passes over the users.
        batch: users of a step.
        history: events of a user that a step sums up, on average, at most.
        targets: events of a user that a step predicts, each from the others; drawn where there are more.
        negatives: things of each type drawn for a step, alike; all of them where there are no more.
        event_dropout: [0, 1) share of the events left out of a history at random.
        temperature: above 0; cosines are divided by it.
        table_rate: step of what is learnt of a thing, in shares of the walk's root mean square entry.
        tether: share by which what was learnt of things goes back to the walk in each step.
        balance: [0, 1] of the types met: 0: by their targets, 1: each alike.

    Raises:
        InputError: a number out of its range.
    """

    epochs: int = 16
    batch: int = 1024
    history: int = 256
    targets: int = 32
    negatives: int = 4096
    event_dropout: float = 0.5
    temperature: float = 0.07
    table_rate: float = 0.1
    tether: float = 0.0
    balance: float = 0.5

    def __post_init__(self) -> None:
        _check(self)


def _check(training: Learning | BagTraining) -> None:
    for field in fields(training):
        value, whole = getattr(training, field.name), isinstance(field.default, int)
        if whole:
            least = 2 if field.name == "folds" else 1
            fine = isinstance(value, int) and not isinstance(value, bool) and value >= least
            expected = f"a whole number of at least {least}"
        else:
            expected, within = _RANGES.get(field.name, _SHARE)
            fine = isinstance(value, int | float) and not isinstance(value, bool) and within(value)
        if not fine:
            raise InputError(expected, found=repr(value), where=f"training.{field.name}")


_SHARE: tuple[str, Callable[[float], bool]] = ("a number from 0 to below 1", lambda x: 0 <= x < 1)
_RATE: tuple[str, Callable[[float], bool]] = ("a number above 0, below 1", lambda x: 0 < x < 1)
_RANGES: dict[str, tuple[str, Callable[[float], bool]]] = {
    "decay": ("a number above 0, up to 1", lambda x: 0 < x <= 1),
    "balance": ("a number from 0 to 1", lambda x: 0 <= x <= 1),
    "temperature": ("a number above 0, up to 1", lambda x: 0 < x <= 1),
    "table_rate": _RATE,
    "rate": _RATE,
}
