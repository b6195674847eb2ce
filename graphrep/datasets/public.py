"""The public data sets that ``graphrep import`` turns into raw logs."""

from __future__ import annotations

from graphrep.datasets import amazon_cdsr, kuairand, retailrocket, twitch_golive
from graphrep.datasets.adapter import Adapter, Source, select_sources

__all__ = ["ADAPTERS", "Adapter", "Source", "select_sources"]

ADAPTERS: dict[str, Adapter] = {
    module.ADAPTER.name: module.ADAPTER for module in (kuairand, twitch_golive, retailrocket, amazon_cdsr)
}
