"""Twitch broadcasts of July 2019: when each of 16,578 hosts went live, for how long, with which games.

A session becomes rows of two actions, each at the moment when it could be known:

* ``go_live`` at its start says who and when, and nothing else;
* ``broadcast`` at its end, one row per game: the session's ``duration`` in s and its ``value``, the minutes that all
  viewers together watched. The source does not say how they fall on the games: each has an equal part, so that sums
  over rows are the session's.

The host is the user and the host of both: ``c`` and the first 16 hex digits of the sha256 of the channel's name.
Names are public and are not written; who holds a list of names can find them again. ``room_id`` is Twitch's stream id.

* Times stand by the minute and state no zone; they are taken as UTC.
* A length of zero is one below the source's resolution: such a session ends when it starts.
* A negative length ends no earlier than it starts; its row is left for the logs stage to refuse, as are rows without
  a channel. A session without a start or a length cannot be placed in time, and the file is refused.
* Stream ids that the source repeats stay repeated.
* The other files, monthly totals by channel and game, look ahead and are named nowhere.
"""

from __future__ import annotations

import hashlib
import html
import re
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from graphrep.contracts import Event
from graphrep.datasets.adapter import (
    Adapter,
    Day,
    Source,
    Tables,
    Times,
    days_of,
    instants,
    integers,
    moments,
    raw_rows,
    tables_of,
)

GOLIVE = "golive"
GO_LIVE = "go_live"
BROADCAST = "broadcast"

SESSIONS = Source("sessions.csv*", ("channel", "stream_id", "start_time", "length_min", "watch_min", "games"))

MINUTE_MS = 60_000
BETWEEN_GAMES = re.compile(r",(?!\s|000)")
"""A comma inside a name is followed by a blank (``Papers, Please``) or by three zeros (``Warhammer 40,000``)."""


def convert(tables: Tables) -> Iterator[Day]:
    """The sessions as raw rows of ``golive``, day by day.

    Raises:
        InputError: the file or a column is missing, a time or a number is unreadable, or a start or a length is null.
    """
    ((name, sessions),) = tables_of(SESSIONS, tables).items()
    start = instants(sessions, "start_time", name)
    who = {
        Event.USER_ID: (host := _host_keys(sessions["channel"])),
        Event.HOST_ID: host,
        Event.ROOM_ID: pc.cast(sessions["stream_id"], pa.string()),
    }
    began = raw_rows(start, **who, **{Event.ACTION: GO_LIVE})
    ended = _broadcasts(name, sessions, start, who)
    return days_of(GOLIVE, pa.concat_tables([ended, began], promote_options="default"))


def _broadcasts(name: str, sessions: pa.Table, start: Times, who: dict[str, pa.ChunkedArray]) -> pa.Table:
    """One row for each session and game, at the session's end; a session without a game has one row."""
    minutes = moments(sessions, "length_min", name)
    watched = integers(sessions, "watch_min", name)
    games = _game_lists(sessions["games"])
    row = pc.list_parent_indices(games)
    share = 1.0 / pc.take(pc.list_value_length(games), row).to_numpy()
    end = start + np.maximum(minutes, 0) * MINUTE_MS
    return raw_rows(
        end[row],
        **{column: pc.take(values, row) for column, values in who.items()},
        **{
            Event.ACTION: BROADCAST,
            Event.ITEM_ID: pc.list_flatten(games),
            Event.DURATION: pa.array(minutes[row] * 60 * share),
            Event.VALUE: pc.multiply(pc.take(watched, row), pa.array(share)),
        },
    )


def _host_keys(channels: pa.ChunkedArray) -> pa.Array:
    """Hashes in place of names; null where there is no name."""
    coded = pc.cast(channels, pa.string()).combine_chunks().dictionary_encode()
    hashes = [f"c{hashlib.sha256(n.encode()).hexdigest()[:16]}" if n else None for n in coded.dictionary.to_pylist()]
    return pc.take(pa.array(hashes, pa.string()), coded.indices)


def _game_lists(games: pa.ChunkedArray) -> pa.Array:
    """Each session's games, every one once; ``[null]`` where there is none."""
    coded = pc.fill_null(pc.cast(games, pa.string()), "").combine_chunks().dictionary_encode()
    lists: list[list[str | None]] = [
        [*dict.fromkeys(split_games(text))] or [None] for text in coded.dictionary.to_pylist()
    ]
    return pc.take(pa.array(lists, pa.list_(pa.string())), coded.indices)


def split_games(text: str) -> list[str]:
    """The names in a comma list, as the source's pages show them.

    Example:
        >>> split_games("Papers, Please,Food &amp; Drink")
        ['Papers, Please', 'Food & Drink']
    """
    return [html.unescape(name) for name in BETWEEN_GAMES.split(text) if name]


ADAPTER = Adapter("twitch-golive", (SESSIONS,), convert)
