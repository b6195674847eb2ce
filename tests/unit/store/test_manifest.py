"""A manifest is checked whenever it is read: every key, its type, its own hash; the first wrong key is named."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from graphrep.contracts import RELEASE_MANIFEST, SCHEMA_VERSION, Manifest
from graphrep.contracts.release import MAY_BE_THERE, SHAPE, first_wrong_key
from graphrep.errors import StoreError
from graphrep.store import manifests, releases
from graphrep.store.code import code_hash
from made_release import publish_made

ID = "2026-03-01.1"


@pytest.fixture
def manifest(tmp_path: Path) -> dict[str, Any]:
    publish_made(tmp_path, "2026-03-01", 1)
    return releases.read_manifest(tmp_path, ID)


def test_the_shape_and_the_contract_name_the_same_keys() -> None:
    assert [*SHAPE, *MAY_BE_THERE] == [*(n for n in RELEASE_MANIFEST.names if n not in MAY_BE_THERE), *MAY_BE_THERE]
    assert set(MAY_BE_THERE) <= set(RELEASE_MANIFEST.names)
    nullable = {c.name for c in RELEASE_MANIFEST.columns if c.nullable}
    assert nullable == {Manifest.PARENT, Manifest.METRICS, Manifest.ALIGNMENT, Manifest.UPLIFT}


def test_a_key_that_is_missing_is_named(manifest: dict[str, Any]) -> None:
    assert first_wrong_key(manifest) is None
    for key in manifest:
        assert first_wrong_key({k: v for k, v in manifest.items() if k != key}) == (
            f"the key {key}",
            "none",
            "manifest",
        )


def test_a_key_that_only_some_releases_have_is_checked_where_it_is(manifest: dict[str, Any]) -> None:
    assert first_wrong_key({**manifest, Manifest.UPLIFT: {"decision_ds": "2026-03-02"}}) == (
        "the key uplift.hosts",
        "none",
        "uplift",
    )


def test_a_key_of_another_type_is_named(manifest: dict[str, Any]) -> None:
    for key in manifest:
        wrong = first_wrong_key({**manifest, key: 1.5})
        assert wrong is not None
        assert wrong[1:] == ("1.5", key)
    assert first_wrong_key({**manifest, Manifest.SEED: True}) == ("a whole number", "True", "seed")


CHANGES: list[tuple[str, Any, tuple[str, str, str]]] = [
    (
        "files",
        {"user.vectors.npy": {"sha256": "a"}},
        ("the key files.user.vectors.npy.bytes", "none", "files.user.vectors.npy"),
    ),
    ("node_types", {"user": {"count": "7", "dim": 4}}, ("a whole number", "'7'", "node_types.user.count")),
    ("ttl_days", {"user": 7}, ("a number for each of ['host', 'user']", "['user']", "ttl_days")),
    ("erasure", {"count": 1}, ("the key erasure.sha256", "none", "erasure")),
    ("release_id", "2026-03-02.1", ("a release id of 2026-03-01", "'2026-03-02.1'", "release_id")),
    ("release_id", "latest", ("a release id of 2026-03-01", "'latest'", "release_id")),
    ("odd", 1, ("only the keys of the contract", "'odd'", "odd")),
]


@pytest.mark.parametrize(("key", "value", "told"), CHANGES, ids=[f"{k} {n}" for n, (k, _, _) in enumerate(CHANGES)])
def test_what_is_wrong_inside_is_named_by_its_path(manifest: dict[str, Any], key: str, value: Any, told: Any) -> None:
    assert first_wrong_key({**copy.deepcopy(manifest), key: value}) == told


@pytest.mark.parametrize(
    ("version", "fix"), [(SCHEMA_VERSION + 1, "install the graphrep that wrote it"), (1, "run the day again")]
)
def test_another_version_says_so_and_what_to_do(manifest: dict[str, Any], version: int, fix: str) -> None:
    content = json.dumps({**manifest, Manifest.SCHEMA: version, "new key": 1}).encode()
    with pytest.raises(StoreError, match=rf"of version {SCHEMA_VERSION}, found version {version} .*; {fix}"):
        manifests.parse(content, ID, "here")


def test_the_manifest_of_another_release_is_refused(manifest: dict[str, Any]) -> None:
    body = {k: v for k, v in manifest.items() if k != Manifest.SHA256}
    content = manifests.encode({**body, Manifest.RELEASE_ID: "2026-03-01.2"})
    assert manifests.parse(content, "2026-03-01.2", "here")["seed"] == 1
    with pytest.raises(StoreError, match=r"the manifest of 2026-03-01\.1, found that of 2026-03-01\.2"):
        manifests.parse(content, ID, "here")


def test_equal_inputs_are_equal_bytes_and_no_clock_is_in_them(tmp_path: Path) -> None:
    for name in ("a", "b"):
        publish_made(tmp_path / name, "2026-03-01", 1)
    first, second = ((tmp_path / name / "releases" / ID / "manifest.json").read_bytes() for name in ("a", "b"))
    assert first == second


def test_the_code_hash_is_of_the_sources(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    code_hash.cache_clear()
    assert len(code_hash()) == 64
    package = tmp_path / "package"
    (package / "room").mkdir(parents=True)
    (package / "room" / "a.py").write_text("1")
    found = []
    for path, text in (("room/a.py", "1"), ("room/note.txt", "2"), ("room/a.py", "3"), ("b.py", "4")):
        (package / path).write_text(text)
        code_hash.cache_clear()
        monkeypatch.setattr("graphrep.store.code.files", lambda name: package)
        found.append(code_hash())
    code_hash.cache_clear()
    assert found[0] == found[1], "what is no source does not count"
    assert len(set(found)) == 3
