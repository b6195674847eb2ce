"""Keys that were erased since a release was made: a reader that follows answers as if they were not there."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from graphrep.contracts import key_hash
from graphrep.lookup.hashing import Batch, encode, hash_keys
from graphrep.lookup.keys import FIRST_SEED
from graphrep.store.denied import DENIED, Rows

MARKS = 1 << 16

Bools = npt.NDArray[np.bool_]


def rows_of(keys: Mapping[str, Sequence[str]]) -> Rows:
    """Node type → keys, as the file of denied keys holds them: (n,) of ``DENIED``.

    >>> rows_of({"user": ["u1"]})["hash"].tobytes().hex()[:12]
    '433f5a031e86'
    """
    parts = [np.zeros(0, DENIED)]
    for node_type, own in keys.items():
        rows = np.zeros(len(own), DENIED)
        digests = b"".join(bytes.fromhex(key_hash(node_type, key)) for key in own)
        rows["hash"] = np.frombuffer(digests, dtype="<u8").reshape(-1, 4)
        rows["mark"] = _marks(encode(own))
        parts.append(rows)
    return np.concatenate(parts)


def _marks(batch: Batch) -> npt.NDArray[np.uint16]:
    return hash_keys(batch, FIRST_SEED).astype(np.uint16)


@dataclass(frozen=True, slots=True)
class Denied:
    """Which keys are denied. A mark tells most others apart; where it agrees, the sha256 of the key decides."""

    marks: Bools
    hashes: frozenset[bytes]

    @classmethod
    def from_rows(cls, rows: Rows) -> Denied:
        marks = np.zeros(MARKS, np.bool_)
        marks[rows["mark"]] = True
        return cls(marks, frozenset(np.ascontiguousarray(row).tobytes() for row in rows["hash"]))

    def among(self, node_type: str, keys: Sequence[str], batch: Batch) -> Bools:
        """(n,) bool of the keys of one type, of which ``batch`` is the encoded form."""
        denied = np.zeros(len(batch), np.bool_)
        if self.hashes:
            for i in np.flatnonzero(self.marks[_marks(batch)]).tolist():
                whole = f"{node_type}\0{keys[i]}".encode(errors="surrogatepass")
                denied[i] = hashlib.sha256(whole).digest() in self.hashes
        return denied
