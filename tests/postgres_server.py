"""A PostgreSQL server of Debian's package that is a test's alone: a directory, a socket in it, no port."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

USER, PASSWORD = "keeper", "s3cret-of-the-test"


def _programs() -> Path:
    """Debian keeps them off the PATH, by version."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    assert found, "PostgreSQL is not installed: apt-get install postgresql"
    return found[-1]


def _as_its_user(command: list[str]) -> list[str]:
    """The server refuses to be root."""
    return ["runuser", "-u", "postgres", "--", *command] if os.getuid() == 0 else command


@contextmanager
def postgres() -> Iterator[str]:
    """An address of SQLAlchemy's, with a password that must be given."""
    root, programs = Path(tempfile.mkdtemp(prefix="postgres-")), _programs()
    secret = root / "secret"
    secret.write_text(PASSWORD)
    if os.getuid() == 0:
        owner = pwd.getpwnam("postgres")
        for path in (root, secret):
            os.chown(path, owner.pw_uid, owner.pw_gid)
    control = [str(programs / "pg_ctl"), "--pgdata", str(root / "data"), "--wait", "--silent"]

    def act(command: list[str]) -> None:
        done = subprocess.run(_as_its_user(command), capture_output=True, text=True, check=False, cwd="/", timeout=120)
        assert done.returncode == 0, done.stderr

    made = ["--username", USER, "--pwfile", str(secret), "--auth", "scram-sha-256", "--no-sync"]
    try:
        act([str(programs / "initdb"), "--pgdata", str(root / "data"), *made])
        options = f"-c listen_addresses='' -c unix_socket_directories={root} -c fsync=off"
        act([*control, "--log", str(root / "log"), "--options", options, "start"])
        try:
            yield f"postgresql+psycopg2://{USER}:{PASSWORD}@/postgres?host={root}"
        finally:
            act([*control, "--mode", "fast", "stop"])
    finally:
        shutil.rmtree(root, ignore_errors=True)
