"""What a day's fit will take is said for the device on which it will run."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from graphrep import vocab
from graphrep.config import load_config
from graphrep.embed import backend, plan
from graphrep.graph import EdgeList, HeteroGraph
from graphrep.pipeline.embed import _planned

LOCAL = Path(__file__).parents[3] / "configs" / "local.yaml"


@pytest.mark.parametrize("model", vocab.MODELS)
def test_without_a_device_it_is_the_one_that_the_model_takes(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str | None, bool]] = []
    memory: list[str | None] = []

    def device_for(device: str | None, *, learnt: bool) -> str | None:
        asked.append((device, learnt))
        return "meta" if learnt else None

    def usable(device: str | None) -> int:
        memory.append(device)
        return 10**12

    monkeypatch.setattr(backend, "device_for", device_for)
    monkeypatch.setattr(plan, "usable_memory", usable)
    config = load_config(LOCAL)
    embed = config.embed.model_copy(update={"model": model, "walk": "history"})
    run: Any = SimpleNamespace(config=config.model_copy(update={"embed": embed}))
    edges = {("user", "watches", "host"): EdgeList([0], [0], time=np.zeros(1, np.int64))}
    day: Any = SimpleNamespace(graph=HeteroGraph.from_edges({"user": 1, "host": 1}, edges))
    said = _planned(run, day)
    learns = model != vocab.AUTOCOVARIANCE
    assert asked == [(None, learns)]
    assert set(memory) == {"meta" if learns else None}
    assert ("training on 1 that act" in said) == learns
