"""A release in a second place: whole or not there, with the pointer moved last by a conditional put."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from graphrep import vocab
from graphrep.contracts import Manifest
from graphrep.errors import InputError, PointerMovedError, StoreError
from graphrep.lookup import open_release
from graphrep.pipeline.run import run_stage
from graphrep.store import mirror, pointer, releases, retention, runlog
from graphrep.store.places import MovedError, open_place
from made_days import FIRST, SECOND, Place, published
from made_release import AT, publish_made


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    script = [sys.executable, str(Path(__file__).with_name("object_store.py"))]
    with subprocess.Popen(script, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        process.kill()


@pytest.fixture
def store(server: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """An empty bucket; boto3 finds it by its environment alone."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    settings = {"ENDPOINT_URL": server, "ACCESS_KEY_ID": "k", "SECRET_ACCESS_KEY": "s", "DEFAULT_REGION": "us-east-1"}
    for name, value in settings.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    bucket = "b" + hashlib.sha256(request.node.name.encode()).hexdigest()[:20]
    boto3.client("s3").create_bucket(Bucket=bucket)
    return f"s3://{bucket}/some/prefix"


@pytest.fixture(params=["s3", "directory"])
def url(request: pytest.FixtureRequest, quick: Path) -> str:
    return str(request.getfixturevalue("store")) if request.param == "s3" else str(quick / "mirror")


@pytest.fixture
def warehouse(quick: Path) -> Path:
    publish(quick / "warehouse", 1)
    publish(quick / "warehouse", 2)
    return quick / "warehouse"


def publish(warehouse: Path, day: int, seed: int | None = None) -> str:
    before = releases.read_pointer(warehouse)
    follows = {Manifest.PARENT: before.release_id, Manifest.NEW_SPACE: False} if before else {}
    return publish_made(warehouse, f"2026-03-{day:02}", day if seed is None else seed, **follows)


def contents(path: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in path.iterdir()}


def test_what_is_current_is_sent_and_fetched_byte_for_byte(warehouse: Path, url: str, quick: Path) -> None:
    assert mirror.send(warehouse, url, at=AT) == "2026-03-02.1"
    assert mirror.fetch(url, quick / "cache") == "2026-03-02.1"
    opened = open_release(quick / "cache", verify=True)
    assert opened.release_id == "2026-03-02.1"
    here, there = (releases.release_path(place, "2026-03-02.1") for place in (warehouse, quick / "cache"))
    assert contents(here) == contents(there)
    assert [entry["to"] for entry in releases.read_log(quick / "cache")] == ["2026-03-02.1"]
    assert mirror.send(warehouse, url, at=AT) == "2026-03-02.1", "again, it finds nothing to do"
    stamp = (quick / "cache" / "releases" / "2026-03-02.1").stat().st_ino
    assert mirror.fetch(url, quick / "cache") == "2026-03-02.1"
    assert (quick / "cache" / "releases" / "2026-03-02.1").stat().st_ino == stamp


def test_a_rollback_and_removals_go_there_too(warehouse: Path, url: str, quick: Path) -> None:
    for day in (3, 4, 5):
        mirror.send(warehouse, url, at=AT)
        publish(warehouse, day)
    mirror.send(warehouse, url, at=AT)
    releases.rollback(warehouse, None, at=AT)
    assert mirror.send(warehouse, url, at=AT) == "2026-03-04.1"
    assert mirror.fetch(url, quick / "cache") == "2026-03-04.1"
    assert [e["action"] for e in pointer.read_log(open_place(url))] == ["publish"] * 4 + ["rollback"]
    releases.rollback(warehouse, "2026-03-05.1", at=AT)
    assert retention.expire(warehouse, 1) == ["2026-03-01.1", "2026-03-02.1", "2026-03-03.1"]
    mirror.send(warehouse, url, at=AT)
    left = {name.split("/")[1] for name in open_place(url).list("releases/2026")}
    assert left == {"2026-03-04.1", "2026-03-05.1"}
    with pytest.raises(InputError, match=r"a release that the place holds, found 2026-03-02\.1"):
        mirror.fetch(url, quick / "cache", "2026-03-02.1")


