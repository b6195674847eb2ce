"""What a training will take is said before it begins; where the memory ends all the same, one line says what to set."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from graphrep.embed import BagTraining, Choice, NeighbourTraining, Training, fit, plan
from graphrep.embed.gnn import inductive_fit
from graphrep.embed.gnn.memory import Size, check_training, training_bytes
from graphrep.embed.gnn.training import Trainer
from graphrep.embed.history_walk import VectorPowers
from graphrep.errors import GraphrepError
from graphrep.graph import EdgeList, HeteroGraph

SMALL = Training(epochs=2, batch=64, history=8, horizon=3, negatives=64, folds=2)
SIZE = Size([300_000, 100_000], 1_000_000, 20_000_000, 0)


def graph() -> HeteroGraph:
    chance = np.random.default_rng(0)
    edges = EdgeList(np.repeat(np.arange(40), 6), chance.integers(0, 9, 240), time=np.tile(np.arange(6), 40))
    skipped = EdgeList([0], [1], weight=[-1.0])
    kinds = {("user", "meets", "thing"): edges, ("user", "skips", "thing"): skipped}
    return HeteroGraph.from_edges({"user": 40, "thing": 9, "room": 2}, kinds)


def learnt(**options: Any) -> Any:
    return fit(graph(), "hybrid", dim=16, share=1.0, choice=Choice(vectors=VectorPowers()), training=SMALL, **options)


def test_a_graph_is_measured_by_who_acts_and_what_is_met() -> None:
    assert Size.of(graph()) == Size([9, 2], 40, 241, 240)
    then = dict(graph().edges) | {("thing", "then", "thing"): EdgeList([0], [1])}
    assert Size.of(HeteroGraph.from_edges(graph().num_nodes, then)) == Size([9, 2], 40, 241, 0)
    assert training_bytes(SIZE, 64, Training()) < training_bytes(replace(SIZE, followed=1), 64, Training())
    follows = HeteroGraph.from_edges({"user": 3}, {("user", "follows", "user"): EdgeList([0, 1], [1, 2])})
    assert Size.of(follows) == Size([3], 0, 2, 0)
    assert str(Size.of(graph())) == "40 that act, 11 that are met, 241 events"


@pytest.mark.parametrize("more", [{"dim": 256}, {"batch": 2048}, {"history": 256}, {"negatives": 60_000}, {"folds": 9}])
def test_more_of_anything_takes_more(more: dict[str, int]) -> None:
    training = Training(batch=1024)
    dim = more.get("dim", 64)
    with_more = replace(training, **{name: value for name, value in more.items() if name != "dim"})
    assert training_bytes(SIZE, dim, with_more) > training_bytes(SIZE, 64, training)


@pytest.mark.parametrize(
    "more",
    [
        {"dim": 256},
        {"batch": 8192},
        {"negatives": 60_000},
        {"folds": 9},
        {"views": 9},
        {"layers": 4},
        {"neighbours": 40},
    ],
)
def test_more_of_anything_takes_the_gnn_more(more: dict[str, int]) -> None:
    training, size = NeighbourTraining(batch=4096), SIZE
    dim = more.get("dim", 64)
    with_more = replace(training, **{name: value for name, value in more.items() if name != "dim"})
    assert training_bytes(size, dim, with_more) > training_bytes(size, 64, training)
    assert training_bytes(replace(size, events=10**9), 64, training) > training_bytes(size, 64, training)


def test_bags_take_no_folds() -> None:
    same = BagTraining(batch=512, history=64, negatives=8192)
    assert 0 < training_bytes(SIZE, 64, same) < training_bytes(SIZE, 64, Training())


def test_the_settings_that_are_named_fit_and_one_more_does_not() -> None:
    training, memory = Training(batch=4096), 16 * 10**9
    with pytest.raises(GraphrepError, match=r"GB to train 400,000 things and 128 dimensions, found 16.0 GB") as caught:
        check_training(SIZE, 128, training, memory)
    dim, batch = (int(found) for found in re.findall(r"(?:dim|batch)=(\d+)", str(caught.value)))
    assert check_training(SIZE, dim, training, memory) <= memory < training_bytes(SIZE, dim + 1, training)
    assert check_training(SIZE, 128, replace(training, batch=batch), memory) <= memory
    assert training_bytes(SIZE, 128, replace(training, batch=batch + 1)) > memory
    assert check_training(SIZE, 128, training, 10**12) == training_bytes(SIZE, 128, training)


def test_the_settings_of_the_gnn_that_are_named_fit() -> None:
    training, memory = NeighbourTraining(batch=1_000_000), 120 * 10**9
    with pytest.raises(GraphrepError, match=r"GB to train 400,000 things and 128 dimensions, found 120.0 GB") as caught:
        check_training(SIZE, 128, training, memory)
    (batch,) = (int(found) for found in re.findall(r"batch=(\d+)", str(caught.value)))
    assert check_training(SIZE, 128, replace(training, batch=batch), memory) <= memory
    assert training_bytes(SIZE, 128, replace(training, batch=batch + 1)) > memory


def test_where_nothing_fits_only_more_memory_helps() -> None:
    with pytest.raises(GraphrepError, match=r"found 0.0 GB \[embed\]; a machine with more memory$"):
        check_training(SIZE, 128, Training(), 10**6)


@pytest.mark.parametrize("walk", ["history", "joint"])
def test_the_gnn_asks_before_it_trains_and_says_where_it_ended(monkeypatch: pytest.MonkeyPatch, walk: str) -> None:
    training = NeighbourTraining(epochs=1, batch=64, history=8, negatives=64, folds=2, views=2)

    def fails(*_: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(Trainer, "run", fails)
    with pytest.raises(GraphrepError, match=r"training, .* training.batch=32 or dim=8"):
        fit(graph(), "gnn", dim=16, walk=walk, share=1.0, training=training)
    monkeypatch.setattr(inductive_fit, "usable_memory", lambda device: 10**6)
    monkeypatch.setattr(Trainer, "run", lambda *_: pytest.fail("trained"))
    with pytest.raises(GraphrepError, match=r"to train .* things and 16 dimensions, found 0.0 GB"):
        fit(graph(), "gnn", dim=16, walk=walk, share=1.0, training=training)


def test_fit_asks_before_it_trains(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "free_memory", lambda device: 2 * 10**6)
    monkeypatch.setattr(Trainer, "run", lambda *_: pytest.fail("trained"))
    with pytest.raises(GraphrepError, match=r"to train 11 things and 16 dimensions, found 0.0 GB"):
        learnt()


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"),
        MemoryError(),
    ],
)
@pytest.mark.parametrize("place", ["loss", "run"])
def test_the_end_of_the_memory_is_one_line_with_what_to_set(
    error: Exception, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> None:
        raise error

    monkeypatch.setattr(Trainer, place, fails)
    expected = r"memory for the training, found .+ \[embed\]; training.batch=32 or dim=8 or a machine with more memory$"
    with pytest.raises(GraphrepError, match=expected) as caught:
        learnt()
    assert caught.value.__cause__ is error
    assert "\n" not in str(caught.value)


def test_another_error_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Trainer, "run", lambda *_: (_ for _ in ()).throw(RuntimeError("size mismatch")))
    with pytest.raises(RuntimeError, match=r"^size mismatch$"):
        learnt()
