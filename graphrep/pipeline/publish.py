"""Stage ``publish``: a day's vectors and verdict → a release, and the pointer moved to it last."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from graphrep import __version__, vocab
from graphrep.contracts import EMBEDDING, Embedding, Manifest, check_table
from graphrep.errors import GateRefusedError, InputError
from graphrep.lookup import keys as key_codec
from graphrep.lookup import reader
from graphrep.pipeline.cold_start import day_published
from graphrep.pipeline.context import Run
from graphrep.pipeline.embed import day_vectors, graph_record
from graphrep.pipeline.load import Nodes, load_graph
from graphrep.store import releases, runlog, tables

if TYPE_CHECKING:
    from graphrep.embed.cold_start import Published

RESULT_SECTIONS = (
    "seed",
    "holdout_days",
    "logs",
    "surfaces",
    "nodes",
    "relations",
    "sessions",
    "intensity",
    "transitions",
    "item_vectors",
    "similarities",
    "embed",
    "cold_start",
    "evaluate",
    "gates",
)
"""Settings that shape what is published; where it lies and how Spark is run do not."""


def run_publish(run: Run, ds: str, *, at: dt.datetime) -> dict[str, Any]:
    """Write the day's release and make it current.

    A day older than the current release, and a release that a rollback withdrew, do not become current: an operator
    who wants them there names them to ``rollback``.

    Args:
        at: when the command was given, UTC, for the log of switches.

    Returns:
        ``release_id``, ``new`` (false: a release with this content was there already), ``current``.

    Raises:
        GateRefusedError: the day did not pass its gate; nothing is written.
        PointerMovedError: somebody else published meanwhile.
    """
    run.check_ds(ds)
    judged = runlog.read_stage(run.warehouse, ds, vocab.EVALUATE)
    if not judged:
        raise InputError(f"the verdict of {ds}", found="none", fix=f"run graphrep evaluate --ds {ds} first")
    if not judged["gate"]["passed"]:
        raise GateRefusedError(
            "a day that passes its gate",
            found="; ".join(judged["gate"]["reasons"]),
            where=ds,
            fix="see runs/<ds>/manifest.json; the release before stays served",
        )
    pointer = releases.read_pointer(run.warehouse)
    with run.progress.stage(f"publish {ds}", 2) as step:
        content, arrays = _release_content(run, ds, judged)
        release_id, new = releases.stage_release(run.warehouse, content, lambda path: _write(path, ds, arrays))
        step("staged")
        newest = pointer is None or pointer.release_id[:10] <= ds
        if newest and release_id not in releases.withdrawn(run.warehouse):
            releases.switch(run.warehouse, release_id, expected=pointer, action=releases.PUBLISH, at=at)
        step("switched")
    now = releases.read_pointer(run.warehouse)
    record = {"release_id": release_id, "new": new, "current": bool(now and now.release_id == release_id)}
    runlog.record_stage(run.warehouse, ds, vocab.PUBLISH, record)
    return record


Arrays = dict[str, npt.NDArray[np.generic]]
Floats = npt.NDArray[np.float32]


def _release_content(run: Run, ds: str, judged: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Arrays]]:
    built = graph_record(run, ds)
    embedded = runlog.read_stage(run.warehouse, ds, vocab.EMBED) or {}
    day = load_graph(run, ds)
    vectors, published = day_vectors(run, ds), day_published(run, ds)
    arrays = {t: _type_arrays(ds, t, nodes, vectors[t], published) for t, nodes in day.nodes.items() if nodes.keys}
    content = {
        Manifest.DS: ds,
        Manifest.SPACE_ID: embedded["space_id"],
        Manifest.PARENT: embedded["parent"],
        Manifest.WINDOW: built["window"],
        Manifest.SEED: run.config.seed,
        Manifest.CONFIG_HASH: run.config.fingerprint(*RESULT_SECTIONS),
        Manifest.CODE_VERSION: __version__,
        Manifest.INPUTS: built["inputs"],
        Manifest.NODE_TYPES: {t: {"count": len(a["keys"]), "dim": vectors[t].shape[1]} for t, a in arrays.items()},
        Manifest.METRICS: judged["quality"],
        Manifest.GATE: judged["gate"],
        Manifest.ALIGNMENT: embedded["alignment"],
        Manifest.MODEL: embedded["model"],
    }
    return content, arrays


def _type_arrays(ds: str, node_type: str, nodes: Nodes, own: Floats, published: Published) -> Arrays:
    """One type's release arrays, rows in the order of the key hashes."""
    order = key_codec.row_order(nodes.keys)
    today = np.datetime64(ds).astype("datetime64[D]").astype(np.int64)
    return {
        "keys": np.asarray(nodes.keys, dtype=object)[order],
        reader.VECTORS: np.ascontiguousarray(published.vectors[node_type][order]),
        reader.PRIOR: np.array(published.priors[node_type]),
        reader.FALLBACK: np.logical_not(own.any(axis=1))[order],
        reader.SOURCE: published.sources[node_type][order],
        reader.DEGREE: nodes.degree[order],
        reader.AGE_DAYS: (today - nodes.last_ts[order] // vocab.DAY_MS).astype(np.int32),
    }


def _write(path: Path, ds: str, arrays: dict[str, Arrays]) -> None:
    for node_type, own in arrays.items():
        keys = own["keys"].tolist()
        plain = {name: array for name, array in own.items() if name != "keys"}
        tables.save_arrays(path, {f"{node_type}.{n}": a for n, a in {**plain, **key_codec.encode_keys(keys)}.items()})
        table = _embedding_table(ds, node_type, keys, own)
        check_table(table, EMBEDDING)
        tables.save_parquet(path / f"{node_type}.parquet", table)


def _embedding_table(ds: str, node_type: str, keys: list[str], own: Arrays) -> pa.Table:
    vectors = own[reader.VECTORS]
    n, dim = vectors.shape
    offsets = pa.array(np.arange(0, n * dim + 1, dim, dtype=np.int32))
    last = np.datetime64(ds) - own[reader.AGE_DAYS].astype("timedelta64[D]")
    columns = {
        Embedding.DS: pa.array([ds] * n, pa.string()),
        Embedding.TYPE: pa.array([node_type] * n, pa.string()),
        Embedding.KEY: pa.array(keys, pa.string()),
        Embedding.VECTOR: pa.ListArray.from_arrays(offsets, pa.array(vectors.reshape(-1))),
        Embedding.DEGREE: pa.array(own[reader.DEGREE], pa.int64()),
        Embedding.LAST_DS: pa.array(np.datetime_as_string(last, unit="D").tolist(), pa.string()),
    }
    return pa.table(columns, schema=EMBEDDING.schema)
