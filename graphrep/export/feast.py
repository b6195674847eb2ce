"""A release as a Feast repository: Parquet sources, entities and feature views, as text. Feast itself is not imported.

A row is known from the end of its data day on: that is its event timestamp, so that no training row of the day itself
is joined with what was not there yet. Feast upserts and reads no TTL online: compare ``release_id`` with the rows' own.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

import pyarrow as pa

from graphrep.contracts import Feature

STORE, DEFINITIONS, RELEASES = "feature_store.yaml", "definitions.py", "releases"
EVENT_TIMESTAMP = "event_timestamp"

_TYPES = {
    Feature.VECTOR: "Array(Float32)",
    Feature.DEGREE: "Int64",
    Feature.AGE_DAYS: "Int32",
    Feature.SOURCE: "String",
    Feature.FALLBACK: "Int32",
    Feature.RELEASE_ID: "String",
    Feature.SPACE_ID: "String",
}


def with_times(table: pa.Table, moment: dt.datetime) -> pa.Table:
    """Rows of ``feature_v1`` with the moment from which they are known.

    Args:
        moment: UTC, the end of the data day.
    """
    stamp = pa.timestamp("us", tz="UTC")
    return table.append_column(EVENT_TIMESTAMP, pa.array([moment] * table.num_rows, stamp))


def store_yaml(project: str) -> str:
    """``feature_store.yaml``: everything local. It is written once, and is the operator's to change.

    Args:
        project: name of the project; what Feast does not take in one becomes an underscore.
    """
    name = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in project).strip("_")
    return f"""project: {name or "graphrep"}
provider: local
registry: data/registry.db
offline_store:
  type: file
online_store:
  type: sqlite
  path: data/online_store.db
entity_key_serialization_version: 3
"""


def definitions(release_id: str, space_id: str, ttl_days: Mapping[str, int]) -> str:
    """``definitions.py``: an entity and a feature view for each type, over the rows of one release.

    Args:
        ttl_days: type → days for which a row may be served.
    """
    head = f'''"""Written by graphrep export feast: the vectors of one release. Apply it again after each export."""

from datetime import timedelta
from pathlib import Path

from feast import Entity, FeatureView, Field, FileSource, ValueType
from feast.types import Array, Float32, Int32, Int64, String

RELEASE_ID = {release_id!r}
SPACE_ID = {space_id!r}
HERE = Path(__file__).resolve().parent / "{RELEASES}" / RELEASE_ID
TAGS = {{"{Feature.RELEASE_ID}": RELEASE_ID, "{Feature.SPACE_ID}": SPACE_ID}}
SCHEMA = [
'''
    fields = "".join(f'    Field(name="{name}", dtype={kind}),\n' for name, kind in _TYPES.items())
    return head + fields + "]\n" + "".join(_view(node_type, days) for node_type, days in ttl_days.items())


def _view(node_type: str, days: int) -> str:
    return f'''
{node_type}_entity = Entity(name="{node_type}", join_keys=["{Feature.KEY}"], value_type=ValueType.STRING)
{node_type}_embedding = FeatureView(
    name="{node_type}_embedding",
    entities=[{node_type}_entity],
    ttl=timedelta(days={days}),
    schema=SCHEMA,
    source=FileSource(
        name="{node_type}_release",
        path=str(HERE / "{node_type}.parquet"),
        timestamp_field="{EVENT_TIMESTAMP}",
    ),
    tags=TAGS,
)
'''
