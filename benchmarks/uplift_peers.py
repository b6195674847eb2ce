"""Effects by EconML and causalml, run by an interpreter that has them; called by ``benchmarks.uplift --peers``.

Reads an .npz with X, arm, outcome, share (propensity of each arm, or none), X_test; writes an .npz with the effects of
every peer on X_test, seconds of the processor and the peak memory of the process. One peer for each process.
"""

from __future__ import annotations

import resource
import sys
import time
import warnings

import numpy as np

warnings.filterwarnings("ignore")


def boosted(classifier: bool) -> object:
    from lightgbm import LGBMClassifier, LGBMRegressor

    settings = {"n_estimators": 150, "learning_rate": 0.05, "num_leaves": 12, "min_child_samples": 50, "n_jobs": 1}
    kind = LGBMClassifier if classifier else LGBMRegressor
    return kind(verbosity=-1, random_state=0, **settings)


def small(rows: int) -> object:
    """Our own final trees, so that the peers do not lose by their defaults."""
    from lightgbm import LGBMRegressor

    leaf = max(rows // 50, min(500, rows // 20))
    settings = {"n_estimators": 60, "learning_rate": 0.04, "num_leaves": 6, "min_child_samples": leaf, "n_jobs": 1}
    return LGBMRegressor(verbosity=-1, random_state=0, **settings)


def econml_dr(X: np.ndarray, arm: np.ndarray, y: np.ndarray, test: np.ndarray) -> np.ndarray:
    from econml.dr import DRLearner

    model = DRLearner(
        model_propensity=boosted(True),
        model_regression=boosted(False),
        model_final=small(len(X)),
        min_propensity=0.02,
        cv=3,
        random_state=0,
    )
    model.fit(y, arm, X=X)
    return np.column_stack([model.effect(test, T0=0, T1=a) for a in range(1, int(arm.max()) + 1)])


def econml_forest(X: np.ndarray, arm: np.ndarray, y: np.ndarray, test: np.ndarray) -> np.ndarray:
    from econml.dml import CausalForestDML

    model = CausalForestDML(
        model_y=boosted(False),
        model_t=boosted(True),
        discrete_treatment=True,
        cv=3,
        n_estimators=200,
        min_samples_leaf=50,
        n_jobs=1,
        random_state=0,
    )
    model.fit(y, arm, X=X)
    return np.column_stack([model.effect(test, T0=0, T1=a) for a in range(1, int(arm.max()) + 1)])


def causalml_x(X: np.ndarray, arm: np.ndarray, y: np.ndarray, test: np.ndarray) -> np.ndarray:
    from causalml.inference.meta import BaseXRegressor

    model = BaseXRegressor(
        learner=boosted(False), control_effect_learner=small(len(X)), treatment_effect_learner=small(len(X))
    )
    model.fit(X=X, treatment=arm, y=y)
    return np.asarray(model.predict(test))


def causalml_dr(X: np.ndarray, arm: np.ndarray, y: np.ndarray, test: np.ndarray) -> np.ndarray:
    from causalml.inference.meta import BaseDRLearner

    model = BaseDRLearner(learner=boosted(False), treatment_effect_learner=small(len(X)))
    model.fit(X=X, treatment=arm, y=y)
    return np.asarray(model.predict(test))


PEERS = {
    "EconML DRLearner": econml_dr,
    "EconML CausalForestDML": econml_forest,
    "causalml X": causalml_x,
    "causalml DR": causalml_dr,
}


def main() -> None:
    source, target, name = sys.argv[1:]
    rows = np.load(source)
    start = time.process_time()
    effects = PEERS[name](rows["X"], rows["arm"], rows["outcome"].astype(float), rows["X_test"])
    seconds = time.process_time() - start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    np.savez(target, effects=effects, seconds=seconds, memory=memory)


if __name__ == "__main__":
    main()
