"""What joins nodes: relations between them, transitions between items, items that are alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from graphrep.config.strict import Strict

Strength = Literal["unit", "duration_percentile", "value_percentile"]
ValueWeight = Literal["none", "log", "linear"]


class Merge(Strict):
    """How the days of one kind of edge become its window, and what it weighs in the graph."""

    half_life_days: float = Field(gt=0)
    window_days: int = Field(ge=1)
    cap: float = Field(gt=0)
    min_count: int = Field(ge=1)
    src_top: int | None = Field(ge=1)
    dst_top: int | None = Field(ge=1)
    hub_damping: float = Field(ge=0, le=1)
    weight: float = Field(ge=0)


class Relation(Merge):
    domain: str
    actions: tuple[str, ...] = Field(min_length=1)
    src: str = Field(alias="from")
    dst: str = Field(alias="to")
    sign: Literal[-1, 1]
    strength: Strength
    prior_support: float = Field(ge=0)
    min_support: int = Field(ge=1)
    value_weight: ValueWeight
    confirmed_by: tuple[str, ...]
    daily_cap: float = Field(gt=0)
    in_graph: bool


class Sessions(Strict):
    gap_minutes: float = Field(gt=0)


class Intensity(Strict):
    """What no person does in a day; who does is left out of that day's edges."""

    max_events: int = Field(ge=1)
    max_active_hours: int = Field(ge=1, le=24)
    max_distinct: int = Field(ge=1)


class Transition(Merge):
    """Directed edges from what a user met to what he met next, over the events of several relations."""

    relations: tuple[str, ...] = Field(min_length=1)
    horizon: int = Field(ge=1)
    decay: float = Field(gt=0, le=1)
    reverse: float = Field(ge=0, le=1)
    max_tied: int = Field(ge=1)
    reach_days: int = Field(ge=0)


class ItemVectors(Strict):
    """A Parquet table of content vectors of one node type, under ``logs.root``."""

    path: str
    partitioned: bool
    key: str
    vector: str


class Similarity(Strict):
    """Edges between items whose vectors are alike."""

    src: str = Field(alias="from")
    dst: str = Field(alias="to")
    k: int = Field(ge=1)
    min_cosine: float = Field(ge=-1, le=1)
    share: float | None = Field(gt=0)
    weight: float = Field(ge=0)


@dataclass(frozen=True, slots=True)
class GraphRelation:
    """One kind of edge as the graph stores it.

    Attributes:
        label: the relation's name inside the graph: that of its entry in the configuration.
        merge: how its days are merged; None for edges that have no days.
    """

    label: str
    src: str
    dst: str
    sign: int
    weight: float
    merge: Merge | None


def edge_kinds(
    relations: Mapping[str, Relation], transitions: Mapping[str, Transition], similarities: Mapping[str, Similarity]
) -> dict[str, GraphRelation]:
    """Every kind of edge that enters the graph, by the name under which it is stored.

    A transition joins each pair of the node types that its relations end at, so it becomes several kinds.
    """
    kinds = {n: GraphRelation(n, r.src, r.dst, r.sign, r.weight, r) for n, r in relations.items() if r.in_graph}
    for name, transition in transitions.items():
        ends = sorted({relations[relation].dst for relation in transition.relations})
        for src in ends:
            for dst in ends:
                stored = transition_name(name, src, dst)
                kinds[stored] = GraphRelation(name, src, dst, 1, transition.weight, transition)
    for name, alike in similarities.items():
        kinds[name] = GraphRelation(name, alike.src, alike.dst, 1, alike.weight, None)
    return kinds


def transition_name(name: str, src: str, dst: str) -> str:
    """The name under which a transition's edges between two node types are stored."""
    return f"{name}_{src}_{dst}"
