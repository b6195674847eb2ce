"""A reader that stays: it follows the pointer and the list of erased keys while it serves, and never mixes releases."""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from graphrep import vocab
from graphrep.contracts import Manifest
from graphrep.errors import GraphrepError, StoreError
from graphrep.lookup.denied import Denied
from graphrep.lookup.hashing import encode
from graphrep.lookup.reader import Bools, Hit, Neighbor, Release, open_pointed, open_release, pointer_of
from graphrep.lookup.uplift import UpliftHit
from graphrep.store import denied as store
from graphrep.store import releases


def utc_today() -> str:
    """The day that it is, YYYY-MM-DD."""
    return dt.datetime.now(dt.UTC).date().isoformat()


@dataclass(frozen=True, slots=True)
class _Served:
    """What one answer is made from: replaced as one, never changed."""

    pointer: releases.Pointer
    current: Release
    previous: Release | None


class LiveReader:
    """Answers from the current release, and from the next one as soon as that is mapped, checked and warm.

    An answer, over however many types, is of one release. What cannot be read leaves the last good release in service
    and is told by ``problem``. Any number of threads may use it; it has none of its own but the one that loads.

    :func:`follow_releases` makes one and says what each argument means.
    """

    def __init__(
        self,
        warehouse: str | Path,
        *,
        every: float,
        verify: bool,
        warm: bool,
        background: bool,
        clock: Callable[[], float],
        today: Callable[[], str | None],
    ) -> None:
        self._warehouse, self._every = Path(warehouse), every
        self._verify, self._warm = verify, warm
        self._background, self._clock, self._today = background, clock, today
        self._lock, self._telling = threading.Lock(), threading.Lock()
        self._loading: threading.Thread | None = None
        self._stamp: store.Stamp | None = None
        self._denied = Denied.from_rows(np.zeros(0, store.DENIED))
        self._problems: dict[str, str] = {}
        self._served = self._load(pointer_of(self._warehouse), None)
        self._next = self._clock() + every
        self._attempt("erased keys", self._read_denied)

    @property
    def release(self) -> Release:
        """The release that now serves; it stays what it is when the reader goes on."""
        return self._served.current

    @property
    def release_id(self) -> str:
        return self.release.release_id

    @property
    def space_id(self) -> str:
        return self.release.space_id

    @property
    def problem(self) -> str | None:
        """Why the newest release, or the list of erased keys, could not be read; None where all is well."""
        return "; ".join(self._problems.values()) or None

    def get(self, node_type: str, keys: Sequence[str], *, ds: str | None = None) -> Hit:
        """Look keys up: the release, else the release before while that may be served, else the type's prior.

        Args:
            ds: the day for which is asked, YYYY-MM-DD; by default today (UTC).

        Raises:
            InputError: the release has no such type, a key is not a string, or ``ds`` is not a day.
        """
        return self.get_many({node_type: keys}, ds=ds)[node_type]

    def get_many(self, keys: Mapping[str, Sequence[str]], *, ds: str | None = None) -> dict[str, Hit]:
        """:meth:`get` for several types, all from one release."""
        self._follow()
        served, denied, day = self._served, self._denied, ds or self._today()
        return {node_type: _answer(served, denied, node_type, own, day) for node_type, own in keys.items()}

    def uplift(
        self,
        treatment: str,
        keys: Sequence[str],
        horizon_days: int = 1,
        *,
        outcome: str = "live",
        ds: str | None = None,
    ) -> UpliftHit:
        """:meth:`Release.uplift` of the release that serves, asked for today (UTC) unless a day is named.

        The release before does not step in: an effect is of its day. Erased hosts have none.
        """
        self._follow()
        served, denied, batch = self._served.current, self._denied, encode(keys)
        out = np.zeros(len(batch), np.bool_)
        for node_type in served.manifest.get(Manifest.UPLIFT, {}).get("node_types", ()):
            out |= denied.among(node_type, keys, batch)
        day = ds or self._today()
        return served.uplift(treatment, keys, horizon_days, outcome=outcome, ds=day, denied=out)

    def neighbors(self, node_type: str, key: str, to: str, k: int = 10) -> list[Neighbor]:
        """:meth:`Release.neighbors` of the release that serves; a denied key is asked as an unknown one, never told."""
        self._follow()
        release, denied = self._served.current, self._denied
        asked = release.answer(node_type, encode([key]), denied=denied.among(node_type, [key], encode([key])))
        wanted = k
        while True:
            found = release.nearest(asked.vectors[0], to, wanted, without=key if to == node_type else None)
            names = [near.key for near in found]
            gone = denied.among(to, names, encode(names))
            left = [near for near, out in zip(found, gone.tolist(), strict=True) if not out]
            if len(left) >= k or len(found) < wanted:
                return left[:k]
            wanted += max(k, int(gone.sum()))

    def check(self) -> None:
        """Look at the pointer and the erased keys now, whether it is time or not, and wait for what is new."""
        with self._lock:
            self._look()
        loading = self._loading
        if loading is not None:
            loading.join()

    def _follow(self) -> None:
        """Look where it is time; of several threads one does, and the others go on with what there is."""
        if self._clock() >= self._next and self._lock.acquire(blocking=False):
            try:
                self._look()
            finally:
                self._lock.release()

    def _look(self) -> None:
        self._next = self._clock() + self._every
        self._attempt("erased keys", self._read_denied)
        if self._loading is not None and self._loading.is_alive():
            return
        self._attempt("pointer", self._read_pointer)

    def _attempt(self, what: str, step: Callable[[], None]) -> None:
        """Whatever goes wrong, what is at hand goes on serving, and the problem is told until it is gone."""
        said = None
        try:
            step()
        except Exception as error:
            said = str(error) if isinstance(error, GraphrepError) else f"{type(error).__name__}: {error}"
        with self._telling:
            others = {name: told for name, told in self._problems.items() if name != what}
            self._problems = others if said is None else {**others, what: said}

    def _read_denied(self) -> None:
        stamp = store.stamp_of(self._warehouse)
        if stamp is None and self._stamp is not None:
            raise StoreError("the list of erased keys", found="none", where=str(store.denied_file(self._warehouse)))
        if stamp != self._stamp:
            self._denied = Denied.from_rows(store.read_denied(self._warehouse))
            self._stamp = stamp

    def _read_pointer(self) -> None:
        pointer = pointer_of(self._warehouse)
        if pointer == self._served.pointer:
            self._attempt("release", lambda: None)
        elif self._background:
            self._loading = threading.Thread(target=self._switch, args=(pointer,), name="graphrep-load", daemon=True)
            self._loading.start()
        else:
            self._switch(pointer)

    def _switch(self, pointer: releases.Pointer) -> None:
        def load() -> None:
            self._served = self._load(pointer, self._served)

        self._attempt("release", load)

    def _load(self, pointer: releases.Pointer, old: _Served | None) -> _Served:
        current = open_pointed(self._warehouse, pointer, verify=self._verify)
        self._map(current)
        return _Served(pointer, current, self._before(current, old))

    def _map(self, release: Release) -> None:
        for node_type in release.types:
            release.table(node_type)
        _ = release.uplift_table  # mapped with the vectors, or the release does not serve
        if self._warm:
            release.warm()

    def _before(self, current: Release, old: _Served | None) -> Release | None:
        """The release of an earlier day that was served before, if its vectors are of the same space."""
        try:
            release_id = releases.served_before(self._warehouse, current.manifest[Manifest.DS])
            if release_id is None:
                return None
            known = [r for r in (old.current, old.previous) if r and r.release_id == release_id] if old else []
            before = known[0] if known else open_release(self._warehouse, release_id)
            self._map(before)
        except GraphrepError:
            return None  # retention removed it, or it is damaged: the prior answers in its place
        return before if before.space_id == current.space_id else None


