"""Seconds of the history and of the exports of one made release: ``python -m benchmarks.exports --rows 200000``.

The release holds users and a tenth as many hosts, of clustered vectors of 64 float32 numbers. Redis is started on a
socket of its own. Everything lies in a temporary directory.
"""

from __future__ import annotations

import argparse
import datetime as dt
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from graphrep import vocab
from graphrep.config import load_config
from graphrep.contracts import Manifest
from graphrep.export.redis import connect, read_redis
from graphrep.lookup import keys as key_codec
from graphrep.lookup import open_release, reader
from graphrep.pipeline import export, history
from graphrep.pipeline.context import Run
from graphrep.pipeline.release_arrays import TypeArrays, write_arrays
from graphrep.store import releases

ROOT = Path(__file__).resolve().parents[1]
DAY = "2026-03-01"
AT = dt.datetime(2026, 3, 2, tzinfo=dt.UTC)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200_000, help="users; hosts are a tenth")
    parser.add_argument("--dim", type=int, default=64)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        run = Run(load_config(ROOT / "configs" / "local.yaml", warehouse=root / "warehouse"), today=AT.date())
        _publish(run.warehouse, {vocab.USER: given.rows, vocab.HOST: given.rows // 10}, given.dim)
        rows = given.rows + given.rows // 10
        _timed("history sync", rows, lambda: history.sync(run, at=AT))
        _timed("history sync again", rows, lambda: history.sync(run, at=AT))
        with _server(root) as url:
            _timed("export redis", rows, lambda: export.export_redis(run, url))
            _ask(run, url)
        told = _timed(
            "export index, of hosts",
            given.rows // 10,
            lambda: export.export_index(run, root / "index", node_types=(vocab.HOST,), queries_of=vocab.USER),
        )
        print(f"recall@{told['types']['host']['k']} {told['types']['host']['recall']:.4f}")
        _timed("export feast", rows, lambda: export.export_feast(run, root / "feast"))


def _publish(warehouse: Path, counts: dict[str, int], dim: int) -> None:
    chance = np.random.default_rng(0)
    centres = chance.normal(size=(200, dim))
    arrays = {}
    for node_type, count in counts.items():
        order, mapped = key_codec.arrange([f"{node_type}-{i:09d}" for i in range(count)])
        near = centres[chance.integers(200, size=count)] + 0.5 * chance.normal(size=(count, dim))
        vectors = near.astype(np.float32)
        mapped[key_codec.ROWS]["scale"] = 1
        mapped |= {reader.VECTORS: vectors, reader.PRIOR: vectors.mean(axis=0)}
        arrays[node_type] = TypeArrays([f"{node_type}-{i:09d}" for i in order], vectors, mapped)
    content: dict[str, Any] = {
        Manifest.DS: DAY,
        Manifest.SPACE_ID: "made",
        Manifest.NEW_SPACE: True,
        Manifest.PARENT: None,
        Manifest.WINDOW: [DAY, DAY],
        Manifest.SEED: 0,
        Manifest.CONFIG_HASH: "",
        Manifest.CODE_VERSION: "",
        Manifest.CODE_HASH: "",
        Manifest.INPUTS: {},
        Manifest.MAPS: {},
        Manifest.NODE_TYPES: {node_type: own.summary() for node_type, own in arrays.items()},
        Manifest.TTL_DAYS: dict.fromkeys(arrays, 7),
        Manifest.METRICS: None,
        Manifest.GATE: {"colour": "green", "reasons": [], "checks": [], "approval": None},
        Manifest.ALIGNMENT: None,
        Manifest.MODEL: {"name": "made"},
        Manifest.ERASURE: {"count": 0, "sha256": ""},
    }
    release_id, _ = releases.stage_release(warehouse, content, lambda path: write_arrays(path, DAY, arrays))
    releases.switch(warehouse, release_id, expected=None, action=releases.PUBLISH, at=AT)


@contextmanager
def _server(root: Path) -> Iterator[str]:
    options = ["--port", "0", "--unixsocket", str(root / "s"), "--save", "", "--dir", str(root)]
    process = subprocess.Popen(["redis-server", *options], stdout=subprocess.DEVNULL)
    try:
        while not (root / "s").exists():
            time.sleep(0.05)
        yield f"unix://{root}/s"
    finally:
        process.terminate()
        process.wait()


def _timed(what: str, rows: int, act: Callable[[], Any]) -> Any:
    began, used = time.perf_counter(), time.process_time()
    done = act()
    seconds, own = time.perf_counter() - began, time.process_time() - used
    print(f"{what:<24} {rows:>9,} rows {seconds:8.2f} s, {own:8.2f} of the processor  {rows / seconds:>10,.0f} rows/s")
    return done


def _ask(run: Run, url: str) -> None:
    keys = open_release(run.warehouse).keys(vocab.USER)
    chance, client, took = np.random.default_rng(1), connect(url), []
    for _ in range(200):
        asked = [keys[i] for i in chance.integers(len(keys), size=500)]
        began = time.perf_counter()
        read_redis(client, vocab.USER, asked)
        took.append(1000 * (time.perf_counter() - began))
    client.close()
    print(f"read_redis, 500 keys      p50 {np.quantile(took, 0.5):.2f} ms, p99 {np.quantile(took, 0.99):.2f} ms")


if __name__ == "__main__":
    main()
