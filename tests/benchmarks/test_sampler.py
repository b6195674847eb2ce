"""The sampler's benchmark: equal work on both sides, medians and ratios, and what it says without the peer."""

from __future__ import annotations

import importlib
import json
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[2]))  # benchmarks are no part of the installed package
benchmark = importlib.import_module("benchmarks.sampler")
SMALL = ["--nodes", "60", "--edges", "400", "--fanout", "3", "2", "--batch", "16", "--repeats", "1", "--threads", "1"]


def test_the_graph_is_seeded_uneven_and_goes_both_ways() -> None:
    g, again = (benchmark.made(300, 3000, timed=True, weighted=True) for _ in range(2))
    there, back = g.edges.values()
    assert there.src.tolist() == next(iter(again.edges.values())).src.tolist()
    assert sorted(zip(there.src, there.dst, strict=True)) == sorted(zip(back.dst, back.src, strict=True))
    degrees = np.bincount(there.dst, minlength=g.num_nodes["item"])
    assert degrees.max() > 5 * np.median(degrees)
    assert there.weight.min() >= 0.1
    assert there.time.max() < benchmark.YEAR
    assert next(iter(benchmark.made(30, 90, timed=False, weighted=False).edges.values())).time is None


def test_without_the_peer_there_are_our_rows_and_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for flag in ("WITH_PYG_LIB", "WITH_TORCH_SPARSE"):
        monkeypatch.setattr(benchmark.pyg, flag, False)
    monkeypatch.setattr(benchmark.torch, "set_num_threads", lambda _: None)
    kept = tmp_path / "rows.json"
    assert benchmark.main([*SMALL, "--json", str(kept)]) == 0
    printed, told = capsys.readouterr()
    rows = json.loads(kept.read_text())
    assert told == benchmark.INSTALL + "\n"
    assert len(printed.splitlines()) == 2 + len(rows) == 2 + 16
    assert {tuple(row) for row in rows} == {tuple(field.name for field in fields(benchmark.Row))}
    for row in rows:
        ours = row["who"] == "graphrep"
        assert bool(row["why"]) != ours
        assert (row["seeds_per_s"] is not None) == ours
        assert row["ratio"] is None
    edges = {(row["kind"], row["what"]): row["edges_per_seed"] for row in rows if row["who"] == "graphrep"}
    for kind in benchmark.KINDS:
        assert edges[kind, "loader"] == edges[kind, "sampler"] > 0


def test_ratios_are_of_medians_of_rounds_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, order = {"now": 0.0}, []
    left = {"graphrep": [9.0, 1.0, 2.0, 30.0], "NeighborLoader": [9.0, 8.0, 50.0, 6.0]}  # the first warms up

    def play(who: str) -> Any:
        def once() -> int:
            order.append(who)
            clock["now"] += left[who].pop(0)
            return 40

        return once

    monkeypatch.setattr(benchmark.time, "perf_counter", lambda: clock["now"])
    monkeypatch.setattr(benchmark.time, "process_time", lambda: clock["now"] / 2)
    ways = {who: play(who) for who in left}
    ours, theirs = benchmark.rows("plain", "loader", ways, seeds=10, threads=1, repeats=3)
    assert order == [*left] * 4
    assert (ours.seeds_per_s, ours.seeds_per_cpu_s, ours.edges_per_seed) == (5.0, 10.0, 4.0)
    assert (ours.ratio, ours.cpu_ratio, theirs.ratio) == (4.0, 4.0, None)
