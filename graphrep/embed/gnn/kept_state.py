"""A training's state as bytes, with the numbers by which its rows are known on other days: no file is opened here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from graphrep import vocab
from graphrep.embed.gnn.checkpoint import Stamp, packed, unpacked
from graphrep.embed.gnn.encoder_state import EncoderState
from graphrep.embed.gnn.state import State
from graphrep.embed.history_walk import Choice
from graphrep.errors import InputError

_IDS = "ids"
_MODELS: dict[str, type[State | EncoderState]] = {vocab.HYBRID: State, vocab.GNN: EncoderState}


@dataclass(frozen=True, eq=False)
class KeptState:
    """A state that another day can begin from.

    Attributes:
        state: what was learnt.
        ids: by type (n,) int64, ascending: the number that each row keeps for ever.
        about: what the keeper wants to know of it, as JSON knows it.

    >>> pair = np.zeros((2, 3, 4), np.float32)
    >>> state = State({"host": pair}, {"host": pair}, {}, {}, Choice(), 0.5)
    >>> kept = KeptState(state, {"host": np.array([0, 2, 7])}, {})
    >>> again = KeptState.unpacked(kept.packed(), "memory")
    >>> again.known({"host": np.array([2, 3]), "video": np.array([0])})
    {'host': array([ 1, -1]), 'video': array([-1])}
    """

    state: State | EncoderState
    ids: Mapping[str, NDArray[np.int64]]
    about: Mapping[str, Any]

    def packed(self) -> bytes:
        """A safetensors file; the same of the same state."""
        own: dict[str, Mapping[str, NDArray[Any]]] = {name: getattr(self.state, name) for name in self.state.PARTS}
        own[_IDS] = self.ids
        tensors = {f"{name}.{key}": torch.from_numpy(x.copy()) for name, xs in own.items() for key, x in xs.items()}
        model = next(name for name, made in _MODELS.items() if isinstance(self.state, made))
        config = {"model": model, "state": self.state.plain(), "about": dict(self.about)}
        return packed(tensors, Stamp(config, "state", 0))

    @classmethod
    def unpacked(cls, content: bytes, where: str) -> KeptState:
        """
        Args:
            where: the path, for messages.

        Raises:
            InputError: other bytes, or damaged ones.
        """
        tensors, stamp = unpacked(content, where, data="state")
        made, about = _MODELS[stamp.config["model"]], dict(stamp.config["state"])
        parts: dict[str, Any] = {name: {} for name in (*made.PARTS, _IDS)}
        for name, tensor in tensors.items():
            part, _, key = name.partition(".")
            parts[part][key] = tensor.numpy()
        ids = parts.pop(_IDS)
        state = made(**parts, choice=Choice.of(about.pop("choice")), **about)
        for kind, x in state.walk.items():
            if ids[kind].shape != x.shape[1:2]:
                raise InputError(f"{x.shape[1]} numbers of {kind}", found=str(ids[kind].shape), where=where)
        return cls(state, ids, stamp.config["about"])

    def known(self, ids: Mapping[str, NDArray[np.int64]]) -> dict[str, NDArray[np.int64]]:
        """The row here of each number, −1 where there is none; what :meth:`State.rows` takes."""
        return {kind: _places(self.ids.get(kind, np.zeros(0, np.int64)), wanted) for kind, wanted in ids.items()}


def _places(own: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.int64]:
    if not len(own):
        return np.full(len(wanted), -1, np.int64)
    at = np.minimum(np.searchsorted(own, wanted), len(own) - 1)
    return np.where(own[at] == wanted, at, -1)
