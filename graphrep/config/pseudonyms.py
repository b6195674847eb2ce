"""Settings of pseudonyms: keys that are replaced by keyed hashes before anything of them is kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from graphrep.config.strict import Strict

EndpointColumn = Literal["user_id", "item_id", "host_id", "room_id", "query"]
"""Event columns that hold keys."""


class Pseudonyms(Strict):
    """Which event columns are replaced, and the environment variable that holds the secret."""

    columns: tuple[EndpointColumn, ...] = Field(min_length=1)
    key_env: str = Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")


def check_content(pseudonyms: Pseudonyms | None, columns: Mapping[str, str]) -> None:
    """Vectors of items are delivered with the keys of the logs, which no pseudonym would find.

    Args:
        columns: node type with such vectors → the event column of its keys.

    Raises:
        ValueError: pseudonyms of one of them.
    """
    for node_type, column in columns.items():
        if pseudonyms and column in pseudonyms.columns:
            raise ValueError(f"item_vectors.{node_type}: expected keys that are no pseudonyms, found those of {column}")
