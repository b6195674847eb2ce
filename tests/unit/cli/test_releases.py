"""`graphrep releases`: list, show, diff, rollback, verify; as a table and as one JSON object."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graphrep.cli import main
from graphrep.contracts import Manifest
from graphrep.pipeline.compare import compare_releases
from graphrep.store import releases
from made_release import AT, publish_made, whole_content, write_type


@pytest.fixture
def two(tmp_path: Path) -> Path:
    publish_made(tmp_path, "2026-03-01", 1)
    publish_made(tmp_path, "2026-03-02", 2, **{Manifest.PARENT: "2026-03-01.1", Manifest.CONFIG_HASH: "c9"})
    return tmp_path


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["graphrep", "releases", *arguments])
    try:
        main()
    except SystemExit as leave:
        return int(str(leave.code))
    return 0


@pytest.fixture
def ask(two: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    def asked(*arguments: str, code: int = 0) -> str:
        assert call(monkeypatch, *arguments, "--warehouse", str(two)) == code
        out, err = capsys.readouterr()
        assert bool(err) == bool(code)
        return out

    return asked


def test_list_marks_the_current_one_and_tells_of_damage(ask: Any, two: Path) -> None:
    assert ask("list").splitlines() == [
        "   release       space  keys",
        "   2026-03-01.1  s      3 host, 7 user",
        "*  2026-03-02.1  s      3 host, 7 user",
    ]
    told = {"current": "2026-03-02.1", "releases": ["2026-03-01.1", "2026-03-02.1"], "removed": []}
    assert json.loads(ask("list", "--json")) == told
    (two / "releases" / "2026-03-01.1" / releases.MANIFEST).write_bytes(b"{")
    assert "2026-03-01.1  damaged  expected the manifest of a release, found 1 other bytes" in ask("list")


def test_show_prints_the_manifest(ask: Any, two: Path) -> None:
    assert json.loads(ask("show", "2026-03-01.1", "--json")) == releases.read_manifest(two, "2026-03-01.1")
    lines = ask("show", "2026-03-02.1").splitlines()
    assert "parent          2026-03-01.1" in lines
    assert "ttl_days        host 7, user 7" in lines
    assert "window          2026-03-02, 2026-03-02" in lines


def test_rollback_says_what_is_current(ask: Any) -> None:
    assert ask("rollback") == "current is 2026-03-01.1\n"
    assert json.loads(ask("rollback", "2026-03-02.1", "--json")) == {"current": "2026-03-02.1", "mirrored": None}


def test_verify_reads_one_or_all_and_fails_on_damage(ask: Any, two: Path) -> None:
    assert ask("verify").splitlines()[1:] == [f"2026-03-0{n}.1  16 files are as published" for n in (1, 2)]
    assert json.loads(ask("verify", "2026-03-01.1", "--json"))["damaged"] == []
    (two / "releases" / "2026-03-01.1" / "user.rows.npy").write_bytes(b"x")
    told = json.loads(ask("verify", "--json", code=1))
    assert [own["release_id"] for own in told["whole"]] == ["2026-03-02.1"]
    assert "user.rows.npy" in told["damaged"][0]["error"]
    assert ask("verify", "2026-03-02.1")
    (two / releases.CURRENT).write_bytes(b"{")
    assert [own["release_id"] for own in json.loads(ask("verify", "--json", code=1))["damaged"]] == [
        "CURRENT",
        "2026-03-01.1",
    ]


def test_no_warehouse_is_bad_input(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("list", "verify"):
        assert call(monkeypatch, command, "--warehouse", "nowhere") == 2
    assert capsys.readouterr().err.count("expected a warehouse, found no directory") == 2


def stage(warehouse: Path, ds: str, types: dict[str, dict[str, Any]], **own: Any) -> str:
    def write(path: Path) -> None:
        for node_type, vectors in types.items():
            write_type(path, node_type, vectors)

    counts = {t: {"count": len(v), "dim": len(next(iter(v.values())))} for t, v in types.items()}
    return releases.stage_release(warehouse, whole_content(ds, **{Manifest.NODE_TYPES: counts}, **own), write)[0]


def test_compare_counts_keys_and_turns(tmp_path: Path) -> None:
    old = stage(tmp_path, "2026-03-01", {"user": {"a": [1, 0], "b": [0, 2], "c": [0, 0]}, "host": {"h": [1, 1]}})
    users = {"b": [0, 5], "c": [1, 0], "d": [1, 1], "a": [1, 1]}
    new = stage(tmp_path, "2026-03-02", {"user": users, "video": {"v": [1, 1]}}, space_id="t")
    found = compare_releases(tmp_path, old, new)
    cosine = found["types"]["user"].pop("mean_cosine")
    assert cosine == pytest.approx((1 + np.sqrt(0.5) + 0) / 3)
    gone = {"before": 1, "after": 0, "added": 0, "vanished": 1, "common": 0, "mean_cosine": None}
    assert found == {
        "from": old,
        "to": new,
        "changed": {"space_id": ["s", "t"]},
        "types": {
            "user": {"before": 3, "after": 4, "added": 1, "vanished": 0, "common": 3},
            "host": gone,
            "video": {**gone, "before": 0, "after": 1, "added": 1, "vanished": 0},
        },
    }
    wider = stage(tmp_path, "2026-03-03", {"user": {"a": [1, 1, 1]}})
    assert compare_releases(tmp_path, new, wider)["types"]["user"]["mean_cosine"] is None


def test_diff_is_a_table_or_one_object(ask: Any, two: Path) -> None:
    lines = ask("diff", "2026-03-01.1", "2026-03-02.1").splitlines()
    assert lines[:3] == ["space_id: the same", "config_hash: c0 → c9", "code_hash: the same"]
    assert lines[-1].startswith("user  7       7      0      0         7       ")
    found = json.loads(ask("diff", "2026-03-01.1", "2026-03-02.1", "--json"))
    assert found == json.loads(json.dumps(compare_releases(two, "2026-03-01.1", "2026-03-02.1")))
    assert ask("diff", "2026-03-01.1", "2026-03-09.1", code=2) == ""


def test_log_time_is_the_time_of_the_command(two: Path) -> None:
    assert [entry["at"] for entry in releases.read_log(two)] == [AT.isoformat()] * 2
