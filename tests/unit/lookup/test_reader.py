"""What a ranker reads: vectors, flags and neighbours of one release, without any heavy package."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graphrep import vocab
from graphrep.contracts import Manifest
from graphrep.errors import InputError, StoreError
from graphrep.lookup import open_release
from graphrep.lookup import reader as names
from graphrep.lookup.keys import arrange
from graphrep.store import releases
from made_release import whole_content

AT = dt.datetime(2026, 3, 2, tzinfo=dt.UTC)
PRIOR = (0.25, 0.5)

USERS: dict[str, tuple[float, float] | None] = {"u1": (1, 0), "u2": (0, 2), "ü👩": (3, 3), "": (5, 5), "cold": None}
HOSTS: dict[str, tuple[float, float] | None] = {"h1": (1, 0), "h2": (1, 1), "h3": (0, 4), "h4": (1, -1), "cold": None}


def write(path: Path, node_type: str, rows: Mapping[str, tuple[float, float] | None]) -> None:
    keys = list(rows)
    order, arrays = arrange(keys)
    vectors = np.array([rows[key] or PRIOR for key in keys], dtype=np.float32).reshape(-1, 2)
    record = arrays["rows"]
    record["scale"] = 1
    record["fallback"] = np.array([rows[key] is None for key in keys], dtype=bool)[order]
    record["source"] = np.where(record["fallback"], vocab.SOURCES.index(vocab.PRIOR), vocab.SOURCES.index(vocab.OWN))
    record["degree"] = np.arange(1, len(keys) + 1)[order]
    record["age_days"] = np.arange(len(keys))[order]
    arrays |= {names.VECTORS: vectors[order], names.PRIOR: np.array(PRIOR, dtype=np.float32)}
    for name, array in arrays.items():
        np.save(path / f"{node_type}.{name}.npy", array)


def publish(warehouse: Path, types: Mapping[str, Any] | None = None, ds: str = "2026-03-01") -> str:
    types = {"user": USERS, "host": HOSTS} if types is None else types

    def fill(path: Path) -> None:
        for node_type, rows in types.items():
            write(path, node_type, rows)

    counts = {node_type: {"count": len(rows), "dim": 2} for node_type, rows in types.items()}
    content = whole_content(ds, **{Manifest.SPACE_ID: f"space of {ds}", Manifest.NODE_TYPES: counts})
    release_id, _ = releases.stage_release(warehouse, content, fill)
    pointer = releases.read_pointer(warehouse)
    releases.switch(warehouse, release_id, expected=pointer, action="publish", at=AT)
    return release_id


def test_the_current_release_is_opened_or_the_named_one(tmp_path: Path) -> None:
    first, second = publish(tmp_path), publish(tmp_path, ds="2026-03-02")
    assert open_release(tmp_path).release_id == second
    assert open_release(str(tmp_path), verify=True).space_id == "space of 2026-03-02"
    assert open_release(tmp_path, first).release_id == first
    assert open_release(tmp_path).types == ["host", "user"]


def test_an_open_release_stays_what_it_was_when_the_pointer_moves(tmp_path: Path) -> None:
    publish(tmp_path)
    opened = open_release(tmp_path)
    publish(tmp_path, {"user": {"u1": (9, 9)}}, ds="2026-03-02")
    assert opened.get("user", ["u1"]).vectors.tolist() == [[1, 0]]
    assert open_release(tmp_path).get("user", ["u1"]).vectors.tolist() == [[9, 9]]


def test_get_gives_vectors_and_flags_in_the_order_of_the_keys(tmp_path: Path) -> None:
    publish(tmp_path)
    hit = open_release(tmp_path).get("user", ["u2", "nobody", "ü👩", "cold", "", "u2"])
    prior = list(PRIOR)
    assert hit.vectors.tolist() == [[0, 2], prior, [3, 3], prior, [5, 5], [0, 2]]
    assert hit.found.tolist() == [True, False, True, True, True, True]
    assert hit.fallback.tolist() == [False, True, False, True, False, False]
    assert hit.age_days.tolist() == [1, -1, 2, 4, 3, 1]
    assert hit.degree.tolist() == [2, 0, 3, 5, 4, 2]


def test_source_tells_what_a_row_is_made_of_and_what_is_like_others_has_neighbors(tmp_path: Path) -> None:
    publish(tmp_path)
    told = ["graph", "prior", "graph", "prior"]
    assert open_release(tmp_path).get("host", ["h1", "nobody", "h4", "cold"]).source.tolist() == told

    def fill(path: Path) -> None:
        write(path, "host", HOSTS)
        made = {"h1": "graph", "h2": "blend", "h3": "graph", "h4": "graph", "cold": "content"}
        file = path / "host.rows.npy"
        record = np.load(file)
        record["source"] = [vocab.SOURCES.index(made[list(HOSTS)[i]]) for i in arrange(list(HOSTS))[0]]
        np.save(file, record)

    types = {"host": {"count": len(HOSTS), "dim": 2}}
    content = whole_content("2026-03-02", **{Manifest.NODE_TYPES: types})
    opened = open_release(tmp_path, releases.stage_release(tmp_path, content, fill)[0])
    hit = opened.get("host", ["h2", "cold", "nobody", "h1"])
    assert hit.source.tolist() == ["blend", "content", "prior", "graph"]
    assert hit.fallback.tolist() == [False, True, True, False]
    assert "cold" in [near.key for near in opened.neighbors("host", "h1", to="host")]


@pytest.mark.parametrize("keys", [[], ["nobody"], ["u1", "nobody"], ["u1", "u2", "cold"]])
@pytest.mark.parametrize("node_type", ["user", "empty"])
def test_shapes_and_types_do_not_depend_on_what_is_found(tmp_path: Path, node_type: str, keys: list[str]) -> None:
    publish(tmp_path, {"user": USERS, "empty": {}})
    hit = open_release(tmp_path).get(node_type, keys)
    n = len(keys)
    assert (hit.vectors.shape, hit.vectors.dtype) == ((n, 2), np.float32)
    assert (hit.found.shape, hit.found.dtype) == ((n,), np.bool_)
    assert (hit.fallback.shape, hit.fallback.dtype) == ((n,), np.bool_)
    assert (hit.age_days.shape, hit.age_days.dtype) == ((n,), np.int32)
    assert (hit.degree.shape, hit.degree.dtype) == ((n,), np.int64)
    missing = ~hit.found
    assert hit.fallback[missing].all()
    assert (hit.source.shape, set(hit.source[missing])) == ((n,), {"prior"} if missing.any() else set())
    assert (hit.vectors[missing] == np.float32(PRIOR)).all()
    assert (hit.age_days[missing] == -1).all()
    assert (hit.degree[missing] == 0).all()


def test_what_get_gives_is_the_callers_to_change(tmp_path: Path) -> None:
    publish(tmp_path)
    opened = open_release(tmp_path)
    opened.get("user", ["u1", "nobody"]).vectors[:] = 7
    assert opened.get("user", ["u1", "nobody"]).vectors.tolist() == [[1, 0], list(PRIOR)]


def test_keys_are_in_the_order_of_the_rows(tmp_path: Path) -> None:
    release_id = publish(tmp_path)
    opened = open_release(tmp_path)
    keys = opened.keys("user")
    assert sorted(keys) == sorted(USERS)
    stored = releases.open_array(tmp_path, release_id, f"user.{names.VECTORS}")
    np.testing.assert_array_equal(opened.get("user", keys).vectors, stored)


def test_neighbors_are_the_largest_dot_products_and_never_a_row_with_the_prior(tmp_path: Path) -> None:
    publish(tmp_path)
    opened = open_release(tmp_path)
    found = opened.neighbors("user", "u2", to="host", k=10)
    assert [(n.key, n.score) for n in found] == [("h3", 8), ("h2", 2), ("h1", 0), ("h4", -2)]
    assert [n.key for n in opened.neighbors("user", "u2", to="host", k=2)] == ["h3", "h2"]


def test_equal_scores_are_ordered_by_row(tmp_path: Path) -> None:
    publish(tmp_path)
    opened = open_release(tmp_path)
    rows = [key for key in opened.keys("host") if key in ("h1", "h2", "h4")]
    for k in (1, 2, 3):
        assert [n.key for n in opened.neighbors("user", "u1", to="host", k=k)] == rows[:k]


def test_a_key_is_not_its_own_neighbor(tmp_path: Path) -> None:
    publish(tmp_path)
    opened = open_release(tmp_path)
    assert [n.key for n in opened.neighbors("user", "u2", to="user")] == ["", "ü👩", "u1"]
    assert len(opened.neighbors("user", "nobody", to="user")) == 4


def test_an_unknown_key_is_asked_with_the_prior(tmp_path: Path) -> None:
    publish(tmp_path)
    found = open_release(tmp_path).neighbors("user", "nobody", to="host", k=2)
    assert [(n.key, n.score) for n in found] == [("h3", 2.0), ("h2", 0.75)]


def test_a_type_without_rows_has_no_neighbors(tmp_path: Path) -> None:
    publish(tmp_path, {"user": USERS, "empty": {}})
    assert open_release(tmp_path).neighbors("user", "u1", to="empty") == []


def test_what_cannot_be_asked_is_refused(tmp_path: Path) -> None:
    release_id = publish(tmp_path)
    opened = open_release(tmp_path)
    with pytest.raises(InputError, match=rf"one of the types \['host', 'user'\], found 'room' \[{release_id}\]"):
        opened.get("room", ["r1"])
    with pytest.raises(InputError, match="one of the types"):
        opened.neighbors("user", "u1", to="../user")
    with pytest.raises(InputError, match="k of at least 1, found 0"):
        opened.neighbors("user", "u1", to="host", k=0)
    with pytest.raises(InputError, match="keys as strings"):
        opened.get("user", "u1")


def test_a_warehouse_without_a_release_says_what_to_do(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(InputError, match=r"a published release, found none .*graphrep run"):
            open_release(place)


def test_a_flipped_bit_is_found_when_asked_to_verify(tmp_path: Path) -> None:
    path = releases.release_path(tmp_path, publish(tmp_path)) / "user.vectors.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"user\.vectors\.npy"):
        open_release(tmp_path, verify=True)


def test_a_file_of_another_length_or_a_missing_one_is_found_at_once(tmp_path: Path) -> None:
    path = releases.release_path(tmp_path, publish(tmp_path)) / "host.prior.npy"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(StoreError, match=r"found \d+ .*host\.prior\.npy"):
        open_release(tmp_path)
    path.unlink()
    with pytest.raises(StoreError, match=r"found None .*host\.prior\.npy"):
        open_release(tmp_path)


def test_a_manifest_changed_after_publishing_is_found_at_once(tmp_path: Path) -> None:
    path = releases.release_path(tmp_path, publish(tmp_path)) / releases.MANIFEST
    path.write_text(path.read_text().replace("space of", "place of"))
    with pytest.raises(StoreError, match="the manifest that was written, found another"):
        open_release(tmp_path)


def test_lookup_loads_numpy_and_no_heavy_package(tmp_path: Path) -> None:
    publish(tmp_path)
    code = (
        "import sys; from graphrep.lookup import open_release;"
        "r = open_release(sys.argv[1], verify=True); assert r.get('user', ['u1']).found.all();"
        "r.neighbors('user', 'u1', to='host');"
        "heavy = {'pyarrow', 'pydantic', 'torch', 'pyspark', 'scipy', 'pandas', 'yaml', 'rich', 'typer', 'sklearn'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"
