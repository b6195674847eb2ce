"""Keys → rows without a dictionary in memory: buckets of a hash, a tag of each key, then the whole key. numpy only.

The rows of a release are in the order of their hashes. The first bits of a hash are its bucket, which names the first
row to look at; the tags of that row and the next few are compared at once, and the key itself where a tag agrees.
How many rows a bucket may span is fixed when the table is made: a seed that crowds one is changed for another, made
of the keys themselves, so that no set of keys can be chosen to make a lookup slow.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from graphrep.lookup.hashing import Batch, Ints, Words, chunks, encode, hash_keys

SEED, SLOTS, TAGS, ROWS, KEY_WORDS = "seed", "slots", "tags", "rows", "key_words"
KEY_ARRAYS = (SEED, SLOTS, TAGS, ROWS, KEY_WORDS)

ROW = np.dtype(
    [
        ("key", "<u8"),  # its first word in key_words
        ("degree", "<i8"),
        ("key_bytes", "<u4"),
        ("age_days", "<i4"),
        ("scale", "<f4"),
        ("source", "u1"),
        ("fallback", "?"),
        ("unused", "<u2"),
    ]
)
"""What is kept of each key beside its vector: 32 bytes, which one read of memory brings."""

WIDEST, ATTEMPTS = 8, 8
"""Rows of a bucket above which another seed is tried, and how often; the best is kept."""

FIRST_SEED = bytes(8)

PAGE = 4096

Bools = npt.NDArray[np.bool_]
Arrays = dict[str, npt.NDArray[Any]]


def arrange(keys: Sequence[str]) -> tuple[Ints, Arrays]:
    """Put keys, each given once, into the order of a release.

    Returns:
        ``order`` (n,) int64: row → place in ``keys``; and the table's arrays: ``seed`` (8,) uint8, ``slots`` (2^b,)
        the first row of each bucket, ``tags`` (n + widest bucket,) uint32, ``key_words`` uint64, ``rows`` (n,) of
        ``ROW``, of which all but the key is still zero.
    """
    best: tuple[int, bytes, Words, Ints] | None = None
    for seed in _seeds(keys):
        hashes = np.concatenate([np.empty(0, np.uint64), *(hash_keys(batch, seed) for batch in chunks(keys))])
        counts = np.bincount(_buckets(hashes, _bits(len(keys))), minlength=1 << _bits(len(keys)))
        widest = int(counts.max())
        if best is None or widest < best[0]:
            best = widest, seed, hashes, counts
        if widest <= WIDEST:
            break
    assert best is not None  # the first seed is always tried
    widest, seed, hashes, counts = best
    order = _order(keys, hashes)
    number = np.dtype(np.uint32 if len(keys) < 1 << 32 else np.uint64)
    arrays: Arrays = {
        SEED: np.frombuffer(seed, dtype=np.uint8),
        SLOTS: (np.cumsum(counts) - counts).astype(number),
        TAGS: np.concatenate([_tags(hashes[order]), np.zeros(max(widest, 1), np.uint32)]),
    }
    return order, arrays | _stored([keys[i] for i in order])


def _seeds(keys: Sequence[str]) -> Iterator[bytes]:
    """The first is known to all; the others follow from all keys, which nobody outside knows."""
    yield FIRST_SEED
    for attempt in range(1, ATTEMPTS):
        drawn = hashlib.blake2b(digest_size=len(FIRST_SEED), salt=bytes([attempt]))
        for key in keys:
            drawn.update(key.encode(errors="surrogatepass") + b"\0")
        yield drawn.digest()


def _bits(count: int) -> int:
    """Two buckets or more for each key: few keys share one, so few are compared."""
    return max(1, (2 * count - 1).bit_length())


def _buckets(hashes: Words, bits: int) -> Ints:
    return (hashes >> np.uint64(64 - bits)).view(np.int64)


def _tags(hashes: Words) -> npt.NDArray[np.uint32]:
    return hashes.astype(np.uint32)


def _order(keys: Sequence[str], hashes: Words) -> Ints:
    order = np.argsort(hashes, kind="stable")
    if (hashes[order][1:] == hashes[order][:-1]).any():
        # Rare. Python's strings, since numpy pads all to the longest and drops NULs at the end.
        order = np.asarray(sorted(range(len(keys)), key=lambda i: (hashes[i], keys[i])))
    return order.astype(np.int64)


def _stored(keys: Sequence[str]) -> Arrays:
    """The keys in the order of their rows, each from a whole word on, and their half of ``rows``."""
    encoded = [key.encode(errors="surrogatepass") for key in keys]
    lengths = np.fromiter(map(len, encoded), dtype=np.int64, count=len(encoded))
    words = (lengths + 7) // 8
    rows = np.zeros(len(keys), dtype=ROW)
    rows["key"] = np.cumsum(words) - words
    rows["key_bytes"] = lengths
    padded = b"".join(key + b"\0" * (-len(key) % 8) for key in encoded)
    return {ROWS: rows, KEY_WORDS: np.frombuffer(padded, dtype="<u8")}


@dataclass(frozen=True, slots=True)
class Found:
    """Where a batch of keys lies.

    Attributes:
        rows: (n,) int64, 0 where not found.
        found: (n,) bool.
        records: (n,) of ``ROW``; of no meaning where not found.
    """

    rows: Ints
    found: Bools
    records: npt.NDArray[np.void]


@dataclass(frozen=True, slots=True)
class KeyTable:
    """The keys of one node type, in row order."""

    seed: bytes
    slots: npt.NDArray[np.integer[Any]]
    tags: npt.NDArray[np.uint32]
    records: npt.NDArray[np.void]
    words: Words
    window: Ints

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> KeyTable:
        # Plain views: every step on a memmap pays for its class.
        slots, tags, rows, words = (np.asarray(arrays[name]) for name in (SLOTS, TAGS, ROWS, KEY_WORDS))
        window = np.arange(len(tags) - len(rows))
        return cls(np.asarray(arrays[SEED]).tobytes(), slots, tags, rows, words, window)

    def __len__(self) -> int:
        return len(self.records)

    def key(self, row: int) -> str:
        return self._raw(self.records[row]).decode(errors="surrogatepass")

    def keys(self) -> list[str]:
        """Every key, in the order of the rows."""
        content = self.words.tobytes()
        starts, lengths = (8 * self.records["key"]).tolist(), self.records["key_bytes"].tolist()
        pairs = zip(starts, lengths, strict=True)
        return [content[start : start + length].decode(errors="surrogatepass") for start, length in pairs]

    def read_with(self, *arrays: npt.NDArray[Any]) -> None:
        """Read each page of the table, and of arrays beside it, once."""
        for array in (self.slots, self.tags, self.records, self.words, *arrays):
            array.reshape(-1).view(np.uint8)[::PAGE].max(initial=0)

    def rows(self, keys: Sequence[str]) -> Ints:
        """Row of each key, −1 where there is none.

        >>> order, arrays = arrange(["only"])
        >>> KeyTable.from_arrays(arrays).rows(["only", "other"]).tolist()
        [0, -1]
        """
        batch = encode(keys)
        at = self.find(batch, hash_keys(batch, self.seed))
        return np.where(at.found, at.rows, -1)

    def find(self, batch: Batch, hashes: Words) -> Found:
        """Look keys up, of which the caller has the hashes under this table's seed."""
        if not len(self.records):
            n = len(batch)
            return Found(np.zeros(n, np.int64), np.zeros(n, np.bool_), np.zeros(n, ROW))
        starts = self.slots.take(_buckets(hashes, len(self.slots).bit_length() - 1)).astype(np.int64)
        tags = _tags(hashes)
        rows = starts.copy()
        agree = self.tags.take(starts) == tags
        others = np.flatnonzero(~agree)  # a fifth, as most keys are the first of their bucket
        later = self.tags.take(starts.take(others) + self.window[:, None]) == tags.take(others)
        rows[others] += later.argmax(axis=0)
        agree[others] = later.any(axis=0)
        np.minimum(rows, len(self.records) - 1, out=rows)
        records = self.records.take(rows)
        found = self._same(batch, records)
        for i in np.flatnonzero(agree & ~found):
            candidates = starts[i] + np.flatnonzero(self.tags.take(starts[i] + self.window) == tags[i])
            self._look_on(batch, int(i), candidates, (rows, found, records))
        return Found(rows, found, records)

    def _same(self, batch: Batch, records: npt.NDArray[np.void]) -> Bools:
        """Are these the keys of these rows?"""
        same: Bools = records["key_bytes"] == batch.lengths
        if not len(self.words):
            return same
        width = np.arange(len(batch.words))[:, None]
        agree = self.words.take(records["key"].view(np.int64) + width, mode="clip") == batch.words
        if not batch.even:
            agree |= 8 * width >= batch.lengths
        same &= agree.all(axis=0)
        for i, key in batch.long.items():
            same[i] = self._raw(records[i]) == key
        return same

    def _look_on(self, batch: Batch, i: int, candidates: Ints, told: tuple[Ints, Bools, npt.NDArray[np.void]]) -> None:
        """The tag of another key agreed: compare key ``i`` with every row whose tag does."""
        rows, found, records = told
        one = batch.take(np.array([i]))
        for row in candidates.tolist():
            if row < len(self.records) and self._same(one, self.records[[row]])[0]:
                rows[i], found[i], records[i] = row, True, self.records[row]
                return

    def _raw(self, record: np.void) -> bytes:
        start, length = int(record["key"]), int(record["key_bytes"])
        return self.words[start : start + (length + 7) // 8].tobytes()[:length]
