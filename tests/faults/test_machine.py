"""What machines do: a disk that is full or read-only, and a clock that was set back."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from graphrep.contracts import Manifest
from graphrep.store import releases
from made_release import AT, made, publish_made

Driver = Callable[..., Any]


def mounted(command: str) -> list[str]:
    """Run what follows where a mount holds for it alone, and ends with it."""
    rights = [] if os.geteuid() == 0 else ["--map-root-user"]
    return ["unshare", "--mount", *rights, "sh", "-ec", f'{command}\nexec "$@"', "sh"]


def test_a_full_disk_is_told_the_old_release_serves_and_a_rerun_completes(quick: Path, driver: Driver) -> None:
    disk = quick / "disk"
    disk.mkdir()
    found = driver("fill_the_disk", disk, within=mounted(f"mount -t tmpfs -o size=2m none {disk}"))
    assert found["refused"] >= 15


def test_a_read_only_warehouse_is_read_and_every_change_is_refused(quick: Path, driver: Driver) -> None:
    publish_made(quick, "2026-03-01", 1)
    publish_made(quick, "2026-03-02", 2)
    before = {p: p.stat().st_mtime_ns for p in quick.rglob("*")}
    found = driver(
        "read_only", quick, within=mounted(f"mount --bind {quick} {quick}\nmount -o remount,bind,ro {quick}")
    )
    assert found["current"] == "2026-03-02.1"
    assert len(found["told"]) == 3
    assert all("Read-only file system" in told for told in found["told"])
    assert {p: p.stat().st_mtime_ns for p in quick.rglob("*")} == before


def test_a_clock_that_was_set_back_turns_no_order_around(quick: Path) -> None:
    publish_made(quick, "2026-03-01", 1)
    early = AT - dt.timedelta(days=400)
    seen = releases.read_pointer(quick)
    follows = {Manifest.PARENT: "2026-03-01.1", Manifest.NEW_SPACE: False}
    release_id, _ = releases.stage_release(quick, *made("2026-03-02", 2, **follows))
    releases.switch(quick, release_id, expected=seen, action=releases.PUBLISH, at=early)
    releases.rollback(quick, None, at=early)
    log = releases.read_log(quick)
    assert [entry["to"] for entry in log] == ["2026-03-01.1", "2026-03-02.1", "2026-03-01.1"]
    assert [entry["at"] for entry in log] == [AT.isoformat()] * 3
    assert releases.withdrawn(quick) == {"2026-03-02.1"}


def test_a_move_whose_log_was_lost_is_logged_by_the_next(quick: Path) -> None:
    publish_made(quick, "2026-03-01", 1)
    log = quick / "releases" / releases.LOG
    before = log.read_bytes()
    publish_made(quick, "2026-03-02", 2)
    log.write_bytes(before)  # killed between the pointer and the log
    publish_made(quick, "2026-03-03", 3)
    assert [(e["action"], e["from"], e["to"]) for e in releases.read_log(quick)] == [
        ("publish", None, "2026-03-01.1"),
        ("publish", "2026-03-01.1", "2026-03-02.1"),
        ("publish", "2026-03-02.1", "2026-03-03.1"),
    ]
    before = log.read_bytes()
    releases.rollback(quick, None, at=AT)
    log.write_bytes(before)
    releases.switch(quick, "2026-03-02.1", expected=None, action=releases.PUBLISH, at=AT)
    assert releases.read_log(quick)[-1]["action"] == "rollback"
    assert releases.withdrawn(quick) == {"2026-03-03.1"}
