"""Losses: what they equal, whom their gradients reach, and what they pass over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy, one_hot

from graphrep.embed.gnn.losses import balanced, easy_and_hard, sampled_softmax
from graphrep.errors import InputError

Loss = Callable[..., torch.Tensor]


def drawn(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).requires_grad_()


def coins(seed: int, *shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) < 0.4


def against_all(scores: torch.Tensor, target: torch.Tensor, **options: Any) -> torch.Tensor:
    """Each anchor's one target against all items as its negatives."""
    mine = one_hot(target, scores.shape[1]).bool()
    return sampled_softmax(scores.gather(1, target[:, None]), scores, accidental=mine, **options)


def of_scores(seed: int, b: int = 4) -> tuple[list[tuple[Loss, dict[str, Any], list[str]]], torch.Tensor]:
    """Every loss on scores, with arguments for 2 targets and 3 negatives an anchor and the names of the scores.

    And which anchors have a target: not the last.
    """
    weight = torch.rand(b, 2, generator=torch.Generator().manual_seed(seed)) + 0.1
    weight[-1] = 0
    two, three, more = drawn(seed, b, 2), drawn(seed + 1, b, 3), drawn(seed + 2, b, 3)
    log_q, accidental = drawn(seed + 3, b, 3).detach(), coins(seed, b, 3)
    common = {"weight": weight, "log_q": log_q, "accidental": accidental, "temperature": 0.7}
    one = {"positive": two, "negative": three, **common}
    both = {**one, "hard": more, "share": 0.3, "accidental_hard": coins(seed + 1, b, 3)}
    cases: list[tuple[Loss, dict[str, Any], list[str]]] = [
        (sampled_softmax, one, ["positive", "negative"]),
        (easy_and_hard, both, ["positive", "negative", "hard"]),
    ]
    return cases, weight.sum(1) > 0


NAMES = ["sampled_softmax", "easy_and_hard"]


def gradients(loss: Loss, arguments: dict[str, Any], names: list[str]) -> list[torch.Tensor]:
    return list(torch.autograd.grad(loss(**arguments), [arguments[name] for name in names]))


def test_with_all_items_as_negatives_it_is_cross_entropy() -> None:
    scores, target = drawn(0, 5, 7), torch.tensor([0, 6, 3, 3, 1])
    ours, theirs = against_all(scores, target, temperature=0.5), cross_entropy(scores / 0.5, target)
    torch.testing.assert_close(ours, theirs)
    for gradient, expected in zip(torch.autograd.grad(ours, scores), torch.autograd.grad(theirs, scores), strict=True):
        torch.testing.assert_close(gradient, expected)


def test_each_target_competes_with_the_negatives_alone_and_has_its_share() -> None:
    positive, negative = drawn(0, 1, 3), drawn(1, 1, 4)
    weight = torch.tensor([[3.0, 0.0, 1.0]])
    apart = [cross_entropy(torch.cat([positive[:, [j]], negative], 1), torch.tensor([0])) for j in range(3)]
    ours = sampled_softmax(positive, negative, weight=weight)
    torch.testing.assert_close(ours, 0.75 * apart[0] + 0.25 * apart[2])


@pytest.mark.parametrize("law", ["uniform", "popular"])
def test_with_the_correction_the_expected_gradient_is_that_of_the_full_softmax(law: str) -> None:
    n, k, draws = 12, 96, 4000
    generator = torch.Generator().manual_seed(5)
    scores, target = drawn(7, 1, n), torch.tensor([4])
    (full,) = torch.autograd.grad(cross_entropy(scores, target), scores)
    q = torch.ones(n) if law == "uniform" else torch.arange(1.0, n + 1)
    q = q / q.sum()
    items = torch.multinomial(q, draws * k, replacement=True, generator=generator).view(draws, k)

    def mean_gradient(log_q: torch.Tensor | None) -> torch.Tensor:
        loss = sampled_softmax(
            scores[:, target].expand(draws, 1), scores[0, items], log_q=log_q, accidental=items == target
        )
        return torch.autograd.grad(loss, scores)[0]

    assert (mean_gradient((k * q).log()[items]) - full).abs().max() < 0.01
    assert (mean_gradient(None) - full).abs().max() > 0.03


