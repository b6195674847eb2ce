"""What a person asks of a day's graph: counted once, when it is made, and kept in the run manifest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from graphrep import vocab
from graphrep.contracts import Adjacency, Edge, Event, Exclusion, NodeActivity
from graphrep.errors import InputError
from graphrep.graph.statistics import Ints, new_and_vanished, nodes_by_surfaces, quantiles
from graphrep.pipeline.context import Run, day_range
from graphrep.pipeline.load import nodes_by_type
from graphrep.pipeline.logs import ACCEPTED, UNDATED
from graphrep.pipeline.window import DayWindow
from graphrep.store import runlog, tables
from graphrep.store.raw import check_day

SUMMARY = "summary"
"""Where it stands in the record of stage ``graph``."""


def summarise(run: Run, ds: str, window: DayWindow) -> dict[str, Any]:
    """Count what stage ``graph`` has just written for a day, and what its window's days delivered.

    The weights of one relation are in memory at a time: 8 bytes an edge of the largest. No other column is ever whole.

    Args:
        window: the days of a graph that has edges.

    Returns:
        Plain data. ``rows``, as they were delivered, ``late`` events and ``excluded`` users' days: over the window and
        on its newest day; ``nodes``: by type, new and vanished against the newest graph of an earlier day,
        ``compared_with``; ``surfaces``: users by number of surfaces, from 0 on; ``edges``: by relation, weights without
        their sign; ``disk``: bytes, and bytes an edge, by table.

    Raises:
        InputError: the logs of a day of the window have no record.
        StoreError: a table is missing or damaged.
    """
    every, newest = day_range(window.first, window.last), window.days[-1:]
    before = _graph_before(run, ds)
    nodes = _nodes(run, ds, before)
    edges = _edges(run, ds)
    return {
        "days": list(window.days),
        "missing_days": sorted(set(every) - set(window.days)),
        "compared_with": before,
        "rows": {"window": _rows(run, window.days), "newest": _rows(run, newest)},
        "late": {"window": _late(run, every), "newest": _late(run, newest)},
        "excluded": {"window": _excluded(run, every), "newest": _excluded(run, newest)},
        "nodes": nodes,
        "surfaces": _surfaces(run, ds),
        "edges": edges,
        "disk": _disk(run, ds, sum(relation["edges"] for relation in edges.values())),
    }


def read_summary(warehouse: Path, ds: str) -> dict[str, Any]:
    """The summary of a day's graph.

    Raises:
        InputError: not a date, or a day that has none.
    """
    check_day(ds, where="--ds")
    record = runlog.read_stage(warehouse, ds, vocab.GRAPH)
    if record is None:
        fix = f"run graphrep graph --ds {ds} first"
        raise InputError(f"a graph of {ds}", found="none", where=str(warehouse), fix=fix)
    if SUMMARY not in record:
        path = tables.partition(warehouse, tables.NODES, ds)
        fix = f"remove {path} and run graphrep graph --ds {ds}"
        raise InputError(f"a graph of {ds} with a summary", found="one made without", where=str(warehouse), fix=fix)
    summary: dict[str, Any] = record[SUMMARY]
    return summary


def _graph_before(run: Run, ds: str) -> str | None:
    """The newest earlier day whose graph is there and whose stage came to its end."""
    for day in reversed(tables.days(run.warehouse / tables.NODES)):
        if day < ds and runlog.read_stage(run.warehouse, day, vocab.GRAPH) is not None:
            return day
    return None


def _rows(run: Run, days: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Raw rows by table: read, made events, dropped for which reason; every outcome but an event is a reason."""
    outcomes: dict[str, Counter[str]] = {}
    delivered: Counter[str] = Counter()
    undated: Counter[str] = Counter()
    for day in days:
        for name, counts in _outcomes(run, day).items():
            outcomes.setdefault(name, Counter()).update({k: n for k, n in counts.items() if k != UNDATED})
            delivered[name] += 1
            # Rows of a pool without a readable time are met by each of its days, the same ones.
            undated[name] = max(undated[name], counts.get(UNDATED, 0))
    return {
        name: {
            "surface": _surface(run, name),
            "days": delivered[name],
            "in": counts.total(),
            "events": counts[ACCEPTED],
            "dropped": {reason: count for reason, count in counts.items() if reason != ACCEPTED},
            "undated": undated[name],
        }
        for name, counts in outcomes.items()
    }


def _outcomes(run: Run, day: str) -> dict[str, dict[str, int]]:
    record = runlog.read_stage(run.warehouse, day, vocab.LOGS)
    if record is None:
        raise InputError(f"the checked logs of {day}", found="none", fix=f"run graphrep logs --ds {day} first")
    found: dict[str, dict[str, int]] = record["rows"]
    return found


