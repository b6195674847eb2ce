"""Options of ``fit``: which a model and its walk have, with their defaults, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from graphrep.embed.gnn.encoder_state import EncoderState
from graphrep.embed.gnn.inputs import check_features
from graphrep.embed.gnn.settings import BagTraining, NeighbourTraining, Training
from graphrep.embed.gnn.state import State
from graphrep.embed.histories import actor_types
from graphrep.errors import InputError
from graphrep.graph.hetero import HeteroGraph
from graphrep.vocab import GNN, HYBRID, MODELS

_OF_WALKS: Mapping[str, Mapping[str, Any]] = {
    "joint": {"markov_time": 3, "lazy": False, "relation_weights": None, "balance": 0.0},
    "history": {
        "choice": None,
        "transitions": MappingProxyType({"decay": 0.5, "reverse": 0.1}),
        "relation_weights": None,
    },
}
_LEARNT: Mapping[str, Any] = {"training": None, "share": None, "report": None, "checkpoints": None, "begin": None}
_OF_MODELS: Mapping[str, Mapping[str, Any]] = {
    HYBRID: _LEARNT,
    GNN: {**_LEARNT, "features": MappingProxyType({})},
}
_STATES: Mapping[str, type[Any]] = {HYBRID: State, GNN: EncoderState}
_TRAININGS: Mapping[str, tuple[type[Any], ...]] = {HYBRID: (Training, BagTraining), GNN: (NeighbourTraining,)}


def checked_options(g: HeteroGraph, model: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """All options of a model and its walk: those given, and the defaults of the others; and ``walk`` itself.

    Raises:
        InputError: an unknown model, walk or option, or a value that an option cannot have.
    """
    if model not in MODELS:
        raise InputError(f"a model of {', '.join(MODELS)}", found=repr(model), where="model")
    walk = options.get("walk") or ("history" if actor_types(g) or model == HYBRID else "joint")
    if walk not in _OF_WALKS:
        raise InputError("joint, history or None", found=repr(walk), where="walk")
    if model == HYBRID and walk != "history":
        raise InputError("walk='history' or None beside model='hybrid'", found=repr(walk), where="walk")
    of_model = _OF_MODELS.get(model, {})
    known = {"walk": walk, **_OF_WALKS[walk], **of_model}
    for name in options:
        if name not in known:
            whose = f"{model} beside the {walk} walk" if of_model else f"{walk} walk"
            raise InputError(f"an option of the {whose} ({', '.join(known)})", found=repr(name), where="fit")
    chosen = {**known, **options, "walk": walk}
    if of_model:
        _check_learning(chosen["share"], chosen["training"], _TRAININGS[model])
        _check_begin(chosen["begin"], _STATES[model], walk, chosen.get("choice"))
    if model == GNN:
        check_features(g, chosen["features"])
    return chosen


def _check_learning(share: Any, training: Any, settings: tuple[type[Any], ...]) -> None:
    number = isinstance(share, int | float) and not isinstance(share, bool)
    if share is not None and not (number and 0 <= share <= 1):
        raise InputError("a share from 0 to 1, or None", found=repr(share), where="share")
    if training is not None and not isinstance(training, settings):
        expected = " or ".join(kind.__name__ for kind in settings)
        raise InputError(f"a graphrep.embed.{expected}", found=type(training).__name__, where="training")


def _check_begin(begin: Any, state: type[Any], walk: str, choice: Any) -> None:
    if begin is None:
        return
    if not isinstance(begin, state):
        raise InputError(f"a graphrep.embed.{state.__name__}", found=type(begin).__name__, where="begin")
    if walk != "history":
        raise InputError("walk='history' or None beside begin", found=repr(walk), where="walk")
    if choice is not None:
        raise InputError("no choice beside begin, which has its own", found="one", where="choice")
