"""What a training of the inductive model leaves for the next day's: its parameters, and the walk they stand beside.

No parameter belongs to a node, so all of them are taken over as they are, in the basis of the vectors that were
published: the next day's walk is turned onto this one's first, as with ``graphrep.embed.gnn.state``. Relations may come
and go. What a graph has anew begins at nothing: columns and messages of weight 0, which change no vector.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from graphrep.embed.gnn.state import COLD, Arrays, check_things, digest_of, finite, taken
from graphrep.embed.histories import Histories
from graphrep.embed.history_walk import Choice
from graphrep.errors import InputError
from graphrep.vocab import EdgeType

_OF_WALKS = ("tower.ask.weight", "tower.key.weight")
"""Parameters whose columns are the space's."""
_FIRST, _LAST, _RELATION = "encoder.first.", "encoder.last.", ".relations."


@dataclass(frozen=True, eq=False)
class EncoderState:
    """What the inductive model learnt of a graph.

    Attributes:
        walk: (2, n, d) float32 by type of what is met: vectors of the walk, [0] as parts of histories, [1] as what is
            met next; zeros where there is none.
        parameters: float32 by name, as they were learnt.
        edge_types: relations of the graph, without reverses, in its order: columns of the inputs follow it.
        contents: columns of content by type, of those that have any.
        choice: powers of the walk.
        share: of what was learnt, that the published vectors hold.

    Raises:
        InputError: numbers that are not finite.

    >>> pair = np.zeros((2, 3, 4), np.float32)
    >>> state = EncoderState({"host": pair}, {}, [("user", "sees", "host")], {"host": 6}, Choice(), 0.5)
    >>> state.dim, state.rows({"host": np.array([2, -1])}).walk["host"].shape, state.difference(2, {"host": 7})
    (4, (2, 2, 4), '6 columns of content of host, not 7')
    """

    PARTS: ClassVar[tuple[str, ...]] = ("walk", "parameters")

    walk: Arrays
    parameters: Arrays
    edge_types: Sequence[EdgeType]
    contents: Mapping[str, int]
    choice: Choice
    share: float

    def __post_init__(self) -> None:
        for name in self.PARTS:
            object.__setattr__(self, name, MappingProxyType(finite(name, getattr(self, name))))
        object.__setattr__(self, "edge_types", tuple((a, name, b) for a, name, b in self.edge_types))
        object.__setattr__(self, "contents", MappingProxyType(dict(self.contents)))

    @property
    def dim(self) -> int:
        """Columns d."""
        return int(next(iter(self.walk.values())).shape[2])

    @property
    def layers(self) -> int:
        """Steps along edges."""
        return len({name.split(".")[2] for name in self.parameters if name.startswith("encoder.layers.")})

    def difference(self, layers: int, contents: Mapping[str, int]) -> str:
        """Why a model of so many layers, for content of so many columns by type, cannot go on from here; empty: it can.

        A type may have got content, or lost it.
        """
        if self.parameters and self.layers != layers:
            return f"{self.layers} layers, not {layers}"
        for kind, columns in contents.items():
            if self.contents.get(kind, columns) != columns:
                return f"{self.contents[kind]} columns of content of {kind}, not {columns}"
        return ""

    def rows(self, rows: Mapping[str, NDArray[np.int64]]) -> EncoderState:
        """The same for the nodes of another graph.

        Args:
            rows: by type of what is met there, the row here of each of its nodes; −1 and types that are not here: new.
        """
        return replace(self, walk=taken(self.walk, rows, self.dim))

    def turned(self, turn: NDArray[np.floating]) -> EncoderState:
        """The same in the basis of ``vectors @ turn``.

        Args:
            turn: (d, d), orthogonal.
        """
        by, d = turn.astype(np.float32), self.dim
        parameters = {}
        for name, x in self.parameters.items():
            if name in _OF_WALKS:
                x = x @ by
            elif name.startswith(_FIRST) and name.endswith(".weight"):
                x = np.concatenate([x[:, :d] @ by, x[:, d:]], axis=1)
            elif name.startswith(_LAST):
                x = by.T @ x
            parameters[name] = x
        return replace(self, walk={kind: x @ by for kind, x in self.walk.items()}, parameters=parameters)

    def digest(self) -> str:
        """Of all that is in it."""
        return digest_of(self, asdict(self.choice), self.share, self.edge_types, sorted(self.contents.items()))

    def plain(self) -> dict[str, Any]:
        """All but the arrays, as JSON knows it."""
        about = {"edge_types": [list(kind) for kind in self.edge_types], "contents": dict(self.contents)}
        return {"share": self.share, "choice": self.choice.plain(), **about}


def check_encoder(begin: EncoderState, events: Histories, dim: int, layers: int, contents: Mapping[str, int]) -> None:
    """
    Raises:
        InputError: a state of another dim, of other nodes, or of a model that this one is no going on from.
    """
    check_things(begin.walk, events, dim)
    if why := begin.difference(layers, contents):
        here, _, there = why.rpartition(", not ")
        raise InputError(there, found=here, where="begin", fix=COLD)


def parameters_from(
    begin: EncoderState,
    model: Mapping[str, torch.Tensor],
    edge_types: Sequence[EdgeType],
    contents: Mapping[str, int],
) -> dict[str, torch.Tensor]:
    """All parameters of a model: those of the state, as far as it has them; what is new begins at nothing.

    Args:
        model: parameters as the model was made with.
        edge_types, contents: of the graph, as in :class:`EncoderState`.
    """
    found = {}
    for name, made in model.items():
        own = begin.parameters.get(name)
        if name.startswith(_FIRST) and name.endswith(".weight") and own is not None:
            kind = name[len(_FIRST) : -len(".weight")]
            here = input_columns(kind, begin.dim, edge_types, contents)
            there = {column: place for place, column in enumerate(_columns_of(begin, kind))}
            x = np.zeros((len(own), len(here)), np.float32)
            known = [place for place, column in enumerate(here) if column in there]
            x[:, known] = own[:, [there[here[place]] for place in known]]
            found[name] = torch.tensor(x, device=made.device)
        elif own is not None:
            found[name] = torch.tensor(own, device=made.device)
        else:
            found[name] = torch.zeros_like(made) if _RELATION in name else made.clone()
    return found


def _columns_of(begin: EncoderState, kind: str) -> list[str]:
    return input_columns(kind, begin.dim, begin.edge_types, begin.contents)


def input_columns(kind: str, dim: int, edge_types: Sequence[EdgeType], contents: Mapping[str, int]) -> list[str]:
    """What each column of ``inputs.node_inputs`` of a type is.

    >>> input_columns("host", 2, [("user", "sees", "host")], {"host": 1})
    ['walk 0', 'walk 1', 'no walk', 'content 0', 'no content', 'to user sees host', 'days', 'no time']
    """
    columns = [f"walk {place}" for place in range(dim)] + ["no walk"]
    if kind in contents:
        columns += [*(f"content {place}" for place in range(contents[kind])), "no content"]
    for edge_type in edge_types:
        for side, own in (("from", edge_type[0]), ("to", edge_type[2])):
            columns += [f"{side} {' '.join(edge_type)}"] if own == kind else []
    return [*columns, "days", "no time"]
