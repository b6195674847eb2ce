"""The ledger of erased keys: hashes alone, so that a key that comes again is known without being kept."""

from __future__ import annotations

import hashlib

from graphrep.contracts.table import Column, Contract


class Erasure:
    """Column names of ``erasure_v1``."""

    TYPE = "node_type"
    HASH = "key_hash"
    ERASED_DS = "erased_ds"


ERASURE = Contract(
    name="erasure_v1",
    grain=(Erasure.TYPE, Erasure.HASH),
    owner="data engineering",
    meaning="append-only ledger of the keys that were erased, met before or not: none of them enters again",
    columns=(
        Column(Erasure.TYPE, "string", "node type"),
        Column(Erasure.HASH, "string", "sha256 of node type, NUL, key, as UTF-8", "64 hex digits"),
        Column(Erasure.ERASED_DS, "string", "day on which it was erased first", "YYYY-MM-DD, UTC"),
    ),
)


def key_hash(node_type: str, key: str) -> str:
    """What the ledger keeps of a key. A type holds no NUL, so no two pairs share their bytes.

    >>> key_hash("user", "u1")[:12]
    '433f5a031e86'
    """
    return hashlib.sha256(f"{node_type}\0{key}".encode(errors="surrogatepass")).hexdigest()
