"""The settings of a run: frozen, typed, strict. Every knob stands once, with unit and reason, in ``configs/base.yaml``.

A file may name another with ``extends:``; mappings merge key by key, everything else replaces.
An unknown key is an error that names its path.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from graphrep.contracts import Event
from graphrep.errors import ConfigError

EndpointColumn = Literal["user_id", "item_id", "host_id", "room_id", "query"]
Unit = Literal["us", "ms", "s", "min", "iso"]
Strength = Literal["unit", "duration_percentile", "value_percentile"]


class Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class ColumnSource(Strict):
    """Where one contract column comes from: a source column (in some unit, values renamed) or a constant."""

    column: str | None = None
    value: str | None = None
    unit: Unit | None = None
    map: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if (self.column is None) == (self.value is None):
            raise ValueError("give either column: (a source column) or value: (a constant)")
        return self


class LogTable(Strict):
    """One raw log table: where it lies, how it is written, which contract column is which of its own."""

    path: str
    format: Literal["parquet", "csv", "jsonl"]
    partitioned: bool
    required: bool
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
        return self

    def source_of(self, name: str) -> ColumnSource | None:
        """The mapping of a contract column, or None where the configuration says nothing about it."""
        return self.columns.get(name)


class Logs(Strict):
    root: Path = Field(strict=False)
    max_quarantine_share: float = Field(ge=0, le=1)
    table_defaults: dict[str, Any]
    tables: dict[str, LogTable] = Field(min_length=1)


class Surface(Strict):
    actions: tuple[str, ...]
    item_types: tuple[str, ...]


class NodeSource(Strict):
    """Which event column holds the keys of a node type; ``item_type`` narrows ``item_id`` to one type."""

    column: EndpointColumn
    item_type: str | None = None


class Relation(Strict):
    domain: str
    actions: tuple[str, ...] = Field(min_length=1)
    src: str = Field(alias="from")
    dst: str = Field(alias="to")
    sign: Literal[-1, 1]
    strength: Strength
    prior_support: float = Field(ge=0)
    half_life_days: float = Field(gt=0)
    window_days: int = Field(ge=1)
    cap: float = Field(gt=0)
    weight: float = Field(gt=0)
    in_graph: bool


class Spark(Strict):
    master: str
    driver_memory: str
    shuffle_partitions: int = Field(ge=1)


class Embed(Strict):
    dim: int = Field(ge=1)
    markov_time: int = Field(ge=1)
    lazy: bool
    device: str | None


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
    targets: dict[str, Target]


class Gates(Strict):
    max_non_finite_rows: int = Field(ge=0)
    max_zero_row_share: float = Field(ge=0, le=1)
    max_count_drop: float = Field(ge=0, le=1)
    min_norm_ratio: float = Field(gt=0)
    max_norm_ratio: float = Field(gt=0)
    max_alignment_residual: float = Field(gt=0)
    min_lift_users: int = Field(ge=1)
    min_lift_over_popularity: float = Field(allow_inf_nan=False)


class Config(Strict):
    name: str
    seed: int
    warehouse: Path = Field(strict=False)
    holdout_days: int = Field(ge=0, le=1)
    logs: Logs
    surfaces: dict[str, Surface] = Field(min_length=1)
    nodes: dict[str, NodeSource] = Field(min_length=1)
    relation_defaults: dict[str, Any]
    relations: dict[str, Relation] = Field(min_length=1)
    spark: Spark
    embed: Embed
    evaluate: Evaluate
    gates: Gates

    @model_validator(mode="after")
    def _names_are_declared(self) -> Self:
        for name, surface in self.surfaces.items():
            _require(surface.item_types, self.nodes, f"surfaces.{name}.item_types", "a node type under nodes:")
        for name, relation in self.relations.items():
            where = f"relations.{name}"
            _require([relation.domain], self.surfaces, f"{where}.domain", "a surface under surfaces:")
            actions = self.surfaces[relation.domain].actions
            _require(relation.actions, actions, f"{where}.actions", f"an action of surfaces.{relation.domain}")
            _require([relation.src], self.nodes, f"{where}.from", "a node type under nodes:")
            _require([relation.dst], self.nodes, f"{where}.to", "a node type under nodes:")
        for name, target in self.evaluate.targets.items():
            where = f"evaluate.targets.{name}"
            named = [*target.relations, *target.history]
            _require(named, self.relations, where, "a relation under relations:")
            for relation_name in named:
                relation = self.relations[relation_name]
                if (relation.src, relation.dst) != (target.src, target.dst):
                    raise ValueError(
                        f"{where}: expected relations from {target.src} to {target.dst},"
                        f" found {relation_name} from {relation.src} to {relation.dst}"
                    )
        return self

    @property
    def window_days(self) -> int:
        """Days of events that the graph reaches back: the longest window of any relation."""
        return max(relation.window_days for relation in self.relations.values())

    @property
    def graph_relations(self) -> dict[str, Relation]:
        """The relations whose edges enter the graph; the others are labels only."""
        return {name: relation for name, relation in self.relations.items() if relation.in_graph}

    def fingerprint(self, *sections: str) -> str:
        """Sha256 of the named sections, but for where logs lie: what must be equal for two results to be comparable."""
        plain = self.model_dump(mode="json", include=set(sections), exclude={"logs": {"root"}})
        return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def _require(names: Any, declared: Any, where: str, what: str) -> None:
    for name in names:
        if name not in declared:
            raise ValueError(f"{where}: expected {what} {sorted(declared)}, found {name!r}")


def load_config(path: Path, *, logs: Path | None = None, warehouse: Path | None = None) -> Config:
    """Read, merge and check a configuration file.

    Args:
        path: YAML file; ``extends:`` in it names its base, relative to itself.
        logs, warehouse: take the place of ``logs.root`` and ``warehouse``.

    Raises:
        ConfigError: naming the file and the path of the first wrong key.
    """
    tree = _read_tree(path, seen=())
    for name in ("table", "relation"):
        _spread_defaults(tree, name)
    try:
        config = Config.model_validate(_tuples(tree))
    except ValidationError as error:
        raise _readable(error, path) from None
    changes: dict[str, Any] = {}
    if logs is not None:
        changes["logs"] = config.logs.model_copy(update={"root": logs})
    if warehouse is not None:
        changes["warehouse"] = warehouse
    return config.model_copy(update=changes)


class _UniqueKeys(yaml.SafeLoader):
    """Plain YAML, in which a key that stands twice is an error instead of the last one winning in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"the key {key.value!r} twice", problem_mark=key.start_mark)
            seen.add(key.value if isinstance(key, yaml.ScalarNode) else None)
        return super().construct_mapping(node, deep)


