"""Training rows get what was current at their instant: compared with walking through the log, line by line."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphrep.contracts import Manifest
from graphrep.errors import InputError
from graphrep.lookup import asof, open_release
from graphrep.lookup.denied import rows_of
from graphrep.pipeline.asof import join_pandas
from graphrep.store import releases
from graphrep.store.denied import deny
from published_rows import publish_rows

START = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
ENTRIES = st.lists(st.tuples(st.integers(0, 20), st.integers(1, 4)), max_size=12)


def after(hours: int) -> dt.datetime:
    return START + dt.timedelta(hours=hours)


def walked(entries: Sequence[Mapping[str, Any]], at: dt.datetime) -> str:
    """The release that was current: line by line, none of which takes effect before the one above it."""
    current, clock = "", dt.datetime.min.replace(tzinfo=dt.UTC)
    for entry in entries:
        clock = max(clock, dt.datetime.fromisoformat(entry["at"]))
        if clock <= at:
            current = entry["to"]
    return current


@given(lines=ENTRIES, asked=st.lists(st.integers(-2, 23), max_size=30), zone=st.integers(-12, 14))
@settings(max_examples=200, deadline=None)
def test_the_current_release_of_an_instant_is_that_of_the_log(
    lines: list[tuple[int, int]], asked: list[int], zone: int
) -> None:
    here = dt.timezone(dt.timedelta(hours=zone))
    entries = [{"at": after(h).astimezone(here).isoformat(), "to": f"2026-03-0{day}.1"} for h, day in lines]
    line = asof.Timeline.from_log(entries)
    times = np.array([after(h).replace(tzinfo=None) for h in asked], dtype="datetime64[us]")
    expected = [walked(entries, after(h)) for h in asked]
    assert line.at(times).tolist() == expected
    assert line.at(times.astype("datetime64[h]")).tolist() == expected
    assert line.at(times.astype(np.int64)).tolist() == expected
    assert line.at(np.array(["NaT"], "datetime64[s]")).tolist() == [""]


class History:
    """Four days whose releases are made current, and rolled back, at known hours."""

    def __init__(self, warehouse: Path) -> None:
        self.warehouse = warehouse
        ttl = {Manifest.TTL_DAYS: {"user": 1}}
        both = {Manifest.TTL_DAYS: {"user": 1, "host": 1}}
        for hour, ds, x in [(8, "2026-03-01", 1), (32, "2026-03-02", 2)]:
            publish_rows(warehouse, ds, {"user": {"u": [x, x], f"only{x}": [-x, x]}}, at=after(hour), **ttl)
        releases.rollback(warehouse, "2026-03-01.1", at=after(34))
        publish_rows(warehouse, "2026-03-03", {"user": {"u": [3, 3]}, "host": {"h": [9, 9]}}, at=after(56), **both)

    def as_of(self, pairs: Sequence[tuple[str, int]], node_type: str = "user") -> asof.AsOf:
        times = np.array([after(hour).replace(tzinfo=None) for _, hour in pairs], dtype="datetime64[s]")
        return asof.vectors_as_of(self.warehouse, node_type, [key for key, _ in pairs], times)


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(tmp_path)


def test_a_row_gets_the_vector_that_was_current_rollbacks_included(history: History) -> None:
    found = history.as_of([("u", 7), ("u", 8), ("u", 33), ("u", 34), ("u", 56), ("only2", 33), ("only2", 34)])
    assert found.release_id.tolist() == [""] + [f"2026-03-0{d}.1" for d in (1, 2, 1, 3, 2, 1)]
    assert np.isnan(found.vectors[0]).all()
    assert found.vectors[1:5, 0].round(4).tolist() == [1, 2, 1, 3]
    assert found.vectors[5].round(4).tolist() == [-2, 2]
    prior = open_release(history.warehouse, "2026-03-01.1").get("user", ["nobody"]).vectors[0]
    assert found.vectors[6].tolist() == prior.tolist()
    assert found.found.tolist() == [False, True, True, True, True, True, False]
    assert found.fallback.tolist() == [True, False, False, False, False, False, True]
    assert found.source.tolist() == ["", "graph", "graph", "graph", "graph", "graph", "prior"]


@given(asked=st.lists(st.tuples(st.sampled_from(["u", "only1", "only2", "no"]), st.integers(0, 80)), max_size=12))
@settings(max_examples=25, deadline=None)
def test_rows_joined_together_are_as_each_read_from_its_own_release(
    asked: list[tuple[str, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    warehouse = tmp_path_factory.getbasetemp() / "as-of"
    made = History(warehouse) if not warehouse.exists() else None
    history = made or History.__new__(History)
    history.warehouse = warehouse
    found, entries = history.as_of(asked), releases.read_log(warehouse)
    for i, (key, hour) in enumerate(asked):
        name = walked(entries, after(hour))
        assert found.release_id[i] == name
        if name:
            hit = open_release(warehouse, name).get("user", [key], ds=after(hour).date().isoformat())
            for column in ("found", "fallback", "source", "age_days", "expired"):
                assert getattr(found, column)[i] == getattr(hit, column)[0], column
            np.testing.assert_array_equal(found.vectors[i], hit.vectors[0])


def test_vectors_that_were_too_old_on_their_day_are_flagged(history: History) -> None:
    found = history.as_of([("u", 34), ("u", 47), ("u", 48), ("u", 24 * 9), ("no", 24 * 9)])
    assert found.expired.tolist() == [False, False, True, True, False]
    assert found.fallback.tolist() == [False, False, True, True, True]


def test_logged_ids_are_joined_without_times(history: History) -> None:
    ids = ["2026-03-02.1", "", "2026-03-01.1"]
    found = asof.vectors_of(history.warehouse, "user", ["u", "u", "only1"], ids)
    assert found.found.tolist() == [True, False, True]
    assert found.vectors[[0, 2]].round(4).tolist() == [[2, 2], [-1, 1]]


def test_a_type_that_came_later_has_no_vectors_before(history: History) -> None:
    found = history.as_of([("h", 40), ("h", 60)], node_type="host")
    assert np.isnan(found.vectors[0]).all()
    assert found.vectors[1].round(4).tolist() == [9, 9]


def test_an_erased_key_enters_no_training_set(history: History) -> None:
    deny(history.warehouse, rows_of({"user": ["u"]}))
    assert not history.as_of([("u", 8), ("u", 60)]).found.any()


def test_what_cannot_be_joined_is_refused(history: History) -> None:
    with pytest.raises(InputError, match="releases"):
        asof.vectors_of(history.warehouse, "user", ["u"], ["2026-02-01.1"])
    with pytest.raises(InputError, match="2 keys, 1 of the other"):
        asof.vectors_of(history.warehouse, "user", ["u", "v"], ["2026-03-01.1"])
    with pytest.raises(InputError, match="times in UTC"):
        asof.vectors_as_of(history.warehouse, "user", ["u"], ["2026-03-01"])
    publish_rows(history.warehouse, "2026-03-04", {"user": {"u": [1, 1]}}, at=after(80), **{Manifest.SPACE_ID: "new"})
    with pytest.raises(InputError, match=r"share one space, found new \(2026-03-04.1\), s \(2026-03-03.1\)"):
        history.as_of([("u", 60), ("u", 90)])


def test_rows_of_a_pandas_frame_keep_their_index_and_zone(history: History) -> None:
    times = pd.to_datetime([after(h) for h in (33, 34, 7, 60)]).tz_convert("Asia/Shanghai")
    frame = pd.DataFrame({"who": ["only2", "u", "u", None], "at": times, "y": [1, 0, 1, 0]}, index=[5, 3, 9, 1])
    out = join_pandas(frame, history.warehouse, node_type="user", key="who", time="at", into="v")
    assert list(out.index) == [5, 3, 9, 1]
    assert list(out.columns[:3]) == ["who", "at", "y"]
    assert [None if v is None else v.round(4).tolist() for v in out["v"]] == [[-2, 2], [1, 1], None, None]
    assert out["v_release_id"].tolist() == ["2026-03-02.1", "2026-03-01.1", "", ""]
    logged = out.drop(columns=[c for c in out if str(c).startswith("v")]).assign(shown=out["v_release_id"])
    logged.loc[1, "shown"] = "2026-03-03.1"  # logged without a key: there is nothing to be told
    again = join_pandas(logged, history.warehouse, node_type="user", key="who", release_id="shown", into="v")
    assert again["v_found"].tolist() == out["v_found"].tolist()
    assert again["v_release_id"].tolist() == out["v_release_id"].tolist()
    with pytest.raises(InputError, match="either a column of times or one of releases"):
        join_pandas(frame, history.warehouse, node_type="user", key="who")
