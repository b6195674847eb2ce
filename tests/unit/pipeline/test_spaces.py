"""A basis that is changed on purpose: another name, another dimension; the old one's ranker reads on for a while.

The graphs of three days are made here, as stage ``graph`` leaves them, so that no Spark is needed.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import yaml

from graphrep import vocab
from graphrep.config import load_config
from graphrep.contracts import NODE, NODE_ACTIVITY, Adjacency, Manifest
from graphrep.errors import InputError
from graphrep.lookup import Release, open_release
from graphrep.pipeline import spaces
from graphrep.pipeline.context import Run
from graphrep.pipeline.load import ARRAY_TYPES, load_graph
from graphrep.pipeline.run import run_stage
from graphrep.store import runlog, tables
from graphrep.store.files import staged_directory

CONFIGS = Path(__file__).resolve().parents[3] / "configs"
AT = dt.datetime(2026, 3, 31, 12, tzinfo=dt.UTC)
GREEN: dict[str, Any] = {"colour": "green", "reasons": [], "checks": []}
FIRST, SECOND, THIRD = DAYS = ("2026-03-03", "2026-03-04", "2026-03-05")
USERS, HOSTS = 240, 60


class Place:
    """A warehouse with the graphs of three days, whose settings may change in between."""

    def __init__(self, root: Path) -> None:
        self.root, self.warehouse = root, root / "warehouse"
        self.configure()
        users = [FIRST] * 200 + [SECOND] * 20 + [THIRD] * 20
        ids = [(vocab.USER, f"u{i}", i, ds) for i, ds in enumerate(users)]
        ids += [(vocab.HOST, f"h{i}", i, FIRST) for i in range(HOSTS)]
        names = [column.name for column in NODE.columns]
        write_rows(self.warehouse / tables.IDS / "000001", NODE.schema, names, ids)
        for day, ds in enumerate(DAYS):
            self._graph(ds, day, users.index(DAYS[day + 1]) if day < 2 else USERS)

    def configure(self, dual_days: int = 7, **embed: Any) -> None:
        settings = {
            "extends": str(CONFIGS / "local.yaml"),
            "embed": {"dim": 8, **embed},
            "publish": {"dual_days": dual_days},
            "cold_start": {"buckets": [0]},
        }
        (self.root / "config.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")

    def run(self) -> Run:
        config = load_config(self.root / "config.yaml", logs=self.root / "logs", warehouse=self.warehouse)
        return Run(config, today=AT.date())

    def _graph(self, ds: str, day: int, users: int) -> None:
        """Users of six tastes watch hosts; every day some of it is new."""
        rng = np.random.default_rng(0)
        close = (
            rng.normal(size=(USERS, 6)) @ rng.normal(size=(6, HOSTS)) + 0.5 * rng.normal(size=(3, USERS, HOSTS))[day]
        )
        src, dst = np.nonzero(close[:users] > 2)
        columns = {Adjacency.SRC: src, Adjacency.DST: dst, Adjacency.WEIGHT: np.ones(len(src))}
        columns[Adjacency.TIME] = np.full(len(src), 1772000000)
        with staged_directory(tables.partition(self.warehouse, tables.ARRAYS, ds)) as staging:
            tables.save_columns(staging, "watches_live_of", ARRAY_TYPES, len(src), [columns])
        degrees = {vocab.USER: np.bincount(src, minlength=users), vocab.HOST: np.bincount(dst, minlength=HOSTS)}
        rows = [
            (kind, f"{kind[0]}{i}", i, 1, int(degree), 1772000000000)
            for kind, own in degrees.items()
            for i, degree in enumerate(own)
        ]
        names = [column.name for column in NODE_ACTIVITY.columns]
        write_rows(tables.partition(self.warehouse, tables.NODES, ds), NODE_ACTIVITY.schema, names, rows)
        built = {"edges": {"watches_live_of": len(src)}, "window": [FIRST, ds], "inputs": {}, "label_day": ds}
        runlog.record_stage(self.warehouse, ds, vocab.GRAPH, {runlog.FINGERPRINT: ds, **built})


def write_rows(path: Path, schema: pa.Schema, names: list[str], rows: list[tuple[Any, ...]]) -> None:
    columns = {name: [row[i] for row in rows] for i, name in enumerate(names)}
    with staged_directory(path) as staging:
        tables.save_parquet(staging / "part-0.parquet", pa.table(columns, schema=schema))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """The first day published in the space ``main``."""
    made = Place(tmp_path)
    published(made, FIRST)
    return made


def published(place: Place, ds: str) -> Release:
    """Whatever the gates would say."""
    run = place.run()
    run_stage(run, vocab.EMBED, ds, at=AT)
    runlog.record_stage(place.warehouse, ds, vocab.EVALUATE, {"gate": GREEN, "quality": []})
    run_stage(run, vocab.PUBLISH, ds, at=AT)
    return open_release(place.warehouse)


def cosine(before: Release, now: Release, space_id: str) -> float:
    """Mean over users that have a vector of the walk's own in both."""
    keys = before.keys("user")
    old, new = before.get("user", keys), now.in_space(space_id).get("user", keys)
    own = (old.source == vocab.OWN) & (new.source == vocab.OWN)
    x, y = old.vectors[own], new.vectors[own]
    return float(((x * y).sum(1) / np.linalg.norm(x, axis=1) / np.linalg.norm(y, axis=1)).mean())


