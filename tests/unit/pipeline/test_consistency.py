"""What is read is what was published, and where it is not, the place, the type and the reason are told."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import redis

import redis_server
from conftest import Place
from graphrep.cli import app
from graphrep.contracts import History
from graphrep.errors import GateRefusedError
from graphrep.pipeline import export, history
from graphrep.pipeline.consistency import consistency
from graphrep.pipeline.context import Run
from graphrep.store import erase, history_commit, mirror
from graphrep.store import history as store

DAY = "2026-03-01"
AT = dt.datetime(2026, 3, 2, tzinfo=dt.UTC)
KEYS = {kind: [f"{kind}-{i}" for i in range(30)] for kind in ("host", "user")}


def vectors(seed: int) -> dict[str, dict[str, list[float]]]:
    rng = np.random.default_rng(seed)
    return {kind: {key: rng.normal(size=3).tolist() for key in keys} for kind, keys in KEYS.items()}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with redis_server.running(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture
def place(still_place: Place, publish_vectors: Any, server: str) -> Place:
    """A published day, with a history, a mirror and a Redis to be filled."""
    still_place.configure(
        lambda own: own.update(
            history={"enabled": True},
            publish={"mirror": str(still_place.root / "mirror")},
            export={"daily": {"redis": server}},
        )
    )
    publish_vectors(still_place.warehouse, DAY, vectors(0))
    return still_place


def run_on(place: Place, day: str = "2026-03-02") -> Run:
    return Run(place.run().config, today=dt.date.fromisoformat(day))


def fill(place: Place) -> None:
    history.sync(place.run(), at=AT)
    mirror.send(place.warehouse, str(place.root / "mirror"), at=AT)
    export.export_daily(place.run())


def wrong(run: Run) -> dict[str, str]:
    rows = consistency(run, sample=30, seed=0)["compared"]
    return {f"{row['place']} {row['node_type']}": row["reason"] for row in rows if row["reason"]}


def test_what_was_brought_everywhere_is_read_everywhere(place: Place) -> None:
    fill(place)
    found = consistency(run_on(place), sample=20, seed=0)
    assert found["release_id"] == f"{DAY}.1"
    asked = [(row["place"], row["node_type"], row["keys"]) for row in found["compared"]]
    both = [(read, kind, 20) for read in ("reader", "history", "redis") for kind in ("host", "user")]
    assert sorted(asked) == sorted([*both, ("mirror", "all", 0)])
    assert {(row["wrong"], row["reason"]) for row in found["compared"]} == {(0, "")}


def test_what_lags_is_told(place: Place, publish_vectors: Any) -> None:
    fill(place)
    publish_vectors(place.warehouse, DAY, vectors(1))
    assert wrong(run_on(place)) == {
        "history host": f"it holds {DAY}.1 of {DAY}",
        "history user": f"it holds {DAY}.1 of {DAY}",
        "mirror all": f"it serves {DAY}.1",
        "redis host": f"it serves {DAY}.1",
        "redis user": f"it serves {DAY}.1",
    }


def test_other_bytes_under_the_same_release_are_told(place: Place, server: str) -> None:
    rows = history._rows(place.run(), f"{DAY}.1", "user")
    other = [{**row, History.VECTOR: [9.0] * 3} if row[History.KEY] == "user-3" else row for row in rows.to_pylist()]
    changed = pa.Table.from_pylist(other, schema=rows.schema)
    with store.open_catalog(place.warehouse, "graphrep", {}) as catalog:
        history_commit.put_day(catalog, "graphrep", "user", changed)
    fill(place)
    file = place.root / "mirror" / "releases" / f"{DAY}.1" / "host.parquet"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    client = redis.Redis.from_url(server)
    name = f"{{graphrep}}:{DAY}.1:host"
    client.hset(name, "host-5", client.hget(name, "host-6"))
    assert wrong(run_on(place)) == {
        "history user": "1 of 30 keys have another vector",
        "mirror all": f"host.parquet of {DAY}.1 has other bytes",
        "redis host": "1 of 30 keys have another vector",
    }


def test_a_release_that_is_older_than_its_types_may_be_is_told(place: Place) -> None:
    fill(place)
    assert wrong(run_on(place, "2026-03-08")) == {}
    reason = f"{DAY}.1 is 8 days old, more than its ttl_days"
    assert wrong(run_on(place, "2026-03-09")) == {"reader host": reason, "reader user": reason}


def test_an_erased_key_is_told_wherever_it_still_is(place: Place) -> None:
    fill(place)
    erase.remember(place.warehouse, {"user": ["user-3"]}, DAY)  # and nothing else of an erasure
    assert wrong(run_on(place)) == {
        "reader user": "the release holds 1 erased keys",
        "history user": "it holds 1 erased keys",
        "redis user": "1 erased keys are not denied",
    }


def test_arrays_that_are_not_those_of_the_table_are_told(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(place)
    monkeypatch.setattr("graphrep.pipeline.consistency.MOST_LOST", -1.0)  # as if any loss were too much
    assert set(wrong(run_on(place))) == {"reader host", "reader user"}


def test_the_command_ends_with_3_and_one_line_where_one_differs(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["consistency", "--config", str(place.config), "--warehouse", str(place.warehouse)]
    with pytest.raises(GateRefusedError, match=r"expected what is read to be what was published, found .*history host"):
        app(words, standalone_mode=False)
    assert "read from  type" in capsys.readouterr().out


def test_where_nothing_is_published_nothing_is_compared(still_place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    still_place.warehouse.mkdir()
    app(
        ["consistency", "--config", str(still_place.config), "--warehouse", str(still_place.warehouse)],
        standalone_mode=False,
    )
    assert "nothing is published" in capsys.readouterr().out
