"""A release is whole and never changes; the pointer moves last, by compare-and-set."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graphrep.contracts import SCHEMA_VERSION, Manifest
from graphrep.errors import GraphrepError, InputError, PointerMovedError, StoreError
from graphrep.lookup import open_release
from graphrep.store import files, releases
from made_release import whole_content

AT = dt.datetime(2026, 3, 2, 4, 30, tzinfo=dt.UTC)
DAY = "2026-03-01"

PUBLISHER = """
import datetime as dt, json, os, pathlib, signal, sys
from graphrep.errors import PointerMovedError
from graphrep.store import releases
warehouse, seed, moment = pathlib.Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
seen = releases.read_pointer(warehouse)
def write(path):
    (path / "a").write_bytes(b"a")
    if moment == "while staging":
        os.kill(os.getpid(), signal.SIGKILL)
release_id, _ = releases.stage_release(warehouse, {**json.loads(sys.argv[4]), "seed": seed}, write)
if moment == "before the switch":
    os.kill(os.getpid(), signal.SIGKILL)
print("staged", flush=True)
sys.stdin.readline()
try:
    releases.switch(warehouse, release_id, expected=seen, action="publish", at=dt.datetime.now(dt.UTC))
    print("won", release_id)
except PointerMovedError:
    print("lost", release_id)
