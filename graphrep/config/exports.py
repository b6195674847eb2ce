"""Settings of what is made of releases: the history, and the exports."""

from __future__ import annotations

from pydantic import Field

from graphrep.config.strict import Name, Strict


class HistorySettings(Strict):
    """Where the history lies and how long its parts are kept."""

    enabled: bool
    catalog: dict[str, str]
    catalog_name: Name
    namespace: Name
    keep_days: int = Field(ge=1)
    state_days: int = Field(ge=1)
    orphan_hours: int = Field(ge=1)


class RedisSettings(Strict):
    prefix: str = Field(pattern=r"^[A-Za-z0-9_.-]{1,60}$")
    batch: int = Field(ge=1)


class IndexSettings(Strict):
    connectivity: int = Field(ge=2)
    expansion_add: int = Field(ge=1)
    expansion_search: int = Field(ge=1)
    k: int = Field(ge=1)
    sample: int = Field(ge=1)
    min_recall: float = Field(ge=0, le=1)


class DailyExports(Strict):
    """Where each release goes once it is published; None: nowhere."""

    redis: str | None
    index: str | None
    feast: str | None


class Export(Strict):
    daily: DailyExports
    redis: RedisSettings
    index: IndexSettings
