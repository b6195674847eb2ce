"""Link prediction from edges and attributes by Gelato's protocol, with nothing learnt, beside the published rows.

Mattos, Huang, Kosan, Singh, Silva: Attribute-Enhanced Similarity Ranking for Sparse Link Prediction, KDD 2025
(arXiv 2412.00261). Split and metrics are those of the suite; in % all.

    python -m benchmarks.suite.attributes cora --data ../shared/data

The settings of ``CHOSEN`` were chosen in two rounds over idf, eta, alpha, loop and exponent: one at a time, kept if
the mean logarithm of the AP of the validation edges and of four tenths of the training edges, each hidden in turn,
rose by more than 0.002. The test edges took no part in it.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from benchmarks.suite.graphs import DATA
from benchmarks.suite.link_published import PUBLISHED
from benchmarks.suite.link_rows import ENHANCED, Problem
from benchmarks.suite.splits import BadSplitError, Places, ScoreRows, Split, average_precision_and_hits, split
from graphrep.embed.attributes import enhance
from graphrep.errors import InputError


@dataclass(frozen=True)
class Setting:
    """One way from the graph and the attributes to scores.

    Attributes:
        idf: attributes are weighted by log(n / nodes with it) to this power; 0 leaves them as they are.
        eta, alpha: of ``enhance``.
        loop: weight of the self-loop of every node.
        exponent: a in ``Ã Dᵃ Ã Dᵃ Ã``, −1 for the walk. Below it nodes of high degree carry less.
        centred: take the popularity term ``d dᵀ / vol²`` away, as R(3) does.
    """

    idf: float = 0.0
    eta: float = 0.5
    alpha: float = 0.5
    loop: float = 1.0
    exponent: float = -1.0
    centred: bool = True


PAPER = {name: Setting(eta=eta) for name, eta in ENHANCED.items()}
CHOSEN = {
    "planetoid-cora": Setting(idf=0.5, eta=1.5, alpha=0.6, loop=0.5, exponent=-1.25, centred=False),
    "planetoid-citeseer": Setting(idf=1.0, eta=1.5, alpha=0.5, loop=0.75, exponent=-1.5, centred=False),
}


def scorer(adjacency: Any, attributes: Any, setting: Setting) -> ScoreRows:
    """Rows of ``Ã Dᵃ Ã Dᵃ Ã``, three sparse products a block."""
    n = adjacency.shape[0]
    having = np.bincount(attributes.indices, minlength=attributes.shape[1])
    weighted = attributes @ sp.diags_array(np.log(n / np.maximum(having, 1)) ** setting.idf)
    enhanced = enhance(adjacency, weighted, setting.eta, setting.alpha, self_loops="none")
    looped = sp.csr_array(enhanced + setting.loop * sp.eye_array(n))
    degree = looped.sum(axis=1)
    step = sp.csr_array(sp.diags_array(degree**setting.exponent) @ looped)
    volume = degree.sum()

    def score_rows(rows: Places) -> NDArray[Any]:
        scores = (looped[rows] @ step @ step).toarray() / volume
        return np.asarray(scores - np.outer(degree[rows], degree) / volume**2 if setting.centred else scores)

    return score_rows


def validating(parts: Split) -> Split:
    """The same training edges; the validation edges are what is hidden, and the test edges are not there."""
    return Split(parts.graph, parts.remaining, parts.validation)


def average_precision(task: Split, scores: ScoreRows) -> float:
    return average_precision_and_hits(scores, task.known, task.matrix("hidden"))[0]


def main(argv: Sequence[str] | None = None) -> int:
    """Print the Markdown table; 2 if the data or the split is not there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=sorted(name.removeprefix("planetoid-") for name in CHOSEN))
    parser.add_argument("--data", type=Path, default=DATA)
    args = parser.parse_args(argv)
    name = f"planetoid-{args.name}"
    try:
        parts = split(name, args.data)
    except (BadSplitError, InputError) as error:
        print(error, file=sys.stderr)
        return 2
    _head(name)
    plain = replace(PAPER[name], eta=0.0, alpha=1.0)
    for label, setting in (("edges alone", plain), ("β = 0", PAPER[name]), (str(CHOSEN[name]), CHOSEN[name])):
        start = time.perf_counter()
        scores = scorer(parts.matrix(), parts.graph.attributes, setting)
        first = 100 * average_precision(validating(parts), scores)
        cells = " | ".join(f"{figure:.2f}" for figure in Problem(name, parts, 0, None).judge(scores)[""])
        print(f"| {label} | {first:.2f} | {cells} | {time.perf_counter() - start:.1f} |", flush=True)
    return 0


def _head(name: str) -> None:
    print("| method | validation AP % | test AP % | precision@100% | hits@1000 | seconds |\n|---|---|---|---|---|---|")
    for source, values in PUBLISHED[name].items():
        cells = " | ".join("–" if figure is None else f"{figure:.2f}" for figure in values[""])
        print(f"| published: {source} | – | {cells} | – |", flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
