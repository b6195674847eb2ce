"""Vectors of all nodes: those of plain matrices and whole neighbourhoods, the same bytes however they are made."""

from __future__ import annotations

import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import erf, expit
from torch_geometric.sampler import NodeSamplerInput

from graphrep.embed.gnn.encoder import NeighbourEncoder, message_weights
from graphrep.embed.gnn.layerwise import encode
from graphrep.embed.sampler import TemporalSampler
from graphrep.errors import InputError
from graphrep.graph import EdgeList, HeteroGraph

WATCHES, THEN = ("user", "watches", "video"), ("video", "then", "video")


def graph(seed: int, users: int = 9, videos: int = 7, edges: int = 40, hub: int = 0) -> HeteroGraph:
    """Weights of both signs and 0, edges twice, hosts without an edge; ``hub`` more edges into video 0."""
    chance = np.random.default_rng(seed)

    def drawn(n: int, m: int) -> EdgeList:
        src, dst = chance.integers(0, n, edges + hub), chance.integers(0, m, edges + hub)
        dst[edges:] = 0
        weight = chance.choice([0.0, 0.5, 1.0, -2.0, 9.0], edges + hub).astype(np.float32)
        return EdgeList(src, dst, weight)

    sizes = {"user": users, "video": videos, "host": 3}
    g = HeteroGraph.from_edges(sizes, {WATCHES: drawn(users, videos), THEN: drawn(videos, videos)})
    return g.with_reverses()


def encoder(g: HeteroGraph, layers: int = 2, seed: int = 0) -> NeighbourEncoder:
    """Three input columns of each type; every weight, gate and constant is another number."""
    torch.manual_seed(seed)
    made = NeighbourEncoder(dict.fromkeys(g.node_types, 3), g.edge_types, 4, layers=layers, hidden=6, dropout=0.5)
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return made


def inputs(g: HeteroGraph, seed: int = 0) -> dict[str, Any]:
    chance = np.random.default_rng(seed)
    return {kind: chance.normal(size=(n, 3)).astype(np.float32) for kind, n in g.num_nodes.items()}


def by_matrices(model: NeighbourEncoder, x: Any, g: HeteroGraph) -> dict[str, Any]:
    """The formula in the encoder's docstring, in dense float64."""
    w = {name: parameter.detach().double().numpy() for name, parameter in model.named_parameters()}

    def linear(name: str, h: Any) -> Any:
        return h @ w[f"{name}.weight"].T + w.get(f"{name}.bias", 0.0)

    means = {}
    for (source, relation, destination), edges in g.edges.items():
        mean, size = np.zeros((2, g.num_nodes[destination], g.num_nodes[source]))
        np.add.at(mean, (edges.dst, edges.src), edges.weight)
        np.add.at(size, (edges.dst, edges.src), np.abs(edges.weight))
        total = size.sum(1, keepdims=True)
        means[source, relation, destination] = mean / np.where(total > 0, total, 1)
    h = {kind: linear(f"first.{kind}", given.astype(float)) for kind, given in x.items()}
    for layer in range(len(model.layers)):
        total = {kind: own + linear(f"layers.{layer}.own.{kind}", own) for kind, own in h.items()}
        for (source, relation, destination), mean in means.items():
            name = f"layers.{layer}.relations.<{source}___{relation}___{destination}>"
            total[destination] = total[destination] + expit(w[f"{name}.gate"]) * linear(
                f"{name}.linear", mean @ h[source]
            )
        for kind, z in total.items():
            z = (z - z.mean(1, keepdims=True)) / np.sqrt(z.var(1, keepdims=True) + 1e-5)
            z = z * w[f"layers.{layer}.norm.{kind}.weight"] + w[f"layers.{layer}.norm.{kind}.bias"]
            h[kind] = z * (1 + erf(z / np.sqrt(2))) / 2
    return {kind: linear(f"last.{kind}", own) for kind, own in h.items()}


