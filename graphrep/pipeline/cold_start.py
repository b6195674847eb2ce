"""What is published for nodes with few edges: gates chosen on the day's own graph, content read from the store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from graphrep import vocab
from graphrep.errors import StoreError
from graphrep.pipeline.context import Run
from graphrep.pipeline.load import DayGraph, Nodes
from graphrep.pipeline.processes import is_first
from graphrep.store import runlog, tables
from graphrep.store.item_vectors import find_vectors, read_vectors

if TYPE_CHECKING:
    from graphrep.embed.cold_start import ColdStart, Published
    from graphrep.graph.hetero import HeteroGraph

Floats = npt.NDArray[np.float32]
Refit = Callable[["HeteroGraph"], Mapping[str, Floats]]

VECTORS, SOURCE, PRIOR = "vectors", "source", "prior"
SECTIONS = ("cold_start", "item_vectors", "similarities")


def content_inputs(run: Run, last: str) -> dict[str, str]:
    """Fingerprints of the content vectors that a graph up to a day knows of, by node type."""
    root = run.config.logs.root
    return {t: find_vectors(root, t, table, last).fingerprint() for t, table in run.config.item_vectors.items()}


def supported(
    min_support: Mapping[str, int], nodes: Mapping[str, Nodes], vectors: Mapping[str, Floats]
) -> dict[str, Floats]:
    """The vectors that may be published as a node's own: zeros where it has fewer edges than its type asks for.

    Args:
        min_support: node type → least edges.
        vectors: (n, d) by type.
    """
    return {t: own * (nodes[t].degree >= min_support.get(t, 0))[:, None] for t, own in vectors.items()}


def write_published(
    run: Run, ds: str, day: DayGraph, vectors: Mapping[str, Floats], refit: Refit, content: Mapping[str, Floats]
) -> list[dict[str, Any]]:
    """Choose the gates, and write what is published for every node; of several processes the first writes.

    Args:
        vectors: (n, d) by type, zeros where a node has none of its own.
        refit: a graph of the same nodes → vectors of its walk.
        content: :func:`content_of` the day.

    Returns:
        What was chosen, a row for each type, bucket and estimate.
    """
    from graphrep.embed.cold_choice import choose_gates
    from graphrep.embed.cold_start import publish

    settings = _settings(run)
    lasting = tuple(run.config.similarities)
    gates = choose_gates(day.graph, refit, content, settings, seed=run.config.seed, lasting=lasting)
    own = supported(run.config.publish.min_support, day.nodes, vectors)
    found = publish(day.graph, own, gates, content, settings, lasting)
    arrays: dict[str, npt.NDArray[np.generic]] = {}
    for t in found.vectors:
        arrays |= {
            f"{t}.{VECTORS}": found.vectors[t],
            f"{t}.{SOURCE}": found.sources[t],
            f"{t}.{PRIOR}": found.priors[t],
        }
    if is_first():
        tables.write_arrays(_path(run, ds), arrays)
    return [gate.as_dict() for gate in gates]


def is_written(run: Run, ds: str) -> bool:
    """Whether a day's published vectors are there."""
    return all((_path(run, ds) / f"{t}.{part}.npy").is_file() for t in run.config.nodes for part in (VECTORS, SOURCE))


def day_published(run: Run, ds: str) -> Published:
    """What stage ``embed`` wrote to be published.

    Raises:
        StoreError: it is missing or damaged.
    """
    from graphrep.embed.cold_start import Published

    if not is_written(run, ds):
        found = str(_path(run, ds))
        raise StoreError(
            "vectors to publish of every node type", found="fewer", where=found, fix="run stage embed again"
        )
    read = tables.read_arrays(_path(run, ds))
    vectors = {t: read[f"{t}.{VECTORS}"].view(np.float32) for t in run.config.nodes}
    sources = {t: read[f"{t}.{SOURCE}"].view(np.uint8) for t in run.config.nodes}
    return Published(vectors, sources, {t: read[f"{t}.{PRIOR}"].view(np.float32) for t in run.config.nodes})


def _path(run: Run, ds: str) -> Path:
    return tables.partition(run.warehouse, tables.PUBLISHED, ds)


def _settings(run: Run) -> ColdStart:
    from graphrep.embed.cold_start import ColdStart

    return ColdStart(**run.config.cold_start.model_dump(), k=run.config.evaluate.k)


def content_of(run: Run, ds: str, day: DayGraph) -> dict[str, Floats]:
    """(n, f) by node type in the rows of the day's graph; zeros where the table has no vector."""
    found, last = {}, (runlog.read_stage(run.warehouse, ds, vocab.GRAPH) or {})["window"][1]
    for node_type, table in run.config.item_vectors.items():
        read = read_vectors(find_vectors(run.config.logs.root, node_type, table, last), table)
        place = {key: row for row, key in enumerate(read.keys)}
        rows = np.array([place.get(key, -1) for key in day.nodes[node_type].keys], dtype=np.int64)
        content = np.zeros((len(rows), read.vectors.shape[1]), np.float32)
        content[rows >= 0] = read.vectors[rows[rows >= 0]]
        found[node_type] = content
    return found
