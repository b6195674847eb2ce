"""A delivered request of erasure is done once, an empty one never, and a bad one is told after the others were done."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from conftest import Place
from graphrep.cli import app
from graphrep.errors import InputError, StoreError
from graphrep.lookup import open_release
from graphrep.pipeline import erase_requests as module
from graphrep.pipeline.erase_requests import erase_requests
from graphrep.store import requests

DAY = "2026-03-01"
AT = dt.datetime(2026, 3, 2, tzinfo=dt.UTC)


@pytest.fixture
def folder(still_place: Place) -> Path:
    path = still_place.root / "asked"
    path.mkdir()
    still_place.configure(lambda own: own.update(operations={"erasure_requests": str(path)}))
    return path


@pytest.fixture
def place(still_place: Place, folder: Path, publish_vectors: Any) -> Place:
    own = {kind: {f"{kind}-{i}": [1.0, i, 0.0] for i in range(6)} for kind in ("host", "user")}
    publish_vectors(still_place.warehouse, DAY, own)
    return still_place


def left(place: Place, node_type: str) -> list[str]:
    return sorted(open_release(place.warehouse).keys(node_type))


def test_new_files_are_done_in_one_erasure_and_not_again(place: Place, folder: Path) -> None:
    (folder / "a.txt").write_text("user-1\nhost\thost-2\n")
    (folder / "b.txt").write_text("user-3\n")
    (folder / "c.txt").write_text(" \n")
    (folder / ".b.txt.part").write_text("user")
    found = erase_requests(place.run(), at=AT)
    assert (found["files"], found["erased"]["keys"]) == (2, {"host": 1, "user": 2})
    assert found["erased"]["releases"]["renewed"] == {f"{DAY}.1": f"{DAY}.2"}
    assert left(place, "user") == ["user-0", "user-2", "user-4", "user-5"]
    assert "host-2" not in left(place, "host")
    assert erase_requests(place.run(), at=AT) == {"files": 0, "erased": None}
    (folder / "b.txt").write_text("user-3\nuser-4\n")
    found = erase_requests(place.run(), at=AT)
    assert (found["files"], found["erased"]["remembered"]) == (1, 1), "it has changed"


def test_no_setting_and_no_file_do_nothing(place: Place, folder: Path) -> None:
    assert erase_requests(place.run(), at=AT) == {"files": 0, "erased": None}
    place.configure()
    assert erase_requests(place.run(), at=AT) == {"files": 0, "erased": None}


def test_a_bad_file_is_told_after_the_others_were_done(place: Place, folder: Path) -> None:
    (folder / "a.txt").write_text("nobody\tx\n")
    (folder / "b.txt").write_text("user-3\n")
    for _ in range(2):
        with pytest.raises(InputError, match=r"node types .*found 'nobody' .*a\.txt, line 1"):
            erase_requests(place.run(), at=AT)
        assert "user-3" not in left(place, "user")


def test_an_erasure_that_failed_is_not_counted_as_done(
    place: Place, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*given: Any, **named: Any) -> None:
        raise StoreError("a disk with room", found="none")

    (folder / "a.txt").write_text("user-1\n")
    monkeypatch.setattr(module, "erase", fail)
    with pytest.raises(StoreError, match="a disk with room"):
        erase_requests(place.run(), at=AT)
    assert requests.done(place.warehouse) == []
    monkeypatch.undo()
    assert erase_requests(place.run(), at=AT)["files"] == 1


def test_the_directory_must_be_there(place: Place, folder: Path) -> None:
    folder.rmdir()
    with pytest.raises(InputError, match="a directory of requests of erasure"):
        erase_requests(place.run(), at=AT)


def test_the_command_takes_a_file_or_what_is_pending(
    place: Place, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "a.txt").write_text("user-1\n")
    words = ["erase", "--config", str(place.config), "--warehouse", str(place.warehouse)]
    app([*words, "--pending"], standalone_mode=False)
    out = capsys.readouterr().out
    assert "user-1" not in out
    assert out.splitlines()[-1] == "requests    1 files were new"
    with pytest.raises(InputError, match="found neither"):
        app(words, standalone_mode=False)
    with pytest.raises(InputError, match="found both"):
        app([*words, "--pending", "--keys", str(folder / "a.txt")], standalone_mode=False)
