"""Redis serves one whole release at a time, equal to the lookup, against a real server on a socket of its own."""

from __future__ import annotations

import datetime as dt
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import redis

import redis_server
from graphrep.contracts import key_hash
from graphrep.errors import InputError, PointerMovedError, StoreError
from graphrep.export import redis as room
from graphrep.export.redis import read_redis
from graphrep.lookup import open_release
from graphrep.pipeline import erase, export
from graphrep.store import releases

DAYS = ("2026-03-01", "2026-03-02")
AT = dt.datetime(2026, 3, 3, tzinfo=dt.UTC)
PLACE = room.Place("graphrep")

EXPORTER = """
import datetime as dt, os, signal, sys
from pathlib import Path
from graphrep.config import load_config
from graphrep.export import redis as room
from graphrep.pipeline import export
from graphrep.pipeline.context import Run
config, warehouse, url, moment = sys.argv[1:]
def die(*args, **kwargs): os.kill(os.getpid(), signal.SIGKILL)
if moment == "before the switch":
    room.switch = die
else:
    stage, seen = room.stage, []
    def second(*args, **kwargs):
        seen.append(1)
        return die() if len(seen) == 2 else stage(*args, **kwargs)
    room.stage = second
run = Run(load_config(Path(config), warehouse=Path(warehouse)), today=dt.date(2026, 3, 31))
export.export_redis(run, url)
"""


