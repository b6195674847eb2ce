"""Many keys at once to 64-bit hashes, by numpy alone: about 0.1 µs a key, where one call of a hash function costs 1 µs.

The hash is NH (Black, Halevi, Krawczyk, Krovetz, Rogaway: UMAC, CRYPTO 1999, section 3) over the key's bytes as 64-bit
words: two keys share it with probability 2^-32 for who does not know the seed. It only tells where to look: a hit is
one when the whole key agrees, so keys made to collide cost time and never a wrong answer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from graphrep.errors import InputError

LONGEST = 128
"""Bytes of the longest key that is hashed word by word; BLAKE2b of a longer one stands for it."""
WORDS = LONGEST // 8

Ints = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]

_U = np.uint64
_HALF, _LOW = _U(32), _U(0xFFFFFFFF)
_ODD, _MIX = _U(0x9E3779B97F4A7C15), _U(0xFF51AFD7ED558CCD)


@dataclass(frozen=True, slots=True)
class Batch:
    """Keys as numbers.

    Attributes:
        words: (w, n) uint64, the UTF-8 of each key in little-endian words, NUL behind its end; of a key longer than
            ``LONGEST`` bytes its digest. The keys are the second axis, since numpy is slow along a short last one.
        lengths: (n,) int64, bytes of each key.
        long: place → bytes of the keys longer than ``LONGEST``.
        even: all keys have so many words, and no word is behind the end of any.
    """

    words: Words
    lengths: Ints
    long: dict[int, bytes]
    even: bool = False
    _hashes: dict[bytes, Words] = field(default_factory=dict, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.lengths)

    def take(self, places: Ints) -> Batch:
        """Some of the keys, in the order of their places."""
        long = {i: self.long[place] for i, place in enumerate(places.tolist()) if place in self.long}
        return Batch(self.words[:, places], self.lengths[places], long, self.even)


def encode(keys: Sequence[str]) -> Batch:
    """Keys as numbers. Half a surrogate pair, which no published key holds, is a key like another.

    Raises:
        InputError: not a sequence of strings.

    >>> encode(["ab", ""]).words.tolist(), encode(["ab", ""]).lengths.tolist()
    ([[25185, 0]], [2, 0])
    """
    if batch := _even(keys):
        return batch
    text = _joined(keys)
    lengths = np.fromiter(map(len, keys), dtype=np.int64, count=len(keys))
    raw = np.frombuffer(text.encode(errors="surrogatepass"), dtype=np.uint8)
    if len(raw) != len(text):
        lengths = _bytes_of_characters(raw, lengths)
    longest = int(lengths.max(initial=0))
    if longest > LONGEST:
        return _with_long(raw, lengths)
    return Batch(_matrix(raw, lengths, longest), lengths, {})


def _joined(keys: Sequence[str]) -> str:
    try:
        if not isinstance(keys, str):
            return "".join(keys)
    except TypeError:
        pass
    odd = next((key for key in keys if not isinstance(key, str)), None) if isinstance(keys, Sequence) else keys
    found = f"one string, {keys[:40]!r}" if isinstance(keys, str) else f"{odd!r:.40} of type {type(odd).__name__}"
    raise InputError("a list of keys as strings", found=found)


def _even(keys: Sequence[str]) -> Batch | None:
    """ASCII keys that are all as long as the first, as ids often are; None where they are not.

    Asking each for its length would take longer than all else. A gap of NULs is put behind each key: if there are as
    many NULs as the gaps have, and gaps of keys so long are all NULs, then no NUL is elsewhere and each key ends there.
    """
    if not isinstance(keys, list | tuple) or not keys or not isinstance(keys[0], str):
        return None
    length = len(keys[0])
    gap = -length % 8 or 8
    try:
        text = ("\0" * gap).join([*keys, ""])
    except TypeError:
        return None
    if not 0 < length <= LONGEST or len(text) != len(keys) * (length + gap) or not text.isascii():
        return None
    raw = np.frombuffer(text.encode(), dtype=np.uint8)
    words = _columns(raw, (length + gap) // 8)
    behind = words[-1] >> _U(64 - 8 * gap) if gap < 8 else words[-1]
    if np.count_nonzero(raw) != len(keys) * length or behind.any():
        return None
    return Batch(words if gap < 8 else words[:-1], np.full(len(keys), length), {}, even=True)


def _bytes_of_characters(raw: npt.NDArray[np.uint8], characters: Ints) -> Ints:
    """Lengths in bytes, of keys whose lengths in characters are known: a byte 10xxxxxx begins no character."""
    begins = np.append(np.flatnonzero((raw & 0xC0) != 0x80), len(raw))
    ends = begins[np.cumsum(characters)]
    return np.diff(ends, prepend=0)


def _matrix(raw: npt.NDArray[np.uint8], lengths: Ints, longest: int) -> Words:
    width = 8 * max(1, -(-longest // 8))
    padded = np.zeros((len(lengths), width), dtype=np.uint8)
    padded[np.arange(width) < lengths[:, None]] = raw
    return _columns(padded.reshape(-1), width // 8)


def _columns(padded: npt.NDArray[np.uint8], width: int) -> Words:
    """Keys that lie one after the other, each in as many words, as (w, n)."""
    words = padded.view("<u8").astype(np.uint64, copy=False)
    return np.ascontiguousarray(words.reshape(-1, width).T)


def _with_long(raw: npt.NDArray[np.uint8], lengths: Ints) -> Batch:
    is_long = lengths > LONGEST
    ends = np.cumsum(lengths)
    long = {int(i): raw[ends[i] - lengths[i] : ends[i]].tobytes() for i in np.flatnonzero(is_long)}
    short = np.where(is_long, 0, lengths)
    words = _matrix(raw[np.repeat(~is_long, lengths)], short, max(16, int(short.max())))
    for i, key in long.items():
        words[:2, i] = np.frombuffer(hashlib.blake2b(key, digest_size=16).digest(), dtype="<u8")
    return Batch(words, lengths, long)


@lru_cache(maxsize=64)
def _secrets(seed: bytes) -> tuple[Words, Words, list[np.uint64]]:
    """The seed's 32-bit numbers, two for each word; and what the words that a batch lacks, being 0, add to a hash."""
    drawn = np.frombuffer(hashlib.shake_128(seed).digest(8 * WORDS), dtype="<u4").astype(np.uint64)
    low, high = drawn[:WORDS], drawn[WORDS:]
    products = (low * high).tolist()
    return low, high, [_U(sum(products[w:]) % 2**64) for w in range(WORDS + 1)]


