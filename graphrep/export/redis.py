"""A release in Redis: one hash per node type, written aside, read back, and switched for all types in one transaction.

Keys, all below one hash tag so that a cluster keeps them in one slot::

    {prefix}:current                  the release that is served
    {prefix}:<release>                hash: space_id, and dim:<type>, prior:<type> of each type
    {prefix}:<release>:<type>         hash: key → packed row
    {prefix}:denied                   set of hashes of erased keys, honoured by readers at once

A row is the vector (dim little-endian float32), degree (int64), age in days (int32), source (uint8, the place in
``vocab.SOURCES``) and fallback (uint8), without padding. The only module that imports redis.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from graphrep import vocab
from graphrep.contracts import key_hash
from graphrep.errors import InputError, PointerMovedError, StoreError
from graphrep.export.rows import Rows
from graphrep.lookup import Hit

STAGING_SECONDS = 3600
GRACE_SECONDS = 3600
"""For which the release before stays readable after a switch, for readers that are about to ask it."""
_NAMES = np.array(vocab.SOURCES)
_PRIOR = vocab.SOURCES.index(vocab.PRIOR)

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Place:
    """What the keys are called."""

    prefix: str

    @property
    def current(self) -> str:
        return f"{{{self.prefix}}}:current"

    @property
    def denied(self) -> str:
        return f"{{{self.prefix}}}:denied"

    def release(self, release_id: str) -> str:
        return f"{{{self.prefix}}}:{release_id}"

    def rows(self, release_id: str, node_type: str) -> str:
        return f"{self.release(release_id)}:{node_type}"


@dataclass(frozen=True, slots=True)
class RedisHit:
    """The answer for a list of keys: ``hit`` is what ``graphrep.lookup`` answers for them, in this basis."""

    space_id: str
    hit: Hit


def connect(url: str) -> Any:
    """A client of redis-py.

    Raises:
        InputError: redis-py is not installed, or the address is not one.
        StoreError: nobody answers there.
    """
    try:
        import redis
    except ImportError:
        fix = 'install it: pip install "graphrep[redis]"'
        raise InputError("redis, the client of Redis", found="none", fix=fix) from None
    try:
        client = redis.Redis.from_url(url)
    except ValueError as error:
        raise InputError("an address such as redis://host:6379/0", found=str(error), where="--url") from None
    with telling(client):
        client.ping()
    return client


@contextmanager
def telling(client: Any) -> Iterator[None]:
    """Turn an error of Redis into one line."""
    import redis

    try:
        yield
    except redis.RedisError as error:
        given = client.connection_pool.connection_kwargs
        where = str(given.get("path") or f"{given.get('host')}:{given.get('port')}")
        raise StoreError("a Redis that answers and has room", found=str(error), where=where) from None


def row_dtype(dim: int) -> np.dtype[np.void]:
    """How a row is packed.

    >>> row_dtype(64).itemsize
    270
    """
    fields = [("vector", "<f4", (dim,)), ("degree", "<i8"), ("age_days", "<i4"), ("source", "u1"), ("fallback", "u1")]
    return np.dtype(fields)


def pack(rows: Rows) -> npt.NDArray[np.void]:
    """The rows as they are stored."""
    packed = np.zeros(len(rows.keys), row_dtype(rows.dim))
    packed["vector"], packed["degree"], packed["age_days"] = rows.hit.vectors, rows.hit.degree, rows.hit.age_days
    packed["fallback"] = rows.hit.fallback
    for number, name in enumerate(vocab.SOURCES):
        packed["source"][rows.hit.source == name] = number
    return packed


def deny(client: Any, place: Place, hashes: Collection[str]) -> None:
    """Readers miss these keys from now on. The first thing that an export does."""
    with telling(client):
        if hashes:
            client.sadd(place.denied, *sorted(hashes))


def not_denied(client: Any, place: Place, hashes: Collection[str]) -> int:
    """How many of these erased keys readers would not miss."""
    with telling(client):
        return sum(not there for there in client.smismember(place.denied, sorted(hashes))) if hashes else 0


def stage(client: Any, place: Place, rows: Rows, *, batch: int, sample: Sequence[int]) -> str:
    """Write a type's rows beside what is served and read a sample back.

    Args:
        batch: rows of a round trip.
        sample: rows that are read back.

    Returns:
        The name under which they lie; it vanishes in an hour unless :func:`switch` is called.

    Raises:
        StoreError: Redis refused, or what is read back is not what was written.
    """
    name = f"{place.rows(rows.release_id, rows.node_type)}:staging:{uuid.uuid4().hex}"
    packed = pack(rows)
    pairs = zip(rows.keys, (row.tobytes() for row in packed), strict=True)
    with telling(client):
        while some := dict(islice(pairs, batch)):
            pipeline = client.pipeline(transaction=False)
            pipeline.hset(name, mapping=some)
            pipeline.expire(name, STAGING_SECONDS)
            pipeline.execute()
        if client.hlen(name) != len(rows.keys):
            raise StoreError(f"{len(rows.keys)} rows", found=str(client.hlen(name)), where=name)
        read = client.hmget(name, [rows.keys[i] for i in sample]) if len(sample) else []
    wrong = [rows.keys[i] for i, row in zip(sample, read, strict=True) if row != packed[i].tobytes()]
    if wrong:
        raise StoreError("every row as it was written", found=f"{len(wrong)} of {len(sample)} others", where=name)
    return name


def switch(
    client: Any,
    place: Place,
    staged: Mapping[str, str],
    rows: Mapping[str, Rows],
    *,
    ttl_seconds: Mapping[str, int],
    before: str | None,
) -> None:
    """Make staged rows the release that is served, all types in one transaction; the release before goes in an hour.

    Args:
        staged: type → name that :func:`stage` gave. An empty type has none.
        rows: type → what was staged, of one release.
        ttl_seconds: type → seconds for which its rows stay.
        before: what the pointer was when the export began.

    Raises:
        PointerMovedError: somebody else switched meanwhile; nothing was changed.
    """
    import redis

    release_id, told = _told(rows)
    with telling(client), client.pipeline() as change:
        change.watch(place.current)
        if read_current(change, place) != before:
            raise PointerMovedError("the release that was served at the start", found="another", fix="export again")
        old = [] if before in (None, release_id) else _names_of(change, place, str(before))
        change.multi()
        for node_type, name in staged.items():
            final = place.rows(release_id, node_type)
            change.rename(name, final).expire(final, ttl_seconds[node_type])
        change.delete(place.release(release_id)).hset(place.release(release_id), mapping=told)
        change.expire(place.release(release_id), max(ttl_seconds.values()))
        change.set(place.current, release_id)
        for name in old:
            change.expire(name, GRACE_SECONDS, lt=True)
        try:
            change.execute()
        except redis.WatchError:
            found = "somebody else switched"
            raise PointerMovedError("to be the only one who exports", found=found, fix="export again") from None


def _told(rows: Mapping[str, Rows]) -> tuple[str, dict[str, Any]]:
    one = next(iter(rows.values()))
    told: dict[str, Any] = {"space_id": one.space_id}
    for node_type, own in rows.items():
        told |= {f"dim:{node_type}": own.dim, f"prior:{node_type}": np.asarray(own.prior, "<f4").tobytes()}
    return one.release_id, told


def _names_of(client: Any, place: Place, release_id: str) -> list[str]:
    """The keys of a release, by what it says of itself: a search through all of Redis would hold it up."""
    told = [field.decode() for field in client.hkeys(place.release(release_id))]
    types = [field.removeprefix("dim:") for field in told if field.startswith("dim:")]
    return [place.release(release_id), *(place.rows(release_id, node_type) for node_type in types)]


def read_current(client: Any, place: Place) -> str | None:
    """The release that is served."""
    found = client.get(place.current)
    return None if found is None else str(found.decode() if isinstance(found, bytes) else found)


def read_redis(client: Any, node_type: str, keys: Sequence[str], *, prefix: str = "graphrep") -> RedisHit:
    """What a ranker asks Redis: vectors and flags of some keys, of one release, in three round trips.

    Args:
        client: of redis-py, with ``decode_responses`` off, as by default.

    Returns:
        As ``graphrep.lookup`` answers: an unknown key has its type's prior and ``fallback`` set.

    Raises:
        StoreError: nothing was exported, what was has expired, or Redis does not answer.
        InputError: the release has no such type.
    """
    place = Place(prefix)
    with telling(client):
        release_id = read_current(client, place)
        told = client.hgetall(place.release(release_id)) if release_id else {}
        if release_id is None or not told:
            found = f"{release_id}, expired" if release_id else "none"
            raise StoreError("an exported release", found=found, where=place.current, fix="run graphrep export redis")
        if f"dim:{node_type}".encode() not in told:
            raise InputError("a type of the release", found=repr(node_type), where=release_id)
        asked = client.pipeline(transaction=False)
        if keys:
            asked.hmget(place.rows(release_id, node_type), list(keys))
            asked.smismember(place.denied, [key_hash(node_type, key) for key in keys])
        read, denied = asked.execute() if keys else ([], [])
    found_rows = [None if no else row for row, no in zip(read, denied, strict=True)]
    hit = _unpack(release_id, found_rows, np.frombuffer(told[f"prior:{node_type}".encode()], "<f4"), denied)
    return RedisHit(told[b"space_id"].decode(), hit)


def _unpack(release_id: str, read: Sequence[bytes | None], prior: Floats, denied: Sequence[int]) -> Hit:
    rows = np.zeros(len(read), row_dtype(len(prior)))
    rows["vector"], rows["age_days"], rows["source"], rows["fallback"] = prior, -1, _PRIOR, 1
    found = np.array([row is not None for row in read], dtype=bool)
    if found.any():
        rows[found] = np.frombuffer(b"".join(row for row in read if row is not None), rows.dtype)
    return Hit(
        release_id=release_id,
        vectors=rows["vector"].astype(np.float32),
        found=found,
        fallback=rows["fallback"].astype(bool),
        source=_NAMES[rows["source"]],
        age_days=rows["age_days"].astype(np.int32),
        degree=rows["degree"].astype(np.int64),
        expired=np.zeros(len(read), dtype=bool),  # what is too old is not in Redis any more
        denied=np.array(denied, dtype=bool),
    )
