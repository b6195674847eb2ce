"""Files of the history that outlast a power cut: on this machine's disk before a commit can name them.

pyiceberg leaves flushing to the operating system, but its SQLite catalog flushes: after a power cut that could name a
state whose files were never written. The catalog that graphrep makes names :class:`FlushedFiles` as its ``py-io-impl``.
"""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

from pyiceberg.io.pyarrow import PyArrowFile, PyArrowFileIO

from graphrep.store import files


class FlushedFiles(PyArrowFileIO):
    """As pyiceberg's own; a local file is on the disk, and named by its directory, when it is closed."""

    def new_output(self, location: str) -> PyArrowFile:
        scheme, netloc, path = self.parse_location(location, self.properties)
        if scheme != "file":
            return super().new_output(location)
        return _Local(location, path, self.fs_by_scheme(scheme, netloc))


class _Local(PyArrowFile):
    def create(self, overwrite: bool = False) -> Any:
        path = Path(self._path)
        files.make_directory(path.parent)
        return _Flushing(path, "wb" if overwrite else "xb")


class _Flushing(io.BufferedWriter):
    def __init__(self, path: Path, mode: str) -> None:
        super().__init__(io.FileIO(path, mode))
        self._path = path

    def close(self) -> None:
        if not self.closed:
            self.flush()
            os.fsync(self.fileno())
            files.flush_directory(self._path.parent)
        super().close()
