"""A reader that stays: one release to an answer, the last good one in trouble, and nothing that may not be served."""

from __future__ import annotations

import datetime as dt
import shutil
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphrep import vocab
from graphrep.contracts import Manifest
from graphrep.errors import InputError
from graphrep.lookup import LiveReader, follow_releases, open_release
from graphrep.lookup import live as module
from graphrep.lookup import reader as names
from graphrep.lookup.denied import rows_of
from graphrep.lookup.keys import arrange
from graphrep.store import releases
from graphrep.store.denied import denied_file, deny
from made_release import whole_content

AT = dt.datetime(2026, 3, 2, tzinfo=dt.UTC)
MARK = -7.0


def fill(path: Path, node_type: str, rows: Mapping[str, float | None]) -> None:
    """Vectors (x, x, x) that say which release they are of; None is a row that holds the prior (MARK + x)."""
    order, arrays = arrange(list(rows))
    values = [list(rows.values())[i] for i in order]
    record = arrays["rows"]
    record["scale"] = 1
    record["source"] = [vocab.SOURCES.index("prior" if x is None else "graph") for x in values]
    record["fallback"] = [x is None for x in values]
    record["degree"] = 3
    record["age_days"] = 2
    vectors = np.array([[MARK if x is None else x] * 3 for x in values], np.float32).reshape(-1, 3)
    arrays |= {names.VECTORS: vectors, names.PRIOR: np.full(3, MARK, np.float32)}
    for name, array in arrays.items():
        np.save(path / f"{node_type}.{name}.npy", array)


def publish(warehouse: Path, ds: str, types: Mapping[str, Mapping[str, float | None]], **own: Any) -> str:
    def write(path: Path) -> None:
        for node_type, rows in types.items():
            fill(path, node_type, rows)

    counts = {node_type: {"count": len(rows), "dim": 3} for node_type, rows in types.items()}
    content = whole_content(ds, **{Manifest.NODE_TYPES: counts, **own})
    release_id, _ = releases.stage_release(warehouse, content, write)
    pointer = releases.read_pointer(warehouse)
    releases.switch(warehouse, release_id, expected=pointer, action=releases.PUBLISH, at=AT)
    return release_id


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def follow(warehouse: Path, **own: Any) -> LiveReader:
    """One that looks whenever it is asked, and loads while it is asked."""
    return follow_releases(warehouse, **{"every": 0, "background": False, "today": lambda: None, **own})


def first(reader: LiveReader, *keys: str, node_type: str = "user", ds: str | None = None) -> list[float]:
    return reader.get(node_type, keys, ds=ds).vectors[:, 0].tolist()


BOTH = {"user": {"u1": 1.0, "u2": 1.0}, "host": {"h1": 1.0}}


def numbered(x: float) -> dict[str, dict[str, float | None]]:
    return {"user": {f"u{i}": x for i in range(50)}, "host": {f"h{i}": x for i in range(30)}}


def test_the_pointer_is_looked_at_again_when_it_is_time_and_not_before(tmp_path: Path) -> None:
    clock = Clock()
    old = publish(tmp_path, "2026-03-01", numbered(1))
    reader = follow(tmp_path, every=5, clock=clock)
    new = publish(tmp_path, "2026-03-02", numbered(2))
    clock.now = 4.9
    assert first(reader, "u1") == [1]
    clock.now = 5
    assert first(reader, "u1") == [2]
    assert (old, reader.release_id, reader.problem) == ("2026-03-01.1", new, None)
    releases.rollback(tmp_path, None, at=AT)
    clock.now = 9.9
    assert reader.get("user", ["u1"]).release_id == new
    clock.now = 10
    assert reader.get("user", ["u1"]).release_id == old


def test_a_request_over_types_is_of_one_release_even_if_the_pointer_moves_between_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(tmp_path, "2026-03-01", numbered(1))
    reader = follow(tmp_path)
    answer, day = module._answer, iter(range(2, 9))

    def answer_and_move(*given: Any) -> Any:
        hit = answer(*given)
        x = next(day)
        publish(tmp_path, f"2026-03-0{x}", numbered(x))
        reader.check()
        return hit

    monkeypatch.setattr(module, "_answer", answer_and_move)
    for expected in (1, 3, 5):
        hits = reader.get_many({"user": ["u1", "u2"], "host": ["h1", "h2"]})
        assert {x for hit in hits.values() for x in hit.vectors.reshape(-1).tolist()} == {expected}
        assert len({hit.release_id for hit in hits.values()}) == 1


