"""Metrics of effects: grf's definitions, ties, errors by group, and the numbers of other libraries."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from graphrep.errors import InputError
from graphrep.evaluate import metrics

# Computed with scikit-uplift 0.5.1 and causalml 0.18.0 on the rows of `drawn`.
GOLDEN: list[dict[str, Any]] = [
    {
        "seed": 0,
        "n": 200,
        "share": 0.5,
        "sklift_qini": 0.16042015794938483,
        "sklift_auuc": 0.08854030210015255,
        "causalml_auuc": 0.6891419962111704,
        "causalml_qini": 0.21628787464817548,
    },
    {
        "seed": 1,
        "n": 1000,
        "share": 0.3,
        "sklift_qini": 0.07020125868131792,
        "sklift_auuc": 0.06873502886449158,
        "causalml_auuc": 0.7621698493275422,
        "causalml_qini": 0.22087055511772688,
    },
    {
        "seed": 2,
        "n": 40,
        "share": 0.5,
        "sklift_qini": 0.08025194546935986,
        "sklift_auuc": 0.1196938310633143,
        "causalml_auuc": 0.6242605766388972,
        "causalml_qini": 0.09561933928264149,
    },
    {  # ties: causalml's numbers depend on the order of the rows there
        "seed": 3,
        "n": 500,
        "share": 0.7,
        "levels": 12,
        "sklift_qini": 0.16570525519258775,
        "sklift_auuc": 0.1387950332392456,
    },
]
RANKED = [metrics.autoc, metrics.qini, metrics.auuc]
NAIVE = [
    metrics.sklift_qini,
    metrics.sklift_auuc,
    metrics.causalml_qini,
    metrics.causalml_auuc,
    metrics.uplift_at_k,
]


def drawn(seed: int, n: int, share: float, levels: int | None = None) -> tuple[Any, Any, Any]:
    draws = np.random.default_rng(seed)
    arm = (draws.random(n) < share) * 1
    score = draws.normal(size=n)
    if levels:
        score = np.round(score * levels / 6) / 2
    outcome = (draws.random(n) < 0.2 + 0.15 * arm * (score > 0)) * 1
    return outcome, score, arm


@pytest.mark.parametrize("row", GOLDEN, ids=lambda row: str(row["seed"]))
def test_numbers_of_other_libraries_come_out_to_nine_digits(row: dict[str, Any]) -> None:
    table = drawn(row["seed"], row["n"], row["share"], row.get("levels"))
    for name in {"sklift_qini", "sklift_auuc", "causalml_auuc", "causalml_qini"} & set(row):
        assert getattr(metrics, name)(*table, randomised=True) == pytest.approx(row[name], abs=1e-9), name


@pytest.mark.parametrize("metric", NAIVE)
def test_naive_metrics_refuse_policy_traffic(metric: Any) -> None:
    outcome, score, arm = drawn(0, 100, 0.5)
    with pytest.raises(InputError, match="1 of policy traffic"):
        metric(outcome, score, arm, randomised=np.arange(100) > 0)
    assert np.isfinite(metric(outcome, score, arm, randomised=np.ones(100, bool)))


def test_naive_metrics_refuse_what_they_cannot_mean() -> None:
    outcome, score, arm = drawn(0, 100, 0.5)
    with pytest.raises(InputError, match="outcomes 0 and 1"):
        metrics.sklift_qini(outcome * 2.0, score, arm, randomised=True)
    with pytest.raises(InputError, match="both of them"):
        metrics.causalml_auuc(outcome, score, np.zeros(100), randomised=True)
    with pytest.raises(InputError, match="without NaN"):
        metrics.uplift_at_k(outcome, np.full(100, np.nan), arm, randomised=True)
    with pytest.raises(InputError, match="treated and control rows"):
        metrics.uplift_at_k([1, 0, 1, 0], [3, 2, 1, 0], [1, 1, 0, 0], randomised=True, share=0.5)


def test_autoc_and_qini_are_the_means_of_their_definition() -> None:
    draws = np.random.default_rng(0)
    score, effects = draws.normal(size=50), draws.normal(size=50)
    ordered = effects[np.argsort(-score)]
    toc = [ordered[:k].mean() - ordered.mean() for k in range(1, 51)]
    q = np.arange(1, 51) / 50
    assert metrics.autoc(score, effects).value == pytest.approx(np.mean(toc), abs=1e-12)
    assert metrics.qini(score, effects).value == pytest.approx(np.mean(q * toc), abs=1e-12)
    gain = [ordered[:k].sum() / 50 for k in range(1, 51)]
    assert metrics.auuc(score, effects).value == pytest.approx(np.mean(gain), abs=1e-12)


def test_a_constant_score_ranks_nothing_at_all() -> None:
    outcome, _, arm = drawn(1, 333, 0.4)
    effects = np.random.default_rng(2).normal(size=333)
    for metric in (metrics.autoc, metrics.qini):
        assert metric(np.full(333, 0.1), effects).value == 0.0
        assert metric(np.full(333, 0.1), effects).error == 0.0
    for naive in (metrics.sklift_qini, metrics.sklift_auuc, metrics.causalml_qini):
        assert naive(outcome, np.full(333, 0.1), arm, randomised=True) == pytest.approx(0.0, abs=1e-12)
    assert metrics.causalml_auuc(outcome, np.full(333, 0.1), arm, randomised=True) == pytest.approx(0.5)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), levels=st.integers(1, 8))
def test_the_order_of_rows_never_matters(seed: int, levels: int) -> None:
    draws = np.random.default_rng(seed)
    outcome, score, arm = drawn(seed, 60, 0.5, levels)
    assume(0 < arm.mean() < 1)
    assume(outcome[arm == 1].mean() != outcome[arm == 0].mean())
    effects = draws.normal(size=60)
    order = draws.permutation(60)
    for metric in RANKED:
        ordered = metric(score[order], effects[order], halves=0).value
        assert ordered == pytest.approx(metric(score, effects, halves=0).value, abs=1e-12)
    for naive in NAIVE[:3]:
        there = naive(outcome, score, arm, randomised=True)
        assert naive(outcome[order], score[order], arm[order], randomised=True) == pytest.approx(there, abs=1e-9)


def test_a_weight_of_two_is_a_row_that_comes_twice() -> None:
    draws = np.random.default_rng(3)
    score, effects = draws.normal(size=30), draws.normal(size=30)
    twice = draws.integers(1, 3, 30)
    repeated = np.repeat(np.arange(30), twice)
    one = metrics.toc_curve(score, effects, weight=twice)
    two = metrics.toc_curve(score[repeated], effects[repeated])
    assert one[1] == pytest.approx(np.interp(one[0], *two), abs=1e-9)
    assert one[1][-1] == two[1][-1] == 0.0


def test_errors_keep_the_rows_of_a_group_together() -> None:
    draws = np.random.default_rng(4)
    hosts = np.repeat(np.arange(300), 10)
    score = draws.normal(size=300)[hosts]
    effects = draws.normal(size=300)[hosts] + 0.1 * draws.normal(size=3000)
    by_row = metrics.autoc(score, effects, halves=50).error
    by_host = metrics.autoc(score, effects, groups=hosts, halves=50).error
    assert by_host > 2 * by_row


def test_the_error_is_that_of_repeated_draws() -> None:
    values, errors = [], []
    for seed in range(60):
        draws = np.random.default_rng(seed)
        score = draws.normal(size=400)
        found = metrics.qini(score, score + draws.normal(size=400), halves=40, seed=seed)
        values.append(found.value)
        errors.append(found.error)
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.25)


def test_a_policy_is_worth_the_mean_of_what_it_picks() -> None:
    draws = np.random.default_rng(5)
    potential = draws.normal((0.0, 0.2, 0.1), size=(500, 3))
    best = potential.argmax(axis=1)
    found = metrics.policy_value(best, potential)
    assert found.value == pytest.approx(potential.max(axis=1).mean())
    assert found.error == pytest.approx(potential.max(axis=1).std(ddof=1) / np.sqrt(500))
    constant = metrics.best_constant_arm(potential)
    assert constant == 1
    gain = metrics.policy_value(best, potential, against=constant)
    assert gain.value == pytest.approx(found.value - potential[:, 1].mean())
    low, high = gain.interval()
    assert low < gain.value < high
    with pytest.raises(InputError, match="arms 0 to 2"):
        metrics.policy_value(np.full(500, 3), potential)


def test_effects_that_are_missing_are_refused() -> None:
    with pytest.raises(InputError, match="leave out trimmed rows"):
        metrics.autoc([1.0, 2.0], [1.0, np.nan])
    with pytest.raises(InputError, match="shapes"):
        metrics.qini([1.0, 2.0], [1.0])
