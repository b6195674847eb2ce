"""The panel as arrays: the mature host-days that effects are learnt from, and the day's hosts that are scored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from graphrep.config import Config
from graphrep.contracts.uplift import CONTROL, COVARIATES, EXPOSURE, LOT, NUDGE, Panel
from graphrep.errors import InputError

if TYPE_CHECKING:
    from graphrep.uplift import Frame

Floats = npt.NDArray[np.float64]

LIVE, MINUTES = "live", "minutes"
"""Outcomes: whether a session began, and the minutes of hosting."""


@dataclass(frozen=True)
class Task:
    """One fit: a kind of treatment, an outcome and its horizon.

    Attributes:
        arms: (K+1,) names, the control first.
    """

    family: str
    outcome: str
    horizon_days: int
    arms: tuple[str, ...]

    @property
    def name(self) -> str:
        """As files and reports call it, such as ``nudge-live-1d``."""
        return f"{self.family}-{self.outcome}-{self.horizon_days}d"

    @property
    def column(self) -> str:
        """The panel's column of the outcome."""
        return {
            (LIVE, 1): Panel.LIVE_1D,
            (LIVE, 7): Panel.LIVE_7D,
            (MINUTES, 1): Panel.MINUTES_1D,
            (MINUTES, 7): Panel.MINUTES_7D,
        }[self.outcome, self.horizon_days]


def tasks_of(config: Config) -> Iterator[Task]:
    """Every fit that the settings ask for, nudges first."""
    uplift = config.uplift
    arms = {
        NUDGE: tuple(uplift.nudges.arms) if uplift.nudges else (),
        EXPOSURE: tuple(uplift.exposure.steps) if uplift.exposure else (),
    }
    for family, own in arms.items():
        for outcome in uplift.fit.outcomes if own else ():
            for horizon in uplift.horizons:
                yield Task(family, outcome, horizon, (CONTROL, *own))


def dimensions(panel: pa.Table, space: str | None) -> int:
    """Length of the embeddings of a space; 0 where none is there."""
    if space is None:
        return 0
    own = panel.filter(pc.equal(panel[Panel.EMBEDDING_SPACE], space))[Panel.EMBEDDING]
    lengths = pc.unique(pc.list_value_length(own.drop_null())).to_pylist()
    if len(lengths) > 1:
        raise InputError("embeddings of one length", found=f"{sorted(lengths)}", where=f"space {space}")
    return int(lengths[0]) if lengths else 0


def covariates(rows: pa.Table, space: str | None, dim: int) -> tuple[Floats, list[str]]:
    """Covariates (n, p) and their names; zeros and ``embedding.known`` 0 where a host has no vector of the space."""
    plain = [rows[name].to_numpy().astype(np.float64) for name in COVARIATES]
    names = [name.replace("__", ".", 1) for name in COVARIATES]
    if not dim:
        return np.column_stack(plain), names
    known = _known(rows, space)
    vectors = np.zeros((rows.num_rows, dim))
    if known.any():
        own = pc.list_flatten(rows[Panel.EMBEDDING].filter(pa.array(known))).to_numpy()
        if len(own) != known.sum() * dim:
            raise InputError(f"embeddings of {dim} numbers", found="others", where=f"space {space}")
        vectors[known] = own.reshape(-1, dim)
    embedding = [f"{Panel.EMBEDDING}.{place}" for place in range(dim)]
    return np.column_stack([*plain, vectors, known]), [*names, *embedding, f"{Panel.EMBEDDING}.known"]


def _known(rows: pa.Table, space: str | None) -> npt.NDArray[np.bool_]:
    if space is None:
        return np.zeros(rows.num_rows, dtype=np.bool_)
    there = pc.and_(
        pc.is_valid(rows[Panel.EMBEDDING]), pc.fill_null(pc.equal(rows[Panel.EMBEDDING_SPACE], space), False)
    )
    return np.asarray(there.to_numpy(), dtype=np.bool_)


@dataclass(frozen=True)
class Training:
    """The rows of a fit.

    Attributes:
        frame: mature host-days.
        left_out: reason → rows that are not in it.
        boost, boost_chance: (n,) whether exposure was boosted by a draw, and its chance; NaN where there was none.
    """

    frame: Frame
    left_out: dict[str, int]
    boost: Floats
    boost_chance: Floats