def hash_keys(batch: Batch, seed: bytes) -> Words:
    """(n,) uint64 of each key, the same on every machine and whatever it is asked together with.

    >>> both, one = encode(["u1", "a key of several words"]), encode(["u1"])
    >>> bool(hash_keys(both, b"")[0] == hash_keys(one, b"")[0])
    True
    """
    if seed not in batch._hashes:
        batch._hashes[seed] = _hash(batch, seed)
    return batch._hashes[seed]


def _hash(batch: Batch, seed: bytes) -> Words:
    low, high, absent = _secrets(seed)
    words = batch.words
    width = len(words)
    first = words + low[:width, None]
    first &= _LOW
    second = words >> _HALF
    second += high[:width, None]
    second &= _LOW
    first *= second
    hashes: Words = np.add.reduce(first, axis=0)
    lengths = batch.lengths[:1] if batch.even else batch.lengths
    hashes += lengths.view(np.uint64) * _ODD + absent[width]
    # NH leaves its lowest bits uneven; a bijection spreads what it has over all of them.
    hashes ^= hashes >> _HALF
    hashes *= _MIX
    hashes ^= hashes >> _HALF
    hashes *= _ODD
    hashes ^= hashes >> _HALF
    return hashes


def chunks(keys: Sequence[str], size: int = 1 << 16) -> Iterator[Batch]:
    """A whole type's keys in batches, so that one long key does not widen the words of all."""
    for start in range(0, len(keys), size):
        yield encode(keys[start : start + size])
