"""Raw rows of any surface → checked events, and the rows that are not, each with its reason."""

from graphrep.logs.erased import mark_erased
from graphrep.logs.events import accepted, check_rows, count_events, count_rows, first_of_each, quarantined
from graphrep.logs.normalise import normalise
from graphrep.logs.pseudonyms import pseudonymise

__all__ = [
    "accepted",
    "check_rows",
    "count_events",
    "count_rows",
    "first_of_each",
    "mark_erased",
    "normalise",
    "pseudonymise",
    "quarantined",
]
