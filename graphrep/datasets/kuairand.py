"""KuaiRand-Pure (Gao et al., CIKM 2022): two weeks of a short-video feed, and what each user watched before.

Data days are the days that the source calls ``date``, China's, because published splits cut there:

* ``ts`` is China's clock (UTC+8) written as if it were UTC, so that the UTC day of ``ts`` is China's day.
* ``time_ms`` is when an exposure began, ``date`` the day on which it was logged, which is never earlier. An
  exposure that began before midnight and was logged after it gets the first millisecond of its ``date``: an
  event may be dated later than it happened, never earlier. In the two weeks from 2022-04-25 this moves 2,071
  of 228,329 exposures, half of them by less than six minutes.

Users, videos and authors are numbered apart, and the keys say which is which: ``u12``, ``v12``, ``a12``.
Exposures that the source repeats stay repeated.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from graphrep import vocab
from graphrep.contracts import Event
from graphrep.datasets.adapter import (
    Adapter,
    Day,
    Source,
    Tables,
    Times,
    days_of,
    integers,
    keys,
    moments,
    raw_rows,
    tables_of,
)
from graphrep.errors import InputError

HISTORY = "history"
VIEW = "view"
SKIP = "skip"

FLAGS = {
    "is_click": "click",
    "long_view": "long_view",
    "is_like": "like",
    "is_follow": "follow",
    "is_comment": "comment",
    "is_forward": "forward",
    "is_hate": "hate",
    "is_profile_enter": "profile_enter",
}
"""Flag of an exposure -> the action that it says the user took."""

EXPOSURES = Source(
    "log_standard_*.parquet",
    ("user_id", "video_id", "author_id", "date", "time_ms", "play_time_ms", *FLAGS),
    many=True,
)
SEQUENCES = Source("user_sequences_to_*.parquet", ("user_id", "watch_seq"), required=False)
AUTHORS = Source("video_features_basic_*.csv.gz", ("video_id", "author_id"), required=False)
"""The static table of videos. The one with counts over the whole period (item_features) is named nowhere."""

LOCAL_MS = 8 * 3_600_000
NOON_MS = vocab.DAY_MS // 2


def convert(tables: Tables) -> Iterator[Day]:
    """Raw rows of ``history`` (where the sequences are given), then of ``short_video``, day by day.

    Raises:
        InputError: a required file or a column is missing, a time is unreadable, or the history is not over
            before the first day of the log.
    """
    exposures = pa.concat_tables(_events(name, table) for name, table in tables_of(EXPOSURES, tables).items())
    days = list(days_of(vocab.SHORT_VIDEO, exposures))
    past = [day for name, table in tables_of(SEQUENCES, tables).items() for day in _history(name, table, tables)]
    if past and days and past[-1][1] >= days[0][1]:
        raise InputError(
            f"sequences that end before the log begins on {days[0][1]}",
            found=f"sequences up to {past[-1][1]}",
            fix="leave the sequences out of the folder, or add the log of the days before",
        )
    return iter([*past, *days])


def _events(name: str, exposures: pa.Table) -> pa.Table:
    """One row for each thing done in an exposure; ``skip`` where nothing was."""
    ts = _local_ts(name, exposures)
    played_ms = pc.fill_null(integers(exposures, "play_time_ms", name), 0)
    done = {VIEW: pc.greater(played_ms, 0)}
    for flag, action in FLAGS.items():
        done[action] = pc.fill_null(pc.not_equal(integers(exposures, flag, name), 0), False)
    done[SKIP] = pc.invert(_any(list(done.values())))
    watched_s = pc.divide(pc.cast(played_ms, pa.float64()), 1000.0)
    rows = raw_rows(
        ts,
        **{
            Event.USER_ID: keys("u", exposures["user_id"]),
            Event.ACTION: VIEW,
            Event.ITEM_ID: keys("v", exposures["video_id"]),
            Event.HOST_ID: keys("a", exposures["author_id"]),
            # Only a view lasts: on several rows the seconds of one exposure would be counted several times.
            Event.DURATION: watched_s,
        },
    )
    return pa.concat_tables(_as_action(rows.filter(mask), action) for action, mask in done.items())


def _any(masks: list[pa.ChunkedArray]) -> pa.ChunkedArray:
    either = masks[0]
    for mask in masks[1:]:
        either = pc.or_(either, mask)
    return either


def _as_action(rows: pa.Table, action: str) -> pa.Table:
    if action == VIEW:
        return rows
    values = {
        Event.ACTION: pa.repeat(action, rows.num_rows),
        Event.DURATION: pa.nulls(rows.num_rows, pa.float64()),
    }
    for column, value in values.items():
        rows = rows.set_column(rows.column_names.index(column), rows.schema.field(column), value)
    return rows


def _local_ts(name: str, exposures: pa.Table) -> Times:
    """China's clock in ms, not before the midnight that begins ``date``."""
    began = moments(exposures, "time_ms", name) + LOCAL_MS
    dates, place = np.unique(moments(exposures, "date", name), return_inverse=True)
    midnights = np.array([_midnight(str(date), name) for date in dates], dtype=np.int64)
    ts: Times = np.maximum(began, midnights[place])
    return ts


def _midnight(date: str, where: str) -> int:
    """``20220425`` or ``2022-04-25`` -> ms at which that day begins."""
    digits = date.replace("-", "")
    try:
        day = np.datetime64(f"{digits[:4]}-{digits[4:6]}-{digits[6:]}", "D")
    except ValueError:
        raise InputError("a day", found=repr(date), where=where) from None
    return int(day.astype(np.int64)) * vocab.DAY_MS


def _history(name: str, sequences: pa.Table, tables: Tables) -> Iterator[Day]:
    """The views of each user up to the day in the file's name.

    Their times are not known: all stand at noon of that day, and equal times are never an order.
    """
    found = re.search(r"\d{4}-\d{2}-\d{2}", name)
    if found is None:
        raise InputError("a day YYYY-MM-DD in the file name", found=name)
    videos = sequences["watch_seq"].combine_chunks()
    watched = pc.list_flatten(videos)
    watchers = pc.take(sequences["user_id"].combine_chunks(), pc.list_parent_indices(videos))
    rows = raw_rows(
        np.full(len(watched), _midnight(found.group(), name) + NOON_MS, dtype=np.int64),
        **{
            Event.USER_ID: keys("u", watchers),
            Event.ACTION: VIEW,
            Event.ITEM_ID: keys("v", watched),
            Event.HOST_ID: _authors_of(watched, tables),
        },
    )
    return days_of(HISTORY, rows)


def _authors_of(videos: pa.Array, tables: Tables) -> pa.ChunkedArray | pa.Array:
    """Host keys of videos; null where the static table is absent or does not know the video.

    The log knows authors too, and is not asked: it would tell which videos were still shown later.
    """
    for table in tables_of(AUTHORS, tables).values():
        place = pc.index_in(videos, value_set=pc.cast(table["video_id"], videos.type))
        return keys("a", pc.take(table["author_id"], place))
    return pa.nulls(len(videos), pa.string())


ADAPTER = Adapter("kuairand", (EXPOSURES, SEQUENCES, AUTHORS), convert)
