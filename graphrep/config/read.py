"""YAML → settings. A file may name another with ``extends:``; mappings merge key by key, everything else replaces."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from graphrep.config.model import Config
from graphrep.errors import ConfigError


def load_config(path: Path, *, logs: Path | None = None, warehouse: Path | None = None) -> Config:
    """Read, merge and check a configuration file.

    Args:
        path: YAML file; ``extends:`` in it names its base, relative to itself.
        logs, warehouse: take the place of ``logs.root`` and ``warehouse``.

    Raises:
        ConfigError: naming the file and the path of the first wrong key.
    """
    tree = _read_tree(path, seen=())
    for name in ("table", "relation", "transition", "similarity", "gate"):
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


PLURALS = {"similarity": "similarities"}


def _spread_defaults(tree: dict[str, Any], name: str) -> None:
    """Fill each ``tables.X`` from ``table_defaults`` (and relations likewise), so that no default stands twice."""
    home = tree.get("logs") if name == "table" else tree
    if not isinstance(home, dict) or not isinstance(home.get(f"{name}_defaults"), dict):
        return
    entries = home.get(plural := PLURALS.get(name, f"{name}s"))
    if isinstance(entries, dict):
        home[plural] = {
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
