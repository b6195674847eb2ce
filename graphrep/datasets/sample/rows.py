"""From numpy columns to the arrow table of one surface and day: order, event ids, coded strings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from graphrep import vocab
from graphrep.contracts.events import Event
from graphrep.datasets.sample.shelf import Flags, Longs
from graphrep.datasets.sample.spec import SampleSpec
from graphrep.vocab import ECOMMERCE, LIVE, SEARCH, SHORT_VIDEO

# Columns of the two host tables, which are no event logs and so have no contract of their own.
START_TS: Final = "start_ts"
END_TS: Final = "end_ts"
ARM: Final = "arm"
ELIGIBLE: Final = "eligible"
RANDOMISED: Final = "randomised"
PROPENSITY: Final = "propensity"

_SURFACE: Final = {SHORT_VIDEO: 0, LIVE: 1, ECOMMERCE: 2, SEARCH: 3}
_RANK_BITS: Final = 32
_SURFACE_BITS: Final = 4


@dataclass(frozen=True, slots=True)
class Follow:
    """Rows that follow main rows: ``after``: the main rows, ``action``: a code, ``ts``: ms of the day."""

    after: Longs
    action: int
    ts: Longs


@dataclass(frozen=True, slots=True)
class Timeline:
    """Rows by time: ``source`` is the main row of each, ``main`` whether it is that row itself."""

    source: Longs
    action: NDArray[np.int8]
    ts: Longs
    main: Flags


def timeline(action: NDArray[np.int8], ts: Longs, follows: Iterable[Follow]) -> Timeline:
    """Merge main rows and what follows them, by time; what would fall past midnight is dropped.

    Rows of one millisecond keep their order, so a follower never comes before its main row.
    """
    follows = list(follows)
    n = len(ts)
    source = np.concatenate([np.arange(n), *(follow.after for follow in follows)])
    actions = np.concatenate([action, *(np.full(len(f.after), f.action, dtype=np.int8) for f in follows)])
    # Time and position in one integer: a plain sort of it is stable and several times faster than an argsort.
    key = np.sort((np.concatenate([ts, *(f.ts for f in follows)]) << _RANK_BITS) | np.arange(len(source)))
    key = key[: np.searchsorted(key, vocab.DAY_MS << _RANK_BITS)]
    order = key & ((1 << _RANK_BITS) - 1)
    return Timeline(source[order], actions[order], key >> _RANK_BITS, order < n)


def words(*values: str) -> pa.Array:
    """A dictionary for coded columns."""
    return pa.array(values, pa.string())


def coded(codes: NDArray[np.integer], dictionary: pa.Array, null: Flags | None = None) -> pa.Array:
    """Dictionary-encoded strings; codes must lie inside the dictionary where not null."""
    return pa.DictionaryArray.from_arrays(pa.array(codes, mask=null), dictionary, safe=False)


def event_table(spec: SampleSpec, surface: str, day: int, line: Timeline, columns: dict[str, pa.Array]) -> pa.Table:
    """The log of one surface on one day: event_id and ts (ms UTC) from the time line, then ``columns``."""
    block = ((day << _SURFACE_BITS) | _SURFACE[surface]) << _RANK_BITS
    return pa.table(
        {
            Event.EVENT_ID: pa.array(block + np.arange(len(line.ts), dtype=np.int64)),
            Event.TS: pa.array(spec.day_start(day) + line.ts),
            **columns,
        }
    )
