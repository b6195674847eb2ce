"""The newest releases stay, with the current one, its parent and the pinned ones; the others go and stay readable
to who has them mapped."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from graphrep.contracts import Manifest
from graphrep.errors import InputError, PointerMovedError, StoreError
from graphrep.lookup import open_release
from graphrep.store import files, releases, retention
from made_release import AT, made, publish_made


def chain(warehouse: Path, days: int) -> list[str]:
    """So many days, each aligned to the one before."""
    ids: list[str] = []
    for day in range(1, days + 1):
        follows = {Manifest.PARENT: ids[-1], Manifest.NEW_SPACE: False} if ids else {}
        ids.append(publish_made(warehouse, f"2026-03-{day:02}", day, **follows))
    return ids


def test_the_newest_stay_with_the_parent_of_the_oldest(tmp_path: Path) -> None:
    ids = chain(tmp_path, 6)
    assert retention.expire(tmp_path, 3) == ids[:2]
    assert releases.list_releases(tmp_path) == ids[2:]
    assert releases.list_removed(tmp_path) == ids[:2]
    assert retention.expire(tmp_path, 3) == []
    assert all(releases.verify_release(tmp_path, r) for r in ids[2:])


def test_the_current_one_its_parent_and_pins_stay(tmp_path: Path) -> None:
    ids = chain(tmp_path, 7)
    releases.rollback(tmp_path, ids[2], at=AT)
    assert retention.expire(tmp_path, 1, [ids[0], "2020-01-01.1"]) == [ids[3], ids[4]]
    assert releases.list_releases(tmp_path) == [ids[0], ids[1], ids[2], ids[5], ids[6]]
    assert open_release(tmp_path, verify=True).release_id == ids[2]


def test_a_release_that_a_reader_holds_stays_until_it_lets_go(tmp_path: Path) -> None:
    ids = chain(tmp_path, 4)
    with retention.pinned(tmp_path, ids[0]) as path:
        assert retention.expire(tmp_path, 1) == [ids[1]]
        assert (path / releases.MANIFEST).is_file()
    assert retention.expire(tmp_path, 1) == [ids[0]]
    with pytest.raises(StoreError, match="expected a file, found none"), retention.pinned(tmp_path, ids[0]):
        pass


def test_what_is_mapped_is_not_torn_by_removal(tmp_path: Path) -> None:
    ids = chain(tmp_path, 4)
    opened = open_release(tmp_path, ids[0])
    before = opened.get("user", ["user1"]).vectors.copy()
    assert ids[0] in retention.expire(tmp_path, 1)
    assert np.array_equal(opened.get("user", ["user1"]).vectors, before)


def test_no_id_is_given_twice(tmp_path: Path) -> None:
    ids = chain(tmp_path, 4)
    retention.expire(tmp_path, 1)
    assert releases.stage_release(tmp_path, *made("2026-03-01", 1)) == ("2026-03-01.2", True)
    removed = json.loads((tmp_path / "releases" / releases.REMOVED / f"{ids[0]}.json").read_text())
    assert removed[Manifest.SEED] == 1


def test_a_rollback_to_a_removed_release_says_why_not(tmp_path: Path) -> None:
    ids = chain(tmp_path, 4)
    retention.expire(tmp_path, 1)
    with pytest.raises(InputError, match=rf"a release that is kept, found {ids[0]}, removed .*publish\.keep"):
        releases.rollback(tmp_path, ids[0], at=AT)
    assert open_release(tmp_path).release_id == ids[3]


def test_a_damaged_release_does_not_stop_removal(tmp_path: Path) -> None:
    ids = chain(tmp_path, 5)
    (releases.release_path(tmp_path, ids[3]) / releases.MANIFEST).write_bytes(b"{")
    assert retention.expire(tmp_path, 2) == ids[:3]


def test_half_removed_releases_are_swept(tmp_path: Path) -> None:
    chain(tmp_path, 2)
    left = tmp_path / "releases" / files.STAGING / "0.removed"
    left.mkdir()
    (left / "a.npy").touch()
    publish_made(tmp_path, "2026-03-05", 5)
    assert not left.exists()


FOLLOWING = [
    ({Manifest.PARENT: "2026-03-02.1", Manifest.NEW_SPACE: False}, None),
    ({Manifest.PARENT: None, Manifest.NEW_SPACE: True, Manifest.SPACE_ID: "t"}, None),
    ({Manifest.PARENT: "2026-03-02.1", Manifest.NEW_SPACE: True, Manifest.SPACE_ID: "t"}, None),
    ({Manifest.PARENT: "2026-03-01.1", Manifest.NEW_SPACE: False}, "aligned to the current 2026-03-02.1"),
    ({Manifest.PARENT: None, Manifest.NEW_SPACE: False}, "aligned to the current 2026-03-02.1"),
    (
        {Manifest.PARENT: "2026-03-02.1", Manifest.NEW_SPACE: False, Manifest.SPACE_ID: "t"},
        "does not say that it is new",
    ),
]


@pytest.mark.parametrize(("own", "refused"), FOLLOWING)
def test_a_release_follows_the_current_one_or_says_that_it_begins_anew(
    tmp_path: Path, own: dict[str, object], refused: str | None
) -> None:
    chain(tmp_path, 2)
    if refused is None:
        assert publish_made(tmp_path, "2026-03-03", 3, **own) == "2026-03-03.1"
        return
    with pytest.raises(PointerMovedError, match=refused):
        publish_made(tmp_path, "2026-03-03", 3, **own)
    assert open_release(tmp_path).release_id == "2026-03-02.1"
    releases.rollback(tmp_path, "2026-03-03.1", at=AT)  # an operator who names it gets it
    assert open_release(tmp_path).release_id == "2026-03-03.1"


def test_another_attempt_takes_the_place_of_its_day_and_a_whole_release_that_of_a_damaged_one(tmp_path: Path) -> None:
    chain(tmp_path, 2)
    own = {Manifest.PARENT: "2026-03-01.1", Manifest.NEW_SPACE: False}
    assert publish_made(tmp_path, "2026-03-02", 9, **own) == "2026-03-02.2"
    (releases.release_path(tmp_path, "2026-03-02.2") / releases.MANIFEST).write_bytes(b"{")
    own = {Manifest.PARENT: "2026-03-02.2", Manifest.NEW_SPACE: False}
    assert publish_made(tmp_path, "2026-03-03", 3, **own) == "2026-03-03.1"


def test_a_day_is_aligned_to_what_is_served_though_a_newer_one_was_staged(tmp_path: Path) -> None:
    chain(tmp_path, 2)
    releases.stage_release(tmp_path, *made("2026-03-02", 9))
    assert releases.served_before(tmp_path, "2026-03-03") == "2026-03-02.1"
    assert releases.served_before(tmp_path, "2026-03-02") == "2026-03-01.1"
