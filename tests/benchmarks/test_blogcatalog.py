"""The published link-prediction row of BlogCatalog, reproduced."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
DATA = ROOT / ".." / "shared" / "data"


def load() -> Any:
    spec = importlib.util.spec_from_file_location(
        "link_prediction_benchmark", ROOT / "benchmarks" / "link_prediction.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.skipif(
    not (DATA / "blogcatalog").is_dir(), reason="needs the BlogCatalog edges in ../shared/data/blogcatalog"
)
def test_published_row_to_three_digits() -> None:
    benchmark = load()
    label, precision, _ = next(benchmark.run("blogcatalog", DATA))
    assert label.startswith("autocovariance")
    np.testing.assert_allclose(precision, benchmark.PUBLISHED["blogcatalog"].row, atol=5e-4)


def test_missing_data_is_one_line_and_exit_code_two(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert load().main(["blogcatalog", "--data", str(tmp_path)]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "--data" in message


def test_the_split_keeps_the_graph_connected() -> None:
    benchmark = load()
    ring = [(i, (i + 1) % 10) for i in range(10)]
    chords = [(0, 5), (1, 6), (2, 7), (3, 8)]
    edges = [(min(e), max(e)) for e in ring + chords]
    hidden = benchmark.hide(edges)
    assert len(hidden) == 3  # ceil of a fifth of 14
    remaining = set(edges) - hidden
    reached = {0}
    for _ in edges:
        reached |= {w for e in remaining if set(e) & reached for w in e}
    assert reached == set(range(10))


def test_a_bridge_is_put_back() -> None:
    tree = [(0, 1), (1, 2), (2, 3)]
    square = [(3, 4), (4, 5), (5, 6), (3, 6)]
    for seed in range(10):
        hidden = load().hide(tree + square, seed)
        assert not hidden & set(tree)
