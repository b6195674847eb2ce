"""Spaces: whose vectors are drop-in for whose, what today's are turned onto, and the maps back to spaces that ended.

A space goes on as long as today's vectors can be turned onto those of the release before. It ends where that cannot be
(another dimension, another walk, nothing shared) and where the configuration names another one (``embed.space``): then
vectors are made without regard to the day before, and for ``publish.dual_days`` days each release holds a map beside
them, by which a ranker of the space before reads them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from graphrep import vocab
from graphrep.contracts import Manifest, Node
from graphrep.lookup import Release
from graphrep.lookup.spaces import map_name
from graphrep.pipeline.context import Run, add_days
from graphrep.pipeline.load import DayGraph
from graphrep.pipeline.processes import is_first
from graphrep.store import releases, tables

if TYPE_CHECKING:
    from graphrep.embed.align import MapBack

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]

_LEAST_PER_COLUMN = 4
"""Anchors; fewer than that tell more of themselves than of the rotation."""


def own_rows(day: DayGraph, before: Release) -> dict[str, Floats]:
    """An earlier release's vectors in the rows of today, (n, its dim) by type; zeros where they are not the walk's own.

    What was blended is no turn of a walk's vector.
    """
    found: dict[str, Floats] = {}
    for node_type, nodes in day.nodes.items():
        if node_type in before.types:
            hit = before.get(node_type, nodes.keys)
            found[node_type] = np.where((hit.source == vocab.OWN)[:, None], hit.vectors, np.float32(0))
    return found


def anchors_in(run: Run, ds: str, day: DayGraph, before: Release) -> dict[str, Floats] | None:
    """:func:`own_rows` of the nodes that today's vectors are turned onto the space by: ``embed.anchors``.

    Where too few are old enough, any age will do; where too few have edges enough, any number of them.

    Returns:
        None: no node is shared, or the dimension differs.
    """
    dim, wanted = run.config.embed.dim, run.config.embed.anchors
    rows = {t: x for t, x in own_rows(day, before).items() if x.shape[1] == dim}
    there: dict[str, Bools] = {t: np.asarray(x.any(axis=1)) for t, x in rows.items()}
    if not any(own.any() for own in there.values()):
        return None
    degree = {t: np.minimum(day.nodes[t].degree, before.get(t, day.nodes[t].keys).degree) for t in rows}
    joined: dict[str, Bools] = {t: np.asarray(own & (degree[t] >= wanted.min_degree)) for t, own in there.items()}
    young = first_younger(run, add_days(ds, -wanted.min_age_days))
    lasting: dict[str, Bools] = {
        t: np.asarray(own & (day.nodes[t].index < young.get(t, 0))) for t, own in joined.items()
    }
    enough = _LEAST_PER_COLUMN * dim
    chosen = next((c for c in (lasting, joined) if sum(own.sum() for own in c.values()) >= enough), there)
    return {t: np.where(chosen[t][:, None], x, np.float32(0)) for t, x in rows.items()}


def first_younger(run: Run, ds: str) -> dict[str, int]:
    """By node type, the id from which on nodes were met first after a day: ids are given in the order of days."""
    found: dict[str, int] = {}
    root = run.warehouse / tables.IDS
    for segment in tables.subdirectories(root):
        table = tables.read_table(root / segment, [Node.TYPE, Node.INDEX, Node.FIRST_DS])
        old = table.filter(pc.less_equal(table[Node.FIRST_DS], ds))
        for row in old.group_by(Node.TYPE).aggregate([(Node.INDEX, "max")]).to_pylist():
            found[row[Node.TYPE]] = max(found.get(row[Node.TYPE], 0), row[f"{Node.INDEX}_max"] + 1)
    return found


def keep_maps(
    run: Run, ds: str, day: DayGraph, vectors: Mapping[str, Floats], before: Release | None, *, same: bool
) -> dict[str, dict[str, Any]]:
    """Write the day's maps to spaces that ended: those of the release before, and one to its own space if that ends.

    Args:
        vectors: (n, d) by type, zeros where a node has none of its own.
        before: the release before.
        same: whether its space goes on.

    Returns:
        space_id → ``until`` (its last day), and ``anchors`` and ``held_out_residual`` of the fit; of two that were
        joined the lesser number of anchors, and the sum of the residuals, which is about the most that theirs can be.
    """
    told: dict[str, dict[str, Any]] = {}
    matrices: dict[str, Floats] = {}
    step = None if before is None or same else _step_back(day, vectors, before)
    if before and (same or step):
        for space_id, about in before.manifest.get(Manifest.MAPS, {}).items():
            if about["until"] >= ds:
                known = releases.open_array(run.warehouse, before.release_id, map_name(space_id)).view(np.float32)
                matrices[space_id] = np.array(known) if step is None else step.matrix @ known
                told[space_id] = about if step is None else _joined(step, about)
    if before and step and run.config.publish.dual_days:
        matrices[before.space_id] = step.matrix
        told[before.space_id] = {
            "until": add_days(ds, run.config.publish.dual_days - 1),
            "anchors": step.anchors,
            "held_out_residual": step.held_out_residual,
        }
    if is_first():
        tables.write_arrays(tables.partition(run.warehouse, tables.MAPS, ds), dict(matrices))
    return told


def _joined(step: MapBack, about: Mapping[str, Any]) -> dict[str, Any]:
    anchors, residual = min(step.anchors, about["anchors"]), step.held_out_residual + about["held_out_residual"]
    return {**about, "anchors": anchors, "held_out_residual": residual}


def _step_back(day: DayGraph, vectors: Mapping[str, Floats], before: Release) -> MapBack | None:
    from graphrep.embed.align import map_back

    return map_back(vectors, own_rows(day, before))


def day_maps(run: Run, ds: str, told: Mapping[str, Any]) -> dict[str, Floats]:
    """The maps that stage ``embed`` wrote, by the name of the file that they become in a release.

    Raises:
        StoreError: they are missing or damaged.
    """
    read = tables.read_arrays(tables.partition(run.warehouse, tables.MAPS, ds)) if told else {}
    return {map_name(space_id): read[space_id].view(np.float32) for space_id in told}


def is_written(run: Run, ds: str) -> bool:
    """Whether a day's maps are there, if only none."""
    return tables.partition(run.warehouse, tables.MAPS, ds).is_dir()
