"""Which candidate is published, what it is shrunk by, and what it may have seen before it is judged."""

from __future__ import annotations

import numpy as np
import pytest

from graphrep.uplift.choice import Chosen, Judged, Published, choose
from graphrep.uplift.effects import Problem
from graphrep.uplift.nuisance import Nuisance, Rows
from graphrep.uplift.scores import potential_outcomes
from graphrep.uplift.splits import host_folds
from graphrep.uplift.stages import Lines, Part, best_level, halves_of

N = 4000
DRAWS = np.random.default_rng(0)
SIGNAL = DRAWS.normal(size=N)
NOISE = DRAWS.normal(size=N)
ONES, ALONE = np.ones(N), np.arange(N)


def test_a_candidate_is_shrunk_to_its_calibration() -> None:
    found = choose({"dr": 2.0 * SIGNAL[None]}, SIGNAL + NOISE, ONES, ALONE)
    chosen = found.judged
    assert chosen.name == "dr"
    assert found.shares == {"dr": 1.0}
    assert chosen.slope == pytest.approx(0.5, abs=3 * chosen.slope_error)
    assert chosen.slope_error == pytest.approx(0.5 / np.sqrt(N), rel=0.1)
    assert chosen.gain == pytest.approx(1.0, abs=4 * chosen.gain_error)
    assert found.apart == pytest.approx(chosen.slope * 2.0 * (SIGNAL - SIGNAL.mean()))


def test_predictions_are_stretched_only_as_far_as_is_sure() -> None:
    sure = choose({"dr": 0.5 * SIGNAL[None]}, SIGNAL + NOISE, ONES, ALONE).judged
    raw = np.polyfit(0.5 * SIGNAL, SIGNAL + NOISE, 1)[0]
    assert sure.slope == pytest.approx(raw - sure.slope_error)
    assert raw == pytest.approx(2.0, abs=0.1)
    few = slice(0, 40)
    noise = NOISE[few] - np.polyval(np.polyfit(SIGNAL[few], NOISE[few], 1), SIGNAL[few])
    unsure = choose({"dr": SIGNAL[None, few] / 1.1}, SIGNAL[few] + noise, ONES[few], ALONE[few]).judged
    assert unsure.slope == 1.0  # 1.1 with an error of some 0.2


def test_candidates_that_each_know_a_part_are_weighed_against_each_other() -> None:
    other = DRAWS.normal(size=N)
    effect = SIGNAL + other + NOISE
    found = choose({"linear": SIGNAL[None], "dr": other[None]}, effect, ONES, ALONE)
    assert found.judged.name == "mean"
    assert found.shares == pytest.approx({"linear": 0.5, "dr": 0.5}, abs=0.05)
    assert found.judged.gain > max(one.gain for one in found.every)
    assert sorted(one.name for one in found.every) == ["constant", "dr", "linear"]
    worse = SIGNAL + 10 * DRAWS.normal(size=N)  # weighs less than a twentieth
    alone = choose({"linear": SIGNAL[None], "dr": worse[None]}, SIGNAL + NOISE, ONES, ALONE)
    assert (alone.judged.name, alone.shares) == ("linear", {"linear": 1.0})


def test_a_gain_within_its_error_is_no_gain() -> None:
    noise = NOISE - NOISE.mean()
    apart = DRAWS.normal(size=N)
    apart -= (apart @ noise) / (noise @ noise) * noise
    for strength, name in ((2.3, "constant"), (3.0, "ra")):  # standard errors of the slope
        found = choose({"ra": (apart + strength / np.sqrt(N) * noise)[None]}, noise, ONES, ALONE)
        assert found.every[0].name == "ra"  # it would be taken by the loss alone
        assert found.every[0].slope / found.every[0].slope_error == pytest.approx(strength, rel=0.1)
        assert found.judged.name == name
        assert found.apart.any() == (name == "ra")


def test_a_candidate_that_points_the_wrong_way_or_nowhere_is_left_alone() -> None:
    for held in (-SIGNAL, np.full(N, 3.0)):
        found = choose({"linear": held[None]}, SIGNAL + NOISE, ONES, ALONE)
        assert found.judged.name == "constant"
        assert not found.shares
        assert [one.slope for one in found.every] == [0.0, 0.0]
    beside = choose({"linear": SIGNAL[None], "ra": -SIGNAL[None]}, SIGNAL + NOISE, ONES, ALONE)
    assert beside.shares == {"linear": 1.0}


def test_hosts_with_many_rows_count_once() -> None:
    hosts = np.repeat(np.arange(40), 100)
    draws = np.random.default_rng(1)
    own = draws.normal(size=40)[hosts]
    held = (own + 0.5 * draws.normal(size=40)[hosts])[None]
    by_row = choose({"dr": held}, own, ONES, ALONE).every[0]
    by_host = choose({"dr": held}, own, ONES, hosts).every[0]
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


def line(name: str, share: float, slope: float) -> Part:
    """A candidate that says ``slope`` of the one column."""
    X = np.linspace(-1, 1, 50)[:, None]
    halves = [np.arange(0, 50), np.arange(0, 50)]
    fits = Lines.fit(X, slope * X[:, 0], np.ones(50), halves)
    return Part(name, share, 0, 0.0, fits)


def test_what_separates_the_published_candidates_is_an_error_of_their_mean() -> None:
    X = np.linspace(-1, 1, 50)[:, None]
    alone = Published(Judged("linear", slope=1.0), [line("linear", 1.0, 2.0)])
    both = Published(Judged("mean", slope=0.5), [line("linear", 0.5, 2.0), line("dr", 0.5, 4.0)])
    off, error = alone.deviation(X)
    assert error == pytest.approx(0.0, abs=1e-6)
    mixed, apart = both.deviation(X)
    assert mixed == pytest.approx(0.75 * off)  # (2 + 4) / 2, half of it
    assert apart == pytest.approx(np.abs(0.25 * off))


def test_what_a_better_candidate_says_is_an_error_of_the_constant_effect() -> None:
    X = np.linspace(-1, 1, 50)[:, None]
    rival = Published(Judged("dr", slope=1.0), [line("dr", 1.0, 3.0)])
    kept = Chosen(Judged("constant"), [], None, rival)
    off, error = kept.deviation(X, errors=True)
    assert not off.any()
    assert error == pytest.approx(np.abs(rival.deviation(X)[0]))
    assert not kept.deviation(X, errors=False)[1].any()
    assert Chosen(Judged("constant"), [], None, None).deviation(X, errors=True)[1].max() == 0.0


def test_halves_share_no_host_within_a_pair() -> None:
    hosts = np.repeat(np.arange(11), 2)
    found = halves_of(hosts, 5, seed=1)
    assert len(found) == 6
    for one, two in zip(found[::2], found[1::2], strict=True):
        assert not np.intersect1d(hosts[one], hosts[two]).size
        assert len(one) + len(two) == 22
