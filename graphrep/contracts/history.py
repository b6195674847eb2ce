"""``history_v1``: every published vector of every day, for training and analysis; one Iceberg table per node type."""

from __future__ import annotations

from graphrep.contracts.table import Column, Contract


class History:
    """Column names of ``history_v1``."""

    DS = "ds"
    RELEASE_ID = "release_id"
    SPACE_ID = "space_id"
    KEY = "key"
    VECTOR = "vector"
    DEGREE = "degree"
    LAST_DS = "last_ds"
    SOURCE = "source"


HISTORY = Contract(
    name="history_v1",
    grain=(History.DS, History.KEY),
    owner="recommendation modelling",
    meaning="one published vector of one day, partitioned by ds; a day holds the rows of one release, whole",
    columns=(
        Column(History.DS, "string", "data day of the release", "YYYY-MM-DD"),
        Column(History.RELEASE_ID, "string", "release that the row is from, one per day", "YYYY-MM-DD.N"),
        Column(History.SPACE_ID, "string", "basis of the vectors; compare vectors of equal ids only"),
        Column(History.KEY, "string", "outside key"),
        Column(History.VECTOR, "list<float32>", "same length in every row of a day, finite"),
        Column(History.DEGREE, "int64", "edges of the window behind it: its support"),
        Column(History.LAST_DS, "string", "day of its newest event", "YYYY-MM-DD"),
        Column(History.SOURCE, "string", "what the vector is made of: graph, blend, content or prior"),
    ),
)
