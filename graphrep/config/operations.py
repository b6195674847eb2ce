"""Settings of what is done beside the days: erasures that were asked for, and what is kept of old days."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from graphrep.config.strict import Strict


class Operations(Strict):
    erasure_requests: Path | None = Field(strict=False)
    graph_days: int = Field(ge=1)
    panel_days: int = Field(ge=1)
