"""How near a map leads back when the basis is changed on purpose, and what a ranker that knows the old one loses.

python -m benchmarks.maps --users 600 --seeds 0 1 2

Days are those of ``benchmarks.stability``: sample logs, a graph of the fourteen days before each. The old space goes
on from day to day by alignment. On each later day another space begins, in each of several ways, and
``graphrep.embed.align.map_back`` fits the map to the day before, as stage ``embed`` does; faults are then put into the
new vectors. *Residual*: what gate ``map_residual`` judges. *Loss*: the ranker is fitted on the day before, in the old
space; its area under the curve on the day's pairs and old space's vectors, less that on the new vectors behind the map.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from benchmarks.stability import EdgeType, Judged, Log, Pairs, Vectors, area, graph_of, judged, pairs_of, sample
from graphrep import vocab
from graphrep.embed import align, fit
from graphrep.embed.align import map_back
from graphrep.graph import HeteroGraph

DIM = 32
CHANGES: dict[str, dict[str, object]] = {
    "another seed": {},
    "48 columns": {"dim": 48},
    "24 columns": {"dim": 24},
    "16 columns": {"dim": 16},
    "the walk from histories": {"walk": "history"},
}
Chance = np.random.Generator


def exchanged(vectors: Vectors, kinds: tuple[str, ...], share: float, chance: Chance) -> Vectors:
    """Some keys of some types have each other's vectors."""
    made = dict(vectors)
    for kind in kinds:
        own = np.flatnonzero(vectors[kind].any(axis=1))
        chosen = chance.permutation(own)[: round(share * len(own))]
        made[kind] = vectors[kind].copy()
        made[kind][chosen] = vectors[kind][np.roll(chosen, 1)]
    return made


def drawn(vectors: Vectors, chance: Chance) -> Vectors:
    return {
        kind: chance.normal(size=x.shape).astype(np.float32) * x.any(axis=1)[:, None] for kind, x in vectors.items()
    }


FAULTS: dict[str, Callable[[Vectors, Chance], Vectors]] = {
    "another seed, a tenth of the users exchanged": lambda x, chance: exchanged(x, (vocab.USER,), 0.1, chance),
    "another seed, a tenth of all keys exchanged": lambda x, chance: exchanged(x, tuple(x), 0.1, chance),
    "another seed, all users exchanged": lambda x, chance: exchanged(x, (vocab.USER,), 1.0, chance),
    "another seed, all hosts exchanged": lambda x, chance: exchanged(x, (vocab.HOST,), 1.0, chance),
    "numbers drawn at random": drawn,
}


def mapped(vectors: Vectors, before: Vectors) -> tuple[Vectors, float]:
    """The vectors as a ranker of the old space reads them, and the residual of the map."""
    back = map_back(vectors, before)
    assert back is not None
    return {kind: x @ back.matrix for kind, x in vectors.items()}, back.held_out_residual


def measured(log: Log, seed: int) -> dict[str, list[tuple[float, dict[str, float]]]]:
    """Change or fault → for each day the residual, and by what is asked the loss."""
    found: dict[str, list[tuple[float, dict[str, float]]]] = {}
    chance = np.random.default_rng(seed)
    before: Vectors = {}
    then: dict[EdgeType, Judged] = {}
    for number, day in enumerate(range(log.window, log.window + log.days)):
        g = graph_of(log, day)
        asked = {kinds: pairs_of(log, kinds, day, g, seed) for kinds in log.asked}
        kept: Vectors = _fit(log, g, seed + number)
        if before:
            kept = align(kept, before)[0]
            made = {name: _fit(log, g, seed + 1000, **how) for name, how in CHANGES.items()}
            made |= {name: fault(made["another seed"], chance) for name, fault in FAULTS.items()}
            for name, vectors in made.items():
                back, residual = mapped(vectors, before)
                loss = {kinds[1]: _loss(then[kinds], kept, back, kinds, asked[kinds]) for kinds in log.asked}
                found.setdefault(name, []).append((residual, loss))
        before, then = kept, {kinds: judged(kept, kinds, asked[kinds]) for kinds in log.asked}
    return found


def _fit(log: Log, g: HeteroGraph, seed: int, **how: object) -> Vectors:
    settings: dict[str, object] = {"dim": DIM, "walk": "joint", **how}
    return fit(g, seed=seed, relation_weights=log.weights, **settings)


def _loss(frozen: Judged, kept: Vectors, back: Vectors, kinds: EdgeType, asked: Pairs) -> float:
    areas = [area(frozen.probes, _seen(vectors, kinds, asked, frozen)) for vectors in (kept, back)]
    return areas[0] - areas[1]


def _seen(vectors: Vectors, kinds: EdgeType, asked: Pairs, frozen: Judged) -> Judged:
    return Judged(vectors[kinds[0]][asked.left], vectors[kinds[2]][asked.right], asked, frozen.probes)


def lines_of(found: Mapping[str, list[tuple[float, dict[str, float]]]]) -> list[str]:
    asked = list(next(iter(found.values()))[0][1])
    lines = ["| new space | days | residual, least | median | most | " + " | ".join(f"loss, {a}" for a in asked) + " |"]
    lines.append("|" + "---|" * (5 + len(asked)))
    for name, days in found.items():
        residuals: NDArray[np.float64] = np.array([residual for residual, _ in days])
        spread = " | ".join(f"{x:.3f}" for x in (residuals.min(), np.median(residuals), residuals.max()))
        losses = " | ".join(f"{np.mean([loss[a] for _, loss in days]):.4f}" for a in asked)
        lines.append(f"| {name} | {len(days)} | {spread} | {losses} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=600)
    parser.add_argument("--days", type=int, default=4, help="of vectors; on all but the first a space begins")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    given = parser.parse_args()
    found: dict[str, list[tuple[float, dict[str, float]]]] = {}
    for seed in given.seeds:
        for name, days in measured(sample(given.users, given.days, 14, seed), seed).items():
            found.setdefault(name, []).extend(days)
    print("\n".join(lines_of(found)))


if __name__ == "__main__":
    main()
