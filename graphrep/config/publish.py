"""Settings of publishing: how vectors are kept, how long they serve, how many releases stay, where else they go."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from graphrep.config.strict import Name, Strict

Days = Annotated[int, Field(ge=0)]
ReleaseId = Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}\.[1-9]\d{0,5}$")]
Mirror = Annotated[str, Field(pattern=r"^(s3://[^/]+.*|[^:]+)$")]
Edges = Annotated[int, Field(ge=1)]


class Publish(Strict):
    online: Literal["int8", "float16", "float32"]
    ttl_days: dict[Name, Days]
    default_ttl_days: Days
    keep: int = Field(ge=1)
    pins: tuple[ReleaseId, ...]
    mirror: Mirror | None
    min_support: dict[Name, Edges]
    dual_days: int = Field(ge=0)