def training(panel: pa.Table, task: Task, space: str | None, dim: int) -> Training:
    """The mature host-days of a task.

    Rows of an arm that is not configured, and rows in which some arm had no chance at all or all of it, are left out
    and counted: they tell nothing of an effect.

    Raises:
        InputError: no mature row; or what ``graphrep.uplift.frame`` refuses.
    """
    from graphrep.uplift import Frame

    rows = panel.filter(pc.equal(panel[Panel.FAMILY], task.family))
    mature = pc.and_(pc.is_valid(rows[Panel.ARM]), pc.is_valid(rows[task.column]))
    left_out = {"immature": rows.num_rows - int(pc.sum(mature).as_py() or 0)}
    rows = rows.filter(mature)
    number = pc.index_in(rows[Panel.ARM], pa.array(task.arms, pa.string()))
    known = np.asarray(pc.is_valid(number).to_numpy(), dtype=np.bool_)
    chances = _chances(rows, len(task.arms))
    certain = known & ((chances <= 0) | (chances >= 1)).any(axis=1)
    left_out |= {"other_arm": int((~known).sum()), "certain": int(certain.sum())}
    chosen = known & ~certain
    rows, chances = rows.filter(pa.array(chosen)), chances[chosen]
    if not rows.num_rows:
        fix = f"wait until {task.horizon_days} days have passed since the first decision"
        raise InputError("mature host-days", found=f"none of {left_out}", where=task.name, fix=fix)
    X, names = covariates(rows, space, dim)
    lot = np.asarray(pc.fill_null(pc.equal(rows[Panel.ASSIGNED_BY], LOT), False).to_numpy(), dtype=np.bool_)
    in_graph = _known(rows, space)
    as_of = rows[Panel.AS_OF].to_numpy().astype("datetime64[D]")
    vector_of = np.where(in_graph, _text(rows, Panel.EMBEDDING_DS, ""), _text(rows, Panel.AS_OF, ""))
    frame = Frame(
        X=X,
        names=names,
        host=rows[Panel.HOST].to_numpy().astype(np.str_),
        day=rows[Panel.DS].to_numpy().astype("datetime64[D]"),
        arm=pc.index_in(rows[Panel.ARM], pa.array(task.arms, pa.string())).to_numpy().astype(np.int64),
        arms=task.arms,
        outcome=rows[task.column].to_numpy().astype(np.float64),
        propensity=chances,
        randomised=lot & ~np.isnan(chances).any(axis=1),
        negative_control=rows[Panel.LIVE_BEFORE].to_numpy().astype(np.float64),
        as_of=as_of,
        in_graph=in_graph,
        inputs={"embedding": vector_of.astype("datetime64[D]")},
    )
    boost, chance = (_numbers(rows, name) for name in (Panel.BOOST, Panel.BOOST_CHANCE))
    return Training(frame, left_out, boost, chance)


def _numbers(rows: pa.Table, name: str) -> Floats:
    """Numbers of a column, NaN for null."""
    return np.asarray(pc.fill_null(pc.cast(rows[name], pa.float64()), float("nan")).to_numpy(), dtype=np.float64)


def _text(rows: pa.Table, name: str, empty: str) -> npt.NDArray[np.str_]:
    return np.asarray(pc.fill_null(rows[name], empty).to_numpy(), dtype=np.str_)


def _chances(rows: pa.Table, arms: int) -> Floats:
    """Logged chances (n, K+1) that add up to 1 in float64 too, rows of NaN where none was logged."""
    found = np.full((rows.num_rows, arms), np.nan)
    there = np.asarray(pc.is_valid(rows[Panel.CHANCES]).to_numpy(), dtype=np.bool_)
    if there.any():
        flat = pc.list_flatten(rows[Panel.CHANCES].drop_null()).to_numpy().astype(np.float64)
        if len(flat) != there.sum() * arms:
            found_there = f"{len(flat)} in {int(there.sum())} rows"
            raise InputError(f"{arms} chances in each row", found=found_there, where=Panel.CHANCES)
        logged = flat.reshape(-1, arms)
        found[there] = logged / logged.sum(axis=1, keepdims=True)
    return found


def scored_rows(panel: pa.Table, task: Task, decision_ds: str) -> pa.Table:
    """The hosts of the day that is scored, in the order of their keys; none where the panel does not reach it."""
    day = pc.and_(pc.equal(panel[Panel.FAMILY], task.family), pc.equal(panel[Panel.DS], decision_ds))
    return panel.filter(day).sort_by(Panel.HOST)
