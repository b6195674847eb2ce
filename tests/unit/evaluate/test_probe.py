"""The frozen ranker: what it learns, what ruins it, and the area under its curve."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from graphrep.errors import InputError
from graphrep.evaluate.probe import Probe, auc, fit_probe


def _pairs(seed: int = 0, n: int = 600, d: int = 5):
    rng = np.random.default_rng(seed)
    left, right = rng.normal(size=(2, n, d)).astype(np.float32)
    logits = (left * right) @ np.array([2.0, -1.0, 0.5, 0, 0]) + 0.7
    return left, right, rng.random(n) < expit(logits)


def test_is_at_the_minimum_over_standardised_products() -> None:
    left, right, labels = _pairs()
    right = right * np.float32(30) + np.float32(2)
    probe = fit_probe(left, right, labels, penalty=3.0)
    products = left.astype(np.float64) * right
    error = expit(probe.scores(left, right)) - labels
    x = (products - products.mean(axis=0)) / products.std(axis=0)
    assert np.abs(error @ x + 3.0 * probe.weights * products.std(axis=0)).max() < 0.01
    assert abs(error.sum()) < 0.01


def test_is_deterministic_and_stays_frozen() -> None:
    left, right, labels = _pairs()
    first, second = fit_probe(left, right, labels), fit_probe(left, right, labels)
    assert first.weights.tobytes() == second.weights.tobytes()
    assert first.bias == second.bias
    assert first.weights.dtype == np.float64
    assert first.weights.shape == (5,)
    with pytest.raises(AttributeError):
        first.bias = 0.0


def test_a_turn_of_the_basis_ruins_it_and_dot_products_do_not_see_it() -> None:
    left, right, labels = _pairs(n=4000)
    probe = fit_probe(left, right, labels)
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(5, 5)))[0].astype(np.float32)
    assert auc(labels, probe.scores(left, right)) > 0.85
    assert auc(labels, probe.scores(left @ turn, right @ turn)) < 0.75


def test_a_product_that_never_changes_counts_nothing() -> None:
    left, right, labels = _pairs()
    left[:, 3], right[:, 3] = 0.1, 0.3
    assert fit_probe(left, right, labels).weights[3] == 0


@given(st.data())
def test_auc_is_the_share_of_pairs_in_order(data: st.DataObject) -> None:
    labels = [0, 1, *data.draw(st.lists(st.integers(0, 1), max_size=30))]
    scores = data.draw(st.lists(st.integers(-3, 3), min_size=len(labels), max_size=len(labels)))
    above = [s for s, y in zip(scores, labels, strict=True) if y]
    below = [s for s, y in zip(scores, labels, strict=True) if not y]
    in_order = [(a > b) + (a == b) / 2 for a in above for b in below]
    assert auc(labels, scores) == pytest.approx(np.mean(in_order))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda a, b, y: fit_probe(a, b[:, :2], y),
            "expected pairs of vectors, both (n, d), found (600, 5) and (600, 2)",
        ),
        (lambda a, b, y: fit_probe(a, b, y[:3] | True), "expected labels 0 and 1, both of them, found [True]"),
        (lambda a, b, y: fit_probe(a[:9], b[:9], y), "expected a label for each of 9 pairs, found 600"),
        (lambda a, b, y: fit_probe(a * np.float32(np.nan), b, y), "expected finite vectors"),
        (lambda a, b, y: fit_probe(a, b, y, penalty=-1), "expected a penalty of 0 or more, found -1"),
        (lambda a, b, y: Probe(np.ones(4), 0.0).scores(a, b), "both (n, 4), found (600, 5)"),
        (lambda a, b, y: auc(y, np.full(600, np.nan)), "expected finite scores"),
        (lambda a, b, y: auc(y, np.ones(3)), "expected scores of shape (600,), found (3,)"),
    ],
)
def test_refuses_in_one_line(call, message) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        call(*_pairs())
