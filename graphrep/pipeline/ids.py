"""The dictionary of stable ids: segments that are appended, by one writer at a time, and checked on every use."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from graphrep.contracts import ERASURE, NODE, Erasure
from graphrep.errors import StoreError
from graphrep.pipeline.context import Run
from graphrep.store import erase, files, tables

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

Span = tuple[str, str, int, int, int]
"""Segment, node type, rows, least index, greatest index."""


def extend_dictionary(run: Run, window: DataFrame, ds: str) -> DataFrame:
    """Append a segment with the window's keys that are new; those that were erased stay out.

    A segment appears whole or not at all, so a run that dies before it or after it is simply run again. Of two runs at
    once the second waits, and finds the keys of the first.

    Args:
        window: rows with ``node_type`` and ``key``, unique.
        ds: the day of the run.

    Returns:
        The dictionary without its tombstones: ``node_v1``.

    Raises:
        StoreError: a segment is missing, damaged, or there twice; the message names it.
    """
    from graphrep.graph import ids
    from graphrep.store.spark import read_frames, spark_errors, write_frame

    root = run.warehouse / tables.IDS
    with files.locked(dictionary_lock(run.warehouse)):
        segments = _segments(root)
        known = read_frames(run.spark, [root / name for name in segments], NODE)
        with spark_errors(f"reading {root}"):
            spans = ids.segment_spans(known).collect() if segments else []
        free = next_free([tuple(span) for span in spans], root)
        partitions = run.config.spark.shuffle_partitions
        fresh = ids.new_nodes(window, known, free, ds, partitions, erased=erased_hashes(run)).persist()
        try:
            with spark_errors(f"new keys of {ds}"):
                nothing_new = fresh.isEmpty()
            if not nothing_new:
                segments.append(_name(len(segments) + 1))
                write_frame(fresh, root / segments[-1], NODE)
        finally:
            fresh.unpersist()
    return ids.living(read_frames(run.spark, [root / name for name in segments], NODE))


def erased_hashes(run: Run) -> DataFrame | None:
    """Type and hash of every key that was erased (``key_hash`` of :mod:`graphrep.contracts`); None where none was."""
    from graphrep.store.spark import read_frames

    ledger = erase.ledger_file(run.warehouse)
    if not ledger.is_file():
        return None
    return read_frames(run.spark, [ledger.parent], ERASURE).select(Erasure.TYPE, Erasure.HASH)


def dictionary_lock(warehouse: Path) -> Path:
    """Held by whoever appends to the dictionary or changes it."""
    return warehouse / tables.IDS / ".lock"


def _segments(root: Path) -> list[str]:
    found = tables.subdirectories(root)
    for number, name in enumerate(found, start=1):
        if name != _name(number):
            fix = "restore the missing segment, or remove the one that was added"
            raise StoreError(f"segment {_name(number)} of the dictionary", found=name, where=str(root), fix=fix)
    return found


def _name(number: int) -> str:
    return f"{number:06d}"


def next_free(spans: Iterable[Span], root: Path) -> dict[str, int]:
    """The next free index of each type, once it is sure that each segment goes on where those before it end.

    Every segment gives each type a run of indices without a hole. A copied segment begins too low and a lost one makes
    the next begin too high; a file more or less inside one makes its count differ from its length.

    Args:
        spans: of every segment and type, in the order of the segments.
        root: where the segments lie, for the message.

    Raises:
        StoreError: naming the segment that does not fit.
    """
    free: dict[str, int] = {}
    for segment, node_type, rows, first, last in spans:
        start = free.get(node_type, 0)
        if first != start or last != start + rows - 1:
            raise StoreError(
                f"segment {segment} of the dictionary to number {rows} {node_type} keys from {start}",
                found=f"indices {first} to {last}",
                where=str(root / segment),
                fix="restore the segments as they were written: one was copied, lost or changed",
            )
        free[node_type] = last + 1
    return free
