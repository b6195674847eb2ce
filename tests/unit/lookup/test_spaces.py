"""A release of a new space, read by a ranker of the old one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from graphrep.contracts import Manifest
from graphrep.errors import InputError, StoreError
from graphrep.lookup import Release, open_release
from graphrep.lookup.spaces import map_name
from graphrep.store import releases
from made_release import made

BACK = np.array([[0, 1, 2], [-1, 0, 1], [1, 1, 1], [0, 0, 3]], dtype=np.float32)
KEYS = ["user3", "nobody", "user0"]


def publish(warehouse: Path, *, whole: bool = True) -> Release:
    told = {"old": {"until": "2026-03-07", "anchors": 9, "held_out_residual": 0.1}}
    content, write = made("2026-03-01", 1, **{Manifest.SPACE_ID: "new", Manifest.MAPS: told})

    def fill(path: Path) -> None:
        write(path)
        if whole:
            np.save(path / f"{map_name('old')}.npy", BACK)

    return open_release(warehouse, releases.stage_release(warehouse, content, fill)[0])


def test_every_vector_goes_through_the_map_and_nothing_else_changes(tmp_path: Path) -> None:
    opened = publish(tmp_path)
    plain, read = opened.get("user", KEYS), opened.in_space("old").get("user", KEYS)
    np.testing.assert_array_equal(read.vectors, plain.vectors @ BACK)
    assert read.vectors.dtype == np.float32
    for name in ("found", "fallback", "source", "age_days", "degree"):
        assert getattr(read, name).tolist() == getattr(plain, name).tolist()


def test_the_own_space_is_read_as_it_is(tmp_path: Path) -> None:
    opened = publish(tmp_path)
    np.testing.assert_array_equal(opened.in_space("new").get("user", KEYS).vectors, opened.get("user", KEYS).vectors)


def test_another_space_is_refused_with_those_that_are_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a space of new, old, found 'older'"):
        publish(tmp_path).in_space("older")


def test_a_map_that_is_gone_is_a_damaged_release(tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        publish(tmp_path, whole=False).in_space("old")
