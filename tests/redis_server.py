"""A Redis of one's own, on a socket in a directory."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis


@contextmanager
def running(root: Path) -> Iterator[str]:
    """Its address; it ends with the block."""
    options = ["--port", "0", "--unixsocket", str(root / "s"), "--save", "", "--dir", str(root)]
    process = subprocess.Popen(["redis-server", *options], stdout=subprocess.DEVNULL)
    client = redis.Redis(unix_socket_path=str(root / "s"))
    for _ in range(200):
        try:
            client.ping()
            break
        except redis.ConnectionError:
            time.sleep(0.05)
    client.close()
    yield f"unix://{root}/s"
    process.terminate()
    process.wait(timeout=20)