def test_a_batch_under_switches_in_threads_is_of_one_release(tmp_path: Path) -> None:
    publish(tmp_path, "2026-03-01", numbered(1))
    reader = follow_releases(tmp_path, every=0, today=lambda: None)
    done, mixed, seen = threading.Event(), [], set()

    def ask() -> None:
        while not done.is_set():
            hits = reader.get_many({"user": [f"u{i}" for i in range(50)], "host": ["h1", "h29"]})
            found = {x for hit in hits.values() for x in hit.vectors.reshape(-1).tolist()}
            seen.update(found)
            if len(found) != 1 or len({hit.release_id for hit in hits.values()}) != 1:
                mixed.append(found)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for x in range(2, 9):
        publish(tmp_path, f"2026-03-0{x}", numbered(x))
    reader.check()
    reader.check()
    done.set()
    for thread in threads:
        thread.join()
    assert (mixed, reader.problem) == ([], None)
    assert first(reader, "u1") == [8]
    assert len(seen) > 1


def damage_pointer(warehouse: Path, release_id: str) -> None:
    (warehouse / "CURRENT").write_text('{"release')


def empty_pointer(warehouse: Path, release_id: str) -> None:
    (warehouse / "CURRENT").write_bytes(b"")


def remove_pointer(warehouse: Path, release_id: str) -> None:
    (warehouse / "CURRENT").unlink()


def change_manifest(warehouse: Path, release_id: str) -> None:
    path = warehouse / "releases" / release_id / "manifest.json"
    path.write_text(path.read_text().replace('"s"', '"z"'))


def cut_file(warehouse: Path, release_id: str) -> None:
    path = warehouse / "releases" / release_id / "host.vectors.npy"
    path.write_bytes(path.read_bytes()[:-1])


def remove_release(warehouse: Path, release_id: str) -> None:
    shutil.rmtree(warehouse / "releases" / release_id)


@pytest.mark.parametrize("background", [False, True])
@pytest.mark.parametrize(
    "harm", [damage_pointer, empty_pointer, remove_pointer, change_manifest, cut_file, remove_release]
)
def test_what_cannot_be_read_leaves_the_last_good_release_and_is_told(
    tmp_path: Path, harm: Any, background: bool
) -> None:
    publish(tmp_path, "2026-03-01", numbered(1))
    reader = follow(tmp_path, background=background)
    harm(tmp_path, publish(tmp_path, "2026-03-02", numbered(2)))
    reader.check()
    assert first(reader, "u1") == [1]
    assert reader.problem
    assert "\n" not in reader.problem
    assert reader.release_id == "2026-03-01.1"
    releases.rollback(tmp_path, "2026-03-01.1", at=AT)
    publish(tmp_path, "2026-03-03", numbered(3))
    reader.check()
    assert first(reader, "u1") == [3]
    assert reader.problem is None


def test_a_flipped_bit_is_found_by_a_reader_that_verifies(tmp_path: Path) -> None:
    publish(tmp_path, "2026-03-01", numbered(1))
    careful, quick = follow(tmp_path, verify=True), follow(tmp_path)
    release_id = publish(tmp_path, "2026-03-02", numbered(2))
    path = tmp_path / "releases" / release_id / "user.vectors.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert (first(careful, "u1"), first(quick, "u1")) == ([1], [2])
    assert "user.vectors.npy" in str(careful.problem)


def test_an_answer_given_while_the_next_release_is_loaded_is_of_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(tmp_path, "2026-03-01", numbered(1))
    reader = follow(tmp_path, background=True)
    go, warm = threading.Event(), names.Release.warm

    def slow(release: names.Release) -> None:
        go.wait(20)
        warm(release)

    monkeypatch.setattr(names.Release, "warm", slow)
    publish(tmp_path, "2026-03-02", numbered(2))
    assert [first(reader, "u1") for _ in range(3)] == [[1], [1], [1]]
    go.set()
    reader.check()
    assert first(reader, "u1") == [2]


def test_a_reader_goes_on_when_the_files_of_its_release_are_removed(tmp_path: Path) -> None:
    release_id = publish(tmp_path, "2026-03-01", numbered(1))
    reader = follow(tmp_path)
    shutil.rmtree(tmp_path / "releases" / release_id)
    assert first(reader, "h1", node_type="host") == [1]