def test_a_cache_keeps_the_newest_and_takes_a_named_release_beside(warehouse: Path, url: str, quick: Path) -> None:
    for day in (3, 4):
        publish(warehouse, day)
        mirror.send(warehouse, url, at=AT)
        mirror.fetch(url, quick / "cache", keep=1)
    assert releases.list_releases(quick / "cache") == ["2026-03-03.1", "2026-03-04.1"], "the parent stays"
    assert mirror.fetch(url, quick / "other", "2026-03-03.1") == "2026-03-03.1"
    assert open_release(quick / "other", "2026-03-03.1", verify=True).release_id == "2026-03-03.1"
    assert releases.read_pointer(quick / "other") is None


def test_a_damaged_or_half_sent_release_is_not_taken(warehouse: Path, url: str, quick: Path) -> None:
    mirror.send(warehouse, url, at=AT)
    mirror.fetch(url, quick / "cache")
    publish(warehouse, 3)
    mirror.send(warehouse, url, at=AT)
    place = open_place(url)
    name = "releases/2026-03-03.1/user.rows.npy"
    (quick / "bad").write_bytes(b"x" * place.list(name)[name])
    place.put_file(name, quick / "bad")
    with pytest.raises(StoreError, match=r"the bytes that were published, found others .*user\.rows\.npy"):
        mirror.fetch(url, quick / "cache")
    place.delete(name)
    with pytest.raises(StoreError, match=r"user\.rows\.npy"):
        mirror.fetch(url, quick / "cache")
    assert open_release(quick / "cache", verify=True).release_id == "2026-03-02.1", "what was there serves"
    assert list((quick / "cache" / "releases" / ".staging").iterdir()) == []


def test_a_mirror_serves_one_warehouse(warehouse: Path, url: str, quick: Path) -> None:
    mirror.send(warehouse, url, at=AT)
    publish(quick / "second", 2, seed=9)
    with pytest.raises(StoreError, match=r"which this warehouse did not make .*a mirror of its own"):
        mirror.send(quick / "second", url, at=AT)
    assert mirror.fetch(url, quick / "cache") == "2026-03-02.1"
    assert open_release(quick / "cache").manifest[Manifest.SEED] == 2


def test_two_that_make_one_id_of_two_contents_never_mix(warehouse: Path, url: str, quick: Path) -> None:
    publish(quick / "second", 2, seed=9)
    mirror.send(warehouse, url, at=AT)
    open_place(url).delete(releases.CURRENT)
    with pytest.raises(StoreError, match=r"a release id that is free, or ours, found another's .*its next attempt"):
        mirror.send(quick / "second", url, at=AT)


def test_a_warehouse_whose_log_was_moved_aside_is_sent(warehouse: Path, quick: Path) -> None:
    (warehouse / "releases" / releases.LOG).unlink()
    assert mirror.send(warehouse, str(quick / "mirror"), at=AT) == "2026-03-02.1"
    assert [e["action"] for e in pointer.read_log(open_place(str(quick / "mirror")))] == ["publish"]


def test_an_empty_place_and_an_empty_warehouse(url: str, quick: Path) -> None:
    assert mirror.send(quick / "new", url, at=AT) is None
    with pytest.raises(InputError, match="a place with a published release, found none"):
        mirror.fetch(url, quick / "cache")


