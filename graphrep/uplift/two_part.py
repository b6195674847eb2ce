"""Expected outcomes that are mostly 0 with a long tail, such as minutes hosted: chance × size.

``E[Y | x, a] = P(Y > 0 | x, a) · E[Y | Y > 0, x, a]``. The two parts are fitted apart, by the logistic loss on all
rows and by the squared loss on those above 0. Each arm takes their product, one fit to the whole outcome, or the mean
of both, by the squared loss on held-out hosts. They are expectations only: effects come from doubly robust scores of
the whole outcome, never from a difference among those who went live, which would compare other hosts in each arm.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from graphrep.errors import InputError
from graphrep.uplift.boosting import Boosting
from graphrep.uplift.nuisance import Nuisance, Rows, response
from graphrep.uplift.readers import TwoParts

Floats = NDArray[np.float64]

# Least share of zeros from which on the two parts are tried.
ZEROS = 0.2
# Shares of the product in the mean with the whole that are tried.
SHARES = (0.0, 0.5, 1.0)


def expected(rows: Rows, settings: Boosting) -> Nuisance:
    """Expected outcomes by arm: ``response``, for each arm in so far as the product of the two parts is not closer."""
    whole = response(rows, settings)
    y = rows.outcome
    if rows.binary or y.min() < 0 or (y == 0).mean() < ZEROS:
        return whole
    try:
        size = _sizes(rows, settings)
    except InputError:  # some fold has an arm without a row above 0
        return whole
    chance = response(replace(rows, outcome=(y > 0).astype(np.float64)), settings)
    held = np.full_like(whole.held, np.nan)
    for fold, (_, test) in enumerate(rows.folds):
        held[test] = chance.held[test] * size.models[fold](rows.X[test])
    share = np.zeros(rows.n_arms)
    for arm in range(rows.n_arms):
        own = np.flatnonzero((rows.arms == arm) & ~np.isnan(held[:, arm]))
        tried = [one * held[own, arm] + (1 - one) * whole.held[own, arm] for one in SHARES]
        share[arm] = SHARES[int(np.argmin([rows.weight[own] @ (y[own] - values) ** 2 for values in tried]))]

    names = [f"{own:g} two parts" if own else blend for own, blend in zip(share, whole.chosen.split(","), strict=True)]
    folds = zip(whole.models, chance.models, size.models, strict=True)
    models = [TwoParts(*fold, share) for fold in folds] if share.any() else whole.models
    return Nuisance(share * held + (1 - share) * whole.held, models, ",".join(names))


def _sizes(rows: Rows, settings: Boosting) -> Nuisance:
    """Expected outcomes of the rows above 0, fitted to them alone."""
    above = np.flatnonzero(rows.outcome > 0)
    if len(np.unique(rows.arms[above])) < rows.n_arms:
        raise InputError("rows above 0 in every arm", found="an arm without", where="outcome")
    place = np.full(len(rows.X), -1)
    place[above] = np.arange(len(above))
    folds = [(_inside(place[train]), _inside(place[test])) for train, test in rows.folds]
    given = (rows.X[above], rows.arms[above], rows.outcome[above], rows.weight[above])
    return response(Rows.of(*given, folds, rows.seed, rows.threads), settings)


def _inside(places: NDArray[np.int64]) -> NDArray[np.int64]:
    return places[places >= 0]
