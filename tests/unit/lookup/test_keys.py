"""Keys to rows: what was put in is found, nothing else ever is, equal hashes or not."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from unittest import mock

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphrep.errors import InputError
from graphrep.lookup import keys as codec
from graphrep.lookup.keys import KeyTable, encode_keys, hash_keys, row_order

ODD = ["", "\0", "a", "a\0", "a\0\0", "é", "e\u0301", "👩‍👩‍👧", "用户", "x" * 100_000, " a", "a\n", "\ud800"]

KEYS = st.lists(st.one_of(st.text(), st.sampled_from(ODD)), unique=True, max_size=30)

Hasher = Callable[[Sequence[str]], npt.NDArray[np.uint64]]


def ordered(keys: Sequence[str]) -> list[str]:
    return [keys[i] for i in row_order(keys)]


def weak(buckets: int) -> Hasher:
    """A hash that puts most keys together."""
    return lambda keys: np.array([len(key) % buckets for key in keys], dtype=np.uint64)


@given(keys=KEYS, probes=KEYS, buckets=st.sampled_from([0, 1, 3]))
@settings(max_examples=150, deadline=None)
def test_every_key_is_found_in_its_row_and_no_other_is_ever_found(
    keys: list[str], probes: list[str], buckets: int
) -> None:
    with mock.patch.object(codec, "hash_keys", weak(buckets) if buckets else hash_keys):
        rows = ordered(keys)
        table = KeyTable.from_arrays(encode_keys(rows))
        assert len(table) == len(keys)
        assert table.keys() == [table.key(i) for i in range(len(table))] == rows
        place = {key: row for row, key in enumerate(rows)}
        asked = [*probes, *keys, *keys]
        assert table.rows(asked).tolist() == [place.get(key, -1) for key in asked]


@given(keys=KEYS, data=st.data())
@settings(max_examples=60, deadline=None)
def test_the_order_of_rows_does_not_depend_on_the_order_of_keys(keys: list[str], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(keys))
    assert ordered(keys) == ordered(shuffled)
    with mock.patch.object(codec, "hash_keys", weak(2)):
        assert ordered(keys) == ordered(shuffled)


def test_keys_with_one_hash_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    content = np.frombuffer(b"beforeonetwothree", dtype=np.uint8)
    offsets = np.array([0, 6, 9, 12, 17])
    table = KeyTable(np.array([4, 5, 5, 5], dtype=np.uint64), offsets, content)
    monkeypatch.setattr(codec, "hash_keys", lambda keys: np.full(len(keys), 5, dtype=np.uint64))
    assert table.rows(["three", "one", "two", "four", "before", ""]).tolist() == [3, 1, 2, -1, -1, -1]


def test_hashes_are_ascending_and_the_same_on_every_machine() -> None:
    arrays = encode_keys(ordered([f"u{i}" for i in range(1000)]))
    hashes = arrays[codec.HASHES]
    assert (hashes[1:] > hashes[:-1]).all()
    assert hashes.dtype == np.uint64
    expected = int.from_bytes(hashlib.blake2b("é".encode(), digest_size=8).digest(), "little")
    assert hash_keys(["é"]).tolist() == [expected]


def test_no_keys_make_a_table_that_finds_nothing() -> None:
    table = KeyTable.from_arrays(encode_keys([]))
    assert len(table) == 0
    assert table.keys() == []
    assert table.rows(["", "a"]).tolist() == [-1, -1]
    assert table.rows([]).tolist() == []


def test_order_takes_memory_by_the_length_of_the_keys_not_by_the_longest() -> None:
    """As fixed-width strings these keys would be 200 GB."""
    keys = ["x" * 5_000_000, *(f"u{i}" for i in range(10_000))]
    assert sorted(row_order(keys).tolist()) == list(range(len(keys)))


@pytest.mark.parametrize("wrong", ["u1", [1], ["u1", None], [b"u1"]])
def test_a_key_that_is_no_string_is_refused(wrong: Sequence[str]) -> None:
    with pytest.raises(InputError, match="a list of keys as strings"):
        KeyTable.from_arrays(encode_keys(["u1"])).rows(wrong)
