"""Which secret a warehouse's pseudonyms were made with: its print, never the secret. Standard library only."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from graphrep.contracts.pseudonyms import SHORTEST, secret_print
from graphrep.errors import InputError, StoreError
from graphrep.store import files

FILE = "pseudonyms.json"
_BEGUN = ("events", "ids")
"""Tables that hold keys as soon as a warehouse is begun."""


def check_secret(secret: str | None, name: str) -> str:
    """
    Args:
        secret: the value of an environment variable; None: it is not set.
        name: of the variable.

    Raises:
        InputError: there is none, or one that could be guessed; no message tells anything of it.
    """
    if secret is None:
        raise InputError("the secret of the pseudonyms in an environment variable", found="none", where=name)
    if len(secret.encode(errors="surrogateescape")) < SHORTEST:
        raise InputError(f"a secret of at least {SHORTEST} bytes", found="a shorter one", where=name)
    return secret


def begin(warehouse: Path, secret: str | None, columns: Sequence[str]) -> None:
    """Before anything is written: the keys must be of one kind for as long as the warehouse lives.

    Args:
        secret: None: the configuration has no pseudonyms.
        columns: event columns that are replaced.

    Raises:
        InputError: the warehouse was begun with another secret, with other columns, or without pseudonyms.
    """
    if secret is None and not (warehouse / FILE).exists():
        return
    with files.locked(warehouse / f".{FILE}.lock"):
        if (warehouse / FILE).exists():
            _check(warehouse, secret, sorted(columns))
            return
        if any((warehouse / name).exists() for name in _BEGUN):
            fix = "begin another warehouse: this one holds the ids of the logs"
            raise InputError("a new warehouse for pseudonyms", found="one with keys", where=str(warehouse), fix=fix)
        content = {"secret_print": secret_print(str(secret)), "columns": sorted(columns)}
        files.write_json(warehouse / FILE, content)


def check_reader(warehouse: Path, secret: str) -> None:
    """
    Raises:
        InputError: the warehouse has no pseudonyms, or of another secret.
    """
    if not (warehouse / FILE).exists():
        raise InputError("a warehouse with pseudonyms", found="one without", where=str(warehouse))
    _check(warehouse, secret, None)


def _check(warehouse: Path, secret: str | None, columns: list[str] | None) -> None:
    path = warehouse / FILE
    found = files.read_json(path)
    if not isinstance(found, dict) or set(found) != {"secret_print", "columns"}:
        raise StoreError("the print of a secret", found="other JSON", where=str(path))
    if secret is None:
        fix = "set logs.pseudonyms as it was: ids of the logs do not come into this warehouse"
        raise InputError(f"pseudonyms of {found['columns']}", found="none", where=str(path), fix=fix)
    if found["secret_print"] != secret_print(secret):
        fix = "give that one, or begin another warehouse: no key of this one is found by another secret"
        raise InputError("the secret that the pseudonyms were made with", found="another", where=str(path), fix=fix)
    if columns is not None and found["columns"] != columns:
        raise InputError(f"pseudonyms of {found['columns']}", found=str(columns), where=str(path))
