"""Nothing in a release leads out of it: names, links, pipes and devices are refused before they are opened."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from graphrep.contracts import Manifest
from graphrep.errors import GraphrepError, InputError
from graphrep.lookup import open_release
from graphrep.store import files, manifests, releases, safe_paths
from made_release import whole_content, write_type

SECRET = "what the reader may see and others may not"


def published(warehouse: Path) -> Path:
    """A warehouse with one release, current."""

    def fill(path: Path) -> None:
        write_type(path, "user", {"u1": [1, 0], "u2": [0, 1], "u3": [0, 0]})

    whole = whole_content("2026-03-01", **{Manifest.NODE_TYPES: {"user": {"count": 3, "dim": 2}}})
    release_id, _ = releases.stage_release(warehouse, whole, fill)
    at = dt.datetime(2026, 3, 2, tzinfo=dt.UTC)
    releases.switch(warehouse, release_id, expected=None, action=releases.PUBLISH, at=at)
    return warehouse


@pytest.fixture
def warehouse(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_text(SECRET)
    return published(tmp_path)


IDS = [
    "..",
    "../../secret",
    "/etc/passwd",
    "2026-03-01.1/../../../secret",
    "2026-03-01.1\0",
    "2026-03-01.1\n",
    " 2026-03-01.1",
    "2026-03-01.0",
    "2026-03-01.01",
    "2026-03-01.1000000",
    "２０２６-03-01.1",
    "2026-03-01.1" + "1" * 5000,
    "",
    ".",
    "~",
    "2026-03-01.*",
    "..\\..\\secret",
]


@pytest.mark.parametrize("release_id", IDS)
def test_an_id_that_leads_elsewhere_is_refused(warehouse: Path, release_id: str) -> None:
    for use in (releases.release_path, releases.read_manifest, releases.verify_release, open_release):
        with pytest.raises(InputError, match=r"^expected a release id such as 2026-03-14\.1, found "):
            use(warehouse, release_id)


NAMES = [
    "../manifest.json",
    "../../../secret",
    "/etc/passwd",
    "a/../../x",
    "a/b",
    "a\\b",
    "..",
    ".",
    "",
    ".hidden",
    "nul\0.npy",
    "line\n.npy",
    "bell\a.npy",
    "override\u202e.npy",
    "x" * 256,
    "x" * 100_000,
    "é" * 128,
]


def change_manifest(warehouse: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """As an attacker would who can write everything: the pointer agrees with the manifest."""
    (path,) = (warehouse / "releases").glob("*/manifest.json")
    manifest = json.loads(path.read_bytes())
    change(manifest)
    path.write_bytes(manifests.encode({key: value for key, value in manifest.items() if key != Manifest.SHA256}))
    pointer = json.loads((warehouse / "CURRENT").read_bytes())
    files.write_json(warehouse / "CURRENT", {**pointer, "manifest_sha256": files.sha256(path)})


@pytest.mark.parametrize("name", NAMES)
def test_a_manifest_that_lists_what_lies_elsewhere_is_refused(warehouse: Path, name: str) -> None:
    with pytest.raises(GraphrepError, match=r"^expected a plain name of a file, found ") as caught:
        safe_paths.check_name(name, "here")
    assert len(str(caught.value)) < 200
    assert "\n" not in str(caught.value)
    entry = {"sha256": "0" * 64, "bytes": len(SECRET)}
    change_manifest(warehouse, lambda manifest: manifest[Manifest.FILES].update({name: entry}))
    for use in (open_release, lambda place: releases.verify_release(place, "2026-03-01.1")):
        with pytest.raises(GraphrepError) as caught:
            use(warehouse)
        assert "\n" not in str(caught.value)


def link_to_itself(path: Path) -> None:
    path.symlink_to(path)


def link_to_copy(path: Path) -> None:
    copy = path.parents[3] / "copy"
    path.rename(copy)
    path.symlink_to(copy)


def link_to_zero(path: Path) -> None:
    path.symlink_to("/dev/zero")


def device(path: Path) -> None:
    os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 5))


KINDS = [link_to_itself, link_to_copy, link_to_zero, os.mkfifo, Path.mkdir, device]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("name", ["manifest.json", "user.vectors.npy"])
def test_what_is_no_plain_file_is_refused_unopened(warehouse: Path, name: str, kind: Callable[[Path], Any]) -> None:
    (path,) = (warehouse / "releases").glob(f"*/{name}")
    if kind is not link_to_copy:
        path.unlink()
    try:
        kind(path)
    except PermissionError:  # who may not make a device cannot attack with one
        os.mkfifo(path)
    for use in (open_release, lambda place: releases.verify_release(place, "2026-03-01.1")):
        with pytest.raises(GraphrepError) as caught:
            use(warehouse)
        assert "\n" not in str(caught.value)


def test_a_release_that_is_a_link_is_refused(warehouse: Path, tmp_path: Path) -> None:
    (path,) = (warehouse / "releases").glob("2026*")
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(GraphrepError, match="expected a directory, found a symbolic link"):
        open_release(warehouse)


def test_a_manifest_without_end_is_refused(warehouse: Path) -> None:
    (path,) = (warehouse / "releases").glob("*/manifest.json")
    os.truncate(path, 1 << 33)
    with pytest.raises(GraphrepError, match="expected at most 67108864 bytes, found 8589934592"):
        open_release(warehouse)


@pytest.fixture
def open_place() -> Iterator[Path]:
    """Where everybody may look: those of pytest are for their owner alone."""
    place = Path(tempfile.mkdtemp())
    place.chmod(0o755)
    yield place
    shutil.rmtree(place)


READER = """
import os, pathlib, sys
from graphrep.lookup import open_release
open_release(sys.argv[1]).get("user", ["u1"])  # what is imported late lies where others may not look
if os.getuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
warehouse = pathlib.Path(sys.argv[1])
for path in [warehouse, *warehouse.rglob("*")]:
    assert not os.access(path, os.W_OK), path
release = open_release(warehouse, verify=True)
key = release.keys("user")[0]
assert release.get("user", [key, "nobody"]).found.tolist() == [True, False]
release.neighbors("user", key, "user", 1)
print(release.release_id)
"""


def test_a_reader_that_may_write_nothing_reads(open_place: Path) -> None:
    warehouse = published(open_place)
    for path in [*warehouse.rglob("*"), warehouse]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = sorted((str(p), p.lstat().st_mtime_ns) for p in warehouse.rglob("*"))
    done = subprocess.run([sys.executable, "-c", READER, str(warehouse)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "2026-03-01.1\n"), done.stderr
    assert sorted((str(p), p.lstat().st_mtime_ns) for p in warehouse.rglob("*")) == before