def _answer(served: _Served, denied: Denied, node_type: str, keys: Sequence[str], ds: str | None) -> Hit:
    batch = encode(keys)
    out = denied.among(node_type, keys, batch)
    hit = served.current.answer(node_type, batch, ds=ds, denied=out)
    older = served.previous
    missing = np.flatnonzero(~(hit.found | out))
    if older and len(missing) and node_type in older.types and not older.is_expired(node_type, ds):
        _fill_in(hit, older, older.answer(node_type, batch.take(missing)), missing, served.current)
    return hit


def _fill_in(hit: Hit, older: Release, before: Hit, missing: np.ndarray, current: Release) -> None:
    known: Bools = before.found & (before.source != vocab.PRIOR)
    rows = missing[known]
    hit.vectors[rows] = before.vectors[known]
    hit.source[rows] = vocab.PREVIOUS
    hit.degree[rows] = before.degree[known]
    hit.age_days[rows] = before.age_days[known] + older.age(current.manifest[Manifest.DS])


def follow_releases(
    warehouse: str | Path,
    *,
    every: float = 5.0,
    verify: bool = False,
    warm: bool = True,
    background: bool = True,
    clock: Callable[[], float] = time.monotonic,
    today: Callable[[], str | None] = utc_today,
) -> LiveReader:
    """Open the current release and follow the pointer from then on.

    Args:
        warehouse: directory that holds ``CURRENT`` and ``releases/``.
        every: seconds after which the next request looks at the pointer and the erased keys again.
        verify: compare every file of a release with its manifest before it serves.
        warm: read a release once before it serves, so that no request waits for the disk.
        background: load a new release in a thread while the old one serves; else the request that finds it waits.
        clock: seconds that only grow.
        today: the day for which is asked where a request names none; None for no limit of age.

    Raises:
        InputError: nothing is published there.
        StoreError: the pointer or the release is damaged, and there is no other to serve.
    """
    return LiveReader(warehouse, every=every, verify=verify, warm=warm, background=background, clock=clock, today=today)
