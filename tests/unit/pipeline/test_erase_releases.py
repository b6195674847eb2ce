"""An erased key is in no kept release: each is made anew without it, current and withdrawn ones stay what they were."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from graphrep.config import load_config
from graphrep.contracts import Manifest
from graphrep.errors import InputError, PointerMovedError, StoreError
from graphrep.lookup import asof, open_release
from graphrep.lookup import keys as codec
from graphrep.pipeline import erase_releases as module
from graphrep.pipeline.context import Run
from graphrep.pipeline.erase import horizon
from graphrep.pipeline.erase_releases import erase_releases
from graphrep.pipeline.uplift_release import write_uplift
from graphrep.store import erase, mirror, places, releases, retention
from made_release import AT, made, publish_made
from made_uplift import about, scores

CONFIG = Path(__file__).resolve().parents[3] / "configs" / "local.yaml"
DAYS = ("2026-02-26", "2026-02-27", "2026-02-28")
GONE = {"user": ["user3", "stranger"]}


def run_in(warehouse: Path, **publish: Any) -> Run:
    config = load_config(CONFIG, warehouse=warehouse)
    return Run(config.model_copy(update={"publish": config.publish.model_copy(update=publish)}), AT.date())


def erased(warehouse: Path, keys: dict[str, list[str]] = GONE, **publish: Any) -> dict[str, Any]:
    erase.remember(warehouse, keys, "2026-03-02")
    return erase_releases(run_in(warehouse, **publish), keys, at=AT)


def publish(warehouse: Path, ds: str, seed: int) -> str:
    pointer = releases.read_pointer(warehouse)
    parent = pointer.release_id if pointer else None
    return publish_made(warehouse, ds, seed, **{Manifest.PARENT: parent, Manifest.NEW_SPACE: parent is None})


@pytest.fixture
def warehouse(tmp_path: Path) -> Path:
    """Three days, the last one current; its users hold a key whose bytes can be looked for."""
    for seed, ds in enumerate(DAYS):
        publish(tmp_path, ds, seed)
    return tmp_path


def current(warehouse: Path) -> str:
    pointer = releases.read_pointer(warehouse)
    assert pointer
    return pointer.release_id


def holders(warehouse: Path, word: str) -> set[str]:
    found = set()
    for file in warehouse.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            if file.suffix == ".parquet":
                content += json.dumps(pq.read_table(file).to_pylist()).encode()
            if word.encode() in content:
                found.add(str(file.relative_to(warehouse)))
    return found


def bytes_of(warehouse: Path) -> dict[str, str]:
    files = (p for p in warehouse.rglob("*") if p.is_file())
    return {str(p.relative_to(warehouse)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_every_release_is_made_anew_without_the_key_and_all_else_stays(warehouse: Path) -> None:
    before = {ds: open_release(warehouse, f"{ds}.1") for ds in DAYS}
    rows = {ds: (old.get("user", old.keys("user")), old.get("host", old.keys("host"))) for ds, old in before.items()}
    assert len(holders(warehouse, "user3")) == 6
    record = erased(warehouse)
    assert record == {
        "renewed": {f"{ds}.1": f"{ds}.2" for ds in DAYS},
        "removed": [],
        "held": {f"{ds}.1": {"user": 1} for ds in DAYS},
        "unreadable": [],
    }
    assert not holders(warehouse, "user3")
    assert holders(warehouse, "user4")
    assert releases.list_releases(warehouse) == [f"{ds}.2" for ds in DAYS]
    assert current(warehouse) == f"{DAYS[-1]}.2"
    for ds in DAYS:
        old, new = before[ds].manifest, open_release(warehouse, f"{ds}.2", verify=True)
        assert new.manifest[Manifest.ERASURE] == {**erase.watermark(warehouse), releases.FORMER: [f"{ds}.1"]}
        assert new.manifest[Manifest.NODE_TYPES]["user"] == {**old[Manifest.NODE_TYPES]["user"], "count": 6}
        changed = {Manifest.RELEASE_ID, Manifest.FILES, Manifest.SHA256, Manifest.ERASURE, Manifest.NODE_TYPES}
        assert {k: v for k, v in new.manifest.items() if k not in changed} == {
            k: v for k, v in old.items() if k not in changed
        }
        assert {f: e for f, e in new.manifest[Manifest.FILES].items() if f.startswith("host.")} == {
            f: e for f, e in old[Manifest.FILES].items() if f.startswith("host.")
        }
        users = [f"user{i}" for i in range(7) if i != 3]
        assert sorted(new.keys("user")) == users
        assert new.get("user", GONE["user"]).found.tolist() == [False, False]
        hit, was = new.get("user", users), rows[ds][0]
        keys = before[ds].keys("user")
        place = [keys.index(key) for key in users]
        for name in ("vectors", "degree", "age_days", "source", "fallback"):
            assert np.array_equal(getattr(hit, name), getattr(was, name)[place]), name
        table = pq.read_table(releases.release_path(warehouse, f"{ds}.2") / "user.parquet")
        assert table["key"].to_pylist() == new.keys("user")
    entry = releases.read_log(warehouse)[-1]
    assert (entry["action"], entry["from"], entry["to"]) == (releases.ERASE, f"{DAYS[-1]}.1", f"{DAYS[-1]}.2")


def test_rows_stay_with_their_keys_where_a_new_seed_orders_them_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a crowded bucket had asked for another seed, and the erased key was in it."""
    content, write = made(DAYS[0], 1)

    def numbered(path: Path) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(codec, "FIRST_SEED", b"another!")
            write(path)
        rows = np.load(path / "user.rows.npy")
        rows["degree"] = 1 + np.arange(len(rows))
        np.save(path / "user.rows.npy", rows)

    first, _ = releases.stage_release(tmp_path, content, numbered)
    releases.switch(tmp_path, first, expected=None, action=releases.PUBLISH, at=AT)
    old = open_release(tmp_path)
    users = [key for key in old.keys("user") if key != "user3"]
    was, unknown = old.get("user", users), old.get("user", ["nobody"]).vectors
    erased(tmp_path)
    new = open_release(tmp_path, verify=True)
    assert new.keys("user") != users, "another order"
    hit = new.get("user", users)
    assert hit.degree.tolist() == was.degree.tolist()
    assert np.array_equal(hit.vectors, was.vectors)
    assert np.array_equal(new.get("user", ["user3"]).vectors, unknown), "the prior of the type stays"
    table = pq.read_table(releases.release_path(tmp_path, new.release_id) / "user.parquet")
    assert table["key"].to_pylist() == new.keys("user")
    held = np.array(table["vector"].to_pylist(), np.float32)
    assert np.array_equal(held, new.get("user", new.keys("user")).vectors)


