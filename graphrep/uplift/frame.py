"""Host-days of one treatment and one outcome as arrays: what every room of the judging side is handed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from graphrep.errors import InputError
from graphrep.uplift import checks

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Days = NDArray[np.datetime64]

# A column's family is what stands before its first dot.
HISTORY, PROFILE, EMBEDDING, CALENDAR = "history", "profile", "embedding", "calendar"
FAMILIES: Final = (HISTORY, PROFILE, EMBEDDING, CALENDAR)


@dataclass(frozen=True)
class Frame:
    """n host-days, checked when made; arrays are not to be written to.

    Attributes:
        X: (n, p) float64 covariates, finite, known before the decision.
        names: (p,) of the columns: ``family.name`` with a family of ``FAMILIES``.
        host: (n,) str keys; errors, folds and halves keep a host together.
        day: (n,) datetime64[D] of the decisions; each host-day once.
        arm: (n,) int64, 0..K.
        arms: (K+1,) names; the first is the control.
        outcome: (n,) mature outcomes; 0 and 1, or minutes.
        propensity: (n, K+1) logged chances of the arms, rows of NaN where none was logged.
        randomised: (n,) whether the arm was drawn by lot; its chances must have been logged.
        negative_control: (n,) an outcome that the arm cannot have changed: went live on the day before.
        as_of: (n,) datetime64[D], the day of the newest thing that any covariate knows.
        in_graph: (n,) whether the host was in the graph; where not, ``embedding.*`` is 0; for the others
            ``embedding.known`` is 1.
        inputs: name of an input → (n,) datetime64[D], the newest day that it knows; for the refusal of a slip.

    Raises:
        InputError: by name: shapes, families, NaN and infinite covariates, labels and propensities (see
            ``graphrep.uplift.checks``), host-days that come twice, an input that knows the decision's day or later, a
            lot without logged chances, embeddings of hosts that the graph does not hold.

    >>> one = Frame(X=[[0.0], [1.0]], names=["profile.age"], host=["a", "b"], day=["2026-01-02"] * 2, arm=[0, 1],
    ...     arms=["none", "push"], outcome=[0, 1], propensity=[[0.5, 0.5]] * 2, randomised=[True, True],
    ...     negative_control=[0, 0], as_of=["2026-01-01"] * 2, in_graph=[True, True])
    >>> one.families, one.codes
    ({'profile': array([0])}, array([0, 1]))
    """

    X: Floats
    names: Sequence[str]
    host: NDArray[np.str_]
    day: Days
    arm: Ints
    arms: Sequence[str]
    outcome: Floats
    propensity: Floats
    randomised: Bools
    negative_control: Floats
    as_of: Days
    in_graph: Bools
    inputs: Mapping[str, Days] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        X = checks.covariates(self.X)
        n = len(X)
        names, arms = tuple(map(str, self.names)), tuple(map(str, self.arms))
        _check_names(names, X.shape[1], arms)
        made: dict[str, Any] = {"X": X, "names": names, "arms": arms}
        made["host"] = np.asarray(_column(self.host, n, "host"), dtype=np.str_)
        made["day"] = _days(self.day, n, "day")
        made["as_of"] = _days(self.as_of, n, "as_of")
        made["inputs"] = MappingProxyType({name: _days(known, n, name) for name, known in self.inputs.items()})
        made["arm"] = _labels(self.arm, n, arms)
        made["outcome"] = checks.outcomes(self.outcome, n, vary=False)
        made["negative_control"] = checks.outcomes(self.negative_control, n, vary=False)
        made["propensity"] = checks.propensities(self.propensity, n, len(arms))
        for name in ("randomised", "in_graph"):
            made[name] = _flags(getattr(self, name), n, name)
        for name, value in made.items():
            object.__setattr__(self, name, value)
        self._check_together()

    def __len__(self) -> int:
        return len(self.X)

    @property
    def n_arms(self) -> int:
        """K + 1."""
        return len(self.arms)

    @property
    def codes(self) -> Ints:
        """(n,) hosts as int64 from 0."""
        return np.unique(self.host, return_inverse=True)[1].astype(np.int64)

    @property
    def families(self) -> dict[str, Ints]:
        """Family → places of its columns."""
        prefixes = np.array([name.split(".")[0] for name in self.names])
        return {family: np.flatnonzero(prefixes == family) for family in FAMILIES if (prefixes == family).any()}

    def take(self, rows: NDArray[Any]) -> Frame:
        """The rows at places or under a mask ``rows``, in that order."""
        columns = ("X", "host", "day", "arm", "outcome", "propensity", "randomised", "negative_control", "as_of")
        chosen = {name: getattr(self, name)[rows] for name in (*columns, "in_graph")}
        return replace(self, **chosen, inputs={name: known[rows] for name, known in self.inputs.items()})

    def without_family(self, family: str) -> Frame:
        """The frame without the columns of a family.

        Raises:
            InputError: a family that it lacks, or its only one.
        """
        if family not in self.families or len(self.families) == 1:
            raise InputError("a family among others", found=repr(family), where=f"families {', '.join(self.families)}")
        left = np.setdiff1d(np.arange(len(self.names)), self.families[family])
        return replace(self, X=self.X[:, left], names=[self.names[place] for place in left])

    def without_arms(self, dropped: Collection[str]) -> Frame:
        """The frame without the rows of some arms; the others' logged chances are those given that none of them came.

        Raises:
            InputError: an arm that is not there, or the control.
        """
        unknown = sorted(set(dropped) - set(self.arms[1:]))
        if unknown:
            raise InputError(f"arms among {', '.join(self.arms[1:])}", found=unknown[0], where="without_arms")
        left = np.array([place for place, name in enumerate(self.arms) if name not in dropped])
        rows = np.flatnonzero(np.isin(self.arm, left))
        chosen = self.propensity[np.ix_(rows, left)]
        number = np.searchsorted(left, self.arm[rows])
        shares = chosen / chosen.sum(axis=1, keepdims=True)
        arms = [self.arms[place] for place in left]
        return replace(self.take(rows), arm=number, arms=arms, propensity=shares)

    def _check_together(self) -> None:
        for name, known in {**self.inputs, "as_of": self.as_of}.items():
            late = int((known >= self.day).sum())
            if late:
                fix = "join it as of the day before the decision or earlier"
                found = f"{late} rows that know their own day or later"
                raise InputError("inputs as of a day before the decision", found=found, where=name, fix=fix)
        pairs = np.column_stack([self.codes, self.day.astype(np.int64)])
        repeated = len(pairs) - len(np.unique(pairs, axis=0))
        if repeated:
            raise InputError("each host-day once", found=f"{repeated} repeated", where="host, day", fix="merge them")
        unlogged = int(np.isnan(self.propensity[self.randomised]).any(axis=1).sum())
        if unlogged:
            raise InputError("logged chances of rows drawn by lot", found=f"{unlogged} without", where="propensity")
        columns = self.families.get(EMBEDDING, np.zeros(0, np.int64))
        filled = int((self.X[~self.in_graph][:, columns] != 0).any(axis=1).sum())
        if filled:
            where = "X, embedding columns of hosts outside the graph"
            raise InputError("zeros", found=f"{filled} rows with other values", where=where)


def small_arms(frame: Frame, rows: int = 2000, positive: int = 200) -> dict[str, str]:
    """Arms (and the control) that are too small to be judged, each with a reason; drop them by ``without_arms``.

    >>> small_arms(Frame(X=[[0.0], [1.0]], names=["profile.age"], host=["a", "b"], day=["2026-01-02"] * 2, arm=[0, 1],
    ...     arms=["none", "push"], outcome=[0, 1], propensity=[[0.5, 0.5]] * 2, randomised=[True, True],
    ...     negative_control=[0, 0], as_of=["2026-01-01"] * 2, in_graph=[True, True]), rows=1, positive=1)
    {'none': '0 rows with an outcome above 0, 1 needed'}
    """
    found = {}
    for number, name in enumerate(frame.arms):
        own = frame.arm == number
        above = int((frame.outcome[own] > 0).sum())
        if own.sum() < rows:
            found[name] = f"{int(own.sum())} rows, {rows} needed"
        elif above < positive:
            found[name] = f"{above} rows with an outcome above 0, {positive} needed"
    return found


def _check_names(names: tuple[str, ...], columns: int, arms: tuple[str, ...]) -> None:
    if len(names) != columns or len(set(names)) != columns:
        raise InputError(f"{columns} names, each once", found=f"{len(names)} names", where="names")
    for name in names:
        family, dot, rest = name.partition(".")
        if family not in FAMILIES or not dot or not rest:
            raise InputError(f"names with a family among {', '.join(FAMILIES)}", found=repr(name), where="names")
    if len(arms) < 2 or len(set(arms)) != len(arms):
        raise InputError("names of the control and of at least one arm, each once", found=str(list(arms)), where="arms")


def _labels(arm: Any, rows: int, arms: tuple[str, ...]) -> Ints:
    given = _column(arm, rows, "arm")
    if given.dtype.kind not in "biuf" or not np.array_equal(given, np.floor(given)):
        raise InputError("arms as whole numbers", found=f"{given.dtype} labels", where="arm")
    if given.min() < 0 or given.max() >= len(arms):
        found = f"labels {given.min():g} to {given.max():g}"
        raise InputError(f"arms 0 to {len(arms) - 1}, one for each name", found=found, where="arm")
    return np.asarray(given, dtype=np.int64)


def _days(values: Any, rows: int, name: str) -> Days:
    try:
        found = np.asarray(values).astype("datetime64[D]")
    except (TypeError, ValueError) as error:
        raise InputError("days", found=str(error), where=name) from error
    if np.isnat(_column(found, rows, name)).any():
        raise InputError("a day in every row", found=f"{int(np.isnat(found).sum())} without", where=name)
    return found


def _flags(values: Any, rows: int, name: str) -> Bools:
    given = _column(values, rows, name)
    if given.dtype.kind != "b":
        raise InputError("true or false in every row", found=str(given.dtype), where=name)
    return given


def _column(values: Any, rows: int, name: str) -> NDArray[Any]:
    given = np.asarray(values)
    if given.shape != (rows,):
        raise InputError(f"{rows} values, one for each row", found=f"shape {given.shape}", where=name)
    return given
