"""Every error that graphrep raises on purpose, split by what the caller can do about it.

A message is one line: what was expected, what was found, where, and what to do.
"""

from __future__ import annotations


class GraphrepError(Exception):
    """The run failed and a retry may help (input/output, a lost race, a missing tool)."""

    exit_code = 1

    def __init__(self, expected: str, *, found: str = "", where: str = "", fix: str = "") -> None:
        self.expected, self.found, self.where, self.fix = expected, found, where, fix
        parts = [f"expected {expected}"]
        if found:
            parts.append(f", found {found}")
        if where:
            parts.append(f" [{where}]")
        if fix:
            parts.append(f"; {fix}")
        super().__init__(" ".join("".join(parts).split()))


class InputError(GraphrepError):
    """What was given cannot be used: correct it and run again."""

    exit_code = 2


class ConfigError(InputError):
    """A setting is unknown, of the wrong type, or contradicts another."""


class MachineError(GraphrepError):
    """The machine lacks something that graphrep needs (Java, a package, a permission)."""


class StoreError(GraphrepError):
    """A file of the warehouse is missing, damaged or cannot be written."""


class PointerMovedError(StoreError):
    """Somebody else published first; nothing was switched."""


class GateRefusedError(GraphrepError):
    """The day was computed and held back: yesterday stays served."""

    exit_code = 3


def of_system(error: OSError, where: str = "") -> StoreError:
    """What the operating system refused, in one line that names the place."""
    fix = "check that the place exists, is readable and writable and has room"
    found = error.strerror or str(error) or type(error).__name__
    place = where or str(error.filename or "")
    return StoreError("a place that can be read and written", found=found, where=place, fix=fix)


class GraphrepWarning(UserWarning):
    """The result stands, and something about it should be known."""
