"""Raw rows of any surface → checked events, and the rows that are not, each with its reason."""

from graphrep.logs.events import accepted, check_rows, count_rows, mark_duplicates, quarantined
from graphrep.logs.normalise import normalise

__all__ = ["accepted", "check_rows", "count_rows", "mark_duplicates", "normalise", "quarantined"]