def test_one_correction_for_all_anchors_is_that_of_each() -> None:
    positive, negative, log_q = drawn(0, 3, 1), drawn(1, 3, 4), drawn(2, 4).detach()
    alike = sampled_softmax(positive, negative, log_q=log_q)
    assert torch.equal(alike, sampled_softmax(positive, negative, log_q=log_q.expand(3, 4)))


def test_gradients_of_easy_and_hard_negatives_do_not_mix() -> None:
    positive, easy, hard = drawn(0, 4, 1), drawn(1, 4, 3), drawn(2, 4, 3)
    harder = (hard + 9).detach().requires_grad_()
    first, second = (
        torch.autograd.grad(easy_and_hard(positive, easy, x, share=0.5), (easy, x)) for x in (hard, harder)
    )
    assert torch.equal(first[0], second[0])
    assert not torch.equal(first[1], second[1])


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_the_share_is_that_of_the_hard_negatives(share: float) -> None:
    positive, easy, hard = drawn(0, 4, 2), drawn(1, 4, 3), drawn(2, 4, 5)
    options = {"weight": drawn(3, 4, 2).detach().abs(), "temperature": 2.0}
    log_q, of_easy, of_hard = drawn(4, 3).detach(), coins(5, 4, 3), coins(6, 4, 5)
    ours = easy_and_hard(
        positive, easy, hard, share=share, log_q=log_q, accidental=of_easy, accidental_hard=of_hard, **options
    )
    apart = sampled_softmax(positive, easy, log_q=log_q, accidental=of_easy, **options)
    apart_hard = sampled_softmax(positive, hard, accidental=of_hard, **options)
    torch.testing.assert_close(ours, (1 - share) * apart + share * apart_hard)


@pytest.mark.parametrize("number", range(2), ids=NAMES)
def test_negatives_belong_to_their_own_anchor(number: int) -> None:
    (cases, _), changed = of_scores(0), 1
    loss, arguments, names = cases[number]
    before = gradients(loss, arguments, names)
    for name in names[1:]:
        other = arguments[name].detach().clone()
        other[changed] += 1.0
        after = gradients(loss, {**arguments, name: other.requires_grad_()}, names)
        kept = torch.arange(len(other)) != changed
        for old, new in zip(before, after, strict=True):
            assert torch.equal(old[kept], new[kept])
        assert not torch.equal(before[0][changed], after[0][changed])


@pytest.mark.parametrize("number", range(2), ids=NAMES)
def test_accidental_negatives_have_no_gradient_and_no_effect(number: int) -> None:
    cases, _ = of_scores(1)
    loss, arguments, names = cases[number]
    for name in names[1:]:
        mask = arguments["accidental_hard" if name == "hard" else "accidental"]
        wild = torch.where(mask, torch.nan, arguments[name]).detach().requires_grad_()
        assert mask.any()
        assert torch.equal(loss(**arguments), loss(**{**arguments, name: wild}))
        (gradient,) = gradients(loss, {**arguments, name: wild}, [name])
        assert (gradient[mask] == 0).all()
        assert (gradient[:-1][~mask[:-1]] > 0).all()


@pytest.mark.parametrize("number", range(2), ids=NAMES)
def test_an_anchor_without_a_target_adds_nothing(number: int) -> None:
    cases, there = of_scores(2)
    loss, arguments, names = cases[number]
    rows = {name: x[there] if isinstance(x, torch.Tensor) else x for name, x in arguments.items()}
    torch.testing.assert_close(loss(**arguments), loss(**rows))
    wild = {
        **arguments,
        **{name: torch.where(there[:, None], arguments[name], torch.inf).detach().requires_grad_() for name in names},
    }
    assert torch.equal(loss(**wild), loss(**arguments))
    for gradient in gradients(loss, wild, names):
        assert (gradient[~there] == 0).all()
        assert (gradient[there] != 0).any()


@pytest.mark.parametrize("number", range(2), ids=NAMES)
def test_without_any_target_the_loss_and_its_gradient_are_zero(number: int) -> None:
    cases, _ = of_scores(3)
    loss, arguments, names = cases[number]
    shares = "teacher" if "teacher" in arguments else "weight"
    none = {**arguments, shares: torch.zeros_like(arguments[shares])}
    # So that no NaN is made on the way either.
    with torch.autograd.set_detect_anomaly(True):
        assert loss(**none).item() == 0
        assert all((gradient == 0).all() for gradient in gradients(loss, none, names))


