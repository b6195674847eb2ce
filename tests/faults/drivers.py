"""The other side of the fault tests: publishers and readers in processes that are killed, starved and raced.

Nothing in graphrep knows of it: an audit hook of Python and a wrapped ``os.fsync`` count what is done to files.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import resource
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from graphrep.contracts import Manifest
from graphrep.errors import GraphrepError, PointerMovedError
from graphrep.lookup import open_release
from graphrep.store import releases, retention
from made_release import AT, made, publish_made

OLD, NEW = "2026-03-02.1", "2026-03-03.1"
FOLLOWS = {Manifest.PARENT: OLD, Manifest.NEW_SPACE: False}


def base(warehouse: Path) -> None:
    """Two releases; the second is current, and the first will go when a third is published."""
    publish_made(warehouse, "2026-03-01", 1)
    publish_made(warehouse, "2026-03-02", 2, **{Manifest.PARENT: "2026-03-01.1"})


def publish_third(warehouse: Path) -> str:
    """What ``run_publish`` does after the gate: stage, switch, expire."""
    release_id = publish_made(warehouse, "2026-03-03", 3, **FOLLOWS)
    retention.expire(warehouse, 1)
    return release_id


def whole(warehouse: Path) -> str:
    """The release that a reader sees: every byte as published, and every type of one and the same release."""
    release = open_release(warehouse, verify=True)
    firsts = {float(x) for t in ("user", "host") for x in release.get(t, release.keys(t)).vectors[:, 0]}
    assert firsts == {float(release.manifest[Manifest.SEED])}, firsts
    return release.release_id


def contents(warehouse: Path) -> dict[str, bytes]:
    """Every file but locks."""
    found = (p for p in sorted(warehouse.rglob("*")) if p.is_file() and not p.name.endswith("lock"))
    return {str(p.relative_to(warehouse)): p.read_bytes() for p in found}


def in_child(work: Callable[[], Any]) -> int:
    """Fork, work, and give the exit status."""
    child = os.fork()
    if child == 0:
        code = 70
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CHANGES = {"os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.truncate", "os.link", "fcntl.flock"}


def count_points(reached: Callable[[str], None]) -> None:
    """Call back before every change of a file or directory, every lock and every flush of this process."""

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in CHANGES:
            reached(event)
        elif event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITES:
            reached("open to write")

    fsync = os.fsync

    def flush(descriptor: int) -> None:
        reached("flush")
        fsync(descriptor)

    os.fsync = flush
    sys.addaudithook(hook)


def kill_at_every_point(root: str) -> dict[str, Any]:
    """Publish as often as a publisher has points, and kill it at each."""
    origin, work = Path(root) / "base", Path(root) / "work"
    base(origin)
    reference = Path(root) / "reference"
    shutil.copytree(origin, reference)
    kinds: list[str] = []
    told = Path(root) / "kinds"

    def listed() -> None:
        count_points(kinds.append)
        publish_third(reference)
        told.write_text("\n".join(kinds[:-1] if kinds[-1] == "open to write" else kinds))

    assert in_child(listed) == 0
    points = told.read_text().splitlines()
    expected = contents(reference)
    seen: Counter[str] = Counter()
    for n in range(len(points)):
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(origin, work)

        def killed(n: int = n) -> None:
            left = [n]

            def reached(kind: str) -> None:
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                left[0] -= 1

            count_points(reached)
            publish_third(work)

        assert in_child(killed) == -signal.SIGKILL, (n, points[n])
        seen[whole(work)] += 1
        converged(work, expected, f"point {n}, {points[n]}")
    return {"points": len(points), "kinds": dict(Counter(points)), "seen": dict(seen)}


def converged(work: Path, expected: dict[str, bytes], where: str) -> None:
    assert in_child(lambda: publish_third(work)) == 0, where
    assert whole(work) == NEW, where
    found = contents(work)
    odd = [name for name in {**found, **expected} if found.get(name) != expected.get(name)]
    assert not odd, (where, odd)


def kill_inside_writes(root: str) -> dict[str, Any]:
    """The kernel kills the publisher when a file of it passes so many bytes: every file is half there once."""
    origin, work, reference = (Path(root) / name for name in ("base", "work", "reference"))
    base(origin)
    shutil.copytree(origin, reference)
    publish_third(reference)
    expected = contents(reference)
    sizes = sorted({len(content) // 2 for content in expected.values() if len(content) > 1})
    killed = 0
    for size in sizes:
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(origin, work)

        def starved(size: int = size) -> None:
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
            publish_third(work)

        killed += in_child(starved) == -signal.SIGXFSZ
        whole(work)
        converged(work, expected, f"{size} bytes")
    return {"sizes": len(sizes), "killed": killed}


def swap_under_readers(root: str, swaps: str, readers: str) -> dict[str, Any]:
    """Switch to and fro while others read all types of what is current."""
    warehouse, over = Path(root), Path(root) / "over"
    base(warehouse)
    ids = releases.list_releases(warehouse)
    children = [_fork_reader(warehouse, over, n) for n in range(int(readers))]
    started = time.monotonic()
    for n in range(int(swaps)):
        seen = releases.read_pointer(warehouse)
        releases.switch(warehouse, ids[n % 2], expected=seen, action=releases.ROLLBACK, at=AT)
    seconds = time.monotonic() - started
    over.touch()
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    reads = [json.loads((warehouse / f"reads{n}").read_text()) for n in range(len(children))]
    entries = releases.read_log(warehouse)
    total = Counter[str]()
    for own in reads:
        total.update(own)
    return {"codes": codes, "reads": dict(total), "seconds": seconds, "log": len(entries)}


def _fork_reader(warehouse: Path, over: Path, number: int) -> int:
    child = os.fork()
    if child == 0:
        code, seen = 70, Counter[str]()
        try:
            while not over.exists():
                seen[whole(warehouse)] += 1
                time.sleep(0.004)  # else four readers leave the publisher nothing of two cores
            code = 0
        finally:
            (warehouse / f"reads{number}").write_text(json.dumps(seen))
            os._exit(code)
    return child


def race(root: str, publishers: str) -> dict[str, Any]:
    """All see the same pointer, stage the same day with contents of their own, and switch at the same time."""
    warehouse, go = Path(root), Path(root) / "go"
    base(warehouse)
    seen = releases.read_pointer(warehouse)

    def publisher(n: int) -> None:
        release_id, _ = releases.stage_release(warehouse, *made("2026-03-03", 10 + n, **FOLLOWS))
        (warehouse / f"ready{n}").touch()
        while not go.exists():
            time.sleep(0.0001)
        try:
            releases.switch(warehouse, release_id, expected=seen, action=releases.PUBLISH, at=AT)
            told = ["won", release_id]
        except PointerMovedError as error:
            told = ["lost", str(error)]
        (warehouse / f"told{n}").write_text(json.dumps(told))

    count = int(publishers)
    children = []
    for n in range(count):
        child = os.fork()
        if child == 0:
            publisher(n)
            os._exit(0)
        children.append(child)
    while not all((warehouse / f"ready{n}").exists() for n in range(count)):
        time.sleep(0.001)
    go.touch()
    for child in children:
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    told = [json.loads((warehouse / f"told{n}").read_text()) for n in range(count)]
    current = whole(warehouse)
    kept = [r for r in releases.list_releases(warehouse) if releases.verify_release(warehouse, r)]
    return {"told": told, "current": current, "kept": kept, "log": [e["to"] for e in releases.read_log(warehouse)]}


def refusal(work: Callable[[], Any]) -> str | None:
    try:
        work()
    except GraphrepError as error:
        return str(error)
    return None


def fill_the_disk(root: str) -> dict[str, Any]:
    """Publish with ever more room, from none at all until it is enough; ``root`` is a small disk of its own."""
    disk = Path(root)
    origin, work, filler = disk.parent / "base", disk / "work", disk / "filler"
    base(origin)
    reference = disk.parent / "reference"
    shutil.copytree(origin, reference)
    publish_third(reference)
    expected = contents(reference)
    for room in range(0, 1 << 20, 4096):
        shutil.rmtree(work, ignore_errors=True)
        filler.unlink(missing_ok=True)
        shutil.copytree(origin, work)
        space = os.statvfs(disk)
        with filler.open("wb") as handle:
            os.posix_fallocate(handle.fileno(), 0, space.f_bavail * space.f_frsize - room)
        told = refusal(lambda: publish_third(work))
        if told is None:
            return {"refused": room // 4096, "room": room}
        assert "No space left on device" in told, told
        whole(work)
        filler.unlink()
        converged(work, expected, f"{room} bytes of room")
    raise AssertionError("never enough")


def read_only(root: str) -> dict[str, Any]:
    """``root`` is mounted read-only."""
    warehouse = Path(root)
    at = AT + dt.timedelta(days=1)
    changes = (
        lambda: publish_third(warehouse),
        lambda: releases.rollback(warehouse, None, at=at),
        lambda: retention.expire(warehouse, 1),
    )
    told = [refusal(change) for change in changes]
    with retention.pinned(warehouse, OLD):
        return {"told": told, "current": whole(warehouse), "files": len(contents(warehouse))}


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]](*sys.argv[2:])))
