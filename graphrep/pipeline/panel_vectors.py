"""Vectors of hosts beside their host-days, from releases of days before: those of the basis that the day itself has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from graphrep import vocab
from graphrep.contracts import EMBEDDING, PANEL, Embedding, Event, History, Manifest, Panel, check_table
from graphrep.errors import InputError
from graphrep.pipeline.cold_start import day_published
from graphrep.pipeline.context import Run
from graphrep.pipeline.history import has_history
from graphrep.pipeline.load import load_graph
from graphrep.store import history, releases, runlog, tables

Vectors = tuple[pa.Array, pa.Array]
"""Keys, and a list of float32 for each."""


@dataclass(frozen=True)
class Source:
    """Vectors of one day.

    Attributes:
        ds: data day: what they know.
        name: what they are from, for the record.
        space_id: their basis.
        read: gives them.
    """

    ds: str
    name: str
    space_id: str
    read: Callable[[], Vectors]


def sources(run: Run, ds: str) -> dict[str, Source]:
    """Data day → the vectors of that day in the basis of the newest, up to a data day.

    Of the data day itself they are what stage ``embed`` made; of days before, what is published of them or kept in the
    history. Nothing of another basis: trees that learnt on its axes would know nothing of today's.
    """
    node_type = host_type(run)
    if node_type is None:
        return {}
    found = _released(run, ds, node_type)
    found = {**_kept(run, ds, node_type, {d for d in found}), **found}
    if embedded := runlog.read_stage(run.warehouse, ds, vocab.EMBED):
        found[ds] = Source(ds, "embed", embedded["space_id"], lambda: _of_today(run, ds, node_type))
    if not found:
        return {}
    space = found[max(found)].space_id
    return {day: found[day] for day in sorted(found) if found[day].space_id == space}


def host_type(run: Run) -> str | None:
    """The node type whose keys are hosts."""
    return next((name for name, node in run.config.nodes.items() if node.column == Event.HOST_ID), None)


def newest_before(found: dict[str, Source], decision_ds: str) -> Source | None:
    """The newest vectors that were made of days before a decision."""
    days = [day for day in found if day < decision_ds]
    return found[max(days)] if days else None


def with_vectors(rows: pa.Table, source: Source | None) -> pa.Table:
    """Rows of one decision day with the vectors of their hosts; null where the source has none.

    Raises:
        InputError: the source knows the decision day itself or one after it.
    """
    if source is None or not rows.num_rows:
        return rows
    decision = pc.min(rows[Panel.DS]).as_py()
    if source.ds >= decision:
        found = f"those of {source.ds} ({source.name})"
        raise InputError(
            "vectors of a day before the decision day", found=found, where=f"panel, decision of {decision}"
        )
    keys, vectors = source.read()
    place = pc.index_in(rows[Panel.HOST].combine_chunks(), keys)
    there = place.is_valid()

    def where_there(text: str) -> pa.Array:
        return pc.if_else(there, pa.scalar(text), pa.scalar(None, pa.string()))

    told = {
        Panel.EMBEDDING: vectors.take(place).cast(PANEL.schema.field(Panel.EMBEDDING).type),
        Panel.EMBEDDING_DS: where_there(source.ds),
        Panel.EMBEDDING_SPACE: where_there(source.space_id),
    }
    for name, column in told.items():
        rows = rows.set_column(rows.column_names.index(name), PANEL.schema.field(name), column)
    return rows


def _released(run: Run, ds: str, node_type: str) -> dict[str, Source]:
    """Of days before the data day: the newest release of each that was not withdrawn."""
    gone = releases.withdrawn(run.warehouse)
    found = {}
    for release_id in releases.list_releases(run.warehouse):
        day = release_id[:10]
        if day < ds and release_id not in gone:
            manifest = releases.read_manifest(run.warehouse, release_id)
            if node_type in manifest[Manifest.NODE_TYPES]:
                read = _reader(run, release_id, node_type)
                found[day] = Source(day, release_id, str(manifest[Manifest.SPACE_ID]), read)
    return found


def _reader(run: Run, release_id: str, node_type: str) -> Callable[[], Vectors]:
    def read() -> Vectors:
        table = tables.read_file(releases.release_path(run.warehouse, release_id) / f"{node_type}.parquet")
        check_table(table, EMBEDDING)
        return table[Embedding.KEY].combine_chunks(), table[Embedding.VECTOR].combine_chunks()

    return read


def _kept(run: Run, ds: str, node_type: str, have: set[str]) -> dict[str, Source]:
    """Of days whose releases are gone: what the history holds."""
    if not has_history(run):
        return {}
    settings, found = run.config.history, {}
    with history.open_catalog(run.warehouse, settings.catalog_name, settings.catalog) as catalog:
        if node_type not in history.node_types(catalog, settings.namespace):
            return {}
        table = history.open_table(catalog, settings.namespace, node_type)
        for day, held in history.held_days(table).items():
            if day < ds and day not in have and held.rows:
                space = history.read_day(table, day, columns=[History.SPACE_ID])[History.SPACE_ID][0].as_py()
                found[day] = Source(day, held.release_id, space, _history_reader(table, day))
    return found


def _history_reader(table: Any, day: str) -> Callable[[], Vectors]:
    def read() -> Vectors:
        rows = history.read_day(table, day, columns=[History.KEY, History.VECTOR])
        return rows[History.KEY].combine_chunks(), rows[History.VECTOR].combine_chunks()

    return read


def _of_today(run: Run, ds: str, node_type: str) -> Vectors:
    """What stage ``embed`` made to be published."""
    keys = load_graph(run, ds).nodes[node_type].keys
    vectors = np.ascontiguousarray(day_published(run, ds).vectors[node_type], dtype=np.float32)
    offsets = pa.array(np.arange(0, vectors.size + 1, max(vectors.shape[1], 1), dtype=np.int32))
    return pa.array(keys, pa.string()), pa.ListArray.from_arrays(offsets, pa.array(vectors.reshape(-1)))
