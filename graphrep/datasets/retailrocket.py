"""RetailRocket, the multi-behaviour edition: views, carts and purchases of a web shop, in seconds UTC.

The source keeps one row per (user, item, behaviour), the last one, so a view may stand after the purchase
that it led to. The held-out purchases (``buy_test.csv.gz``) are no log and are left out.
"""

from __future__ import annotations

from collections.abc import Iterator

from graphrep import vocab
from graphrep.contracts import Event
from graphrep.datasets.adapter import (
    Adapter,
    Day,
    Source,
    Tables,
    days_of,
    keys,
    moments,
    raw_rows,
    tables_of,
)

EVENTS = Source("events_train.csv.gz", ("user", "item", "behavior", "timestamp"))


def convert(tables: Tables) -> Iterator[Day]:
    """The events as raw rows of ``ecommerce``: users ``u…``, products ``p…``, behaviours as actions.

    Raises:
        InputError: the file or a column is missing, or a time is no whole number.
    """
    ((name, events),) = tables_of(EVENTS, tables).items()
    rows = raw_rows(
        moments(events, "timestamp", name) * 1000,
        **{
            Event.USER_ID: keys("u", events["user"]),
            Event.ACTION: events["behavior"],
            Event.ITEM_ID: keys("p", events["item"]),
        },
    )
    return days_of(vocab.ECOMMERCE, rows)


ADAPTER = Adapter("retailrocket", (EVENTS,), convert)
