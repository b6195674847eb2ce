"""``release_manifest_v1``: the one file that makes a directory a release. Written last, checked on opening."""

from __future__ import annotations

from graphrep.contracts.table import Column, Contract

SCHEMA_VERSION = 1


class Manifest:
    """Keys of ``manifest.json``."""

    SCHEMA = "schema_version"
    RELEASE_ID = "release_id"
    DS = "ds"
    SPACE_ID = "space_id"
    PARENT = "parent"
    WINDOW = "window"
    SEED = "seed"
    CONFIG_HASH = "config_hash"
    CODE_VERSION = "code_version"
    INPUTS = "inputs"
    NODE_TYPES = "node_types"
    METRICS = "metrics"
    GATE = "gate"
    ALIGNMENT = "alignment"
    MODEL = "model"
    FILES = "files"


RELEASE_MANIFEST = Contract(
    name="release_manifest_v1",
    grain=(Manifest.RELEASE_ID,),
    owner="recommendation modelling",
    meaning="manifest.json of a release, a JSON object; holds no wall-clock time, so equal inputs give equal bytes",
    columns=(
        Column(Manifest.SCHEMA, "int64", "version of this contract"),
        Column(Manifest.RELEASE_ID, "string", "data day and attempt", "YYYY-MM-DD.N"),
        Column(Manifest.DS, "string", "data day", "YYYY-MM-DD"),
        Column(Manifest.SPACE_ID, "string", "basis of the vectors; equal ids are drop-in for a ranker"),
        Column(Manifest.PARENT, "string", "release that the vectors were aligned to", nullable=True),
        Column(Manifest.WINDOW, "string", "first and last day of events inside the graph", "JSON list"),
        Column(Manifest.SEED, "int64", "seed of every random choice"),
        Column(Manifest.CONFIG_HASH, "string", "sha256 of the settings that shape the result"),
        Column(Manifest.CODE_VERSION, "string", "graphrep version"),
        Column(
            Manifest.INPUTS,
            "string",
            "table → day or node type → fingerprint of what the graph was made of",
            "JSON object",
        ),
        Column(Manifest.NODE_TYPES, "string", "type → count, dim", "JSON object"),
        Column(Manifest.METRICS, "string", "rows of the quality table", "JSON list", nullable=True),
        Column(Manifest.GATE, "string", "verdict and checks", "JSON object"),
        Column(Manifest.ALIGNMENT, "string", "anchors and residual", "JSON object", nullable=True),
        Column(
            Manifest.MODEL,
            "string",
            "name, share learnt, the walk's choice, sha256 of the state that the next training may begin from",
            "JSON object",
        ),
        Column(Manifest.FILES, "string", "file → sha256, bytes", "JSON object"),
    ),
)
