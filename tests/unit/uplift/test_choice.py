"""Which candidate is published, what it is shrunk by, and what it may have seen before it is judged."""

from __future__ import annotations

import numpy as np
import pytest

from graphrep.uplift.choice import Chosen, Judged, Published, judge_all
from graphrep.uplift.effects import Problem
from graphrep.uplift.nuisance import Nuisance, Rows
from graphrep.uplift.scores import potential_outcomes
from graphrep.uplift.splits import host_folds
from graphrep.uplift.stages import Lines, best_level, halves_of

N = 4000
DRAWS = np.random.default_rng(0)
SIGNAL = DRAWS.normal(size=N)
NOISE = DRAWS.normal(size=N)
ONES, ALONE = np.ones(N), np.arange(N)


def test_a_candidate_is_shrunk_to_its_calibration() -> None:
    chosen, _ = judge_all({"dr": 2.0 * SIGNAL[None]}, SIGNAL + NOISE, ONES, ALONE)
    assert chosen.name == "dr"
    assert chosen.slope == pytest.approx(0.5, abs=3 * chosen.slope_error)
    assert chosen.slope_error == pytest.approx(0.5 / np.sqrt(N), rel=0.1)
    assert chosen.gain == pytest.approx(1.0, abs=4 * chosen.gain_error)
    low, _ = judge_all({"dr": 0.5 * SIGNAL[None]}, SIGNAL + NOISE, ONES, ALONE)
    assert low.slope == 1.0  # never stretched


def test_the_simpler_one_is_taken_unless_it_is_clearly_worse() -> None:
    nearly = SIGNAL + 0.02 * DRAWS.normal(size=N)
    chosen, every = judge_all({"dr": SIGNAL[None], "linear": nearly[None]}, SIGNAL + NOISE, ONES, ALONE)
    assert [one.name for one in every] == ["dr", "linear", "constant"]
    assert chosen.name == "linear"
    clearly = SIGNAL + DRAWS.normal(size=N)
    assert judge_all({"dr": SIGNAL[None], "linear": clearly[None]}, SIGNAL + NOISE, ONES, ALONE)[0].name == "dr"


def test_a_gain_within_its_error_is_no_gain() -> None:
    noise = NOISE - NOISE.mean()
    apart = DRAWS.normal(size=N)
    apart -= (apart @ noise) / (noise @ noise) * noise
    for strength, name in ((2.3, "constant"), (3.0, "ra")):  # standard errors of the slope
        chosen, every = judge_all({"ra": (apart + strength / np.sqrt(N) * noise)[None]}, noise, ONES, ALONE)
        assert every[0].name == "ra"  # it would be taken by the loss alone
        assert every[0].slope / every[0].slope_error == pytest.approx(strength, rel=0.1)
        assert chosen.name == name


def test_a_candidate_that_points_the_wrong_way_or_nowhere_is_left_alone() -> None:
    for held in (-SIGNAL, np.full(N, 3.0)):
        chosen, every = judge_all({"linear": held[None]}, SIGNAL + NOISE, ONES, ALONE)
        assert chosen.name == "constant"
        assert [one.slope for one in every] == [0.0, 0.0]


def test_hosts_with_many_rows_count_once() -> None:
    hosts = np.repeat(np.arange(40), 100)
    draws = np.random.default_rng(1)
    own = draws.normal(size=40)[hosts]
    held = (own + 0.5 * draws.normal(size=40)[hosts])[None]
    by_row = judge_all({"dr": held}, own, ONES, ALONE)[1][0]
    by_host = judge_all({"dr": held}, own, ONES, hosts)[1][0]
    assert by_host.slope_error > 5 * by_row.slope_error


def test_the_level_with_the_lowest_loss_is_read() -> None:
    held = np.stack([NOISE[::-1], SIGNAL, SIGNAL + 3 * DRAWS.normal(size=N)])
    assert best_level(held, SIGNAL + NOISE, ONES) == 1


def test_a_fold_is_judged_by_targets_that_its_own_models_made() -> None:
    X, arms = DRAWS.normal(size=(90, 2)), np.arange(90) % 2
    outcome, codes = DRAWS.normal(size=90), np.arange(90) // 3
    rows = Rows.of(X, arms, outcome, np.ones(90), host_folds(codes, 3), seed=0, threads=1)
    models = [lambda X, fold=fold: np.tile([0.0, 10.0 * fold], (len(X), 1)) for fold in range(3)]
    response = Nuisance(np.zeros((90, 2)), models, "")
    problem = Problem(rows, codes, np.full((90, 2), 0.5), response, None, 0.02, ("dr",))
    for fold, (training, test) in enumerate(rows.folds):
        targets = problem.of_fold(fold)
        assert np.array_equal(targets.places, training)
        assert not np.isin(codes[targets.places], codes[test]).any()
        controls = arms[training] == 0
        assert targets.scores[controls, 0] == pytest.approx(10.0 * fold - 2 * outcome[training][controls])


def test_scores_weigh_a_residual_by_the_chance_of_its_arm() -> None:
    gamma = potential_outcomes(np.array([1.0, 2.0]), np.array([0, 1]), np.zeros((2, 2)), np.array([[0.8, 0.2]] * 2))
    assert gamma.tolist() == [[1.25, 0.0], [0.0, 10.0]]


def test_what_a_better_candidate_says_otherwise_is_an_error_of_the_chosen_one() -> None:
    X = DRAWS.normal(size=(50, 1))
    ones = np.ones(50)
    halves = [np.arange(50)]
    line = Published(Judged("linear", slope=1.0), Lines.fit(X, 2 * X[:, 0], ones, halves), 0.0)
    steeper = Published(Judged("dr", slope=1.0), Lines.fit(X, 3 * X[:, 0], ones, halves), 0.0)
    alone, beside = (Chosen(line.judged, [], line, rival) for rival in (None, steeper))
    off, error = beside.deviation(X, errors=True)
    assert np.array_equal(off, alone.deviation(X, errors=False)[0])
    assert alone.deviation(X, errors=True)[1] == pytest.approx(0.0, abs=1e-6)
    assert error == pytest.approx(np.abs(steeper.deviation(X)[0] - off))
    assert Chosen(Judged("constant"), [], None, None).deviation(X, errors=True)[1].max() == 0.0


def test_halves_share_no_host_within_a_pair() -> None:
    hosts = np.repeat(np.arange(11), 2)
    found = halves_of(hosts, 5, seed=1)
    assert len(found) == 6
    for one, two in zip(found[::2], found[1::2], strict=True):
        assert not np.intersect1d(hosts[one], hosts[two]).size
        assert len(one) + len(two) == 22
