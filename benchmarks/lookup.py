"""Vectors of a batch of string keys: graphrep's reader beside LMDB, SQLite, Redis and Feast's online store.

    python -m benchmarks.lookup --keys 1000000 --rounds 300 --json lookup.json

One process on one core, in one run: each store in turn answers some batches (``IN_A_ROW``), so that what else the
machine does falls on all. Keys are such as ``user000000123``, vectors 64 float32 (graphrep keeps int8 with a scale),
2 % of a batch is unknown. Every store answers an (n, 64) float32 array, rows of unknown keys zero or the prior, and is
compared with the vectors that were put in. Figures: wall milliseconds of a batch at 50, 95 and 99 %, and this process's
own processor time at 50 and 99 %, which other work on the machine disturbs less. Redis's server is another process over
a Unix socket, whose processor time is not counted. Feast (SQLite online store, a venv of its own: ``--feast``) is asked
in a process of its own after the others, with fewer keys, since loading it takes minutes a million.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphrep import vocab
from graphrep.contracts import Manifest
from graphrep.lookup import follow_releases, reader
from graphrep.lookup.keys import ROWS, arrange
from graphrep.lookup.quantise import pack
from graphrep.store import releases, tables

DIM, MISSES, DS = 64, 0.02, "2026-03-01"
CHUNK = 20_000
IN_A_ROW = 20
Floats = NDArray[np.float32]
Ask = Callable[[Sequence[str]], Floats]

FEAST = """
import json, sys, time
from datetime import datetime, timedelta, timezone
import numpy as np, pandas as pd
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
from feast.types import Array, Float32
place, (count, dim, rounds), batches = sys.argv[1], map(int, sys.argv[2:5]), json.loads(sys.argv[5])
now = datetime.now(timezone.utc)
keys = [f"user{i:09d}" for i in range(count)]
vectors = np.random.default_rng(0).normal(size=(count, dim)).astype(np.float32)
frame = pd.DataFrame({"user": keys, "vector": list(vectors), "event_timestamp": now})
frame.to_parquet(f"{place}/rows.parquet")
online = {"type": "sqlite", "path": f"{place}/online.db"}
store = FeatureStore(config=RepoConfig(project="lookup", provider="local", registry=f"{place}/registry.db",
                                       online_store=online, entity_key_serialization_version=3))
user = Entity(name="user", join_keys=["user"], value_type=ValueType.STRING)
view = FeatureView(name="embedding", entities=[user], ttl=timedelta(days=7),
                   schema=[Field(name="vector", dtype=Array(Float32))],
                   source=FileSource(path=f"{place}/rows.parquet", timestamp_field="event_timestamp"))
store.apply([user, view])
store.write_to_online_store("embedding", frame)
chance = np.random.default_rng(1)
for size in batches:
    wall, own = [], []
    for _ in range(rounds):
        drawn = zip(chance.integers(0, count, size), chance.random(size) > .02)
        asked = [keys[i] if known else f"none{i:09d}" for i, known in drawn]
        cpu, start = time.process_time(), time.perf_counter()
        rows = [{"user": key} for key in asked]
        told = store.get_online_features(features=["embedding:vector"], entity_rows=rows).to_dict()["vector"]
        found = np.array([row if row is not None else np.zeros(dim) for row in told], np.float32)
        wall.append(time.perf_counter() - start); own.append(time.process_time() - cpu)
        place_of = [int(key[4:]) if key.startswith("user") else -1 for key in asked]
        assert all(np.allclose(found[j], vectors[i]) for j, i in enumerate(place_of) if i >= 0)
    print("RESULT", json.dumps([size, wall, own]))
