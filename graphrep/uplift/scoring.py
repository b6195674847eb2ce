"""A fitted and judged model, ready to score new host-days: the same arrays on one machine and in a Spark worker."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphrep.errors import InputError
from graphrep.uplift import scores, stages, texts
from graphrep.uplift.frame import Frame
from graphrep.uplift.learner import UpliftLearner

Floats = NDArray[np.float64]

BINS = 10
LEVEL = 0.90


@dataclass(frozen=True)
class Segments:
    """Training rows behind an effect: ``edges`` (S − 1,) of effects, and effective ``rows`` (S,) between them.

    Effective rows of the arm and of the control are ``(Σw)²/Σw²`` with ``w = 1/e_A``; the smaller of the two counts.
    """

    edges: Floats
    rows: Floats

    def of(self, effect: Floats) -> Floats:
        """(n,) effective rows with an effect like each.

        >>> Segments(np.array([0.1]), np.array([50.0, 9.0])).of(np.array([0.0, 0.2]))
        array([50.,  9.])
        """
        return np.asarray(self.rows[np.searchsorted(self.edges, effect, side="right")])


@dataclass(frozen=True)
class Scored:
    """Scores of n rows and K arms.

    Attributes:
        effect, raw, error, lower, upper: (n, K); the interval is of ``LEVEL``.
        baseline: (n,) expected outcome without treatment.
        propensity: (n, K+1).
        overlap: (n,) whether every arm had a chance above its floor.
        segment: (n, K) effective training rows.
    """

    effect: Floats
    raw: Floats
    error: Floats
    lower: Floats
    upper: Floats
    baseline: Floats
    propensity: Floats
    overlap: NDArray[np.bool_]
    segment: Floats


@dataclass(frozen=True)
class Scorer:
    """What a day's hosts are scored with.

    Attributes:
        model: the fitted learner.
        names: (p,) columns, in the order of the fit.
        arms: (K+1,) names, the control first.
        shares: (K+1,) mean chances of the kept rows, which stand where all chances were logged.
        floors: (K+1,) chances under which a row has no overlap.
        segments: of each arm after the control.
        constant: arms whose gates leave nothing but the average effect, which everybody gets then.
    """

    model: UpliftLearner
    names: tuple[str, ...]
    arms: tuple[str, ...]
    shares: Floats
    floors: Floats
    segments: tuple[Segments, ...]
    constant: frozenset[str]

    @classmethod
    def of(cls, model: UpliftLearner, frame: Frame, constant: frozenset[str] = frozenset()) -> Scorer:
        """The scorer of a model that was fitted to a frame."""
        kept = model.trim_reason_ == scores.KEPT
        counts = np.bincount(frame.arm, minlength=frame.n_arms) / len(frame)
        floors = np.minimum(model.floor, counts / BINS)
        shares = model.propensity_[kept].mean(axis=0)
        effects = model.predict(frame.X[kept])
        segments = tuple(
            _segments(effects[:, place], frame.arm[kept], model.propensity_[kept], place + 1)
            for place in range(frame.n_arms - 1)
        )
        return cls(model, tuple(frame.names), tuple(frame.arms), shares, floors, segments, constant)

    def source(self, arm: str) -> str:
        """What an arm's effects are: "constant", "linear", "dr" or "ra" (both are trees), or the "mean" of several."""
        name = self.model.choices_[self.arms.index(arm) - 1].judged.name
        return stages.CONSTANT if arm in self.constant else name

    def slope(self, arm: str) -> float:
        """Share of the deviations from the average effect that is kept."""
        return 0.0 if arm in self.constant else self.model.choices_[self.arms.index(arm) - 1].judged.slope

    def score(self, X: Floats) -> Scored:
        """Score rows (n, p).

        Raises:
            InputError: other columns than in the fit, NaN or infinite ones.
        """
        model, average = self.model, self.model.average_effects_
        half = scores.quantile(LEVEL)
        ends = model.predict_interval(X, level=LEVEL)
        effect, error = ends.mean(axis=-1), (ends[..., 1] - ends[..., 0]) / (2 * half)
        raw = effect.copy()
        for place, arm in enumerate(self.arms[1:]):
            slope = model.choices_[place].judged.slope
            if slope > 0:
                raw[:, place] = average.value[place] + (effect[:, place] - average.value[place]) / slope
            if arm in self.constant:
                effect[:, place], error[:, place] = average.value[place], average.error[place]
        propensity = self.shares[None].repeat(len(effect), axis=0)
        if model.estimates_propensity:
            propensity = model.predict_propensity(X)
        segment = np.column_stack([own.of(effect[:, place]) for place, own in enumerate(self.segments)])
        return Scored(
            effect=effect,
            raw=raw,
            error=error,
            lower=effect - half * error,
            upper=effect + half * error,
            baseline=model.predict_outcome(X)[:, 0],
            propensity=propensity,
            overlap=np.asarray((propensity >= self.floors).all(axis=1)),
            segment=segment,
        )

    def to_text(self) -> str:
        """One JSON object; see ``graphrep.uplift.texts``."""
        content = {
            "model": texts.to_plain(self.model),
            "names": self.names,
            "arms": self.arms,
            "shares": self.shares.tolist(),
            "floors": self.floors.tolist(),
            "segments": [{"edges": own.edges.tolist(), "rows": own.rows.tolist()} for own in self.segments],
            "constant": sorted(self.constant),
        }
        return json.dumps(content, sort_keys=True, ensure_ascii=False)

    @classmethod
    def from_text(cls, text: str) -> Scorer:
        """The scorer that :meth:`to_text` wrote.

        Raises:
            InputError: another text.
        """
        try:
            own: Mapping[str, Any] = json.loads(text)
            segments = [Segments(np.asarray(one["edges"]), np.asarray(one["rows"])) for one in own["segments"]]
            shares, floors = np.asarray(own["shares"]), np.asarray(own["floors"])
            plain = dict(own["model"])
            names, arms, constant = tuple(own["names"]), tuple(own["arms"]), frozenset(own["constant"])
        except (ValueError, KeyError, TypeError):
            raise InputError("a scorer of the uplift", found=f"{len(text)} other characters") from None
        model = texts.from_plain(plain)
        return cls(model, names, arms, shares, floors, tuple(segments), constant)


def rank_share(effect: Floats) -> Floats:
    """(n,) share of the rows with a smaller effect; rows of the same effect share half of theirs.

    >>> rank_share(np.array([0.3, 0.1, 0.1, 0.9])).tolist()
    [0.625, 0.25, 0.25, 0.875]
    """
    ordered = np.sort(effect)
    below, up_to = np.searchsorted(ordered, effect), np.searchsorted(ordered, effect, side="right")
    return np.asarray((below + up_to) / (2.0 * max(len(effect), 1)))


def _segments(effect: Floats, arms: NDArray[np.int64], propensity: Floats, arm: int) -> Segments:
    edges = np.unique(np.quantile(effect, np.arange(1, BINS) / BINS)) if np.ptp(effect) > 0 else np.zeros(0)
    bins = np.searchsorted(edges, effect, side="right")
    weight = 1.0 / propensity[np.arange(len(arms)), arms]
    both = [_effective(bins[arms == own], weight[arms == own], len(edges) + 1) for own in (0, arm)]
    return Segments(edges, np.minimum(*both))


def _effective(bins: NDArray[np.int64], weight: Floats, count: int) -> Floats:
    total = np.bincount(bins, weight, minlength=count)
    squares = np.bincount(bins, weight**2, minlength=count)
    return np.asarray(np.divide(total**2, squares, out=np.zeros(count), where=squares > 0))
