"""The header of a safetensors file, checked before any of its content is read into memory. Standard library only.

Eight bytes say how long the header is, the header says in JSON where each tensor lies behind it
(https://huggingface.co/docs/safetensors). A file is refused whose header could not be meant: one that is longer than
the file or than any of ours, or tensors that overlap, leave gaps, reach past the end or differ from their shapes.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from graphrep.errors import InputError
from graphrep.store import files

MAX_HEADER = 1 << 24
"""Bytes. Ours have some hundred tensors of about hundred bytes each, and a few kilobytes of options."""
BITS = {"F64": 64, "F32": 32, "F16": 16, "BF16": 16, "I64": 64, "U64": 64, "I32": 32, "U32": 32} | {
    "I16": 16,
    "U16": 16,
    "I8": 8,
    "U8": 8,
    "BOOL": 8,
}
_FIX = "delete it and train from the start, or take an older one"


def check_header(path: Path) -> None:
    """Read the header of a file and compare it with the file's length.

    Raises:
        InputError: no safetensors file, or one that was cut short or made up; the message says what is wrong.
        StoreError: it cannot be read.
    """
    with files.storing(path), path.open("rb") as handle:
        size = path.stat().st_size
        length = int.from_bytes(handle.read(8), "little")
        if not 2 <= length <= min(MAX_HEADER, size - 8):
            raise _wrong(path, f"a header of {length} bytes in a file of {size}")
        header = handle.read(length)
    try:
        content = json.loads(header, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise _wrong(path, "a header that is no JSON object")
    tensors = {name: entry for name, entry in content.items() if name != "__metadata__"}
    _check_spans(path, tensors, size - 8 - length)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a name that is there twice")
    return dict(pairs)


def _check_spans(path: Path, tensors: dict[str, Any], size: int) -> None:
    """Together the tensors fill what follows the header, each byte once."""
    spans = sorted((_span(path, name, entry), name) for name, entry in tensors.items())
    end = 0
    for (start, stop), name in spans:
        if start != end:
            raise _wrong(path, f"{name!r:.60} from byte {start} where {end} is next")
        end = stop
    if end != size:
        raise _wrong(path, f"{size} bytes of tensors where the header tells of {end}")


def _span(path: Path, name: str, entry: Any) -> tuple[int, int]:
    try:
        shape, (start, stop) = entry["shape"], entry["data_offsets"]
        whole = all(type(n) is int and n >= 0 for n in (*shape, start, stop))
        right = whole and (stop - start) * 8 == math.prod(shape) * BITS[entry["dtype"]]
    except (KeyError, TypeError, ValueError):
        right = False
    if not right:
        raise _wrong(path, f"{name!r:.60} of another length than its shape")
    return start, stop


def _wrong(path: Path, found: str) -> InputError:
    return InputError("a training state in a safetensors file", found=found, where=str(path), fix=_FIX)
