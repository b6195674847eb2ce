"""What disks do to files: a flipped bit, a missing, empty or half-written pointer; and manifests of another version."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from graphrep.contracts import SCHEMA_VERSION, Manifest
from graphrep.errors import GraphrepError, InputError, StoreError
from graphrep.lookup import open_release
from graphrep.store import files, releases
from made_release import AT, publish_made

FLIPS = 200


def verify_all(warehouse: Path) -> None:
    """What ``graphrep releases verify`` does."""
    releases.verify_pointer(warehouse)
    for release_id in releases.list_releases(warehouse):
        releases.verify_release(warehouse, release_id)


@pytest.fixture
def three(quick: Path) -> Path:
    ids: list[str] = []
    for day in (1, 2, 3):
        follows = {Manifest.PARENT: ids[-1], Manifest.NEW_SPACE: False} if ids else {}
        ids.append(publish_made(quick, f"2026-03-0{day}", day, **follows))
    return quick


def test_every_flipped_bit_is_found(three: Path) -> None:
    kinds: dict[str, list[Path]] = {}
    for path in sorted(p for p in three.rglob("*") if p.is_file() and not p.name.endswith("lock")):
        kind = path.suffix if path.suffix in (".npy", ".parquet") else path.name
        kinds.setdefault(kind, []).append(path)
    assert sorted(kinds) == [".npy", ".parquet", "CURRENT", "log.jsonl", "manifest.json"]
    verify_all(three)
    chance = random.Random(0)
    found = 0
    for n in range(FLIPS):
        path = chance.choice(kinds[sorted(kinds)[n % len(kinds)]])
        before = path.read_bytes()
        changed = bytearray(before)
        changed[chance.randrange(len(before))] ^= 1 << chance.randrange(8)
        path.write_bytes(changed)
        with pytest.raises(StoreError):
            verify_all(three)
        found += 1
        path.write_bytes(before)
    assert found == FLIPS
    verify_all(three)


POINTERS = {"missing": None, "empty": b"", "half": b'{\n "manifest_sha256": "ab', "zeros": bytes(100)}


@pytest.mark.parametrize("content", POINTERS.values(), ids=POINTERS.keys())
def test_a_pointer_that_is_gone_or_torn_is_told_and_restored_by_name(three: Path, content: bytes | None) -> None:
    pointer = three / releases.CURRENT
    if content is None:
        pointer.unlink()
    else:
        pointer.write_bytes(content)
    with pytest.raises(InputError if content is None else StoreError) as caught:
        open_release(three)
    assert "\n" not in str(caught.value)
    releases.rollback(three, "2026-03-03.1", at=AT)
    assert open_release(three, verify=True).release_id == "2026-03-03.1"
    verify_all(three)


def test_a_manifest_of_a_newer_version_is_told_and_left_by_a_rollback(three: Path) -> None:
    path = releases.release_path(three, "2026-03-03.1") / releases.MANIFEST
    content = {**files.read_json(path), Manifest.SCHEMA: SCHEMA_VERSION + 1, "something": "new"}
    path.write_bytes(files.json_bytes(content))
    pointer = {"release_id": "2026-03-03.1", "manifest_sha256": files.sha256(path)}
    (three / releases.CURRENT).write_bytes(files.json_bytes(pointer))
    with pytest.raises(StoreError, match=rf"found version {SCHEMA_VERSION + 1} .*; install the graphrep that wrote it"):
        open_release(three)
    releases.rollback(three, None, at=AT)
    assert open_release(three, verify=True).release_id == "2026-03-02.1"


def test_every_damage_leaves_the_publisher_one_line(three: Path) -> None:
    for name in ("CURRENT", "releases/log.jsonl"):
        before = (three / name).read_bytes()
        (three / name).write_bytes(before[: len(before) // 2 - 3])
        with pytest.raises(GraphrepError) as caught:
            publish_made(three, "2026-03-04", 4, **{Manifest.PARENT: "2026-03-03.1", Manifest.NEW_SPACE: False})
        assert name.split("/")[-1] in str(caught.value)
        (three / name).write_bytes(before)
        assert open_release(three, verify=True).release_id == "2026-03-03.1"
