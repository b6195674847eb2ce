"""The Java that Spark would start: found, or one line that says what to install."""

from __future__ import annotations

from pathlib import Path

import pytest

from graphrep.errors import MachineError
from graphrep.store.java import java_version


def fake_java(home: Path, content: str | bytes, *, mode: int = 0o755) -> Path:
    java = home / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_bytes(content.encode() if isinstance(content, str) else content)
    java.chmod(mode)
    return java


def says(version: str) -> str:
    return f'#!/bin/sh\n[ "$1" = -version ] || exit 9\necho \'openjdk version "{version}" 2026\' >&2\n'


@pytest.mark.parametrize(("version", "major"), [("17.0.9", 17), ("21", 21), ("25-ea", 25)])
def test_a_java_that_is_new_enough_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, major: int
) -> None:
    java = fake_java(tmp_path, says(version))
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert java_version() == (str(java), major)


def test_java_home_wins_over_the_path_and_an_empty_one_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, other = fake_java(tmp_path / "home", says("21")), fake_java(tmp_path / "other", says("17"))
    monkeypatch.setenv("PATH", str(other.parent))
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "home"))
    assert java_version() == (str(home), 21)
    monkeypatch.setenv("JAVA_HOME", "")
    assert java_version() == (str(other), 17)


def test_options_that_java_repeats_before_its_version_do_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = says("17.0.9").replace("echo", "echo 'Picked up JAVA_TOOL_OPTIONS: -Xmx1g' >&2\necho", 1)
    fake_java(tmp_path, script)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert java_version()[1] == 17


BROKEN = {
    "old": (says("11.0.2"), "found Java 11"),
    "very old": (says("1.8.0_392"), "found Java 8"),
    "failing": ("#!/bin/sh\necho 'Error: could not find libjava.so' >&2\nexit 1\n", "one that does not tell"),
    "failing after its version": (says("17") + "exit 1\n", "one that does not tell"),
    "killed": ("#!/bin/sh\nkill -9 $$\n", "one that does not tell"),
    "silent": ("#!/bin/sh\n", "one that does not tell"),
    "not text": ("#!/bin/sh\nprintf '\\377\\376' >&2\n", "one that does not tell"),
    "no program": (b"\x7fELF junk", "one that does not run"),
    "gone interpreter": ("#!/nowhere/sh\n", "one that does not run"),
}


@pytest.mark.parametrize(("script", "found"), BROKEN.values(), ids=BROKEN.keys())
def test_a_java_that_will_not_do_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str | bytes, found: str
) -> None:
    java = fake_java(tmp_path, script)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    check_refusal(found, str(java))


def test_a_java_that_may_not_be_run_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    java = fake_java(tmp_path, says("17"), mode=0o644)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    check_refusal("one that does not run", str(java))


def test_no_java_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    check_refusal("found none", "PATH")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "gone"))
    check_refusal("found none", str(tmp_path / "gone" / "bin" / "java"))


def check_refusal(found: str, where: str) -> None:
    with pytest.raises(MachineError) as caught:
        java_version()
    message = str(caught.value)
    assert message.startswith("expected Java 17 or newer for Spark, found ")
    assert found in message
    assert f"[{where}]" in message
    assert "apt-get install openjdk-17-jre-headless" in message
    assert "\n" not in message
