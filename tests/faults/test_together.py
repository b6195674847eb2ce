"""Many at once: readers under a pointer that moves, and publishers of one day."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Driver = Callable[..., Any]


def test_2000_swaps_under_4_readers_tear_no_read(quick: Path, driver: Driver) -> None:
    found = driver("swap_under_readers", quick, 2000, 4)
    assert found["codes"] == [0, 0, 0, 0]
    assert set(found["reads"]) == {"2026-03-01.1", "2026-03-02.1"}
    assert found["log"] == 2 + 2000, "every swap is in the log"


@pytest.mark.parametrize("publishers", [2, 4, 8])
def test_of_publishers_of_one_day_one_wins_and_the_others_say_so(quick: Path, driver: Driver, publishers: int) -> None:
    found = driver("race", quick, publishers)
    won = [told for how, told in found["told"] if how == "won"]
    lost = [told for how, told in found["told"] if how == "lost"]
    assert won == [found["current"]]
    assert len(lost) == publishers - 1
    assert all(f"expected 2026-03-02.1 to be current, found {won[0]}" in told for told in lost)
    assert len(found["kept"]) == 2 + publishers, "no release is lost"
    assert found["log"] == ["2026-03-01.1", "2026-03-02.1", won[0]]
