"""Files are whole or absent, whatever breaks in between."""

from __future__ import annotations

import errno
import hashlib
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from graphrep.errors import StoreError
from graphrep.store import files


def names(path: Path) -> list[str]:
    return sorted(p.name for p in path.iterdir())


def test_a_written_file_replaces_the_old_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.json"
    files.write_json(path, {"b": 1, "a": "é"})
    files.write_json(path, {"b": 2, "a": "é"})
    assert files.read_json(path) == {"a": "é", "b": 2}
    assert names(path.parent) == ["a.json"]


def test_who_has_the_old_file_open_reads_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    files.write_bytes(path, b"old")
    with path.open("rb") as handle:
        files.write_bytes(path, b"new")
        assert handle.read() == b"old"
    assert path.read_bytes() == b"new"


def test_equal_json_is_equal_bytes_whatever_the_order_of_its_keys() -> None:
    assert files.json_bytes({"a": 1, "b": 2}) == files.json_bytes({"b": 2, "a": 1})
    assert files.json_bytes({}).endswith(b"\n")


def test_a_full_disk_keeps_the_old_file_and_leaves_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a"
    files.write_bytes(path, b"old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match=r"No space left on device .*/a\]"):
        files.write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a"]


def test_a_writer_killed_half_way_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    files.write_bytes(path, b"old")
    code = (
        "import os, signal, sys, pathlib; from graphrep.store import files;"
        "os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL);"
        "files.write_bytes(pathlib.Path(sys.argv[1]), b'new')"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    assert path.read_bytes() == b"old"


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"{'a': 1}"])
def test_what_is_not_json_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"expected JSON, found \d+ bytes that are not .*a\.json"):
        files.read_json(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    for read in (files.read_json, files.sha256, files.map_array):
        with pytest.raises(StoreError, match=r"expected a file, found none .*nothing\.json"):
            read(tmp_path / "nothing.json")


def test_sha256_is_that_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc" * 100_000)
    assert files.sha256(tmp_path / "a") == hashlib.sha256(b"abc" * 100_000).hexdigest()


@pytest.mark.parametrize("inside", ["file/a", "/proc/nowhere/a", "/proc/self/a"])
def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, inside: str) -> None:
    (tmp_path / "file").touch()
    path = tmp_path / inside
    with pytest.raises(StoreError) as caught:
        files.write_bytes(path, b"")
    assert str(path) in str(caught.value)
    with pytest.raises(StoreError), files.locked(path):
        pass
    with pytest.raises(StoreError), files.staging_directory(path):
        pass


def test_a_staged_directory_appears_whole_and_replaces_the_old(tmp_path: Path) -> None:
    final = tmp_path / "table" / "ds=1"
    for content in ("old", "new"):
        with files.staged_directory(final) as staging:
            (staging / content).touch()
            assert not (final / content).exists()
    assert names(final) == ["new"]
    assert names(final.parent / files.STAGING) == []


def test_a_staged_directory_that_fails_is_removed_and_the_old_stays(tmp_path: Path) -> None:
    final = tmp_path / "table"
    with files.staged_directory(final) as staging:
        (staging / "old").touch()

    def fail() -> None:
        with files.staged_directory(final) as staging:
            (staging / "new").touch()
            raise KeyError("of the caller")

    with pytest.raises(KeyError, match="of the caller"):
        fail()
    assert names(final) == ["old"]
    assert names(tmp_path / files.STAGING) == []


def test_a_lock_keeps_others_out_until_its_holder_dies(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    code = (
        "import sys, pathlib; from graphrep.store import files\n"
        "with files.locked(pathlib.Path(sys.argv[1])):\n"
        "    print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == b"held\n"
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as waiter:
            assert waiter.stdout
            assert not select.select([waiter.stdout], [], [], 0.5)[0], "it waits"
            holder.kill()
            assert select.select([waiter.stdout], [], [], 30)[0]
            assert waiter.stdout.readline() == b"held\n"
            waiter.kill()


def test_arrays_are_mapped_read_only(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.arange(6, dtype=np.float32).reshape(2, 3))
    np.save(tmp_path / "none.npy", np.zeros((0, 3)))
    array = files.map_array(tmp_path / "a.npy")
    assert isinstance(array, np.memmap)
    assert array.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert not array.flags.writeable
    assert files.map_array(tmp_path / "none.npy").shape == (0, 3)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::SyntaxWarning")
def test_a_damaged_array_is_a_store_error_wherever_the_damage_is(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    np.save(path, np.arange(4))
    good = path.read_bytes()
    damaged = [good[:length] for length in range(len(good))]
    damaged += [good[:at] + bytes([good[at] ^ (1 << bit)]) + good[at + 1 :] for at in range(128) for bit in range(8)]
    refused = []
    for content in [*damaged, b"PK\x03\x04", b"\x80\x04."]:
        path.write_bytes(content)
        try:
            files.map_array(path)
        except StoreError as error:
            refused.append(str(error))
    assert len(refused) > len(good) + 900
    assert set(refused) == {f"expected a numpy array, found other bytes [{path}]"}


def test_an_array_of_objects_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(StoreError, match="a numpy array"):
        files.map_array(tmp_path / "a.npy")
