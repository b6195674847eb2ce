"""What is written for Feast is applied, materialised and read by Feast itself, equal to the lookup."""

from __future__ import annotations

import ast
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from graphrep.lookup import open_release
from graphrep.pipeline import erase, export

ROOT = Path(__file__).resolve().parents[3]
FEAST = ROOT / ".venv" / "feast" / "bin"
DAYS = ("2026-03-01", "2026-03-02")

CLIENT = """
import json, sys, warnings
warnings.filterwarnings("ignore")
from feast import FeatureStore
asked = json.load(sys.stdin)
store = FeatureStore(sys.argv[1])
told = {}
for node_type, keys in asked.items():
    view = f"{node_type}_embedding"
    fields = ["vector", "degree", "age_days", "source", "fallback", "release_id", "space_id"]
    got = store.get_online_features([f"{view}:{f}" for f in fields], [{"key": key} for key in keys]).to_dict()
    told[node_type] = {**got, "ttl": store.get_feature_view(view).ttl.days}
print("told" + json.dumps(told))
"""


def vectors(seed: int) -> dict[str, dict[str, list[float]]]:
    rng = np.random.default_rng(seed)
    return {kind: {f"{kind}-{i}": rng.normal(size=3).tolist() for i in range(12)} for kind in ("host", "user")}


def feast(*given: str, stdin: str = "") -> str:
    """Feast in its own place, asked not to tell anybody of it."""
    env = {**os.environ, "FEAST_USAGE": "False", "PATH": f"{FEAST}{os.pathsep}{os.environ['PATH']}"}
    env.pop("PYTHONPATH", None)
    done = subprocess.run(given, input=stdin, env=env, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def place(still_place: Any, publish_vectors: Any) -> Any:
    publish_vectors(still_place.warehouse, DAYS[0], vectors(0), ttl_days={"host": 3, "user": 7})
    return still_place


@pytest.mark.slow
def test_feast_serves_what_the_lookup_answers(place: Any) -> None:
    out = place.root / "feast"
    record = export.export_feast(place.run(), out)
    command = str(FEAST / "feast")
    feast(command, "--chdir", str(out), "apply")
    feast(command, "--chdir", str(out), "materialize", f"{DAYS[0]}T00:00:00", record["timestamp"][:19])
    release = open_release(place.warehouse)
    keys = {node_type: release.keys(node_type) for node_type in release.types}
    asked = json.dumps({**keys, "user": [*keys["user"], "nobody"]})
    said = feast(str(FEAST / "python"), "-c", CLIENT, str(out), stdin=asked)
    told = json.loads(said[said.index("told") + 4 :])
    assert {node_type: own["ttl"] for node_type, own in told.items()} == {"host": 3, "user": 7}
    assert told["user"]["vector"].pop() is None, "Feast has no prior: an unknown key is null"
    for node_type, own in keys.items():
        hit, got = release.get(node_type, own), told[node_type]
        assert np.array_equal(np.array(got["vector"], dtype=np.float32), hit.vectors)
        assert got["degree"][: len(own)] == hit.degree.tolist()
        assert got["age_days"][: len(own)] == hit.age_days.tolist()
        assert got["source"][: len(own)] == hit.source.tolist()
        assert got["fallback"][: len(own)] == hit.fallback.astype(int).tolist()
        assert set(got["release_id"][: len(own)]) == {release.release_id}
        assert set(got["space_id"][: len(own)]) == {release.space_id}


def test_another_release_changes_the_definitions_last_and_nothing_of_the_operator(
    place: Any, publish_vectors: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, run = place.root / "feast", place.run()
    export.export_feast(run, out)
    store = out / "feature_store.yaml"
    store.write_text(store.read_text().replace("sqlite", "redis"))
    before = {p: p.read_bytes() for p in out.rglob("*") if p.is_file()}
    export.export_feast(run, out)
    assert {p: p.read_bytes() for p in out.rglob("*") if p.is_file()} == before, "again"

    publish_vectors(place.warehouse, DAYS[1], vectors(1))
    monkeypatch.setattr(export.files, "put_text", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        export.export_feast(run, out)
    assert {p: p.read_bytes() for p in before} == before, "stopped before the last step: what is applied is whole"
    monkeypatch.undo()
    export.export_feast(run, out)
    assert "redis" in store.read_text()
    assert f"RELEASE_ID = '{DAYS[1]}.1'" in (out / "definitions.py").read_text()
    ast.parse((out / "definitions.py").read_text())


def test_rows_are_known_from_the_end_of_their_day_and_erased_keys_are_left_out(place: Any) -> None:
    export.export_feast(place.run(), place.root / "feast")
    erase.erase(place.run(), {"user": ["user-3"]}, at=place.at)
    record = export.export_feast(place.run(), place.root / "feast")
    assert record == {
        "release_id": f"{DAYS[0]}.2",
        "rows": {"host": 12, "user": 11},
        "timestamp": "2026-03-02T00:00:00+00:00",
    }
    exported = place.root / "feast" / "releases"
    assert [path.name for path in exported.glob("2*")] == [f"{DAYS[0]}.2"], "the former one still held the key"
    rows = pq.read_table(exported / f"{DAYS[0]}.2" / "user.parquet")
    assert "user-3" not in rows["key"].to_pylist()
    assert {str(moment) for moment in rows["event_timestamp"].to_pylist()} == {"2026-03-02 00:00:00+00:00"}
