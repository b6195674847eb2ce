"""A user from his events: what an untrained tower gives, and what may change it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from graphrep.embed.gnn.timelines import Recent
from graphrep.embed.gnn.tower import Clock, Recency, UserTower

DIM = 8


def recent(b: int = 5, k: int = 7, seed: int = 0) -> Recent:
    chance = torch.Generator().manual_seed(seed)
    weight = torch.rand((b, k), generator=chance) + 0.1
    weight[:, -2:] = 0.0
    age = torch.randint(1, 30, (b, k), generator=chance)
    age[:, 3] = 0
    elapsed, hours = torch.randint(0, 10**6, (b, k), generator=chance), torch.randint(0, 13, (b, k), generator=chance)
    return Recent(torch.zeros((b, k), dtype=torch.int64), weight, age, elapsed, hours)


def vectors(events: Recent, seed: int = 1) -> torch.Tensor:
    return torch.randn((*events.weight.shape, DIM), generator=torch.Generator().manual_seed(seed))


def trained(seed: int = 0) -> UserTower:
    """As if it had learnt: no parameter is at its start."""
    torch.manual_seed(seed)
    tower = UserTower(DIM, 0.7)
    with torch.no_grad():
        for parameter in tower.parameters():
            parameter.add_(torch.randn(parameter.shape))
    return tower.eval()


def test_untrained_it_is_the_mean_by_weight_and_power_of_age() -> None:
    events = replace(recent(), age=torch.randint(1, 257, (5, 7)).clamp(min=1))
    x = vectors(events)
    # Between its knots the curve of age^−r is straight in log(age), as that power is.
    share = events.weight * events.age.float() ** -0.7
    expected = (share[..., None] * x).sum(1) / share.sum(1, keepdim=True)
    torch.testing.assert_close(UserTower(DIM, 0.7).eval()(x, events), expected)


def test_an_event_without_a_time_is_worth_the_mean_of_the_curve_and_old_ones_as_the_oldest() -> None:
    curve = Recency(1.0)
    worth = curve(torch.tensor([[0, 1, 256, 4000]]))[0].detach()
    assert float(worth[0]) == pytest.approx(float(curve.curve.detach().mean()))
    assert float(worth[2]) == float(worth[3]) < float(worth[1])


def test_a_user_without_events_is_zero_and_what_is_masked_changes_nothing() -> None:
    tower, events = trained(), recent()
    x = vectors(events)
    other = torch.where(events.weight[..., None] > 0, x, 1e3)
    torch.testing.assert_close(tower(x, events), tower(other, events))
    nothing = replace(events, weight=torch.zeros_like(events.weight))
    assert tower(x, nothing).abs().max() == 0


def test_the_order_in_which_events_stand_does_not_matter_their_ages_do() -> None:
    tower, events = trained(), recent()
    x, turned = vectors(events), torch.arange(6, -1, -1)
    columns = {name: getattr(events, name)[:, turned] for name in ("thing", "weight", "age", "elapsed", "hours")}
    torch.testing.assert_close(tower(x[:, turned], Recent(**columns)), tower(x, events))
    assert not torch.allclose(tower(x, replace(events, age=events.age[:, turned])), tower(x, events))


@pytest.mark.parametrize("column", ["hours", "elapsed"])
def test_the_clock_and_time_gone_by_move_attention_once_learnt(column: str) -> None:
    events = recent()
    x, other = vectors(events), replace(events, **{column: getattr(events, column).flip(0)})
    untrained = UserTower(DIM, 0.7).eval()
    torch.testing.assert_close(untrained(x, other), untrained(x, events))
    assert not torch.allclose(trained()(x, other), trained()(x, events))


def test_every_parameter_gets_a_finite_gradient() -> None:
    tower, events = trained(), recent()
    (tower(vectors(events), events) ** 2).sum().backward()
    for name, parameter in tower.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().max() > 0, name


def test_users_without_events_send_no_nan_back() -> None:
    tower, events = trained(), recent()
    events = replace(events, weight=events.weight * torch.tensor([1, 0, 1, 0, 1])[:, None])
    x = vectors(events).requires_grad_()
    (tower(x, events) ** 2).sum().backward()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()
    assert x.grad[1].abs().max() == 0
    assert all(torch.isfinite(p.grad).all() for p in tower.parameters())


def test_the_clock_says_nothing_at_first() -> None:
    assert Clock(3)(recent()).abs().max() == 0
