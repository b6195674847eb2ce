"""``embedding_v1``: what the ranker's feature tables hold, one row per published key."""

from __future__ import annotations

from graphrep.contracts.table import Column, Contract


class Embedding:
    """Column names of ``embedding_v1``."""

    DS = "ds"
    TYPE = "node_type"
    KEY = "key"
    VECTOR = "vector"
    DEGREE = "degree"
    LAST_DS = "last_ds"


EMBEDDING = Contract(
    name="embedding_v1",
    grain=(Embedding.TYPE, Embedding.KEY),
    owner="recommendation modelling",
    meaning="one published vector; drop-in between releases that share a space_id",
    columns=(
        Column(Embedding.DS, "string", "data day of the release", "YYYY-MM-DD"),
        Column(Embedding.TYPE, "string", "node type"),
        Column(Embedding.KEY, "string", "outside key"),
        Column(Embedding.VECTOR, "list<float32>", "same length in every row, finite"),
        Column(Embedding.DEGREE, "int64", "edges of the window behind it: its support"),
        Column(Embedding.LAST_DS, "string", "day of its newest event", "YYYY-MM-DD"),
    ),
)
