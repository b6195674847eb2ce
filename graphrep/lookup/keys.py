"""Keys → rows without a dictionary in memory: sorted 64-bit hashes beside the keys themselves. numpy only.

The rows of a release are in the order of these hashes. A hit is one only when the whole key agrees,
so two keys with one hash are both found and a missing key is never mistaken for another.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from graphrep.errors import InputError

HASHES, OFFSETS, BYTES = "hashes", "key_offsets", "key_bytes"

Ints = npt.NDArray[np.int64]


def _encoded(key: str) -> bytes:
    """UTF-8; half a surrogate pair, which no published key holds, must be a miss and not a failure."""
    return key.encode(errors="surrogatepass")


def hash_keys(keys: Sequence[str]) -> npt.NDArray[np.uint64]:
    """64-bit BLAKE2b of each key's UTF-8, the same on every machine."""
    if isinstance(keys, str) or not all(isinstance(key, str) for key in keys):
        raise InputError("a list of keys as strings", found=_what(keys))
    digests = b"".join(hashlib.blake2b(_encoded(key), digest_size=8).digest() for key in keys)
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)


def _what(keys: object) -> str:
    if isinstance(keys, str):
        return f"one string, {keys[:40]!r}"
    odd = next((key for key in keys if not isinstance(key, str)), None) if isinstance(keys, Sequence) else keys
    return f"{odd!r:.40} of type {type(odd).__name__}"


def row_order(keys: Sequence[str]) -> Ints:
    """The order in which a release stores these keys: by hash, then by key."""
    hashes = hash_keys(keys)
    order = np.argsort(hashes, kind="stable")
    if (hashes[order][1:] == hashes[order][:-1]).any():
        # Rare. Python's strings, since numpy pads all to the longest and drops NULs at the end.
        order = np.asarray(sorted(range(len(keys)), key=lambda i: (hashes[i], keys[i])))
    return order.astype(np.int64)


def encode_keys(keys: Sequence[str]) -> dict[str, npt.NDArray[np.generic]]:
    """Arrays for keys that are already in :func:`row_order`.

    Returns:
        ``hashes`` (n,) uint64 ascending, ``key_offsets`` (n + 1,) int64, ``key_bytes`` (total,) uint8.
    """
    encoded = [_encoded(key) for key in keys]
    lengths = np.fromiter((len(key) for key in encoded), dtype=np.int64, count=len(encoded))
    offsets = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(lengths)])
    return {
        HASHES: hash_keys(keys),
        OFFSETS: offsets,
        BYTES: np.frombuffer(b"".join(encoded), dtype=np.uint8),
    }


@dataclass(frozen=True, slots=True)
class KeyTable:
    """The keys of one node type, in row order."""

    hashes: npt.NDArray[np.uint64]
    offsets: Ints
    content: npt.NDArray[np.uint8]

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[np.generic]]) -> KeyTable:
        hashes, offsets, content = arrays[HASHES], arrays[OFFSETS], arrays[BYTES]
        return cls(hashes.view(np.uint64), offsets.view(np.int64), content.view(np.uint8))

    def __len__(self) -> int:
        return len(self.hashes)

    def key(self, row: int) -> str:
        return self._raw(row).decode(errors="surrogatepass")

    def keys(self) -> list[str]:
        """Every key, in the order of the rows."""
        content, offsets = self.content.tobytes(), self.offsets.tolist()
        return [content[start:end].decode(errors="surrogatepass") for start, end in pairwise(offsets)]

    def rows(self, keys: Sequence[str]) -> Ints:
        """Row of each key, −1 where there is none.

        >>> table = KeyTable.from_arrays(encode_keys(["only"]))
        >>> table.rows(["only", "other"]).tolist()
        [0, -1]
        """
        wanted = hash_keys(keys)
        starts = np.searchsorted(self.hashes, wanted)
        rows = np.full(len(keys), -1, dtype=np.int64)
        for i, (key, start) in enumerate(zip(keys, starts.tolist(), strict=True)):
            rows[i] = self._row(_encoded(key), wanted[i], start)
        return rows

    def _row(self, key: bytes, wanted: np.uint64, row: int) -> int:
        while row < len(self.hashes) and self.hashes[row] == wanted:
            if self._raw(row) == key:
                return row
            row += 1
        return -1

    def _raw(self, row: int) -> bytes:
        return self.content[self.offsets[row] : self.offsets[row + 1]].tobytes()
