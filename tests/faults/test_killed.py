"""A publisher that is killed, wherever, leaves a whole release to its readers and its work to the next."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

Driver = Callable[..., Any]


def test_killed_at_every_point_a_reader_sees_a_whole_release_and_a_rerun_ends_in_the_same_bytes(
    quick: Path, driver: Driver
) -> None:
    found = driver("kill_at_every_point", quick)
    assert found["points"] >= 50
    assert {"open to write", "flush", "os.rename", "os.mkdir", "os.remove", "fcntl.flock"} <= set(found["kinds"])
    assert set(found["seen"]) == {"2026-03-02.1", "2026-03-03.1"}
    assert sum(found["seen"].values()) == found["points"]


def test_killed_inside_a_write_a_reader_sees_a_whole_release_and_a_rerun_ends_in_the_same_bytes(
    quick: Path, driver: Driver
) -> None:
    found = driver("kill_inside_writes", quick)
    assert found["sizes"] >= 10
    assert found["killed"] == found["sizes"]