"""


def make_keys(count: int) -> list[str]:
    return [f"user{i:09d}" for i in range(count)]


@contextmanager
def graphrep_store(place: Path, keys: Sequence[str], vectors: Floats, *, online: str) -> Iterator[Ask]:
    order, arrays = arrange(keys)
    kept, scales = pack(np.ascontiguousarray(vectors[order]), online)
    arrays[ROWS]["scale"] = scales
    arrays[ROWS]["source"] = vocab.SOURCES.index(vocab.OWN)
    arrays |= {reader.VECTORS: kept, reader.PRIOR: np.zeros(DIM, np.float32)}
    content = {
        **dict.fromkeys((Manifest.SPACE_ID, Manifest.CONFIG_HASH, Manifest.CODE_VERSION, Manifest.CODE_HASH), "none"),
        **dict.fromkeys((Manifest.PARENT, Manifest.METRICS, Manifest.ALIGNMENT)),
        **{key: {} for key in (Manifest.INPUTS, Manifest.GATE, Manifest.MAPS, Manifest.MODEL)},
        Manifest.DS: DS,
        Manifest.NEW_SPACE: True,
        Manifest.WINDOW: [DS, DS],
        Manifest.SEED: 0,
        Manifest.ERASURE: {"count": 0, "sha256": ""},
        Manifest.NODE_TYPES: {vocab.USER: {"count": len(keys), "dim": DIM}},
        Manifest.TTL_DAYS: {vocab.USER: 7},
    }

    def write(path: Path) -> None:
        tables.save_arrays(path, {f"{vocab.USER}.{name}": array for name, array in arrays.items()})

    release_id, _ = releases.stage_release(place, content, write)
    at = dt.datetime.fromisoformat(f"{DS}T00:00:00+00:00")
    releases.switch(place, release_id, expected=None, action=releases.PUBLISH, at=at)
    live = follow_releases(place, today=lambda: DS)
    yield lambda asked: live.get(vocab.USER, asked).vectors


@contextmanager
def lmdb_store(place: Path, keys: Sequence[str], vectors: Floats) -> Iterator[Ask]:
    import lmdb

    env = lmdb.open(str(place), map_size=1 << 33, sync=False, readahead=False)
    with env.begin(write=True) as txn:
        txn.cursor().putmulti(
            ((key.encode(), row.tobytes()) for key, row in zip(keys, vectors, strict=True)), append=True
        )
    zero = bytes(4 * DIM)

    def ask(asked: Sequence[str]) -> Floats:
        with env.begin(buffers=True) as txn:
            get = txn.get
            return rows_of(b"".join([get(key.encode(), zero) for key in asked]))

    yield ask
    env.close()


@contextmanager
def sqlite_store(place: Path, keys: Sequence[str], vectors: Floats) -> Iterator[Ask]:
    base = sqlite3.connect(place / "vectors.db")
    base.execute("create table vectors (key text primary key, vector blob) without rowid")
    base.executemany(
        "insert into vectors values (?, ?)", ((k, v.tobytes()) for k, v in zip(keys, vectors, strict=True))
    )
    base.commit()
    base.execute("pragma mmap_size = 4294967296")
    zero = bytes(4 * DIM)

    def ask(asked: Sequence[str]) -> Floats:
        marks = ",".join("?" * len(asked))
        found = dict(base.execute(f"select key, vector from vectors where key in ({marks})", asked).fetchall())
        return rows_of(b"".join([found.get(key, zero) for key in asked]))

    yield ask
    base.close()


@contextmanager
def redis_store(place: Path, keys: Sequence[str], vectors: Floats) -> Iterator[Ask]:
    import redis

    path = place / "redis.sock"
    options = ["--port", "0", "--unixsocket", str(path), "--save", "", "--appendonly", "no", "--dir", str(place)]
    server = subprocess.Popen(["redis-server", *options], stdout=subprocess.DEVNULL)
    try:
        client = redis.Redis(unix_socket_path=str(path))
        for _ in range(200):
            if path.exists():
                break
            time.sleep(0.05)
        for start in range(0, len(keys), CHUNK):
            rows = vectors[start : start + CHUNK]
            client.mset({key: row.tobytes() for key, row in zip(keys[start : start + CHUNK], rows, strict=True)})
        zero = bytes(4 * DIM)

        def ask(asked: Sequence[str]) -> Floats:
            told: Any = client.mget(asked)
            return rows_of(b"".join([found or zero for found in told]))

        yield ask
    finally:
        server.terminate()
        server.wait()


STORES: dict[str, Callable[[Path, Sequence[str], Floats], Any]] = {
    "graphrep, int8": partial(graphrep_store, online="int8"),
    "graphrep, float32": partial(graphrep_store, online="float32"),
    "LMDB": lmdb_store,
    "SQLite": sqlite_store,
    "Redis": redis_store,
}


def rows_of(content: bytes) -> Floats:
    """One copy, as the caller may write into it."""
    return np.frombuffer(content, dtype=np.float32).reshape(-1, DIM).copy()


Times = dict[tuple[str, int], tuple[list[float], list[float]]]


def measure(stores: dict[str, Ask], vectors: Floats, sizes: Sequence[int], rounds: int) -> Times:
    chance = np.random.default_rng(1)
    times: Times = {(name, size): ([], []) for name in stores for size in sizes}
    for _ in range(-(-rounds // IN_A_ROW)):
        for size in sizes:
            for name in chance.permutation(list(stores)).tolist():  # each comes first equally often
                for _ in range(min(rounds, IN_A_ROW)):
                    wall, own = _timed(stores[name], vectors, size, chance)
                    times[name, size][0].append(wall)
                    times[name, size][1].append(own)
    return times


def _timed(ask: Ask, vectors: Floats, size: int, chance: np.random.Generator) -> tuple[float, float]:
    places, known = chance.integers(0, len(vectors), size), chance.random(size) >= MISSES
    asked = [f"{'user' if k else 'none'}{i:09d}" for i, k in zip(places, known, strict=True)]
    cpu, start = time.process_time(), time.perf_counter()
    found = ask(asked)
    wall, own = time.perf_counter() - start, time.process_time() - cpu
    assert np.abs(found - vectors[places] * known[:, None]).max() < 0.03
    return wall, own


def feast_times(python: Path, place: Path, count: int, sizes: Sequence[int], rounds: int) -> Times:
    arguments = [str(place), str(count), str(DIM), str(rounds), json.dumps(list(sizes))]
    command = [str(python), "-W", "ignore", "-c", FEAST, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stderr[-2000:], file=sys.stderr)
        raise SystemExit(1)
    told = [json.loads(line.removeprefix("RESULT ")) for line in done.stdout.splitlines() if line.startswith("RESULT")]
    return {(f"Feast, SQLite ({count:,} keys)", size): (wall, own) for size, wall, own in told}


def rows_for(times: Times) -> list[dict[str, Any]]:
    rows = []
    for (name, size), (wall, own) in times.items():
        p50, p95, p99 = (1e3 * float(x) for x in np.percentile(wall, [50, 95, 99]))
        cpu50, cpu99 = (1e3 * float(x) for x in np.percentile(own, [50, 99]))
        row = {"store": name, "keys": size, "p50": p50, "p95": p95, "p99": p99, "cpu50": cpu50, "cpu99": cpu99}
        rows.append({**row, "rounds": len(wall)})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--batches", type=int, nargs="+", default=[500, 2000])
    parser.add_argument("--stores", nargs="+", choices=list(STORES), default=list(STORES))
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--core", type=int, help="the core to stay on; by default the last one")
    parser.add_argument("--feast", type=Path, help="python of a venv with Feast")
    parser.add_argument("--feast-keys", type=int, default=20_000)
    parser.add_argument("--feast-rounds", type=int, default=30)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    keys = make_keys(given.keys)
    vectors = np.random.default_rng(0).normal(size=(given.keys, DIM)).astype(np.float32)
    with tempfile.TemporaryDirectory() as root, ExitStack() as opened:
        stores: dict[str, Ask] = {}
        for i, name in enumerate(given.stores):
            place = Path(root) / str(i)
            place.mkdir()
            start = time.perf_counter()
            stores[name] = opened.enter_context(STORES[name](place, keys, vectors))
            print(f"{name}: loaded in {time.perf_counter() - start:.1f} s", file=sys.stderr)
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0)) if given.core is None else given.core})
        times = measure(stores, vectors, given.batches, given.rounds)
        if given.feast:
            place = Path(root) / "feast"
            place.mkdir()
            times |= feast_times(given.feast, place, given.feast_keys, given.batches, given.feast_rounds)
    rows = rows_for(times)
    print("| store | keys in a batch | p50 ms | p95 | p99 | processor p50 | p99 |\n|---|---|---|---|---|---|---|")
    for row in rows:
        figures = " | ".join(f"{row[name]:.3g}" for name in ("p50", "p95", "p99", "cpu50", "cpu99"))
        print(f"| {row['store']} | {row['keys']:,} | {figures} |")
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
