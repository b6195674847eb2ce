"""An index finds what brute force finds, says how well, and answers for its own release alone."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graphrep.errors import InputError, StoreError
from graphrep.export.index import open_index
from graphrep.lookup import open_release
from graphrep.pipeline import erase, export

DAY, NEXT = "2026-03-01", "2026-03-02"


def vectors(seed: int, hosts: int = 1500, dim: int = 16) -> dict[str, dict[str, list[float]]]:
    """Clustered, as embeddings are, and of many lengths, so that inner product is not cosine."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(20, dim))

    def some(count: int) -> Any:
        near = centres[rng.integers(20, size=count)] + 0.3 * rng.normal(size=(count, dim))
        return (near * rng.uniform(0.5, 1.5, size=(count, 1))).tolist()

    return {
        "host": {f"h{i}": vector for i, vector in enumerate(some(hosts))},
        "user": {f"u{i}": vector for i, vector in enumerate(some(80))},
    }


@pytest.fixture
def place(still_place: Any, publish_vectors: Any) -> Any:
    publish_vectors(still_place.warehouse, DAY, vectors(0))
    return still_place


def write(place: Any, **options: Any) -> dict[str, Any]:
    return export.export_index(place.run(), place.root / "index", node_types=("host",), queries_of="user", **options)


def test_its_recall_is_what_it_says_and_its_scores_are_the_lookups(place: Any) -> None:
    manifest = write(place)
    told = manifest["types"]["host"]
    release = open_release(place.warehouse)
    index = open_index(place.root / "index", release, "host")
    users = release.keys("user")
    found = index.neighbors("user", users, k=told["k"])
    exact = [release.neighbors("user", user, "host", told["k"]) for user in users]
    shares = [
        len({n.key for n in mine} & {n.key for n in best}) / told["k"] for mine, best in zip(found, exact, strict=True)
    ]
    assert told["queries"] == 80
    assert np.mean(shares) == pytest.approx(told["recall"], abs=1e-6)
    assert told["recall"] > 0.95
    for mine, best in zip(found, exact, strict=True):
        scores = {n.key: n.score for n in best}
        assert all(n.score == pytest.approx(scores[n.key], rel=1e-5) for n in mine if n.key in scores)
        assert [n.score for n in mine] == sorted((n.score for n in mine), reverse=True)
    prior = {k for k, f, s in zip(release.keys("host"), *_flags(release), strict=True) if f and s == "prior"}
    assert prior
    assert told["count"] == 1500 - len(prior)
    assert not prior & {n.key for mine in found for n in mine}
    unknown = index.neighbors("user", ["nobody"], k=3)[0]
    assert len(unknown) == 3, "an unknown user asks with the prior"
    assert index.neighbors("user", []) == []


def _flags(release: Any) -> tuple[Any, Any]:
    hit = release.get("host", release.keys("host"))
    return hit.fallback, hit.source


def test_equal_releases_give_equal_bytes_and_an_export_is_done_again(place: Any) -> None:
    write(place)
    before = digests(place.root / "index")
    assert set(before) == {f"{DAY}.1/{name}" for name in ("host.usearch", "host.keys.parquet", "manifest.json")}
    write(place)
    assert digests(place.root / "index") == before


def digests(root: Path) -> dict[str, str]:
    files = (p for p in root.rglob("*") if p.is_file())
    return {str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_an_index_of_another_release_is_refused(place: Any, publish_vectors: Any) -> None:
    write(place)
    publish_vectors(place.warehouse, NEXT, vectors(1))
    now, out = open_release(place.warehouse), place.root / "index"
    with pytest.raises(InputError, match=rf"an index of {NEXT}.1, found none .*graphrep export index"):
        open_index(out, now, "host")
    (out / f"{DAY}.1").rename(out / f"{NEXT}.1")
    with pytest.raises(StoreError, match=rf"an index of {NEXT}.1, found {DAY}.1"):
        open_index(out, now, "host")
    manifest = out / f"{NEXT}.1" / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "release_id": f"{NEXT}.1"}))
    with pytest.raises(StoreError, match="an index of these vectors"):
        open_index(out, now, "host")
    assert write(place, release_id=f"{DAY}.1")["release_id"] == f"{DAY}.1"
    old = open_release(place.warehouse, f"{DAY}.1")
    with pytest.raises(InputError, match=r"one of \['host'\], found 'user'"):
        open_index(out, old, "user")
    file = out / f"{DAY}.1" / "host.usearch"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(StoreError, match="the bytes that were exported"):
        open_index(out, old, "host")


def test_an_index_that_finds_too_little_is_not_written(place: Any) -> None:
    poor = {"connectivity": 2, "expansion_add": 1, "expansion_search": 1, "min_recall": 0.9}
    place.configure(lambda settings: settings.update(export={"index": poor}))
    with pytest.raises(StoreError, match=r"recall@50 of at least 0.9, found 0\.\d+.*expansion_search"):
        write(place)
    assert digests(place.root / "index") == {}


def test_erased_keys_are_not_in_it(place: Any) -> None:
    erase.erase(place.run(), {"host": ["h3"], "user": ["u3"]}, at=place.at)
    told = write(place)["types"]["host"]
    release = open_release(place.warehouse)
    found = open_index(place.root / "index", release, "host").neighbors("user", ["u1"], k=2000)
    assert told["queries"] == 79
    assert "h3" not in {n.key for n in found[0]}
    assert b"h3\n" not in b"\n".join(p.read_bytes() for p in (place.root / "index").rglob("*.usearch"))


def test_what_cannot_be_is_said_in_one_line(place: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"types among \['host', 'user'\], found \['shop'\]"):
        export.export_index(place.run(), place.root, node_types=("shop",), queries_of="user")
    monkeypatch.setitem(sys.modules, "usearch", None)
    with pytest.raises(InputError, match=r'pip install "graphrep\[index\]"'):
        write(place)