@pytest.mark.parametrize("publishers", [2, 8])
def test_of_racing_conditional_puts_one_wins(warehouse: Path, url: str, publishers: int) -> None:
    mirror.send(warehouse, url, at=AT)
    seen, version = pointer.read(open_place(url))
    gate, told = threading.Barrier(publishers), []

    def put(n: int) -> None:
        place, new = open_place(url), pointer.Pointer(f"2026-03-03.{n + 1}", "ab")
        gate.wait()
        try:
            pointer.move(place, new, seen, action="publish", at=AT)
            told.append(("won", new))
        except PointerMovedError as error:
            told.append(("lost", str(error)))

    threads = [threading.Thread(target=put, args=(n,)) for n in range(publishers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    now, after = pointer.read(open_place(url))
    assert [new for how, new in told if how == "won"] == [now]
    assert len(told) == publishers
    assert after != version
    assert [e["to"] for e in pointer.read_log(open_place(url))] == ["2026-03-02.1", now and now.release_id]


def test_a_conditional_put_takes_the_version_that_it_was_told(url: str) -> None:
    place = open_place(url)
    place.put_if("a", b"1", None)
    found = place.read("a")
    assert found is not None
    for content, expected in ((b"2", None), (b"2", "other")):
        with pytest.raises(MovedError):
            place.put_if("a", content, expected)
    place.put_if("a", b"2", found[1])
    with pytest.raises(MovedError):
        place.put_if("a", b"3", found[1])
    assert place.read("a") != found
    place.delete("a")
    place.delete("a")
    assert place.read("a") is None
    with pytest.raises(MovedError):
        place.put_if("a", b"4", found[1])


def test_a_reply_that_was_lost_after_success_is_no_failure_and_no_second_release(
    warehouse: Path, store: str, quick: Path
) -> None:
    boto3.client("s3").create_bucket(Bucket="losing")
    for day in (2, 3):
        assert mirror.send(warehouse, "s3://losing/here", at=AT) == f"2026-03-0{day}.1"
        publish(warehouse, day + 1)
    log = pointer.read_log(open_place("s3://losing/here"))
    assert [entry["to"] for entry in log] == ["2026-03-02.1", "2026-03-03.1"]
    assert mirror.fetch("s3://losing/here", quick / "cache") == "2026-03-03.1"


def test_a_store_that_does_not_answer_is_one_line_and_the_release_serves_here(
    warehouse: Path, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for change in ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_MAX_ATTEMPTS": "1"}, {}):
        for name, value in change.items():
            monkeypatch.setenv(name, value)
        url = store if change else "s3://no-such-bucket/x"
        with pytest.raises(StoreError) as caught:
            mirror.send(warehouse, url, at=AT)
        assert str(caught.value).startswith("expected an answer of the object store, found ")
        assert "\n" not in str(caught.value)
        monkeypatch.setenv("AWS_ENDPOINT_URL", os.environ["AWS_ENDPOINT_URL"])
    assert open_release(warehouse, verify=True).release_id == "2026-03-02.1"


def test_publishing_brings_the_mirror_along_and_makes_up_for_it_where_the_store_was_gone(
    store: str, quick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Place(quick)
    made.configure(publish={"mirror": store})
    first = published(made, FIRST)
    assert mirror.fetch(store, quick / "cache") == first.release_id == f"{FIRST}.1"
    with monkeypatch.context() as gone:
        gone.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        gone.setenv("AWS_MAX_ATTEMPTS", "1")
        with pytest.raises(StoreError, match="expected an answer of the object store") as caught:
            published(made, SECOND)
    assert "\n" not in str(caught.value)
    here = open_release(made.warehouse, verify=True)
    assert here.release_id == f"{SECOND}.1"
    assert runlog.read_stage(made.warehouse, SECOND, vocab.PUBLISH) is None, "the stage is not done"
    assert mirror.fetch(store, quick / "cache") == first.release_id, "what was there serves there"

    again = run_stage(made.run(), vocab.PUBLISH, SECOND, at=AT)
    assert (again["release_id"], again["new"], again["mirrored"]) == (here.release_id, False, here.release_id)
    assert mirror.fetch(store, quick / "cache") == here.release_id
    ours, theirs = (releases.release_path(place, here.release_id) for place in (made.warehouse, quick / "cache"))
    assert contents(ours) == contents(theirs)
    assert [entry["to"] for entry in releases.read_log(made.warehouse)] == [first.release_id, here.release_id]
    assert [entry["to"] for entry in pointer.read_log(open_place(store))] == [first.release_id, here.release_id]


@pytest.mark.parametrize("url", ["s3://", "s3://UPPER/x", "gs://bucket/x", "s3:///x"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(InputError, match="expected s3://bucket/prefix"):
        open_place(url)


def test_without_boto3_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(InputError, match=r"expected boto3, found none .*graphrep\[s3\]"):
        open_place("s3://bucket/x")
