"""What rankers read against what was published: the reader, the history, the mirror and Redis, key by key."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from graphrep.contracts import Embedding, History, key_hash
from graphrep.errors import PointerMovedError
from graphrep.export import redis
from graphrep.lookup import Release, follow_releases, open_release
from graphrep.lookup.quantise import MOST_LOST
from graphrep.pipeline.context import Run
from graphrep.store import erase, history, mirror, releases, tables

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Compared:
    """One place that is read: how many keys of a type were asked for, and of how many the answer is another.

    Attributes:
        reason: what is wrong; empty where nothing is.
    """

    place: str
    node_type: str
    keys: int
    wrong: int
    reason: str


@dataclass(frozen=True, slots=True)
class Published:
    """A sample of what was published of one type.

    Attributes:
        keys: n keys, drawn with the seed.
        vectors: (n, d), as the release's table has them.
        served: (n, d), as the release's arrays have them: quantised.
        erased: keys of the release that the ledger of erasures holds.
    """

    node_type: str
    keys: list[str]
    vectors: Floats
    served: Floats
    erased: list[str]


def consistency(run: Run, *, sample: int, seed: int) -> dict[str, Any]:
    """Compare what is read with what was published, for a sample of the current release's keys.

    The reader, and Redis where ``export.daily.redis`` names one, must answer with the very vectors of the release's
    arrays, these with those of its table but for what quantising may lose; the history, where it is enabled, with the
    very ones of the table; the mirror, where there is one, must hold the very files. No type may be older than its
    ``ttl_days`` on the day of the run, no erased key may be in any of them.

    Args:
        sample: keys of each type.

    Returns:
        ``release_id`` (None: nothing is published, nothing compared) and ``compared``: rows of :class:`Compared`.

    Raises:
        StoreError: a file of the release is damaged, or a place does not answer.
        PointerMovedError: the pointer moved meanwhile, so that what differs need not be wrong.
    """
    pointer = releases.read_pointer(run.warehouse)
    if pointer is None:
        return {"release_id": None, "compared": []}
    release = open_release(run.warehouse, pointer.release_id, verify=True)
    chance = np.random.default_rng(seed)
    known = [_published(run, release, t, chance, sample) for t in release.types]
    found = [*_reader(run, release, known), *_history(run, release, known), *_mirror(run), *_redis(run, release, known)]
    now = releases.read_pointer(run.warehouse)
    if now != pointer and any(row.reason for row in found):
        raise PointerMovedError(f"{pointer.release_id} to stay current", found=now.release_id if now else "none")
    return {"release_id": release.release_id, "compared": [asdict(row) for row in found]}


def _published(run: Run, release: Release, node_type: str, chance: np.random.Generator, sample: int) -> Published:
    keys = release.keys(node_type)
    gone = erase.erased(run.warehouse, node_type)
    erased = [key for key in keys if key_hash(node_type, key) in gone] if gone else []
    left = sorted(set(keys) - set(erased))
    chosen = [left[i] for i in np.sort(chance.permutation(len(left))[:sample]).tolist()]
    path = releases.release_path(run.warehouse, release.release_id) / f"{node_type}.parquet"
    table = tables.read_file(path)
    dim = release.table(node_type).prior.shape[0]
    vectors = _of_keys(table, Embedding.KEY, Embedding.VECTOR, chosen, dim)
    return Published(node_type, chosen, vectors, release.get(node_type, chosen).vectors, erased)


def _of_keys(table: pa.Table, key: str, vector: str, keys: list[str], dim: int) -> Floats:
    """(n, dim) in the order of the keys; NaN where a key is not there or its vector has another length."""
    at = pc.index_in(pa.array(keys, pa.string()), table[key].combine_chunks()).to_numpy(zero_copy_only=False)
    found = np.full((len(keys), dim), np.nan, dtype=np.float32)
    there = ~np.isnan(at.astype(float))
    for row, value in zip(np.flatnonzero(there), table[vector].take(pa.array(at[there].astype(int))), strict=True):
        if len(value) == dim:
            found[row] = value.values.to_numpy()
    return found


def _row(place: str, own: Published, same: npt.NDArray[np.bool_], also: str = "") -> Compared:
    wrong = int((~same).sum())
    reason = also or (f"{wrong} of {len(own.keys)} keys have another vector" if wrong else "")
    return Compared(place, own.node_type, len(own.keys), wrong, reason)


def _equal(one: Floats, other: Floats) -> npt.NDArray[np.bool_]:
    same: npt.NDArray[np.bool_] = (one == other).all(axis=1)
    return same


def _reader(run: Run, release: Release, known: list[Published]) -> Iterator[Compared]:
    today = run.today.isoformat()
    live = follow_releases(run.warehouse, warm=False, background=False, today=lambda: today)
    for own in known:
        hit = live.get(own.node_type, own.keys)
        also = live.problem or ""
        if hit.release_id != release.release_id:
            also = f"it serves {hit.release_id}"
        elif release.is_expired(own.node_type, today):
            also = f"{release.release_id} is {release.age(today)} days old, more than its ttl_days"
        elif own.erased:
            also = f"the release holds {len(own.erased)} erased keys"
        lost = np.linalg.norm(own.served - own.vectors, axis=1)
        near = lost <= MOST_LOST * np.linalg.norm(own.vectors, axis=1) + np.finfo(np.float32).eps
        yield _row("reader", own, _equal(hit.vectors, own.served) & hit.found & near, also)


def _history(run: Run, release: Release, known: list[Published]) -> Iterator[Compared]:
    settings, ds = run.config.history, release.release_id[:10]
    if not settings.enabled:
        return
    with history.open_catalog(run.warehouse, settings.catalog_name, settings.catalog) as catalog:
        there = history.node_types(catalog, settings.namespace)
        for own in known:
            table = history.open_table(catalog, settings.namespace, own.node_type) if own.node_type in there else None
            held = history.held_days(table).get(ds) if table else None
            if table is None or held is None or held.release_id != release.release_id:
                also = f"it holds {held.release_id if held else 'nothing'} of {ds}"
                yield _row("history", own, np.zeros(len(own.keys), np.bool_), also)
                continue
            rows = history.read_day(table, ds, columns=[History.KEY, History.VECTOR])
            vectors = _of_keys(rows, History.KEY, History.VECTOR, own.keys, own.vectors.shape[1])
            gone = erase.erased(run.warehouse, own.node_type)
            kept = sum(key_hash(own.node_type, key) in gone for key in rows[History.KEY].to_pylist()) if gone else 0
            also = f"it holds {kept} erased keys" if kept else ""
            yield _row("history", own, _equal(vectors, own.vectors), also)


def _mirror(run: Run) -> Iterator[Compared]:
    if run.config.publish.mirror:
        reason = mirror.difference(run.warehouse, run.config.publish.mirror)
        yield Compared("mirror", "all", 0, 0, reason)


def _redis(run: Run, release: Release, known: list[Published]) -> Iterator[Compared]:
    url, prefix = run.config.export.daily.redis, run.config.export.redis.prefix
    if not url:
        return
    client = redis.connect(url)
    for own in known:
        if not own.keys:
            continue
        hit = redis.read_redis(client, own.node_type, own.keys, prefix=prefix).hit
        also = "" if hit.release_id == release.release_id else f"it serves {hit.release_id}"
        gone = erase.erased(run.warehouse, own.node_type)
        if missed := redis.not_denied(client, redis.Place(prefix), gone):
            also = f"{missed} erased keys are not denied"
        yield _row("redis", own, _equal(hit.vectors, own.served) & hit.found, also)
