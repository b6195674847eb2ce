"""The encoder: what a mean is made of, who gets a gradient, and what an untrained one changes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_geometric.explain.algorithm.utils import clear_masks, set_hetero_masks

from graphrep.embed.gnn.encoder import NeighbourEncoder, feature_dropout, message_weights
from graphrep.embed.gnn.inputs import input_parts, node_inputs
from graphrep.embed.neighbours import Neighbours
from graphrep.errors import InputError
from graphrep.graph import EdgeList, HeteroGraph

WATCHES, SKIPS, FOLLOWS = ("user", "watches", "video"), ("user", "skips", "video"), ("user", "follows", "user")
WIDTHS = {"user": 3, "video": 2, "host": 4}
RELATIONS = [WATCHES, SKIPS, FOLLOWS]


def encoder(**options: Any) -> NeighbourEncoder:
    """One whose vectors are not all 0."""
    torch.manual_seed(0)
    made = NeighbourEncoder(WIDTHS, RELATIONS, 5, **options)
    for linear in made.last.values():
        torch.nn.init.normal_(linear.weight)
    return made


def batch(seed: int = 0) -> tuple[dict[str, Any], dict[Any, Any], dict[Any, Any]]:
    """Inputs, edges and shares: 6 users, 4 videos of which the last has no edge, 2 hosts to whom no relation leads."""
    generator = torch.Generator().manual_seed(seed)
    sizes = {"user": 6, "video": 4, "host": 2}
    x = {kind: torch.randn(sizes[kind], width, generator=generator) for kind, width in WIDTHS.items()}
    edges, shares = {}, {}
    for source, relation, destination in RELATIONS:
        rows = [torch.randint(sizes[kind] - 1, (9,), generator=generator) for kind in (source, destination)]
        index = edges[source, relation, destination] = torch.stack(rows)
        weight = torch.rand(9, generator=generator) - 0.3
        shares[source, relation, destination] = message_weights(index, weight, None, sizes[destination])
    return x, edges, shares


def test_an_untrained_encoder_changes_nothing() -> None:
    torch.manual_seed(0)
    for kind, out in NeighbourEncoder(WIDTHS, RELATIONS, 5)(*batch()).items():
        assert out.shape == (len(batch()[0][kind]), 5)
        assert not out.any()


def test_every_parameter_learns() -> None:
    model = encoder(hidden=7)
    sum((out * torch.randn_like(out)).sum() for out in model(*batch()).values()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


def test_gradients_are_finite_where_there_is_no_edge_and_no_number() -> None:
    model = encoder()
    x = {kind: torch.zeros_like(given) for kind, given in batch()[0].items()}
    nothing = {edge_type: torch.zeros(2, 0, dtype=torch.int64) for edge_type in RELATIONS}
    out = model(x, nothing, {edge_type: torch.zeros(0) for edge_type in RELATIONS})
    sum(vectors.square().sum() for vectors in out.values()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


def test_a_relation_without_edges_is_one_that_is_not_there() -> None:
    model, (x, edges, shares) = encoder(), batch()
    without = model(x, *({t: given[t] for t in (WATCHES, FOLLOWS)} for given in (edges, shares)))
    edges[SKIPS], shares[SKIPS] = torch.zeros(2, 0, dtype=torch.int64), torch.zeros(0)
    for kind, out in model(x, edges, shares).items():
        assert torch.equal(out, without[kind])


def test_a_type_with_no_relation_into_it_or_no_node_passes() -> None:
    model, (x, edges, shares) = encoder(), batch()
    alone = model(x, {}, {})["host"]
    assert alone.any()
    assert torch.equal(model(x, edges, shares)["host"], alone)
    x["host"] = x["host"][:0]
    assert model(x, edges, shares)["host"].shape == (0, 5)


def test_layers_reach_as_many_steps() -> None:
    chain = torch.tensor([[0, 1, 2], [1, 2, 3]])
    x = {"user": torch.randn(5, 3, generator=torch.Generator().manual_seed(1)).requires_grad_()}
    x |= {"video": torch.zeros(0, 2), "host": torch.zeros(0, 4)}
    for layers in (1, 2, 3):
        out = encoder(layers=layers)(x, {FOLLOWS: chain}, {FOLLOWS: torch.ones(3)})["user"]
        reached = torch.autograd.grad(out[3].sum(), x["user"])[0].any(1)
        assert reached.tolist() == [3 - node <= layers and node <= 3 for node in range(5)]


def test_relations_begin_alike_and_a_gate_shuts_one() -> None:
    model, (x, edges, shares) = encoder(layers=1), batch()
    relations = model.layers[0].relations
    assert {relation.gate.item() for relation in relations.values()} == {0.0}
    with torch.no_grad():
        relations[SKIPS].gate.fill_(-1e9)
    shut = model(x, edges, shares)["video"]
    assert torch.equal(
        shut, model(x, *({t: given[t] for t in (WATCHES, FOLLOWS)} for given in (edges, shares)))["video"]
    )


def test_the_seed_of_torch_is_the_seed_and_dropout_is_of_training() -> None:
    first, again = encoder(dropout=0.5), encoder(dropout=0.5)
    before, after = (model.eval()(*batch())["video"] for model in (first, again))
    assert torch.equal(before, after)
    assert not torch.equal(first.train()(*batch())["video"], before)


def test_an_explainer_masks_messages() -> None:
    model, (x, edges, shares) = encoder(), batch()
    mask = {edge_type: torch.zeros(9, requires_grad=True) for edge_type in RELATIONS}
    set_hetero_masks(model, mask, edges, apply_sigmoid=False)
    masked = model(x, edges, shares)
    clear_masks(model)
    alone = model(x, {}, {})
    assert all(torch.equal(masked[kind], alone[kind]) for kind in x)
    masked["video"].sum().backward()
    assert mask[WATCHES].grad is not None
    assert mask[WATCHES].grad.any()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
def test_shares_are_of_the_weighted_mean_with_signs(seed: int) -> None:
    chance = np.random.default_rng(seed)
    index = torch.as_tensor(chance.integers(0, 4, (2, 12)))
    weight = torch.as_tensor(chance.choice([0.0, 1e-30, -2.0, 0.5, 3e30], 12), dtype=torch.float32)
    share = message_weights(index, weight, None, 4)
    assert share.dtype == torch.float32
    for node in range(4):
        own = index[1] == node
        w = weight[own].double().numpy()
        expected = w / np.abs(w).sum() if w.any() else np.zeros(len(w))
        assert np.allclose(share[own], expected, atol=1e-7)
    degree = torch.zeros(4).index_add_(0, index[1], (weight != 0).float())
    assert torch.equal(message_weights(index, weight, degree, 4), share)
    drawn = message_weights(index, weight, degree + 1, 4)
    assert torch.allclose(drawn, weight.sign() / degree[index[1]].clamp(min=1))


def mean_of_draws(weights: list[float], wanted: int, draws: int = 20_000) -> float:
    """Mean of 1, 2, … over that many draws of neighbours, each in the shares of its draw."""
    n = len(weights)
    one = Neighbours(EdgeList(np.arange(n), np.zeros(n, int), np.asarray(weights, np.float32)), 1, "cpu")
    row, place = one.draw(
        *one.ranges(torch.zeros(draws, dtype=torch.int64)),
        torch.full((draws,), wanted),
        torch.Generator().manual_seed(5),
    )
    source = one.source[place]
    weight = torch.tensor(weights)[source]
    share = message_weights(torch.stack([source, row]), weight, torch.full((draws,), n), draws)
    return float((share.double() * (source + 1)).sum() / draws)


SKEWED = [8.0, 1.0, 1.0, 2.0, 1.0, -3.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("weights", "wanted", "margin"),
    [
        (SKEWED, 1, 0.05),  # without bias
        ([1.0] * 8, 3, 0.05),  # without bias
        ([1.0, -1.0, 1.0, -1.0, 1.0], 2, 0.05),  # without bias, signs kept
        ([3.0, 2.0, 1.0, 2.0, 3.0, 1.0, 2.0, 1.0], 4, 0.2),  # towards the plain mean, 4.5 from 4.07
        (SKEWED, len(SKEWED), 1e-6),  # all are there
    ],
)
def test_draws_expect_the_weighted_mean(weights: list[float], wanted: int, margin: float) -> None:
    w = np.array(weights)
    assert abs(mean_of_draws(weights, wanted) - w @ np.arange(1, len(w) + 1) / np.abs(w).sum()) < margin


def test_what_is_left_of_the_bias_lies_towards_the_plain_mean() -> None:
    weights = [9.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    weighted, plain = np.arange(1, 7) @ np.array(weights) / 14, 3.5
    found = [mean_of_draws(weights, wanted) for wanted in (1, 2, 3, 5)]
    assert abs(found[0] - weighted) < 0.05
    assert weighted + 0.2 < found[1] < found[2] < found[3] < plain


def test_a_masked_node_is_one_that_has_none() -> None:
    g = HeteroGraph.from_edges({"user": 4}, {FOLLOWS: EdgeList([0, 1], [1, 2])})
    chance = np.random.default_rng(0)
    vectors, content = {"user": chance.normal(size=(4, 3))}, {"user": chance.normal(size=(4, 2))}
    x = {"user": torch.as_tensor(node_inputs(g, vectors, content)["user"])}
    masked = feature_dropout(x, input_parts(vectors, content), 1.0, torch.Generator())["user"]
    none = node_inputs(g, {"user": np.zeros((4, 3))}, {"user": np.zeros((4, 2))})["user"]
    assert masked.tolist() == none.tolist()


def test_masks_are_drawn_for_each_part_by_the_generator() -> None:
    x = {"user": torch.ones(20_000, 7), "host": torch.ones(3, 2)}
    parts = {"user": [slice(0, 2), slice(3, 5)]}
    first, again, other = (feature_dropout(x, parts, 0.3, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(first["user"], again["user"])
    assert not torch.equal(first["user"], other["user"])
    lost = torch.stack([(first["user"][:, part] == 0).all(1) for part in parts["user"]])
    assert torch.equal(lost, torch.stack([(first["user"][:, part] == 0).any(1) for part in parts["user"]]))
    assert (lost.float().mean(1) - 0.3).abs().max() < 0.02
    assert abs(float((lost[0] & lost[1]).float().mean()) - 0.09) < 0.01
    assert (first["user"][:, [2, 5, 6]] == 1).all()
    assert x["user"].all()
    assert torch.equal(first["host"], x["host"])


def test_what_does_not_fit_is_refused() -> None:
    x, edges, shares = batch()
    model = encoder()
    for arguments, culprit in [
        (({"user": x["user"]}, {}, {}), r"the types user, video, host, found user \[x_dict\]"),
        (({**x, "user": x["video"]}, {}, {}), r"shape \(4, 3\), found \(4, 2\) \[x_dict\['user'\]\]"),
        ((x, {("user", "likes", "video"): edges[WATCHES]}, {}), r"'likes', 'video'\) \[edge_index_dict\]"),
        ((x, edges, {}), r"found \[\] \[edge_weight_dict\]"),
        ((x, {WATCHES: edges[WATCHES][0]}, {WATCHES: shares[WATCHES]}), r"edge_index_dict\[\('user', 'watches'"),
        ((x, {WATCHES: edges[WATCHES]}, {WATCHES: shares[WATCHES][1:]}), r"edge_weight_dict\[\('user', 'watches'"),
    ]:
        with pytest.raises(InputError, match=culprit):
            model(*arguments)
    with pytest.raises(InputError, match="edge_index"):
        message_weights(edges[WATCHES], torch.ones(8), None, 4)
    with pytest.raises(InputError, match="degree"):
        message_weights(edges[WATCHES], torch.ones(9), torch.ones(3), 4)
    with pytest.raises(InputError, match="share"):
        feature_dropout(x, {}, 1.5, torch.Generator())


def test_options_are_checked() -> None:
    for changed, culprit in [
        ({"dim": 0}, "dim"),
        ({"layers": 0}, "layers"),
        ({"hidden": 2.5}, "hidden"),
        ({"dropout": 1.0}, "dropout"),
        ({"widths": {**WIDTHS, "user": 0}}, r"widths\['user'\]"),
        ({"edge_types": [WATCHES, WATCHES]}, "edge_types"),
        ({"edge_types": [("user", "buys", "product")]}, "edge_types"),
    ]:
        with pytest.raises(InputError, match=culprit):
            NeighbourEncoder(**{"widths": WIDTHS, "edge_types": RELATIONS, "dim": 5, **changed})