def vectors(seed: int) -> dict[str, dict[str, list[float]]]:
    rng = np.random.default_rng(seed)
    keys = {kind: [f"{kind}-{i}" for i in range(30)] for kind in ("host", "user")}
    keys["user"] += ["ü👩", "with space", ""]
    return {kind: {key: rng.normal(size=3).tolist() for key in own} for kind, own in keys.items()}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Redis that is ours alone."""
    with redis_server.running(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture
def client(server: str) -> Iterator[Any]:
    opened = room.connect(server)
    opened.flushall()
    yield opened
    opened.close()


@pytest.fixture
def run(still_place: Any, publish_vectors: Any) -> Any:
    publish_vectors(still_place.warehouse, DAYS[0], vectors(0))
    return still_place.run()


def same(client: Any, warehouse: Path, release_id: str) -> None:
    """Redis answers what the lookup answers, for every key and for unknown ones."""
    release = open_release(warehouse, release_id)
    for node_type in release.types:
        keys = [*release.keys(node_type), "nobody"]
        told, wanted = read_redis(client, node_type, keys), release.get(node_type, keys)
        assert told.space_id == release.space_id
        assert told.hit.release_id == wanted.release_id
        for name in ("vectors", "found", "fallback", "age_days", "degree", "source", "denied", "expired"):
            mine, theirs = getattr(told.hit, name), getattr(wanted, name)
            assert np.array_equal(mine, theirs), name
            assert mine.dtype.kind == theirs.dtype.kind


def names(client: Any) -> set[str]:
    return {name.decode() for name in client.keys("*")}


def test_redis_answers_what_the_lookup_answers_and_follows_the_releases(
    run: Any, client: Any, server: str, publish_vectors: Any
) -> None:
    assert export.export_redis(run, server)["before"] is None
    same(client, run.warehouse, f"{DAYS[0]}.1")
    assert len(read_redis(client, "user", []).hit.vectors) == 0
    first = names(client)
    assert export.export_redis(run, server)["before"] == f"{DAYS[0]}.1", "again"
    assert names(client) == first
    same(client, run.warehouse, f"{DAYS[0]}.1")
    assert client.ttl(PLACE.rows(f"{DAYS[0]}.1", "user")) > room.GRACE_SECONDS

    publish_vectors(run.warehouse, DAYS[1], {"host": vectors(1)["host"]})
    record = export.export_redis(run, server)
    assert record == {"release_id": f"{DAYS[1]}.1", "before": f"{DAYS[0]}.1", "rows": {"host": 30}}
    same(client, run.warehouse, f"{DAYS[1]}.1")
    for name in first - {PLACE.current}:
        assert 0 < client.ttl(name) <= room.GRACE_SECONDS, "what was served before goes"
    with pytest.raises(InputError, match=r"a type of the release, found 'user'"):
        read_redis(client, "user", ["user-1"])
    export.export_redis(run, server, f"{DAYS[0]}.1")
    same(client, run.warehouse, f"{DAYS[0]}.1")
    assert client.ttl(PLACE.rows(f"{DAYS[0]}.1", "user")) > room.GRACE_SECONDS, "it is served again"


@pytest.mark.parametrize("moment", ["between the types", "before the switch"])
def test_who_is_killed_leaves_what_was_served(
    still_place: Any, run: Any, client: Any, server: str, publish_vectors: Any, moment: str
) -> None:
    export.export_redis(run, server)
    before = names(client)
    publish_vectors(run.warehouse, DAYS[1], vectors(1))
    command = [sys.executable, "-c", EXPORTER, str(still_place.config), str(run.warehouse), server, moment]
    assert subprocess.run(command, check=False, timeout=120).returncode == -signal.SIGKILL
    same(client, run.warehouse, f"{DAYS[0]}.1")
    left = names(client) - before
    assert left
    assert all(0 < client.ttl(name) <= room.STAGING_SECONDS for name in left), "it vanishes by itself"
    export.export_redis(run, server)
    same(client, run.warehouse, f"{DAYS[1]}.1")


def test_a_release_that_is_no_longer_current_is_not_switched_to(
    run: Any, client: Any, server: str, publish_vectors: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    export.export_redis(run, server)
    publish_vectors(run.warehouse, DAYS[1], vectors(1))
    stage = room.stage

    def roll_back(*args: Any, **kwargs: Any) -> str:
        releases.rollback(run.warehouse, f"{DAYS[0]}.1", at=AT)
        return stage(*args, **kwargs)

    monkeypatch.setattr(room, "stage", roll_back)
    with pytest.raises(PointerMovedError, match=r"2026-03-02.1 to be current still"):
        export.export_redis(run, server)
    monkeypatch.undo()
    same(client, run.warehouse, f"{DAYS[0]}.1")

    def overtake(*args: Any, **kwargs: Any) -> str:
        client.set(PLACE.current, "somebody's")
        return stage(*args, **kwargs)

    monkeypatch.setattr(room, "stage", overtake)
    with pytest.raises(PointerMovedError, match="served at the start"):
        export.export_redis(run, server)


def test_an_erased_key_is_missed_at_once_and_not_exported_again(run: Any, client: Any, server: str) -> None:
    export.export_redis(run, server)
    erase.erase(run, {"user": ["user-3"]}, at=AT)
    room.deny(client, PLACE, [key_hash("user", "user-3")])
    hit = read_redis(client, "user", ["user-3", "user-4"]).hit
    assert (hit.found.tolist(), hit.denied.tolist()) == ([False, True], [True, False])
    assert export.export_redis(run, server)["rows"]["user"] == 32
    assert read_redis(client, "user", ["user-4"]).hit.release_id == f"{DAYS[0]}.2", "made anew by the erasure"
    assert client.hget(PLACE.rows(f"{DAYS[0]}.2", "user"), "user-3") is None
    assert 0 < client.ttl(PLACE.rows(f"{DAYS[0]}.1", "user")) <= room.GRACE_SECONDS
    assert client.smismember(PLACE.denied, [key_hash("user", "user-3")]) == [1]


def test_what_is_not_read_back_is_not_switched_to(
    run: Any, client: Any, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis.Redis, "hmget", lambda *_: [b"other"] * 30)
    with pytest.raises(StoreError, match=r"every row as it was written, found 30 of 30 others"):
        export.export_redis(run, server)
    monkeypatch.undo()
    with pytest.raises(StoreError, match=r"an exported release, found none"):
        read_redis(client, "user", ["user-1"])


def test_what_has_expired_is_not_served(run: Any, client: Any, server: str) -> None:
    export.export_redis(run, server)
    assert client.ttl(PLACE.rows(f"{DAYS[0]}.1", "user")) in range(7 * 86_400 - 60, 7 * 86_400 + 1)
    client.delete(PLACE.release(f"{DAYS[0]}.1"))
    with pytest.raises(StoreError, match=r"found 2026-03-01.1, expired"):
        read_redis(client, "user", ["user-1"])


def test_what_cannot_be_is_said_in_one_line(run: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="an address such as"):
        export.export_redis(run, "http://somewhere")
    with pytest.raises(StoreError, match="a Redis that answers"):
        export.export_redis(run, f"unix://{tmp_path}/nobody")
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(InputError, match=r'pip install "graphrep\[redis\]"'):
        export.export_redis(run, "redis://localhost")
