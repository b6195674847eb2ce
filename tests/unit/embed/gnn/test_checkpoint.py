"""Training states as bytes: training taken up again ends where it would have ended, and other bytes are refused."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphrep.embed.gnn import checkpoint
from graphrep.embed.gnn.checkpoint import (
    Stamp,
    optimiser_tensors,
    packed,
    restore_optimiser,
    unpacked,
)
from graphrep.errors import InputError, MachineError

STAMP = Stamp({"dim": 4, "gnn": {"layers": 2, "hops": [3, 2]}, "name": "é"}, "2026-11-22", 7)
TENSORS = {"weight": torch.arange(6.0).view(2, 3), "bias": torch.tensor([1, 2])}
CONTENT = packed(TENSORS, STAMP)

Optimiser = Callable[..., torch.optim.Optimizer]


class Training:
    """A model of two layers in two groups of parameters, on drawn batches and with drop-out."""

    def __init__(self, make: Optimiser) -> None:
        torch.manual_seed(0)
        self.model = torch.nn.ModuleDict({"first": torch.nn.Linear(5, 4), "second": torch.nn.Linear(4, 1)})
        self.optimiser = make(
            [{"params": self.model["first"].parameters()}, {"params": self.model["second"].parameters()}]
        )
        self.generator = torch.Generator().manual_seed(1)

    def run(self, steps: int) -> None:
        for _ in range(steps):
            x = torch.randn(8, 5, generator=self.generator)
            kept = torch.rand(8, 4, generator=self.generator) < 0.5
            loss = (self.model["second"](kept * self.model["first"](x)) - x.sum(1, keepdim=True)).square().mean()
            self.optimiser.zero_grad()
            loss.backward()
            self.optimiser.step()

    def tensors(self) -> dict[str, torch.Tensor]:
        parameters = {f"model.{name}": x for name, x in self.model.state_dict().items()}
        return {**parameters, **optimiser_tensors(self.optimiser), "chance": self.generator.get_state()}

    def restore(self, tensors: Mapping[str, torch.Tensor]) -> None:
        self.model.load_state_dict({k.removeprefix("model."): x for k, x in tensors.items() if k.startswith("model.")})
        restore_optimiser(self.optimiser, tensors)
        self.generator.set_state(tensors["chance"])


def adam(parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.Adam(parameters, lr=0.1)


def adamw(parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.AdamW(parameters, lr=0.1, weight_decay=0.1, amsgrad=True)


@pytest.mark.parametrize("make", [adam, adamw])
def test_training_taken_up_again_ends_where_it_would_have_ended(make: Optimiser) -> None:
    straight, first = Training(make), Training(make)
    straight.run(10)
    first.run(5)
    content = packed(first.tensors(), STAMP)
    second = Training(make)
    second.restore(unpacked(content, "memory")[0])
    second.run(5)
    expected, found = straight.tensors(), second.tensors()
    assert expected.keys() == found.keys()
    for name, x in expected.items():
        assert torch.equal(x, found[name]), name


def test_what_was_read_is_not_trained_on() -> None:
    first, second = Training(adam), Training(adam)
    first.run(2)
    tensors, _ = unpacked(packed(first.tensors(), STAMP), "memory")
    before = {name: x.clone() for name, x in tensors.items()}
    second.restore(tensors)
    second.run(2)
    assert all(torch.equal(x, before[name]) for name, x in tensors.items())


@pytest.mark.parametrize(
    "dtype",
    [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.uint8, torch.bool],
)
@pytest.mark.parametrize("shape", [(), (0, 3), (3, 2)])
def test_tensors_of_every_type_come_back(dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    x = torch.randint(0, 2, shape, generator=torch.Generator().manual_seed(0)).to(dtype)
    tensors, stamp = unpacked(packed({"x": x}, STAMP), "memory")
    assert tensors.keys() == {"x"}
    assert tensors["x"].dtype == dtype
    assert tensors["x"].shape == shape
    assert torch.equal(tensors["x"], x)
    assert stamp == STAMP


def test_parameters_transposed_tensors_and_shares_of_one_storage_come_back() -> None:
    x = torch.nn.Parameter(torch.arange(6.0).view(2, 3))
    tensors, _ = unpacked(packed({"x": x, "same": x, "turned": x.T, "row": x[1]}, STAMP), "memory")
    assert torch.equal(tensors["same"], x)
    assert torch.equal(tensors["turned"], x.T)
    assert torch.equal(tensors["row"], x[1])


@settings(max_examples=30, deadline=None)
@given(st.permutations(["a", "b", "c", "d"]), st.permutations(["x", "y", "z"]))
def test_equal_input_is_equal_bytes_in_whatever_order_it_comes(names: list[str], keys: list[str]) -> None:
    tensors = {name: torch.full((2,), float(ord(name))) for name in names}
    content = packed(tensors, Stamp({key: ord(key) for key in keys}, "d", 1))
    assert content == packed(dict(sorted(tensors.items())), Stamp({key: ord(key) for key in "xyz"}, "d", 1))


def test_a_stamp_comes_back_as_json_knows_it() -> None:
    stamp = replace(STAMP, config={"hops": (3, 2), "by_hop": {1: 0.5}})
    content = packed(TENSORS, stamp)
    assert unpacked(content, "memory", config=stamp.config, data=stamp.data)[1].config == {
        "hops": [3, 2],
        "by_hop": {"1": 0.5},
    }


def test_every_changed_byte_is_found() -> None:
    for at in range(len(CONTENT)):
        changed = CONTENT[:at] + bytes([CONTENT[at] ^ (1 << at % 8)]) + CONTENT[at + 1 :]
        with pytest.raises(InputError, match=r"^expected a training state of format 1, found .* \[/a/b\]; .*$"):
            unpacked(changed, "/a/b")


def test_every_cut_is_found() -> None:
    for end in range(len(CONTENT)):
        with pytest.raises(InputError, match=rf"expected a training state of format 1, found {end} .*\[/a/b\]; delete"):
            unpacked(CONTENT[:end], "/a/b")


def foreign() -> bytes:
    from safetensors.torch import save

    return save(TENSORS)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04" * 9, b"\x80\x04.", b"\x02" + bytes(7) + b"[]", foreign()])
def test_other_files_are_refused(content: bytes) -> None:
    message = (
        rf"^expected a training state of format 1, found {len(content)} bytes that are none \[/a/b\]; delete it .*$"
    )
    with pytest.raises(InputError, match=message):
        unpacked(content, "/a/b")


def test_another_format_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "FORMAT", 2)
    content = packed(TENSORS, STAMP)
    monkeypatch.undo()
    with pytest.raises(
        InputError, match=r"^expected a training state of format 1, found format 2 \[/a/b\]; go on with"
    ):
        unpacked(content, "/a/b")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({**STAMP.config, "dim": 8}, "config.dim = 8, found 4"),
        ({**STAMP.config, "name": "x", "dim": 8}, "config.dim = 8, found 4"),
        ({**STAMP.config, "gnn": {"layers": 2, "hops": (3, 3)}}, r"config.gnn.hops = \[3, 3\], found \[3, 2\]"),
        ({**STAMP.config, "gnn": {"layers": 2}}, r"config.gnn.hops = none, found \[3, 2\]"),
        ({**STAMP.config, "zeta": "none"}, "config.zeta = 'none', found none"),
        ({**STAMP.config, "gnn": 3}, r"config.gnn = 3, found \{'hops': \[3, 2\], 'layers': 2\}"),
    ],
)
def test_the_first_option_that_differs_is_named_with_both_values(config: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=rf"^expected {message} \[/a/b\]; go on with what it was made with, or"):
        unpacked(CONTENT, "/a/b", config=config, data=STAMP.data)


def test_another_graph_is_refused() -> None:
    with pytest.raises(InputError, match=r"^expected data = '2026-11-23', found '2026-11-22' \[/a/b\]; go on with"):
        unpacked(CONTENT, "/a/b", config=STAMP.config, data="2026-11-23")


@pytest.mark.parametrize(
    ("tensors", "config", "message"),
    [
        ({"x": torch.eye(2).to_sparse()}, {}, r"a dense tensor of plain numbers, found torch.sparse_coo .*\[x\]"),
        ({"x": torch.zeros(1, dtype=torch.complex64)}, {}, r"plain numbers, found .* torch.complex64 \[x\]"),
        ({}, {"dim": torch.zeros(1)}, r"options that JSON knows, found Object of type Tensor .*\[config\]"),
        ({}, {"rate": float("nan")}, r"options that JSON knows, found Out of range float .*\[config\]"),
    ],
)
def test_what_cannot_be_packed_is_named(tensors: Any, config: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        packed(tensors, Stamp(config, "d", 1))


def test_a_machine_without_safetensors_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "safetensors.torch", None)
    for call in (lambda: packed(TENSORS, STAMP), lambda: unpacked(CONTENT, "memory")):
        with pytest.raises(MachineError, match="the package safetensors, found none; pip install safetensors"):
            call()


def test_the_metadata_can_be_read_by_whoever_reads_safetensors() -> None:
    header = json.loads(CONTENT[8 : 8 + int.from_bytes(CONTENT[:8], "little")])
    said = json.loads(header["__metadata__"]["graphrep"])
    assert {name: said[name] for name in ("format", "config", "data", "step")} == {
        "format": 1,
        "config": STAMP.config,
        "data": STAMP.data,
        "step": 7,
    }


def test_a_parameter_without_a_gradient_yet_has_no_state_and_gets_none() -> None:
    first, second = (torch.nn.Parameter(torch.ones(2)) for _ in range(2))
    one = adam([first, second])
    second.sum().backward()
    one.step()
    tensors = optimiser_tensors(one)
    assert {name.split(".")[1] for name in tensors} == {"1"}
    other = adam([first, second])
    restore_optimiser(other, tensors)
    assert list(other.state) == [second]
    restore_optimiser(other, {})
    assert not other.state


def test_rates_are_those_of_the_optimiser_that_is_restored() -> None:
    weight = torch.nn.Parameter(torch.ones(2))
    one, other = torch.optim.Adam([weight], lr=0.1), torch.optim.Adam([weight], lr=0.2)
    weight.sum().backward()
    one.step()
    restore_optimiser(other, optimiser_tensors(one))
    assert other.param_groups[0]["lr"] == 0.2
    assert torch.equal(other.state[weight]["exp_avg"], one.state[weight]["exp_avg"])


def made(shape: int, make: Optimiser = adam) -> torch.optim.Optimizer:
    return make([torch.nn.Parameter(torch.ones(shape))])


MOMENTS = {"optimiser.0.exp_avg": torch.ones(2), "optimiser.0.exp_avg_sq": torch.ones(2)}
STEP = {"optimiser.0.step": torch.tensor(1.0)}


@pytest.mark.parametrize(
    ("optimiser", "tensors", "message"),
    [
        (made(3), {**MOMENTS, **STEP}, r"exp_avg \(3,\), exp_avg_sq \(3,\), step \(\), found exp_avg \(2,\), .*"),
        (made(2), MOMENTS, r"exp_avg \(2,\), .*, step \(\), found exp_avg \(2,\), exp_avg_sq \(2,\) "),
        (made(2, adamw), {**MOMENTS, **STEP}, r".*, max_exp_avg_sq \(2,\), step \(\), found "),
        (made(2), {"optimiser.1.step": torch.tensor(1.0)}, r"nothing, found step \(\) "),
    ],
)
def test_a_state_of_other_parameters_is_refused(optimiser: Any, tensors: Any, message: str) -> None:
    with pytest.raises(InputError, match=rf"^expected {message}.*\[optimiser.[01]\]; make the model"):
        restore_optimiser(optimiser, tensors)
    assert not optimiser.state


def test_other_optimisers_are_refused() -> None:
    descent = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))])
    for call in (lambda: optimiser_tensors(descent), lambda: restore_optimiser(descent, {})):
        with pytest.raises(InputError, match=r"Adam or AdamW, found SGD \[optimiser\]"):
            call()
