"""Pseudonyms of outside keys: a keyed hash, so that only who has the secret can tell whose row it is.

HMAC-SHA256 (RFC 2104) of the key's UTF-8, its first 128 bits: two of 10^9 keys share them by a chance of about 10^-21.
"""

from __future__ import annotations

import hashlib
import hmac
import re

PREFIX, DIGITS = "p_", 32
SHORTEST = 16
"""Bytes of a secret: with fewer, all could be tried."""

_FORM = re.compile(rf"{PREFIX}[0-9a-f]{{{DIGITS}}}")


def pseudonym(key: str, secret: str | bytes) -> str:
    """What stands for a key in every table of a warehouse with pseudonyms.

    Args:
        key: as the raw logs have it.
        secret: UTF-8 if it is text.

    >>> pseudonym("u1", "a secret of some length")
    'p_75c2dc726d28152cd9474048c235ed2c'
    """
    # Half a surrogate pair, which no published key holds, must be a miss and not a failure.
    return PREFIX + hmac.digest(_bytes(secret), key.encode(errors="surrogatepass"), "sha256").hex()[:DIGITS]


def is_pseudonym(key: str) -> bool:
    """Whether a key has the form of one."""
    return _FORM.fullmatch(key) is not None


def secret_print(secret: str | bytes) -> str:
    """By which a warehouse knows its secret again: the hash of words that no key can be, since keys hold no NUL."""
    return hmac.digest(_bytes(secret), b"graphrep\0pseudonyms", "sha256").hex()


def pads(secret: str | bytes) -> tuple[bytes, bytes]:
    """The inner and the outer pad of RFC 2104, 64 bytes each, for engines that have hashes alone."""
    given = _bytes(secret)
    whole = (given if len(given) <= 64 else hashlib.sha256(given).digest()).ljust(64, b"\0")
    return bytes(b ^ 0x36 for b in whole), bytes(b ^ 0x5C for b in whole)


def _bytes(secret: str | bytes) -> bytes:
    return secret.encode(errors="surrogateescape") if isinstance(secret, str) else secret