def test_a_target_that_is_none_has_no_gradient_whatever_stands_there() -> None:
    positive = torch.tensor([[0.5, torch.nan], [torch.inf, 1.0]]).requires_grad_()
    weight = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    loss = sampled_softmax(positive, drawn(0, 2, 3), weight=weight)
    (gradient,) = torch.autograd.grad(loss, positive)
    assert torch.isfinite(loss)
    assert ((gradient != 0) == (weight > 0)).all()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.01, 1.0, 1e4]), st.integers(0, 3), st.sampled_from(NAMES))
def test_every_input_gets_a_finite_gradient(seed: int, size: float, k: int, name: str) -> None:
    cases, _ = of_scores(seed)
    loss, arguments, names = cases[NAMES.index(name)]
    large = {
        n: (size * x[:, :k] if n in names[1:] else size * x).detach().requires_grad_()
        for n, x in arguments.items()
        if n in names
    }
    cut = {n: arguments[n][:, :k] for n in ("log_q", "accidental", "accidental_hard") if n in arguments}
    rest = {**arguments, **cut, **large}
    assert torch.isfinite(loss(**rest))
    assert all(torch.isfinite(gradient).all() for gradient in gradients(loss, rest, names))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.permutations(range(4)), st.permutations(range(2)), st.permutations(range(3)))
def test_the_order_of_anchors_targets_and_negatives_has_no_effect(
    seed: int, anchors: list[int], targets: list[int], negatives: list[int]
) -> None:
    cases, _ = of_scores(seed)
    for loss, arguments, _ in cases:
        moved = {
            name: x[anchors][:, targets if x.shape[1] == 2 else negatives] if isinstance(x, torch.Tensor) else x
            for name, x in arguments.items()
        }
        torch.testing.assert_close(loss(**moved), loss(**arguments))


def test_half_precision_is_added_up_in_float32() -> None:
    anchor, positive = (drawn(seed, 6, 4).detach().bfloat16() for seed in (0, 1))
    scores = anchor @ positive.T
    for loss in (sampled_softmax, lambda p, n: easy_and_hard(p, n, n, share=0.5)):
        assert torch.equal(loss(scores[:, :2], scores), loss(scores[:, :2].float(), scores.float()))


def test_no_loss_looks_at_a_value_or_leaves_the_device() -> None:
    # Tensors of the device "meta" have no values: to ask for one fails, as does a tensor from elsewhere.
    cases, _ = of_scores(0)
    for loss, arguments, _ in cases:
        placed = {name: x.to("meta") if isinstance(x, torch.Tensor) else x for name, x in arguments.items()}
        assert loss(**placed).device.type == "meta"
    one = sampled_softmax(*(drawn(seed, 4, 3).to("meta") for seed in (0, 1)))
    assert balanced({"a": (one, 3), "b": (one, 0)}, 0.5).device.type == "meta"
    assert balanced({"b": (one, 0)}, 0.5).device.type == "meta"


USERS, ITEMS = 6, 8
LIKED = torch.tensor([[u % ITEMS, (u + 3) % ITEMS] for u in range(USERS)])


def of_model(name: str, users: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
    scores = users @ items.T
    liked = one_hot(LIKED, ITEMS).sum(1).bool()
    positive = scores.gather(1, LIKED)
    if name == "easy_and_hard":
        return easy_and_hard(positive, scores, scores, share=0.5, accidental=liked, accidental_hard=liked)
    return sampled_softmax(positive, scores, accidental=liked)


@pytest.mark.parametrize("name", NAMES)
def test_a_few_steps_put_the_targets_first(name: str) -> None:
    users, items = drawn(0, USERS, 8), drawn(1, ITEMS, 8)
    descent = torch.optim.SGD([users, items], lr=0.5)
    first = of_model(name, users, items).item()
    for _ in range(100):
        descent.zero_grad()
        loss = of_model(name, users, items)
        loss.backward()
        descent.step()
    assert loss.item() < 0.5 * first
    scores = (users @ items.T).detach()
    negative = one_hot(LIKED, ITEMS).sum(1) == 0
    assert (scores.gather(1, LIKED).amin(1) > scores.masked_fill(~negative, -torch.inf).amax(1)).all()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(-9, 9), st.integers(0, 1000)), min_size=1, max_size=5), st.floats(0, 1))
