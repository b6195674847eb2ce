"""What every settings class shares."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_]*$", max_length=60)]
"""Of a table, surface, node type, kind of edge or target: it becomes part of file names."""


class Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
