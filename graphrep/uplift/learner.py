"""Effects of several arms against the control, for every row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from graphrep.errors import InputError
from graphrep.uplift import checks, scores, stages
from graphrep.uplift.boosting import Boosting
from graphrep.uplift.effects import Problem, Targets, choose_stages
from graphrep.uplift.nuisance import Nuisance, Rows, assignment, min_leaf
from graphrep.uplift.splits import given_folds, host_folds
from graphrep.uplift.two_part import expected

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class UpliftLearner(BaseEstimator):  # type: ignore[misc]  # scikit-learn is looked at without its types
    """Cross-fitted doubly robust effects on LightGBM, drawn to the average effect as far as the data ask for it.

    1. Propensities (where none were logged) and expected outcomes by arm, each row read from models of other hosts.
    2. Scores ``φ_a``, see ``graphrep.uplift.scores``; rows without overlap are left out, with a reason.
    3. For each arm the candidates: the constant effect, a ridge line on φ, small trees on φ ("dr"), small trees on
       regression-adjusted effects ("ra"; Curth, van der Schaar 2021); each the mean over halves of the hosts.
    4. The constant effect, unless a candidate has a clearly lower doubly robust loss on held-out hosts (Kennedy,
       Electronic Journal of Statistics 17, 2023, for the loss and the learner); else the mean of the candidates with
       the weights of the lowest loss.
    5. ``τ_a(x) = ATE_a + b (raw(x) − mean raw)``, b the calibration slope.

    Parameters:
        folds: number of host folds, or (training, test) row pairs, for example ``forward_folds``; rows that no pair
            tests are left out of the effects.
        floor: least propensity of any arm of a row that is kept (for arms with a share under 10 floor: a tenth of it).
        min_arm_rows: fewer rows in an arm are refused.
        candidates: which final stages compete with the constant effect.
        halves: halves of the hosts that each final stage is fitted to.
        seed: of folds, halves and trees. Equal inputs give equal bytes.
        threads: of LightGBM.

    Attributes (after ``fit``):
        average_effects_: ``AverageEffects`` of the kept rows, with errors by group.
        trim_reason_: (n,) str, "" for a kept row.
        scores_: (n, K) φ, NaN in rows that are left out.
        propensity_: (n, K+1) that the scores were made with, and ``expected_`` (n, K+1) outcomes under each arm: of
            models of other hosts, NaN in rows that no fold tests.
        held_: (n, K) effects of each row by fits to other hosts, NaN in rows that are left out: what gates judge.
        choices_: for each arm what is published and the figures of all candidates.

    >>> draws = np.random.default_rng(0)
    >>> X, arm = draws.normal(size=(400, 2)), draws.integers(0, 2, 400)
    >>> outcome = X[:, 0] + 2.0 * arm + draws.normal(size=400)
    >>> model = UpliftLearner(halves=4).fit(X, arm, outcome, propensity=np.full(400, 0.5))
    >>> model.predict(X).shape, model.predict_interval(X).shape
    ((400, 1), (400, 1, 2))
    >>> bool(abs(model.average_effects_.value[0] - 2.0) < 0.3)
    True
    """

    def __init__(
        self,
        *,
        folds: int | Sequence[Any] = 3,
        floor: float = 0.02,
        min_arm_rows: int = 50,
        candidates: Sequence[str] = (stages.LINEAR, stages.DR, stages.RA),
        halves: int = 20,
        seed: int = 0,
        threads: int = 1,
    ) -> None:
        self.folds = folds
        self.floor = floor
        self.min_arm_rows = min_arm_rows
        self.candidates = candidates
        self.halves = halves
        self.seed = seed
        self.threads = threads

    def fit(
        self,
        X: Any,
        treatment: ArrayLike,
        outcome: ArrayLike,
        propensity: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
    ) -> UpliftLearner:
        """Fit the effects of all arms.

        Args:
            X: (n, p) finite numbers, known before the decision.
            treatment: (n,) arms 0..K, 0 the control.
            outcome: (n,) mature outcomes; 0 and 1, or any numbers.
            propensity: (n, K+1) logged probabilities of the arms, (n,) of arm 1 where there are two; rows of NaN are
                estimated.
            sample_weight: (n,) above 0, for example one over the rate at which controls were kept.
            groups: (n,) keys of the hosts: folds, halves and errors keep their rows together.

        Raises:
            InputError: see ``graphrep.uplift.checks``; or nothing is left after trimming.
        """
        self._check_parameters()
        X = checks.covariates(X)
        arms = checks.arms(treatment, len(X), self.min_arm_rows)
        y = checks.outcomes(outcome, len(X))
        weight = checks.weights(sample_weight, len(X))
        codes = checks.cluster_codes(groups, len(X))
        shape = (len(X), int(arms.max()) + 1)
        logged = np.full(shape, np.nan) if propensity is None else checks.propensities(propensity, *shape)
        if isinstance(self.folds, int | np.integer):
            pairs = host_folds(codes, int(self.folds), self.seed)
        else:
            pairs = given_folds(self.folds, len(X))
        rows = Rows.of(X, arms, y, weight, pairs, self.seed, self.threads)
        self.n_features_in_, self.n_arms_ = X.shape[1], rows.n_arms
        self.propensity_ = self._fit_nuisances(rows, logged)
        self.trim_reason_ = scores.trimmed(self.propensity_, arms, self.floor)
        self._fit_effects(rows, codes, logged)
        return self

    def predict(self, X: Any, arm: int | None = None) -> Floats:
        """Effects (n, K) of arms 1..K against the control, or (n,) of one ``arm``.

        Raises:
            InputError: other columns than in the fit, NaN or infinite ones, or an arm that was not in the fit.
        """
        return self._values(X, arm, errors=False)[0]

    def predict_interval(self, X: Any, arm: int | None = None, level: float = 0.95) -> Floats:
        """Intervals (n, K, 2), or (n, 2) of one ``arm``, of the effect at the row's covariates.

        They hold the errors of the average effect, of the slope, of the final stage (the spread over halves of the
        hosts) and of the choice (the spread of the candidates that are in the mean; for the constant effect the
        distance to a candidate with a lower loss), not that of a single host's
        own effect, which no data tell, nor heterogeneity that no candidate found.
        """
        effect, error = self._values(X, arm, errors=True)
        half = scores.quantile(level) * error
        return np.stack([effect - half, effect + half], axis=-1)

    def predict_outcome(self, X: Any) -> Floats:
        """Expected outcomes (n, K+1) under each arm, from the outcome models alone."""
        check_is_fitted(self)
        return self._response(checks.covariates(X, self.n_features_in_))

    def predict_propensity(self, X: Any) -> Floats:
        """Estimated propensities (n, K+1). Raises InputError where all were logged: the log knows them better."""
        check_is_fitted(self)
        if self._assignment is None:
            raise InputError("propensities that were estimated", found="all logged", where="predict_propensity")
        return self._assignment(checks.covariates(X, self.n_features_in_))

    @property
    def estimates_propensity(self) -> bool:
        """Whether some chances of the fit were not logged, so that new rows can be asked for theirs."""
        return self._assignment is not None

    def _check_parameters(self) -> None:
        unknown = sorted(set(self.candidates) - set(stages.CANDIDATES))
        if unknown:
            raise InputError(f"candidates among {', '.join(stages.CANDIDATES)}", found=unknown[0], where="candidates")
        if not 0 <= self.floor < 0.5:
            raise InputError("a floor from 0 to below 0.5", found=f"{self.floor:g}", where="floor")
        if self.halves < 2:
            raise InputError("2 halves or more", found=str(self.halves), where="halves")

    def _fit_nuisances(self, rows: Rows, logged: Floats) -> Floats:
        """Propensities (n, K+1) that scores are made with, NaN in rows that no fold tests."""
        settings = Boosting(300, rate=0.05, leaves=12, min_leaf=min_leaf(len(rows.X)), patience=15)
        self._assignment: Nuisance | None = None
        unlogged = np.isnan(logged[:, 0])
        if unlogged.any():
            self._assignment = assignment(rows, settings, unlogged)
            logged = np.where(np.isnan(logged), self._assignment.held, logged)
        self._response = expected(rows, settings)
        self.expected_ = self._response.held
        unread = np.isnan(self.expected_[:, :1])
        return np.where(unread, np.nan, logged)

    def _fit_effects(self, rows: Rows, codes: Ints, logged: Floats) -> None:
        kept = np.flatnonzero(self.trim_reason_ == scores.KEPT)
        if len(np.unique(rows.arms[kept])) < rows.n_arms:
            fix = "compare arms that could have been given to the same rows, or lower the floor"
            raise InputError("kept rows of every arm", found=f"{len(kept)} rows with overlap", where="fit", fix=fix)
        targets = Targets.of(rows, kept, self.expected_[kept], self.propensity_[kept])
        self.scores_ = np.full((len(rows.X), rows.n_arms - 1), np.nan)
        self.scores_[kept] = targets.scores
        self.average_effects_ = scores.average_effects(targets.scores, rows.weight[kept], codes[kept])
        problem = Problem(rows, codes, logged, self._response, self._assignment, self.floor, tuple(self.candidates))
        self.choices_, apart = choose_stages(problem, targets, self.halves)
        self.held_ = np.full(self.scores_.shape, np.nan)
        self.held_[kept] = self.average_effects_.value + apart

    def _values(self, X: Any, arm: int | None, errors: bool) -> tuple[Floats, Floats]:
        """Effects and standard errors, (n, K) or (n,)."""
        check_is_fitted(self)
        X = checks.covariates(X, self.n_features_in_)
        if arm is not None and not 1 <= arm < self.n_arms_:
            raise InputError(f"an arm of the fit, 1 to {self.n_arms_ - 1}", found=str(arm), where="arm")
        wanted = range(self.n_arms_ - 1) if arm is None else [arm - 1]
        effects, spreads = [], []
        for index in wanted:
            off, error = self.choices_[index].deviation(X, errors)
            effects.append(self.average_effects_.value[index] + off)
            spreads.append(np.hypot(self.average_effects_.error[index], error))
        shape = (len(X), len(effects)) if arm is None else (len(X),)
        return np.column_stack(effects).reshape(shape), np.column_stack(spreads).reshape(shape)
