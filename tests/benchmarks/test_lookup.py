"""The benchmark of lookups runs, and every store that it asks gives the vectors that were put in."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_each_store_is_timed_on_right_answers(tmp_path: Path) -> None:
    stores = ["graphrep, int8", "graphrep, float32", "SQLite", "Redis"]
    sizes = ["--keys", "300", "--batches", "20", "50", "--rounds", "2"]
    command = [sys.executable, "-m", "benchmarks.lookup", *sizes, "--stores", *stores, "--json", tmp_path / "told.json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "told.json").read_text())
    assert [(row["store"], row["keys"]) for row in rows] == [(name, n) for name in stores for n in (20, 50)]
    assert all(0 < row["p50"] <= row["p95"] <= row["p99"] and row["rounds"] == 2 for row in rows)