def test_relations_weigh_by_a_power_of_their_counts(pairs: list[tuple[float, int]], balance: float) -> None:
    given_losses = {i: (torch.tensor(loss, dtype=torch.float64), count) for i, (loss, count) in enumerate(pairs)}
    sizes = [count ** (1 - balance) if count else 0.0 for _, count in pairs]
    expected = sum(size * loss for size, (loss, _) in zip(sizes, pairs, strict=True)) / (sum(sizes) or 1.0)
    assert balanced(given_losses, balance).item() == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("balance", [0.0, 0.5, 1.0])
def test_a_relation_without_anchors_drops_out_with_its_gradient(balance: float) -> None:
    one, other = torch.tensor(2.0, requires_grad=True), torch.tensor(torch.nan, requires_grad=True)
    total = balanced({"a": (one, 3), "b": (other, 0)}, balance)
    total.backward()
    assert total.item() == 2
    assert one.grad is not None
    assert one.grad.item() == 1
    assert other.grad is None
    nothing = balanced({"b": (other, 0)}, balance)
    nothing.backward()
    assert nothing.item() == 0
    assert other.grad is None


S23, S24, B24 = torch.zeros(2, 3), torch.zeros(2, 4), torch.zeros(2, 4, dtype=torch.bool)


@pytest.mark.parametrize(
    ("loss", "arguments", "options", "message"),
    [
        (sampled_softmax, (S23[0], S24), {}, r"floats of shape \(b, ·\), found torch.float32 \(3,\) \[positive\]"),
        (sampled_softmax, (S23.long(), S24), {}, r"floats of shape .*, found torch.int64 .*\[positive\]"),
        (sampled_softmax, (S23, S24[:1]), {}, r"floats of shape \(2, ·\), found .*\(1, 4\) \[negative\]"),
        (sampled_softmax, (S23, S24), {"weight": S24}, r"shape \(2, 3\), found .*\(2, 4\) \[weight\]"),
        (sampled_softmax, (S23, S24), {"log_q": S23}, r"shape \(2, 4\) or \(4,\), found .*\(2, 3\) \[log_q\]"),
        (sampled_softmax, (S23, S24), {"positive_log_q": S23[0]}, r"shape \(2, 3\), .*\[positive_log_q\]"),
        (sampled_softmax, (S23, S24), {"accidental": B24[:, :2]}, r"bool of shape \(2, 4\), .*\[accidental\]"),
        (sampled_softmax, (S23, S24), {"accidental": S24}, r"bool of .* found torch.float32 .*\[accidental\]"),
        (sampled_softmax, (S23, S24), {"temperature": 0.0}, r"a number above 0, found 0.0 \[temperature\]"),
        (sampled_softmax, (S23, S24), {"temperature": float("nan")}, r"found nan \[temperature\]"),
        (easy_and_hard, (S23, S24, S24), {"share": 1.5}, r"a number from 0 to 1, found 1.5 \[share\]"),
        (easy_and_hard, (S23, S24, S24[:1]), {"share": 0.5}, r"floats of shape \(2, ·\), .*\[hard\]"),
        (easy_and_hard, (S23, S24, S23), {"share": 0.5, "accidental_hard": B24}, r"\(2, 3\), .*\[accidental_hard\]"),
        (balanced, ({}, 0.5), {}, r"at least one relation, found none \[losses\]"),
        (balanced, ({"a": (S23[0, 0], -1)}, 0.5), {}, r"a count of at least 0, found -1 \[losses\['a'\]\]"),
        (balanced, ({"a": (S23, 1)}, 0.5), {}, r"shape \(\), found .*\(2, 3\) \[losses\['a'\]\]"),
        (balanced, ({"a": (S23[0, 0], 1)}, -0.1), {}, r"a number from 0 to 1, found -0.1 \[balance\]"),
    ],
)
def test_what_does_not_fit_is_named(loss: Loss, arguments: tuple[Any, ...], options: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        loss(*arguments, **options)
