"""torchrun … in_processes.py OUT NAME...: fits of a small graph in several processes; what each found is in OUT."""

from __future__ import annotations

import json
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from graphrep.embed import BagTraining, Choice, NeighbourTraining, Training, fit
from graphrep.embed.history_walk import VectorPowers
from graphrep.embed.ranks import joined, place_in
from graphrep.graph import EdgeList, HeteroGraph

MEETS, SEES = ("user", "meets", "thing"), ("user", "sees", "video")
CHOICE = Choice(vectors=VectorPowers())
SMALL = Training(epochs=4, batch=127, history=8, horizon=3, negatives=64, folds=3)
STILL = Training(epochs=2, batch=127, history=8, horizon=3, negatives=64, folds=3, dropout=0.0)
BAGS = BagTraining(epochs=3, batch=127, history=6, targets=4, negatives=64)
# So many neighbours that all are drawn, and nothing is left out.
WHOLE = NeighbourTraining(
    epochs=2,
    batch=127,
    history=8,
    horizon=3,
    negatives=64,
    folds=2,
    views=2,
    neighbours=100_000,
    layers=1,
    event_dropout=0.0,
    surface_dropout=0.0,
    dropout=0.0,
    missing=0.0,
    new=0.0,
)
GNN = replace(WHOLE, epochs=4, neighbours=8, dropout=0.5, event_dropout=0.3, missing=0.15, rate=0.01)
FITS: dict[str, dict[str, Any]] = {
    "bags": {"choice": CHOICE, "training": BAGS, "share": 1.0},
    "gnn exact": {"model": "gnn", "choice": CHOICE, "training": WHOLE, "share": 1.0},
    "gnn": {"model": "gnn", "choice": CHOICE, "training": GNN, "share": 1.0},
    "killed": {"choice": CHOICE, "training": SMALL, "share": 1.0},
    "exact": {"choice": CHOICE, "training": STILL, "share": 1.0},
    "drawn": {"choice": CHOICE, "training": SMALL},
    "searched": {"model": "autocovariance"},
    "joint": {"model": "autocovariance", "walk": "joint"},
    "undisturbed": {"choice": CHOICE, "training": SMALL, "share": 1.0},
}
KILLED_AT = 40


def pairs(users: int = 300, things: int = 90, videos: int = 30) -> HeteroGraph:
    """After a thing comes its partner, then anything; a video of the same number is seen between."""
    chance = np.random.default_rng(0)
    first = chance.integers(0, things, (users, 4))
    dst = np.stack([first, (first + things // 2) % things], 2).reshape(users, 8)
    src, hour = np.repeat(np.arange(users), 8), np.tile(np.arange(8) * 3600, users)
    return HeteroGraph.from_edges(
        {"user": users, "thing": things, "video": videos},
        {MEETS: EdgeList(src, dst.ravel(), time=hour), SEES: EdgeList(src, dst.ravel() % videos, time=hour + 60)},
    )


class Files:
    """Training states in a directory."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def latest(self, name: str) -> bytes | None:
        return (self.place / name).read_bytes() if (self.place / name).exists() else None

    def replace(self, name: str, content: bytes) -> None:
        (self.place / f"{name}.new").write_bytes(content)
        (self.place / f"{name}.new").rename(self.place / name)


def fitted(name: str, **more: Any) -> tuple[Any, list[Any]]:
    """The fit of a name, and its steps."""
    steps: list[Any] = []
    options = {"model": "hybrid", "dim": 8, "device": "cpu", **FITS[name]}
    if options["model"] != "autocovariance":
        options = {"report": steps.append, **options, **more}
    return fit(pairs(), **options), steps


def main(out: Path, names: list[str]) -> None:
    rank, size = place_in(os.environ)

    steps: list[Any] = []

    def end_the_first_try(step: Any) -> None:
        steps.append(step)
        if step.number == KILLED_AT and os.environ["TORCHELASTIC_RESTART_COUNT"] == "0":
            os.kill(os.getpid(), signal.SIGKILL)

    with joined("cpu"):
        for name in names:
            killed = {"report": end_the_first_try, "checkpoints": Files(out)} if name == "killed" else {}
            emb, reported = fitted(name, **killed)
            np.savez(out / f"{name}-{rank}-of-{size}.npz", **emb)
            told = {
                "learnt": emb.learnt,
                "choice": repr(emb.choice),
                "losses": [step.loss for step in (steps if killed else reported)],
            }
            (out / f"{name}-{rank}.json").write_text(json.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
