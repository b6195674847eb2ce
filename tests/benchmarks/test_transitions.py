"""The untrained transition walk on cross-domain reviews, held to what an independent implementation got."""

from __future__ import annotations

import importlib.util
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
DATA = ROOT / ".." / "shared" / "data" / "amazon_cdsr"


def load() -> Any:
    spec = importlib.util.spec_from_file_location("transitions_benchmark", ROOT / "benchmarks" / "transitions.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.skipif(not DATA.is_dir(), reason="needs the reviews of two domains in ../shared/data/amazon_cdsr")
def test_three_steps_find_the_next_food_as_often_as_they_did_elsewhere() -> None:
    benchmark = load()
    *_, row = islice(benchmark.run(DATA, "afk"), 3)
    assert (row.domain, row.steps, row.users) == ("Food", 3, 2419)
    assert row.all_users[0] == pytest.approx(benchmark.UNORDERED_DAYS["Food"], abs=0.02)


def small(benchmark: Any) -> Any:
    columns = [(0, 1, 10), (0, 2, 20), (0, 3, 20), (1, 3, 5)]
    return benchmark.Reviews(*np.array(columns).T, np.array([-1, 0, 0, 0, *[0] * 1000]))


def test_events_of_one_day_are_equally_recent() -> None:
    benchmark = load()
    assert benchmark.interests(small(benchmark), 2).toarray()[:, :4].tolist() == [[0, 0.25, 1, 1], [0, 0, 0, 1]]


def test_negatives_are_different_items_that_the_user_never_reviewed() -> None:
    benchmark = load()
    asked = benchmark.candidates(small(benchmark), np.array([0, 1]), np.array([3, 3]), seed=0)
    assert asked.shape == (2, 1000)
    assert asked[:, -1].tolist() == [3, 3]
    assert not np.isin(asked[0, :-1], [0, 1, 2, 3]).any()
    assert all(len(set(row)) == 1000 for row in asked.tolist())
    assert (benchmark.candidates(small(benchmark), np.array([0, 1]), np.array([3, 3]), seed=0) == asked).all()


def test_missing_data_is_one_line_and_exit_code_two(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert load().main(["--data", str(tmp_path)]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "--data" in message
