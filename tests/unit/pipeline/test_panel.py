"""What knows its own day is refused: vectors of the day, and any panel whose rows say so."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from graphrep.contracts import PANEL, Panel
from graphrep.contracts.uplift import COVARIATES
from graphrep.errors import InputError
from graphrep.pipeline.panel import check_panel
from graphrep.pipeline.panel_vectors import Source, newest_before, with_vectors

DAY, BEFORE = "2026-03-05", "2026-03-04"


def rows(*hosts: str, **other: Any) -> pa.Table:
    plain = {column.name: None for column in PANEL.columns} | dict.fromkeys(COVARIATES, 1.0)
    own = {Panel.FAMILY: "nudge", Panel.DS: DAY, Panel.IS_NEW: 0, Panel.LIVE_BEFORE: 0.0, Panel.AS_OF: BEFORE}
    return pa.Table.from_pylist([{**plain, **own, Panel.HOST: host, **other} for host in hosts], schema=PANEL.schema)


def source(ds: str) -> Source:
    keys = pa.array(["b", "a"], pa.string())
    return Source(ds, f"{ds}.1", "s", lambda: (keys, pa.array([[2.0, 2.5], [1.0, 1.5]], pa.list_(pa.float32()))))


def test_vectors_are_joined_by_key_and_a_host_that_is_not_in_the_graph_has_none() -> None:
    found = with_vectors(rows("a", "x", "b"), source(BEFORE))
    check_panel(found)
    assert found[Panel.EMBEDDING].to_pylist() == [[1.0, 1.5], None, [2.0, 2.5]]
    assert found[Panel.EMBEDDING_DS].to_pylist() == [BEFORE, None, BEFORE]
    assert found[Panel.EMBEDDING_SPACE].to_pylist() == ["s", None, "s"]
    assert with_vectors(rows("a"), None).equals(rows("a"))


@pytest.mark.parametrize("ds", [DAY, "2026-03-06"])
def test_a_release_of_the_decision_day_is_refused(ds: str) -> None:
    found = rf"found those of {ds} \({ds}.1\) \[panel, decision of {DAY}\]"
    line = f"^expected vectors of a day before the decision day, {found}"
    with pytest.raises(InputError, match=line):
        with_vectors(rows("a"), source(ds))


def test_the_newest_day_before_is_chosen() -> None:
    found = {ds: source(ds) for ds in ("2026-03-02", BEFORE, DAY)}
    assert [own and own.ds for own in (newest_before(found, d) for d in ("2026-03-02", "2026-03-04", DAY))] == [
        None,
        "2026-03-02",
        BEFORE,
    ]


@pytest.mark.parametrize("name", [Panel.AS_OF, Panel.EMBEDDING_DS])
def test_a_row_that_knows_its_own_day_is_refused(name: str) -> None:
    check_panel(rows("a", **{name: BEFORE}))
    with pytest.raises(InputError, match=f"expected {name} before the decision day, found {DAY} for {DAY}, in 2 rows"):
        check_panel(pa.concat_tables([rows("c"), rows("a", "b", **{name: DAY})]))


def test_a_host_day_that_comes_twice_is_refused() -> None:
    with pytest.raises(InputError, match=r"expected one row per \('family', 'ds', 'host_id'\), found 1 repeated rows"):
        check_panel(rows("a", "b", "a"))
    check_panel(pa.concat_tables([rows("a"), rows("a", family="exposure")]))
