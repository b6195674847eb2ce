"""Vectors beside training rows, as they could be known then: ``graphrep.lookup.asof`` for pandas and Spark frames."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from graphrep.errors import InputError
from graphrep.lookup import asof

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

COLUMNS = ("", "_found", "_fallback", "_expired", "_source", "_age_days", "_release_id")
"""What a join adds, each behind the name that is given to it."""

_MICROS = "as_of_us"


def join_pandas(
    frame: Any,
    warehouse: str | Path,
    *,
    node_type: str,
    key: str,
    time: str | None = None,
    release_id: str | None = None,
    into: str = "vector",
) -> Any:
    """A pandas frame with the vectors that were current at each row's time, or those of the release that it logged.

    Args:
        frame: its index and columns stay.
        key: column of keys as strings; a row without one has no vector.
        time: column of instants: with a time zone, or in UTC without one, or microseconds since 1970.
        release_id: column of logged ids, in place of ``time``.
        into: name of the column of vectors, each (d,) float32 or None; ``COLUMNS`` tells the others.

    Raises:
        InputError: neither or both of ``time`` and ``release_id``, or what :func:`graphrep.lookup.asof.vectors_as_of`
            refuses.
    """
    _check(time, release_id)
    known = frame[key].notna().to_numpy()
    keys = frame[key].where(known, "").tolist()
    if time is not None:
        at = asof.to_times(_utc(frame[time])).copy()
        at[~known] = np.datetime64("NaT")
        found = asof.vectors_as_of(warehouse, node_type, keys, at)
    else:
        ids = frame[release_id].where(known, asof.NOTHING).fillna(asof.NOTHING).tolist()
        found = asof.vectors_of(warehouse, node_type, keys, ids)
    gone = np.asarray(np.isnan(found.vectors).any(axis=1))
    told = {
        "": [None if gone[i] else row for i, row in enumerate(found.vectors)],
        "_found": found.found,
        "_fallback": found.fallback,
        "_expired": found.expired,
        "_source": found.source.astype(object),
        "_age_days": found.age_days,
        "_release_id": found.release_id.astype(object),
    }
    return frame.assign(**{f"{into}{name}": told[name] for name in COLUMNS})


def join_spark(
    frame: DataFrame,
    warehouse: str | Path,
    *,
    node_type: str,
    key: str,
    time: str | None = None,
    release_id: str | None = None,
    into: str = "vector",
) -> DataFrame:
    """:func:`join_pandas` of a Spark frame, batch by batch; every executor reads the warehouse under the same path."""
    from pyspark.sql import functions as F
    from pyspark.sql import types as T

    _check(time, release_id)
    flag, word = T.BooleanType(), T.StringType()
    kinds = (T.ArrayType(T.FloatType()), flag, flag, flag, word, T.IntegerType(), word)
    added = [T.StructField(f"{into}{name}", kind) for name, kind in zip(COLUMNS, kinds, strict=True)]
    given = frame
    if time is not None:  # as a number: Spark would hand times over in the zone of its session
        micros = F.unix_micros(F.col(time).cast("timestamp"))
        given = frame.withColumn(_MICROS, F.coalesce(micros, F.lit(np.iinfo(np.int64).min)))
    own, place = given.columns, str(warehouse)

    def join(batches: Iterator[Any]) -> Iterator[Any]:
        at = _MICROS if time is not None else None
        for batch in batches:
            yield join_pandas(
                batch[own], place, node_type=node_type, key=key, time=at, release_id=release_id, into=into
            )

    joined = given.mapInPandas(join, T.StructType([*given.schema.fields, *added]))
    return joined.drop(_MICROS)


def _check(time: str | None, release_id: str | None) -> None:
    if (time is None) == (release_id is None):
        raise InputError("either a column of times or one of releases", found=f"time={time}, release_id={release_id}")


def _utc(column: Any) -> Any:
    """Instants as numpy has them."""
    zone = getattr(column.dtype, "tz", None)
    return (column.dt.tz_convert("UTC").dt.tz_localize(None) if zone is not None else column).to_numpy()
