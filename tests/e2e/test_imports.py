"""Public data sets from their files to checked events, and the Twitch month to a release."""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from graphrep.contracts import Event
from graphrep.errors import InputError
from graphrep.lookup import open_release
from graphrep.pipeline.context import Silent
from graphrep.pipeline.datasets import import_logs
from graphrep.store import tables

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"
TWITCH = DATA / "twitch_golive_2019_07"
AMAZON = DATA / "amazon_cdsr"
HEADER = ["channel", "stream_id", "start_time", "length_min", "watch_min", "games"]
DAY = 86_400


def graphrep(*arguments: str | Path) -> str:
    env = {name: value for name, value in os.environ.items() if name != "SPARK_SUBMIT_OPTS"}
    command = [sys.executable, "-m", "graphrep", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def digests(folder: Path) -> dict[str, str]:
    """File -> hash of its bytes."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def twitch_folder(folder: Path, sessions: list[list[Any]]) -> Path:
    folder.mkdir()
    with gzip.open(folder / "sessions.csv.gz", "wt", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([HEADER, *sessions])
    return folder


def amazon_folder(folder: Path) -> Path:
    """Day 1: ann reviews two foods, bob one food; the other pair nothing. Day 2: ann a kitchen item."""
    folder.mkdir()
    afk = f"0 2|{DAY} 1|{DAY} 3|{2 * DAY}\n1 1|{DAY}\n"
    (folder / "afk_50_preprocessed.txt").write_text(afk, encoding="utf-8")
    (folder / "abe_50_preprocessed.txt.gz").write_bytes(gzip.compress(f"0 1|{3 * DAY} 2|{3 * DAY}\n".encode()))
    for pair, places in {"afk": [[1, 0], [2, 0], [3, 1]], "abe": [[1, 0], [2, 1]]}.items():
        named = {f"B{number}": [number, domain] for number, domain in places}
        (folder / f"{pair}_map_item_50.json").write_text(json.dumps(named), encoding="utf-8")
    return folder


def run_logs_of(config: str, root: Path, ds: str) -> dict[str, Any]:
    """The record of the stage ``logs``, run on ``root/logs`` with a shipped configuration."""
    from graphrep.config import load_config
    from graphrep.pipeline.context import Run
    from graphrep.pipeline.logs import run_logs
    from graphrep.store.raw import check_day

    settings = load_config(ROOT / "configs" / config, logs=root / "logs", warehouse=root / "warehouse")
    limits = settings.logs.model_copy(update={"max_quarantine_share": 1.0})
    settings = settings.model_copy(update={"logs": limits})
    return run_logs(Run(settings, today=check_day(ds)), ds)


@pytest.mark.usefixtures("spark")
def test_twitch_sessions_become_events_and_wrong_ones_are_counted(tmp_path: Path) -> None:
    good = ["ann", 1, "2019-07-01T10:00", 60, 240, "Chess,Go"]
    sessions = [good, ["ann", 2, "2019-07-01T12:00", -5, 0, "Chess"], ["", 3, "2019-07-01T13:00", 0, 0, "Go"], good]
    assert import_logs("twitch-golive", twitch_folder(tmp_path / "src", sessions), tmp_path / "logs", Silent()) == {
        "golive": 10
    }
    record = run_logs_of("twitch-golive.yaml", tmp_path, "2019-07-01")
    assert record["rows"] == {
        "golive": {"accepted": 4, "duplicate": 3, "negative_duration": 1, "null_user": 2},
    }
    events = tables.read_table(tables.partition(tmp_path / "warehouse", tables.EVENTS, "2019-07-01"))
    found = {(e[Event.ACTION], e[Event.ROOM_ID], e[Event.ITEM_TYPE], e[Event.ITEM_ID]) for e in events.to_pylist()}
    assert {(action, room, item) for action, room, _, item in found} == {
        ("go_live", "1", None),
        ("go_live", "2", None),
        ("broadcast", "1", "Chess"),
        ("broadcast", "1", "Go"),
    }
    assert events[Event.USER_ID].to_pylist() == events[Event.HOST_ID].to_pylist()


@pytest.mark.usefixtures("spark")
def test_amazon_reviews_of_a_day_become_events_though_shops_have_none(tmp_path: Path) -> None:
    rows = import_logs("amazon-cdsr", amazon_folder(tmp_path / "src"), tmp_path / "logs", Silent())
    assert rows == {"food": 3, "kitchen": 1, "beauty": 1, "electronics": 1}
    assert [str(path.relative_to(tmp_path / "logs")) for path in sorted((tmp_path / "logs").rglob("*.parquet"))] == [
        f"{shop}/part-0.parquet" for shop in sorted(rows)
    ]
    record = run_logs_of("amazon-cdsr.yaml", tmp_path, "1970-01-02")
    assert record["rows"] == {"food": {"accepted": 3}}
    events = tables.read_table(tables.partition(tmp_path / "warehouse", tables.EVENTS, "1970-01-02")).to_pylist()
    assert {(e[Event.DOMAIN], e[Event.USER_ID], e[Event.ITEM_TYPE], e[Event.ITEM_ID]) for e in events} == {
        ("food", "afk-u0", "food", "afk-i1"),
        ("food", "afk-u0", "food", "afk-i2"),
        ("food", "afk-u1", "food", "afk-i1"),
    }


def test_a_damaged_source_leaves_nothing_behind(tmp_path: Path) -> None:
    source = amazon_folder(tmp_path / "src")
    whole = (source / "abe_50_preprocessed.txt.gz").read_bytes()
    (source / "abe_50_preprocessed.txt.gz").write_bytes(whole[:-4])
    with pytest.raises(InputError, match=r"after 1 lines \[.*abe_50_preprocessed\.txt\.gz\]"):
        import_logs("amazon-cdsr", source, tmp_path / "logs", Silent())
    assert not (tmp_path / "logs").exists()


@pytest.mark.skipif(not AMAZON.is_dir(), reason="the Amazon pairs are not beside the repository")
def test_the_amazon_pairs_are_imported_twice_to_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        rows = json.loads(graphrep("import", "amazon-cdsr", AMAZON, tmp_path / name, "--json"))
        assert rows == {"food": 83_663, "kitchen": 89_885, "beauty": 50_329, "electronics": 63_800}
    assert digests(tmp_path / "one") == digests(tmp_path / "two")


@pytest.mark.slow
@pytest.mark.skipif(not TWITCH.is_dir(), reason="the Twitch sessions are not beside the repository")
def test_three_days_of_twitch_end_with_a_release_that_names_nobody(tmp_path: Path) -> None:
    for name in ("logs", "again"):
        rows = json.loads(graphrep("import", "twitch-golive", TWITCH, tmp_path / name, "--json"))
        assert rows == {"golive": 271_173 + 353_070}
    assert digests(tmp_path / "logs") == digests(tmp_path / "again")
    places = ["--logs", tmp_path / "logs", "--warehouse", tmp_path / "warehouse"]
    graphrep("run", "--config", ROOT / "configs/twitch-golive.yaml", "--ds", "2019-07-03", *places)
    release = open_release(tmp_path / "warehouse", verify=True)
    assert release.release_id == "2019-07-03.1"
    hosts = release.keys("host")
    assert len(hosts) > 9_000
    assert all(len(key) == 17 and key[0] == "c" and int(key[1:], 16) >= 0 for key in hosts)
    assert {"Fortnite", "Just Chatting"} <= set(release.keys("game"))
