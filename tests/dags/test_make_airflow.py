"""What `make airflow` and `make airflow-stop` call, on a real PostgreSQL."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from postgres_server import postgres
from running_airflow import free_port

REPOSITORY = Path(__file__).resolve().parents[2]
CHAIN = ("graph_daily", "embed_daily", "publish_daily")


def answer(address: str, token: str = "", body: Any = None) -> Any:
    heads = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
    request = urllib.request.Request(address, json.dumps(body).encode() if body else None, heads)
    with urllib.request.urlopen(request, timeout=60) as opened:
        return json.load(opened)


def left(home: Path) -> list[str]:
    """Processes that say they belong to this Airflow."""
    found = []
    for place in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"AIRFLOW_HOME={home}".encode() in place.read_bytes().split(b"\0"):
                found.append((place.parent / "cmdline").read_text())
        except OSError:
            continue
    return found


@pytest.mark.slow
def test_it_starts_on_postgres_shows_the_dags_to_the_user_that_it_names_and_ends(tmp_path: Path) -> None:
    home, port, script = tmp_path / "home", free_port(), str(REPOSITORY / ".ci" / "airflow")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "GRAPHREP_"))}
    with postgres() as database:
        environ = inherited | {
            "GRAPHREP_AIRFLOW_HOME": str(home),
            "GRAPHREP_AIRFLOW_PORT": str(port),
            "GRAPHREP_AIRFLOW_DB": database,
        }
        try:
            told = tmp_path / "told"  # a file: what it starts would keep a pipe open
            with told.open("w") as out:
                done = subprocess.run([script, "start"], env=environ, stdout=out, stderr=out, timeout=400)
            assert done.returncode == 0, told.read_text()
            address, user, password = re.findall(r"(http\S+) +user: (\S+) +password: (\S+)", told.read_text())[0]
            assert address == f"http://127.0.0.1:{port}"
            token = answer(f"{address}/auth/token", body={"username": user, "password": password})["access_token"]
            dags = {dag["dag_id"]: dag for dag in answer(f"{address}/api/v2/dags", token)["dags"]}
            assert [dags[name]["is_paused"] for name in CHAIN] == [False] * 3
            runs = answer(f"{address}/api/v2/dags/graph_daily/dagRuns", token)["dag_runs"]
            assert [run["run_type"] for run in runs] in ([], ["scheduled"]), "the day that is due begins by itself"
        finally:
            subprocess.run([script, "stop"], env=environ, check=True, timeout=120)
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port))
    assert left(home) == []
    assert not (home / "airflow.db").exists()
