"""The quality table on an example that was worked out by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from graphrep.evaluate import quality
from graphrep.evaluate.quality import QualityRow, Question, quality_table

# Four candidates. Users 0, 1, 4 of five are asked about; they had met 0, 1 and 3 candidates before.
# User 1 then met one that is no candidate (9). Everybody's scores rank the candidates 0, 1, 2, 3.
HISTORY = sp.csr_array(np.array([[0, 0, 0, 0], [5, 0, 0, 0], [1, 1, 1, 1], [0, 0, 0, 0], [1, 1, 1, 0]]))
QUESTION = Question("live", np.array([0, 1, 4]), [[0, 3], [2, 9], [3]], HISTORY)
SECOND = 1 / math.log2(3)
TWO = 1 + SECOND
"""The ideal gain of two that were met."""


def descending(users: Any) -> Any:
    return np.tile([4.0, 3.0, 2.0, 1.0], (len(users), 1))


def table(*, exclude_seen: bool, low_history: int = 1, k: int = 2) -> dict[str, tuple[int, float, float]]:
    rows = quality_table(QUESTION, {"down": descending}, k=k, low_history=low_history, exclude_seen=exclude_seen)
    assert {(row.target, row.model, row.k) for row in rows} == {("live", "down", k)}
    return {row.band: (row.users, row.recall, row.ndcg) for row in rows}


def close(found: dict[str, tuple[int, float, float]], expected: dict[str, tuple[int, float, float]]) -> None:
    assert list(found) == list(expected)
    for band, numbers in expected.items():
        assert found[band] == pytest.approx(numbers), band


def test_all_candidates_are_ranked_for_each_band() -> None:
    # The list is 0, 1 for all: one hit in the first place for user 0, none for the others.
    close(
        table(exclude_seen=False),
        {
            "all": (3, 0.5 / 3, 1 / TWO / 3),
            "none": (1, 0.5, 1 / TWO),
            "low": (1, 0, 0),
            "high": (1, 0, 0),
        },
    )


def test_what_was_seen_is_not_ranked_and_an_unseen_candidate_is_met_but_never_hit() -> None:
    # User 0: 0, 1. User 1 has seen 0: 1, 2. User 4 has seen all but 3: 3 alone.
    close(
        table(exclude_seen=True),
        {
            "all": (3, 2 / 3, (1 / TWO + SECOND / TWO + 1) / 3),
            "none": (1, 0.5, 1 / TWO),
            "low": (1, 0.5, SECOND / TWO),
            "high": (1, 1, 1),
        },
    )
    assert table(exclude_seen=True, k=4)["low"][1] == 0.5, "the candidate that is none cannot be reached"


def test_the_limit_of_low_history_is_inclusive_and_empty_bands_are_left_out() -> None:
    assert {band: row[0] for band, row in table(exclude_seen=True, low_history=3).items()} == {
        "all": 3,
        "none": 1,
        "low": 2,
    }


def test_buckets_of_history_are_bands_and_none_is_their_zero() -> None:
    rows = quality_table(
        QUESTION, {"down": descending}, k=2, low_history=1, exclude_seen=False, buckets=(0, 1, 2, 4, 8)
    )
    assert {row.band: row.users for row in rows[3:]} == {"high": 1, "1": 1, "2-3": 1}


def test_a_kind_of_candidates_is_looked_for_among_all_by_those_who_met_one() -> None:
    # Of the kind are candidate 3 and those that are none: user 0 met 3 and user 1 met 9, of no rank; user 4 met 3.
    kinds = {"new": np.array([False, False, False, True, True]), "old": np.array([True, False, False, False, False])}
    question = Question("live", QUESTION.users, QUESTION.relevant, HISTORY, kinds)
    for exclude_seen, new in ((False, (3, 0, 0)), (True, (3, 1 / 3, 1 / 3))):
        rows = quality_table(question, {"down": descending}, k=2, low_history=1, exclude_seen=exclude_seen)
        found = {row.band: (row.users, row.recall, row.ndcg) for row in rows}
        assert found["met: new"] == pytest.approx(new)
        assert found["met: old"] == (1, 1, 1)
        assert found["all"] == table(exclude_seen=exclude_seen)["all"]


def test_each_model_has_its_own_rows_on_the_same_users() -> None:
    scorers = {"down": descending, "up": lambda users: -descending(users)}
    rows = quality_table(QUESTION, scorers, k=1, low_history=1, exclude_seen=False)
    assert [(row.model, row.band) for row in rows] == [
        (model, band) for model in scorers for band in ("all", "none", "low", "high")
    ]
    recall = {(row.model, row.band): row.recall for row in rows}
    assert recall["up", "all"] == pytest.approx((0.5 + 0 + 1) / 3)


def test_users_are_scored_by_their_row_in_any_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[int]] = []

    def scorer(users: Any) -> Any:
        asked.append(users.tolist())
        return np.eye(5, 4)[users]

    whole = quality_table(QUESTION, {"own": scorer}, k=2, low_history=1, exclude_seen=True)
    monkeypatch.setattr(quality, "BATCH", 2)
    assert quality_table(QUESTION, {"own": scorer}, k=2, low_history=1, exclude_seen=True) == whole
    assert asked == [[0, 1, 4], [0, 1], [4]]


def test_nobody_to_ask_about_gives_no_rows() -> None:
    nobody = Question("live", np.zeros(0, np.int64), [], HISTORY)
    assert quality_table(nobody, {"down": descending}, k=2, low_history=1, exclude_seen=False) == []


def test_a_row_is_plain_data() -> None:
    row = QualityRow("live", "all", 3, "down", 2, 0.5, 0.25)
    assert row.as_dict() == {
        "target": "live",
        "band": "all",
        "users": 3,
        "model": "down",
        "k": 2,
        "recall": 0.5,
        "ndcg": 0.25,
    }