def by_neighbourhoods(model: NeighbourEncoder, x: Any, g: HeteroGraph, kind: str) -> Any:
    """Forward of every node of a type on all that reaches it."""
    sampler = TemporalSampler(g, [-1] * len(model.layers))
    out = sampler.sample_from_nodes(NodeSamplerInput(None, torch.arange(g.num_nodes[kind]), None, kind))
    edges, shares = {}, {}
    for edge_type, edge in out.edge.items():
        edges[edge_type] = torch.stack([out.row[edge_type], out.col[edge_type]])
        own, nodes = g.edges[edge_type], out.node[edge_type[2]]
        degree = torch.as_tensor(np.bincount(own.dst[own.weight != 0], minlength=g.num_nodes[edge_type[2]]))[nodes]
        weight = torch.as_tensor(own.weight[edge.numpy()])
        shares[edge_type] = message_weights(edges[edge_type], weight, degree, len(nodes))
    given = {t: torch.as_tensor(x[t][nodes.numpy()]) for t, nodes in out.node.items()}
    with torch.no_grad():
        return model.eval()(given, edges, shares)[kind][: g.num_nodes[kind]].numpy()


def same(first: dict[str, Any], second: dict[str, Any]) -> bool:
    return all(first[kind].tobytes() == second[kind].tobytes() for kind in first)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 3), st.integers(0, 60))
def test_vectors_are_those_of_matrices_and_of_whole_neighbourhoods(seed: int, layers: int, edges: int) -> None:
    g = graph(seed, edges=edges)
    model, x = encoder(g, layers, seed), inputs(g, seed)
    found, expected = encode(model, x, g), by_matrices(model, x, g)
    for kind, n in g.num_nodes.items():
        assert found[kind].shape == (n, 4)
        assert found[kind].dtype == np.float32
        assert np.allclose(found[kind], expected[kind], atol=1e-5, rtol=1e-5)
        assert np.allclose(found[kind], by_neighbourhoods(model, x, g, kind), atol=1e-5, rtol=1e-5)


LARGE: dict[str, Any] = {"users": 3001, "videos": 2500, "edges": 20_000, "hub": 9_000}


def test_neither_block_nor_threads_change_a_byte() -> None:
    g = graph(1, **LARGE)
    model, x = encoder(g), inputs(g)
    expected, threads = encode(model, x, g), torch.get_num_threads()
    try:
        for number, block in ((1, 1), (1, 2048), (2, 1), (2, 1500), (3, 65536)):
            torch.set_num_threads(number)
            assert same(encode(model, x, g, block=block), expected)
            with ThreadPoolExecutor(1) as later:  # a thread that begins afterwards
                assert later.submit(torch.get_num_threads).result() == number
    finally:
        torch.set_num_threads(threads)


def test_no_product_is_shared_out_among_threads() -> None:
    """Shared out, it may round otherwise."""
    g = graph(7)
    model, found = encoder(g), set()
    model.first["user"].register_forward_hook(lambda *_: found.add(torch.get_num_threads()))
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        encode(model, inputs(g), g)
    finally:
        torch.set_num_threads(threads)
    assert found == {1}


def test_a_hub_loses_no_digits() -> None:
    """Its mean is near 1, and one running sum of float32 would be off by the last four digits or so."""
    n = 400_000
    g = HeteroGraph.from_edges({"user": n, "video": 2}, {WATCHES: EdgeList(np.arange(n), np.zeros(n, np.int64))})
    model = NeighbourEncoder({"user": 1, "video": 1}, [WATCHES], 1, layers=1, hidden=1)
    relation, video = model.layers[0].relations[WATCHES], model.layers[0].norm
    video["video"] = torch.nn.Identity()
    with torch.no_grad():
        for linear in (*model.first.values(), *model.last.values(), relation.linear, *model.layers[0].own.values()):
            linear.weight.fill_(1.0)
            if linear.bias is not None:
                linear.bias.zero_()
        model.layers[0].own["video"].weight.fill_(0.0)
        relation.gate.fill_(40.0)
    x = np.random.default_rng(0).random((n, 1), np.float32) + 0.5
    found = encode(model, {"user": x, "video": np.zeros((2, 1))}, g)["video"][0, 0]
    mean = x.mean(dtype=np.float64)
    assert abs(found - mean * (1 + erf(mean / np.sqrt(2))) / 2) < 1e-6


