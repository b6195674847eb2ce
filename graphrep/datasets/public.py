"""The public data sets that ``graphrep import`` turns into raw logs."""

from __future__ import annotations

from graphrep.datasets import kuairand, retailrocket
from graphrep.datasets.adapter import Adapter, Source, select_sources

__all__ = ["ADAPTERS", "Adapter", "Source", "select_sources"]

ADAPTERS: dict[str, Adapter] = {adapter.name: adapter for adapter in (kuairand.ADAPTER, retailrocket.ADAPTER)}
