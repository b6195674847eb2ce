"""The segments of the dictionary go on where those before them end, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from graphrep.errors import StoreError
from graphrep.pipeline.ids import Span, next_free

ONE: list[Span] = [("000001", "host", 3, 0, 2), ("000001", "user", 10, 0, 9)]
TWO: list[Span] = [*ONE, ("000002", "user", 5, 10, 14), ("000002", "video", 1, 0, 0)]


def test_the_next_free_index_is_that_after_the_last_of_each_type() -> None:
    assert next_free([], Path("ids")) == {}
    assert next_free(ONE, Path("ids")) == {"host": 3, "user": 10}
    assert next_free(TWO, Path("ids")) == {"host": 3, "user": 15, "video": 1}


@pytest.mark.parametrize(
    "odd",
    [
        ("000003", "user", 5, 10, 14),  # copied
        ("000003", "user", 5, 16, 20),  # one before it was lost
        ("000003", "user", 6, 15, 19),  # a row twice
        ("000003", "user", 4, 15, 19),  # a row lost
        ("000003", "user", 5, 16, 19),  # the first lost and another twice
        ("000003", "query", 2, 1, 2),
    ],
)
def test_a_segment_that_does_not_fit_is_named(odd: Span) -> None:
    with pytest.raises(StoreError, match=r"segment 000003 .* from \d+, found indices \d+ to \d+ \[ids/000003\]; "):
        next_free([*TWO, odd], Path("ids"))
