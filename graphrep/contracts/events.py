"""``log_event_v1``: one row per thing a user did on any surface; ``quarantine_v1``: the rows that were not."""

from __future__ import annotations

from graphrep.contracts.table import Column, Contract


class Event:
    """Column names of ``log_event_v1``."""

    EVENT_ID = "event_id"
    TS = "ts"
    DS = "ds"
    DOMAIN = "domain"
    USER_ID = "user_id"
    ACTION = "action"
    ITEM_TYPE = "item_type"
    ITEM_ID = "item_id"
    VALUE = "value"
    DURATION = "duration"
    QUERY = "query"
    HOST_ID = "host_id"
    ROOM_ID = "room_id"


LOG_EVENT = Contract(
    name="log_event_v1",
    grain=(Event.DS, Event.EVENT_ID),
    owner="data engineering",
    meaning="one checked event of one user on one surface; a day holds only its own events",
    columns=(
        Column(Event.EVENT_ID, "string", "unique within its day; derived from the row where the source has none"),
        Column(Event.TS, "int64", "when it happened", "ms since 1970-01-01 UTC"),
        Column(Event.DS, "string", "data day of ts", "YYYY-MM-DD, UTC"),
        Column(Event.DOMAIN, "string", "surface: short_video, live, ecommerce, search, …"),
        Column(Event.USER_ID, "string", "who did it"),
        Column(Event.ACTION, "string", "what was done; declared per surface in the configuration"),
        Column(Event.ITEM_TYPE, "string", "node type of item_id", nullable=True),
        Column(Event.ITEM_ID, "string", "what it was done to", nullable=True),
        Column(Event.VALUE, "float64", "money, gift value, rating; ≥ 0", "source's unit", nullable=True),
        Column(Event.DURATION, "float64", "time spent; ≥ 0", "s", nullable=True),
        Column(Event.QUERY, "string", "search text or its id", nullable=True),
        Column(Event.HOST_ID, "string", "host behind the item: room's host, video's author", nullable=True),
        Column(Event.ROOM_ID, "string", "live session", nullable=True),
    ),
)


class Quarantine:
    """Column names of ``quarantine_v1``."""

    DS = "ds"
    TABLE = "source_table"
    REASON = "reason"
    ROW = "row"


QUARANTINE = Contract(
    name="quarantine_v1",
    grain=(),
    owner="data engineering",
    meaning="one raw row that broke the event contract, kept whole with the first reason that it broke",
    columns=(
        Column(Quarantine.DS, "string", "day of the run that met it", "YYYY-MM-DD"),
        Column(Quarantine.TABLE, "string", "raw log table"),
        Column(Quarantine.REASON, "string", "first broken rule, in the order of graphrep.logs.validate"),
        Column(Quarantine.ROW, "string", "the raw row", "JSON"),
    ),
)