def test_nothing_published_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="graphrep run"):
        follow(tmp_path)


def test_a_pinned_release_stays_as_it_is(tmp_path: Path) -> None:
    old = publish(tmp_path, "2026-03-01", numbered(1))
    opened = open_release(tmp_path, old)
    publish(tmp_path, "2026-03-02", numbered(2))
    deny(tmp_path, rows_of({"user": ["u1"]}))
    assert opened.get("user", ["u1"]).vectors.tolist() == [[1] * 3]


def chain(warehouse: Path, **own: Any) -> LiveReader:
    ttl = {Manifest.TTL_DAYS: {"user": 3, "host": 10_000}}
    publish(warehouse, "2026-03-01", {"user": {"both": 1, "gone": 1, "told": None}, "host": {"h": 1}}, **ttl)
    publish(warehouse, "2026-03-02", {"user": {"both": 2, "cold": None, "new": 2}, "host": {"h": 2}}, **ttl, **own)
    return follow(warehouse)


def test_a_key_the_release_lacks_has_the_vector_of_the_one_before_while_that_may_be_served(tmp_path: Path) -> None:
    reader = chain(tmp_path)
    asked = ["new", "gone", "nobody", "both", "told", "cold"]
    hit = reader.get("user", asked, ds="2026-03-04")
    assert hit.vectors[:, 0].tolist() == [2, 1, MARK, 2, MARK, MARK]
    assert hit.source.tolist() == ["graph", "previous", "prior", "graph", "prior", "prior"]
    assert hit.found.tolist() == [True, False, False, True, False, True]
    assert hit.fallback.tolist() == [False, True, True, False, True, True]
    assert hit.age_days.tolist() == [2, 3, -1, 2, -1, 2]
    assert hit.degree.tolist() == [3, 3, 0, 3, 0, 3]
    assert not hit.expired.any()
    late = reader.get("user", asked, ds="2026-03-05")
    assert late.source.tolist() == ["graph", "prior", "prior", "graph", "prior", "prior"]
    assert late.vectors[:, 0].tolist() == [2, MARK, MARK, 2, MARK, MARK]


def test_vectors_older_than_their_type_may_be_are_fallbacks_that_say_so(tmp_path: Path) -> None:
    reader = chain(tmp_path)
    on_time, late = (reader.get("user", ["both", "nobody"], ds=f"2026-03-0{day}") for day in (5, 6))
    assert (on_time.expired.tolist(), on_time.fallback.tolist()) == ([False, False], [False, True])
    assert (late.expired.tolist(), late.fallback.tolist()) == ([True, False], [True, True])
    assert late.vectors[:, 0].tolist() == [2, MARK]
    assert not reader.get("host", ["h"], ds="2030-01-01").expired.any(), "a type that lasts longer"
    assert not reader.get("user", ["both"]).expired.any(), "no day was asked for"
    today = follow(tmp_path, today=lambda: "2026-03-06")
    assert today.get("user", ["both"]).expired.tolist() == [True]
    assert not today.get("user", ["both"], ds="2026-02-28").expired.any()
    with pytest.raises(InputError, match=r"a day YYYY-MM-DD, found 'soon'"):
        reader.get("user", ["both"], ds="soon")


def test_by_default_it_is_asked_for_today(tmp_path: Path) -> None:
    chain(tmp_path)
    assert follow_releases(tmp_path).get("user", ["both"]).expired.tolist() == [True]


def test_a_release_before_of_another_space_answers_nothing(tmp_path: Path) -> None:
    reader = chain(tmp_path, **{Manifest.SPACE_ID: "another"})
    assert reader.get("user", ["gone"], ds="2026-03-02").source.tolist() == ["prior"]


def test_a_release_before_that_is_damaged_answers_nothing_and_harms_nothing(tmp_path: Path) -> None:
    chain(tmp_path)
    remove_release(tmp_path, "2026-03-01.1")
    reader = follow(tmp_path)
    assert (first(reader, "both", "gone"), reader.problem) == ([2, MARK], None)