def _surface(run: Run, name: str) -> str | None:
    """The surface of all the rows of a table; None where each row says its own."""
    table = run.config.logs.tables.get(name)
    source = table.source_of(Event.DOMAIN) if table else None
    return source.value if source else None


def _late(run: Run, days: Iterable[str]) -> dict[str, int]:
    """What later deliveries told of the days: events that joined them, and repeats of events that they had."""
    found: Counter[str] = Counter()
    for day in days:
        found.update((runlog.read_stage(run.warehouse, day, vocab.EDGES) or {}).get("late", {}))
    return {kind: count for kind, count in found.items() if count}


def _excluded(run: Run, days: Iterable[str]) -> dict[str, int]:
    """Days of users that made no edges, by reason."""
    found: Counter[str] = Counter()
    for day in days:
        path = tables.partition(run.warehouse, tables.EXCLUDED, day)
        if path.is_dir():
            found.update(tables.count_by(path, Exclusion.REASON))
    return dict(found)


def _nodes(run: Run, ds: str, before: str | None) -> dict[str, dict[str, Any]]:
    earlier = nodes_by_type(run, before, [NodeActivity.INDEX]) if before else None
    found = {}
    for kind, table in nodes_by_type(run, ds, [NodeActivity.INDEX, NodeActivity.DEGREE]).items():
        index = table[NodeActivity.INDEX].to_numpy()
        new, vanished = (
            new_and_vanished(index, earlier[kind][NodeActivity.INDEX].to_numpy()) if earlier else (None, None)
        )
        degree = quantiles(table[NodeActivity.DEGREE].to_numpy())
        found[kind] = {"nodes": len(index), "new": new, "vanished": vanished, "degree": degree}
    return found


def _surfaces(run: Run, ds: str) -> dict[str, list[int]]:
    """Of each node type that is who acts: nodes by number of surfaces."""
    nodes = nodes_by_type(run, ds, [NodeActivity.INDEX])
    return {
        kind: nodes_by_surfaces(nodes[kind][NodeActivity.INDEX].to_numpy(), _ends(run, ds, kind))
        for kind, source in run.config.nodes.items()
        if source.column == Event.USER_ID
    }


def _ends(run: Run, ds: str, kind: str) -> dict[str, Iterator[Ints]]:
    """Surface → the indices of this type at the ends of its relations' edges."""
    sides: dict[str, list[tuple[str, str]]] = {}
    for name, relation in run.config.relations.items():
        for end, column in ((relation.src, Adjacency.SRC), (relation.dst, Adjacency.DST)):
            if relation.in_graph and end == kind:
                sides.setdefault(relation.domain, []).append((name, column))
    return {surface: _columns(run, ds, found) for surface, found in sides.items()}


def _columns(run: Run, ds: str, sides: Sequence[tuple[str, str]]) -> Iterator[Ints]:
    return chain.from_iterable(_batches(run, ds, name, column) for name, column in sides)


def _batches(run: Run, ds: str, relation: str, column: str) -> Iterator[npt.NDArray[Any]]:
    """One column of a relation's adjacency; nothing where no edge was written."""
    path = _relation_path(run, ds, relation)
    if path.is_dir():
        for batch in tables.stream_table(path, [column]):
            yield batch[column].to_numpy()


def _relation_path(run: Run, ds: str, relation: str) -> Path:
    return tables.partition(run.warehouse, tables.ADJACENCY, ds) / f"{Edge.RELATION}={relation}"


def _edges(run: Run, ds: str) -> dict[str, dict[str, Any]]:
    found = {}
    for name, kind in run.config.graph_relations.items():
        weight = _weights(run, ds, name)
        found[name] = {
            "from": kind.src,
            "to": kind.dst,
            "sign": kind.sign,
            "edges": len(weight),
            "weight": quantiles(weight),
            "bytes": _bytes(_relation_path(run, ds, name)),
        }
    return found


def _weights(run: Run, ds: str, relation: str) -> npt.NDArray[np.float32]:
    # Filled batch by batch: joining the batches would hold them twice.
    weights = np.empty(tables.count_rows(_relation_path(run, ds, relation)), np.float32)
    at = 0
    for batch in _batches(run, ds, relation, Adjacency.WEIGHT):
        weights[at : at + len(batch)] = batch
        at += len(batch)
    return weights


def _disk(run: Run, ds: str, edges: int) -> dict[str, dict[str, float]]:
    found = {}
    for table in (tables.ADJACENCY, tables.ARRAYS, tables.NODES):
        size = _bytes(tables.partition(run.warehouse, table, ds))
        found[table] = {"bytes": size, "bytes_per_edge": round(size / edges, 2)}
    return found


def _bytes(path: Path) -> int:
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
