"""Which rows of a working table name one of some keys. A table is read by its columns, whatever its name."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from graphrep.config import NodeSource
from graphrep.contracts import Edge, Event, Node, Quarantine, Tail

Bools = npt.NDArray[np.bool_]

TYPED = ((Edge.SRC_TYPE, Edge.SRC_KEY), (Edge.DST_TYPE, Edge.DST_KEY), (Node.TYPE, Node.KEY))
"""Columns of a key beside the column of its type."""
EVENT_KEYS = (Event.USER_ID, Event.ITEM_TYPE, Event.ITEM_ID, Event.HOST_ID, Event.ROOM_ID, Event.QUERY)
COLUMNS = frozenset([*sum(TYPED, ()), *EVENT_KEYS, Tail.TRANSITION, Tail.USER, Quarantine.ROW])
PATTERN_CHARACTERS = 100_000
"""Of one regular expression: the matcher refuses to compile one that is ten times as long."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The keys that are looked for, and what says their types where a row does not.

    Attributes:
        keys: node type → keys.
        nodes: node type → the event column that holds its keys.
        paths: transition → the node type whose path it is.
    """

    keys: Mapping[str, Sequence[str]]
    nodes: Mapping[str, NodeSource]
    paths: Mapping[str, str]


def mentions(table: pa.Table, wanted: Wanted) -> Bools:
    """Whether each row names a wanted key.

    A raw row in quarantine has no columns that could be trusted: it counts as soon as a key stands anywhere in it as a
    word of its own, so now and then one row too many is found.

    Args:
        table: any working table, all its columns or those of ``COLUMNS``.

    Returns:
        (rows,) bool.
    """
    found = np.zeros(table.num_rows, dtype=np.bool_)
    has = set(table.column_names)
    for node_type, keys in wanted.keys.items():
        values = pa.array(keys, pa.string())
        for kind, key in TYPED:
            if {kind, key} <= has:
                found |= _flags(pc.equal(table[kind], node_type)) & _flags(pc.is_in(table[key], values))
        source = wanted.nodes[node_type]
        if source.column in has:
            hit = _flags(pc.is_in(table[source.column], values))
            if source.item_type is not None and Event.ITEM_TYPE in has:
                hit &= _flags(pc.equal(table[Event.ITEM_TYPE], source.item_type))
            found |= hit
        if Tail.USER in has:
            own = pa.array([name for name, start in wanted.paths.items() if start == node_type], pa.string())
            found |= _flags(pc.is_in(table[Tail.USER], values)) & _flags(pc.is_in(table[Tail.TRANSITION], own))
    if Quarantine.ROW in has:
        found |= _in_raw_rows(table[Quarantine.ROW].to_pylist(), {k for keys in wanted.keys.values() for k in keys})
    return found


def _flags(found: pa.ChunkedArray) -> Bools:
    flags: Bools = pc.fill_null(found, False).to_numpy()
    return flags.astype(np.bool_)


def _in_raw_rows(rows: list[str], keys: set[str]) -> Bools:
    texts = pa.array(["\n".join(_leaves(json.loads(row, parse_float=str))) for row in rows], pa.string())
    found = np.zeros(len(rows), dtype=np.bool_)
    for pattern in _patterns({form for key in keys for form in _spellings(key)}):
        found |= pc.match_substring_regex(texts, pattern).to_numpy(zero_copy_only=False).astype(np.bool_)
    return found


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from _leaves(inner)
    elif value is not None:
        yield str(value)


def _spellings(key: str) -> set[str]:
    """The key, and how a line of JSON or CSV writes it: an unreadable line is kept as it came."""
    return {key, json.dumps(key, ensure_ascii=False)[1:-1], json.dumps(key)[1:-1], key.replace('"', '""')}


def _patterns(words: Iterable[str]) -> Iterator[str]:
    batch: list[str] = []
    for word in sorted(map(re.escape, words)):
        if batch and sum(map(len, batch)) + len(word) > PATTERN_CHARACTERS:
            yield _pattern(batch)
            batch = []
        batch.append(word)
    if batch:
        yield _pattern(batch)


def _pattern(words: list[str]) -> str:
    return rf"(?:^|[^\pL\pN_])(?:{'|'.join(words)})(?:$|[^\pL\pN_])"
