"""The files of a release: arrays that a reader maps, and a table for everybody else, one of each for a node type."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from graphrep import vocab
from graphrep.contracts import EMBEDDING, Embedding, check_table
from graphrep.lookup import keys as key_codec
from graphrep.lookup import reader
from graphrep.lookup.quantise import pack
from graphrep.pipeline.load import Nodes
from graphrep.store import tables

if TYPE_CHECKING:
    from graphrep.embed.cold_start import Published

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class TypeArrays:
    """One type of a release, in the order of its rows.

    Attributes:
        keys: (n,) its keys.
        vectors: (n, d) float32, as the Parquet table has them.
        mapped: name → array, as a reader maps them: ``graphrep.lookup.keys``, the vectors packed, and the prior.
    """

    keys: list[str]
    vectors: Floats
    mapped: key_codec.Arrays

    def summary(self) -> dict[str, Any]:
        """What the manifest tells of the type: ``online`` is how its vectors are kept, perhaps finer than asked."""
        count, dim = self.vectors.shape
        return {"count": count, "dim": dim, "online": str(self.mapped[reader.VECTORS].dtype)}


def type_arrays(ds: str, node_type: str, nodes: Nodes, own: Floats, published: Published, *, online: str) -> TypeArrays:
    """One type's arrays.

    Args:
        own: (n, d) vectors of the walk, zeros where a node has none.
        online: how a reader's vectors are kept: ``graphrep.lookup.quantise``.
    """
    order, mapped = key_codec.arrange(nodes.keys)
    today = np.datetime64(ds).astype("datetime64[D]").astype(np.int64)
    vectors = np.ascontiguousarray(published.vectors[node_type][order])
    packed, scales = pack(vectors, online)
    rows = mapped[key_codec.ROWS]
    rows["scale"] = scales
    rows["degree"] = nodes.degree[order]
    rows["age_days"] = today - nodes.last_ts[order] // vocab.DAY_MS
    rows["source"] = published.sources[node_type][order]
    rows["fallback"] = np.logical_not(own.any(axis=1))[order]
    mapped |= {reader.VECTORS: packed, reader.PRIOR: np.array(published.priors[node_type])}
    return TypeArrays([nodes.keys[i] for i in order], vectors, mapped)


def write_arrays(path: Path, ds: str, arrays: dict[str, TypeArrays]) -> None:
    """Fill a directory that is being staged with the files of every type."""
    for node_type, own in arrays.items():
        tables.save_arrays(path, {f"{node_type}.{name}": array for name, array in own.mapped.items()})
        table = _embedding_table(ds, node_type, own)
        check_table(table, EMBEDDING)
        tables.save_parquet(path / f"{node_type}.parquet", table)


def _embedding_table(ds: str, node_type: str, own: TypeArrays) -> pa.Table:
    n, dim = own.vectors.shape
    rows = own.mapped[key_codec.ROWS]
    offsets = pa.array(np.arange(0, n * dim + 1, dim, dtype=np.int32))
    last = np.datetime64(ds) - rows["age_days"].astype("timedelta64[D]")
    columns = {
        Embedding.DS: pa.array([ds] * n, pa.string()),
        Embedding.TYPE: pa.array([node_type] * n, pa.string()),
        Embedding.KEY: pa.array(own.keys, pa.string()),
        Embedding.VECTOR: pa.ListArray.from_arrays(offsets, pa.array(own.vectors.reshape(-1))),
        Embedding.DEGREE: pa.array(np.ascontiguousarray(rows["degree"]), pa.int64()),
        Embedding.LAST_DS: pa.array(np.datetime_as_string(last, unit="D").tolist(), pa.string()),
    }
    return pa.table(columns, schema=EMBEDDING.schema)
