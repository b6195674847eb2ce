"""The same fit in two processes under torchrun: for real, over gloo."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graphrep.embed.ranks import joined
from graphrep.errors import InputError

PROGRAM = Path(__file__).with_name("in_processes.py")
ROOT = Path(__file__).resolve().parents[4]


def _program() -> Any:
    spec = importlib.util.spec_from_file_location("in_processes", PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


program = _program()


def torchrun(out: Path, *names: str, restarts: int) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["--max-restarts", str(restarts), str(PROGRAM), str(out), *names]
    environ = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600, env=environ)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("processes")
    torchrun(out, *program.FITS, restarts=1)
    return out


def found(out: Path, name: str, rank: int) -> dict[str, Any]:
    with np.load(out / f"{name}-{rank}-of-2.npz") as arrays:
        return {**json.loads((out / f"{name}-{rank}.json").read_text()), **arrays}


@pytest.mark.parametrize("name", program.FITS)
def test_every_process_returns_the_same_bytes(out: Path, name: str) -> None:
    first, second = (found(out, name, rank) for rank in (0, 1))
    for kind in ("user", "thing", "video"):
        assert first[kind].shape[1] == 8
        assert first[kind].tobytes() == second[kind].tobytes()
    assert (first["learnt"], first["choice"]) == (second["learnt"], second["choice"])


@pytest.mark.parametrize(("name", "alike"), [("exact", 10), ("bags", 3), ("gnn exact", 10)])
def test_the_losses_are_those_of_one_process(out: Path, name: str, alike: int) -> None:
    _, steps = program.fitted(name)
    together = found(out, name, 0)
    assert len(steps) == len(together["losses"])
    alone = [step.loss for step in steps]
    assert together["losses"][:alike] == pytest.approx(alone[:alike], rel=1e-5)
    assert together["losses"] == pytest.approx(alone, rel=1e-3)  # orders of sums, and bfloat16 where there is such


def test_the_first_alone_reports(out: Path) -> None:
    assert len(found(out, "drawn", 0)["losses"]) > 0
    assert found(out, "drawn", 1)["losses"] == []


@pytest.mark.parametrize("name", ["searched", "joint"])
def test_a_walk_is_that_of_one_process(out: Path, name: str) -> None:
    emb, _ = program.fitted(name)
    assert all(emb[kind].tobytes() == found(out, name, 1)[kind].tobytes() for kind in emb)
    assert repr(emb.choice) == found(out, name, 1)["choice"]


@pytest.mark.parametrize("name", ["drawn", "gnn"])
def test_it_learns_as_well_as_one_process(out: Path, name: str) -> None:
    emb, _ = program.fitted(name)
    together = found(out, name, 0)
    assert together["learnt"] > 0
    assert emb.learnt > 0
    assert partners_found(together) == pytest.approx(partners_found(emb), abs=0.05)


def partners_found(emb: Any) -> float:
    """Of users whose newest event is taken as their only one: share whose partner thing is among the ten best."""
    last = program.pairs().edges[program.MEETS].dst.reshape(-1, 8)[:, -1]
    scores = emb["user"] @ emb["thing"].T
    partner = scores[np.arange(len(last)), (last + 45) % 90]
    return float(((scores > partner[:, None]).sum(1) < 10).mean())


def test_killed_and_started_again_it_ends_with_the_same_bytes(out: Path) -> None:
    again, whole = found(out, "killed", 0), found(out, "undisturbed", 0)
    assert 0 < len(again["losses"]) < len(whole["losses"])
    assert all(again[kind].tobytes() == whole[kind].tobytes() for kind in ("user", "thing", "video"))


def test_a_device_with_a_number_is_none_for_several(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with (
        pytest.raises(InputError, match="a device without a number, for several processes, found 'cuda:0'"),
        joined("cuda:0"),
    ):
        pass