"""


def fill(path: Path) -> None:
    (path / "a.bin").write_bytes(b"abc" * 100)
    np.save(path / "user.vectors.npy", np.eye(3, dtype=np.float32))


def stage(warehouse: Path, ds: str = DAY, **content: Any) -> str:
    return releases.stage_release(warehouse, whole_content(ds, **content), fill)[0]


def publish(warehouse: Path, ds: str = DAY, **content: Any) -> str:
    release_id = stage(warehouse, ds, **content)
    pointer = releases.read_pointer(warehouse)
    releases.switch(warehouse, release_id, expected=pointer, action="publish", at=AT)
    return release_id


def current(warehouse: Path) -> str | None:
    pointer = releases.read_pointer(warehouse)
    return pointer and pointer.release_id


def start_publisher(warehouse: Path, seed: int, moment: str) -> subprocess.Popen[str]:
    command = [
        sys.executable,
        "-c",
        PUBLISHER,
        str(warehouse),
        str(seed),
        moment,
        json.dumps(whole_content("2026-03-02")),
    ]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_a_staged_release_lists_every_file_with_its_hash_and_size(tmp_path: Path) -> None:
    release_id = stage(tmp_path)
    path = releases.release_path(tmp_path, release_id)
    manifest = releases.read_manifest(tmp_path, release_id)
    assert release_id == f"{DAY}.1"
    assert set(manifest[Manifest.FILES]) == {"a.bin", "user.vectors.npy"}
    for name, entry in manifest[Manifest.FILES].items():
        assert entry == {"sha256": files.sha256(path / name), "bytes": (path / name).stat().st_size}
    assert manifest[Manifest.SCHEMA] == SCHEMA_VERSION
    assert releases.verify_release(tmp_path, release_id) == 2
    assert current(tmp_path) is None, "staging publishes nothing"


def test_a_release_is_not_touched_by_later_ones(tmp_path: Path) -> None:
    path = releases.release_path(tmp_path, stage(tmp_path))
    before = {p.name: (p.read_bytes(), p.stat().st_mtime_ns, p.stat().st_ino) for p in path.iterdir()}
    stage(tmp_path)
    stage(tmp_path, seed=1)
    assert {p.name: (p.read_bytes(), p.stat().st_mtime_ns, p.stat().st_ino) for p in path.iterdir()} == before


@pytest.mark.parametrize("metric", [[0.5], [math.nan], [{"k": [1, math.nan]}]])
def test_the_same_content_is_the_same_release(tmp_path: Path, metric: Any) -> None:
    content = whole_content(DAY, **{Manifest.METRICS: metric})
    assert releases.stage_release(tmp_path, content, fill) == (f"{DAY}.1", True)
    assert releases.stage_release(tmp_path, content, fill) == (f"{DAY}.1", False)
    assert releases.list_releases(tmp_path) == [f"{DAY}.1"]
    assert list((tmp_path / "releases" / files.STAGING).iterdir()) == []


def test_other_content_or_other_files_are_the_next_attempt(tmp_path: Path) -> None:
    ids = [stage(tmp_path, seed=seed) for seed in range(11)]
    assert ids == [f"{DAY}.{n}" for n in range(1, 12)]
    content = whole_content(DAY)
    other = releases.stage_release(tmp_path, content, lambda path: (path / "a.bin").touch())
    assert other == (f"{DAY}.12", True)
    assert releases.list_releases(tmp_path) == [f"{DAY}.{n}" for n in range(1, 13)], "10 after 9"


def test_a_damaged_release_is_made_again_as_the_next_attempt(tmp_path: Path) -> None:
    broken = releases.release_path(tmp_path, publish(tmp_path))
    (broken / "a.bin").write_bytes(b"abd" * 100)
    assert publish(tmp_path) == f"{DAY}.2"
    (releases.release_path(tmp_path, f"{DAY}.2") / releases.MANIFEST).write_bytes(b"")
    assert publish(tmp_path) == f"{DAY}.3"
    assert releases.verify_release(tmp_path, f"{DAY}.3") == 2


def test_releases_staged_at_the_same_time_get_ids_of_their_own(tmp_path: Path) -> None:
    def write_slowly(path: Path) -> None:
        fill(path)
        time.sleep(0.02)

    def stage_one(seed: int) -> str:
        return releases.stage_release(tmp_path, whole_content(DAY, seed=seed), write_slowly)[0]

    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(stage_one, range(8)))
    assert sorted(ids) == releases.list_releases(tmp_path) == [f"{DAY}.{n}" for n in range(1, 9)]
    assert [releases.read_manifest(tmp_path, release_id)["seed"] for release_id in ids] == list(range(8))


def test_a_writer_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fail(path: Path) -> None:
        fill(path)
        raise KeyError("of the caller")

    with pytest.raises(KeyError, match="of the caller"):
        releases.stage_release(tmp_path, whole_content(DAY), fail)
    assert releases.list_releases(tmp_path) == []
    assert list((tmp_path / "releases" / files.STAGING).iterdir()) == []


def test_the_switch_moves_the_pointer_and_writes_it_down(tmp_path: Path) -> None:
    first, second = publish(tmp_path), publish(tmp_path, "2026-03-02")
    pointer = releases.read_pointer(tmp_path)
    manifest = releases.release_path(tmp_path, second) / releases.MANIFEST
    assert pointer == releases.Pointer(second, files.sha256(manifest))
    lines = (tmp_path / "releases" / releases.LOG).read_text().splitlines()
    at = AT.isoformat()
    told = [{key: value for key, value in json.loads(line).items() if key != "sha256"} for line in lines]
    assert told == [
        {"action": "publish", "at": at, "from": None, "to": first},
        {"action": "publish", "at": at, "from": first, "to": second},
    ]


def test_a_switch_that_was_done_already_changes_nothing(tmp_path: Path) -> None:
    release_id = publish(tmp_path)
    before = (tmp_path / releases.CURRENT).stat().st_ino
    releases.switch(tmp_path, release_id, expected=None, action="publish", at=AT)
    assert (tmp_path / releases.CURRENT).stat().st_ino == before
    assert len((tmp_path / "releases" / releases.LOG).read_text().splitlines()) == 1


def test_a_pointer_that_moved_meanwhile_is_not_moved_again(tmp_path: Path) -> None:
    seen = releases.read_pointer(tmp_path)
    mine = stage(tmp_path, seed=1)
    theirs = publish(tmp_path, seed=2)
    with pytest.raises(PointerMovedError, match=rf"expected nothing to be current, found {theirs} .*; run again"):
        releases.switch(tmp_path, mine, expected=seen, action="publish", at=AT)
    assert current(tmp_path) == theirs
    assert releases.verify_release(tmp_path, mine) == 2


def test_of_two_racing_publishers_one_wins_and_nothing_is_lost(tmp_path: Path) -> None:
    first = publish(tmp_path)
    racers = [start_publisher(tmp_path, seed, "never") for seed in (1, 2)]
    for racer in racers:
        assert racer.stdout
        assert racer.stdout.readline() == "staged\n"
    for racer in racers:
        assert racer.stdin
        racer.stdin.write("go\n")
        racer.stdin.flush()
    told = sorted(racer.communicate(timeout=60)[0].split() for racer in racers)
    assert [words[0] for words in told] == ["lost", "won"]
    assert current(tmp_path) == told[1][1]
    assert releases.list_releases(tmp_path) == [first, "2026-03-02.1", "2026-03-02.2"]
    assert all(releases.verify_release(tmp_path, release_id) for release_id in releases.list_releases(tmp_path))
    assert len((tmp_path / "releases" / releases.LOG).read_text().splitlines()) == 2


@pytest.mark.parametrize("moment", ["while staging", "before the switch"])
def test_a_publisher_killed_on_the_way_leaves_the_old_release_served(tmp_path: Path, moment: str) -> None:
    old = publish(tmp_path)
    killed = start_publisher(tmp_path, 1, moment)
    killed.communicate(timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert open_release(tmp_path, verify=True).release_id == old
    staged = ["2026-03-02.1"] if moment == "before the switch" else []
    assert releases.list_releases(tmp_path) == [old, *staged]
    again = start_publisher(tmp_path, 1, "never")
    assert again.communicate("go\n", timeout=60)[0].split() == ["staged", "won", "2026-03-02.1"]
    assert open_release(tmp_path, verify=True).release_id == "2026-03-02.1"


def test_a_reader_never_sees_half_a_pointer(tmp_path: Path) -> None:
    ids = [publish(tmp_path, seed=seed) for seed in (1, 2)]
    stop = threading.Event()

    def turn() -> None:
        for n in range(60):
            releases.switch(tmp_path, ids[n % 2], expected=releases.read_pointer(tmp_path), action="rollback", at=AT)
        stop.set()

    thread = threading.Thread(target=turn)
    thread.start()
    seen = set()
    while not stop.is_set():
        seen.add(open_release(tmp_path).release_id)
    thread.join()
    assert seen <= set(ids)


def flip(path: Path) -> None:
    content = bytearray((path / "user.vectors.npy").read_bytes())
    content[-1] ^= 1
    (path / "user.vectors.npy").write_bytes(content)


def truncate(path: Path) -> None:
    os.truncate(path / "a.bin", 10)


def remove(path: Path) -> None:
    (path / "a.bin").unlink()


def add(path: Path) -> None:
    (path / "stray.bin").touch()


@pytest.mark.parametrize(
    ("damage", "named"), [(flip, "user.vectors.npy"), (truncate, "a.bin"), (remove, "a.bin"), (add, "stray.bin")]
)
def test_a_damaged_release_does_not_become_current(tmp_path: Path, damage: Any, named: str) -> None:
    old = publish(tmp_path)
    new = stage(tmp_path, "2026-03-02")
    damage(releases.release_path(tmp_path, new))
    with pytest.raises(StoreError, match=named):
        releases.switch(tmp_path, new, expected=releases.read_pointer(tmp_path), action="publish", at=AT)
    assert current(tmp_path) == old


def test_rollback_goes_to_the_release_before_or_to_the_named_one(tmp_path: Path) -> None:
    ids = [publish(tmp_path, ds) for ds in ("2026-03-01", "2026-03-02", "2026-03-03")]
    assert releases.rollback(tmp_path, None, at=AT).release_id == ids[1] == current(tmp_path)
    assert releases.rollback(tmp_path, None, at=AT).release_id == ids[0] == current(tmp_path)
    with pytest.raises(InputError, match=rf"a release before the current one, found only {ids[0]}"):
        releases.rollback(tmp_path, None, at=AT)
    assert releases.rollback(tmp_path, ids[2], at=AT).release_id == ids[2] == current(tmp_path)
    log = [json.loads(line) for line in (tmp_path / "releases" / releases.LOG).read_text().splitlines()]
    assert [entry["action"] for entry in log] == ["publish"] * 3 + ["rollback"] * 3


def test_rollback_without_a_release_or_to_an_unknown_one_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a current release, found none"):
        releases.rollback(tmp_path, None, at=AT)
    release_id = publish(tmp_path)
    with pytest.raises(InputError, match=rf"one of the releases \['{release_id}'\], found 2025-01-01.1"):
        releases.rollback(tmp_path, "2025-01-01.1", at=AT)
    assert current(tmp_path) == release_id


def test_a_lost_pointer_is_restored_by_naming_a_release(tmp_path: Path) -> None:
    release_id = publish(tmp_path)
    (tmp_path / releases.CURRENT).unlink()
    with pytest.raises(InputError, match="name the release"):
        releases.rollback(tmp_path, None, at=AT)
    assert releases.rollback(tmp_path, release_id, at=AT).release_id == release_id == current(tmp_path)


def test_what_a_killed_writer_left_is_swept_by_the_next(tmp_path: Path) -> None:
    left = tmp_path / "releases" / ".staging" / "0123" / "user.vectors.npy"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    publish(tmp_path)
    assert not left.exists()


@pytest.mark.parametrize(
    "name",
    ["../x", "", ".", "..", "/etc", "2026-03-01", "2026-03-01.0", "2026-03-01.1/..", "2026-03-01.1\n", "２026-03-01.1"],
)
def test_a_name_that_is_no_release_id_is_refused(tmp_path: Path, name: str) -> None:
    publish(tmp_path)
    for call in (releases.release_path, releases.read_manifest, releases.verify_release, open_release):
        with pytest.raises(InputError, match="a release id such as"):
            call(tmp_path, name)
    with pytest.raises(InputError, match="a release id such as"):
        releases.rollback(tmp_path, name, at=AT)


POINTERS = {
    "empty": b"",
    "half": b'{"manifest_sha256": "ab',
    "not text": b"\xff\xfe\x00",
    "null": b"null",
    "list": b"[]",
    "other keys": b'{"release": "2026-03-01.1"}',
    "number": b'{"release_id": 7, "manifest_sha256": "ab"}',
    "null id": b'{"release_id": null, "manifest_sha256": "ab"}',
    "list id": b'{"release_id": [], "manifest_sha256": "ab"}',
    "no id": b'{"release_id": "latest", "manifest_sha256": "ab"}',
    "way out": b'{"release_id": "../x", "manifest_sha256": "ab"}',
    "unknown": b'{"release_id": "2020-01-01.1", "manifest_sha256": "ab"}',
    "other hash": b'{"release_id": "2026-03-02.1", "manifest_sha256": "ab"}',
}


@pytest.mark.parametrize("content", POINTERS.values(), ids=POINTERS.keys())
def test_a_damaged_pointer_is_one_line(tmp_path: Path, content: bytes) -> None:
    publish(tmp_path)
    publish(tmp_path, "2026-03-02")
    (tmp_path / releases.CURRENT).write_bytes(content)
    with pytest.raises((StoreError, InputError)) as caught:
        open_release(tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)
    # It names no release, or one that is there in some order: either way no other kind of error.
    with contextlib.suppress(GraphrepError):
        releases.rollback(tmp_path, None, at=AT)


def test_a_pointer_that_is_a_directory_is_one_line(tmp_path: Path) -> None:
    (tmp_path / releases.CURRENT).mkdir()
    with pytest.raises(StoreError, match="CURRENT"):
        open_release(tmp_path)


MANIFESTS = {
    "empty": b"",
    "list": b"[]",
    "object": b"{}",
    "version alone": b'{"schema_version": 2}',
    "older version": b'{"files": {}, "schema_version": 1, "release_id": "2026-03-01.1"}',
    "newer version": b'{"files": {}, "schema_version": 99, "release_id": "2026-03-01.1"}',
}


@pytest.mark.parametrize("content", MANIFESTS.values(), ids=MANIFESTS.keys())
def test_a_damaged_manifest_is_one_line(tmp_path: Path, content: bytes) -> None:
    release_id = publish(tmp_path)
    path = releases.release_path(tmp_path, release_id) / releases.MANIFEST
    path.write_bytes(content)
    for call in (releases.read_manifest, releases.verify_release, open_release):
        with pytest.raises(StoreError) as caught:
            call(tmp_path, release_id)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("place", ["file", "file/inside", "/proc/nowhere", "/proc/self"])
def test_a_warehouse_that_cannot_be_written_is_named(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError) as caught:
        stage(tmp_path / place)
    assert str(tmp_path / place) in str(caught.value)


def test_directories_that_are_no_releases_are_not_listed(tmp_path: Path) -> None:
    release_id = publish(tmp_path)
    root = tmp_path / "releases"
    shutil.copytree(root / release_id, root / f"{release_id}.bak")
    (root / "2026-03-05.1").mkdir()
    assert releases.list_releases(tmp_path) == [release_id]
    assert releases.list_releases(tmp_path / "nowhere") == []


def test_the_release_before_a_day_is_of_an_earlier_day(tmp_path: Path) -> None:
    stage(tmp_path, "2026-03-01")
    second = stage(tmp_path, "2026-03-01", seed=1)
    stage(tmp_path, "2026-03-02")
    assert releases.served_before(tmp_path, "2026-03-02") == second
    assert releases.served_before(tmp_path, "2026-03-01") is None


def test_what_a_rollback_went_back_behind_is_no_days_parent_until_it_is_named_again(tmp_path: Path) -> None:
    ids = [publish(tmp_path, ds) for ds in ("2026-03-01", "2026-03-02", "2026-03-03")]
    assert releases.withdrawn(tmp_path) == set()
    releases.rollback(tmp_path, ids[0], at=AT)
    assert releases.withdrawn(tmp_path) == set(ids[1:])
    assert releases.served_before(tmp_path, "2026-03-04") == ids[0]
    releases.rollback(tmp_path, ids[2], at=AT)
    assert releases.withdrawn(tmp_path) == {ids[1]}
    assert releases.served_before(tmp_path, "2026-03-04") == ids[2]


def test_a_damaged_pointer_is_restored_by_naming_a_release(tmp_path: Path) -> None:
    release_id = publish(tmp_path)
    (tmp_path / releases.CURRENT).write_text("{")
    with pytest.raises(StoreError):
        releases.rollback(tmp_path, None, at=AT)
    assert releases.rollback(tmp_path, release_id, at=AT).release_id == release_id == current(tmp_path)


def test_an_array_of_a_release_is_mapped_and_a_missing_one_named(tmp_path: Path) -> None:
    release_id = publish(tmp_path)
    assert releases.open_array(tmp_path, release_id, "user.vectors").tolist() == np.eye(3).tolist()
    with pytest.raises(StoreError, match=r"host\.vectors\.npy"):
        releases.open_array(tmp_path, release_id, "host.vectors")
