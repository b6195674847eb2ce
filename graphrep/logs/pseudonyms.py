"""Raw keys → pseudonyms, before a row is judged or written: HMAC-SHA256 out of Spark's own SHA-256.

The two pads that the secret gives come as a table of one row and not as constants, since the plans that Spark shows and
logs hold every constant.
"""

from __future__ import annotations

from collections.abc import Collection

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from graphrep.config import LogTable
from graphrep.contracts import LOG_EVENT, Event
from graphrep.contracts.pseudonyms import DIGITS, PREFIX, pads
from graphrep.logs.normalise import CORRUPT, ROW, TABLE

_INNER, _OUTER = "_inner_pad", "_outer_pad"


def pseudonymise(rows: DataFrame, table: LogTable, columns: Collection[str], secret: str) -> DataFrame:
    """Replace keys by their pseudonyms wherever a row has them.

    Event ids are replaced too, since producers build them from user ids and ours are hashes without a secret. Of the
    raw row, which quarantine keeps, only the columns that the contract reads are left, and nothing of a row that could
    not be read: where its user id stands in it, nobody knows.

    Args:
        rows: output of :func:`graphrep.logs.normalise`.
        columns: of the contract, whose values are keys.
        secret: of the HMAC.

    Returns:
        The same columns; ``_row`` has the source columns of the contract alone.
    """
    session = rows.sparkSession
    frame = session.createDataFrame([tuple(map(bytearray, pads(secret)))], f"{_INNER} binary, {_OUTER} binary")
    whole = rows.crossJoin(F.broadcast(frame))
    # Behind the name of the table, which leads every event id.
    given = F.substr(F.col(Event.EVENT_ID), F.length(TABLE) + F.lit(2))
    event_id = F.concat(TABLE, F.lit(":"), _pseudonym(given))
    values = {name: _pseudonym(F.col(name)) for name in columns} | {Event.EVENT_ID: event_id}
    raw = whole.schema[ROW].dataType.names  # type: ignore[attr-defined]  # ROW is a struct
    hidden, read = _sources(table, [*columns, Event.EVENT_ID], raw), _sources(table, LOG_EVENT.names, raw)
    kept = [_kept(name, name in hidden) for name in sorted(read)]
    return whole.withColumns({**values, ROW: F.struct(*kept)}).drop(_INNER, _OUTER)


def _sources(table: LogTable, columns: Collection[str], raw: Collection[str]) -> set[str]:
    """The raw columns that contract columns are read from."""
    sources = {name: table.source_of(name) for name in columns}
    named = {source.column if source else name for name, source in sources.items()}
    return {name for name in raw if name in named}


def _kept(name: str, hidden: bool) -> Column:
    value = F.col(f"{ROW}.`{name}`")
    value = _pseudonym(value.cast("string")) if hidden else value
    return F.when(~F.col(CORRUPT), value).alias(name)


def _pseudonym(text: Column) -> Column:
    """:func:`graphrep.contracts.pseudonyms.pseudonym` of each text; null of null."""
    inner = F.unhex(F.sha2(F.concat(F.col(_INNER), text.cast("binary")), 256))
    digest = F.sha2(F.concat(F.col(_OUTER), inner), 256)
    return F.concat(F.lit(PREFIX), F.substring(digest, 1, DIGITS))
