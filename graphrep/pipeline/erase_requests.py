"""Erasure of what delivered files ask for: all that are new in one erasure, each once."""

from __future__ import annotations

import datetime as dt
from typing import Any

from graphrep import vocab
from graphrep.errors import InputError
from graphrep.pipeline.context import Run
from graphrep.pipeline.erase import erase
from graphrep.store import files, requests
from graphrep.store.erase import read_keys


def erase_requests(run: Run, *, at: dt.datetime, node_type: str = vocab.USER) -> dict[str, Any]:
    """Erase the keys of the files in ``operations.erasure_requests`` that were not done yet. Killed, it is done again.

    A file that was done and has changed since is done again, as a whole. A bad file does not hold the others up: they
    are done, and then it is told.

    Args:
        at: when the command was given, UTC.
        node_type: of lines without one.

    Returns:
        ``files`` that were done now, ``erased``: the record of :func:`~graphrep.pipeline.erase.erase`, None where no
        file was new.

    Raises:
        InputError: the setting names no directory, or a file is no list of keys; the message names its line.
        StoreError, PointerMovedError: as of ``erase``; no file counts as done.
    """
    folder = run.config.operations.erasure_requests
    if folder is None:
        return {"files": 0, "erased": None}
    found: dict[str, set[str]] = {}
    read, bad = [], []
    with files.locked(run.warehouse / ".requests.lock"):
        for path, content in requests.pending(run.warehouse, folder).items():
            try:
                keys = read_keys(path, node_type, list(run.config.nodes))
            except InputError as error:
                bad.append(error)
                continue
            read.append(content)
            for kind, own in keys.items():
                found.setdefault(kind, set()).update(own)
        record = erase(run, {kind: sorted(own) for kind, own in sorted(found.items())}, at=at) if read else None
        if read:
            requests.record(run.warehouse, read)
    if bad:
        raise bad[0]
    return {"files": len(read), "erased": record}