def test_an_erased_key_is_denied_at_once_also_what_the_release_before_had(tmp_path: Path) -> None:
    clock = Clock()
    chain(tmp_path)
    reader = follow(tmp_path, every=5, clock=clock)
    deny(tmp_path, rows_of({"user": ["both", "gone", "stranger", "é"], "host": ["h"]}))
    clock.now = 4.9
    assert not reader.get("user", ["both"]).denied.any()
    clock.now = 5
    hits = reader.get_many({"user": ["new", "both", "gone", "stranger", "nobody"], "host": ["h", "both"]})
    assert hits["user"].denied.tolist() == [False, True, True, True, False]
    assert hits["user"].found.tolist() == [True, False, False, False, False]
    assert hits["user"].vectors[:, 0].tolist() == [2, MARK, MARK, MARK, MARK]
    assert hits["user"].source.tolist() == ["graph", "prior", "prior", "prior", "prior"]
    assert hits["user"].age_days.tolist() == [2, -1, -1, -1, -1]
    assert hits["host"].denied.tolist() == [True, False], "a key is denied of its own type"
    assert reader.problem is None


def test_a_denied_key_is_nobodys_neighbour_and_is_asked_as_an_unknown_one(tmp_path: Path) -> None:
    publish(tmp_path, "2026-03-01", {"user": {"u": 1}, "host": {f"h{i}": float(i) for i in range(9)}})
    deny(tmp_path, rows_of({"host": ["h8", "h6"]}))
    reader = follow(tmp_path)
    assert [near.key for near in reader.neighbors("user", "u", "host", k=3)] == ["h7", "h5", "h4"]
    assert [near.key for near in reader.neighbors("host", "h7", "host", k=2)] == ["h5", "h4"]
    deny(tmp_path, rows_of({"user": ["u"], "host": [f"h{i}" for i in range(8)]}))
    assert reader.neighbors("user", "u", "host", k=3) == []


@given(denied=st.sets(st.text(max_size=4), max_size=20), asked=st.lists(st.text(max_size=4), max_size=20))
@settings(max_examples=60, deadline=None)
def test_exactly_the_erased_keys_are_denied(denied: set[str], asked: list[str]) -> None:
    from graphrep.lookup.denied import Denied
    from graphrep.lookup.hashing import encode

    keys = [*asked, *sorted(denied), "\ud800"]
    told = Denied.from_rows(rows_of({"user": sorted(denied)}))
    crowded = Denied(np.ones_like(told.marks), told.hashes)
    for judge in (told, crowded):
        assert judge.among("user", keys, encode(keys)).tolist() == [key in denied for key in keys]
        assert not judge.among("host", keys, encode(keys)).any()


def test_a_damaged_list_of_erased_keys_leaves_the_one_that_was_read_and_is_told(tmp_path: Path) -> None:
    publish(tmp_path, "2026-03-01", BOTH)
    deny(tmp_path, rows_of({"user": ["u1"]}))
    reader = follow(tmp_path)
    file = denied_file(tmp_path)
    whole = file.read_bytes()
    for harm in (lambda: file.write_bytes(b"no"), file.unlink):
        harm()
        assert reader.get("user", ["u1", "u2"]).denied.tolist() == [True, False]
        assert "denied.npy" in str(reader.problem)
    file.write_bytes(whole)
    reader.check()
    assert reader.problem is None


def test_erased_keys_are_kept_once_and_told_without_the_key(tmp_path: Path) -> None:
    deny(tmp_path, rows_of({"user": ["secret"]}))
    stamp = denied_file(tmp_path).stat().st_mtime_ns
    deny(tmp_path, rows_of({"user": ["secret"]}))
    assert denied_file(tmp_path).stat().st_mtime_ns == stamp
    deny(tmp_path, rows_of({"user": ["other"]}))
    assert len(np.load(denied_file(tmp_path))) == 2
    assert b"secret" not in denied_file(tmp_path).read_bytes()


def test_a_following_reader_loads_numpy_and_no_heavy_package(tmp_path: Path) -> None:
    chain(tmp_path)
    deny(tmp_path, rows_of({"user": ["both"]}))
    code = (
        "import sys; from graphrep.lookup import follow_releases;"
        "r = follow_releases(sys.argv[1], verify=True); assert r.get('user', ['both']).denied.all();"
        "r.neighbors('user', 'new', to='host');"
        "heavy = {'pyarrow', 'pydantic', 'torch', 'pyspark', 'scipy', 'pandas', 'yaml', 'rich', 'typer', 'sklearn'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
