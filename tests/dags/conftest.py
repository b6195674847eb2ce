"""A real Airflow in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def real_airflow() -> Callable[..., Any]:
    """Calls the script beside this file."""
    return _real_airflow


def _real_airflow(folder: Path, *words: str, **variables: str) -> Any:
    """The answer of real_airflow.py in its own process, with AIRFLOW_HOME in ``folder``."""
    ours = ("AIRFLOW", "GRAPHREP_", "PYTHONWARN")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    environ = inherited | {
        "AIRFLOW_HOME": str(folder / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(REPOSITORY / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__API_AUTH__JWT_SECRET": "of the tests, and as long as it has to be to sign by HS512 here" * 2,
        "PYTHONDONTWRITEBYTECODE": "1",
        **variables,
    }
    out = folder / "answer.json"
    script = Path(__file__).with_name("real_airflow.py")
    program = [sys.executable, str(script), words[0], str(out), *words[1:]]
    done = subprocess.run(program, env=environ, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return json.loads(out.read_text())


@pytest.fixture(scope="module")
def webhook() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """An address, and what was posted to it."""
    posted: list[dict[str, Any]] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Hook)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/", posted
    server.shutdown()
    thread.join()
    server.server_close()
