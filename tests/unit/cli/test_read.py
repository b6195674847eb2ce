"""``graphrep lookup`` and ``neighbors``: what a ranker is given, flags and all, as a table and as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from graphrep.cli import main
from graphrep.lookup.denied import rows_of
from graphrep.store.denied import deny
from published_rows import publish_rows


@pytest.fixture
def warehouse(tmp_path: Path) -> Path:
    hosts = {"h1": [1, 0], "h2": [0, 3], "h3": [2, 0]}
    publish_rows(tmp_path, "2026-03-01", {"user": {"u1": [1, 0], "u2": [0, 2], "left": [4, 4]}, "host": hosts})
    publish_rows(tmp_path, "2026-03-02", {"user": {"u1": [1, 1], "u2": [0, 5]}, "host": hosts})
    deny(tmp_path, rows_of({"user": ["u2"], "host": ["h3"]}))
    return tmp_path


def asked(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: Any) -> str:
    monkeypatch.setattr("sys.argv", ["graphrep", *map(str, words)])
    main()
    return capsys.readouterr().out


def test_keys_are_told_with_their_flags(
    warehouse: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("lookup", "user", "u1", "u2", "left", "nobody", "--warehouse", warehouse)
    told = json.loads(asked(capsys, monkeypatch, *words, "--ds", "2026-03-04", "--json"))
    assert (told["release_id"], told["type"]) == ("2026-03-02.1", "user")
    assert [(row["key"], row["source"], row["found"], row["denied"], row["expired"]) for row in told["keys"]] == [
        ("u1", "graph", True, False, False),
        ("u2", "prior", False, True, False),
        ("left", "previous", False, False, False),
        ("nobody", "prior", False, False, False),
    ]
    assert told["keys"][0]["vector"] == [1, 1]
    late = asked(capsys, monkeypatch, *words, "--ds", "2026-04-01")
    assert "graph, expired" in late
    assert "prior, denied" in late
    assert "expired" not in asked(capsys, monkeypatch, *words), "no day was asked for"
    pinned = json.loads(asked(capsys, monkeypatch, *words, "--release", "2026-03-01.1", "--json"))
    assert [row["found"] for row in pinned["keys"]] == [True, True, True, False], "a release as it lies"


def test_a_denied_key_is_not_told_as_a_neighbour(
    warehouse: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("neighbors", "user", "u1", "--to", "host", "-k", 2, "--warehouse", warehouse, "--json")
    told = json.loads(asked(capsys, monkeypatch, *words))
    assert [(near["key"], near["score"]) for near in told["neighbors"]] == [("h2", 3), ("h1", 1)]
