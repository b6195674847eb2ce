"""Which days a run reads: each on which anything happened, up to the cut-off, and never the label day."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphrep.errors import InputError
from graphrep.pipeline.context import add_days, day_range
from graphrep.pipeline.window import plan_window

DS = "2026-03-10"
Tables = dict[str, tuple[Sequence[str], bool]]


@st.composite
def tables(draw: st.DrawFn) -> Tables:
    """One table with a day before the cut-off; others that begin anywhere; optional ones with holes."""
    made: Tables = {"first": (day_range(add_days(DS, -draw(st.integers(1, 40))), DS), True)}
    for n in range(draw(st.integers(0, 3))):
        days = day_range(add_days(DS, -draw(st.integers(-3, 50))), add_days(DS, draw(st.integers(0, 3))))
        required = bool(days) and draw(st.booleans())
        made[f"t{n}"] = (days if required else [d for d in days if draw(st.booleans())], required)
    return made


@given(tables=tables(), window_days=st.integers(1, 40), holdout_days=st.integers(0, 1))
@settings(max_examples=200, deadline=None)
def test_days_with_rows_are_read_up_to_the_cut_off(tables: Tables, window_days: int, holdout_days: int) -> None:
    window = plan_window(DS, window_days=window_days, holdout_days=holdout_days, tables=tables)
    reach = day_range(add_days(window.last, 1 - window_days), window.last)
    assert list(window.days) == [day for day in reach if any(day in days for days, _ in tables.values())]
    assert window.last == add_days(DS, -holdout_days)
    assert window.label_day == add_days(window.last, 1)
    assert window.label_day not in window.days
    if holdout_days:
        assert window.label_day == DS
        assert all(day < DS for day in window.days)
    assert 1 <= len(window.days) <= window_days


@given(data=st.data(), tables=tables(), window_days=st.integers(2, 40), holdout_days=st.integers(0, 1))
@settings(max_examples=100, deadline=None)
def test_a_hole_in_a_required_table_is_an_error_exactly_when_its_day_is_read(
    data: st.DataObject, tables: Tables, window_days: int, holdout_days: int
) -> None:
    days = list(tables["first"][0])
    if len(days) < 2:
        return
    gone = data.draw(st.sampled_from(days[1:]))
    whole = plan_window(DS, window_days=window_days, holdout_days=holdout_days, tables=tables)
    holed = {**tables, "first": ([d for d in days if d != gone], True)}
    if gone in whole.days or gone == DS:
        with pytest.raises(InputError, match=rf"rows of 'first' for the day {gone}"):
            plan_window(DS, window_days=window_days, holdout_days=holdout_days, tables=holed)
    else:
        assert plan_window(DS, window_days=window_days, holdout_days=holdout_days, tables=holed) == whole


def test_the_label_day_of_a_required_table_must_be_there() -> None:
    days = day_range("2026-03-01", "2026-03-09")
    with pytest.raises(InputError, match=r"rows of 'live' for the day 2026-03-10, found days 2026-03-01 to 2026-03-09"):
        plan_window(DS, window_days=5, holdout_days=1, tables={"live": (days, True)})


def test_a_table_that_begins_later_is_fine() -> None:
    tables: Tables = {
        "old": (day_range("2026-03-01", DS), True),
        "new": (["2026-03-08", "2026-03-09", DS], True),
        "newest": ([DS], True),
        "after": (["2026-03-11"], True),
    }
    window = plan_window(DS, window_days=28, holdout_days=1, tables=tables)
    assert (window.first, window.last) == ("2026-03-01", "2026-03-09")


def test_a_table_that_is_not_required_may_have_holes_or_no_day() -> None:
    tables: Tables = {
        "live": (day_range("2026-03-05", DS), True),
        "search": (["2026-03-02", "2026-03-06"], False),
        "none": ([], False),
    }
    window = plan_window(DS, window_days=28, holdout_days=1, tables=tables)
    assert window.first == "2026-03-02", "its history counts nevertheless"


def test_a_required_table_without_a_day_is_named() -> None:
    tables: Tables = {"live": (day_range("2026-03-01", DS), True), "shop": ([], True)}
    with pytest.raises(InputError, match=r"rows of 'shop' for the day 2026-03-01, found no day \[--ds 2026-03-10\]"):
        plan_window(DS, window_days=28, holdout_days=1, tables=tables)


@pytest.mark.parametrize(
    ("days", "found"), [([], "no day at all"), ([DS], f"logs that begin {DS}"), (["2026-03-12"], "begin 2026-03-12")]
)
def test_no_day_before_the_cut_off_is_an_error(days: list[str], found: str) -> None:
    with pytest.raises(InputError, match=rf"logs of 2026-03-09 or before, found .*{found} \[--ds {DS}\]"):
        plan_window(DS, window_days=28, holdout_days=1, tables={"live": (days, True)})


def test_days_between_an_old_history_and_the_log_are_left_out() -> None:
    tables: Tables = {"history": (["2026-03-01"], False), "log": (day_range("2026-03-07", DS), True)}
    window = plan_window(DS, window_days=28, holdout_days=1, tables=tables)
    assert window.days == ("2026-03-01", "2026-03-07", "2026-03-08", "2026-03-09")


def test_a_window_without_any_row_is_refused() -> None:
    with pytest.raises(InputError, match="no day with any"):
        plan_window(DS, window_days=3, holdout_days=1, tables={"history": (["2026-03-01"], False)})
