"""A training state as bytes, so that training taken up again ends where it would have ended: no file is opened here.

The bytes are a safetensors file (https://huggingface.co/docs/safetensors): nothing in it is run when it is read. Its
metadata hold what it was made with, a format version and a SHA-256 of the whole.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from graphrep.errors import InputError, MachineError

FORMAT = 1
"""Of the names in the metadata and of what they mean; another one is refused."""

Tensors = Mapping[str, torch.Tensor]

_METADATA, _OPTIMISER = "graphrep", "optimiser."
_DAMAGED_FIX = "delete it and train from the start, or take an older one"
_OTHER_FIX = "go on with what it was made with, or train from the start in another place"
_ENTRY = re.compile(re.escape(_OPTIMISER) + r"(\d+)\.(\w+)")


@dataclass(frozen=True)
class Stamp:
    """What a training state was made with.

    Attributes:
        config: options of the model, as JSON knows them: tuples come back as lists.
        data: version or digest of the graph.
        step: steps that were taken.
    """

    config: Mapping[str, Any]
    data: str
    step: int


def packed(tensors: Tensors, stamp: Stamp) -> bytes:
    """One safetensors file; equal tensors and an equal stamp are equal bytes, in whatever order they come.

    Args:
        tensors: by name, dense, on any device; several may lie in one storage.
        stamp: what they were made with.

    Raises:
        InputError: a tensor that is sparse or complex, options that JSON does not know.
        MachineError: safetensors is not installed.

    >>> stamp = Stamp({"dim": 2}, "2026-11-22", 5)
    >>> tensors, found = unpacked(packed({"bias": torch.ones(2)}, stamp), "memory", config={"dim": 2})
    >>> tensors["bias"], found == stamp
    (tensor([1., 1.]), True)
    """
    whole = {name: _dense(name, tensor) for name, tensor in tensors.items()}
    content = _checked_json({"format": FORMAT, "config": dict(stamp.config), "data": stamp.data, "step": stamp.step})
    # This one makes bytes; calls of that name open a file, which is the store's alone.
    serialise = _safetensors().torch.save
    # One entry: the order of several would be another one each time.
    return bytes(serialise(whole, {_METADATA: _json({**content, "sha256": _digest(whole, content)})}))


def unpacked(
    content: bytes, where: str, *, config: Mapping[str, Any] | None = None, data: str | None = None
) -> tuple[dict[str, torch.Tensor], Stamp]:
    """Tensors on the CPU, by name, and their stamp.

    Args:
        content: of :func:`packed`.
        where: the path, for messages.
        config: options that it must have been made with; None: any.
        data: version of the graph that it must have been made with; None: any.

    Raises:
        InputError: other bytes, damaged or cut short; another format; other options, of which it names the first by
            name; another graph.
        MachineError: safetensors is not installed.
    """
    expected = f"a training state of format {FORMAT}"
    found = _metadata(content)
    if found is None:
        raise InputError(expected, found=f"{len(content)} bytes that are none", where=where, fix=_DAMAGED_FIX)
    if found.get("format") != FORMAT:
        raise InputError(expected, found=f"format {found.get('format')!r}", where=where, fix=_OTHER_FIX)
    digest = found.pop("sha256", None)
    tensors = _tensors(content)
    if tensors is None or digest != _digest(tensors, found):
        raise InputError(expected, found=f"{len(content)} damaged bytes", where=where, fix=_DAMAGED_FIX)
    stamp = Stamp(found["config"], found["data"], found["step"])
    if config is not None:
        name, ours, theirs = _difference("config", _checked_json(dict(config)), stamp.config)
        if ours != theirs:
            raise InputError(f"{name} = {ours}", found=theirs, where=where, fix=_OTHER_FIX)
    if data is not None and data != stamp.data:
        raise InputError(f"data = {data!r}", found=repr(stamp.data), where=where, fix=_OTHER_FIX)
    return tensors, stamp


def optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """State of Adam or AdamW: step and moments as ``optimiser.<place of the parameter>.<name>``; not copied.

    Rates and decays are not in it: they are options of the optimiser. A parameter that never had a gradient has none.

    Raises:
        InputError: another optimiser.

    >>> weight = torch.nn.Parameter(torch.ones(3))
    >>> adam = torch.optim.Adam([weight])
    >>> weight.sum().backward(); adam.step()
    >>> sorted(optimiser_tensors(adam))
    ['optimiser.0.exp_avg', 'optimiser.0.exp_avg_sq', 'optimiser.0.step']
    """
    _check_adam(optimiser)
    state = optimiser.state_dict()["state"]
    return {f"{_OPTIMISER}{place}.{name}": x for place, entries in state.items() for name, x in entries.items()}


def restore_optimiser(optimiser: torch.optim.Optimizer, tensors: Tensors) -> None:
    """Put the state of :func:`optimiser_tensors` into an optimiser of the same parameters; names of others are ignored.

    Raises:
        InputError: another optimiser, or a state of other parameters.

    >>> weight = torch.nn.Parameter(torch.ones(3))
    >>> restore_optimiser(torch.optim.Adam([weight]), {"optimiser.0.step": torch.tensor(1.0)})
    Traceback (most recent call last):
        ...
    graphrep.errors.InputError: expected exp_avg (3,), exp_avg_sq (3,), step (), found step () [optimiser.0]; \
