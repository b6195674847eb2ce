"""From nuisances to published effects: candidates are judged on held-out hosts, what is chosen is fitted to all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from graphrep.uplift import scores, stages
from graphrep.uplift.choice import Choice, Chosen, Judged, Published, choose
from graphrep.uplift.nuisance import Nuisance, Rows

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# Halves of the training hosts of a fold that a candidate is judged by.
JUDGED_HALVES = 4
# Halves that a candidate is fitted to whose distance from the constant effect alone is read.
RIVAL_HALVES = 8


@dataclass(frozen=True)
class Targets:
    """Rows that effects are learnt from: their places, and scores and regression-adjusted effects (n, K) each."""

    places: Ints
    scores: Floats
    adjusted: Floats

    @classmethod
    def of(cls, rows: Rows, places: Ints, expected: Floats, propensity: Floats) -> Targets:
        """Targets of the rows at ``places`` (n,), from expected outcomes and propensities (n, K+1)."""
        y, arms = rows.outcome[places], rows.arms[places]
        gamma = scores.potential_outcomes(y, arms, expected, propensity)
        every = range(1, rows.n_arms)
        adjusted = np.column_stack([stages.regression_adjusted(y, arms, expected, arm) for arm in every])
        return cls(places, gamma[:, 1:] - gamma[:, :1], adjusted)


@dataclass(frozen=True)
class Problem:
    """Rows, codes of their groups (n,), logged propensities (n, K+1) with NaN where unknown, nuisances, settings."""

    rows: Rows
    codes: Ints
    logged: Floats
    response: Nuisance
    assignment: Nuisance | None
    floor: float
    candidates: Sequence[str]

    def of_fold(self, fold: int) -> Targets:
        """Targets of the training rows of a fold by the models of that fold, which never saw its test rows."""
        places = self.rows.folds[fold][0]
        X, propensity = self.rows.X[places], self.logged[places]
        if self.assignment is not None:
            propensity = np.where(np.isnan(propensity), self.assignment.models[fold](X), propensity)
        kept = scores.trimmed(propensity, self.rows.arms[places], self.floor) == scores.KEPT
        expected = self.response.models[fold](X[kept])
        return Targets.of(self.rows, places[kept], expected, propensity[kept])

    def fit(
        self, name: str, arm: int, targets: Targets, halves: Sequence[Ints], level: int = len(stages.TREES) - 1
    ) -> stages.Fits:
        """A candidate of an arm (0 is the first after the control) on the targets, to be read up to ``level``."""
        label = (targets.adjusted if name == stages.RA else targets.scores)[:, arm]
        weight = self.rows.weight[targets.places]
        if name == stages.LINEAR:
            return stages.Lines.fit(self.rows.X[targets.places], label, weight, halves)
        source = stages.Source(self.rows.bins, self.rows.threads)
        return stages.Trees.fit(source, targets.places, label, weight, halves, self.rows.seed, level)


def choose_stages(problem: Problem, targets: Targets, halves: int) -> tuple[list[Chosen], Floats]:
    """The published final stage of every arm, and (m, K) deviations from the average effect on held-out hosts.

    A candidate is judged on the test rows of each fold, fitted to the training rows with that fold's nuisances: were
    the nuisances of other folds used, noise of the test rows would reach the regression-adjusted effects and be
    taken for heterogeneity. The held-out deviations have the published slope: slopes of the other folds would be
    smallest where a fold holds the most signal, and make a true gain look like a loss.
    """
    rows, codes = problem.rows, problem.codes
    names = [name for name in stages.CANDIDATES if name in problem.candidates and name != stages.CONSTANT]
    held = _held(problem, names, targets.places) if names else {}
    weight, groups = rows.weight[targets.places], codes[targets.places]
    inside = stages.halves_of(groups, halves, rows.seed)

    def published(judged: Judged, choice: Choice, shares: Mapping[str, float], arm: int, count: int) -> Published:
        levels = {one.name: one.level for one in choice.every}
        parts = []
        for name, share in shares.items():
            fits = problem.fit(name, arm, targets, inside[:count], levels[name])
            whole = stages.Part(name, 1.0, levels[name], 0.0, fits)
            mean = stages.read_parts([whole], rows.X[targets.places])[0]
            parts.append(stages.Part(name, share, levels[name], float(weight @ mean / weight.sum()), fits))
        return Published(judged, parts)

    found, apart = [], np.zeros(targets.scores.shape)
    for arm in range(rows.n_arms - 1):
        choice = choose({name: held[name, arm] for name in names}, targets.scores[:, arm], weight, groups)
        best, own, rival = choice.every[0], None, None
        if choice.shares:
            own = published(choice.judged, choice, choice.shares, arm, len(inside))
        elif best.name != stages.CONSTANT:
            rival = published(best, choice, {best.name: 1.0}, arm, RIVAL_HALVES)
        found.append(Chosen(choice.judged, choice.every, own, rival))
        apart[:, arm] = choice.apart
    return found, apart


def _held(problem: Problem, names: Sequence[str], places: Ints) -> dict[tuple[str, int], Floats]:
    """(candidate, arm) → (L, n) predictions of the rows at ``places`` by fits to other hosts."""
    rows = problem.rows
    found: dict[tuple[str, int], Floats] = {}
    for fold, (_, test) in enumerate(rows.folds):
        targets = problem.of_fold(fold)
        halves = stages.halves_of(problem.codes[targets.places], JUDGED_HALVES, rows.seed + 1 + fold)
        inside = np.isin(places, test)
        for name in names:
            for arm in range(rows.n_arms - 1):
                values = problem.fit(name, arm, targets, halves).levels(rows.X[places[inside]])
                found.setdefault((name, arm), np.zeros((len(values), len(places))))[:, inside] = values
    return found
