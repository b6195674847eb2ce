"""``feature_v1``: what every export holds for a key, so that all of them serve what a lookup answers."""

from __future__ import annotations

from graphrep.contracts.table import Column, Contract


class Feature:
    """Column names of ``feature_v1``."""

    KEY = "key"
    RELEASE_ID = "release_id"
    SPACE_ID = "space_id"
    VECTOR = "vector"
    DEGREE = "degree"
    AGE_DAYS = "age_days"
    SOURCE = "source"
    FALLBACK = "fallback"


FEATURE = Contract(
    name="feature_v1",
    grain=(Feature.KEY,),
    owner="recommendation modelling",
    meaning="what an export holds of a key, equal to what graphrep.lookup answers; one table per node type and release",
    columns=(
        Column(Feature.KEY, "string", "outside key"),
        Column(Feature.RELEASE_ID, "string", "release that the row is from", "YYYY-MM-DD.N"),
        Column(Feature.SPACE_ID, "string", "basis of the vectors; a ranker reads the one that it was trained on"),
        Column(Feature.VECTOR, "list<float32>", "same length in every row, finite"),
        Column(Feature.DEGREE, "int64", "edges of the window behind it: its support"),
        Column(Feature.AGE_DAYS, "int32", "from its newest event to the data day", "days"),
        Column(Feature.SOURCE, "string", "what the vector is made of: graph, blend, content or prior"),
        Column(Feature.FALLBACK, "int32", "1: nothing of the vector is the key's own"),
    ),
)


class IndexManifest:
    """Keys of the ``manifest.json`` of an index."""

    RELEASE_ID = "release_id"
    SPACE_ID = "space_id"
    RELEASE_SHA256 = "release_sha256"
    TYPES = "types"
    FILES = "files"


INDEX_MANIFEST = Contract(
    name="index_manifest_v1",
    grain=(IndexManifest.RELEASE_ID,),
    owner="recommendation modelling",
    meaning="manifest.json beside an exported index, a JSON object: which release it is of, and how well it finds",
    columns=(
        Column(IndexManifest.RELEASE_ID, "string", "release that the vectors are from", "YYYY-MM-DD.N"),
        Column(IndexManifest.SPACE_ID, "string", "basis of the vectors; queries must be of it, too"),
        Column(IndexManifest.RELEASE_SHA256, "string", "of the release's manifest", "64 hex digits"),
        Column(
            IndexManifest.TYPES,
            "string",
            "type → count, dim, queries_of, queries, k, expansion_search, recall: the share of what brute force finds",
            "JSON object",
        ),
        Column(IndexManifest.FILES, "string", "file → sha256, bytes", "JSON object"),
    ),
)
