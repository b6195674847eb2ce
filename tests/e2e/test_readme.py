"""The README's commands, run as they stand, in a directory of their own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from graphrep.contracts import Event
from graphrep.lookup import open_release
from graphrep.store import tables

ROOT = Path(__file__).resolve().parents[2]
KUAIRAND = ROOT.parent / "shared" / "data" / "kuairand_pure_slice"
RETAILROCKET = ROOT.parent / "shared" / "data" / "retailrocket_mb"
SECTIONS = re.split(r"^## ", (ROOT / "README.md").read_text(), flags=re.MULTILINE)


def commands(title: str) -> list[str]:
    """The lines after ``$ `` in the console blocks of one section."""
    section = next(s for s in SECTIONS if s.startswith(title))
    blocks = re.findall(r"```console\n(.*?)```", section, flags=re.DOTALL)
    return [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A new directory that looks like the repository; what the commands write stays in it."""
    for name in ("configs", "docs", "spark_jobs", "Makefile", ".ci", ".venv", "pyproject.toml", "constraints.txt"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


def sh(command: str, cwd: Path, *, code: int = 0) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    # The JVM's own settings, not those that suit many tiny jobs: this is what a reader of the README gets.
    env = {name: value for name, value in os.environ.items() if name != "SPARK_SUBMIT_OPTS"} | {"PATH": path}
    done = subprocess.run(
        ["bash", "-c", command], cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=900
    )
    assert done.returncode == code, f"$ {command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.slow
def test_the_demo_shows_what_the_readme_promises(place: Path) -> None:
    assert "make demo" in commands("Two commands")
    # -o: what is installed stays as it is, whatever the times of the linked files say.
    shown = sh("make -o .venv/.demo demo", place)
    cold = re.search(r"Nearest hosts of (\S+), who never watched live: (.*)", shown)
    assert cold is not None
    assert len(cold[2].split(", ")) == 5
    assert re.search(r"^unknown +nobody +no +the prior", shown, flags=re.MULTILINE)
    assert len(list((place / "demo/warehouse/releases").glob("*/manifest.json"))) == 3
    for command in commands("Two commands"):
        if not command.startswith("make"):
            assert sh(command, place)
    # Users without live history, against popularity: the margin that the README states.
    row = re.search(r"^live_host +none +\S+ +([\d.]+) / [\d.]+ +([\d.]+) / ", shown, flags=re.MULTILINE)
    assert row is not None
    assert float(row[1]) > float(row[2]) + 0.15


def test_the_worked_example_reaches_a_release(place: Path) -> None:
    outputs = [sh(command, place) for command in commands("Your own logs") + commands("On a cluster")]
    assert open_release(place / "acme-warehouse").get("user", ["viewer-20"]).found.all()
    assert any("cleo" in output for output in outputs)


@pytest.mark.slow
@pytest.mark.skipif(not KUAIRAND.is_dir(), reason="the KuaiRand slice is not beside the repository")
def test_the_last_day_of_kuairand_runs_and_every_user_of_the_window_is_found(place: Path) -> None:
    """The README runs four days one by one, the last of them takes a quarter of the time."""
    (place / "data").mkdir()
    (place / "data" / "KuaiRand-Pure").symlink_to(KUAIRAND)
    for command in commands("Public data"):
        if "kuairand" in command:
            sh(command.replace("in 01 02 03 04;", "in 04;"), place)
    warehouse = place / "warehouse-kuairand"
    release = open_release(warehouse, verify=True)
    assert release.release_id == "2022-05-04.1"
    first, last = release.manifest["window"]
    assert last == "2022-05-03"
    users: set[str] = set()
    for day in tables.days(warehouse / tables.EVENTS):
        if first <= day <= last:
            rows = tables.read_table(tables.partition(warehouse, tables.EVENTS, day), [Event.USER_ID])
            users.update(rows[Event.USER_ID].to_pylist())
    assert len(users) > 25_000
    assert release.get("user", sorted(users)).found.all()
    lift = {
        c["scope"]: c["value"] for c in release.manifest["gate"]["checks"] if c["name"] == "recall_above_popularity"
    }
    assert lift["video_long_view"] > 0.05
    assert lift["host_long_view"] > 0.05


@pytest.mark.skipif(not RETAILROCKET.is_dir(), reason="the RetailRocket set is not beside the repository")
def test_retailrocket_becomes_raw_logs(place: Path) -> None:
    (place / "data").mkdir()
    (place / "data" / "RetailRocket").symlink_to(RETAILROCKET)
    ran = [sh(command, place) for command in commands("Public data") if "retailrocket" in command]
    assert ran
    assert "97,381" in ran[0]


def test_every_path_in_the_tree_of_the_readme_is_there() -> None:
    section = next(s for s in SECTIONS if s.startswith("The tree"))
    block = re.search(r"```text\n(.*?)```", section, flags=re.DOTALL)
    assert block is not None
    named = [line.split()[0] for line in block[1].splitlines() if line.strip()]
    assert len(named) > 15
    for name in named:
        assert (ROOT / name).exists(), name