def test_the_encoder_is_left_as_it_is() -> None:
    g = graph(2)
    model = encoder(g).train()
    before = {name: parameter.clone() for name, parameter in model.named_parameters()}
    first, again = (encode(model, inputs(g), g) for _ in range(2))
    assert same(first, again)
    assert model.training
    assert all(module.training for module in model.modules())
    for name, parameter in model.named_parameters():
        assert parameter.requires_grad
        assert torch.equal(parameter, before[name])


def test_states_and_inputs_may_lie_in_files(tmp_path: Path) -> None:
    g = graph(3, **LARGE)
    model, x = encoder(g, layers=3), inputs(g)
    for kind, own in x.items():
        np.save(tmp_path / f"{kind}.npy", own)
    made = []

    def allocate(name: str, shape: tuple[int, int]) -> Any:
        made.append(name)
        return np.lib.format.open_memmap(tmp_path / f"{name}.states.npy", "w+", np.float32, shape)

    mapped = {kind: np.load(tmp_path / f"{kind}.npy", mmap_mode="r") for kind in x}
    found = encode(model, mapped, g, allocate=allocate)
    assert all(isinstance(vectors, np.memmap) for vectors in found.values())
    assert same(found, encode(model, x, g))
    assert [name for name in made if name.startswith("user")] == ["user.0", "user.1", "user.0", "user.1", "user"]


def test_no_message_of_an_edge_is_held() -> None:
    """Those of one relation would be 24 MB."""
    g = graph(4, users=1000, videos=1000, edges=1_000_000)
    model, x = encoder(g, layers=1), inputs(g)
    tracemalloc.start()
    encode(model, x, g)
    peak = tracemalloc.get_traced_memory()[1] - 8 * sum(map(len, g.edges.values()))
    tracemalloc.stop()
    assert peak < 16e6


def test_a_relation_or_a_type_may_be_empty() -> None:
    g = graph(5)
    model, x = encoder(g), inputs(g)
    sizes = {**g.num_nodes, "host": 0}
    nothing = HeteroGraph.from_edges(sizes, {})
    x["host"] = x["host"][:0]
    found, expected = encode(model, x, nothing), by_matrices(model, x, nothing)
    assert found["host"].shape == (0, 4)
    assert np.allclose(found["user"], expected["user"], atol=1e-5)
    assert same(found, encode(model, x, HeteroGraph.from_edges(sizes, dict.fromkeys(g.edges, EdgeList([], [])))))


def test_what_does_not_fit_is_refused() -> None:
    g = graph(6)
    model, x = encoder(g), inputs(g)
    other = HeteroGraph.from_edges(g.num_nodes, {("user", "likes", "video"): EdgeList([0], [0])})
    for arguments, options, culprit in [
        ((model, x, g), {"block": 0}, "block"),
        ((model, x, g), {"device": "nowhere"}, "device"),
        ((model, x, other), {}, r"'likes', 'video'\) \[g\]"),
        ((model, x, HeteroGraph.from_edges({"user": 9}, {})), {}, r"found user \[g\]"),
        ((model, {"user": x["user"]}, g), {}, r"found user \[x\]"),
        ((model, {**x, "user": x["user"][1:]}, g), {}, r"shape \(9, 3\), found \(8, 3\) \[x\['user'\]\]"),
    ]:
        with pytest.raises(InputError, match=culprit):
            encode(*arguments, **options)
