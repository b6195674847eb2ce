"""The uplift inside a release: its scores as a table, and as arrays that a reader with numpy alone maps."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from graphrep.config import Config
from graphrep.contracts import Event, check_table
from graphrep.contracts.uplift_scores import SCORES, Score
from graphrep.lookup import keys as key_codec
from graphrep.lookup.uplift import EFFECTS, NAME, OK
from graphrep.store import tables

COLUMN = (Score.FAMILY, Score.TREATMENT, Score.HORIZON, Score.OUTCOME)
"""What tells the columns of the reader's arrays apart; each has a row for every host at most."""
ALIKE = (Score.VALID_UNTIL, Score.GATE_STATUS, Score.EFFECT_SOURCE)
"""What is the same in all rows of a column."""
BOUNDS = (0.01, 0.99)
"""Quantiles of a day's usable effects to which those that a ranker reads are bounded."""

FILES = (f"{NAME}.parquet", *(f"{NAME}.{array}.npy" for array in (*key_codec.KEY_ARRAYS, EFFECTS, OK)))


def host_types(config: Config) -> list[str]:
    """The node types whose keys are hosts: erasing one of them erases its scores."""
    return sorted(name for name, node in config.nodes.items() if node.column == Event.HOST_ID)


def told(config: Config, scores: pa.Table, record: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest's key: what was scored, what became of each arm, and of what it was made.

    Args:
        record: of stage ``uplift``.
    """
    return {
        "decision_ds": record["decision_ds"],
        "hosts": record["hosts"],
        "node_types": host_types(config),
        "columns": columns_of(scores),
        "fits": record["fits"],
        "inputs": {**record["inputs"], **record["files"]},
    }


def columns_of(scores: pa.Table) -> list[dict[str, Any]]:
    """The columns of the reader's arrays, in their order: what they are of, until when they hold, and their rows."""
    found = scores.group_by([*COLUMN, *ALIKE]).aggregate([([], "count_all"), (Score.OVERLAP_OK, "sum")])
    rows = sorted(found.to_pylist(), key=lambda row: tuple(row[name] for name in COLUMN))
    return [
        {
            **{name: row[name] for name in (*COLUMN, Score.VALID_UNTIL, Score.EFFECT_SOURCE)},
            "status": row[Score.GATE_STATUS],
            "rows": row["count_all"],
            "usable": row[f"{Score.OVERLAP_OK}_sum"],
        }
        for row in rows
    ]


def arrays_of(scores: pa.Table) -> dict[str, npt.NDArray[Any]]:
    """``lookup.uplift.UpliftTable`` of a table of scores, as named arrays.

    Effects are bounded to ``BOUNDS`` of the usable rows of their column, intervals moved along.
    """
    hosts = sorted(set(scores[Score.HOST].to_pylist()))
    order, arrays = key_codec.arrange(hosts)
    row_of = {hosts[place]: row for row, place in enumerate(order.tolist())}
    columns = columns_of(scores)
    effects = np.zeros((len(columns), len(hosts), 3), np.float32)
    ok = np.zeros((len(columns), len(hosts)), np.bool_)
    for place, column in enumerate(columns):
        own = scores.filter(pc.and_kleene(*_two(scores, column)))
        rows = np.fromiter((row_of[key] for key in own[Score.HOST].to_pylist()), np.int64, count=own.num_rows)
        names = (Score.UPLIFT, Score.UPLIFT_LO, Score.UPLIFT_HI)
        values = np.column_stack([own[name].to_numpy() for name in names])
        usable = own[Score.OVERLAP_OK].to_numpy() == 1
        effects[place, rows], ok[place, rows] = _bounded(values, usable), usable
    return {**arrays, EFFECTS: effects, OK: ok}


def _two(scores: pa.Table, column: dict[str, Any]) -> tuple[Any, Any]:
    tests = [pc.equal(scores[name], column[name]) for name in COLUMN]
    return pc.and_kleene(tests[0], tests[1]), pc.and_kleene(tests[2], tests[3])


def _bounded(values: npt.NDArray[np.float64], usable: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Effects, lower and upper ends (n, 3) moved so that each effect lies within the bounds of the usable ones."""
    if not usable.any():
        return values
    low, high = np.quantile(values[usable, 0], BOUNDS)
    return values + (np.clip(values[:, 0], low, high) - values[:, 0])[:, None]


def write_uplift(path: Path, scores: pa.Table) -> None:
    """Fill a directory that is being staged with the files of the uplift.

    Raises:
        InputError: the table breaks ``golive_uplift_v1``.
    """
    check_table(scores, SCORES)
    tables.save_parquet(path / f"{NAME}.parquet", scores)
    tables.save_arrays(path, {f"{NAME}.{name}": array for name, array in arrays_of(scores).items()})


def without_hosts(scores: pa.Table, gone: Collection[str]) -> pa.Table:
    """The scores of all other hosts."""
    return scores.filter(pc.invert(pc.is_in(scores[Score.HOST], pa.array(sorted(gone), pa.string()))))