def test_the_id_that_a_ranker_logged_names_what_the_release_became(warehouse: Path) -> None:
    logged = asof.vectors_of(warehouse, "user", ["user1", "user3"], [f"{DAYS[0]}.1"] * 2)
    assert logged.found.all()
    erased(warehouse)
    erased(warehouse, {"host": ["host1"]})
    for former in (f"{DAYS[0]}.1", f"{DAYS[0]}.2"):
        assert open_release(warehouse, former).release_id == f"{DAYS[0]}.3"
        again = asof.vectors_of(warehouse, "user", ["user1", "user3"], [former] * 2)
        assert again.found.tolist() == [True, False]
        assert np.array_equal(again.vectors[0], logged.vectors[0])
    with pytest.raises(InputError, match="one of the releases"):
        open_release(warehouse, "2020-01-01.1")


def test_done_again_it_changes_no_byte(warehouse: Path) -> None:
    erased(warehouse)
    before = bytes_of(warehouse)
    assert erased(warehouse) == {"renewed": {}, "removed": [], "held": {}, "unreadable": []}
    assert bytes_of(warehouse) == before


@pytest.mark.parametrize("moment", ["stage_release", "switch", "remove"])
@pytest.mark.parametrize("calls", [0, 2])
def test_killed_anywhere_the_next_one_finishes(
    warehouse: Path, tmp_path_factory: pytest.TempPathFactory, moment: str, calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if moment == "switch" and calls:
        return
    whole = tmp_path_factory.mktemp("whole")
    for seed, ds in enumerate(DAYS):
        publish(whole, ds, seed)
    erased(whole)
    left = iter([None] * calls)
    place = retention if moment == "remove" else releases
    real = getattr(place, moment)

    def dies(*given: Any, **named: Any) -> Any:
        done = real(*given, **named)
        if next(left, KeyboardInterrupt) is not None:
            raise KeyboardInterrupt
        return done

    with monkeypatch.context() as patch:
        patch.setattr(place, moment, dies)
        with pytest.raises(KeyboardInterrupt):
            erased(warehouse)
    erased(warehouse)
    assert not holders(warehouse, "user3")
    mine, theirs = bytes_of(warehouse), bytes_of(whole)
    assert {n: d for n, d in mine.items() if "lock" not in n} == {n: d for n, d in theirs.items() if "lock" not in n}


def test_what_a_rollback_withdrew_stays_withdrawn_under_its_new_id(warehouse: Path) -> None:
    releases.rollback(warehouse, f"{DAYS[1]}.1", at=AT)
    assert releases.withdrawn(warehouse) == {f"{DAYS[2]}.1"}
    record = erased(warehouse)
    assert record["renewed"] == {f"{ds}.1": f"{ds}.2" for ds in DAYS}
    assert current(warehouse) == f"{DAYS[1]}.2"
    assert releases.withdrawn(warehouse) == {f"{DAYS[2]}.2"}
    erased(warehouse, {"user": ["user5"]})
    assert current(warehouse) == f"{DAYS[1]}.3"
    assert releases.withdrawn(warehouse) == {f"{DAYS[2]}.3"}
    releases.rollback(warehouse, f"{DAYS[0]}.3", at=AT)
    assert releases.withdrawn(warehouse) == {f"{DAYS[1]}.3", f"{DAYS[2]}.3"}
    releases.rollback(warehouse, f"{DAYS[2]}.3", at=AT)
    assert releases.withdrawn(warehouse) == {f"{DAYS[1]}.3"}


def test_an_attempt_that_a_later_one_replaced_is_only_removed(warehouse: Path) -> None:
    publish(warehouse, DAYS[2], 9)
    assert current(warehouse) == f"{DAYS[2]}.2"
    record = erased(warehouse)
    assert record["removed"] == [f"{DAYS[2]}.1"]
    assert record["renewed"][f"{DAYS[2]}.2"] == f"{DAYS[2]}.3"
    assert releases.list_releases(warehouse) == [f"{DAYS[0]}.2", f"{DAYS[1]}.2", f"{DAYS[2]}.3"]


def test_an_attempt_whose_successor_was_withdrawn_is_made_anew(warehouse: Path) -> None:
    publish(warehouse, DAYS[2], 9)
    releases.rollback(warehouse, f"{DAYS[2]}.1", at=AT)
    publish(warehouse, "2026-03-01", 5)
    record = erased(warehouse)
    assert record["removed"] == []
    assert (record["renewed"][f"{DAYS[2]}.1"], record["renewed"][f"{DAYS[2]}.2"]) == (f"{DAYS[2]}.3", f"{DAYS[2]}.4")
    assert releases.withdrawn(warehouse) == {f"{DAYS[2]}.4"}


def test_a_type_may_lose_every_key(warehouse: Path) -> None:
    erased(warehouse, {"host": ["host0", "host1", "host2"]})
    opened = open_release(warehouse, verify=True)
    assert opened.keys("host") == []
    assert not opened.get("host", ["host0"]).found.any()
    assert len(opened.keys("user")) == 7


def test_a_pin_of_a_reader_does_not_keep_it_and_its_pages_stay(warehouse: Path) -> None:
    opened = open_release(warehouse)
    opened.table("user")
    with retention.pinned(warehouse, current(warehouse)):
        erased(warehouse)
    assert not holders(warehouse, "user3")
    assert opened.get("user", ["user3"]).found.all(), "until the reader goes on, or denies it"


def test_one_that_cannot_be_read_is_named_and_left(warehouse: Path) -> None:
    path = releases.release_path(warehouse, f"{DAYS[0]}.1") / "user.vectors.npy"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    record = erased(warehouse)
    assert record["unreadable"] == [f"{DAYS[0]}.1"]
    assert list(record["renewed"]) == [f"{DAYS[1]}.1", f"{DAYS[2]}.1"]


def test_a_file_whose_rows_are_not_known_is_not_passed_on(warehouse: Path) -> None:
    content, write = made("2026-03-01", 5, **{Manifest.PARENT: current(warehouse), Manifest.NEW_SPACE: False})

    def more(path: Path) -> None:
        write(path)
        np.save(path / "user.codes.npy", np.arange(7))
        np.save(path / "probe.npy", np.arange(3))

    release_id, _ = releases.stage_release(warehouse, content, more)
    with pytest.raises(StoreError, match=r"of user, found \['user\.codes\.npy'\]"):
        erased(warehouse)
    erased(warehouse, {"host": ["host1"]})
    kept = open_release(warehouse, f"{release_id[:10]}.2", verify=True)
    assert {"probe.npy", "user.codes.npy"} <= set(kept.manifest[Manifest.FILES])


def test_who_moves_the_pointer_meanwhile_is_not_overwritten(warehouse: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = module._renew

    def while_another_rolls_back(place: Path, release_id: str, gone: Any) -> str:
        new = real(place, release_id, gone)
        if release_id == f"{DAYS[2]}.1":
            releases.rollback(place, f"{DAYS[1]}.2", at=AT)
        return new

    monkeypatch.setattr(module, "_renew", while_another_rolls_back)
    with pytest.raises(PointerMovedError):
        erased(warehouse)
    monkeypatch.undo()
    erased(warehouse)
    assert current(warehouse) == f"{DAYS[1]}.2"
    assert not holders(warehouse, "user3")


def test_the_mirror_follows(warehouse: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    copy = tmp_path_factory.mktemp("mirror")
    mirror.send(warehouse, str(copy), at=AT)
    assert holders(copy, "user3")
    erased(warehouse, mirror=str(copy))
    assert not holders(copy, "user3")
    found, _ = places.Directory(copy).read("CURRENT") or (b"", "")
    assert json.loads(found)["release_id"] == f"{DAYS[-1]}.2"


def test_the_horizon_is_the_window_of_sums_and_a_round_of_trainings() -> None:
    window = 28
    sums = {"transitions": {"next": SimpleNamespace(window_days=window), "soon": SimpleNamespace(window_days=7)}}
    config = load_config(CONFIG).model_copy(update=sums)
    learns = config.model_copy(
        update={"embed": config.embed.model_copy(update={"model": "hybrid", "cold_every_days": 9})}
    )
    plain = config.model_copy(update={"embed": config.embed.model_copy(update={"model": "autocovariance"})})

    def days(found: dict[str, Any]) -> int:
        return (dt.date.fromisoformat(found["served"]) - dt.date(2026, 3, 2)).days

    assert days(horizon(learns, "2026-03-02")) == window + 9
    assert days(horizon(plain, "2026-03-02")) == window + 1
    bare = learns.model_copy(update={"transitions": {}})
    assert horizon(bare, "2026-03-02") == {"served": "2026-03-11", "kept": config.publish.keep}


def test_what_was_erased_since_a_training_began_is_known_by_day_and_count(tmp_path: Path) -> None:
    assert (erase.newest(tmp_path), erase.erased_since(tmp_path, None, 0)) == (None, None)
    erase.remember(tmp_path, {"user": ["a"]}, "2026-03-02")
    assert erase.erased_since(tmp_path, None, 0) == "2026-03-02"
    assert erase.erased_since(tmp_path, "2026-03-02", 1) is None
    erase.remember(tmp_path, {"user": ["a", "b"]}, "2026-03-02")
    assert erase.erased_since(tmp_path, "2026-03-02", 1) == "2026-03-02", "the same day, and after"
    erase.remember(tmp_path, {"host": ["c"]}, "2026-03-09")
    assert erase.newest(tmp_path) == "2026-03-09"
    assert erase.erased_since(tmp_path, "2026-03-05", 2) == "2026-03-09"
    assert erase.erased_since(tmp_path, None, 0) == "2026-03-02"
    assert erase.erased_on(tmp_path, {"user": ["a"], "host": ["c"]}) == "2026-03-09"
    assert erase.erased_on(tmp_path, {"user": ["c"]}) is None


def test_an_erased_host_leaves_the_uplift_of_every_release(tmp_path: Path) -> None:
    table = scores([{"host_id": f"host{i}", "uplift": i / 8} for i in range(3)])
    content, write = made(DAYS[0], 0, **{Manifest.UPLIFT: about(table)})

    def all_of(path: Path) -> None:
        write(path)
        write_uplift(path, table)

    release_id, _ = releases.stage_release(tmp_path, content, all_of)
    releases.switch(tmp_path, release_id, expected=None, action=releases.PUBLISH, at=AT)
    record = erased(tmp_path, {"host": ["host1", "stranger"], "user": ["host2"]})
    assert record["held"] == {release_id: {"host": 1, "golive_uplift": 1}}
    assert not holders(tmp_path, "host1")
    opened = open_release(tmp_path, verify=True)
    hit = opened.uplift("push", ["host0", "host1", "host2"])
    assert hit.ok.tolist() == [True, False, True]
    kept = opened.manifest[Manifest.UPLIFT]
    assert (kept["hosts"], kept["columns"][0]["rows"]) == (2, 2)
    assert erased(tmp_path, {"host": ["host1"]})["held"] == {}
