"""One local Spark for all tests, and a place to run in: a small configuration, tiny raw logs, a warehouse."""

from __future__ import annotations

import datetime as dt
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

TOY = Path(__file__).parent / "spark" / "toy.yaml"


@pytest.fixture(scope="session")
def spark() -> Iterator[Any]:
    """The one Spark session, as graphrep starts it: local, two cores, two shuffle partitions, no UI."""
    from graphrep.config import Spark
    from graphrep.store.spark import session

    # Many tiny jobs: a JVM that compiles quickly beats one that compiles well.
    os.environ.setdefault("SPARK_SUBMIT_OPTS", "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=256m")
    opened = session(Spark(master="local[2]", driver_memory="1g", shuffle_partitions=2), "graphrep tests")
    yield opened
    opened.stop()


@dataclass
class Place:
    """A directory with ``config.yaml``, ``logs/`` and ``warehouse/``."""

    root: Path

    def __post_init__(self) -> None:
        self.config, self.logs, self.warehouse = (self.root / n for n in ("config.yaml", "logs", "warehouse"))
        self.at = dt.datetime(2026, 3, 31, 12, tzinfo=dt.UTC)

    def configure(self, change: Callable[[dict[str, Any]], Any] = lambda settings: None) -> None:
        settings = yaml.safe_load(TOY.read_text(encoding="utf-8"))
        settings["extends"] = str(TOY.parent / settings["extends"])
        change(settings)
        self.root.mkdir(parents=True, exist_ok=True)
        self.config.write_text(yaml.safe_dump(settings), encoding="utf-8")

    def deliver(self, table: str, ds: str, rows: list[dict[str, Any]]) -> None:
        """Write one day of a table as one Parquet file, in place of what was there."""
        path = self.logs / table / f"ds={ds}"
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist(rows), path / "part-0.parquet")

    def deliver_day(self, ds: str) -> None:
        """A good day of each table: six users who watch, visit and buy."""
        for table, rows in good_day(ds).items():
            self.deliver(table, ds, rows)

    def run(self) -> Any:
        from graphrep.config import load_config
        from graphrep.pipeline.context import Run

        config = load_config(self.config, logs=self.logs, warehouse=self.warehouse)
        return Run(config, today=self.at.date())


def good_day(ds: str) -> dict[str, list[dict[str, Any]]]:
    start = int(dt.datetime.fromisoformat(f"{ds}T08:00:00+00:00").timestamp()) * 1000
    key = ds.replace("-", "")
    rows: dict[str, list[dict[str, Any]]] = {"videos": [], "live": [], "shop": []}
    for i in range(6):
        who = {"ts": start + i, "user_id": f"u{i}", "event_id": f"{key}{i}"}
        rows["videos"].append({**who, "action": "watch", "item_id": f"v{i % 4}", "duration": 5.0 + i})
        rows["live"].append({**who, "action": "watch", "host_id": f"h{i % 3}", "room_id": f"r{i % 3}"})
        rows["shop"].append({**who, "action": "buy", "item_id": f"p{i // 2}", "value": 2.5})
    return rows


@pytest.fixture(scope="session")
def new_place(spark: Any) -> Callable[[Path], Place]:
    """Makes a configured place in a directory."""

    def make(root: Path) -> Place:
        place = Place(root)
        place.configure()
        return place

    return make


@pytest.fixture
def place(tmp_path: Path, new_place: Callable[[Path], Place]) -> Place:
    return new_place(tmp_path)


@pytest.fixture
def still_place(tmp_path: Path) -> Place:
    """A configured place for what needs no Spark."""
    place = Place(tmp_path)
    place.configure()
    return place


@pytest.fixture(scope="session")
def golive_panel() -> Any:
    """A generated panel of 500 hosts and a week of decisions, as stage ``panel`` would write it."""
    from made_panel import panel

    return panel()


@pytest.fixture(scope="session")
def fitted_uplift(tmp_path_factory: pytest.TempPathFactory, golive_panel: Any) -> Place:
    """A place whose uplift is fitted, judged and scored for the day after ``made_panel.DS``; not to be changed."""
    from graphrep.pipeline.uplift import run_uplift
    from made_panel import DS, LOOSE, settings, write_panel

    place = Place(tmp_path_factory.mktemp("uplift"))
    place.configure(lambda own: own.update(uplift=settings(limits=LOOSE)))
    write_panel(place.warehouse, golive_panel)
    run_uplift(place.run(), DS)
    return place


@pytest.fixture(scope="session")
def publish_vectors() -> Callable[..., str]:
    """Publishes a release of given vectors, by type and key, as the stage would."""
    return _publish_vectors


def _publish_vectors(warehouse: Path, ds: str, types: dict[str, dict[str, list[float]]], **content: Any) -> str:
    from graphrep.contracts import Manifest
    from graphrep.lookup import keys as key_codec
    from graphrep.lookup import reader
    from graphrep.pipeline.release_arrays import TypeArrays, write_arrays
    from graphrep.store import releases
    from made_release import whole_content

    arrays = {}
    for node_type, rows in types.items():
        order, mapped = key_codec.arrange(list(rows))
        keys = [list(rows)[i] for i in order]
        vectors = np.array([rows[key] for key in keys], dtype=np.float32)
        own, count = mapped[key_codec.ROWS], np.arange(len(keys))
        own["scale"], own["degree"], own["age_days"] = 1, count + 1, count % 5
        own["source"], own["fallback"] = count % 4, count % 8 == 3
        mapped |= {reader.VECTORS: vectors, reader.PRIOR: vectors.mean(axis=0)}
        arrays[node_type] = TypeArrays(keys, vectors, mapped)
    whole = whole_content(ds, **{Manifest.NODE_TYPES: {t: a.summary() for t, a in arrays.items()}, **content})
    release_id, _ = releases.stage_release(warehouse, whole, lambda path: write_arrays(path, ds, arrays))
    at = dt.datetime.fromisoformat(f"{ds}T00:00:00+00:00") + dt.timedelta(days=1, hours=4)
    releases.switch(warehouse, release_id, expected=releases.read_pointer(warehouse), action=releases.PUBLISH, at=at)
    return release_id