def test_another_name_begins_a_space_that_the_old_ranker_reads_through_a_map(place: Place) -> None:
    old = open_release(place.warehouse)
    place.configure()
    same = published(place, SECOND)
    assert same.space_id == old.space_id
    assert same.manifest[Manifest.MAPS] == {}
    place.configure(space="spring")
    new = published(place, SECOND)
    assert new.space_id != old.space_id
    assert (new.manifest[Manifest.PARENT], new.manifest[Manifest.ALIGNMENT]) == (None, None)
    told = new.manifest[Manifest.MAPS][old.space_id]
    assert told["until"] == "2026-03-10"
    assert 0 < told["held_out_residual"] < 1
    # The map does for the new space what turning does for one that goes on.
    assert cosine(old, new, old.space_id) > cosine(old, same, old.space_id) - 0.02

    later = published(place, THIRD)
    assert later.space_id == new.space_id
    assert later.manifest[Manifest.MAPS] == new.manifest[Manifest.MAPS]
    np.testing.assert_array_equal(later.in_space(old.space_id).back, new.in_space(old.space_id).back)


def test_maps_are_joined_over_two_changes_and_dimensions(place: Place) -> None:
    old = open_release(place.warehouse)
    place.configure(space="spring")
    new = published(place, SECOND)
    place.configure(space="spring", dim=12)
    newer = published(place, THIRD)
    assert set(newer.manifest[Manifest.MAPS]) == {old.space_id, new.space_id}
    step, both = newer.in_space(new.space_id).back, newer.in_space(old.space_id).back
    assert step.shape == (12, 8)
    np.testing.assert_allclose(both, step @ new.in_space(old.space_id).back, atol=1e-6)
    assert newer.in_space(old.space_id).get("user", ["nobody"]).vectors.shape == (1, 8)


def test_a_map_goes_after_its_days(place: Place) -> None:
    old = open_release(place.warehouse)
    place.configure(dual_days=1, space="spring")
    assert set(published(place, SECOND).manifest[Manifest.MAPS]) == {old.space_id}
    last = published(place, THIRD)
    assert last.manifest[Manifest.MAPS] == {}
    with pytest.raises(InputError, match="expected a space of"):
        last.in_space(old.space_id)


def test_anchors_have_edges_on_both_days_and_are_old_enough_where_there_are_such(place: Place) -> None:
    before = open_release(place.warehouse)

    def chosen(**anchors: int) -> dict[str, Any]:
        place.configure(anchors={"min_degree": 0, "min_age_days": 0, **anchors})
        run = place.run()
        found = spaces.anchors_in(run, SECOND, load_graph(run, SECOND), before)
        assert found is not None
        return {kind: x.any(axis=1) for kind, x in found.items()}

    day = load_graph(place.run(), SECOND)
    every, joined = chosen(), chosen(min_degree=6)
    for kind in before.types:
        nodes = day.nodes[kind]
        least = np.minimum(nodes.degree, before.get(kind, nodes.keys).degree)
        np.testing.assert_array_equal(joined[kind], every[kind] & (least >= 6))
    assert sum(x.sum() for x in joined.values()) < sum(x.sum() for x in every.values())
    young = spaces.first_younger(place.run(), FIRST)
    assert young["user"] < len(day.nodes["user"])
    for kind, own in chosen(min_degree=6, min_age_days=1).items():
        np.testing.assert_array_equal(own, joined[kind] & (day.nodes[kind].index < young[kind]))
    # Nobody is so old, nobody so busy: any age, then any degree.
    for kind in every:
        np.testing.assert_array_equal(chosen(min_degree=6, min_age_days=99)[kind], joined[kind])
        np.testing.assert_array_equal(chosen(min_degree=9999)[kind], every[kind])
