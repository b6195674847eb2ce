"""Each metric against its formula written as a loop, and the rules for ties, padding and empty rows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from graphrep.errors import InputError
from graphrep.evaluate import metrics

AT_K = ("precision_at_k", "recall_at_k", "hit_rate_at_k", "ndcg_at_k", "average_precision", "mrr")


def by_hand(name: str, ranked: list[int], relevant: set[int], k: int) -> float:
    places = [i for i, item in enumerate(ranked[:k], 1) if item >= 0 and item in relevant]
    ideal = sum(1 / math.log2(i + 1) for i in range(1, min(len(relevant), k) + 1))
    precise = [sum(p <= i for p in places) / i for i in places]
    return {
        "precision_at_k": len(places) / k,
        "recall_at_k": len(places) / len(relevant),
        "hit_rate_at_k": float(bool(places)),
        "ndcg_at_k": sum(1 / math.log2(i + 1) for i in places) / ideal,
        "average_precision": sum(precise) / min(len(relevant), k),
        "mrr": 1 / places[0] if places else 0.0,
    }[name]


@given(data=st.data(), n=st.integers(1, 6), width=st.integers(1, 8), k=st.integers(1, 10))
@settings(max_examples=100, deadline=None)
def test_metrics_are_their_formulas(data: st.DataObject, n: int, width: int, k: int) -> None:
    items = st.integers(0, 10**12 if data.draw(st.booleans()) else 12)
    rows = st.lists(items, min_size=width, max_size=width, unique=True)
    ranked = [data.draw(rows) for _ in range(n)]
    for row in ranked:
        padding = data.draw(st.integers(0, width))
        row[width - padding :] = [-1] * padding
    relevant = [set(data.draw(st.lists(items | st.sampled_from(row), max_size=6))) - {-1} for row in ranked]
    for name in AT_K:
        function: Any = getattr(metrics, name)
        expected = [by_hand(name, r, t, k) if t else math.nan for r, t in zip(ranked, relevant, strict=True)]
        found = function(ranked, relevant, k=k, per_row=True)
        np.testing.assert_allclose(found, expected, err_msg=name)
        known = [x for x in expected if not math.isnan(x)]
        mean = float(np.mean(known)) if known else math.nan
        assert function(ranked, relevant, k=k) == pytest.approx(mean, nan_ok=True), name


def test_without_k_all_places_count_and_all_relevant_divide() -> None:
    assert metrics.average_precision([[1, 2, 3]], [{3, 7, 8, 9}]) == pytest.approx(1 / 3 / 4)
    assert metrics.mrr([[1, 2, 3]], [{3}]) == pytest.approx(1 / 3)


@pytest.mark.parametrize("name", AT_K)
def test_a_single_row_may_come_without_its_dimension(name: str) -> None:
    function: Any = getattr(metrics, name)
    whole = function([[4, 2, 9]], [{9, 2}], k=2)
    for relevant in ({9, 2}, [9, 2], np.array([9, 2]), [{9, 2}], [np.array([9, 2])]):
        assert function([4, 2, 9], relevant, k=2) == whole


@pytest.mark.parametrize("name", AT_K)
def test_repeats_and_padding_do_not_hit_twice(name: str) -> None:
    function: Any = getattr(metrics, name)
    assert function([[5, 5, 5, -1]], [[5, 5, -1]], k=4) == pytest.approx(function([[5, 6, 7, 8]], [{5, 1}], k=4))


def test_no_row_with_relevant_candidates_is_nan() -> None:
    assert math.isnan(metrics.recall_at_k([[1, 2]], [set()], k=1))


@pytest.mark.parametrize(
    ("ranked", "relevant", "k"),
    [
        ([[1, 2]], [{1}], 0),
        ([[1, 2]], [{1}], True),
        ([[1, 2]], [{1}, {2}], 1),
        ([[1.5, 2.0]], [{1}], 1),
        ([[[1]]], [{1}], 1),
    ],
)
def test_bad_shapes_are_refused(ranked: Any, relevant: Any, k: int) -> None:
    with pytest.raises(InputError):
        metrics.precision_at_k(ranked, relevant, k)


@given(
    scores=st.lists(st.lists(st.integers(0, 4), min_size=7, max_size=7), min_size=1, max_size=5),
    k=st.integers(1, 9),
    out=st.sets(st.integers(0, 6)),
)
@settings(max_examples=100, deadline=None)
def test_top_k_is_a_stable_sort(scores: list[list[int]], k: int, out: set[int]) -> None:
    expected = []
    for row in scores:
        order = sorted((i for i in range(7) if i not in out), key=lambda i: (-row[i], i))[:k]
        expected.append(order + [-1] * (min(k, 7) - len(order)))
    assert metrics.top_k(scores, k, [out] * len(scores)).tolist() == expected
    mask = sp.csr_array(np.tile(np.isin(np.arange(7), list(out)), (len(scores), 1)))
    assert metrics.top_k(np.array(scores, np.float32), k, mask).tolist() == expected
    assert metrics.top_k(scores[0], k, out).tolist() == expected[0]


def test_top_k_leaves_scores_alone_and_ranks_no_minus_infinity() -> None:
    scores = np.array([1.0, -np.inf, 2.0])
    assert metrics.top_k(scores, 3, exclude={0}).tolist() == [2, -1, -1]
    assert scores[0] == 1.0


@pytest.mark.parametrize(
    ("scores", "k", "exclude"),
    [
        ([[np.nan, 1.0]], 1, None),
        ([[1.0, 2.0]], 0, None),
        ([[1.0, 2.0]], 1, [[0], [1]]),
        ([[1.0, 2.0]], 1, sp.csr_array((2, 2))),
        (np.zeros((1, 1, 1)), 1, None),
    ],
)
def test_top_k_refuses(scores: Any, k: int, exclude: Any) -> None:
    with pytest.raises(InputError):
        metrics.top_k(scores, k, exclude)


@given(seed=st.integers(0, 10**6), block=st.integers(1, 13), levels=st.sampled_from([3, 10**6]))
@settings(max_examples=60, deadline=None)
def test_link_precision_is_a_full_sort_of_all_pairs(seed: int, block: int, levels: int) -> None:
    rng = np.random.default_rng(seed)
    n = 12
    scores = rng.integers(0, levels, (n, n)).astype(np.float64)
    kind = np.triu(rng.integers(0, 4, (n, n)), 1)
    known, hidden = kind == 1, kind == 2
    hidden[0, 1], known[0, 1] = True, False
    pairs = [(u, v) for u in range(n) for v in range(u + 1, n) if not known[u, v]]
    pairs.sort(key=lambda pair: (-scores[pair], pair))
    expected = []
    for fraction in (0.3, 1.0, 2.0):
        size = math.ceil(fraction * hidden.sum())
        expected.append(sum(hidden[pair] for pair in pairs[:size]) / size)
    found = metrics.link_precision_at(
        lambda rows: scores[rows],
        sp.csr_array((known | known.T).astype(float)),
        sp.csr_array(hidden.T.astype(float)),
        (0.3, 1.0, 2.0),
        block,
    )
    np.testing.assert_allclose(found, expected)


def test_link_precision_refuses_nothing_hidden_and_nan() -> None:
    none, one = sp.csr_array((3, 3)), sp.csr_array(([1.0], ([0], [1])), shape=(3, 3))
    with pytest.raises(InputError, match="hidden"):
        metrics.link_precision_at(lambda rows: np.zeros((len(rows), 3)), none, none)
    with pytest.raises(InputError, match="NaN"):
        metrics.link_precision_at(lambda rows: np.full((len(rows), 3), np.nan), none, one)
