"""What the uplift benchmark reads and how it reads it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.uplift import hillstrom, nie_wager

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.mark.skipif(not (DATA / "hillstrom").is_dir(), reason="the public data sets are not here")
def test_hillstroms_womens_arm_has_its_published_effect() -> None:
    X, arm, visit = hillstrom(DATA)
    assert X.shape == (21_387 + 21_306, 9)
    assert arm.sum() == 21_387
    assert visit[arm == 1].mean() - visit[arm == 0].mean() == pytest.approx(0.0452, abs=5e-5)


@pytest.mark.parametrize("setup", "ABCD")
def test_setups_have_the_effects_that_they_are_made_of(setup: str) -> None:
    X, arm, outcome, effect = nie_wager(setup, 4000, seed=0)
    assert X.shape == (4000, 6)
    assert set(np.unique(arm)) == {0, 1}
    assert np.isfinite(outcome).all()
    assert (effect.std() == 0) == (setup == "C")
