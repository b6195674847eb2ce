"""A made-up safetensors file is refused by its header, before anything of its size is in memory."""

from __future__ import annotations

import json
import os
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
import torch

from graphrep.embed.gnn.checkpoint import Stamp, packed
from graphrep.errors import InputError, StoreError
from graphrep.store import checkpoints

STATE = packed({"a": torch.ones(3, 2), "b": torch.arange(4)}, Stamp({}, "d", 1))


def made_up(header: Any, body: bytes = b"\0" * 24, length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + body


def entry(start: Any, stop: Any, *shape: Any, dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [start, stop]}


ENTRY = json.dumps(entry(0, 24, 6))
ATTACKS = {
    "empty": b"",
    "shorter than a length": b"\1\0\0",
    "a header longer than the file": made_up({}, length=1 << 20),
    "a header of 2**63 bytes": made_up({}, length=1 << 63),
    "a header cut short": made_up({"a": entry(0, 24, 6)}, length=10),
    "no JSON": made_up(b"\xff{}"),
    "a pickle": b"\x80\x04\x95" + b"cos\nsystem\n" * 9,
    "a list": made_up([]),
    "nested without end": made_up(b"[" * 100_000),
    "a name twice": made_up(f'{{"a": {ENTRY}, "a": {ENTRY}}}'.encode()),
    "tensors that overlap": made_up({"a": entry(0, 16, 4), "b": entry(8, 24, 4)}),
    "tensors of one span": made_up({"a": entry(0, 24, 6), "b": entry(0, 24, 6)}),
    "a gap": made_up({"a": entry(0, 8, 2), "b": entry(16, 24, 2)}),
    "bytes of no tensor": made_up({"a": entry(0, 8, 2)}),
    "past the end": made_up({"a": entry(0, 32, 8)}),
    "backwards": made_up({"a": entry(24, 0, 6)}),
    "before the start": made_up({"a": entry(-24, 0, 6)}),
    "another length than its shape": made_up({"a": entry(0, 24, 1 << 40)}),
    "a shape whose product is past 2**64": made_up({"a": entry(0, 24, 1 << 33, 1 << 33)}),
    "a shape of negative sizes": made_up({"a": entry(0, 24, -2, -3)}),
    "a shape of true": made_up({"a": entry(0, 4, True), "b": entry(4, 24, 5)}),
    "a shape of text": made_up({"a": entry(0, 24, "6")}),
    "an unknown type": made_up({"a": entry(0, 24, 6, dtype="OBJ")}),
    "no offsets": made_up({"a": {"dtype": "F32", "shape": [6]}}),
    "offsets of three": made_up({"a": {"dtype": "F32", "shape": [6], "data_offsets": [0, 24, 48]}}),
    "a tensor that is a number": made_up({"a": 7}),
    "cut short by a byte": STATE[:-1],
    "longer by a byte": STATE + b"\0",
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_it_is_refused_in_one_line(tmp_path: Path, attack: str) -> None:
    path = tmp_path / "state.safetensors"
    path.write_bytes(ATTACKS[attack])
    with pytest.raises(InputError, match=r"^expected a training state in a safetensors file, found ") as caught:
        checkpoints.load(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("attack", ["empty", "shorter than a length", "a header longer than the file"])
def test_a_header_that_the_file_has_no_room_for_is_not_looked_at(tmp_path: Path, attack: str) -> None:
    path = tmp_path / "state.safetensors"
    path.write_bytes(ATTACKS[attack])
    with pytest.raises(InputError, match=rf"found a header of \d+ bytes in a file of {len(ATTACKS[attack])} "):
        checkpoints.load(path)


def test_it_is_refused_before_anything_large_is_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    with path.open("wb") as handle:
        handle.write(made_up({"a": entry(0, 1 << 30, 1 << 20)}, body=b""))
        handle.truncate(1 << 30)  # a file with a hole: a gigabyte to whoever reads it
    for length in (None, (1 << 30) - 8, 1 << 25):
        if length is not None:
            with path.open("r+b") as handle:
                handle.write(length.to_bytes(8, "little"))
        tracemalloc.start()
        with pytest.raises(InputError):
            checkpoints.load(path)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 1 << 20


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_what_is_no_plain_file_is_not_opened(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "state.safetensors"
    if kind == "pipe":
        os.mkfifo(path)
    else:
        (tmp_path / "else").write_bytes(STATE)
        path.symlink_to(tmp_path / "else")
    with pytest.raises(StoreError, match=r"^expected a file, found a (pipe|symbolic link) "):
        checkpoints.load(path)


def test_what_we_write_is_read_again(tmp_path: Path) -> None:
    dtypes = [torch.float64, torch.float16, torch.bfloat16, torch.int32, torch.uint8, torch.bool]
    tensors = {str(dtype): torch.ones(3, dtype=dtype) for dtype in dtypes}
    for content in (STATE, packed({**tensors, "none": torch.ones(0, 5), "one": torch.tensor(1.0)}, Stamp({}, "d", 1))):
        checkpoints.replace(tmp_path / "a", content)
        assert checkpoints.load(tmp_path / "a") == content
