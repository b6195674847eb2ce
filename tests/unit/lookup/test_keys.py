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
from graphrep.lookup import hashing
from graphrep.lookup import keys as codec
from graphrep.lookup.hashing import Batch, encode, hash_keys
from graphrep.lookup.keys import FIRST_SEED, KeyTable, arrange

ODD = ["", "\0", "a", "a\0", "a\0\0", "é", "e\u0301", "👩‍👩‍👧", "用户", "x" * 100_000, " a", "a\n", "\ud800"]
ODD += ["y" * 8, "y" * 9, "y" * 127 + "\0", "y" * 128, "y" * 129, "y" * 128 + "\0", "\ud83d", "\ude00"]

MIXED = st.lists(st.one_of(st.text(), st.sampled_from(ODD)), unique=True, max_size=30)
EVEN = st.sampled_from([1, 3, 7, 8, 9, 16, 127, 128, 129]).flatmap(
    lambda n: st.lists(st.text("ab\0", min_size=n, max_size=n), unique=True, min_size=1, max_size=30)
)
KEYS = st.one_of(MIXED, EVEN)

Hasher = Callable[[Batch, bytes], npt.NDArray[np.uint64]]


def ordered(keys: Sequence[str]) -> list[str]:
    return [keys[i] for i in arrange(keys)[0]]


def table_of(keys: Sequence[str]) -> KeyTable:
    return KeyTable.from_arrays(arrange(keys)[1])


def weak(buckets: int) -> Hasher:
    """A hash that puts most keys together."""
    return lambda batch, seed: (batch.lengths % buckets).astype(np.uint64)


def plain_hash(key: str, seed: bytes) -> int:
    """The hash of one key by Python's whole numbers."""
    raw = key.encode(errors="surrogatepass")
    content = raw if len(raw) <= hashing.LONGEST else hashlib.blake2b(raw, digest_size=16).digest()
    secrets = hashlib.shake_128(seed).digest(128)
    numbers = [int.from_bytes(secrets[i : i + 4], "little") for i in range(0, 128, 4)]
    total = len(raw) * 0x9E3779B97F4A7C15
    for i in range(16):
        word = content[8 * i : 8 * i + 8]
        low, high = int.from_bytes(word[:4], "little"), int.from_bytes(word[4:], "little")
        total += ((low + numbers[i]) % 2**32) * ((high + numbers[16 + i]) % 2**32)
    total %= 2**64
    for factor in (0xFF51AFD7ED558CCD, 0x9E3779B97F4A7C15, 1):
        total = (total ^ total >> 32) * factor % 2**64
    return total


@given(keys=KEYS, seed=st.binary(min_size=8, max_size=8))
@settings(max_examples=100, deadline=None)
def test_the_hash_of_a_key_is_that_of_the_paper_whatever_it_is_asked_with(keys: list[str], seed: bytes) -> None:
    assert hash_keys(encode(keys), seed).tolist() == [plain_hash(key, seed) for key in keys]


@given(keys=KEYS)
@settings(max_examples=100, deadline=None)
def test_a_batch_holds_the_bytes_of_its_keys(keys: list[str]) -> None:
    batch = encode(keys)
    raw = [key.encode(errors="surrogatepass") for key in keys]
    assert batch.lengths.tolist() == [len(key) for key in raw]
    assert batch.long == {i: key for i, key in enumerate(raw) if len(key) > hashing.LONGEST}
    short = [i for i in range(len(keys)) if i not in batch.long]
    assert [batch.words[:, i].tobytes().rstrip(b"\0") for i in short] == [raw[i].rstrip(b"\0") for i in short]


@pytest.mark.parametrize(
    "keys",
    [
        ["ab", "abc", "a"],
        ["a" * 8, "a" * 7, "a" * 9],
        ["ab", "\0\0\0", "a"],
        ["a\0", "\0a"],
        ["a", "", "aa"],
        ["aé", "a"],
    ],
)
def test_keys_that_only_sum_up_to_one_length_are_told_apart(keys: list[str]) -> None:
    batch = encode(keys)
    assert batch.lengths.tolist() == [len(key.encode()) for key in keys]
    assert [row.tobytes().rstrip(b"\0") for row in batch.words.T] == [key.encode().rstrip(b"\0") for key in keys]


def test_keys_of_one_length_are_encoded_as_such() -> None:
    assert encode(["user01", "user02"]).even
    assert encode(["y" * 8, "x" * 8]).words.shape == (1, 2)
    assert not encode(["user1", "user02"]).even


@given(keys=KEYS, probes=KEYS, buckets=st.sampled_from([0, 1, 3]))
@settings(max_examples=150, deadline=None)
def test_every_key_is_found_in_its_row_and_no_other_is_ever_found(
    keys: list[str], probes: list[str], buckets: int
) -> None:
    with mock.patch.object(codec, "hash_keys", weak(buckets) if buckets else hash_keys):
        order, arrays = arrange(keys)
        table, rows = KeyTable.from_arrays(arrays), [keys[i] for i in order]
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


def test_many_keys_are_found_and_as_many_strangers_are_not() -> None:
    keys = [f"user{i}" for i in range(20_000)]
    order, arrays = arrange(keys)
    table = KeyTable.from_arrays(arrays)
    rows = table.rows(keys)
    assert order[rows].tolist() == list(range(len(keys)))
    assert (table.rows([f"user{i}" for i in range(20_000, 40_000)]) == -1).all()
    hashes = hash_keys(encode([keys[i] for i in order]), FIRST_SEED)
    assert (hashes[1:] > hashes[:-1]).all()


def colliding(seed: bytes, count: int) -> list[str]:
    """Keys that share a hash, for who knows the seed: half a word that makes a product zero. None if it is no text."""
    secrets = np.frombuffer(hashlib.shake_128(seed).digest(64), "<u4").astype(np.int64)
    for i, secret in enumerate(secrets):
        zero = int(-secret % 2**32).to_bytes(4, "little")
        if zero.isascii():
            return ["-" * 8 * i + zero.decode() + f"{n:04d}" for n in range(count)]
    return []


def test_keys_made_to_share_a_hash_get_another_seed_and_stay_few_to_a_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    seed = next(seed for seed in (bytes([i] * 8) for i in range(256)) if colliding(seed, 1))
    monkeypatch.setattr(codec, "FIRST_SEED", seed)
    made = colliding(seed, 300)
    assert len(set(hash_keys(encode(made), seed).tolist())) == 1
    keys = [*made, *(f"u{i}" for i in range(3000))]
    table = table_of(keys)
    assert table.seed != seed
    assert len(table.window) <= codec.WIDEST
    assert sorted(table.rows(keys).tolist()) == list(range(len(keys)))
    assert table_of(keys[300:]).seed == seed


def test_no_keys_make_a_table_that_finds_nothing() -> None:
    table = table_of([])
    assert len(table) == 0
    assert table.keys() == []
    assert table.rows(["", "a"]).tolist() == [-1, -1]
    assert table.rows([]).tolist() == []


def test_order_takes_memory_by_the_length_of_the_keys_not_by_the_longest() -> None:
    """As fixed-width strings these keys would be 200 GB."""
    keys = ["x" * 5_000_000, *(f"u{i}" for i in range(10_000))]
    assert sorted(arrange(keys)[0].tolist()) == list(range(len(keys)))


@pytest.mark.parametrize("wrong", ["u1", [1], ["u1", None], [b"u1"]])
def test_a_key_that_is_no_string_is_refused(wrong: Sequence[str]) -> None:
    with pytest.raises(InputError, match="a list of keys as strings"):
        table_of(["u1"]).rows(wrong)