def _read_tree(path: Path, seen: tuple[Path, ...]) -> dict[str, Any]:
    if path.resolve() in seen:
        raise ConfigError("a chain of extends: that ends", found=f"{path} extending itself")
    try:
        tree = yaml.load(path.read_text(encoding="utf-8"), Loader=_UniqueKeys)
    except OSError as error:
        raise ConfigError("a readable YAML file", found=error.strerror or "an error", where=str(path)) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError("valid YAML", found=" ".join(str(error).split()), where=str(path)) from None
    if not isinstance(tree, dict):
        raise ConfigError("a mapping of settings", found=type(tree).__name__, where=str(path))
    base = tree.pop("extends", None)
    if base is None:
        return tree
    return _merge(_read_tree(path.parent / str(base), (*seen, path.resolve())), tree)


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def _spread_defaults(tree: dict[str, Any], name: str) -> None:
    """Fill each ``tables.X`` from ``table_defaults`` (and relations likewise), so that no default stands twice."""
    home = tree.get("logs") if name == "table" else tree
    if not isinstance(home, dict) or not isinstance(home.get(f"{name}_defaults"), dict):
        return
    entries = home.get(f"{name}s")
    if isinstance(entries, dict):
        home[f"{name}s"] = {
            key: _merge(home[f"{name}_defaults"], entry) if isinstance(entry, dict) else entry
            for key, entry in entries.items()
        }


def _tuples(value: Any) -> Any:
    """YAML gives lists; the frozen model holds tuples."""
    if isinstance(value, dict):
        return {key: _tuples(inner) for key, inner in value.items()}
    return tuple(_tuples(inner) for inner in value) if isinstance(value, list) else value


WORDS = {
    "dict_type": "a mapping",
    "invalid_key": "keys that are strings",
    "model_type": "a mapping",
    "path_type": "a path",
    "tuple_type": "a list",
}
"""What pydantic calls by Python's names, as a reader of YAML says it."""


def _readable(error: ValidationError, path: Path) -> ConfigError:
    # A misspelt key is also a missing one: the spelling is what helps.
    spelling = ("extra_forbidden", "invalid_key")
    problems = sorted(error.errors(include_url=False), key=lambda problem: problem["type"] not in spelling)
    first = problems[0]
    where = ".".join(str(part) for part in first["loc"])
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    if first["type"] == "extra_forbidden":
        return ConfigError("only known keys", found=f"{where}{more}", where=str(path), fix="see configs/base.yaml")
    if first["type"] == "missing":
        return ConfigError(f"the key {where}", found=f"nothing{more}", where=str(path))
    if first["type"] == "value_error":
        message = str(first["ctx"]["error"]) + more
        return ConfigError("settings that agree", found=message, where=f"{path} {where}".strip())
    found = f"{first['input']!r} at {where}{more}"
    expected = WORDS.get(first["type"], first["msg"].removeprefix("Input should be "))
    return ConfigError(expected, found=found, where=str(path))
