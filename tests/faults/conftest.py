"""Where faults are injected: thousands of flushes, so in memory where the machine has such a place."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
MEMORY = Path("/dev/shm")


@pytest.fixture
def quick(tmp_path: Path) -> Iterator[Path]:
    """An empty directory whose flushes cost nothing."""
    if not os.access(MEMORY, os.W_OK):
        yield tmp_path
        return
    place = Path(tempfile.mkdtemp(dir=MEMORY))
    yield place
    shutil.rmtree(place)


@pytest.fixture
def driver() -> Callable[..., Any]:
    """Runs ``drivers.py JOB ARGUMENT...`` in a process of its own, one thread, that may fork; gives what it told."""

    def run(job: str, *arguments: object, within: list[str] | None = None) -> Any:
        script = [sys.executable, str(Path(__file__).with_name("drivers.py")), job, *map(str, arguments)]
        paths = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
        env = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
        done = subprocess.run([*(within or []), *script], env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run
