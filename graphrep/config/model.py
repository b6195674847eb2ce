"""What the settings are: frozen, typed, strict, and checked against each other. Their defaults are in the YAML."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Literal, Self
from zoneinfo import available_timezones

from pydantic import Field, field_validator, model_validator

from graphrep.config.embed import HISTORY, Embed
from graphrep.config.exports import Export, HistorySettings
from graphrep.config.gates import Gate
from graphrep.config.operations import Operations
from graphrep.config.pseudonyms import EndpointColumn, Pseudonyms, check_content
from graphrep.config.publish import Publish
from graphrep.config.relations import (
    GraphRelation,
    Intensity,
    ItemVectors,
    Merge,
    Relation,
    Sessions,
    Similarity,
    Transition,
    edge_kinds,
)
from graphrep.config.strict import Name, Strict
from graphrep.config.uplift import Uplift, check_surfaces
from graphrep.contracts import Event
from graphrep.contracts.uplift import NUDGE

Unit = Literal["us", "ms", "s", "min", "iso"]


UNITS: dict[str, tuple[Unit, ...]] = {
    Event.TS: ("us", "ms", "s", "min", "iso"),
    Event.DURATION: ("us", "ms", "s", "min"),
}


class ColumnSource(Strict):
    """Where one contract column comes from: a source column (in some unit or zone, values renamed) or a constant."""

    column: str | None = None
    value: str | None = None
    unit: Unit | None = None
    zone: str | None = None
    map: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if (self.column is None) == (self.value is None):
            raise ValueError("give either column: (a source column) or value: (a constant)")
        return self


def _check_source(name: str, source: ColumnSource) -> None:
    """Refuse what would be ignored: a unit where there is none, renamed values of a number, a constant id."""
    if source.unit is not None and source.unit not in UNITS.get(name, ()):
        raise ValueError(f"columns.{name}: expected a unit of {list(UNITS.get(name, ()))}, found {source.unit!r}")
    if source.zone is not None and name != Event.TS:
        raise ValueError(f"columns.{name}: expected no zone, found {source.zone!r}; only ts has one")
    if source.zone is not None and source.zone not in available_timezones():
        raise ValueError(f"columns.{name}: expected a time zone such as Asia/Shanghai, found {source.zone!r}")
    if source.map and name in (Event.TS, Event.DURATION, Event.VALUE, Event.EVENT_ID):
        raise ValueError(f"columns.{name}: expected no map, found one; only words can be renamed")
    if source.value is not None and name in (Event.EVENT_ID, Event.TS):
        raise ValueError(f"columns.{name}: expected a column, found a constant")


class LogTable(Strict):
    """One raw log table: where it lies, how it is written, which contract column is which of its own."""

    path: str
    format: Literal["parquet", "csv", "jsonl"]
    partitioned: bool
    required: bool
    marker: str | None
    columns: dict[str, ColumnSource]

    @field_validator("columns", mode="before")
    @classmethod
    def _short_form(cls, given: Any) -> Any:
        """``user_id: uid`` stands for ``user_id: {column: uid}``."""
        if not isinstance(given, dict):
            return given
        return {name: {"column": source} if isinstance(source, str) else source for name, source in given.items()}

    @model_validator(mode="after")
    def _known_columns(self) -> Self:
        known = {v for k, v in vars(Event).items() if not k.startswith("_")} - {Event.DS}
        unknown = sorted(set(self.columns) - known)
        if unknown:
            raise ValueError(f"columns maps {unknown}, which log_event_v1 lacks; it has {sorted(known)}")
        for name, source in self.columns.items():
            if isinstance(source, ColumnSource):
                _check_source(name, source)
        return self

    def source_of(self, name: str) -> ColumnSource | None:
        """The mapping of a contract column, or None where the configuration says nothing about it."""
        return self.columns.get(name)


class Logs(Strict):
    root: Path = Field(strict=False)
    max_quarantine_share: float = Field(ge=0, le=1)
    lateness_days: int = Field(ge=0)
    max_key_bytes: int = Field(ge=1)
    pseudonyms: Pseudonyms | None
    table_defaults: dict[str, Any]
    tables: dict[Name, LogTable] = Field(min_length=1)


class Surface(Strict):
    actions: tuple[str, ...]
    item_types: tuple[str, ...]


class NodeSource(Strict):
    """Which event column holds the keys of a node type; ``item_type`` narrows ``item_id`` to one type."""

    column: EndpointColumn
    item_type: str | None = None


class Spark(Strict):
    master: str
    driver_memory: str
    shuffle_partitions: int = Field(ge=1)


class Watch(Strict):
    """What is told of a run while it goes on, beside its bars or lines."""

    scalars: bool


class ColdStart(Strict):
    """What is published for nodes with few edges: ``graphrep.embed.cold_start``."""

    buckets: tuple[int, ...] = Field(min_length=1)
    neighbours: int = Field(ge=1)
    temperature: float = Field(gt=0)
    max_loss: float = Field(ge=0, le=1)
    hidden: float = Field(ge=0.01, le=0.9)

    @model_validator(mode="after")
    def _buckets_rise(self) -> Self:
        if self.buckets[0] != 0 or list(self.buckets) != sorted(set(self.buckets)):
            raise ValueError(f"buckets: expected numbers of edges that rise from 0, found {list(self.buckets)}")
        return self


class Target(Strict):
    """One question of the quality table: which of ``to`` will ``from`` meet through ``relations`` on the label day."""

    src: str = Field(alias="from")
    dst: str = Field(alias="to")
    relations: tuple[str, ...] = Field(min_length=1)
    history: tuple[str, ...]
    exclude_seen: bool


class Evaluate(Strict):
    k: int = Field(ge=1)
    low_history: int = Field(ge=1)
    targets: dict[Name, Target]


class Config(Strict):
    name: str
    seed: int = Field(ge=0)
    warehouse: Path = Field(strict=False)
    holdout_days: int = Field(ge=0, le=1)
    logs: Logs
    surfaces: dict[Name, Surface] = Field(min_length=1)
    nodes: dict[Name, NodeSource] = Field(min_length=1)
    relation_defaults: dict[str, Any]
    relations: dict[Name, Relation] = Field(min_length=1)
    sessions: Sessions
    intensity: Intensity
    transition_defaults: dict[str, Any]
    transitions: dict[Name, Transition]
    item_vectors: dict[Name, ItemVectors]
    similarity_defaults: dict[str, Any]
    similarities: dict[Name, Similarity]
    weekly_beyond_days: int = Field(ge=7)
    spark: Spark
    embed: Embed
    cold_start: ColdStart
    watch: Watch
    evaluate: Evaluate
    gate_defaults: dict[str, Any]
    gates: dict[Name, Gate]
    publish: Publish
    history: HistorySettings
    export: Export
    uplift: Uplift
    operations: Operations

    @model_validator(mode="after")
    def _names_are_declared(self) -> Self:
        for name, surface in self.surfaces.items():
            known = [*self.nodes, NUDGE]  # the arm of a nudge is no node
            _require(surface.item_types, known, f"surfaces.{name}.item_types", "a node type under nodes:")
        item_types = {kind for surface in self.surfaces.values() for kind in surface.item_types}
        for name, node in self.nodes.items():
            if node.item_type is not None:
                _require([node.item_type], item_types, f"nodes.{name}.item_type", "an item type of a surface")
        for name, relation in self.relations.items():
            where = f"relations.{name}"
            _require([relation.domain], self.surfaces, f"{where}.domain", "a surface under surfaces:")
            actions = self.surfaces[relation.domain].actions
            _require(relation.actions, actions, f"{where}.actions", f"an action of surfaces.{relation.domain}")
            _require(
                relation.confirmed_by, actions, f"{where}.confirmed_by", f"an action of surfaces.{relation.domain}"
            )
            _require([relation.src], self.nodes, f"{where}.from", "a node type under nodes:")
            _require([relation.dst], self.nodes, f"{where}.to", "a node type under nodes:")
        check_surfaces(self.uplift, self.surfaces)
        return self

    @model_validator(mode="after")
    def _derived_edges_are_declared(self) -> Self:
        for name, transition in self.transitions.items():
            where = f"transitions.{name}.relations"
            liked = {n: r for n, r in self.relations.items() if r.sign > 0}
            _require(transition.relations, liked, where, "a relation of sign 1 under relations:")
            starts = {self.relations[relation].src for relation in transition.relations}
            if len(starts) > 1:
                raise ValueError(f"{where}: expected relations from one node type, found {sorted(starts)}")
        _require(self.item_vectors, self.nodes, "item_vectors", "a node type under nodes:")
        _require(self.publish.min_support, self.nodes, "publish.min_support", "a node type under nodes:")
        check_content(self.logs.pseudonyms, {name: self.nodes[name].column for name in self.item_vectors})
        for name, alike in self.similarities.items():
            _require([alike.src, alike.dst], self.item_vectors, f"similarities.{name}", "a table under item_vectors:")
        declared = [n for n, r in self.relations.items() if not r.in_graph] + list(self.graph_relations)
        count = (
            len(self.relations) + len(self.similarities) + sum(self._ends(t) ** 2 for t in self.transitions.values())
        )
        if len(set(declared)) < count:
            raise ValueError("relations, transitions and similarities: expected a name each, found one twice")
        return self

    def _ends(self, transition: Transition) -> int:
        return len({self.relations[relation].dst for relation in transition.relations})

    @model_validator(mode="after")
    def _somebody_acts(self) -> Self:
        """The walk from histories starts at types that act and are never acted upon."""
        kinds = self.graph_relations.values()
        acting = {kind.src for kind in kinds} - {kind.dst for kind in kinds}
        if self.embed.walk == HISTORY and not acting:
            raise ValueError(
                "embed.walk: history needs a node type that relations start from and none ends at; take walk: joint"
            )
        return self

    @model_validator(mode="after")
    def _targets_are_declared(self) -> Self:
        joined = {name for name, relation in self.relations.items() if relation.in_graph}
        for name, target in self.evaluate.targets.items():
            where = f"evaluate.targets.{name}"
            named = [*target.relations, *target.history]
            _require(named, self.relations, where, "a relation under relations:")
            _require(target.history, joined, f"{where}.history", "a relation with in_graph")
            for relation_name in named:
                relation = self.relations[relation_name]
                if (relation.src, relation.dst) != (target.src, target.dst):
                    raise ValueError(
                        f"{where}: expected relations from {target.src} to {target.dst},"
                        f" found {relation_name} from {relation.src} to {relation.dst}"
                    )
        known = [*self.nodes, *self.evaluate.targets]
        for name, gate in self.gates.items():
            _require(gate.types, known, f"gates.{name}.types", "a node type under nodes: or a target of evaluate:")
        return self

    @property
    def window_days(self) -> int:
        """Days of events that the graph reaches back: the longest window of any kind of edge."""
        return max(merge.window_days for merge in [*self.relations.values(), *self.transitions.values()])

    @property
    def reach_days(self) -> int:
        """Days before the window whose events a transition of the window's first day may begin at."""
        return max((transition.reach_days for transition in self.transitions.values()), default=0)

    @property
    def graph_relations(self) -> dict[str, GraphRelation]:
        """Every kind of edge that enters the graph, by the name under which it is stored."""
        return edge_kinds(self.relations, self.transitions, self.similarities)

    @property
    def merges(self) -> dict[str, Merge]:
        """How the days of each kind of edge that has days become its window."""
        return {name: kind.merge for name, kind in self.graph_relations.items() if kind.merge is not None}

    def fingerprint(self, *sections: str) -> str:
        """Sha256 of the named sections, but for where logs lie: what must be equal for two results to be comparable."""
        unknown = set(sections) - set(type(self).model_fields)
        if unknown:
            raise KeyError(f"no such sections: {sorted(unknown)}")
        plain = self.model_dump(mode="json", include=set(sections), exclude={"logs": {"root"}})
        return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def _require(names: Any, declared: Any, where: str, what: str) -> None:
    for name in names:
        if name not in declared:
            raise ValueError(f"{where}: expected {what} {sorted(declared)}, found {name!r}")
