"""One way, nothing points up: every import of every module is read and compared with the arrows of the design."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "graphrep"
STDLIB = set(sys.stdlib_module_names)

# Room → rooms that it may import (besides itself) and packages from outside.
LEAVES = {"errors", "vocab", "__init__"}
ROOMS: dict[str, tuple[set[str], set[str]]] = {
    "__init__": (set(), set()),
    "errors": (set(), set()),
    "vocab": (set(), set()),
    "contracts": (LEAVES, {"pyarrow", "pyspark"}),
    "config": (LEAVES | {"contracts"}, {"pydantic", "yaml"}),
    "schedule": (LEAVES, set()),
    "__main__": ({"cli"}, set()),
    "logs": (LEAVES | {"contracts", "config"}, {"pyspark"}),
    "edges": (LEAVES | {"contracts", "config", "graph"}, {"numpy", "pyarrow", "pyspark"}),
    "graph": (LEAVES | {"contracts"}, {"numpy", "scipy", "torch", "torch_geometric", "pyspark"}),
    "embed": (LEAVES | {"graph"}, {"numpy", "scipy", "threadpoolctl", "torch", "torch_geometric", "safetensors"}),
    "evaluate": (LEAVES, {"numpy", "scipy", "sklearn"}),
    "store": (LEAVES | {"contracts", "config"}, {"numpy", "pyarrow", "pyspark", "py4j", "tensorboard"}),
    "lookup": (LEAVES | {"contracts", "store"}, {"numpy"}),
    "datasets": (LEAVES | {"contracts"}, {"numpy", "pyarrow"}),
    "pipeline": (
        LEAVES | {"contracts", "config", "logs", "edges", "graph", "embed", "evaluate", "store", "lookup", "datasets"},
        {"numpy", "scipy", "pyarrow", "pyspark"},
    ),
    "cli": (LEAVES | {"contracts", "config", "datasets", "lookup", "pipeline", "store"}, {"typer", "rich"}),
}
# Rooms in which these files alone may know Spark.
SPARK_FILES = {
    "contracts": {"contracts/spark.py"},
    "store": {"store/spark.py"},
    "graph": {"graph/build.py", "graph/ids.py"},
}
# Calls that open a file: the store's business, and the configuration's for its YAML.
OPENERS = {
    "open",
    "read_text",
    "read_bytes",
    "write_text",
    "write_bytes",
    "read_csv",
    "write_csv",
    "write_table",
    "ParquetFile",
    "ParquetWriter",
    "memmap",
    "open_memmap",
    "save",
    "savez",
    "fromfile",
    "unlink",
    "rmtree",
}
MAY_OPEN = {"store", "config"}

MODULES = sorted(PACKAGE.rglob("*.py"))


def room_of(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def imports_of(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            if node.module == "graphrep":
                found |= {f"graphrep.{alias.name}" for alias in node.names}
            else:
                found.add(str(node.module))
    return found


def target_room(name: str) -> str:
    second = name.split(".")[1]
    return second if (PACKAGE / second).is_dir() or (PACKAGE / f"{second}.py").exists() else "__init__"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_module_imports_only_along_the_arrows(path: Path) -> None:
    room = room_of(path)
    rooms, outside = ROOMS[room]
    for name in imports_of(path):
        top = name.split(".")[0]
        if name == "graphrep":
            continue
        if top == "graphrep":
            target = target_room(name)
            assert target == room or target in rooms, f"{room} may not import {name}"
        elif top not in STDLIB:
            assert top in outside, f"{room} may not import {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_spark_is_known_to_few_files_of_a_mixed_room(path: Path) -> None:
    allowed = SPARK_FILES.get(room_of(path))
    if allowed is None or str(path.relative_to(PACKAGE)) in allowed:
        return
    assert not {name for name in imports_of(path) if name.split(".")[0] in ("pyspark", "py4j")}


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_only_the_store_opens_files(path: Path) -> None:
    if room_of(path) in MAY_OPEN:
        return
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            assert name not in OPENERS, f"{path}:{node.lineno} opens a file by {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_modules_and_functions_stay_small(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= 320
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            body = node.body
            documented = isinstance(body[0], ast.Expr) and isinstance(getattr(body[0], "value", None), ast.Constant)
            first = body[1].lineno if documented and len(body) > 1 else body[0].lineno
            length = (node.end_lineno or first) - first + 1
            assert length <= 45, f"{path}:{node.lineno} {node.name} has {length} lines"


def test_dags_import_the_schedule_alone() -> None:
    for path in sorted((ROOT / "dags").glob("*.py")):
        own = {name for name in imports_of(path) if name.split(".")[0] == "graphrep"}
        assert own <= {"graphrep.schedule", "graphrep.vocab"}, own
        assert not {name for name in imports_of(path) if name.split(".")[0] in ("torch", "pyspark", "pydantic")}


HEAVY = ["pyspark", "py4j", "pydantic", "airflow", "pyiceberg", "lightgbm", "typer", "rich", "pandas"]


@pytest.mark.parametrize(
    "room", ["embed", "graph", "evaluate", "evaluate.metrics", "evaluate.quality", "evaluate.gates"]
)
def test_a_gpu_worker_can_import_the_room(room: str) -> None:
    code = f"import sys\nfor name in {HEAVY}: sys.modules[name] = None\nimport graphrep.{room}"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_reader_of_a_ranker_needs_numpy_alone() -> None:
    heavy = [*HEAVY, "pyarrow", "scipy", "torch", "yaml", "sklearn"]
    code = f"import sys\nfor name in {heavy}: sys.modules[name] = None\nfrom graphrep.lookup import open_release"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
