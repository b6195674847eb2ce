"""Did the user go on? Sessions of one user on one surface, and the next confirming event inside them.

A list that was loaded and left tells of nothing: its last items were never seen (KDD Cup 2012 track 1: session
analysis removed eight of nine "negatives"). An event counts as seen when the same user, in the same session, does
something that proves it **strictly later**: events of equal times have no order, so none confirms another. A pause
longer than the gap ends a session, and so does midnight, because a day is computed from its own events.
"""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from graphrep.contracts import Event

Proof = tuple[str, tuple[str, ...]]
"""A surface and the actions on it that confirm."""

MINUTE_MS = 60_000
_ENDS = "_session_ends"
_LAST = "_last_before_pause"
_NEXT = "_next_"


def with_next(events: DataFrame, proofs: Sequence[Proof], gap_minutes: float) -> DataFrame:
    """Add to each event its session's end and, per proof, the time of the next confirming event strictly later.

    Args:
        events: every event of the surfaces in question, whatever the action.
        proofs: what confirms, each once.
        gap_minutes: a pause longer than this ends a session.
    """
    # Newest first: what is still to come has then been met, and each frame grows by one row at a time.
    newest_first = Window.partitionBy(Event.USER_ID, Event.DOMAIN, Event.DS).orderBy(F.col(Event.TS).desc())
    so_far = newest_first.rangeBetween(Window.unboundedPreceding, Window.currentRow)
    later = newest_first.rangeBetween(Window.unboundedPreceding, -1)
    pause = F.lag(Event.TS).over(newest_first) - F.col(Event.TS)
    is_last = pause.isNull() | (pause > round(gap_minutes * MINUTE_MS))
    marked = events.withColumn(_LAST, F.when(is_last, F.col(Event.TS)))
    added = {_ENDS: F.min(_LAST).over(so_far)}
    for place, (domain, actions) in enumerate(proofs):
        proves = F.when((F.col(Event.DOMAIN) == domain) & F.col(Event.ACTION).isin(*actions), F.col(Event.TS))
        added[f"{_NEXT}{place}"] = F.min(proves).over(later)
    return marked.withColumns(added)


def is_confirmed(place: int) -> Column:
    """Whether an event of the proof at this place follows inside the session; on a frame of :func:`with_next`."""
    return F.coalesce(F.col(f"{_NEXT}{place}") <= F.col(_ENDS), F.lit(False))
