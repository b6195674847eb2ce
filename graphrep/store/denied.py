"""The erased keys as a reader needs them: hashes in one numpy file beside the ledger. No more than numpy is needed."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt

from graphrep.errors import StoreError
from graphrep.store import files

LEDGER = "erased"

DENIED = np.dtype([("hash", "<u8", (4,)), ("mark", "<u2")])
"""``hash``: the 32 bytes of the ledger's ``key_hash``; ``mark``: 16 bits of the reader's own hash of the key, by which
it passes over nearly all other keys without a sha256 of each."""

Rows = npt.NDArray[np.void]
Stamp = tuple[int, int, int]


def denied_file(warehouse: Path) -> Path:
    """Where it lies, once anything was erased; Spark, which reads the ledger, passes over names that begin so."""
    return warehouse / LEDGER / "_denied.npy"


def read_denied(warehouse: Path) -> Rows:
    """(n,) of ``DENIED``, ascending; none where nothing was erased yet.

    Raises:
        StoreError: the file is damaged.
    """
    path = denied_file(warehouse)
    if not path.exists():
        return np.zeros(0, DENIED)
    rows = np.array(files.map_array(path))
    if rows.dtype != DENIED or rows.ndim != 1:
        raise StoreError("hashes of erased keys", found=f"{rows.dtype} {rows.shape}", where=str(path))
    return rows


def stamp_of(warehouse: Path) -> Stamp | None:
    """What changes when the file does; None where there is none."""
    try:
        found = denied_file(warehouse).stat()
    except FileNotFoundError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def deny(warehouse: Path, rows: Rows) -> None:
    """Add erased keys: from now on a reader that follows answers as if they were not there.

    A file that has them all is left as it is.
    """
    known = read_denied(warehouse)
    whole = np.unique(np.concatenate([known, rows]))
    if len(whole) > len(known):
        content = io.BytesIO()
        np.save(content, whole, allow_pickle=False)
        files.write_bytes(denied_file(warehouse), content.getvalue())
