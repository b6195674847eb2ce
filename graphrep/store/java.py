"""Is there a Java that Spark can run on? Asked before Spark starts, since Spark's own answer is a stack trace."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

from graphrep.errors import MachineError

OLDEST = 17
FIX = "install a Java 17 runtime (Debian, Ubuntu: apt-get install openjdk-17-jre-headless) or point JAVA_HOME at one"


def java_version() -> tuple[str, int]:
    """The ``java`` that Spark would start, and its major version.

    Raises:
        MachineError: there is none, it does not run, or it is older than 17.
    """
    home = os.environ.get("JAVA_HOME")
    java = os.path.join(home, "bin", "java") if home else shutil.which("java")
    wanted = f"Java {OLDEST} or newer for Spark"
    if not java or not os.path.exists(java):
        raise MachineError(wanted, found="none", where=java or "PATH", fix=FIX)
    try:
        done = subprocess.run(
            [java, "-version"], capture_output=True, text=True, errors="replace", timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MachineError(wanted, found=f"one that does not run ({error})", where=java, fix=FIX) from None
    match = re.search(r'version "(?:1\.)?(\d+)', done.stderr + done.stdout)
    if not match or done.returncode:
        raise MachineError(wanted, found="one that does not tell its version", where=java, fix=FIX)
    if int(match[1]) < OLDEST:
        raise MachineError(wanted, found=f"Java {match[1]}", where=java, fix=FIX)
    return java, int(match[1])
