"""``release_manifest_v2``: the one file that makes a directory a release. Written last, checked whenever it is read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graphrep.contracts.table import Column, Contract

SCHEMA_VERSION = 2
RELEASE_ID = re.compile(r"\d{4}-\d{2}-\d{2}\.[1-9]\d{0,5}", re.ASCII)


class Manifest:
    """Keys of ``manifest.json``."""

    SCHEMA = "schema_version"
    RELEASE_ID = "release_id"
    DS = "ds"
    SPACE_ID = "space_id"
    NEW_SPACE = "new_space"
    PARENT = "parent"
    WINDOW = "window"
    SEED = "seed"
    CONFIG_HASH = "config_hash"
    CODE_VERSION = "code_version"
    CODE_HASH = "code_hash"
    INPUTS = "inputs"
    NODE_TYPES = "node_types"
    TTL_DAYS = "ttl_days"
    METRICS = "metrics"
    GATE = "gate"
    ALIGNMENT = "alignment"
    MODEL = "model"
    ERASURE = "erasure"
    MAPS = "maps"
    UPLIFT = "uplift"
    FILES = "files"
    SHA256 = "sha256"


RELEASE_MANIFEST = Contract(
    name=f"release_manifest_v{SCHEMA_VERSION}",
    grain=(Manifest.RELEASE_ID,),
    owner="recommendation modelling",
    meaning="manifest.json of a release, a JSON object; holds no wall-clock time, so equal inputs give equal bytes",
    columns=(
        Column(Manifest.SCHEMA, "int64", "version of this contract"),
        Column(Manifest.RELEASE_ID, "string", "data day and attempt", "YYYY-MM-DD.N"),
        Column(Manifest.DS, "string", "data day", "YYYY-MM-DD"),
        Column(Manifest.SPACE_ID, "string", "basis of the vectors; equal ids are drop-in for a ranker"),
        Column(Manifest.NEW_SPACE, "string", "whether the basis is another than the parent's", "JSON bool"),
        Column(Manifest.PARENT, "string", "release that the vectors were aligned to", nullable=True),
        Column(Manifest.WINDOW, "string", "first and last day of events inside the graph", "JSON list"),
        Column(Manifest.SEED, "int64", "seed of every random choice"),
        Column(Manifest.CONFIG_HASH, "string", "sha256 of the settings that shape the result"),
        Column(Manifest.CODE_VERSION, "string", "graphrep version"),
        Column(Manifest.CODE_HASH, "string", "sha256 of graphrep's source files"),
        Column(
            Manifest.INPUTS,
            "string",
            "table → day or node type → fingerprint of what the graph was made of",
            "JSON object",
        ),
        Column(Manifest.NODE_TYPES, "string", "type → count, dim", "JSON object"),
        Column(Manifest.TTL_DAYS, "string", "type → days after ds for which a vector may be served", "JSON object"),
        Column(Manifest.METRICS, "string", "rows of the quality table", "JSON list", nullable=True),
        Column(Manifest.GATE, "string", "verdict and checks", "JSON object"),
        Column(Manifest.ALIGNMENT, "string", "anchors and residual", "JSON object", nullable=True),
        Column(
            Manifest.MODEL,
            "string",
            "name, name of the space, share learnt, the walk's choice, sha256 of the state that the next training may"
            " begin from",
            "JSON object",
        ),
        Column(
            Manifest.MAPS,
            "string",
            "space_id of an older space → last day of its map (array into.<space_id>), anchors and held-out residual",
            "JSON object",
        ),
        Column(
            Manifest.ERASURE,
            "string",
            "erased keys that were known when the release was made: count, sha256 of the ledger's rows",
            "JSON object",
        ),
        Column(
            Manifest.UPLIFT,
            "string",
            "the go-live uplift: scored day, hosts, columns of the reader's arrays, average effects and gates of each"
            " fit, hashes of inputs; the key is there only where the uplift is enabled",
            "JSON object",
            nullable=True,
        ),
        Column(Manifest.FILES, "string", "file → sha256, bytes", "JSON object"),
        Column(Manifest.SHA256, "string", "sha256 of the manifest without this key"),
    ),
)


@dataclass(frozen=True, slots=True)
class _Each:
    """An object with keys of any name, whose values all have one shape."""

    shape: Any


@dataclass(frozen=True, slots=True)
class _Maybe:
    """Null, or of a shape."""

    shape: Any


SHAPE: dict[str, Any] = {
    Manifest.SCHEMA: int,
    Manifest.RELEASE_ID: str,
    Manifest.DS: str,
    Manifest.SPACE_ID: str,
    Manifest.NEW_SPACE: bool,
    Manifest.PARENT: _Maybe(str),
    Manifest.WINDOW: list,
    Manifest.SEED: int,
    Manifest.CONFIG_HASH: str,
    Manifest.CODE_VERSION: str,
    Manifest.CODE_HASH: str,
    Manifest.INPUTS: dict,
    Manifest.NODE_TYPES: _Each({"count": int, "dim": int}),
    Manifest.TTL_DAYS: _Each(int),
    Manifest.METRICS: _Maybe(list),
    Manifest.GATE: dict,
    Manifest.ALIGNMENT: _Maybe(dict),
    Manifest.MODEL: dict,
    Manifest.MAPS: _Each({"until": str, "anchors": int, "held_out_residual": float}),
    Manifest.ERASURE: {"count": int, "sha256": str},
    Manifest.FILES: _Each({"sha256": str, "bytes": int}),
    Manifest.SHA256: str,
}
"""Every key of a manifest and its JSON type; an object may hold further keys inside, the manifest itself may not."""

MAY_BE_THERE: dict[str, Any] = {
    Manifest.UPLIFT: {
        "decision_ds": str,
        "hosts": int,
        "node_types": list,
        "columns": list,
        "fits": list,
        "inputs": dict,
    },
}
"""Keys that only some releases have."""

_NAMES = {
    int: "a whole number",
    str: "a string",
    bool: "true or false",
    float: "a number",
    list: "a list",
    dict: "an object",
}


def first_wrong_key(manifest: Mapping[str, Any]) -> tuple[str, str, str] | None:
    """The first key of a manifest that is missing, unknown or of another type.

    Returns:
        What was expected, what was found, and the path of the key; None where all is right.

    >>> first_wrong_key({"schema_version": "2"})
    ('a whole number', "'2'", 'schema_version')
    """
    shape = {**SHAPE, **{key: own for key, own in MAY_BE_THERE.items() if key in manifest}}
    if wrong := _wrong(manifest, shape, ""):
        return wrong
    for key in sorted(set(manifest) - set(shape)):
        return "only the keys of the contract", repr(key), key
    release_id, ds = manifest[Manifest.RELEASE_ID], manifest[Manifest.DS]
    if not RELEASE_ID.fullmatch(release_id) or not release_id.startswith(f"{ds}."):
        return f"a release id of {ds}", repr(release_id), Manifest.RELEASE_ID
    if set(manifest[Manifest.TTL_DAYS]) != set(manifest[Manifest.NODE_TYPES]):
        found = str(sorted(manifest[Manifest.TTL_DAYS]))
        return f"a number for each of {sorted(manifest[Manifest.NODE_TYPES])}", found, Manifest.TTL_DAYS
    return None


def _wrong(value: Any, shape: Any, where: str) -> tuple[str, str, str] | None:
    if isinstance(shape, _Maybe):
        return None if value is None else _wrong(value, shape.shape, where)
    kind: Any = shape if isinstance(shape, type) else dict
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        return _NAMES[kind], repr(value)[:60], where
    inside: Any = dict.fromkeys(value, shape.shape) if isinstance(shape, _Each) else shape
    for key, own in inside.items() if isinstance(inside, dict) else ():
        path = f"{where}.{key}".lstrip(".")
        if key not in value:
            return f"the key {path}", "none", where or "manifest"
        if wrong := _wrong(value[key], own, path):
            return wrong
    return None
