"""The benchmark of maps back: a turned basis is led back whole, exchanged rows are not, and the table says so."""

from __future__ import annotations

import numpy as np

from benchmarks import maps


def test_a_turn_is_led_back_and_exchanged_rows_are_not() -> None:
    chance = np.random.default_rng(0)
    before = {kind: chance.normal(size=(200, 6)).astype(np.float32) for kind in ("user", "host")}
    turn = np.linalg.qr(chance.normal(size=(6, 6)))[0]
    turned = {kind: (x @ turn).astype(np.float32) for kind, x in before.items()}
    back, residual = maps.mapped(turned, before)
    assert residual < 1e-5
    np.testing.assert_allclose(back["host"], before["host"], atol=1e-4)
    found = maps.exchanged(turned, ("user",), 0.1, chance)
    assert (found["user"] != turned["user"]).any(axis=1).sum() == 20
    assert sorted(found["user"].tolist()) == sorted(turned["user"].tolist())
    np.testing.assert_array_equal(found["host"], turned["host"])
    assert 0.1 < maps.mapped(found, before)[1] < maps.mapped(maps.drawn(turned, chance), before)[1]


def test_the_table_has_the_spread_of_the_residuals_and_the_mean_of_the_losses() -> None:
    days = [(0.1, {"video": 0.2}), (0.6, {"video": 0.0}), (0.2, {"video": 0.1})]
    assert maps.lines_of({"another seed": days})[-1] == "| another seed | 3 | 0.100 | 0.200 | 0.600 | 0.1000 |"
