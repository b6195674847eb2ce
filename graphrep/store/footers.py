"""Parquet footers in one order. Parquet's Java writer lists a column's encodings in the order of a hash set of objects,
which differs from process to process, and with it the bytes of files that hold the same."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path

from graphrep.store.files import storing

MAGIC = b"PAR1"
ENCODINGS = (4, 1, 3, 2)
"""Field numbers from FileMetaData down: row_groups, columns, meta_data, encodings (parquet-format, parquet.thrift)."""

BOOLEANS, BYTE, DOUBLE, BINARY, LISTS, STRUCT = (1, 2), 3, 7, 8, (9, 10), 12
"""Type numbers of Thrift's compact protocol; the others are integers of 7 bits a byte, and Parquet has no maps."""


def sort_encodings(file: Path) -> None:
    """Put the encodings of every column chunk into ascending order, in place; nothing else of the file changes.

    Raises:
        StoreError: the file cannot be read and written.
    """
    with storing(file), file.open("r+b") as handle, mmap.mmap(handle.fileno(), 0) as content:
        if content[-4:] != MAGIC:
            raise OSError(f"no Parquet file: {file}")
        end = len(content) - 8
        start = end - int.from_bytes(content[end : end + 4], "little")
        footer = _Compact(content[start:end])
        for at, size in footer.lists(ENCODINGS):
            # An encoding is a number below 64: one byte each.
            content[start + at : start + at + size] = bytes(sorted(content[start + at : start + at + size]))


class _Compact:
    """Walks a struct in Thrift's compact protocol from its first byte on."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def lists(self, path: tuple[int, ...]) -> Iterator[tuple[int, int]]:
        """Where each list of integers at the end of a path of field numbers begins, and its length."""
        number = 0
        while head := self._byte():
            number = number + (head >> 4) if head >> 4 else self._integer() >> 1
            kind = head & 15
            if number != path[0]:
                self._skip(kind)
            elif kind == STRUCT:
                yield from self.lists(path[1:])
            else:
                size, item = self._list_head()
                if len(path) == 1:
                    yield self.at, size
                for _ in range(size):
                    if len(path) == 1:
                        self._skip(item)
                    else:
                        yield from self.lists(path[1:])

    def _byte(self) -> int:
        self.at += 1
        return self.data[self.at - 1]

    def _integer(self) -> int:
        value = shift = 0
        while (byte := self._byte()) & 128:
            value |= (byte & 127) << shift
            shift += 7
        return value | byte << shift

    def _list_head(self) -> tuple[int, int]:
        head = self._byte()
        return (self._integer() if head >> 4 == 15 else head >> 4), head & 15

    def _skip(self, kind: int, *, inside: bool = False) -> None:
        """Step over a value; a boolean is a byte inside a list, and part of its field's head elsewhere."""
        if kind in BOOLEANS:
            self.at += inside
        elif kind in (BYTE, DOUBLE):
            self.at += 1 if kind == BYTE else 8
        elif kind == BINARY:
            size = self._integer()
            self.at += size
        elif kind in LISTS:
            size, item = self._list_head()
            for _ in range(size):
                self._skip(item, inside=True)
        elif kind == STRUCT:
            while head := self._byte():
                if not head >> 4:
                    self._integer()
                self._skip(head & 15)
        else:
            self._integer()
