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
    "asking": (LEAVES | {"schedule"}, {"airflow"}),
    "openlineage": (LEAVES | {"schedule"}, {"airflow", "openlineage"}),
    "spark_submit": (LEAVES | {"asking", "openlineage", "schedule"}, {"airflow"}),
    "operators": (LEAVES | {"asking", "openlineage", "schedule", "spark_submit"}, {"airflow"}),
    "__main__": ({"cli"}, set()),
    "logs": (LEAVES | {"contracts", "config"}, {"pyspark"}),
    "edges": (LEAVES | {"contracts", "config", "graph"}, {"numpy", "pyarrow", "pyspark"}),
    "panel": (LEAVES | {"contracts", "config"}, {"pyspark"}),
    "graph": (LEAVES | {"contracts"}, {"numpy", "scipy", "torch", "torch_geometric", "pyspark"}),
    "embed": (LEAVES | {"graph"}, {"numpy", "scipy", "threadpoolctl", "torch", "torch_geometric", "safetensors"}),
    "uplift": (LEAVES, {"numpy", "sklearn", "lightgbm"}),
    "evaluate": (LEAVES, {"numpy", "scipy", "sklearn"}),
    "report": (LEAVES, {"numpy"}),
    "store": (
        LEAVES | {"contracts", "config"},
        {"numpy", "pyarrow", "pyspark", "py4j", "tensorboard", "pyiceberg", "boto3", "botocore"},
    ),
    "lookup": (LEAVES | {"contracts", "store"}, {"numpy", "torch"}),
    "export": (LEAVES | {"contracts", "store", "lookup"}, {"numpy", "pyarrow", "redis", "usearch"}),
    "datasets": (LEAVES | {"contracts"}, {"numpy", "pyarrow"}),
    "pipeline": (
        LEAVES
        | {
            "contracts",
            "config",
            "logs",
            "edges",
            "panel",
            "graph",
            "embed",
            "uplift",
            "evaluate",
            "report",
            "store",
            "lookup",
            "export",
            "datasets",
        },
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
# The one file of the reader that is for who has torch.
TORCH_FILES = {"lookup": {"lookup/torch.py"}}
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
# usearch writes its index by itself, into a directory that the store stages.
MAY_SAVE = {"export/index.py"}
# Libraries of others that an extra brings are known to these files alone.
KNOWN_TO = {
    "redis": {"export/redis.py"},
    "usearch": {"export/index.py"},
    "pyiceberg": {
        "store/history.py",
        "store/history_commit.py",
        "store/history_files.py",
        "store/history_sweep.py",
    },
}

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


@pytest.mark.parametrize("room", sorted(TORCH_FILES))
def test_torch_is_known_to_one_file_of_the_reader(room: str) -> None:
    own = {path for path in MODULES if room_of(path) == room and imports_of(path) & {"torch", f"graphrep.{room}.torch"}}
    assert {str(path.relative_to(PACKAGE)) for path in own} == TORCH_FILES[room]


def test_the_libraries_of_an_extra_are_known_to_few_files() -> None:
    for library, files in KNOWN_TO.items():
        knowing = {p for p in MODULES if library in {name.split(".")[0] for name in imports_of(p)}}
        assert {str(p.relative_to(PACKAGE)) for p in knowing} == files


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_only_the_store_opens_files(path: Path) -> None:
    if room_of(path) in MAY_OPEN:
        return
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            allowed = {"save"} if str(path.relative_to(PACKAGE)) in MAY_SAVE else set()
            assert name not in OPENERS - allowed, f"{path}:{node.lineno} opens a file by {name}"


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


# What runs code, or may, when it reads a file.
UNSAFE = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "pandas.io.pickle"}
UNSAFE_CALLS = {
    "np.load",
    "numpy.load",
    "torch.load",
    "pd.read_pickle",
    "eval",
    "exec",
    "yaml.unsafe_load",
}
OUR_CODE = sorted(path for name in ("graphrep", "spark_jobs", "dags") for path in (ROOT / name).rglob("*.py"))


@pytest.mark.parametrize("path", OUR_CODE, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_file_can_run_code_when_it_is_read(path: Path) -> None:
    """Files are safetensors, Parquet, JSON, YAML by the safe loader, and arrays of plain numbers."""
    for name in imports_of(path):
        assert not {name, name.split(".")[0]} & UNSAFE, f"{path} imports {name}"
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            assert ast.unparse(node.func) not in UNSAFE_CALLS, f"{path}:{node.lineno} calls {ast.unparse(node.func)}"
            allowed = [k for k in node.keywords if k.arg in ("allow_pickle", "weights_only")]
            for keyword in allowed:
                assert ast.unparse(keyword.value) == str(keyword.arg == "weights_only"), f"{path}:{node.lineno}"


def test_dags_import_the_schedule_and_its_operators_alone() -> None:
    for path in sorted((ROOT / "dags").glob("*.py")):
        own = {name for name in imports_of(path) if name.split(".")[0] == "graphrep"}
        assert own <= {"graphrep.operators", "graphrep.schedule", "graphrep.vocab"}, own
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
    code = f"import sys\nfor name in {heavy}: sys.modules[name] = None\nfrom graphrep.lookup import asof, open_release"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
