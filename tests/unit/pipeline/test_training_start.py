"""No training begins from a state that an erased key had a part in, once the horizon is over."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from graphrep.config import load_config
from graphrep.contracts import Manifest
from graphrep.graph import EdgeList, HeteroGraph
from graphrep.pipeline import training
from graphrep.pipeline.context import Run
from graphrep.store import erase, releases

CONFIG = Path(__file__).resolve().parents[3] / "configs" / "local.yaml"
GRAPH = HeteroGraph.from_edges({"user": 1, "host": 1}, {("user", "watches", "host"): EdgeList([0], [0])})
DAY = SimpleNamespace(graph=GRAPH, nodes={"host": SimpleNamespace(index=np.array([0]))})


def start(warehouse: Path, today: str, erased: dict[str, Any] | None, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Where the training of 2 March starts, run on a day, when the state of 1 March knew of some erasures."""
    config = load_config(CONFIG, warehouse=warehouse)
    run = Run(config, dt.date.fromisoformat(today))
    manifest = {Manifest.NODE_TYPES: {"host": {"dim": config.embed.dim}}, Manifest.MODEL: {"choice": None}}
    about = {"cold_ds": "2026-03-01", "tried": {}, **({} if erased is None else {"erased": erased})}
    state = SimpleNamespace(rows=lambda rows: "state", choice=None)
    kept = SimpleNamespace(about=about, state=state, known=lambda ids: {k: np.zeros(1, np.int64) for k in ids})
    monkeypatch.setattr(releases, "read_manifest", lambda *given: manifest)
    monkeypatch.setattr(training, "goes_on", lambda *given: True)
    monkeypatch.setattr(training, "_state_before", lambda *given: kept)
    day: Any = DAY
    return training.start_of(run, "2026-03-02", day, "2026-03-01.1", {})


def test_a_state_from_before_an_erasure_serves_until_the_horizon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    none = {"ds": None, "count": 0}
    assert start(tmp_path, "2026-05-01", none, monkeypatch).begin == "state"
    erase.remember(tmp_path, {"user": ["gone"]}, "2026-03-10")
    days = load_config(CONFIG).embed.cold_every_days
    last = (dt.date(2026, 3, 10) + dt.timedelta(days=days - 1)).isoformat()
    over = (dt.date(2026, 3, 10) + dt.timedelta(days=days)).isoformat()
    warm = start(tmp_path, last, none, monkeypatch)
    assert (warm.begin, warm.erased) == ("state", none), "what the next day must know, too"
    for unknown in (none, None):
        cold = start(tmp_path, over, unknown, monkeypatch)
        assert cold.begin is None
        assert cold.why == "2026-03-01.1 goes back to before the erasure of 2026-03-10"
        assert cold.erased == {"ds": "2026-03-10", "count": 1}
    assert start(tmp_path, "2027-01-01", cold.erased, monkeypatch).begin == "state", "it began after the erasure"