make the model and the optimiser as they were made
    """
    _check_adam(optimiser)
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in tensors.items():
        if match := _ENTRY.fullmatch(name):
            # A copy: the optimiser writes into it.
            state.setdefault(int(match[1]), {})[match[2]] = tensor.clone()
    shapes = _state_shapes(optimiser)
    for place, entries in state.items():
        expected, found = shapes.get(place, {}), {name: tuple(x.shape) for name, x in entries.items()}
        if found != expected:
            raise InputError(
                _listed(expected),
                found=_listed(found),
                where=f"{_OPTIMISER}{place}",
                fix="make the model and the optimiser as they were made",
            )
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})


def _safetensors() -> Any:
    # Not at the top: a worker that trains without checkpoints needs no such package.
    try:
        import safetensors.torch
    except ImportError:
        raise MachineError("the package safetensors", found="none", fix="pip install safetensors") from None
    return safetensors


def _dense(name: str, tensor: torch.Tensor) -> torch.Tensor:
    """A copy on the CPU that is alone in its storage."""
    if tensor.layout != torch.strided or tensor.is_complex():
        raise InputError("a dense tensor of plain numbers", found=f"{tensor.layout} of {tensor.dtype}", where=name)
    return torch.empty(tensor.shape, dtype=tensor.dtype).copy_(tensor.detach())


def _json(content: Any) -> str:
    return json.dumps(content, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _checked_json(content: Mapping[str, Any]) -> dict[str, Any]:
    """Options as they come back from JSON."""
    try:
        result: dict[str, Any] = json.loads(_json(content))
    except (TypeError, ValueError) as error:
        raise InputError("options that JSON knows", found=str(error), where="config") from None
    return result


def _digest(tensors: Tensors, content: Mapping[str, Any]) -> str:
    digest = hashlib.sha256(_json(content).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(repr((name, str(tensor.dtype), tuple(tensor.shape))).encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _metadata(content: bytes) -> dict[str, Any] | None:
    """Ours in the header: eight bytes of its length, then JSON. None where it is not there."""
    end = 8 + int.from_bytes(content[:8], "little")
    try:
        found = json.loads(json.loads(content[8:end])["__metadata__"][_METADATA])
    except (ValueError, KeyError, TypeError):
        return None
    return found if isinstance(found, dict) else None


def _tensors(content: bytes) -> dict[str, torch.Tensor] | None:
    safetensors = _safetensors()
    try:
        return dict(safetensors.torch.load(content))
    except safetensors.SafetensorError:
        return None


def _difference(name: str, ours: Any, theirs: Any) -> tuple[str, str, str]:
    """First key, in their order, at which two differ, and what stands there; equal strings where none does."""
    if not (isinstance(ours, Mapping) and isinstance(theirs, Mapping)):
        return name, repr(ours), repr(theirs)
    for key in sorted({*ours, *theirs}):
        if key not in ours or key not in theirs:
            first, second = (repr(side[key]) if key in side else "none" for side in (ours, theirs))
            return f"{name}.{key}", first, second
        if ours[key] != theirs[key]:
            return _difference(f"{name}.{key}", ours[key], theirs[key])
    return name, "", ""


def _check_adam(optimiser: torch.optim.Optimizer) -> None:
    if not isinstance(optimiser, torch.optim.Adam):
        raise InputError("Adam or AdamW", found=type(optimiser).__name__, where="optimiser")


def _state_shapes(optimiser: torch.optim.Optimizer) -> dict[int, dict[str, tuple[int, ...]]]:
    """Shape of each entry that a parameter's state has, by the place of the parameter."""
    shapes = []
    for group in optimiser.param_groups:
        moments = ["exp_avg", "exp_avg_sq", *(["max_exp_avg_sq"] if group["amsgrad"] else [])]
        shapes += [{"step": (), **dict.fromkeys(moments, tuple(parameter.shape))} for parameter in group["params"]]
    return dict(enumerate(shapes))


def _listed(shapes: Mapping[str, tuple[int, ...]]) -> str:
    return ", ".join(f"{name} {shapes[name]}" for name in sorted(shapes)) or "nothing"
